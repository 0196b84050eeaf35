//! Another memory controller: a command queue for each bank, served in turn.
//!
//! Its mechanisms are those of DRAMsim3 with one rank, as published: transactions wait in a read queue and a write buffer
//! and move, one per tick, into the queue of their bank. The banks take turns; a bank offers the first command of its
//! queue that is ready. Its row stays open while requests for it wait, up to a number of hits. Writes are
//! acknowledged when they are offered. When a refresh is due nothing else is issued.

use std::collections::VecDeque;

use super::Tick;
use super::bank::{BankState, Banks};
use super::config::DramError;
use super::request::{Access, Completion, Observer, Offered, Request, Target};
use super::rules::{CommandBus, Place, RuleTable};
use super::state::TimingState;
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

const COMMANDS: &[Command] = &[Act, Pre, Rd, Wr, RefAb];
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

/// A request that waits.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    request: Request,
    arrived: Tick,
    bank: usize,
}

impl Waiting {
    fn is_at(&self, other: &Request) -> bool {
        let mine = &self.request;
        mine.address.row == other.address.row && mine.column == other.column
    }
}

/// State of one bank's queue.
#[derive(Clone, Debug, Default)]
struct Lane {
    commands: VecDeque<Waiting>,
    /// Reads that are not issued, in this queue or on their way to it; several of one granule are answered by one
    /// command.
    reads: Vec<Waiting>,
    /// Writes that are not issued.
    writes: Vec<Waiting>,
    hits: u32,
    /// No command is ready before this tick.
    wake: Tick,
}

