//! Another memory controller: a command queue for each bank, served in turn.
//!
//! Its mechanisms are those of DRAMsim3 with one rank, as published: transactions wait in a read queue and a write buffer
//! and move, one per tick, into the queue of their bank. The banks take turns; a bank offers the first command of its
//! queue that is ready. Its row stays open while requests for it wait, up to a number of hits. Writes are
//! acknowledged when they are offered. When a refresh is due nothing else is issued.

use std::collections::VecDeque;

use super::Tick;
use super::bank::{BankState, Banks};
use super::bank_set::{BankSet, CAPACITY};
use super::config::DramError;
use super::request::{Access, Completion, Observer, Offered, Request, Target};
use super::rules::{CommandBus, Place, RuleTable};
use super::times::{self, Times};
use super::wheel::SetWheel;
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
    fn is_at(&self, bank: usize, other: &Request) -> bool {
        let mine = &self.request;
        self.bank == bank && mine.address.row == other.address.row && mine.column == other.column
    }
}

/// State of one bank's queue.
#[derive(Clone, Debug, Default)]
struct Lane {
    commands: VecDeque<Waiting>,
    /// Of these, reads and writes of the open row.
    row_hits: [u32; 2],
    /// Accesses to the open row.
    hits: u32,
}

/// Buckets of [`Granules`].
const BUCKETS: usize = 4_096;

/// State: how many granules with requests that wait fall into each bucket. A bucket without any needs no search.
#[derive(Clone, Debug)]
struct Granules(Box<[u32; BUCKETS]>);

impl Granules {
    #[inline]
    fn bucket(&mut self, bank: usize, request: &Request) -> &mut u32 {
        let mixed = request.address.row.wrapping_mul(0x9E37_79B1)
            ^ request.column.wrapping_mul(0x85EB_CA6B)
            ^ (bank as u32).wrapping_mul(0xC2B2_AE35);
        &mut self.0[(mixed >> 20) as usize % BUCKETS]
    }
}

type Set = u128;

