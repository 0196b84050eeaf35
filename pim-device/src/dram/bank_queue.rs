//! Another memory controller: a command queue for each bank, served in turn.
//!
//! Its mechanisms are those of DRAMsim3 with one rank, as published: transactions wait in a read queue and a write buffer
//! and move, one per tick, into the queue of their bank. The banks take turns; a bank offers the first command of its
//! queue that is ready. Its row stays open while requests for it wait, up to a number of hits. Writes are
//! acknowledged when they are offered. When a refresh is due nothing else is issued.

#![allow(clippy::inline_always, reason = "asked for each kind of command at every look")]

use super::Tick;
use super::bank::{BankState, Banks};
use super::bank_set::{BankSet, CAPACITY};
use super::config::DramError;
use super::queue::{self, Entries, Entry, Key, NONE, Queue, bucket};
use super::request::{Access, Completion, Observer, Offered, Request, Target};
use super::rules::{CommandBus, Place, RuleTable};
use super::scheduler::Until;
use super::times::{ACT, COMMANDS, Offset, PRE, RD, Times, WR};
use super::wheel::Wheel;
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

const SENT: &[Command] = &[Act, Pre, Rd, Wr, RefAb];
const READ_LATENCY: Latency = sum(&[P::Cl, P::Bl]);

/// Refresh intervals without anything of what is waited for, after which it never comes.
const PATIENCE: Tick = 32;

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

/// A read that is answered with another one.
#[derive(Clone, Copy, Debug)]
struct Follower {
    request: Request,
    arrived: Tick,
    bank: usize,
}

/// Whether two requests of a bank are for the same granule.
#[inline]
fn is_same(one: &Request, other: &Request) -> bool {
    one.address.row == other.address.row && one.column == other.column
}

/// State of one bank's queue.
#[derive(Clone, Copy, Debug)]
struct Lane {
    first: Key,
    last: Key,
    len: usize,
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
    fn bucket(bank: usize, request: &Request) -> usize {
        let mixed = request.address.row.wrapping_mul(0x9E37_79B1)
            ^ request.column.wrapping_mul(0x85EB_CA6B)
            ^ (bank as u32).wrapping_mul(0xC2B2_AE35);
        (mixed >> 20) as usize % BUCKETS
    }
}

/// What a bank's queue would send.
#[derive(Clone, Copy, Debug)]
struct Choice {
    bank: usize,
    /// The request, and the one before it in the queue.
    key: Key,
    before: Key,
    command: Command,
}