/// One channel with a command queue for each bank. The first tick is 0.
#[derive(Clone, Debug)]
pub struct BankQueueChannel {
    config: BankQueueConfig,
    read_latency: Tick,
    refresh_interval: Tick,
    rank: Place,
    places: Vec<Place>,
    timing: TimingState,
    banks: Banks,
    lanes: Vec<Lane>,
    reads: VecDeque<Waiting>,
    writes: VecDeque<Waiting>,
    /// Writes that still go before reads.
    draining: usize,
    /// The bank that was served last.
    turn: usize,
    refreshing: bool,
    /// The tick that runs next.
    now: Tick,
    refused: Option<Access>,
    freed: bool,
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
        figure("the number of banks", banks, 1 << 12, "1 to 4096")?;
        figure("the number of rows", organisation.rows.into(), 1 << 31, "1 to 2^31")?;
        figure("the number of columns", organisation.columns.into(), 1 << 31, "1 to 2^31")?;
        figure("the transaction queue", config.transactions as u64, 4_096, "1 to 4096")?;
        figure("the command queue", config.commands as u64, 4_096, "1 to 4096")?;
        figure("nREFI", config.timing.get(P::Refi).into(), u64::MAX, "at least 1")?;
        let bus = CommandBus { lengths: &[], two_buses: config.two_buses };
        let parameter = |parameter| config.timing.get(parameter);
        let rules = RuleTable::new(organisation, RULES, COMMANDS, bus, parameter);
        let banks = organisation.nodes(Level::Bank);
        Ok(Self {
            config: config.clone(),
            read_latency: READ_LATENCY.cycles(parameter).into(),
            refresh_interval: config.timing.get(P::Refi).into(),
            rank: rules.node(Level::Rank, 0),
            places: (0..banks).map(|bank| rules.node(Level::Bank, bank)).collect(),
            timing: TimingState::new(rules),
            banks: Banks::new(organisation),
            lanes: vec![Lane::default(); banks as usize],
            reads: VecDeque::new(),
            writes: VecDeque::new(),
            draining: 0,
            turn: 0,
            refreshing: false,
            now: 0,
            refused: None,
            freed: false,
        })
    }

    /// The tick that runs next.
    pub const fn now(&self) -> Tick {
        self.now
    }

    /// Offers a request before the next tick. A write is done in the tick after.
    ///
    /// # Errors
    /// [`DramError::Address`] where the address is not in the channel.
    pub fn offer(&mut self, request: &Request, observer: &mut impl Observer) -> Result<Offered, DramError> {
        let organisation = &self.config.organisation;
        let (address, arrived) = (request.address, self.now);
        let bank = organisation.node(Level::Bank, address) as usize;
        let outside = u32::from(address.bank_group) >= organisation.bank_groups
            || u32::from(address.bank) >= organisation.banks
            || address.row >= organisation.rows
            || request.column >= organisation.columns
            || address.rank > 0
            || address.pseudo_channel > 0;
        if outside {
            return Err(DramError::outside(request, organisation));
        }
        let queue = match request.access {
            Access::Read => &mut self.reads,
            Access::Write => &mut self.writes,
        };
        if queue.len() >= self.config.transactions {
            self.refused = Some(request.access);
            return Ok(Offered::Refused);
        }
        self.refused = None;
        let waiting = Waiting { request: *request, arrived, bank };
        let lane = &mut self.lanes[bank];
        let written = lane.writes.iter().any(|write| write.is_at(request));
        let at_once = Completion { request: *request, arrived, done: arrived + 1 };
        Ok(match request.access {
            Access::Read if written => {
                observer.completed(&at_once);
                Offered::Forwarded
            }
            Access::Read => {
                let asked = lane.reads.iter().any(|read| read.is_at(request));
                lane.reads.push(waiting);
                if asked {
                    Offered::Coalesced
                } else {
                    queue.push_back(waiting);
                    Offered::Queued
                }
            }
            Access::Write => {
                observer.completed(&at_once);
                if written {
                    Offered::Coalesced
                } else {
                    lane.writes.push(waiting);
                    queue.push_back(waiting);
                    Offered::Queued
                }
            }
        })
    }

    /// Runs the ticks before `tick`.
    pub fn advance(&mut self, tick: Tick, observer: &mut impl Observer) {
        while self.now < tick {
            self.step(tick, observer);
        }
    }

    /// Runs until a place has become free in the queue that refused the last offer. Only to be called after a refusal.
    pub fn advance_to_place(&mut self, observer: &mut impl Observer) {
        self.freed = false;
        while !self.freed {
            self.step(Tick::MAX, observer);
        }
    }

    /// Runs until no read waits.
    pub fn drain_reads(&mut self, observer: &mut impl Observer) {
        while self.lanes.iter().any(|lane| !lane.reads.is_empty()) {
            self.step(Tick::MAX, observer);
        }
    }

    /// Runs the next tick in which something can happen, or goes to `limit`.
    fn step(&mut self, limit: Tick, observer: &mut impl Observer) {
        let tick = self.now;
        if tick > 0 && tick.is_multiple_of(self.refresh_interval) {
            self.refreshing = true;
        }
        let mut busy = false;
        let mut wake = Tick::MAX;
        if self.refreshing {
            (busy, wake) = self.refresh(tick, observer);
        } else if let Some((bank, place, command)) = self.turn(tick, &mut wake) {
            busy = true;
            self.issue(bank, place, command, tick, observer);
            if self.config.two_buses
                && let Some((bank, place, second)) = self.turn(tick, &mut wake)
                && second.bus() != command.bus()
            {
                self.issue(bank, place, second, tick, observer);
            }
        }
        busy |= self.transfer();
        self.now = if busy {
            tick + 1
        } else {
            let next_refresh = (tick / self.refresh_interval + 1) * self.refresh_interval;
            wake.max(tick + 1).min(next_refresh).min(limit)
        };
    }

    /// A refresh is due: precharges whatever can be, then refreshes. Says whether something was issued, and when
    /// something can be.
    fn refresh(&mut self, tick: Tick, observer: &mut impl Observer) -> (bool, Tick) {
        let mut wake = Tick::MAX;
        for (bank, place) in self.places.iter().enumerate() {
            if self.banks.state(bank) == BankState::Closed {
                continue;
            }
            let ready = self.timing.ready_at(Pre, place);
            if ready <= tick {
                self.timing.issue(Pre, place, tick);
                observer.issued(tick, Pre, Target::Refresh(place));
                self.banks.close(bank);
                self.lanes[bank].hits = 0;
                self.lanes[bank].wake = 0;
                return (true, tick);
            }
            wake = wake.min(ready);
        }
        if !self.banks.all_closed(&self.rank) {
            return (false, wake);
        }
        let ready = self.timing.ready_at(RefAb, &self.rank);
        if ready > tick {
            return (false, ready);
        }
        self.timing.issue(RefAb, &self.rank, tick);
        observer.issued(tick, RefAb, Target::Refresh(&self.rank));
        self.refreshing = false;
        (true, tick)
    }

    /// The next bank in turn that has a command that is ready. Lowers `wake` to when one can be.
    fn turn(&mut self, tick: Tick, wake: &mut Tick) -> Option<(usize, usize, Command)> {
        let banks = self.lanes.len();
        let last = self.turn;
        for step in 1..=banks {
            let bank = if last + step < banks { last + step } else { last + step - banks };
            if self.lanes[bank].wake <= tick {
                let (found, next) = self.first_ready(bank, tick);
                self.lanes[bank].wake = next;
                if let Some((place, command)) = found {
                    self.turn = bank;
                    return Some((bank, place, command));
                }
            }
            *wake = (*wake).min(self.lanes[bank].wake);
        }
        None
    }

    /// The first command of a bank's queue that is ready, and when one will be.
    fn first_ready(&self, bank: usize, tick: Tick) -> (Option<(usize, Command)>, Tick) {
        let lane = &self.lanes[bank];
        let Some(head) = lane.commands.front() else { return (None, Tick::MAX) };
        let ready = |command| self.timing.ready_at(command, &self.places[bank]);
        let BankState::Open(row) = self.banks.state(bank) else {
            let time = ready(Act);
            return if time <= tick { (Some((0, Act)), tick) } else { (None, time) };
        };
        let mut next = Tick::MAX;
        if head.request.address.row != row {
            let more = lane.commands.iter().any(|other| other.request.address.row == row);
            if !more || lane.hits >= self.config.most_hits {
                let time = ready(Pre);
                if time <= tick {
                    return (Some((0, Pre)), tick);
                }
                next = time;
            }
        }
        let times = [ready(Rd), ready(Wr)];
        for (place, waiting) in lane.commands.iter().enumerate() {
            if waiting.request.address.row != row {
                continue;
            }
            let access = waiting.request.access;
            // A write stays behind an earlier read of the same granule.
            let after_read = access == Access::Write
                && lane
                    .commands
                    .iter()
                    .take(place)
                    .any(|earlier| earlier.request.access == Access::Read && earlier.is_at(&waiting.request));
            if after_read {
                continue;
            }
            let time = times[access as usize];
            if time <= tick {
                return (Some((place, [Rd, Wr][access as usize])), tick);
            }
            next = next.min(time);
        }
        (None, next)
    }

    fn issue(&mut self, bank: usize, place: usize, command: Command, tick: Tick, observer: &mut impl Observer) {
        let lane = &mut self.lanes[bank];
        let Some(waiting) = lane.commands.get(place).copied() else { return };
        lane.wake = 0;
        self.timing.issue(command, &self.places[bank], tick);
        observer.issued(tick, command, Target::Request(&waiting.request));
        match command {
            Act => self.banks.open(bank, waiting.request.address.row),
            Pre => {
                self.banks.close(bank);
                lane.hits = 0;
            }
            Rd => {
                lane.hits += 1;
                lane.commands.remove(place);
                let done = tick + self.read_latency;
                lane.reads.retain(|read| {
                    let answered = read.is_at(&waiting.request);
                    if answered {
                        observer.completed(&Completion { request: read.request, arrived: read.arrived, done });
                    }
                    !answered
                });
            }
            _ => {
                lane.hits += 1;
                lane.commands.remove(place);
                lane.writes.retain(|write| !write.is_at(&waiting.request));
            }
        }
    }

    /// Moves one transaction into its bank's queue.
    fn transfer(&mut self) -> bool {
        if self.draining == 0 {
            let full = self.writes.len() >= self.config.transactions;
            let idle = || self.lanes.iter().all(|lane| lane.commands.is_empty());
            if full || (self.writes.len() > self.config.idle_writes && idle()) {
                self.draining = self.writes.len();
            }
        }
        let draining = self.draining > 0;
        let queue = if draining { &mut self.writes } else { &mut self.reads };
        let accepts = |waiting: &Waiting| self.lanes[waiting.bank].commands.len() < self.config.commands;
        let Some(place) = queue.iter().position(accepts) else { return false };
        let waiting = queue[place];
        let lane = &mut self.lanes[waiting.bank];
        if draining {
            // A read of the same granule goes first.
            if lane.reads.iter().any(|read| read.is_at(&waiting.request)) {
                self.draining = 0;
                return false;
            }
            self.draining -= 1;
        }
        queue.remove(place);
        lane.commands.push_back(waiting);
        lane.wake = 0;
        self.freed |= self.refused == Some(waiting.request.access);
        true
    }
}
