//! A channel with its memory controller.

use super::Tick;
use super::bank_set::BankSet;
use super::config::{ChannelConfig, DramError};
use super::core::Core;
use super::request::{Observer, Offered, Request};
use super::scheduler::{self, Double, HalfClock, Single, Split, Until};
use crate::command::Command;
use crate::organisation::Level;

/// How commands are sent.
#[derive(Clone, Debug)]
enum Kind<S> {
    Single(Single),
    Double(Double),
    HalfClock(HalfClock<S>),
    Split(Split),
}

/// A channel whose banks go into one set.
#[derive(Clone, Debug)]
struct Inner<S> {
    core: Core<S>,
    kind: Kind<S>,
}

/// By the number of banks.
#[derive(Clone, Debug)]
enum Size {
    UpTo64(Box<Inner<u64>>),
    UpTo128(Box<Inner<u128>>),
}

impl<S: BankSet> Inner<S> {
    fn new(config: &ChannelConfig) -> Result<Self, DramError> {
        let standard = config.standard;
        let kind = if standard.commands.contains(&Command::Act1) {
            Kind::Split(Split::new(config))
        } else if standard.two_buses && standard.ticks_per_clock > 1 {
            Kind::HalfClock(HalfClock::new())
        } else if standard.two_buses {
            Kind::Double(Double)
        } else {
            Kind::Single(Single)
        };
        Ok(Self { core: Core::new(config)?, kind })
    }

    fn run(&mut self, limit: Tick, until: Until, observer: &mut impl Observer) {
        let core = &mut self.core;
        match &mut self.kind {
            Kind::Single(kind) => scheduler::run(kind, core, limit, until, observer),
            Kind::Double(kind) => scheduler::run(kind, core, limit, until, observer),
            Kind::HalfClock(kind) => scheduler::run(kind, core, limit, until, observer),
            Kind::Split(kind) => scheduler::run(kind, core, limit, until, observer),
        }
    }
}

/// Does the same with a channel of either size.
macro_rules! sized {
    ($size:expr, $channel:ident => $do:expr) => {
        match $size {
            Size::UpTo64($channel) => $do,
            Size::UpTo128($channel) => $do,
        }
    };
}

/// One channel of ordinary DRAM and its memory controller: open page, first ready first come first served, write drain,
/// refresh.
///
/// Requests are offered between ticks; [`Self::advance`] runs the ticks. What is issued and completed is told to an
/// [`Observer`], such as a `Vec<Completion>`.
///
/// ```
/// use pim_device::Address;
/// use pim_device::dram::{ChannelConfig, Completion, DramChannel, Offered, Request};
///
/// let mut channel = DramChannel::new(&ChannelConfig::preset("DDR5", "DDR5_16Gb_x8", "DDR5_4800BN")?)?;
/// let mut completions: Vec<Completion> = Vec::new();
/// for i in 0..1_000 {
///     let address = Address { bank_group: (i % 8) as u8, row: i / 512, ..Address::default() };
///     let request = Request::read(address, i / 8 % 64);
///     while channel.offer(&request, &mut completions)? == Offered::Refused {
///         channel.advance_to_place(&mut completions);
///     }
/// }
/// channel.drain(&mut completions);
/// assert_eq!(completions.len(), 1_000);
/// assert_eq!(completions[0].done, 1 + 36 + 44); // ACT in tick 1, nRCD, nCL + nBL
/// # Ok::<(), pim_device::dram::DramError>(())
/// ```
#[derive(Clone, Debug)]
pub struct DramChannel {
    size: Size,
}

impl DramChannel {
    /// A channel in which nothing has happened.
    ///
    /// # Errors
    /// [`DramError`] where a figure is impossible or the standard has no such refresh.
    pub fn new(config: &ChannelConfig) -> Result<Self, DramError> {
        config.check()?;
        let size = if config.organisation.nodes(Level::Bank) > 64 {
            Size::UpTo128(Box::new(Inner::new(config)?))
        } else {
            Size::UpTo64(Box::new(Inner::new(config)?))
        };
        Ok(Self { size })
    }

    /// The last tick that is over.
    pub const fn now(&self) -> Tick {
        sized!(&self.size, channel => channel.core.now)
    }

    /// Requests that have been taken and whose last command is still to be issued.
    pub const fn outstanding(&self) -> u32 {
        sized!(&self.size, channel => channel.core.outstanding)
    }

    /// Offers a request before the next tick.
    ///
    /// # Errors
    /// [`DramError::Address`] where the address is not in the channel.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "a call and its copies are a fifth of what an offer takes (callgrind)")]
    pub fn offer(&mut self, request: &Request, observer: &mut impl Observer) -> Result<Offered, DramError> {
        sized!(&mut self.size, channel => channel.core.offer(request, observer))
    }

    /// Runs the ticks up to and with `tick`.
    pub fn advance(&mut self, tick: Tick, observer: &mut impl Observer) {
        self.run(tick, Until::Limit, observer);
    }

    /// Runs until a place has become free in the queue that refused the last offer. Only to be called after a refusal.
    pub fn advance_to_place(&mut self, observer: &mut impl Observer) {
        self.run(Tick::MAX - 1, Until::Place, observer);
    }

    /// Runs until every request has its last command. The answers of the last reads may still be to come; their
    /// completions say when.
    pub fn drain(&mut self, observer: &mut impl Observer) {
        if self.outstanding() > 0 {
            self.run(Tick::MAX - 1, Until::Done, observer);
        }
    }

    fn run(&mut self, limit: Tick, until: Until, observer: &mut impl Observer) {
        sized!(&mut self.size, channel => channel.run(limit, until, observer));
    }
}
