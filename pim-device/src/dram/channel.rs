//! A channel with its memory controller.

use super::Tick;
use super::config::{ChannelConfig, DramError};
use super::core::Core;
use super::request::{Observer, Offered, Request};
use super::scheduler::{self, Double, HalfClock, Scheduler, Single, Split, Until};
use crate::command::Command;

/// How commands are sent.
#[derive(Clone, Debug)]
enum Kind {
    Single(Single),
    Double(Double),
    HalfClock(HalfClock),
    Split(Split),
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
    core: Core,
    kind: Kind,
}

impl DramChannel {
    /// A channel in which nothing has happened.
    ///
    /// # Errors
    /// [`DramError`] where a figure is impossible or the standard has no such refresh.
    pub fn new(config: &ChannelConfig) -> Result<Self, DramError> {
        let standard = config.standard;
        let kind = if standard.commands.contains(&Command::Act1) {
            Kind::Split(Split::new(config))
        } else if standard.two_buses && standard.ticks_per_clock > 1 {
            Kind::HalfClock(HalfClock::default())
        } else if standard.two_buses {
            Kind::Double(Double)
        } else {
            Kind::Single(Single)
        };
        Ok(Self { core: Core::new(config)?, kind })
    }

    /// The last tick that is over.
    pub const fn now(&self) -> Tick {
        self.core.now
    }

    /// Requests that have been taken and whose last command is still to be issued.
    pub const fn outstanding(&self) -> u32 {
        self.core.outstanding
    }

    /// Offers a request before the next tick.
    ///
    /// # Errors
    /// [`DramError::Address`] where the address is not in the channel.
    #[inline]
    pub fn offer(&mut self, request: &Request, observer: &mut impl Observer) -> Result<Offered, DramError> {
        self.core.offer(request, observer)
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
        if self.core.outstanding > 0 {
            self.run(Tick::MAX - 1, Until::Done, observer);
        }
    }

    fn run(&mut self, limit: Tick, until: Until, observer: &mut impl Observer) {
        fn run(
            scheduler: &mut impl Scheduler,
            core: &mut Core,
            limit: Tick,
            until: Until,
            observer: &mut impl Observer,
        ) {
            scheduler::run(scheduler, core, limit, until, observer);
        }
        let core = &mut self.core;
        match &mut self.kind {
            Kind::Single(kind) => run(kind, core, limit, until, observer),
            Kind::Double(kind) => run(kind, core, limit, until, observer),
            Kind::HalfClock(kind) => run(kind, core, limit, until, observer),
            Kind::Split(kind) => run(kind, core, limit, until, observer),
        }
    }
}
