//! The controller of a channel whose banks go into one set.
//!
//! A run, its looks and its transfers are one function, and what each command does is another. With all in one a random request
//! took from 2 % less to 8 % more instructions (callgrind), as the compiler's registers fell out.

use super::lists::{Buckets, Counts, Entries};
use super::ready::Ready;
use super::{ACT, BankQueueConfig, COMMANDS, PRE, RD, READ_LATENCY, REF, WR};
use crate::command::Bus;
use crate::command::Command::{Act, Pre, Rd, RefAb, Wr};
use crate::dram::Tick;
use crate::dram::bank_set::{BankSet, CAPACITY};
use crate::dram::config::{Bounds, DramError};
use crate::dram::offset::Offset;
use crate::dram::queue::{Key, NONE, oldest};
use crate::dram::request::{Access, Completion, Observer, Offered, Request, Target};
use crate::dram::rules::{Place, RuleTable};
use crate::dram::scheduler::Until;
use crate::dram::wheel::Calendar;
use crate::organisation::Level;
use crate::timing::Parameter as P;

/// Refresh intervals without anything of what is waited for, after which it never comes.
const PATIENCE: Tick = 32;

/// Which transactions.
const READ: usize = 0;
const WRITE: usize = 1;
const NO_QUEUE: usize = 2;

/// The row of a bank that is closed. Rows are below 2^31.
const CLOSED: u32 = u32::MAX;

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

/// State of a bank and its command queue.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Lane {
    /// The command queue, in order.
    first: Key,
    last: Key,
    len: u32,
    /// The open row.
    row: u32,
    /// Of the command queue, reads and writes of the open row.
    row_hits: [u16; 2],
    /// Accesses to the open row.
    hits: u32,
    /// The last transaction of each kind, where there is one.
    last_waiting: [Key; 2],
}

const EMPTY: Lane =
    Lane { first: NONE, last: NONE, len: 0, row: CLOSED, row_hits: [0; 2], hits: 0, last_waiting: [NONE; 2] };

/// State and configuration of a channel.
#[derive(Clone, Debug)]
pub(super) struct Inner<S, T> {
    // Configuration.
    config: BankQueueConfig,
    read_latency: Tick,
    refresh_interval: Tick,
    patience: Tick,
    bounds: Bounds,
    /// From so many writes on they are drained: while no command waits, and otherwise.
    drain_from: [u32; 2],
    /// The rank, and every bank.
    rank: Place,
    places: Vec<Place>,
    /// The banks whose turn comes after each bank's, up to the last.
    after: [S; CAPACITY],
    // State.
    ready: Ready<T>,
    lanes: [Lane; CAPACITY],
    entries: Entries,
    /// By command the banks that could use it.
    wants: [S; COMMANDS],
    /// Of these the banks that were ready, but for the rank, when last looked at. The others are in the calendar.
    due: [S; COMMANDS],
    calendar: Calendar<S>,
    /// Banks that are not closed.
    open: S,
    /// Banks whose command queues are full.
    full: S,
    /// A tick before which no command goes, unless a transaction is moved or a refresh ends.
    from: Tick,
    /// Commands in all queues.
    queued: u32,
    /// Transactions by kind of access: banks that have some, how many there are, and the first of each bank.
    waiting: [S; 2],
    transactions: [u32; 2],
    first: [[Key; CAPACITY]; 2],
    /// Requests that wait, by granule; commands, by row.
    granules: Counts,
    rows: Counts,
    /// Reads of a granule with an earlier one that waits: both are answered by one command.
    followers: Vec<Follower>,
    /// Reads that are not answered.
    reads: usize,
    /// Writes that still go before reads.
    draining: u32,
    /// Whether a transaction may have a place in its bank's queue.
    may_move: bool,
    /// The banks whose turn comes before the others'.
    later: S,
    refreshing: bool,
    next_refresh: Tick,
    /// The tick that runs next.
    pub(super) now: Tick,
    /// The kind of transactions that refused the last offer, or none.
    refused: usize,
    /// Whether a place has become free there.
    freed: bool,
}

impl<S: BankSet, T: Offset> Inner<S, T> {
    #[cold]
    fn stuck(&self) -> DramError {
        let requests = self.transactions.iter().sum::<u32>() + self.queued;
        DramError::Stuck { tick: self.now, requests: requests.into() }
    }