/// One channel with a command queue for each bank. The first tick is 0.
#[derive(Clone, Debug)]
pub struct BankQueueChannel {
    // Configuration.
    config: BankQueueConfig,
    read_latency: Tick,
    refresh_interval: Tick,
    rank: Place,
    // State.
    times: Times<Set>,
    banks: Banks,
    lanes: Vec<Lane>,
    /// Lanes in which a command may be ready; of the others that have commands the wheel knows when.
    due: Set,
    wheel: SetWheel<Set>,
    /// By command, numbered as in [`times`], the lanes that could use it.
    wants: [Set; times::COMMANDS],
    /// Commands in all lanes.
    queued: usize,
    /// Transactions by kind of access, and how many of the first have no place in their bank's queue, but for those of
    /// banks that have got a place since.
    transactions: [VecDeque<Waiting>; 2],
    stuck: [usize; 2],
    unstuck: [Set; 2],
    /// Granules with a read, and with a write, that waits.
    granules: [Granules; 2],
    /// Reads of a granule with an earlier one that waits: both are answered by one command.
    followers: Vec<Waiting>,
    /// Reads that are not answered.
    reads: usize,
    /// Writes that still go before reads.
    draining: usize,
    /// The bank that was served last.
    turn: usize,
    refreshing: bool,
    next_refresh: Tick,
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
        figure("the number of banks", banks, CAPACITY as u64, "1 to 128")?;
        figure("the number of rows", organisation.rows.into(), 1 << 31, "1 to 2^31")?;
        figure("the number of columns", organisation.columns.into(), 1 << 31, "1 to 2^31")?;
        figure("the transaction queue", config.transactions as u64, 4_096, "1 to 4096")?;
        figure("the command queue", config.commands as u64, 4_096, "1 to 4096")?;
        figure("nREFI", config.timing.get(P::Refi).into(), u64::MAX, "at least 1")?;
        let bus = CommandBus { lengths: &[], two_buses: config.two_buses };
        let parameter = |parameter| config.timing.get(parameter);
        let rules = RuleTable::new(organisation, RULES, COMMANDS, bus, parameter);
        let banks = organisation.nodes(Level::Bank);
        let granules = || Granules(Box::new([0; BUCKETS]));
        let refresh_interval = config.timing.get(P::Refi).into();
        Ok(Self {
            config: config.clone(),
            read_latency: READ_LATENCY.cycles(parameter).into(),
            refresh_interval,
            rank: rules.node(Level::Rank, 0),
            times: Times::new(rules),
            banks: Banks::new(organisation),
            lanes: vec![Lane::default(); banks as usize],
            due: 0,
            wheel: SetWheel::new(),
            wants: [0; times::COMMANDS],
            queued: 0,
            transactions: [VecDeque::new(), VecDeque::new()],
            stuck: [0; 2],
            unstuck: [0; 2],
            granules: [granules(), granules()],
            followers: Vec::new(),
            reads: 0,
            draining: 0,
            turn: 0,
            refreshing: false,
            next_refresh: refresh_interval,
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
        if self.transactions[request.access as usize].len() >= self.config.transactions {
            self.refused = Some(request.access);
            return Ok(Offered::Refused);
        }
        self.refused = None;
        let waiting = Waiting { request: *request, arrived, bank };
        let written = self.waits(Access::Write, bank, request);
        let at_once = Completion { request: *request, arrived, done: arrived + 1 };
        match request.access {
            Access::Read if written => {
                observer.completed(&at_once);
                return Ok(Offered::Forwarded);
            }
            Access::Read => {
                self.reads += 1;
                if self.waits(Access::Read, bank, request) {
                    self.followers.push(waiting);
                    return Ok(Offered::Coalesced);
                }
            }
            Access::Write => {
                observer.completed(&at_once);
                if written {
                    return Ok(Offered::Coalesced);
                }
            }
        }
        *self.granules[request.access as usize].bucket(bank, request) += 1;
        self.transactions[request.access as usize].push_back(waiting);
        Ok(Offered::Queued)
    }

    /// Whether an access of this kind to the same granule waits.
    #[inline]
    fn waits(&mut self, access: Access, bank: usize, request: &Request) -> bool {
        *self.granules[access as usize].bucket(bank, request) > 0 && self.finds(access, bank, request)
    }

    #[inline(never)]
    fn finds(&self, access: Access, bank: usize, request: &Request) -> bool {
        let waiting = self.transactions[access as usize].iter().chain(&self.lanes[bank].commands);
        waiting.into_iter().any(|waiting| waiting.request.access == access && waiting.is_at(bank, request))
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
        while self.reads > 0 {
            self.step(Tick::MAX, observer);
        }
    }

    /// Runs the next tick in which something can happen, or goes to `limit`.
    #[inline]
    fn step(&mut self, limit: Tick, observer: &mut impl Observer) {
        let tick = self.now;
        if tick >= self.next_refresh {
            self.refreshing = true;
            self.next_refresh += self.refresh_interval;
        }
        self.due |= self.wheel.wake(tick);
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
        } else {
            wake = wake.min(self.wheel.next());
        }
        busy |= self.transfer();
        self.now = if busy { tick + 1 } else { wake.max(tick + 1).min(self.next_refresh).min(limit) };
    }

    /// A refresh is due: precharges whatever can be, then refreshes. Says whether something was issued, and when
    /// something can be.
    fn refresh(&mut self, tick: Tick, observer: &mut impl Observer) -> (bool, Tick) {
        let mut wake = Tick::MAX;
        for bank in 0..self.lanes.len() {
            if self.banks.state(bank) == BankState::Closed {
                continue;
            }
            let ready = self.times.ready(times::PRE, bank);
            if ready <= tick {
                self.times.issue(times::PRE, bank, tick);
                observer.issued(tick, Pre, Target::Refresh(self.times.place(bank)));
                self.close(bank);
                return (true, tick);
            }
            wake = wake.min(ready);
        }
        if !self.banks.all_closed(&self.rank) {
            return (false, wake);
        }
        let ready = self.times.ready_for_other(RefAb, &self.rank);
        if ready > tick {
            return (false, ready);
        }
        let rank = self.rank;
        self.times.issue_at(RefAb, &rank, tick);
        observer.issued(tick, RefAb, Target::Refresh(&self.rank));
        self.refreshing = false;
        (true, tick)
    }

