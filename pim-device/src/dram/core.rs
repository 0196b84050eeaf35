//! What all controllers of a channel share: state of timing and banks, queues, refresh, and the choice among requests.

#![allow(clippy::inline_always, reason = "asked for each kind of command at every look")]

use std::collections::VecDeque;

use super::Tick;
use super::bank::{BankState, Banks};
use super::bank_set::BankSet;
use super::config::{ChannelConfig, DramError, Refresh};
use super::edges::Edges;
use super::queue::{self, Entries, Key, NONE, News, Queue};
use super::request::{Access, Completion, Observer, Offered, Request, Target};
use super::rules::{Place, RuleTable};
use super::times::{ACT, ACT2, ACTIVATIONS, CAS_RD, CAS_WR, COLUMNS, KINDS, PRE, PRECHARGES, RD, Times, WR};
use crate::command::Command;
use crate::organisation::{Level, Organisation};

/// Which queue.
pub(super) const READ: usize = 0;
pub(super) const WRITE: usize = 1;

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

/// Banks in which a queue may go on, by what they need.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offers<S> {
    pub(super) columns: S,
    pub(super) activations: S,
    pub(super) precharges: S,
}

/// What would be issued for a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pick {
    /// The request.
    key: Key,
    pub(super) bank: u16,
    pub(super) command: Command,
}

/// The request for which a bank was activated.
#[derive(Clone, Copy, Debug)]
struct Owner {
    key: Key,
    /// When it was offered, and when its bank was activated: the order in which owners are served.
    age: (Tick, Tick),
}

impl Owner {
    const NOBODY: Self = Self { key: NONE, age: (0, 0) };
}

/// State and configuration of a channel and its controller, without the order in which commands are chosen.
#[derive(Clone, Debug)]
pub(super) struct Core<S> {
    // Configuration.
    organisation: Organisation,
    /// [`Command::Act`], or [`Command::Act1`] where it is split.
    pub(super) activate: Command,
    read_latency: Tick,
    refresh: Refresh,
    refresh_interval: Tick,
    refresh_nodes: Vec<Place>,
    write_high: u32,
    write_low: u32,
    // State.
    pub(super) times: Times<S>,
    pub(super) banks: Banks,
    pub(super) entries: Entries,
    pub(super) queues: [Queue<S>; 2],
    closed: S,
    /// Owner of each bank: the request for which it was activated, until that is served.
    owners: Vec<Owner>,
    /// Banks with an owner that reads, that writes.
    owned: [S; 2],
    /// Banks that wait for their own refresh: nothing new is begun in them.
    refreshing: S,
    write_mode: bool,
    /// Whether the queues have changed since that was decided.
    changed: bool,
    /// By kind of command a tick before which none of it can go, as long as only ticks of the rules and banks in the wheel
    /// change: whatever else does sets it back.
    from: [Tick; KINDS],
    pub(super) refreshes: VecDeque<RefreshRequest>,
    next_refresh: Tick,
    next_bank: u32,
    /// The last tick that is over.
    pub(super) now: Tick,
    /// Reads are answered in order.
    last_answer: Tick,
    /// The queue that refused the last offer.
    refused: Option<usize>,
    /// A place in it has become free since.
    pub(super) freed: bool,
    /// Requests that are not done (or whose answer is not known).
    pub(super) outstanding: u32,
}

impl<S: BankSet> Core<S> {
    pub(super) fn new(config: &ChannelConfig) -> Result<Self, DramError> {
        config.check()?;
        let organisation = config.organisation;
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
        let rules = RuleTable::of_standard(standard, &organisation, &config.timing, &commands);
        let banks = organisation.nodes(Level::Bank);
        let level = standard.refresh_level;
        let refresh_nodes = (0..organisation.nodes(level)).map(|node| rules.node(level, node)).collect();
        let split = standard.commands.contains(&Command::Act1);
        let refresh_interval = config.refresh_interval();
        // On half clocks only precharges begin on the edge between.
        let halves = Tick::from(standard.two_buses && standard.ticks_per_clock > 1);
        let odd = [halves, 0, halves, halves];
        let queues = &config.queues;
        let capacity = (queues.read + queues.write + banks) as usize;
        Ok(Self {
            organisation,
            activate: if split { Command::Act1 } else { Command::Act },
            read_latency: config.read_latency(),
            refresh: config.refresh,
            refresh_interval,
            refresh_nodes,
            write_high: queues.write_high,
            write_low: queues.write_low,
            times: Times::new(rules, odd),
            banks: Banks::new(&organisation),
            entries: Entries::new(capacity),
            queues: [Queue::new(queues.read), Queue::new(queues.write)],
            closed: S::range(0..banks as usize),
            owners: vec![Owner::NOBODY; banks as usize],
            owned: [S::EMPTY; 2],
            refreshing: S::EMPTY,
            write_mode: false,
            changed: true,
            from: [0; KINDS],
            refreshes: VecDeque::new(),
            next_refresh: refresh_interval,
            next_bank: 0,
            now: 0,
            last_answer: 0,
            refused: None,
            freed: false,
            outstanding: 0,
        })
    }

