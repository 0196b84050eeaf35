//! What all controllers of a channel share: state of timing and banks, queues, refresh, and the choice among requests.

#![allow(clippy::inline_always, reason = "asked for each kind of command at every look")]

mod arrival;
mod choice;
mod effect;
mod issue;
mod owner;
mod refresh;

use std::collections::VecDeque;

use self::owner::{Opening, Owner};

use super::Tick;
use super::bank::OpenRows;
use super::bank_set::{BankSet, CAPACITY};
use super::config::{Bounds, ChannelConfig, Refresh};
use super::entries::{Entries, Key};
use super::offset::Offset;
use super::queue::{Bucket, Queue};
use super::request::Offered;
use super::rules::{Place, RuleTable};
use super::scheduler::Until;
use super::times::{ACT, ACT2, RD, Times, WR};
use super::wheel::Calendar;
use crate::command::Command;
use crate::organisation::{Level, Organisation};

/// Which queue.
pub(super) const READ: usize = 0;
pub(super) const WRITE: usize = 1;
const NO_QUEUE: usize = 2;

/// What is chosen among: accesses of owners, of a queue's hits, activations, precharges.
pub(super) const OWNERS: usize = 0;
pub(super) const HITS: usize = 1;
pub(super) const ACTIVATIONS: usize = 2;
pub(super) const PRECHARGES: usize = 3;
pub(super) const KINDS: usize = 4;

/// A refresh that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct RefreshRequest {
    pub(super) place: Place,
    pub(super) command: Command,
}

/// A refresh command that could be issued.
#[derive(Clone, Copy, Debug)]
pub(super) struct RefreshPick {
    /// Which of the waiting refreshes.
    pub(super) index: usize,
    pub(super) command: Command,
}

/// What would be issued for a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pick {
    /// The request.
    pub(super) key: Key,
    pub(super) bank: u16,
    pub(super) command: Command,
}

/// What becomes of a request that is offered.
#[derive(Clone, Copy, Debug)]
pub(super) enum Received {
    /// It goes with a write that waits.
    Joins(Offered),
    /// Its queue has a place.
    Place { bank: usize },
    /// Its queue is full. When there is a place it still goes with no write that waits: those only become fewer.
    Refused { bank: usize },
}

/// State and configuration of a channel and its controller, without the order in which commands are chosen.
#[derive(Clone, Debug)]
pub(super) struct Core<S, T> {
    // Configuration.
    organisation: Organisation,
    /// [`Command::Act`], or [`Command::Act1`] where it is split.
    pub(super) activate: Command,
    read_latency: Tick,
    refresh: Refresh,
    refresh_interval: Tick,
    refresh_nodes: Vec<Place>,
    bounds: Bounds,
    write_high: u32,
    /// With so few reads, or writes, another queue may be served from then on.
    few: [u32; 2],
    // State.
    pub(super) times: Times<S, T>,
    pub(super) banks: OpenRows<S>,
    pub(super) entries: Entries<Bucket>,
    pub(super) queues: [Queue<S>; 2],
    /// By activation and precharge the banks that were ready, but for their rank, when last looked at. A bank that wants the
    /// command is here or in the calendar.
    due: [S; 2],
    calendars: [Calendar<S>; 2],
    /// Owner of each bank: the request for which it was activated, until that is served.
    owners: Box<[Owner; CAPACITY]>,
    /// Banks with an owner that reads, that writes.
    owned: [S; 2],
    /// Of these the ones that were opened long enough ago; the others are opening.
    opened: [S; 2],
    opening: [Opening; 2],
    /// From an activation, or its first half, to a read, and to a write; and from its second half.
    opens_in: [Tick; 2],
    opens_soon: [Tick; 2],
    /// Banks that wait for their own refresh: nothing new is begun in them.
    refreshing: S,
    write_mode: bool,
    /// Whether the queues have changed so that it may be decided otherwise.
    changed: bool,
    /// By kind a tick before which none of it can go. What the rules forbid only moves it on; whatever else makes something
    /// possible sets it back.
    from: [Tick; KINDS],
    pub(super) refreshes: VecDeque<RefreshRequest>,
    next_refresh: Tick,
    /// How far one can go before refreshes are pushed or ticks are counted from another base.
    horizon: Tick,
    next_bank: u32,
    /// The last tick that is over.
    pub(super) now: Tick,
    /// Reads are answered in order.
    last_answer: Tick,
    /// The queue that refused the last offer, or none.
    refused: usize,
    /// A run stops when this queue has a free place, or no more requests than these are left.
    watched: usize,
    left: u32,
    /// That is so.
    pub(super) stop: bool,
    /// Requests that are not done (or whose answer is not known).
    pub(super) outstanding: u32,
}

/// The rules of a channel, with the commands that its controller sends.
pub(super) fn rules(config: &ChannelConfig) -> RuleTable {
    let standard = config.standard;
    // The open-page controller sends no auto-precharge and no refresh management.
    let unused = [Command::RdA, Command::WrA, Command::RfmAb, Command::RfmPb];
    let refresh_unused: &[Command] = match config.refresh {
        Refresh::None => &[Command::PreA, Command::RefAb, Command::RefPb],
        Refresh::AllBank => &[Command::RefPb],
        Refresh::PerBank => &[Command::PreA, Command::RefAb],
    };
    let commands: Vec<Command> = (standard.commands.iter().copied())
        .filter(|command| !unused.contains(command) && !refresh_unused.contains(command))
        .collect();
    RuleTable::of_standard(standard, &config.organisation, &config.timing, &commands)
}