    #[inline]
    fn close(&mut self, bank: usize) {
        self.banks.close(bank);
        let lane = &mut self.lanes[bank];
        (lane.hits, lane.row_hits) = (0, [0; 2]);
        self.changed(bank);
    }

    /// Notes what a lane could use after it has changed.
    #[inline]
    fn changed(&mut self, bank: usize) {
        let lane = &self.lanes[bank];
        let mut wants = [false; times::COMMANDS];
        if let Some(head) = lane.commands.front() {
            if let Some(row) = self.banks.open_row(bank) {
                let hits = lane.row_hits;
                wants[times::RD] = hits[0] > 0;
                wants[times::WR] = hits[1] > 0;
                wants[times::PRE] =
                    head.request.address.row != row && (hits == [0; 2] || lane.hits >= self.config.most_hits);
            } else {
                wants[times::ACT] = true;
            }
        }
        let bank = Set::of(bank);
        for (lanes, wanted) in self.wants.iter_mut().zip(wants) {
            *lanes = if wanted { *lanes | bank } else { *lanes & !bank };
        }
        self.due |= bank;
    }

    /// The next bank in turn that has a command that is ready. Otherwise lowers `wake` to when one may be, as far as the
    /// wheel does not say it.
    #[inline]
    fn turn(&mut self, tick: Tick, wake: &mut Tick) -> Option<(usize, usize, Command)> {
        let mut banks = Set::EMPTY;
        for command in 0..times::COMMANDS {
            let wanted = self.due & self.wants[command];
            if wanted.is_empty() {
                continue;
            }
            let free = self.times.channel_ready(command);
            if free > tick {
                *wake = free.min(*wake);
            } else {
                banks |= wanted;
            }
        }
        if banks.is_empty() {
            return None;
        }
        // Those after the last one first, then from the beginning.
        let begun = Set::MAX.unbounded_shl(self.turn as u32 + 1);
        for mut banks in [banks & begun, banks & !begun] {
            while !banks.is_empty() {
                let bank = banks.first();
                match self.first_ready(bank, tick) {
                    Ok((place, command)) => {
                        self.turn = bank;
                        return Some((bank, place, command));
                    }
                    Err(next) => {
                        self.due.remove(bank);
                        if next < Tick::MAX {
                            self.wheel.insert(bank, next);
                        }
                    }
                }
                banks = banks.without_first();
            }
        }
        None
    }

    /// The first command of a bank's queue that is ready, or when one will be.
    #[inline]
    fn first_ready(&self, bank: usize, tick: Tick) -> Result<(usize, Command), Tick> {
        let wanted = |command: usize| {
            if self.wants[command].contains(bank) { self.times.ready(command, bank) } else { Tick::MAX }
        };
        let close = wanted(times::PRE).min(wanted(times::ACT));
        if close <= tick {
            return Ok((0, if self.wants[times::ACT].contains(bank) { Act } else { Pre }));
        }
        let access = [wanted(times::RD), wanted(times::WR)];
        let Some(row) = self.banks.open_row(bank).filter(|_| access[0].min(access[1]) <= tick) else {
            return Err(close.min(access[0]).min(access[1]));
        };
        let commands = &self.lanes[bank].commands;
        for (place, waiting) in commands.iter().enumerate() {
            let kind = waiting.request.access;
            if waiting.request.address.row != row || access[kind as usize] > tick {
                continue;
            }
            // A write stays behind an earlier read of the same granule.
            let after_read = kind == Access::Write
                && access[0] < Tick::MAX
                && commands
                    .iter()
                    .take(place)
                    .any(|earlier| earlier.request.access == Access::Read && earlier.is_at(bank, &waiting.request));
            if !after_read {
                return Ok((place, [Rd, Wr][kind as usize]));
            }
        }
        // All writes that could go wait for reads.
        Err(close.min(access[0]).max(tick + 1))
    }