    #[inline]
    fn check(&self, request: &Request) -> Result<(), DramError> {
        let (address, organisation) = (&request.address, &self.organisation);
        let inside = u32::from(address.pseudo_channel) < organisation.pseudo_channels
            && u32::from(address.rank) < organisation.ranks
            && u32::from(address.bank_group) < organisation.bank_groups
            && u32::from(address.bank) < organisation.banks
            && address.row < organisation.rows
            && request.column < organisation.columns;
        if inside { Ok(()) } else { Err(DramError::outside(request, organisation)) }
    }

    /// Takes a request between two ticks.
    #[inline(always)]
    pub(super) fn offer(&mut self, request: &Request, observer: &mut impl Observer) -> Result<Offered, DramError> {
        self.check(request)?;
        let address = request.address;
        let bank = self.organisation.node(Level::Bank, address) as usize;
        let writes = &self.queues[WRITE];
        if writes.waiting.contains(bank) && writes.holds(&self.entries, bank, address.row, request.column) {
            // The data is in the write queue, whether or not there would be a place.
            let (done, offered) = match request.access {
                Access::Read => (self.answer(self.now + 1), Offered::Forwarded),
                Access::Write => (self.now, Offered::Coalesced),
            };
            observer.completed(&Completion { request: *request, arrived: self.now, done });
            return Ok(offered);
        }
        let queue = &mut self.queues[request.access as usize];
        if queue.len >= queue.capacity {
            self.refused = Some(request.access as usize);
            return Ok(Offered::Refused);
        }
        self.refused = None;
        let key = self.entries.add(request, bank, self.now);
        let new = queue.push(&mut self.entries, key, bank, address.row, self.banks.open_row(bank));
        self.changed = true;
        if let Some((kind, command)) = match new {
            News::None => None,
            News::Waits => Some((ACTIVATIONS, ACT)),
            News::Hit => Some((COLUMNS, RD + request.access as usize)),
            News::Miss => Some((PRECHARGES, PRE)),
        } && !self.times.due(command, S::of(bank)).is_empty()
        {
            self.from[kind] = 0;
        }
        self.outstanding += 1;
        Ok(Offered::Queued)
    }

