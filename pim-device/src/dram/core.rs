//! What all controllers of a channel share: state of timing and banks, queues, refresh, and the choice among requests.

#![allow(clippy::inline_always, reason = "asked for each kind of command at every look")]

use std::collections::VecDeque;

use super::Tick;
use super::bank::OpenRows;
use super::bank_set::{BankSet, CAPACITY};
use super::config::{Bounds, ChannelConfig, DramError, Refresh};
use super::edges::Edges;
use super::queue::{Entries, Entry, Key, NONE, Queue};
use super::request::{Access, Completion, Observer, Offered, Request, Target};
use super::rules::{Place, RuleTable};
use super::scheduler::Until;
use super::times::{ACT, ACT2, CAS_RD, CAS_WR, Offset, PRE, RD, Scan, Times, WR};
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

/// When an owner was offered, and below that when its bank was activated: the order in which owners are served.
type Age = u128;

/// The request for which a bank was activated.
#[derive(Clone, Copy, Debug)]
struct Owner {
    key: Key,
    age: Age,
}

/// State: banks whose rows have been opened for owners of one kind, as long as none of them can be served.
///
/// From an activation to the access there is a time that is the same for all banks, so they are in the order of
/// their ticks.
#[derive(Clone, Debug)]
struct Opening {
    /// Ticks, and below them banks. Each bank is in here once at most.
    ring: Box<[u64; RING]>,
    first: u8,
    end: u8,
    /// The tick of the first.
    next: Tick,
}

/// Places for all banks, and as many as there are of what counts them.
const RING: usize = 256;
const _: () = assert!(RING > CAPACITY && RING == u8::MAX as usize + 1);

impl Opening {
    fn new() -> Self {
        Self { ring: Box::new([0; RING]), first: 0, end: 0, next: Tick::MAX }
    }

    #[inline(always)]
    fn push(&mut self, bank: usize, tick: Tick) {
        self.ring[usize::from(self.end)] = tick << 8 | bank as u64;
        self.end = self.end.wrapping_add(1);
        self.next = self.next.min(tick);
    }

    /// Takes the bank whose tick is next.
    #[inline(always)]
    fn pop(&mut self) -> usize {
        let bank = self.ring[usize::from(self.first)] as u8;
        self.first = self.first.wrapping_add(1);
        self.next = if self.first == self.end { Tick::MAX } else { self.ring[usize::from(self.first)] >> 8 };
        bank.into()
    }
}

impl Owner {
    const NOBODY: Self = Self { key: NONE, age: 0 };
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
    pub(super) entries: Entries,
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