    #[inline]
    fn issue(&mut self, bank: usize, place: usize, command: Command, tick: Tick, observer: &mut impl Observer) {
        let lane = &mut self.lanes[bank];
        let Some(waiting) = lane.commands.get(place) else { return };
        let request = waiting.request;
        observer.issued(tick, command, Target::Request(&request));
        match command {
            Act => {
                let row = request.address.row;
                self.times.issue(times::ACT, bank, tick);
                self.banks.open(bank, row);
                lane.row_hits = [0; 2];
                for waiting in lane.commands.iter().filter(|waiting| waiting.request.address.row == row) {
                    lane.row_hits[waiting.request.access as usize] += 1;
                }
                self.changed(bank);
            }
            Pre => {
                self.times.issue(times::PRE, bank, tick);
                self.close(bank);
            }
            _ => {
                let (arrived, access) = (waiting.arrived, request.access as usize);
                if lane.commands.len() >= self.config.commands {
                    self.unstuck[0].insert(bank);
                    self.unstuck[1].insert(bank);
                }
                if place == 0 {
                    lane.commands.pop_front();
                } else {
                    lane.commands.remove(place);
                }
                lane.hits += 1;
                lane.row_hits[access] -= 1;
                self.queued -= 1;
                *self.granules[access].bucket(bank, &request) -= 1;
                self.times.issue(times::RD + access, bank, tick);
                self.changed(bank);
                if command == Rd {
                    let done = tick + self.read_latency;
                    self.reads -= 1;
                    observer.completed(&Completion { request, arrived, done });
                    if !self.followers.is_empty() {
                        self.answer_followers(bank, &request, done, observer);
                    }
                }
            }
        }
    }

    /// Answers the other reads of a granule.
    fn answer_followers(&mut self, bank: usize, request: &Request, done: Tick, observer: &mut impl Observer) {
        let Self { followers, reads, .. } = self;
        followers.retain(|read| {
            let answered = read.is_at(bank, request);
            if answered {
                *reads -= 1;
                observer.completed(&Completion { request: read.request, arrived: read.arrived, done });
            }
            !answered
        });
    }

    /// The first transaction for whose bank there is a place.
    #[inline]
    fn first_with_place(&mut self, queue: usize) -> Option<usize> {
        let (transactions, stuck) = (&self.transactions[queue], &mut self.stuck[queue]);
        let full = |waiting: &Waiting| self.lanes[waiting.bank].commands.len() >= self.config.commands;
        if !self.unstuck[queue].is_empty() {
            let unstuck = transactions.iter().take(*stuck).position(|waiting| !full(waiting));
            if unstuck.is_some() {
                return unstuck;
            }
            self.unstuck[queue] = Set::EMPTY;
        }
        while transactions.get(*stuck).is_some_and(full) {
            *stuck += 1;
        }
        (*stuck < transactions.len()).then_some(*stuck)
    }

    /// Moves one transaction into its bank's queue.
    #[inline]
    fn transfer(&mut self) -> bool {
        let writes = self.transactions[1].len();
        if self.draining == 0
            && (writes >= self.config.transactions || (writes > self.config.idle_writes && self.queued == 0))
        {
            self.draining = writes;
        }
        let queue = usize::from(self.draining > 0);
        let Some(place) = self.first_with_place(queue) else { return false };
        let waiting = self.transactions[queue][place];
        let (bank, request) = (waiting.bank, &waiting.request);
        if self.draining > 0 {
            // A read of the same granule goes first.
            if self.waits(Access::Read, bank, request) {
                self.draining = 0;
                return false;
            }
            self.draining -= 1;
        }
        if place == 0 {
            self.transactions[queue].pop_front();
        } else {
            self.transactions[queue].remove(place);
        }
        if place < self.stuck[queue] {
            self.stuck[queue] -= 1;
        }
        let lane = &mut self.lanes[bank];
        lane.row_hits[request.access as usize] += u32::from(self.banks.is_open(bank, request.address.row));
        lane.commands.push_back(waiting);
        self.queued += 1;
        self.changed(bank);
        self.freed |= self.refused == Some(request.access);
        true
    }
}