    pub(super) fn new(config: &BankQueueConfig, rules: &RuleTable) -> Self {
        let organisation = &config.organisation;
        let banks = organisation.nodes(Level::Bank);
        let refresh_interval = config.timing.get(P::Refi).into();
        let all = config.transactions;
        Self {
            config: config.clone(),
            read_latency: READ_LATENCY.cycles(|parameter| config.timing.get(parameter)).into(),
            refresh_interval,
            patience: PATIENCE * refresh_interval,
            bounds: Bounds::of(organisation),
            drain_from: [all.min(config.idle_writes.saturating_add(1)), all].map(|writes| writes as u32),
            rank: rules.node(Level::Rank, 0),
            places: (0..banks).map(|bank| rules.node(Level::Bank, bank)).collect(),
            after: std::array::from_fn(|bank| S::range(bank + 1..banks as usize)),
            ready: Ready::new(rules),
            lanes: [EMPTY; CAPACITY],
            entries: Entries::new(2 * config.transactions + banks as usize * config.commands),
            wants: [S::EMPTY; COMMANDS],
            due: [S::EMPTY; COMMANDS],
            calendar: Calendar::new(),
            open: S::EMPTY,
            full: S::EMPTY,
            from: Tick::MAX,
            queued: 0,
            waiting: [S::EMPTY; 2],
            transactions: [0; 2],
            first: [[NONE; CAPACITY]; 2],
            granules: Counts::new(),
            rows: Counts::new(),
            followers: Vec::new(),
            reads: 0,
            draining: 0,
            may_move: false,
            later: S::range(1..banks as usize),
            refreshing: false,
            next_refresh: refresh_interval,
            now: 0,
            refused: NO_QUEUE,
            freed: false,
        }
    }

    #[inline(always)]
    pub(super) fn offer(&mut self, request: &Request, observer: &mut impl Observer) -> Result<Offered, DramError> {
        self.bounds.check(request, &self.config.organisation)?;
        if self.refuses(request) {
            return Ok(Offered::Refused);
        }
        Ok(self.take(request, observer))
    }

    #[inline(always)]
    pub(super) fn put(&mut self, request: &Request, observer: &mut impl Observer) -> Result<bool, DramError> {
        self.bounds.check(request, &self.config.organisation)?;
        let waits = self.refuses(request);
        if waits {
            self.run(Tick::MAX, Until::Place, observer)?;
        }
        self.take(request, observer);
        Ok(waits)
    }

    /// Whether there is no place for a request.
    #[inline(always)]
    fn refuses(&mut self, request: &Request) -> bool {
        let kind = request.access as usize;
        let full = self.transactions[kind] as usize >= self.config.transactions;
        self.refused = if full { kind } else { NO_QUEUE };
        full
    }

    /// Takes a request for which there is a place.
    #[inline(always)]
    fn take(&mut self, request: &Request, observer: &mut impl Observer) -> Offered {
        let (address, arrived) = (request.address, self.now);
        self.refused = NO_QUEUE;
        let bank =
            usize::from(address.bank_group) * self.config.organisation.banks as usize + usize::from(address.bank);
        let buckets = Buckets::of(bank, request);
        if request.access == Access::Write {
            observer.completed(&Completion { request: *request, arrived, done: arrived + 1 });
        }
        if self.granules.of(buckets.granule) > 0
            && let Some(offered) = self.joins(request, bank, observer)
        {
            return offered;
        }
        self.granules.add(buckets.granule);
        let kind = request.access as usize;
        self.reads += usize::from(kind == READ);
        let key = self.entries.add(request, bank, buckets, arrived);
        let last = &mut self.lanes[bank % CAPACITY].last_waiting[kind];
        if self.waiting[kind].contains(bank) {
            self.entries.link(*last, key);
        } else {
            self.waiting[kind].insert(bank);
            self.first[kind][bank % CAPACITY] = key;
        }
        *last = key;
        self.transactions[kind] += 1;
        self.may_move = true;
        Offered::Queued
    }