    /// When a read that has its data at `due` is answered: in order.
    #[inline]
    fn answer(&mut self, due: Tick) -> Tick {
        self.last_answer = self.last_answer.max(due);
        self.last_answer
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
            writes > self.write_low || reads == 0
        } else {
            writes >= self.write_high || reads == 0
        };
        if on != self.write_mode {
            self.write_mode = on;
            self.from = [0; KINDS];
        }
    }

    /// Pushes the refreshes of a tick.
    #[inline]
    pub(super) fn refresh_manager(&mut self, tick: Tick) {
        if tick >= self.next_refresh {
            self.push_refreshes();
        }
    }

    #[cold]
    fn push_refreshes(&mut self) {
        self.next_refresh += self.refresh_interval;
        self.from = [0; KINDS];
        for node in &self.refresh_nodes {
            match self.refresh {
                Refresh::None => {}
                Refresh::AllBank => {
                    self.refreshes.push_back(RefreshRequest { place: *node, command: Command::RefAb });
                }
                Refresh::PerBank => {
                    let bank = self.banks.below(node).start + self.next_bank as usize;
                    self.refreshing.insert(bank);
                    let place = *self.times.place(bank);
                    self.refreshes.push_back(RefreshRequest { place, command: Command::RefPb });
                }
            }
        }
        let each = self.owners.len() as u32 / self.refresh_nodes.len() as u32;
        self.next_bank = (self.next_bank + 1) % each;
    }

    /// The next tick at which the refresh manager has something to do.
    pub(super) const fn next_refresh(&self) -> Tick {
        self.next_refresh
    }

    /// Goes to a tick, to look for what can be issued in it.
    #[inline]
    pub(super) fn go_to(&mut self, tick: Tick) {
        self.now = tick;
        if self.times.next() <= tick {
            let woken = self.times.wake(tick);
            for (kind, banks) in [(COLUMNS, woken[RD] | woken[WR]), (ACTIVATIONS, woken[ACT]), (PRECHARGES, woken[PRE])]
            {
                if !banks.is_empty() {
                    self.from[kind] = 0;
                }
            }
        }
    }

    /// Whether a command of a kind may go at `tick`, as far as is known.
    #[inline]
    pub(super) fn may(&self, kind: usize, tick: Tick) -> bool {
        self.from[kind] <= tick
    }

    /// The same for columns, which the channel may still forbid.
    #[inline]
    pub(super) fn may_access(&mut self, tick: Tick) -> bool {
        if !self.may(COLUMNS, tick) {
            return false;
        }
        let floor = self.times.floor(COLUMNS);
        if floor > tick {
            self.from[COLUMNS] = floor;
        }
        floor <= tick
    }

    /// Where it is known that nothing can go at `tick`: the next tick that has to be looked at. The queues are looked at even
    /// so.
    #[inline]
    pub(super) fn is_quiet(&mut self, tick: Tick, edges: &impl Edges<S>) -> Option<Tick> {
        let first = edges.first(&self.from, tick);
        if first > tick && self.refreshes.is_empty() && self.mode_stays() {
            Some(first.min(self.times.next()))
        } else {
            None
        }
    }

    /// The first tick after `tick` that has to be looked at, where nothing was found in it and refresh goes at `refresh` at
    /// the earliest.
    #[inline]
    pub(super) fn after(&self, tick: Tick, edges: &impl Edges<S>, refresh: Tick) -> Tick {
        let first = if self.refresh_waits() {
            edges.column(self.from[COLUMNS].max(tick + 1))
        } else {
            edges.first(&self.from, tick + 1)
        };
        first.min(self.times.next()).min(refresh)
    }

    /// An access that was found may go in a later tick.
    #[inline]
    pub(super) fn put_off(&mut self, tick: Tick) {
        self.from[COLUMNS] = tick;
    }

    /// A command of a kind has been issued: the next one waits.
    #[inline]
    fn sent(&mut self, kind: usize) {
        self.from[kind] = self.from[kind].max(self.times.floor(kind));
    }

    /// The owner that is served at `tick`: the oldest that is ready. To be asked where columns [`may`](Self::may) go.
    #[inline]
    pub(super) fn active(&mut self, tick: Tick) -> Option<Pick> {
        let reads = self.times.due(RD, self.owned[READ]);
        let writes = self.times.due(WR, self.owned[WRITE]);
        self.from[COLUMNS] = Tick::MAX;
        if (reads | writes).is_empty() { None } else { self.oldest_owner(reads, writes, tick) }
    }

    #[inline]
    fn oldest_owner(&mut self, reads: S, writes: S, tick: Tick) -> Option<Pick> {
        let mut next = Tick::MAX;
        let reads = self.times.open(RD, reads, tick, &mut next);
        let writes = self.times.open(WR, writes, tick, &mut next);
        let mut owners = reads | writes;
        while !owners.is_empty() {
            let mut bank = owners.first();
            let mut others = owners.without_first();
            while !others.is_empty() {
                let other = others.first();
                if self.owners[other].age < self.owners[bank].age {
                    bank = other;
                }
                others = others.without_first();
            }
            let queue = usize::from(writes.contains(bank));
            if self.times.is_ready(RD + queue, bank, tick) {
                owners.remove(bank);
                let hits = self.times.due(RD, self.queues[READ].hits) | self.times.due(WR, self.queues[WRITE].hits);
                self.from[COLUMNS] = if (owners | hits).is_empty() { next } else { tick };
                return Some(Pick { key: self.owners[bank].key, bank: bank as u16, command: COLUMN[queue] });
            }
            owners.remove(bank);
        }
        self.from[COLUMNS] = next;
        None
    }

    /// The banks of a queue whose oldest hit can be served at `tick`, but for what [`Self::pick`] finds. To be asked after
    /// [`Self::active`] has found none.
    #[inline(always)]
    pub(super) fn columns(&mut self, queue: usize, tick: Tick) -> S {
        let hits = self.times.due(RD + queue, self.queues[queue].hits).without(self.refreshing);
        self.times.open(RD + queue, hits, tick, &mut self.from[COLUMNS])
    }

    /// The same for activations, at any time.
    #[inline(always)]
    pub(super) fn activations(&mut self, queue: usize, tick: Tick) -> S {
        if !self.may(ACTIVATIONS, tick) {
            return S::EMPTY;
        }
        let floor = self.times.floor(ACTIVATIONS);
        if floor > tick {
            self.from[ACTIVATIONS] = floor;
            return S::EMPTY;
        }
        let closed = self.times.due(ACT, self.queues[queue].waiting & self.closed).without(self.refreshing);
        let mut next = Tick::MAX;
        let closed = self.times.open(ACT, closed, tick, &mut next);
        self.from[ACTIVATIONS] = next;
        closed
    }

    /// The same for precharges.
    #[inline(always)]
    pub(super) fn precharges(&mut self, queue: usize, tick: Tick, edges: &impl Edges<S>) -> S {
        if !self.may(PRECHARGES, tick) {
            return S::EMPTY;
        }
        let floor = self.times.floor(PRECHARGES);
        if floor > tick {
            self.from[PRECHARGES] = floor;
            return S::EMPTY;
        }
        let kept = self.owned[READ] | self.owned[WRITE] | self.refreshing;
        let mut misses = self.times.due(PRE, self.queues[queue].misses).without(kept);
        let mut next = Tick::MAX;
        let shut_out = misses & edges.shut_out(tick);
        if !shut_out.is_empty() {
            next = tick + 1;
            misses = misses.without(shut_out);
        }
        let misses = self.times.open(PRE, misses, tick, &mut next);
        self.from[PRECHARGES] = next;
        misses
    }

    /// The oldest request of a queue that is ready, of those that these banks offer.
    #[inline(always)]
    pub(super) fn pick(&mut self, queue: usize, tick: Tick, banks: Offers<S>) -> Option<Pick> {
        let Offers { mut columns, mut activations, mut precharges } = banks;
        if (columns | activations | precharges).is_empty() {
            return None;
        }
        let lanes = &*self.queues[queue].lanes;
        let mut hit = queue::oldest(&lanes.hit, columns);
        let mut first = queue::oldest(&lanes.first, activations);
        let mut miss = queue::oldest(&lanes.miss, precharges);
        loop {
            let key = hit.min(first).min(miss);
            if key == NONE {
                return None;
            }
            let bank = self.entries.get(key).bank;
            let (number, command) = if key == first {
                (ACT, self.activate)
            } else if key == miss {
                (PRE, Command::Pre)
            } else {
                (RD + queue, COLUMN[queue])
            };
            let at = usize::from(bank);
            if self.times.is_ready(number, at, tick) {
                // What is left may go in the next tick.
                let picked = S::of(at);
                for (kind, left) in [(COLUMNS, columns), (ACTIVATIONS, activations), (PRECHARGES, precharges)] {
                    if !left.without(picked).is_empty() {
                        self.from[kind] = tick;
                    }
                }
                return Some(Pick { key, bank, command });
            }
            match number {
                ACT => {
                    activations.remove(at);
                    first = queue::oldest(&lanes.first, activations);
                }
                PRE => {
                    precharges.remove(at);
                    miss = queue::oldest(&lanes.miss, precharges);
                }
                _ => {
                    columns.remove(at);
                    hit = queue::oldest(&lanes.hit, columns);
                }
            }
        }
    }

    /// The command of a waiting refresh, and when it may be issued; `None` while a bank of it is owned or being activated.
    fn pick_refresh(&mut self, index: usize, tick: Tick, edges: &impl Edges<S>) -> Option<(Tick, Command)> {
        let refresh = *self.refreshes.get(index)?;
        let place = &refresh.place;
        if self.banks.all_closed(place) {
            let time = self.times.ready_for_other(refresh.command, place).max(tick);
            return Some((edges.row(time), refresh.command));
        }
        let below = self.banks.below(place);
        if below.clone().any(|bank| self.owners[bank].key != NONE || self.banks.state(bank) == BankState::Activating) {
            return None;
        }
        let (command, time) = if below.len() == 1 {
            (Command::Pre, self.times.ready(PRE, below.start))
        } else {
            (Command::PreA, self.times.ready_for_other(Command::PreA, place))
        };
        Some((edges.precharge(time.max(tick), S::range(below)), command))
    }

    /// The refresh command that goes at `tick`: of all-bank refreshes only the head is looked at, of per-bank ones all.
    #[inline]
    pub(super) fn refresh(&mut self, tick: Tick, edges: &impl Edges<S>, next: &mut Tick) -> Option<RefreshPick> {
        if self.refreshes.is_empty() {
            return None;
        }
        self.refresh_that_waits(tick, edges, next)
    }

    #[inline(never)]
    fn refresh_that_waits(&mut self, tick: Tick, edges: &impl Edges<S>, next: &mut Tick) -> Option<RefreshPick> {
        let looked_at = if self.refresh == Refresh::PerBank { self.refreshes.len() } else { 1 };
        for index in 0..looked_at {
            if let Some((time, command)) = self.pick_refresh(index, tick, edges) {
                if time <= tick {
                    return Some(RefreshPick { index, command });
                }
                *next = time.min(*next);
            }
        }
        None
    }

    /// Whether an all-bank refresh waits: no queue is served then.
    #[inline]
    pub(super) fn refresh_waits(&self) -> bool {
        self.refresh == Refresh::AllBank && !self.refreshes.is_empty()
    }

    /// Issues a command of the refresh at `index`.
    pub(super) fn issue_refresh(&mut self, index: usize, tick: Tick, command: Command, observer: &mut impl Observer) {
        let Some(refresh) = self.refreshes.get(index).copied() else { return };
        self.times.issue_at(command, &refresh.place, tick);
        observer.issued(tick, command, Target::Refresh(&refresh.place));
        self.from = [0; KINDS];
        if command == refresh.command {
            self.refreshes.remove(index);
            if command == Command::RefPb {
                for bank in self.banks.below(&refresh.place) {
                    // Another turn of the same bank may wait already.
                    let again = self.refreshes.iter().any(|other| other.place == refresh.place);
                    if !again {
                        self.refreshing.remove(bank);
                    }
                }
            }
            return;
        }
        for bank in self.banks.below(&refresh.place) {
            self.close(bank, tick);
        }
    }

    #[inline]
    fn close(&mut self, bank: usize, tick: Tick) {
        self.banks.close(bank);
        self.closed.insert(bank);
        if self.times.expect(ACT, bank, tick) {
            self.from[ACTIVATIONS] = 0;
        }
        for queue in [READ, WRITE] {
            self.queues[queue].closed(bank);
        }
    }

    /// A command is sent for a request.
    #[inline(always)]
    fn send(&mut self, tick: Tick, (number, command): (usize, Command), key: Key, observer: &mut impl Observer) {
        let entry = self.entries.get(key);
        self.times.issue(number, usize::from(entry.bank), tick);
        observer.issued(tick, command, Target::Request(&entry.request));
    }

    /// CAS for an access.
    pub(super) fn send_clock(&mut self, tick: Tick, access: &Pick, observer: &mut impl Observer) {
        let command = if access.command == Command::Wr { (CAS_WR, Command::CasWr) } else { (CAS_RD, Command::CasRd) };
        self.send(tick, command, access.key, observer);
    }

    /// The first half of an activation.
    pub(super) fn half_activate(&mut self, queue: usize, pick: &Pick, tick: Tick, observer: &mut impl Observer) -> Key {
        let bank = usize::from(pick.bank);
        let key = self.take_first(queue, bank);
        self.send(tick, (ACT, Command::Act1), key, observer);
        self.banks.activating(bank);
        self.closed.remove(bank);
        key
    }

    /// The second half: the row is open, and the request owns the bank.
    pub(super) fn activated(&mut self, key: Key, tick: Tick, observer: &mut impl Observer) {
        self.send(tick, (ACT2, Command::Act2), key, observer);
        self.open(key, tick);
    }

    /// The row of a request is open; the request becomes the owner of its bank.
    #[inline]
    fn open(&mut self, key: Key, tick: Tick) {
        let entry = self.entries.get(key);
        let (bank, row) = (usize::from(entry.bank), entry.request.address.row);
        self.owners[bank] = Owner { key, age: (entry.arrived, tick) };
        let access = entry.request.access as usize;
        self.owned[access].insert(bank);
        if self.times.expect(RD + access, bank, tick) {
            self.from[COLUMNS] = 0;
        }
        self.banks.open(bank, row);
        self.closed.remove(bank);
        for queue in &mut self.queues {
            if queue.waiting.contains(bank) && queue.opened(&self.entries, bank, row) {
                self.from[COLUMNS] = 0;
            }
        }
    }

    /// Takes the request out of its queue that activates a closed bank.
    #[inline]
    fn take_first(&mut self, queue: usize, bank: usize) -> Key {
        self.freed |= self.refused == Some(queue);
        self.changed = true;
        self.queues[queue].take_first(&mut self.entries, bank)
    }

    /// Issues the access of a bank's owner and ends it.
    #[inline]
    pub(super) fn serve_owner(&mut self, pick: &Pick, tick: Tick, observer: &mut impl Observer) {
        let bank = usize::from(pick.bank);
        let queue = usize::from(pick.command == Command::Wr);
        self.owners[bank].key = NONE;
        self.owned[queue].remove(bank);
        self.serve(queue, pick.key, tick, observer);
    }

    /// Issues a hit of a queue and ends it.
    #[inline]
    pub(super) fn serve_hit(&mut self, queue: usize, pick: &Pick, tick: Tick, observer: &mut impl Observer) {
        let bank = usize::from(pick.bank);
        let key = self.queues[queue].take_hit(&mut self.entries, bank);
        if self.queues[queue].hits.contains(bank) {
            self.put_off(tick);
        }
        self.freed |= self.refused == Some(queue);
        self.changed = true;
        self.serve(queue, key, tick, observer);
    }

    /// Issues an access and ends it.
    #[inline]
    fn serve(&mut self, queue: usize, key: Key, tick: Tick, observer: &mut impl Observer) {
        self.send(tick, (RD + queue, COLUMN[queue]), key, observer);
        self.sent(COLUMNS);
        let bank = usize::from(self.entries.get(key).bank);
        let misses = self.queues[READ].misses | self.queues[WRITE].misses;
        if misses.contains(bank) && self.times.expect(PRE, bank, tick) {
            self.from[PRECHARGES] = 0;
        }
        self.outstanding -= 1;
        let done = if queue == READ { self.answer(tick + self.read_latency) } else { tick };
        let entry = self.entries.get(key);
        observer.completed(&Completion { request: entry.request, arrived: entry.arrived, done });
        self.entries.release(key);
    }

    /// Issues what was picked from a queue, where accesses need nothing else.
    #[inline]
    pub(super) fn issue(&mut self, queue: usize, pick: &Pick, tick: Tick, observer: &mut impl Observer) {
        let bank = usize::from(pick.bank);
        match pick.command {
            Command::Pre => self.precharge(pick, tick, observer),
            Command::Act => {
                let key = self.take_first(queue, bank);
                self.send(tick, (ACT, Command::Act), key, observer);
                self.sent(ACTIVATIONS);
                self.open(key, tick);
            }
            _ => self.serve_hit(queue, pick, tick, observer),
        }
    }

    /// Precharges a bank for the oldest request for another row.
    #[inline]
    pub(super) fn precharge(&mut self, pick: &Pick, tick: Tick, observer: &mut impl Observer) {
        self.send(tick, (PRE, Command::Pre), pick.key, observer);
        self.sent(PRECHARGES);
        self.close(usize::from(pick.bank), tick);
    }

    /// When the bank of an access is ready for it.
    pub(super) fn access_ready(&self, access: &Pick) -> Tick {
        self.times.ready(if access.command == Command::Wr { WR } else { RD }, usize::from(access.bank))
    }

    /// All banks of a bank's pseudo-channel.
    pub(super) fn pseudo_channel(&self, bank: usize) -> S {
        let each = self.owners.len() / self.organisation.pseudo_channels as usize;
        let begin = bank / each * each;
        S::range(begin..begin + each)
    }
}

/// The command of an access, by queue.
const COLUMN: [Command; 2] = [Command::Rd, Command::Wr];