    /// What becomes of a request that is offered between two ticks. Where it goes into its queue, [`Self::queue_up`] has to
    /// follow.
    #[inline(always)]
    pub(super) fn receive(&mut self, request: &Request, observer: &mut impl Observer) -> Result<Received, DramError> {
        self.bounds.check(request, &self.organisation)?;
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
            return Ok(Received::Joins(offered));
        }
        let queue = &self.queues[request.access as usize];
        if queue.len >= queue.capacity {
            self.refused = request.access as usize;
            return Ok(Received::Refused { bank });
        }
        Ok(Received::Place { bank })
    }

    /// Puts a request into its queue, which has a place.
    #[inline(always)]
    pub(super) fn queue_up(&mut self, request: &Request, bank: usize) {
        let address = request.address;
        let queue_number = request.access as usize;
        let queue = &mut self.queues[queue_number];
        self.refused = NO_QUEUE;
        let key = self.entries.add(request, bank, self.now);
        let alone = queue.push(&mut self.entries, key, bank);
        // A read can end that writes are served, and a write begin it.
        self.changed |= if queue_number == READ { self.write_mode } else { queue.len >= self.write_high };
        let row = self.banks.row(bank);
        if row.is_none() {
            if alone {
                self.ask(ACT, bank);
            }
        } else if row == Some(address.row) {
            if queue.came(key, bank, true) {
                self.may_go(HITS, RD + request.access as usize, bank);
            }
        } else if queue.came(key, bank, false) && !self.owned().contains(bank) {
            self.ask(PRE, bank);
        }
        self.outstanding += 1;
    }

    /// A bank may go on with a command of a kind that it could not use before.
    #[inline(always)]
    fn may_go(&mut self, kind: usize, command: usize, bank: usize) {
        self.from[kind] = self.from[kind].min(self.times.ready(command, bank));
    }

    /// A bank waits from now on for the tick at which it is ready for an activation or a precharge.
    #[inline(always)]
    fn wait(&mut self, command: usize, bank: usize) -> Tick {
        let ready = self.times.bank_ready(command, bank);
        self.calendars[command].insert(bank, ready);
        ready
    }

    /// The oldest request of those banks of a queue that want an activation or a precharge and are ready at `tick`.
    #[inline(always)]
    fn oldest(&mut self, command: usize, wants: S, queue: usize, tick: Tick) -> Scan {
        if self.calendars[command].next() <= tick {
            self.due[command] |= self.calendars[command].take(tick);
        }
        let (now, mut next) = (self.times.offset(tick), T::NEVER);
        let mut banks = self.times.allowed(command, wants & self.due[command], now, &mut next);
        while !banks.is_empty() {
            let lanes = &*self.queues[queue].lanes;
            let requests = if command == ACT { &lanes.first } else { &lanes.miss };
            let mut bank = banks.first();
            let mut oldest = requests[bank % CAPACITY];
            let mut rest = banks.without_first();
            let alone = rest.is_empty();
            while !rest.is_empty() {
                let of = rest.first();
                rest = rest.without_first();
                let request = requests[of % CAPACITY];
                if request < oldest {
                    (oldest, bank) = (request, of);
                }
            }
            if self.times.of_bank(command, bank) <= now {
                let next = if alone { self.times.tick(next).min(self.calendars[command].next()) } else { tick };
                return Scan { oldest, bank: bank as u16, next };
            }
            // Another command has come in between.
            banks.remove(bank);
            self.due[command].remove(bank);
            self.wait(command, bank);
        }
        Scan { next: self.times.tick(next).min(self.calendars[command].next()), ..Scan::NOTHING }
    }

    /// Banks with an owner: no row is closed there for a request.
    #[inline(always)]
    fn owned(&self) -> S {
        self.owned[READ] | self.owned[WRITE]
    }

    /// A request that has come wants an activation or a precharge of its bank.
    #[inline(always)]
    fn ask(&mut self, command: usize, bank: usize) {
        let ready = self.times.bank_ready(command, bank);
        if ready <= self.now {
            self.due[command].insert(bank);
        } else {
            self.calendars[command].insert(bank, ready);
        }
        self.may_go(ACTIVATIONS + command, command, bank);
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

    /// The next tick at which refreshes are pushed.
    pub(super) const fn next_refresh(&self) -> Tick {
        self.next_refresh
    }

    /// Pushes the refreshes of the next tick; says how far one can go from there.
    #[inline]
    pub(super) fn horizon(&mut self) -> Tick {
        if self.now >= self.horizon {
            self.look_ahead();
        }
        self.horizon
    }

    #[inline(never)]
    fn look_ahead(&mut self) {
        let tick = self.now + 1;
        if tick >= self.next_refresh {
            self.push_refreshes();
        }
        if tick > self.times.horizon() {
            self.times.rebase(tick);
        }
        self.horizon = self.times.horizon().min(self.next_refresh - 1);
    }

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
        let each = self.organisation.nodes(Level::Bank) / self.refresh_nodes.len() as u32;
        self.next_bank = (self.next_bank + 1) % each;
    }

    /// Whether a command of a kind may go at `tick`, as far as is known.
    #[inline(always)]
    pub(super) fn may(&self, kind: usize, tick: Tick) -> bool {
        self.from[kind] <= tick
    }

    /// Goes to the first tick from `tick` on that has to be looked at and gives it, or goes to `horizon` where that is before.
    /// The queues are looked at in between.
    #[inline(always)]
    pub(super) fn first(&mut self, tick: Tick, horizon: Tick, edges: &impl Edges<S>) -> Option<Tick> {
        let mut first = tick;
        if tick <= horizon {
            first = edges.first(&self.from, tick);
            if first > tick && (!self.refreshes.is_empty() || (self.changed && !self.mode_stays())) {
                first = tick;
            }
        }
        if first > horizon {
            self.now = horizon;
            return None;
        }
        self.now = first;
        Some(first)
    }

    /// The queue that is served; none while an all-bank refresh waits.
    #[inline(always)]
    pub(super) fn served(&mut self) -> Option<usize> {
        if self.refresh_waits() { None } else { Some(self.mode()) }
    }

    /// A tick after `tick`, and not after the next one that has to be looked at, where nothing was found in it and refresh
    /// goes at `refresh` at the earliest.
    #[inline(always)]
    pub(super) fn after(&self, tick: Tick, edges: &impl Edges<S>, refresh: Tick) -> Tick {
        if self.refreshes.is_empty() { tick + 1 } else { self.after_refresh(tick, edges, refresh) }
    }

    #[inline(never)]
    fn after_refresh(&self, tick: Tick, edges: &impl Edges<S>, refresh: Tick) -> Tick {
        let first = if self.refresh_waits() {
            edges.rising(self.from[OWNERS].max(tick + 1))
        } else {
            edges.first(&self.from, tick + 1)
        };
        first.min(refresh)
    }

    /// An access that was found may go in a later tick.
    #[inline]
    pub(super) fn put_off(&mut self, tick: Tick) {
        (self.from[OWNERS], self.from[HITS]) = (tick, tick);
    }

    /// The owner that is served at `tick`: the oldest that is ready.
    #[inline(always)]
    pub(super) fn active(&mut self, tick: Tick) -> Option<Pick> {
        if !self.may(OWNERS, tick) {
            return None;
        }
        let (now, mut next) = (self.times.offset(tick), T::NEVER);
        let reads = self.opened(READ, tick, now, &mut next);
        let writes = self.opened(WRITE, tick, now, &mut next);
        let all = reads | writes;
        let next = self.times.tick(next).min(self.opening[READ].next).min(self.opening[WRITE].next);
        if all.is_empty() {
            self.from[OWNERS] = next;
            return None;
        }
        let mut bank = all.first();
        let mut rest = all.without_first();
        self.from[OWNERS] = if rest.is_empty() { next } else { tick };
        while !rest.is_empty() {
            let other = rest.first();
            rest = rest.without_first();
            if self.owners[other % CAPACITY].age < self.owners[bank % CAPACITY].age {
                bank = other;
            }
        }
        let queue = usize::from(writes.contains(bank));
        Some(Pick { key: self.owners[bank % CAPACITY].key, bank: bank as u16, command: COLUMN[queue] })
    }

    /// The owners of one kind that are ready. Lowers `next` to when others are whose rows are open.
    #[inline(always)]
    fn opened(&mut self, queue: usize, tick: Tick, now: T, next: &mut T) -> S {
        while self.opening[queue].next <= tick {
            let bank = self.opening[queue].pop();
            self.opened[queue].insert(bank);
        }
        self.times.which_ready(RD + queue, self.opened[queue], now, next)
    }

    /// The oldest hit of a queue that is ready.
    #[inline(always)]
    fn hits(&mut self, queue: usize, tick: Tick) -> Scan {
        if !self.may(HITS, tick) {
            return Scan::NOTHING;
        }
        let banks = self.queues[queue].hits.without(self.refreshing);
        let scan = self.times.scan(RD + queue, banks, &self.queues[queue].lanes.hit, tick);
        self.from[HITS] = scan.next;
        scan
    }

    /// The oldest activation of a queue that is ready.
    #[inline(always)]
    fn activations(&mut self, queue: usize, tick: Tick) -> Scan {
        if !self.may(ACTIVATIONS, tick) {
            return Scan::NOTHING;
        }
        let banks = (self.queues[queue].waiting & self.banks.closed()).without(self.refreshing);
        let scan = self.oldest(ACT, banks, queue, tick);
        self.from[ACTIVATIONS] = scan.next;
        scan
    }

    /// The oldest precharge of a queue that is ready.
    #[inline(always)]
    fn precharges(&mut self, queue: usize, tick: Tick, edges: &impl Edges<S>) -> Scan {
        if !self.may(PRECHARGES, tick) {
            return Scan::NOTHING;
        }
        let mut banks = self.queues[queue].misses.without(self.owned() | self.refreshing);
        let shut_out = banks & edges.shut_out(tick);
        if !shut_out.is_empty() {
            banks = banks.without(shut_out);
        }
        let mut scan = self.oldest(PRE, banks, queue, tick);
        if !shut_out.is_empty() {
            scan.next = scan.next.min(tick + 1);
        }
        self.from[PRECHARGES] = scan.next;
        scan
    }

    /// Serves the oldest hit of a queue that is ready at `tick`; says whether there is one.
    #[inline(always)]
    pub(super) fn issue_hit(&mut self, queue: usize, tick: Tick, observer: &mut impl Observer) -> bool {
        let hit = self.hits(queue, tick);
        if hit.oldest == NONE {
            return false;
        }
        self.serve_hit(queue, hit.bank.into(), tick, observer);
        true
    }

    /// Goes on with the oldest request of a queue that is ready at `tick`, of those that want a row command. Says which it
    /// is, and the bank. Activations are asked for where the tick allows them.
    #[inline(always)]
    pub(super) fn issue_row(
        &mut self,
        queue: usize,
        tick: Tick,
        act: bool,
        edges: &impl Edges<S>,
        observer: &mut impl Observer,
    ) -> Option<(Command, usize)> {
        let first = if act { self.activations(queue, tick) } else { Scan::NOTHING };
        let miss = self.precharges(queue, tick, edges);
        let issued = self.issue_older(queue, first, miss, tick, observer);
        match issued {
            Some((Command::Act, _)) => self.from[PRECHARGES] = self.from[PRECHARGES].max(self.times.floor(PRE)),
            Some(_) => self.from[ACTIVATIONS] = self.from[ACTIVATIONS].max(self.times.floor(ACT)),
            None => {}
        }
        issued
    }

    /// What goes of an activation and a precharge.
    #[inline(always)]
    fn issue_older(
        &mut self,
        queue: usize,
        first: Scan,
        miss: Scan,
        tick: Tick,
        observer: &mut impl Observer,
    ) -> Option<(Command, usize)> {
        if first.oldest < miss.oldest {
            let bank = first.bank.into();
            self.activate(queue, bank, tick, observer);
            if miss.oldest != NONE {
                self.from[PRECHARGES] = self.times.floor(PRE).max(tick);
            }
            return Some((Command::Act, bank));
        }
        if miss.oldest == NONE {
            return None;
        }
        let bank = miss.bank.into();
        self.precharge(bank, miss.oldest, tick, observer);
        if first.oldest != NONE {
            // Not set, but kept low: the bank may be one that is activated next.
            self.from[ACTIVATIONS] = self.from[ACTIVATIONS].min(self.times.floor(ACT).max(tick));
        }
        Some((Command::Pre, bank))
    }

    /// Goes on with the oldest request of a queue that is ready at `tick`, whatever it wants; says whether there is one.
    #[inline(always)]
    pub(super) fn issue_any(
        &mut self,
        queue: usize,
        tick: Tick,
        edges: &impl Edges<S>,
        observer: &mut impl Observer,
    ) -> bool {
        let hit = self.hits(queue, tick);
        let first = self.activations(queue, tick);
        let miss = self.precharges(queue, tick, edges);
        if hit.oldest < first.oldest && hit.oldest < miss.oldest {
            if first.oldest != NONE {
                self.from[ACTIVATIONS] = tick;
            }
            if miss.oldest != NONE {
                self.from[PRECHARGES] = tick;
            }
            self.serve_hit(queue, hit.bank.into(), tick, observer);
            return true;
        }
        if hit.oldest != NONE {
            self.from[HITS] = tick;
        }
        self.issue_older(queue, first, miss, tick, observer).is_some()
    }

    /// The oldest request of a queue that is ready at `tick`, whatever it wants.
    #[inline(always)]
    pub(super) fn pick(&mut self, queue: usize, tick: Tick, act: bool, edges: &impl Edges<S>) -> Option<Pick> {
        let hit = self.hits(queue, tick);
        let first = if act { self.activations(queue, tick) } else { Scan::NOTHING };
        let miss = self.precharges(queue, tick, edges);
        let key = hit.oldest.min(first.oldest).min(miss.oldest);
        if key == NONE {
            return None;
        }
        for (kind, scan) in [(HITS, hit), (ACTIVATIONS, first), (PRECHARGES, miss)] {
            if scan.oldest != NONE && scan.oldest != key {
                self.from[kind] = tick;
            }
        }
        let (bank, command) = if key == first.oldest {
            (first.bank, self.activate)
        } else if key == miss.oldest {
            (miss.bank, Command::Pre)
        } else {
            (hit.bank, COLUMN[queue])
        };
        Some(Pick { key, bank, command })
    }

    /// The command of a waiting refresh, and when it may be issued; `None` while a bank of it is owned or being activated.
    fn pick_refresh(&mut self, index: usize, tick: Tick, edges: &impl Edges<S>) -> Option<(Tick, Command)> {
        let refresh = *self.refreshes.get(index)?;
        let place = &refresh.place;
        if self.banks.all_closed(place) {
            let time = self.times.ready_for_other(refresh.command, place).max(tick);
            return Some((edges.rising(time), refresh.command));
        }
        let below = self.banks.below(place);
        if below.clone().any(|bank| self.owners[bank % CAPACITY].key != NONE || self.banks.is_activating(bank)) {
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
            self.close(bank);
        }
    }

    #[inline(always)]
    fn close(&mut self, bank: usize) {
        self.banks.close(bank);
        for queue in [READ, WRITE] {
            self.queues[queue].closed(bank);
        }
        self.due[ACT].remove(bank);
        if (self.queues[READ].waiting | self.queues[WRITE].waiting).contains(bank) {
            let ready = self.wait(ACT, bank);
            self.from[ACTIVATIONS] = self.from[ACTIVATIONS].min(ready.max(self.times.floor(ACT)));
        }
    }

    /// A command is sent for a request; gives back what is known of it.
    #[inline(always)]
    fn send(
        &mut self,
        tick: Tick,
        (number, command): (usize, Command),
        (bank, key): (usize, Key),
        observer: &mut impl Observer,
    ) -> &Entry {
        self.times.issue(number, bank, tick);
        let entry = self.entries.get(key);
        observer.issued(tick, command, Target::Request(&entry.request));
        entry
    }

    /// CAS for an access.
    #[inline(always)]
    pub(super) fn send_clock(&mut self, tick: Tick, access: &Pick, observer: &mut impl Observer) {
        let command = if access.command == Command::Wr { (CAS_WR, Command::CasWr) } else { (CAS_RD, Command::CasRd) };
        self.send(tick, command, (access.bank.into(), access.key), observer);
    }

    /// The first half of an activation.
    #[inline(always)]
    pub(super) fn half_activate(&mut self, queue: usize, pick: &Pick, tick: Tick, observer: &mut impl Observer) -> Key {
        let bank = usize::from(pick.bank);
        let key = self.take_first(queue, bank);
        self.send(tick, (ACT, Command::Act1), (bank, key), observer);
        self.from[ACTIVATIONS] = self.from[ACTIVATIONS].max(self.times.floor(ACT));
        self.banks.activating(bank);
        key
    }

    /// The second half of an activation that began at `begun`: the row is open, and the request owns the bank.
    #[inline(always)]
    pub(super) fn activated(&mut self, key: Key, begun: Tick, tick: Tick, observer: &mut impl Observer) {
        let bank = self.entries.get(key).bank.into();
        self.open((ACT2, Command::Act2), (bank, key), (begun, tick), observer);
    }

    /// Opens the row of a request; the request becomes the owner of its bank.
    #[inline(always)]
    fn open(
        &mut self,
        command: (usize, Command),
        (bank, key): (usize, Key),
        (begun, tick): (Tick, Tick),
        observer: &mut impl Observer,
    ) {
        let entry = self.send(tick, command, (bank, key), observer);
        let (row, bucket, access) = (entry.request.address.row, entry.bucket, entry.request.access as usize);
        let age = Age::from(entry.arrived) << 64 | Age::from(tick);
        self.owners[bank % CAPACITY] = Owner { key, age };
        self.owned[access].insert(bank);
        let mut opens = begun + self.opens_in[access];
        if command.0 == ACT2 {
            opens = opens.max(tick + self.opens_soon[access]);
        }
        self.opening[access].push(bank, opens);
        self.from[OWNERS] = self.from[OWNERS].min(opens);
        self.banks.open(bank, row);
        for queue in [READ, WRITE] {
            if self.queues[queue].waiting.contains(bank)
                && self.queues[queue].opened(&self.entries, bank, (row, bucket))
            {
                self.may_go(HITS, RD + queue, bank);
            }
        }
    }

    /// Takes the request out of its queue that activates a closed bank.
    #[inline(always)]
    fn take_first(&mut self, queue: usize, bank: usize) -> Key {
        let key = self.queues[queue].take_first(&self.entries, bank);
        self.taken(queue);
        key
    }

    /// A request has left a queue: the last read begins that writes are served, and few writes end it.
    #[inline(always)]
    fn taken(&mut self, queue: usize) {
        self.stop |= self.watched == queue;
        self.changed |= self.queues[queue].len <= self.few[queue];
    }

    /// Issues the access of a bank's owner and ends it.
    #[inline(always)]
    pub(super) fn serve_owner(&mut self, pick: &Pick, tick: Tick, observer: &mut impl Observer) {
        let bank = usize::from(pick.bank);
        let queue = usize::from(pick.command == Command::Wr);
        self.owners[bank % CAPACITY].key = NONE;
        self.owned[queue].remove(bank);
        self.opened[queue].remove(bank);
        self.serve(queue, (bank, pick.key), tick, observer);
        self.due[PRE].remove(bank);
        if (self.queues[READ].misses | self.queues[WRITE].misses).contains(bank) {
            let ready = self.wait(PRE, bank);
            self.from[PRECHARGES] = self.from[PRECHARGES].min(ready.max(self.times.floor(PRE)));
        }
    }

    /// Issues a hit of a queue and ends it.
    #[inline(always)]
    pub(super) fn serve_hit(&mut self, queue: usize, bank: usize, tick: Tick, observer: &mut impl Observer) {
        let key = self.queues[queue].take_hit(&mut self.entries, bank);
        self.taken(queue);
        self.serve(queue, (bank, key), tick, observer);
        self.from[HITS] = self.from[HITS].max(self.times.floor(RD + queue));
        if self.queues[queue].hits.contains(bank) {
            self.may_go(HITS, RD + queue, bank);
        }
    }

    /// Issues an access and ends it.
    #[inline(always)]
    fn serve(&mut self, queue: usize, (bank, key): (usize, Key), tick: Tick, observer: &mut impl Observer) {
        let Entry { request, arrived, .. } = *self.send(tick, (RD + queue, COLUMN[queue]), (bank, key), observer);
        self.outstanding -= 1;
        self.stop |= self.outstanding == self.left;
        let done = if queue == READ { self.answer(tick + self.read_latency) } else { tick };
        observer.completed(&Completion { request, arrived, done });
        self.entries.release(key);
    }

    /// Activates a closed bank for the oldest request.
    #[inline(always)]
    fn activate(&mut self, queue: usize, bank: usize, tick: Tick, observer: &mut impl Observer) {
        let key = self.take_first(queue, bank);
        self.open((ACT, Command::Act), (bank, key), (tick, tick), observer);
        self.from[ACTIVATIONS] = self.from[ACTIVATIONS].max(self.times.floor(ACT));
    }

    /// Precharges a bank for the oldest request for another row.
    #[inline(always)]
    pub(super) fn precharge(&mut self, bank: usize, key: Key, tick: Tick, observer: &mut impl Observer) {
        self.send(tick, (PRE, Command::Pre), (bank, key), observer);
        self.from[PRECHARGES] = self.from[PRECHARGES].max(self.times.floor(PRE));
        self.close(bank);
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