    /// Lets a request go with an earlier one of the same granule that waits, where there is one.
    #[inline(never)]
    fn joins(&mut self, request: &Request, bank: usize, observer: &mut impl Observer) -> Option<Offered> {
        let arrived = self.now;
        let written = self.finds(Access::Write, bank, request);
        match request.access {
            Access::Write => written.then_some(Offered::Coalesced),
            Access::Read if written => {
                observer.completed(&Completion { request: *request, arrived, done: arrived + 1 });
                Some(Offered::Forwarded)
            }
            Access::Read if self.finds(Access::Read, bank, request) => {
                self.reads += 1;
                self.followers.push(Follower { request: *request, arrived, bank });
                Some(Offered::Coalesced)
            }
            Access::Read => None,
        }
    }

    /// Whether an access of this kind to the same granule waits.
    #[inline(never)]
    fn finds(&self, access: Access, bank: usize, request: &Request) -> bool {
        let kind = access as usize;
        let mut waiting = if self.waiting[kind].contains(bank) { self.first[kind][bank % CAPACITY] } else { NONE };
        while waiting != NONE {
            let entry = self.entries.get(waiting);
            if is_same(&entry.request, request) {
                return true;
            }
            waiting = entry.next;
        }
        let mut queued = self.lanes[bank % CAPACITY].first;
        while queued != NONE {
            let entry = self.entries.get(queued);
            if entry.request.access == access && is_same(&entry.request, request) {
                return true;
            }
            queued = entry.next;
        }
        false
    }

    /// Runs the ticks before `limit`, or until what is waited for has come.
    #[inline(always)]
    pub(super) fn run(&mut self, limit: Tick, until: Until, observer: &mut impl Observer) -> Result<(), DramError> {
        self.freed = false;
        let (mut left, mut end) = (self.reads, self.patience_from(until));
        let mut stop = self.stop(limit, end);
        loop {
            let over = match until {
                Until::Limit => self.now >= limit,
                Until::Place => self.freed,
                Until::Done => self.reads == 0,
            };
            if over {
                return Ok(());
            }
            if until == Until::Done && self.reads != left {
                (left, end) = (self.reads, self.patience_from(until));
                stop = self.stop(limit, end);
            }
            let tick = if self.may_move { self.now } else { self.from.max(self.now) };
            if tick >= stop {
                self.pause(limit, end, observer)?;
                stop = self.stop(limit, end);
                continue;
            }
            self.now = tick + 1;
            if self.from <= tick {
                self.serve(tick, observer);
            }
            if self.may_move {
                self.may_move = self.transfer(tick);
            }
        }
    }

    /// The last tick to which a run waits for something that does not come.
    #[inline(always)]
    fn patience_from(&self, until: Until) -> Tick {
        if until == Until::Limit { Tick::MAX } else { self.now.saturating_add(self.patience) }
    }

    /// The tick in which something else happens than that requests are served: always, while a refresh waits.
    #[inline(always)]
    fn stop(&self, limit: Tick, end: Tick) -> Tick {
        if self.refreshing { 0 } else { self.next_refresh.min(limit).min(end.saturating_add(1)) }
    }

    /// Goes to `limit`, or to a tick with a refresh and runs that.
    #[cold]
    fn pause(&mut self, limit: Tick, end: Tick, observer: &mut impl Observer) -> Result<(), DramError> {
        if !self.may_move && !self.refreshing {
            self.now = self.from.min(self.next_refresh).min(limit).max(self.now);
        }
        let tick = self.now;
        if tick > end {
            return Err(self.stuck());
        }
        if tick >= limit {
            return Ok(());
        }
        if tick >= self.next_refresh {
            self.refreshing = true;
            self.next_refresh += self.refresh_interval;
        }
        let wake = self.refresh(tick, observer);
        if self.may_move {
            self.may_move = self.transfer(tick);
            self.now = tick + 1;
        } else {
            self.now = wake.min(self.next_refresh).min(limit).max(tick + 1);
        }
        Ok(())
    }

    /// Issues what can be in a tick: one command, or one on each bus.
    #[inline(always)]
    fn serve(&mut self, tick: Tick, observer: &mut impl Observer) {
        if tick > self.ready.horizon() {
            self.ready.rebase(tick);
        }
        if self.calendar.next() <= tick {
            let woken = self.calendar.take(tick);
            for (due, wants) in self.due.iter_mut().zip(&self.wants) {
                *due |= woken & *wants;
            }
        }
        let Some(bus) = self.turn(None, tick, observer) else { return };
        self.from = self.first_possible();
        if self.config.two_buses && self.from <= tick {
            self.second(bus, tick, observer);
        }
    }

