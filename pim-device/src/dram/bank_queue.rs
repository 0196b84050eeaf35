//! Another memory controller: a command queue for each bank, served in turn.
//!
//! Its mechanisms are those of DRAMsim3 with one rank, as published: transactions wait in a read queue and a write buffer
//! and move, one per tick, into the queue of their bank. The banks take turns; a bank offers the first command of its
//! queue that is ready. Its row stays open while requests for it wait, up to a number of hits. Writes are
//! acknowledged when they are offered. When a refresh is due nothing else is issued.

#![allow(clippy::inline_always, reason = "asked for each kind of command at every look")]

mod controller;
mod counts;
mod ready;

use self::controller::Inner;
use super::Tick;
use super::bank_set::CAPACITY;
use super::config::DramError;
use super::offset::Offset;
use super::request::{Observer, Offered, Request};
use super::rules::{CommandBus, RuleTable};
use super::scheduler::Until;
use crate::command::Command::{self, Act, Pre, Rd, RefAb, Wr};
use crate::constraint::{Constraint, Latency, at, sum};
use crate::organisation::Level::{Bank, BankGroup, Rank};
use crate::organisation::{Level, Organisation};
use crate::timing::{Parameter as P, Timing};

/// The rules of this controller: bursts are counted in nCCDS and nCCDL, nRTW is the whole turn-around.
#[rustfmt::skip]
pub const RULES: &[Constraint] = &[
    at(Rank, &[Rd], &[Rd], sum(&[P::CcdS])),
    at(BankGroup, &[Rd], &[Rd], sum(&[P::CcdL])),
    at(Rank, &[Wr], &[Wr], sum(&[P::CcdS])),
    at(BankGroup, &[Wr], &[Wr], sum(&[P::CcdL])),
    at(Rank, &[Rd], &[Wr], sum(&[P::Rtw])),
    at(Rank, &[Wr], &[Rd], sum(&[P::Cwl, P::Bl, P::WtrS])),
    at(BankGroup, &[Wr], &[Rd], sum(&[P::Cwl, P::Bl, P::WtrL])),
    at(Bank, &[Rd], &[Pre], sum(&[P::Rtp])),
    at(Bank, &[Wr], &[Pre], sum(&[P::Cwl, P::Bl, P::Wr])),
    at(Bank, &[Act], &[Act], sum(&[P::Rc])),
    at(BankGroup, &[Act], &[Act], sum(&[P::RrdL])),
    at(Rank, &[Act], &[Act], sum(&[P::RrdS])),
    at(Rank, &[Act], &[Act], sum(&[P::Faw])).window(4),
    at(Rank, &[Act], &[Act], sum(&[P::Act32])).window(32),
    at(Bank, &[Act], &[Rd], sum(&[P::RcdRd])),
    at(Bank, &[Act], &[Wr], sum(&[P::RcdWr])),
    at(Bank, &[Act], &[Pre], sum(&[P::Ras])),
    at(Bank, &[Pre], &[Act, RefAb], sum(&[P::Rp])),
    at(Rank, &[Pre], &[Pre], sum(&[P::Ppd])),
    at(Rank, &[RefAb], &[Act], sum(&[P::Rfc])),
];

/// The commands, as numbers: their places in [`SENT`].
const ACT: usize = 0;
const PRE: usize = 1;
const RD: usize = 2;
const WR: usize = 3;
const REF: usize = 4;
/// Those that requests need.
const COMMANDS: usize = 4;
const SENT: &[Command; 5] = &[Act, Pre, Rd, Wr, RefAb];
const READ_LATENCY: Latency = sum(&[P::Cl, P::Bl]);

/// Configuration of a [`BankQueueChannel`].
#[derive(Clone, Debug)]
pub struct BankQueueConfig {
    /// The channel; one rank in one pseudo-channel.
    pub organisation: Organisation,
    /// Parameters in ticks, as [`RULES`] reads them.
    pub timing: Timing,
    /// Whether a row and a column command fit into one tick.
    pub two_buses: bool,
    /// Reads that wait for their bank's queue, and writes.
    pub transactions: usize,
    /// Commands that wait in the queue of a bank.
    pub commands: usize,
    /// A row with so many hits is closed although more wait.
    pub most_hits: u32,
    /// With more writes than this and all banks idle the writes are drained.
    pub idle_writes: usize,
}

