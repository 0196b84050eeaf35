//! A channel with its memory controller.

#![allow(clippy::inline_always, reason = "a call and its copies are a fifth of what an offer takes (callgrind)")]

use super::Tick;
use super::bank_set::BankSet;
use super::config::{ChannelConfig, DramError};
use super::core::{self, Core, Received};
use super::offset::Offset;
use super::request::{Observer, Offered, Request};
use super::rules::RuleTable;
use super::scheduler::{self, Double, HalfClock, Single, Split, Until};
use super::times::{ACT, PRE};
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
struct Inner<S, T> {
    core: Core<S, T>,
    kind: Kind<S>,
}

/// By the number of banks, and by how long the rules are.
#[derive(Clone, Debug)]
enum Size {
    UpTo64(Box<Inner<u64, i16>>),
    UpTo128(Box<Inner<u128, i16>>),
    Long(Box<Inner<u128, i64>>),
}

impl<S: BankSet, T: Offset> Inner<S, T> {
    fn new(config: &ChannelConfig, rules: RuleTable) -> Self {
        let standard = config.standard;
        let core = Core::new(config, rules);
        let kind = if standard.commands.contains(&Command::Act1) {
            Kind::Split(Split::new(config))
        } else if standard.two_buses && standard.ticks_per_clock > 1 {
            Kind::HalfClock(HalfClock::new(core.times.least(ACT, PRE)))
        } else if standard.two_buses {
            Kind::Double(Double)
        } else {
            Kind::Single(Single)
        };
        Self { core, kind }
    }

    #[inline(always)]
    fn offer(&mut self, request: &Request, observer: &mut impl Observer) -> Result<Offered, DramError> {
        Ok(match self.core.receive(request, observer)? {
            Received::Joins(offered) => offered,
            Received::Refused { .. } => Offered::Refused,
            Received::Place { bank } => {
                self.core.queue_up(request, bank);
                Offered::Queued
            }
        })
    }

    #[inline(always)]
    fn put(&mut self, request: &Request, observer: &mut impl Observer) -> Result<bool, DramError> {
        let (bank, waits) = match self.core.receive(request, observer)? {
            Received::Joins(_) => return Ok(false),
            Received::Place { bank } => (bank, false),
            Received::Refused { bank } => (bank, true),
        };
        if waits {
            self.run_to_place(observer);
        }
        self.core.queue_up(request, bank);
        Ok(waits)
    }

    #[inline(always)]
    fn run_to_place(&mut self, observer: &mut impl Observer) {
        let core = &mut self.core;
        match &mut self.kind {
            Kind::Single(kind) => scheduler::run_to_place(kind, core, observer),
            Kind::Double(kind) => scheduler::run_to_place(kind, core, observer),
            Kind::HalfClock(kind) => scheduler::run_to_place(kind, core, observer),
            Kind::Split(kind) => scheduler::run_to_place(kind, core, observer),
        }
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
        let rules = core::rules(config);
        let size = if Tick::from(rules.longest()) > i16::REACH {
            Size::Long(Box::new(Inner::new(config, rules)))
        } else if config.organisation.nodes(Level::Bank) > 64 {
            Size::UpTo128(Box::new(Inner::new(config, rules)))
        } else {
            Size::UpTo64(Box::new(Inner::new(config, rules)))
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
    pub fn offer(&mut self, request: &Request, observer: &mut impl Observer) -> Result<Offered, DramError> {
        sized!(&mut self.size, channel => channel.offer(request, observer))
    }

    /// Takes a request before the next tick; where its queue is full it runs until a place is free before. Says whether it
    /// was.
    ///
    /// The same as [`Self::offer`] and, where that refuses, [`Self::advance_to_place`] and another offer.
    ///
    /// # Errors
    /// [`DramError::Address`] where the address is not in the channel.
    #[inline(always)]
    pub fn put(&mut self, request: &Request, observer: &mut impl Observer) -> Result<bool, DramError> {
        sized!(&mut self.size, channel => channel.put(request, observer))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Address, Command};
    use crate::dram::request::{Access, Completion, Target};
    use crate::timing::standard::STANDARDS;

    #[derive(Default)]
    struct Log(Vec<(Tick, Command, Option<u64>)>, Vec<(u64, Tick)>);

    impl Observer for Log {
        fn issued(&mut self, tick: Tick, command: Command, target: Target<'_>) {
            let tag = if let Target::Request(request) = target { Some(request.tag) } else { None };
            self.0.push((tick, command, tag));
        }
        fn completed(&mut self, completion: &Completion) {
            self.1.push((completion.request.tag, completion.done));
        }
    }

    fn log<S: BankSet, T: Offset>(config: &ChannelConfig, put: bool) -> Log {
        let mut channel = Inner::<S, T>::new(config, core::rules(config));
        let (mut log, mut dice) = (Log::default(), 7_u64);
        let banks = u64::from(config.organisation.banks);
        for tag in 0..600 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let access = if dice >> 40 & 1 == 1 { Access::Write } else { Access::Read };
            let address =
                Address { bank: ((dice >> 41) % banks) as u8, row: (dice >> 50) as u32 % 4, ..Address::default() };
            let request = Request { access, address, column: 0, tag };
            if put {
                channel.put(&request, &mut log).unwrap();
            } else {
                while channel.offer(&request, &mut log).unwrap() == Offered::Refused {
                    channel.run(Tick::MAX - 1, Until::Place, &mut log);
                }
            }
            // Now and then nothing comes for longer than a base lasts.
            let pause = if tag % 97 == 0 { 20_000 } else { 3 };
            let until = channel.core.now + pause;
            channel.run(until, Until::Limit, &mut log);
        }
        channel.run(Tick::MAX - 1, Until::Done, &mut log);
        log
    }

    /// However banks are kept, and ticks counted, the commands are the same. So they are where requests are put.
    #[test]
    fn do_channels_of_all_sizes_do_the_same() {
        for standard in STANDARDS {
            let (organisation, timing) = (standard.organisations[0].name, standard.timings[0].name);
            let config = ChannelConfig::preset(standard.name, organisation, timing).unwrap();
            let short = log::<u64, i16>(&config, false);
            assert_eq!(short.1.len(), 600, "{}", standard.name);
            let others =
                [log::<u128, i16>(&config, false), log::<u128, i64>(&config, false), log::<u64, i16>(&config, true)];
            for other in others {
                assert!(short.0 == other.0 && short.1 == other.1, "{}", standard.name);
            }
        }
    }

    #[test]
    fn does_a_rule_beyond_the_reach_get_long_ticks() {
        let mut config = ChannelConfig::preset("DDR4", "DDR4_8Gb_x8", "DDR4_3200AA").unwrap();
        assert!(matches!(DramChannel::new(&config).unwrap().size, Size::UpTo64(_)));
        config.timing = config.timing.with(crate::timing::Parameter::Rfc, 16_384);
        assert!(matches!(DramChannel::new(&config).unwrap().size, Size::Long(_)));
    }
}