    /// The second command of a tick, where it goes on the other bus.
    #[inline(never)]
    fn second(&mut self, taken: Bus, tick: Tick, observer: &mut impl Observer) {
        if self.turn(Some(taken), tick, observer).is_some() {
            self.from = self.first_possible();
        }
    }

    /// A tick before which no bank has a command that is ready.
    #[inline(always)]
    fn first_possible(&self) -> Tick {
        let mut first = T::NEVER;
        for (command, due) in self.due.iter().enumerate() {
            let floor = if due.is_empty() { T::NEVER } else { self.ready.of_rank(command) };
            first = first.min(floor);
        }
        self.next_of(first)
    }

    /// When something may go, where banks that are due may from `first` on.
    #[inline(always)]
    fn next_of(&self, first: T) -> Tick {
        let waiting = self.calendar.next();
        if first == T::NEVER { waiting } else { waiting.min(self.ready.tick(first)) }
    }

    /// A refresh is due: precharges whatever can be, then refreshes. Says when something can be issued, if nothing
    /// was.
    #[cold]
    fn refresh(&mut self, tick: Tick, observer: &mut impl Observer) -> Tick {
        if tick > self.ready.horizon() {
            self.ready.rebase(tick);
        }
        let (mut wake, mut open) = (Tick::MAX, self.open);
        while !open.is_empty() {
            let bank = open.first();
            let ready = self.ready.ready(PRE, bank);
            if ready <= tick {
                self.ready.issue(PRE, bank, tick);
                observer.issued(tick, Pre, Target::Refresh(&self.places[bank]));
                self.close(bank, tick);
                return tick;
            }
            wake = wake.min(ready);
            open = open.without_first();
        }
        if !self.open.is_empty() {
            return wake;
        }
        let ready = self.ready.ready(REF, 0);
        if ready > tick {
            return ready;
        }
        self.ready.refresh(tick);
        observer.issued(tick, RefAb, Target::Refresh(&self.rank));
        self.refreshing = false;
        self.from = tick;
        tick
    }

    /// Notes that a bank could use a command. Says before which tick it does not go.
    #[inline(always)]
    fn want(&mut self, command: usize, bank: usize, tick: Tick) -> Tick {
        self.wants[command].insert(bank);
        let ready = self.ready.tick(self.ready.of_bank(command, bank));
        if ready <= tick {
            self.due[command].insert(bank);
        } else {
            self.calendar.insert(bank, ready);
        }
        ready.max(self.ready.tick(self.ready.of_rank(command)))
    }

    /// Notes that a bank can use a command no longer.
    #[inline(always)]
    fn forget(&mut self, command: usize, bank: usize) {
        self.wants[command].remove(bank);
        self.due[command].remove(bank);
    }

    /// Whether the rank allows a command.
    #[inline(always)]
    fn is_allowed(&self, command: usize, now: T) -> bool {
        self.ready.of_rank(command) <= now
    }

    /// The banks that are due for a command that the rank allows.
    #[inline(always)]
    fn allowed(&self, command: usize, now: T) -> S {
        if self.is_allowed(command, now) { self.due[command] } else { S::EMPTY }
    }

    /// Whether a bank that is due for a command is ready. Where it is not it goes into the calendar.
    #[inline(always)]
    fn is_ready(&mut self, command: usize, bank: usize, now: T) -> bool {
        let ready = self.ready.of_bank(command, bank);
        if ready > now {
            self.due[command].remove(bank);
            self.calendar.insert(bank, self.ready.tick(ready));
        }
        ready <= now
    }