impl<S: BankSet, T: Offset> Core<S, T> {
    pub(super) fn new(config: &ChannelConfig, rules: RuleTable) -> Self {
        let organisation = config.organisation;
        let standard = config.standard;
        let banks = organisation.nodes(Level::Bank);
        let level = standard.refresh_level;
        let refresh_nodes = (0..organisation.nodes(level)).map(|node| rules.node(level, node)).collect();
        let split = standard.commands.contains(&Command::Act1);
        let refresh_interval = config.refresh_interval();
        // There is one slot a tick on each bus; on half clocks only precharges begin on the edge between.
        let halves = standard.two_buses && standard.ticks_per_clock > 1;
        let slots = |one: Command, other: Command| {
            let shared = !standard.two_buses || one.bus() == other.bus();
            let between = halves && one != Command::Pre && other != Command::Pre;
            Tick::from(shared) + Tick::from(shared && between)
        };
        let times = Times::new(rules, slots);
        let opens_in = [RD, WR].map(|command| times.least(ACT, command));
        let opens_soon = if split { [RD, WR].map(|command| times.least(ACT2, command)) } else { [0; 2] };
        let queues = &config.queues;
        let capacity = (queues.read + queues.write + banks) as usize;
        Self {
            organisation,
            activate: if split { Command::Act1 } else { Command::Act },
            read_latency: config.read_latency(),
            refresh: config.refresh,
            refresh_interval,
            refresh_nodes,
            bounds: Bounds::of(&organisation),
            write_high: queues.write_high,
            few: [0, queues.write_low],
            times,
            banks: OpenRows::new(&organisation),
            entries: Entries::new(capacity),
            queues: [Queue::new(queues.read), Queue::new(queues.write)],
            due: [S::range(0..banks as usize), S::EMPTY],
            calendars: [Calendar::new(), Calendar::new()],
            owners: Box::new([Owner::NOBODY; CAPACITY]),
            owned: [S::EMPTY; 2],
            opened: [S::EMPTY; 2],
            opening: [Opening::new(), Opening::new()],
            opens_in,
            opens_soon,
            refreshing: S::EMPTY,
            write_mode: false,
            changed: true,
            from: [0; KINDS],
            refreshes: VecDeque::new(),
            next_refresh: refresh_interval,
            horizon: 0,
            next_bank: 0,
            now: 0,
            last_answer: 0,
            refused: NO_QUEUE,
            watched: NO_QUEUE,
            left: u32::MAX,
            stop: false,
            outstanding: 0,
        }
    }

    /// Whether writes are served: decided anew whenever the queues are looked at. Without a change of the queues it would
    /// be decided the same again.
    #[inline]
    pub(super) fn mode(&mut self) -> usize {
        if self.changed {
            self.decide();
        }
        usize::from(self.write_mode)
    }

    /// Decides whether writes are served; says whether it stays as it was.
    #[inline]
    pub(super) fn mode_stays(&mut self) -> bool {
        let before = self.write_mode;
        self.mode();
        self.write_mode == before
    }

    #[inline]
    fn decide(&mut self) {
        self.changed = false;
        let (reads, writes) = (self.queues[READ].len, self.queues[WRITE].len);
        let on = if self.write_mode {
            writes > self.few[WRITE] || reads == 0
        } else {
            writes >= self.write_high || reads == 0
        };
        if on != self.write_mode {
            self.write_mode = on;
            self.from = [0; KINDS];
        }
    }

    /// A run begins.
    pub(super) fn begin(&mut self, until: Until) {
        self.stop = false;
        (self.watched, self.left) = match until {
            Until::Limit => (NO_QUEUE, u32::MAX),
            Until::Place => (self.refused, u32::MAX),
            Until::Done => (NO_QUEUE, 0),
        };
    }

    /// Whether nothing is left to do before the next refresh. The queues are looked at even so.
    #[inline]
    pub(super) fn is_idle(&mut self) -> bool {
        let idle = self.outstanding == 0 && self.refreshes.is_empty();
        if idle {
            self.mode();
        }
        idle
    }

    /// The queue that is served; none while an all-bank refresh waits.
    #[inline(always)]
    pub(super) fn served(&mut self) -> Option<usize> {
        if self.refresh_waits() { None } else { Some(self.mode()) }
    }

    /// When the bank of an access is ready for it.
    pub(super) fn access_ready(&self, access: &Pick) -> Tick {
        self.times.ready(if access.command == Command::Wr { WR } else { RD }, usize::from(access.bank))
    }

    /// All banks of a bank's pseudo-channel.
    pub(super) fn pseudo_channel(&self, bank: usize) -> S {
        let each = (self.organisation.nodes(Level::Bank) / self.organisation.pseudo_channels) as usize;
        let begin = bank / each * each;
        S::range(begin..begin + each)
    }
}

/// The command of an access, by queue.
const COLUMN: [Command; 2] = [Command::Rd, Command::Wr];