/// A channel whose banks go into one set.
#[derive(Clone, Debug)]
struct Inner<S, T> {
    // Configuration.
    config: BankQueueConfig,
    read_latency: Tick,
    refresh_interval: Tick,
    rank: Place,
    /// The banks whose turn comes after each bank's, up to the last.
    later: Vec<S>,
    // State.
    times: Times<S, T>,
    /// By command the banks that were ready, but for the channel, when last looked at. A bank is here or in the wheel.
    due: [S; COMMANDS],
    wheel: Wheel<S, COMMANDS>,
    banks: Banks,
    entries: Entries,
    lanes: Vec<Lane>,
    /// How many requests in all lanes there are for the rows of each bucket: where there is one nobody has to search.
    rows: Box<[u32; queue::BUCKETS]>,
    /// Banks whose queues are full.
    full: S,
    /// By command the banks that could use it.
    wants: [S; COMMANDS],
    /// A tick before which no bank has a command that is ready, unless one is woken or its queue changes.
    from: Tick,
    /// Commands in all lanes.
    queued: usize,
    /// Transactions by kind of access.
    transactions: [Queue<S>; 2],
    /// Granules with a read, and with a write, that waits.
    granules: [Granules; 2],
    /// Reads of a granule with an earlier one that waits: both are answered by one command.
    followers: Vec<Follower>,
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
            Size::Long(Box::new(Inner::new(config, rules)))
        } else if banks > 64 {
            Size::UpTo128(Box::new(Inner::new(config, rules)))
        } else {
            Size::UpTo64(Box::new(Inner::new(config, rules)))
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

impl<S: BankSet, T: Offset> Inner<S, T> {
    #[cold]
    fn stuck(&self) -> DramError {
        let waiting = self.transactions.iter().map(|queue| u64::from(queue.len)).sum::<u64>();
        DramError::Stuck { tick: self.now, requests: waiting + self.queued as u64 }
    }

    fn new(config: &BankQueueConfig, rules: RuleTable) -> Self {
        let organisation = &config.organisation;
        let banks = organisation.nodes(Level::Bank) as usize;
        let granules = || Granules(Box::new([0; BUCKETS]));
        let refresh_interval = config.timing.get(P::Refi).into();
        let transactions = || Queue::new(config.transactions as u32);
        Self {
            config: config.clone(),
            read_latency: READ_LATENCY.cycles(|parameter| config.timing.get(parameter)).into(),
            refresh_interval,
            rank: rules.node(Level::Rank, 0),
            later: (0..banks).map(|bank| S::range(bank + 1..banks)).collect(),
            times: Times::new(rules, |_, _| 0),
            due: [S::range(0..banks); COMMANDS],
            wheel: Wheel::new(),
            banks: Banks::new(organisation),
            entries: Entries::new(2 * config.transactions + banks * config.commands),
            lanes: vec![Lane { first: NONE, last: NONE, len: 0, row_hits: [0; 2], hits: 0 }; banks],
            rows: Box::new([0; queue::BUCKETS]),
            full: S::EMPTY,
            wants: [S::EMPTY; COMMANDS],
            from: 0,
            queued: 0,
            transactions: [transactions(), transactions()],
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
        }
    }

    #[inline(always)]
    fn offer(&mut self, request: &Request, observer: &mut impl Observer) -> Result<Offered, DramError> {
        let organisation = &self.config.organisation;
        let (address, arrived) = (request.address, self.now);
        // One rank of one pseudo-channel: nothing but a bank group and a bank.
        let outside = u32::from(address.bank_group) >= organisation.bank_groups
            || u32::from(address.bank) >= organisation.banks
            || address.row >= organisation.rows
            || request.column >= organisation.columns
            || address.rank | address.pseudo_channel > 0;
        if outside {
            return Err(DramError::outside(request, organisation));
        }
        let queue = &self.transactions[request.access as usize];
        if queue.len >= queue.capacity {
            self.refused = Some(request.access);
            return Ok(Offered::Refused);
        }
        self.refused = None;
        let bank = usize::from(address.bank_group) * organisation.banks as usize + usize::from(address.bank);
        let bucket = Granules::bucket(bank, request);
        let written = self.waits(Access::Write, bucket, bank, request);
        let at_once = Completion { request: *request, arrived, done: arrived + 1 };
        match request.access {
            Access::Read if written => {
                observer.completed(&at_once);
                return Ok(Offered::Forwarded);
            }
            Access::Read => {
                self.reads += 1;
                if self.waits(Access::Read, bucket, bank, request) {
                    self.followers.push(Follower { request: *request, arrived, bank });
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
        self.granules[request.access as usize].0[bucket] += 1;
        let key = self.entries.add(request, bank, arrived);
        self.transactions[request.access as usize].push(&mut self.entries, key, bank, address.row, None);
        Ok(Offered::Queued)
    }

    /// Whether an access of this kind to the same granule waits.
    #[inline]
    fn waits(&self, access: Access, bucket: usize, bank: usize, request: &Request) -> bool {
        self.granules[access as usize].0[bucket] > 0 && self.finds(access, bank, request)
    }

    #[inline(never)]
    fn finds(&self, access: Access, bank: usize, request: &Request) -> bool {
        self.transactions[access as usize].holds(&self.entries, bank, request.address.row, request.column)
            || self.finds_before(NONE, access, bank, request)
    }

    /// Whether one of this kind to the same granule waits in the bank's queue, before `key`.
    fn finds_before(&self, key: Key, access: Access, bank: usize, request: &Request) -> bool {
        let mut earlier = self.lanes[bank].first;
        while earlier != key {
            let entry = self.entries.get(earlier);
            if entry.request.access == access && is_same(&entry.request, request) {
                return true;
            }
            earlier = entry.next;
        }
        false
    }

    /// Runs the ticks before `limit`, or until what is waited for has come.
    #[inline(always)]
    fn run(&mut self, limit: Tick, until: Until, observer: &mut impl Observer) -> Result<(), DramError> {
        self.freed = false;
        let patience = PATIENCE * self.refresh_interval;
        let (mut left, mut end) = (self.reads, self.now.saturating_add(patience));
        loop {
            let over = match until {
                Until::Limit => self.now >= limit,
                Until::Place => self.freed,
                Until::Done => self.reads == 0,
            };
            if over {
                return Ok(());
            }
            self.step(limit, observer);
            if until == Until::Done && self.reads != left {
                (left, end) = (self.reads, self.now.saturating_add(patience));
            } else if self.now > end && until != Until::Limit {
                return Err(self.stuck());
            }
        }
    }

    /// Runs the next tick in which something can happen, or goes to `limit`.
    #[inline(always)]
    fn step(&mut self, limit: Tick, observer: &mut impl Observer) {
        let tick = self.now;
        if tick >= self.next_refresh {
            self.refreshing = true;
            self.next_refresh += self.refresh_interval;
        }
        if tick > self.times.horizon() {
            self.times.rebase(tick);
        }
        if self.wheel.next() <= tick {
            let woken = self.wheel.wake(tick);
            self.wake(ACT, woken[ACT], tick);
            self.wake(PRE, woken[PRE], tick);
            self.wake(RD, woken[RD], tick);
            self.wake(WR, woken[WR], tick);
        }
        let mut busy = false;
        let mut wake = Tick::MAX;
        if self.refreshing {
            (busy, wake) = self.refresh(tick, observer);
        } else if self.from <= tick
            && let Some(choice) = self.turn(tick)
        {
            busy = true;
            self.issue(&choice, tick, observer);
            if self.config.two_buses && self.from <= tick {
                self.second(&choice, tick, observer);
            }
        } else {
            wake = self.from.min(self.wheel.next());
        }
        busy |= self.transfer(tick);
        self.now = if busy { tick + 1 } else { wake.max(tick + 1).min(self.next_refresh).min(limit) };
    }

    /// The second command of a tick, where it goes on the other bus.
    #[inline(never)]
    fn second(&mut self, first: &Choice, tick: Tick, observer: &mut impl Observer) {
        if let Some(second) = self.turn(tick) {
            if second.command.bus() == first.command.bus() {
                self.from = tick;
            } else {
                self.issue(&second, tick, observer);
            }
        }
    }

    /// A refresh is due: precharges whatever can be, then refreshes. Says whether something was issued, and when
    /// something can be.
    fn refresh(&mut self, tick: Tick, observer: &mut impl Observer) -> (bool, Tick) {
        let mut wake = Tick::MAX;
        for bank in 0..self.lanes.len() {
            if self.banks.state(bank) == BankState::Closed {
                continue;
            }
            let ready = self.times.ready(PRE, bank);
            if ready <= tick {
                self.times.issue(PRE, bank, tick);
                observer.issued(tick, Pre, Target::Refresh(self.times.place(bank)));
                self.close(bank, tick);
                return (true, tick);
            }
            wake = wake.min(ready);
        }
        if !self.banks.all_closed(&self.rank) {
            return (false, wake);
        }
        let rank = self.rank;
        let ready = self.times.ready_for_other(RefAb, &rank);
        if ready > tick {
            return (false, ready);
        }
        self.times.issue_at(RefAb, &rank, tick);
        observer.issued(tick, RefAb, Target::Refresh(&self.rank));
        self.refreshing = false;
        self.from = tick;
        (true, tick)
    }

    #[inline(always)]
    fn close(&mut self, bank: usize, tick: Tick) {
        self.banks.close(bank);
        let lane = &mut self.lanes[bank];
        (lane.hits, lane.row_hits) = (0, [0; 2]);
        let waits = lane.len > 0;
        for command in [RD, WR, PRE] {
            self.wants[command].remove(bank);
        }
        if waits {
            self.want(ACT, bank, tick);
        }
    }

    /// Notes what a lane of an open bank could use after it has changed.
    #[inline(always)]
    fn changed(&mut self, bank: usize, tick: Tick) {
        let lane = &self.lanes[bank];
        let hits = lane.row_hits;
        let close = lane.len > 0
            && (hits == [0; 2] || lane.hits >= self.config.most_hits)
            && !self.banks.is_open(bank, self.entries.get(lane.first).request.address.row);
        self.want_if(hits[0] > 0, RD, bank, tick);
        self.want_if(hits[1] > 0, WR, bank, tick);
        self.want_if(close, PRE, bank, tick);
    }

    /// Notes whether a lane could use a command.
    #[inline(always)]
    fn want_if(&mut self, wanted: bool, command: usize, bank: usize, tick: Tick) {
        if wanted {
            self.want(command, bank, tick);
        } else {
            self.wants[command].remove(bank);
        }
    }

    /// Banks are due for a command.
    #[inline(always)]
    fn wake(&mut self, command: usize, banks: S, tick: Tick) {
        self.due[command] |= banks;
        if !(banks & self.wants[command]).is_empty() {
            self.may_go(command, tick);
        }
    }

    /// When the channel allows a command, if some bank wants it.
    #[inline(always)]
    fn wanted_from(&self, command: usize) -> Tick {
        if self.wants[command].is_empty() { Tick::MAX } else { self.times.floor(command) }
    }

    /// Notes that a lane could use a command.
    #[inline(always)]
    fn want(&mut self, command: usize, bank: usize, tick: Tick) {
        if !self.wants[command].contains(bank) {
            self.wants[command].insert(bank);
            if self.due[command].contains(bank) && self.is_ready(command, bank, tick) {
                self.may_go(command, tick);
            }
        }
    }

    /// A bank may go on with a command from `tick` on, when the channel allows it.
    #[inline(always)]
    fn may_go(&mut self, command: usize, tick: Tick) {
        self.from = self.from.min(self.times.floor(command).max(tick));
    }

    /// Whether a bank is ready for a command at `tick`, as far as the channel allows it. Where it is not it is due no
    /// longer, but in the wheel.
    #[inline(always)]
    fn is_ready(&mut self, command: usize, bank: usize, tick: Tick) -> bool {
        let ready = self.times.bank_ready(command, bank);
        if ready > tick {
            self.due[command].remove(bank);
            self.wheel.insert(command, bank, ready, tick);
        }
        ready <= tick
    }

    /// The banks that could use a command and are allowed to by the channel. Lowers `next` to when others may be.
    #[inline(always)]
    fn open(&self, command: usize, now: T, next: &mut T) -> S {
        let wanted = self.due[command] & self.wants[command];
        if !wanted.is_empty() {
            let free = self.times.of_channel(command);
            if free > now {
                *next = free.min(*next);
                return S::EMPTY;
            }
        }
        wanted
    }

    /// The next bank in turn that has a command that is ready.
    #[inline(always)]
    fn turn(&mut self, tick: Tick) -> Option<Choice> {
        let (now, mut next) = (self.times.offset(tick), T::NEVER);
        let open = [
            self.open(ACT, now, &mut next),
            self.open(PRE, now, &mut next),
            self.open(RD, now, &mut next),
            self.open(WR, now, &mut next),
        ];
        let mut banks = open[ACT] | open[PRE] | open[RD] | open[WR];
        while !banks.is_empty() {
            // Those after the last one first, then from the beginning.
            let later = banks & self.later[self.turn];
            let bank = if later.is_empty() { banks.first() } else { later.first() };
            if let Some(choice) = self.first_ready(bank, &open, tick) {
                self.turn = bank;
                banks.remove(bank);
                // Where others are left, one of them may go in the next tick.
                self.from = if banks.is_empty() { self.times.tick(next) } else { tick };
                return Some(choice);
            }
            banks.remove(bank);
        }
        self.from = self.times.tick(next);
        None
    }

    /// The first command of a bank's queue that is ready, of those that the channel allows these banks.
    #[inline(always)]
    fn first_ready(&mut self, bank: usize, open: &[S; COMMANDS], tick: Tick) -> Option<Choice> {
        let first = self.lanes[bank].first;
        if open[ACT].contains(bank) && self.is_ready(ACT, bank, tick) {
            return Some(Choice { bank, key: first, before: NONE, command: Act });
        }
        if open[PRE].contains(bank) && self.is_ready(PRE, bank, tick) {
            return Some(Choice { bank, key: first, before: NONE, command: Pre });
        }
        let access = [
            open[RD].contains(bank) && self.is_ready(RD, bank, tick),
            open[WR].contains(bank) && self.is_ready(WR, bank, tick),
        ];
        if !(access[0] | access[1]) {
            return None;
        }
        let (mut key, mut before) = (first, NONE);
        while key != NONE {
            let entry = self.entries.get(key);
            let (request, kind) = (&entry.request, entry.request.access);
            if access[kind as usize] && self.banks.is_open(bank, request.address.row) {
                // A write stays behind an earlier read of the same granule.
                let after_read = kind == Access::Write
                    && self.wants[RD].contains(bank)
                    && self.finds_before(key, Access::Read, bank, request);
                if !after_read {
                    return Some(Choice { bank, key, before, command: [Rd, Wr][kind as usize] });
                }
            }
            (before, key) = (key, entry.next);
        }
        // All writes that could go wait for reads.
        None
    }

    #[inline(always)]
    fn issue(&mut self, choice: &Choice, tick: Tick, observer: &mut impl Observer) {
        let bank = choice.bank;
        let entry = self.entries.get(choice.key);
        observer.issued(tick, choice.command, Target::Request(&entry.request));
        match choice.command {
            Act => {
                let row = entry.request.address.row;
                self.times.issue(ACT, bank, tick);
                self.banks.open(bank, row);
                let mut row_hits = [0; 2];
                if self.rows[bucket(bank, row)] == 1 {
                    // The first, and no other.
                    row_hits[entry.request.access as usize] = 1;
                } else {
                    let mut key = self.lanes[bank].first;
                    while key != NONE {
                        let Entry { request, next, .. } = self.entries.get(key);
                        row_hits[request.access as usize] += u32::from(request.address.row == row);
                        key = *next;
                    }
                }
                self.lanes[bank].row_hits = row_hits;
                self.wants[ACT].remove(bank);
                self.changed(bank, tick);
            }
            Pre => {
                self.times.issue(PRE, bank, tick);
                self.close(bank, tick);
            }
            _ => self.access(choice, tick, observer),
        }
        if self.from > tick + 1 {
            return;
        }
        // Nothing goes before the channel allows one of the commands that are wanted.
        let rows = self.wanted_from(ACT).min(self.wanted_from(PRE));
        let columns = self.wanted_from(RD).min(self.wanted_from(WR));
        self.from = self.from.max(rows.min(columns));
    }

    /// Issues an access and ends it.
    #[inline(always)]
    fn access(&mut self, choice: &Choice, tick: Tick, observer: &mut impl Observer) {
        let Choice { bank, key, before, .. } = *choice;
        let Entry { request, arrived, next, .. } = *self.entries.get(key);
        let (request, access) = (&request, request.access as usize);
        if before != NONE {
            self.entries.link(before, next);
        }
        let lane = &mut self.lanes[bank];
        if before == NONE {
            lane.first = next;
        }
        if next == NONE {
            lane.last = before;
        }
        lane.len -= 1;
        lane.hits += 1;
        lane.row_hits[access] -= 1;
        self.full.remove(bank);
        self.queued -= 1;
        self.rows[bucket(bank, request.address.row)] -= 1;
        self.granules[access].0[Granules::bucket(bank, request)] -= 1;
        self.entries.release(key);
        self.times.issue(RD + access, bank, tick);
        // The bank may have more that is ready.
        self.from = tick;
        self.changed(bank, tick);
        if access == Access::Read as usize {
            let done = tick + self.read_latency;
            self.reads -= 1;
            observer.completed(&Completion { request: *request, arrived, done });
            if !self.followers.is_empty() {
                self.answer_followers(bank, request, done, observer);
            }
        }
    }

    /// Answers the other reads of a granule.
    fn answer_followers(&mut self, bank: usize, request: &Request, done: Tick, observer: &mut impl Observer) {
        let Self { followers, reads, .. } = self;
        followers.retain(|read| {
            let answered = read.bank == bank && is_same(&read.request, request);
            if answered {
                *reads -= 1;
                observer.completed(&Completion { request: read.request, arrived: read.arrived, done });
            }
            !answered
        });
    }

    /// Moves one transaction into its bank's queue: the first for whose bank there is a place.
    #[inline(always)]
    fn transfer(&mut self, tick: Tick) -> bool {
        let writes = self.transactions[1].len as usize;
        if self.draining == 0
            && (writes >= self.config.transactions || (writes > self.config.idle_writes && self.queued == 0))
        {
            self.draining = writes;
        }
        let queue = &mut self.transactions[usize::from(self.draining > 0)];
        let key = queue::oldest(&queue.lanes.first, queue.waiting.without(self.full));
        if key == NONE {
            return false;
        }
        let request = self.entries.get(key).request;
        let bank = usize::from(self.entries.get(key).bank);
        if self.draining > 0 {
            // A read of the same granule goes first.
            if self.waits(Access::Read, Granules::bucket(bank, &request), bank, &request) {
                // It is decided anew in the next tick.
                self.draining = 0;
                return true;
            }
            self.draining -= 1;
        }
        self.transactions[request.access as usize].take_first(&mut self.entries, bank);
        self.entries.link(key, NONE);
        let lane = &mut self.lanes[bank];
        if lane.len == 0 {
            lane.first = key;
        } else {
            self.entries.link(lane.last, key);
        }
        lane.last = key;
        lane.len += 1;
        if lane.len >= self.config.commands {
            self.full.insert(bank);
        }
        let alone = lane.len == 1;
        self.queued += 1;
        self.rows[bucket(bank, request.address.row)] += 1;
        match self.banks.open_row(bank) {
            None => self.want(ACT, bank, tick),
            Some(row) if row == request.address.row => {
                lane.row_hits[request.access as usize] += 1;
                self.changed(bank, tick);
            }
            // Otherwise the first one says what is needed.
            Some(_) if alone => self.want(PRE, bank, tick),
            Some(_) => {}
        }
        self.freed |= self.refused == Some(request.access);
        true
    }
}