    /// Issues the command of the next bank in turn that has one that is ready, if it does not need the bus that is taken.
    /// Says which bus it needs.
    #[inline(always)]
    fn turn(&mut self, taken: Option<Bus>, tick: Tick, observer: &mut impl Observer) -> Option<Bus> {
        let now = self.ready.offset(tick);
        let mut banks = self.allowed(ACT, now) | self.allowed(PRE, now) | self.allowed(RD, now) | self.allowed(WR, now);
        while !banks.is_empty() {
            // Those after the last one first, then from the beginning.
            let later = banks & self.later;
            let bank = if later.is_empty() { banks.first() } else { later.first() };
            banks.remove(bank);
            // A bank that wants an activation wants nothing else.
            if self.due[ACT].contains(bank) {
                if self.is_ready(ACT, bank, now) {
                    self.later = self.after[bank % CAPACITY];
                    if taken == Some(Bus::Row) {
                        self.from = tick;
                        return None;
                    }
                    self.activate(bank, tick, observer);
                    return Some(Bus::Row);
                }
                continue;
            }
            if self.can_go(PRE, bank, now) {
                self.later = self.after[bank % CAPACITY];
                if taken == Some(Bus::Row) {
                    self.from = tick;
                    return None;
                }
                self.precharge(bank, tick, observer);
                return Some(Bus::Row);
            }
            let accesses = [self.can_go(RD, bank, now), self.can_go(WR, bank, now)];
            if accesses[0] | accesses[1] {
                self.later = self.after[bank % CAPACITY];
                if taken == Some(Bus::Column) {
                    self.from = tick;
                    return None;
                }
                self.access(bank, accesses, tick, observer);
                return Some(Bus::Column);
            }
        }
        self.from = self.next_possible(now);
        None
    }

    /// A tick before which nothing that cannot go at `now` can.
    #[inline(always)]
    fn next_possible(&self, now: T) -> Tick {
        let mut next = T::NEVER;
        for (command, due) in self.due.iter().enumerate() {
            let floor = self.ready.of_rank(command);
            next = next.min(if due.is_empty() || floor <= now { T::NEVER } else { floor });
        }
        self.next_of(next)
    }

    /// Whether a bank is due for a command and can go.
    #[inline(always)]
    fn can_go(&mut self, command: usize, bank: usize, now: T) -> bool {
        self.due[command].contains(bank) && self.is_allowed(command, now) && self.is_ready(command, bank, now)
    }

    /// The first hit of a bank's queue, of the kinds that can go, and the one before it in the queue.
    ///
    /// No write follows a read of the same granule there: it is not moved before the read is done.
    #[inline(always)]
    fn first_access(&self, bank: usize, can_go: [bool; 2]) -> Option<(Key, Key)> {
        let lane = &self.lanes[bank % CAPACITY];
        let (mut key, mut before) = (lane.first, NONE);
        while key != NONE {
            let entry = self.entries.get(key);
            if entry.request.address.row == lane.row && can_go[entry.request.access as usize] {
                return Some((key, before));
            }
            (before, key) = (key, entry.next);
        }
        None
    }

    /// Opens the row of a bank's first request.
    #[inline(never)]
    fn activate(&mut self, bank: usize, tick: Tick, observer: &mut impl Observer) {
        self.ready.issue(ACT, bank, tick);
        let lane = &mut self.lanes[bank % CAPACITY];
        let entry = self.entries.get(lane.first);
        observer.issued(tick, Act, Target::Request(&entry.request));
        let row = entry.request.address.row;
        let mut row_hits = [0; 2];
        if self.rows.of(entry.row) == 1 {
            // The first, and no other.
            row_hits[entry.request.access as usize] = 1;
        } else {
            let mut key = lane.first;
            while key != NONE {
                let entry = self.entries.get(key);
                row_hits[entry.request.access as usize] += u16::from(entry.request.address.row == row);
                key = entry.next;
            }
        }
        (lane.row, lane.row_hits) = (row, row_hits);
        self.open.insert(bank);
        self.forget(ACT, bank);
        if row_hits[READ] > 0 {
            self.want(RD, bank, tick);
        }
        if row_hits[WRITE] > 0 {
            self.want(WR, bank, tick);
        }
    }

    /// Closes a bank for its first request.
    #[inline(never)]
    fn precharge(&mut self, bank: usize, tick: Tick, observer: &mut impl Observer) {
        self.ready.issue(PRE, bank, tick);
        let entry = self.entries.get(self.lanes[bank % CAPACITY].first);
        observer.issued(tick, Pre, Target::Request(&entry.request));
        self.close(bank, tick);
    }

    #[inline(always)]
    fn close(&mut self, bank: usize, tick: Tick) {
        self.open.remove(bank);
        self.forget(PRE, bank);
        let lane = &mut self.lanes[bank % CAPACITY];
        let hits = std::mem::take(&mut lane.row_hits) != [0; 2];
        (lane.hits, lane.row) = (0, CLOSED);
        if lane.len > 0 {
            self.want(ACT, bank, tick);
        }
        if hits {
            self.forget(RD, bank);
            self.forget(WR, bank);
        }
    }