/// By the number of banks, and by how long the rules are.
#[derive(Clone, Debug)]
enum Size {
    UpTo64(Box<Inner<u64, i16>>),
    UpTo128(Box<Inner<u128, i16>>),
    Long(Box<Inner<u128, i64>>),
}

/// One channel with a command queue for each bank. The first tick is 0.
#[derive(Clone, Debug)]
pub struct BankQueueChannel {
    size: Size,
}

impl BankQueueChannel {
    /// A channel in which nothing has happened.
    ///
    /// # Errors
    /// [`DramError::Figure`] where a figure is impossible.
    pub fn new(config: &BankQueueConfig) -> Result<Self, DramError> {
        let organisation = &config.organisation;
        let figure = |what, value: u64, most: u64, allowed| {
            if (1..=most).contains(&value) { Ok(()) } else { Err(DramError::Figure { what, value, allowed }) }
        };
        figure("the number of ranks", u64::from(organisation.nodes(Level::Rank)), 1, "1")?;
        let banks = u64::from(organisation.bank_groups) * u64::from(organisation.banks);
        figure("the number of banks", banks, CAPACITY as u64, "1 to 128")?;
        figure("the number of rows", organisation.rows.into(), 1 << 31, "1 to 2^31")?;
        figure("the number of columns", organisation.columns.into(), 1 << 31, "1 to 2^31")?;
        figure("the transaction queue", config.transactions as u64, 4_096, "1 to 4096")?;
        figure("the command queue", config.commands as u64, 4_096, "1 to 4096")?;
        figure("nREFI", config.timing.get(P::Refi).into(), u64::MAX, "at least 1")?;
        let bus = CommandBus { lengths: &[], two_buses: config.two_buses };
        let rules = RuleTable::new(organisation, RULES, SENT, bus, |parameter| config.timing.get(parameter));
        let size = if Tick::from(rules.longest()) > i16::REACH {
            Size::Long(Box::new(Inner::new(config, &rules)))
        } else if banks > 64 {
            Size::UpTo128(Box::new(Inner::new(config, &rules)))
        } else {
            Size::UpTo64(Box::new(Inner::new(config, &rules)))
        };
        Ok(Self { size })
    }

    /// The tick that runs next.
    pub const fn now(&self) -> Tick {
        sized!(&self.size, channel => channel.now)
    }

    /// Offers a request before the next tick. A write is done in the tick after.
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
    /// [`DramError::Address`] where the address is not in the channel, [`DramError::Stuck`] as [`Self::advance_to_place`].
    #[inline(always)]
    pub fn put(&mut self, request: &Request, observer: &mut impl Observer) -> Result<bool, DramError> {
        sized!(&mut self.size, channel => channel.put(request, observer))
    }

    /// Runs the ticks before `tick`.
    pub fn advance(&mut self, tick: Tick, observer: &mut impl Observer) {
        // Ticks are not waited for in vain.
        let _ = sized!(&mut self.size, channel => channel.run(tick, Until::Limit, observer));
    }

    /// Runs until a place has become free in the queue that refused the last offer. Only to be called after a refusal.
    ///
    /// # Errors
    /// [`DramError::Stuck`] where none becomes free for ever: the first write of a full queue that has a place waits for a
    /// read of the same granule, and reads wait for the writes. The controller that this is the model of does the same.
    pub fn advance_to_place(&mut self, observer: &mut impl Observer) -> Result<(), DramError> {
        sized!(&mut self.size, channel => channel.run(Tick::MAX, Until::Place, observer))
    }

    /// Runs until no read waits.
    ///
    /// # Errors
    /// [`DramError::Stuck`], see [`Self::advance_to_place`].
    pub fn drain_reads(&mut self, observer: &mut impl Observer) -> Result<(), DramError> {
        sized!(&mut self.size, channel => channel.run(Tick::MAX, Until::Done, observer))
    }
}
