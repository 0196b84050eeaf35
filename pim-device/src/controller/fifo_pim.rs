//! A request-level PIM controller: requests wait in queues, barriers keep their order, two commands leave in a cycle.
//!
//! A host sends requests, not commands: a MAC, a move, a read. The controller of each channel opens the rows that they
//! need, lets ready requests pass those that wait, and inserts refreshes. What a request needs, which commands there are
//! and what holds back what is a [`RuleSet`]; the one that exists is [`crate::constraint::attacc::RULES`].
//!
//! In each cycle a channel looks twice for a command:
//!
//! ```text
//!              first slot                                  second slot
//!  active  -->  ready?          reads and writes            the same order; a candidate
//!  refresh -->  or nothing      whose row was opened        that goes over the bus of the
//!  PIM     -->  ready?          up to the first barrier     first one is passed over
//!  read or write                by watermarks
//! ```
//!
//! Requests come as one stream for all channels, in order. In each cycle as many enter as find room; the first one
//! without room holds up all behind it, whatever their channels. [`FifoPim::run`] executes such a stream.
//!
//! Nothing is computed for cycles at which nothing can happen. Channels that get the same requests in the same cycles
//! are simulated once: those that lie side by side in every [`Fan`] of the stream. Where one of them has room they all
//! have, and none of another state stands between them, so that they stay equal; the general case is one channel each.
//!
//! ```
//! use pim_device::controller::fifo_pim::{Fan, FifoPim, Request, Setup};
//! use pim_device::timing::hbm3::gbps_5_2;
//! use pim_device::{Address, Command, Organisation, PowerLimit};
//!
//! let timing = gbps_5_2(PowerLimit::On);
//! let controller = FifoPim::new(&Setup::attacc(&Organisation::HBM3_8GB_2R, &timing))?;
//! // The same 32 columns of row 7 of all banks, in all channels.
//! let macs = (0..32).map(|column| Fan {
//!     request: Request { command: Some(Command::MacAb), address: Address { row: 7, ..Address::default() }, column },
//!     channels: 0..=15,
//! });
//! let run = controller.run(macs)?;
//! assert_eq!(run.channels[15].commands[Command::MacAb], 32);
//! assert_eq!(run.end, 1 + 19 + 31 * 6); // ACTAB at cycle 1, nRCDRD, nCCDAB
//! assert_eq!(run.simulated, 1);
//! # Ok::<(), pim_device::controller::fifo_pim::StreamError>(())
//! ```

mod burst;
mod channel;
mod config;
mod front_end;
mod memo;
mod prerequisite;
mod queue;
mod rows;
pub mod rules;
mod timers;

use std::ops::RangeInclusive;

use crate::command::{Address, Command, CommandCounts};
use crate::constraint::attacc;
use crate::organisation::Organisation;
use crate::timing::Timing;

pub use front_end::{FifoPim, Splits};
pub use rules::RuleSet;

/// A request of the host to one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The command that it is about; `None` for a barrier, which keeps what comes after it from passing.
    pub command: Option<Command>,
    /// Where.
    pub address: Address,
    /// Column of the row.
    pub column: u16,
}

/// The same request to several channels, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fan {
    /// What.
    pub request: Request,
    /// To which channels, from 0, in this order.
    pub channels: RangeInclusive<u8>,
}

/// Configuration of a run.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// Commands and constraints.
    pub rules: &'a RuleSet,
    /// Channels and banks.
    pub organisation: &'a Organisation,
    /// Clock and latencies.
    pub timing: &'a Timing,
    /// Whether all banks are refreshed every nREFI.
    pub refresh: bool,
    /// Whether every command is written down.
    pub log: bool,
}

impl<'a> Setup<'a> {
    /// Rule set `attacc` with refresh, without a list of commands.
    pub const fn attacc(organisation: &'a Organisation, timing: &'a Timing) -> Self {
        Self { rules: &attacc::RULES, organisation, timing, refresh: true, log: false }
    }
}

/// Where a command went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A pseudo-channel as a whole: what a refresh needs.
    PseudoChannel(u8),
    /// The address of the request that it was issued for.
    Column(Address, u16),
}

/// A command that was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issue {
    /// When; the first cycle is 1.
    pub cycle: u64,
    /// What; `None` for a barrier that took a slot.
    pub command: Option<Command>,
    /// Where.
    pub target: Target,
}

/// What one channel has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelRun {
    /// Commands that were issued.
    pub commands: CommandCounts,
    /// Barriers that took a slot.
    pub barriers: u64,
    /// Every command in order, where [`Setup::log`] asks for it.
    pub log: Vec<Issue>,
}

/// The result of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// The cycle at which nothing waits any more. The last command's own latency is not in it, that of reads is.
    pub end: u64,
    /// By channel.
    pub channels: Vec<ChannelRun>,
    /// How many channels were simulated; the others are equal to one of these.
    pub simulated: usize,
    /// Commands of these, barriers that took a slot included.
    pub simulated_commands: u64,
}

impl Run {
    /// Commands of all channels, barriers that took a slot included.
    pub fn commands(&self) -> u64 {
        self.channels.iter().map(|channel| channel.commands.total() + channel.barriers).sum()
    }
}

/// A stream of requests that cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// A request to a bank, row or column that does not exist, or with a command that the rule set does not have.
    #[error("request {index} of the stream has no place in the channel: {request:?}")]
    NoSuchPlace {
        /// Which, from 0; fans count as one.
        index: u64,
        /// The request.
        request: Request,
    },
    /// A fan to a channel that does not exist.
    #[error("request {index} of the stream goes to channel {channel}, but there are {channels}")]
    NoSuchChannel {
        /// Which, from 0; fans count as one.
        index: u64,
        /// To which.
        channel: u8,
        /// How many there are.
        channels: u32,
    },
    /// A fan begins or ends where its splits say that channels do the same.
    #[error("request {index} of the stream parts channels that are said to do the same")]
    Split {
        /// Which, from 0; fans count as one.
        index: u64,
    },
    /// Requests keep each other from being served: the rules precharge one bank for ever, and no refresh comes.
    #[error("no request has been served for {STALLED} cycles, at cycle {cycle}")]
    Stalled {
        /// When it was found.
        cycle: u64,
    },
    /// More banks than a controller has bits for.
    #[error("a channel of {banks} banks is too large")]
    TooManyBanks {
        /// Banks of a channel.
        banks: u32,
    },
}

/// After so many cycles in which no request is served none ever will be: many refreshes fit into them.
pub const STALLED: u64 = 1 << 20;