    /// Issues the first access of the kinds that can go, of which there is one, and ends it.
    #[inline(never)]
    fn access(&mut self, bank: usize, can_go: [bool; 2], tick: Tick, observer: &mut impl Observer) {
        let Some((key, before)) = self.first_access(bank, can_go) else { return };
        let entry = self.entries.get(key);
        let (access, next) = (entry.request.access as usize, entry.next);
        observer.issued(tick, [Rd, Wr][access], Target::Request(&entry.request));
        self.granules.remove(entry.granule);
        self.rows.remove(entry.row);
        if access == READ {
            let done = tick + self.read_latency;
            self.reads -= 1;
            observer.completed(&Completion { request: entry.request, arrived: entry.arrived, done });
            if !self.followers.is_empty() {
                let request = entry.request;
                self.answer_followers(bank, &request, done, observer);
            }
        }
        self.entries.release(key);
        self.ready.issue(RD + access, bank, tick);
        let lane = &mut self.lanes[bank % CAPACITY];
        if before == NONE {
            lane.first = next;
        } else {
            self.entries.link(before, next);
        }
        if next == NONE {
            lane.last = before;
        }
        lane.len -= 1;
        lane.hits += 1;
        lane.row_hits[access] -= 1;
        self.full.remove(bank);
        self.may_move = true;
        self.queued -= 1;
        let Lane { first, len, row, row_hits, hits, .. } = *lane;
        if row_hits[access] == 0 {
            self.forget(RD + access, bank);
        }
        // Without hits the first is for another row.
        let close = if row_hits == [0; 2] {
            len > 0
        } else {
            hits >= self.config.most_hits && self.entries.get(first).request.address.row != row
        };
        if close {
            self.want(PRE, bank, tick);
        }
    }

    /// Answers the other reads of a granule.
    #[inline(never)]
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

    /// Moves one transaction into its bank's queue. Says whether in the next tick there may be another one.
    #[inline(always)]
    fn transfer(&mut self, tick: Tick) -> bool {
        let writes = self.transactions[WRITE];
        if self.draining == 0 && writes >= self.drain_from[usize::from(self.queued > 0)] {
            self.draining = writes;
        }
        if self.draining > 0 { self.transfer_one(WRITE, tick) } else { self.transfer_one(READ, tick) }
    }

    /// Moves the first transaction of a kind for whose bank there is a place.
    #[inline(always)]
    fn transfer_one(&mut self, kind: usize, tick: Tick) -> bool {
        let key = oldest(&self.first[kind], self.waiting[kind].without(self.full));
        if key == NONE {
            return false;
        }
        let entry = self.entries.get(key);
        let (bank, next, row) = (usize::from(entry.bank), entry.next, entry.request.address.row);
        let row_bucket = entry.row;
        if kind == WRITE {
            // A read of the same granule goes first. The write is one that waits itself.
            if self.granules.of(entry.granule) > 1 && self.finds(Access::Read, bank, &entry.request) {
                // It is decided anew in the next tick.
                self.draining = 0;
                return true;
            }
            self.draining -= 1;
        }
        self.first[kind][bank % CAPACITY] = next;
        if next == NONE {
            self.waiting[kind].remove(bank);
        }
        self.transactions[kind] -= 1;
        self.freed |= self.refused == kind;
        self.entries.link(key, NONE);
        let lane = &mut self.lanes[bank % CAPACITY];
        let alone = lane.len == 0;
        if alone {
            lane.first = key;
        } else {
            self.entries.link(lane.last, key);
        }
        lane.last = key;
        lane.len += 1;
        if lane.len as usize >= self.config.commands {
            self.full.insert(bank);
        }
        self.queued += 1;
        self.rows.add(row_bucket);
        if lane.row == row {
            lane.row_hits[kind] += 1;
            if lane.hits < self.config.most_hits {
                self.forget(PRE, bank);
            }
            let first = self.want(RD + kind, bank, tick);
            self.from = self.from.min(first);
        } else if alone {
            // Otherwise the first one says what is needed.
            let command = if lane.row == CLOSED { ACT } else { PRE };
            let first = self.want(command, bank, tick);
            self.from = self.from.min(first);
        }
        true
    }
}
