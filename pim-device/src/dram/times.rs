//! When the banks of a channel are ready for the four commands that requests need.
//!
//! [`TimingState`] answers for any command at any node. A controller asks the same few questions again and again, so
//! here everything is worked out at once: for each of the four commands and each bank the first tick at which all nodes above
//! the bank allow it. What a command moves is looked up once, as rows of eight banks that are raised together; ticks are
//! counted from a base and short, so that a row of eight is one word of the processor.
//!
//! What only refresh asks for is noted as the last tick of each command at each bank, and worked out when it is asked.

#![allow(clippy::inline_always, reason = "asked for each kind of command at every look")]

use std::collections::VecDeque;
use std::ops::Range;

use super::Tick;
use super::bank_set::{BankSet, CAPACITY};
use super::offset::{Base, Offset};
use super::queue::{Key, NONE};
use super::rules::{self, Place, RuleTable, WindowRule};
use super::state::TimingState;
use crate::command::Command;
use crate::organisation::{Level, Organisation};

/// Commands that requests need, as numbers. `ACT` is ACT1 where that is split.
pub(super) const ACT: usize = 0;
pub(super) const PRE: usize = 1;
pub(super) const RD: usize = 2;
pub(super) const WR: usize = 3;
pub(super) const COMMANDS: usize = 4;
/// Further commands that go to a bank.
pub(super) const ACT2: usize = 4;
pub(super) const CAS_RD: usize = 5;
pub(super) const CAS_WR: usize = 6;
const SENT: usize = 8;

/// Banks whose ticks are raised together.
const LANES: usize = 8;
/// Rows of so many banks for one command.
const ROWS: usize = CAPACITY / LANES;
/// Behind the rows of banks there are those of ranks, two in a row: by command what holds at all banks of the rank.
const RANKS: usize = COMMANDS * ROWS;
/// And one for the channel.
const CHANNEL: usize = RANKS + CAPACITY * COMMANDS / LANES;
/// All rows, filled up to a power of two.
const ALL: usize = (CHANNEL + 2).next_power_of_two();
/// Nobody looks at this one.
const SPARE: usize = ALL - 1;

/// Ticks of eight banks.
type Lanes<T> = [T; LANES];

/// Raises ticks of eight banks to what follows a command at `tick`.
#[inline(always)]
fn raise<T: Offset>(ready: &mut Lanes<T>, tick: T, latencies: &Lanes<T>) {
    // Both are read before anything is written, so that it is done for all lanes at once.
    let (before, latencies) = (*ready, *latencies);
    *ready = std::array::from_fn(|lane| before[lane].max(tick.plus(latencies[lane])));
}

/// Latencies of one row. Its size is a power of two, so that loops over it do not divide.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
struct Raise<T> {
    row: u16,
    latencies: Lanes<T>,
}

/// The same from the n-th last command.
#[derive(Clone, Debug)]
struct Window<T> {
    /// Which of the windows and nodes it is.
    memory: usize,
    latency: T,
    /// The tick that is raised, for it is nearly always one.
    tick: u16,
    more: Option<Box<More<T>>>,
}

/// What else a window raises, and further windows.
#[derive(Clone, Debug)]
struct More<T> {
    raises: Vec<Raise<T>>,
    window: Option<Window<T>>,
}

impl<T: Offset> Window<T> {
    fn new(memory: usize, latency: T, mut raises: Vec<Raise<T>>, further: Option<Self>) -> Self {
        let mut tick = (SPARE * LANES) as u16;
        if let [Raise { row, latencies }] = raises.as_slice()
            && latencies.iter().filter(|latency| **latency == T::ZERO).count() == 1
            && let Some(lane) = latencies.iter().position(|latency| *latency == T::ZERO)
        {
            tick = row * LANES as u16 + lane as u16;
            raises.clear();
        }
        let more = !raises.is_empty() || further.is_some();
        Self { memory, latency, tick, more: more.then(|| Box::new(More { raises, window: further })) }
    }

    /// Notes a command at `now`, and raises what waits for the oldest of the window.
    #[inline(always)]
    fn slide(&self, now: T, ready: &mut [T; ALL * LANES], memories: &mut [Memory<T>]) {
        let free = memories[self.memory].slide(now.plus(self.latency));
        let tick = &mut ready[usize::from(self.tick) % (ALL * LANES)];
        *tick = (*tick).max(free);
        if let Some(more) = &self.more {
            more.slide((now, free), ready, memories);
        }
    }
}

impl<T: Offset> More<T> {
    #[inline(never)]
    fn slide(&self, (now, free): (T, T), ready: &mut [T; ALL * LANES], memories: &mut [Memory<T>]) {
        raise_more(&self.raises, free, ready);
        if let Some(window) = &self.window {
            window.slide(now, ready, memories);
        }
    }
}

/// Commands of a window that are kept in a row.
const FEW: usize = 4;

/// State: when each of the last commands of a window at a node stops counting, the oldest first.
#[derive(Clone, Debug)]
struct Memory<T> {
    /// Commands before those in the row.
    older: VecDeque<T>,
    last: [T; FEW],
    /// Where the oldest in the row is.
    first: usize,
}

impl<T: Offset> Memory<T> {
    fn new(window: usize) -> Self {
        Self {
            older: vec![T::ZERO; window.saturating_sub(FEW)].into(),
            last: [T::ZERO; FEW],
            first: FEW.saturating_sub(window),
        }
    }

    /// Notes when a command stops counting; says when the oldest of the window does.
    #[inline(always)]
    fn slide(&mut self, end: T) -> T {
        let [oldest, second, third, fourth] = self.last;
        self.last = [second, third, fourth, end];
        if self.older.is_empty() { self.last[self.first % FEW] } else { self.slide_older(oldest) }
    }

    #[inline(never)]
    fn slide_older(&mut self, next: T) -> T {
        self.older.pop_front();
        self.older.push_back(next);
        self.older.front().copied().unwrap_or(next)
    }

    fn ends(&mut self) -> [&mut [T]; 3] {
        let (one, other) = self.older.as_mut_slices();
        [one, other, &mut self.last]
    }
}

/// What a command at a bank does. Nearly all of it is in up to `N` rows, of which `M` are raised one after the other without
/// asking how many there are; where there are fewer, the others are raised by nothing.
#[derive(Clone, Debug)]
struct Effect<T, const M: usize, const N: usize> {
    /// Rows to raise.
    count: usize,
    rows: [u16; N],
    latencies: [Lanes<T>; N],
    more: Box<[Raise<T>]>,
    window: Option<Window<T>>,
}

impl<T: Offset, const M: usize, const N: usize> Effect<T, M, N> {
    fn new(raises: &[Raise<T>], window: Option<Window<T>>) -> Self {
        let (first, more) = raises.split_at(raises.len().min(N));
        Self {
            count: raises.len(),
            rows: std::array::from_fn(|at| first.get(at).map_or(0, |raise| raise.row)),
            latencies: std::array::from_fn(|at| first.get(at).map_or([T::NOTHING; LANES], |raise| raise.latencies)),
            more: more.into(),
            window,
        }
    }
}

/// The effects of a command at every bank.
type Effects<T, const M: usize, const N: usize> = Box<[Effect<T, M, N>; CAPACITY]>;

/// No effects at any bank.
fn nothing<T: Offset, const M: usize, const N: usize>() -> [Effect<T, M, N>; CAPACITY] {
    std::array::from_fn(|_| Effect::new(&[], None))
}

/// Raises what a command raises.
#[inline(always)]
fn raise_all<T: Offset, const M: usize, const N: usize>(
    effects: &Effects<T, M, N>,
    bank: usize,
    now: T,
    ready: &mut [T; ALL * LANES],
    memories: &mut [Memory<T>],
) {
    let effect = &effects[bank % CAPACITY];
    let rows = ready.as_chunks_mut::<LANES>().0;
    let mut raise_one = |at: usize| raise(&mut rows[usize::from(effect.rows[at]) % ALL], now, &effect.latencies[at]);
    for at in 0..M {
        raise_one(at);
    }
    if effect.count > M {
        for at in M..N {
            if effect.count > at {
                raise_one(at);
            }
        }
        if effect.count > N {
            raise_more(&effect.more, now, ready);
        }
    }
    if let Some(window) = &effect.window {
        window.slide(now, ready, memories);
    }
}

#[inline(never)]
fn raise_more<T: Offset>(raises: &[Raise<T>], now: T, ready: &mut [T; ALL * LANES]) {
    let rows = ready.as_chunks_mut::<LANES>().0;
    for of in raises {
        raise(&mut rows[usize::from(of.row) % ALL], now, &of.latencies);
    }
}

/// How it is noted what commands at banks forbid to those that only refresh sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noted {
    /// Nothing is refreshed.
    Never,
    /// The last tick of each command at each bank counts, and is worked out when somebody asks: all-bank refresh.
    Later,
    /// With each command: refresh bank by bank asks all the time, and windows have to see every command.
    AtOnce,
}

/// Which ticks hold for more than a bank and its group.
#[derive(Clone, Debug)]
enum Gates<S> {
    /// One for all banks.
    Channel,
    /// Two ranks, with the banks of the first.
    Two { first: S },
    /// The banks of each rank.
    Many(Box<[S]>),
}

/// What [`Times::scan`] has found among some banks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan {
    /// The oldest request of a bank that is ready, and the bank.
    pub(super) oldest: Key,
    pub(super) bank: u16,
    /// A tick before which no other of the banks is ready.
    pub(super) next: Tick,
}

impl Scan {
    /// Nothing was looked at.
    pub(super) const NOTHING: Self = Self { oldest: NONE, bank: 0, next: Tick::MAX };
}

/// Configuration and state: a channel's timing as its controller sees it.
#[derive(Clone, Debug)]
pub(super) struct Times<S, T> {
    // Configuration.
    organisation: Organisation,
    table: RuleTable,
    places: Vec<Place>,
    commands: [Command; COMMANDS],
    sent: [Command; SENT - 1],
    /// How many of them there are: the last ones only where activations are in halves.
    sends: usize,
    /// Of an activation, a precharge, a read and a write, and of the other commands that are sent.
    activation: Effects<T, 4, 6>,
    precharge: Effects<T, 1, 2>,
    read: Effects<T, 3, 5>,
    write: Effects<T, 4, 4>,
    further: [Effects<T, 0, 0>; SENT - COMMANDS],
    /// By command and bank what moves in `others`, see [`Noted::AtOnce`]; `None` where that is more than moves.
    others_moves: Vec<Option<Vec<(u32, u32)>>>,
    /// By command the least ticks to the next one of the four at the same bank.
    least: [[Tick; COMMANDS]; SENT],
    /// By command the least ticks to the next one of the four anywhere, for there is one slot a tick for both: no rule need
    /// say so.
    slots: [[Tick; COMMANDS]; SENT],
    one_rank: bool,
    gates: Gates<S>,
    /// By bank where the ticks of its rank begin.
    rank_rows: Box<[u16; CAPACITY]>,
    // State.
    base: Base,
    /// Rows by command and bank, then of two ranks each by command, and last of the channel: what holds at all ranks, which
    /// theirs contain. The only rank is in that place. The ticks of a bank and of its rank have to be reached.
    ready: Box<[T; ALL * LANES]>,
    /// By number of the memory of [`WindowRule`]s.
    memories: Vec<Memory<T>>,
    /// All other commands: precharge of all banks, refresh.
    others: TimingState,
    noted: Noted,
    /// By command and bank the last tick that has not been worked out (ticks begin at 1), and the banks that have any, or may
    /// get one without an activation: those that were activated and not precharged since.
    last: Box<[Tick; SENT * CAPACITY]>,
    later: S,
}

impl<S: BankSet, T: Offset> Times<S, T> {
    /// The times of a channel with these rules, none of which is longer than [`Offset::REACH`]. Commands are at least
    /// `slots` apart for there is one slot for both.
    pub(super) fn new(table: RuleTable, slots: impl Fn(Command, Command) -> Tick) -> Self {
        let organisation = *table.organisation();
        let activate = if table.has(Command::Act1) { Command::Act1 } else { Command::Act };
        let commands = [activate, Command::Pre, Command::Rd, Command::Wr];
        let sent = [activate, Command::Pre, Command::Rd, Command::Wr, Command::Act2, Command::CasRd, Command::CasWr];
        let banks = organisation.nodes(Level::Bank);
        let others = table.without_following(&commands);
        let follows = |effects: &rules::Effects| !(effects.own.is_empty() && effects.siblings.is_empty());
        let noted = if table.has(Command::RefPb) || others.effects.iter().any(|effects| !effects.windows.is_empty()) {
            Noted::AtOnce
        } else if others.effects.iter().any(follows) {
            Noted::Later
        } else {
            Noted::Never
        };
        let slots = std::array::from_fn(|number| {
            let sent = sent.get(number);
            std::array::from_fn(|command| sent.map_or(0, |sent| slots(*sent, commands[command])))
        });
        let per_rank = banks / rank_count(&organisation);
        let one_rank = per_rank == banks;
        let mut rank_rows = [0; CAPACITY];
        for bank in 0..banks {
            let rank = bank / per_rank;
            rank_rows[bank as usize] = rank_ticks(rank as usize, one_rank) as u16;
        }
        let mut memories = vec![Memory::new(0); table.history as usize];
        for rule in table.effects.iter().flat_map(|effects| &effects.windows) {
            for node in 0..organisation.nodes(Level::ALL[usize::from(rule.level)]) {
                memories[memory_of(rule, node)] = Memory::new(rule.window.into());
            }
        }
        let mut times = Self {
            organisation,
            places: (0..banks).map(|bank| table.node(Level::Bank, bank)).collect(),
            commands,
            sent,
            sends: if table.has(Command::Act2) { sent.len() } else { COMMANDS },
            activation: nothing().into(),
            precharge: nothing().into(),
            read: nothing().into(),
            write: nothing().into(),
            further: std::array::from_fn(|_| nothing().into()),
            others_moves: vec![None; SENT * CAPACITY],
            least: [[Tick::MAX; COMMANDS]; SENT],
            slots,
            one_rank,
            gates: match banks / per_rank {
                1 => Gates::Channel,
                2 => Gates::Two { first: S::range(0..per_rank as usize) },
                ranks => Gates::Many(
                    (0..ranks)
                        .map(|rank| S::range((rank * per_rank) as usize..((rank + 1) * per_rank) as usize))
                        .collect(),
                ),
            },
            rank_rows: Box::new(rank_rows),
            base: Base::new(),
            ready: Box::new([T::ZERO; ALL * LANES]),
            memories,
            others: TimingState::new(others),
            noted,
            last: Box::new([0; SENT * CAPACITY]),
            later: S::EMPTY,
            table,
        };
        for (number, command) in sent.into_iter().enumerate() {
            if times.table.has(command) {
                let effects = times.table.effects[times.table.id(command)].clone();
                for bank in 0..banks as usize {
                    times.look_up(number, &effects, bank);
                }
            }
        }
        times
    }

    /// The banks of a node.
    fn banks(&self, level: u8, node: u32) -> Range<usize> {
        let each = self.organisation.nodes(Level::Bank) / self.organisation.nodes(Level::ALL[usize::from(level)]);
        (node * each) as usize..((node + 1) * each) as usize
    }

    /// The number of a command of the table, if requests need it.
    fn number(&self, following: u8) -> Option<usize> {
        self.commands.iter().position(|&command| self.table.id(command) == usize::from(following))
    }

    /// Notes what a command at a bank does.
    fn look_up(&mut self, number: usize, effects: &rules::Effects, bank: usize) {
        let place = self.places[bank];
        let (mut latencies, mut moved) = ([[T::NOTHING; CAPACITY]; COMMANDS], [false; COMMANDS]);
        let mut add = |level: u8, node: u32, following: u8, latency: u32| {
            if let Some(following) = self.number(following) {
                let latency = Tick::from(latency);
                if latency > self.slots[number][following] {
                    moved[following] = true;
                    for of in &mut latencies[following][self.banks(level, node)] {
                        *of = (*of).max(T::of(latency));
                    }
                }
            }
        };
        for rule in &effects.own {
            add(rule.level, self.table.above(&place, rule.level), rule.following, rule.latency);
        }
        for rule in &effects.siblings {
            let own = self.table.above(&place, rule.level);
            for node in self.table.family(rule.level, own).filter(|node| *node != own) {
                add(rule.level, node, rule.following, rule.latency);
            }
        }
        for (least, latencies) in self.least[number].iter_mut().zip(&latencies) {
            *least = latencies[bank].max(T::ZERO).ticks().min(*least);
        }
        let raises = self.raises(&mut latencies, moved);
        let mut window = None;
        for rule in &effects.windows {
            let node = self.table.above(&place, rule.level);
            if let Some(following) = self.number(rule.following) {
                let mut ends = [[T::NOTHING; CAPACITY]; COMMANDS];
                ends[following][self.banks(rule.level, node)].fill(T::ZERO);
                let (memory, latency) = (memory_of(rule, node), T::of(rule.latency.into()));
                window = Some(Window::new(
                    memory,
                    latency,
                    self.raises(&mut ends, std::array::from_fn(|command| command == following)),
                    window,
                ));
            }
        }
        match number {
            ACT => self.activation[bank] = Effect::new(&raises, window),
            PRE => self.precharge[bank] = Effect::new(&raises, window),
            RD => self.read[bank] = Effect::new(&raises, window),
            WR => self.write[bank] = Effect::new(&raises, window),
            _ => self.further[number - COMMANDS][bank] = Effect::new(&raises, window),
        }
        if self.noted == Noted::AtOnce {
            self.others_moves[number * CAPACITY + bank] = self.others.moves(self.sent[number], &place);
        }
    }

    /// The rows with these latencies by command and bank, of the commands that have any. What all banks of a rank have in common goes to the rank.
    fn raises(&self, latencies: &mut [[T; CAPACITY]; COMMANDS], moved: [bool; COMMANDS]) -> Vec<Raise<T>> {
        let mut raises = Vec::with_capacity(LANES);
        let mut add = |row: usize, latencies: Lanes<T>| {
            if latencies != [T::NOTHING; LANES] {
                raises.push(Raise { row: row as u16, latencies });
            }
        };
        let count = self.places.len();
        let ranks = rank_count(&self.organisation) as usize;
        let least = |latencies: &[T]| latencies.iter().fold(T::NEVER, |least, latency| least.min(*latency));
        let mut of_ranks = vec![[T::NOTHING; COMMANDS]; ranks];
        let mut of_all = [T::NOTHING; LANES];
        for command in (0..COMMANDS).filter(|command| moved[*command]) {
            for (banks, of_rank) in latencies[command][..count].chunks_mut(count / ranks).zip(&mut of_ranks) {
                let least = least(banks);
                of_rank[command] = least;
                for latency in banks {
                    *latency = if *latency == least { T::NOTHING } else { *latency };
                }
            }
            of_all[command] = of_ranks.iter().map(|of_rank| of_rank[command]).min().unwrap_or(T::NOTHING);
        }
        add(CHANNEL, of_all);
        if !self.one_rank {
            for (pair, ranks) in of_ranks.chunks(LANES / COMMANDS).enumerate() {
                let mut row = [T::NOTHING; LANES];
                for (of, rank) in row.chunks_mut(COMMANDS).zip(ranks) {
                    of.copy_from_slice(rank);
                }
                add(RANKS + pair, row);
            }
        }
        for command in (0..COMMANDS).filter(|command| moved[*command]) {
            let rows = latencies[command][..count.next_multiple_of(LANES)].as_chunks().0;
            for (row, latencies) in rows.iter().enumerate() {
                add(command * ROWS + row, *latencies);
            }
        }
        raises
    }

    /// The bank's place.
    pub(super) fn place(&self, bank: usize) -> &Place {
        &self.places[bank]
    }

    /// What a bank, and its group, allow.
    #[inline(always)]
    pub(super) fn of_bank(&self, command: usize, bank: usize) -> T {
        self.ready[(command * CAPACITY + bank % CAPACITY) % (ALL * LANES)]
    }

    /// What a bank's rank, and the channel, allow.
    #[inline(always)]
    fn of_rank(&self, command: usize, bank: usize) -> T {
        self.ready[(usize::from(self.rank_rows[bank % CAPACITY]) + command) % (ALL * LANES)]
    }

    /// When a bank is ready for one of the four commands, but for its rank.
    #[inline(always)]
    pub(super) fn bank_ready(&self, command: usize, bank: usize) -> Tick {
        self.base.tick(self.of_bank(command, bank))
    }

    /// Those of some banks whose ranks allow a command at `now`. Lowers `next` to when other ranks do.
    #[inline(always)]
    pub(super) fn allowed(&self, command: usize, banks: S, now: T, next: &mut T) -> S {
        if banks.is_empty() {
            return banks;
        }
        match &self.gates {
            Gates::Channel => {
                let opens = self.of_channel(command);
                if opens > now {
                    *next = opens.min(*next);
                    return S::EMPTY;
                }
                banks
            }
            Gates::Two { first } => {
                let opens = [0, 1].map(|rank| self.ready[RANKS * LANES + rank * COMMANDS + command % COMMANDS]);
                if opens[0].max(opens[1]) <= now {
                    return banks;
                }
                let mut allowed = banks;
                for (opens, of) in opens.into_iter().zip([*first, !*first]) {
                    if opens > now {
                        if !(banks & of).is_empty() {
                            *next = opens.min(*next);
                        }
                        allowed = allowed.without(of);
                    }
                }
                allowed
            }
            Gates::Many(ranks) => {
                let mut allowed = banks;
                for (rank, of) in ranks.iter().enumerate().filter(|(_, of)| !(banks & **of).is_empty()) {
                    let opens = self.ready[(RANKS * LANES + rank * COMMANDS + command) % (ALL * LANES)];
                    if opens > now {
                        *next = opens.min(*next);
                        allowed = allowed.without(*of);
                    }
                }
                allowed
            }
        }
    }

    /// What no bank is ready before.
    #[inline(always)]
    pub(super) fn of_channel(&self, command: usize) -> T {
        self.ready[(CHANNEL * LANES + command) % (ALL * LANES)]
    }

    /// When a bank is ready for one of the four commands.
    #[inline(always)]
    pub(super) fn ready(&self, command: usize, bank: usize) -> Tick {
        self.base.tick(self.of_bank(command, bank).max(self.of_rank(command, bank)))
    }

    /// The tick before which no bank is ready for one of the four commands.
    #[inline(always)]
    pub(super) fn floor(&self, command: usize) -> Tick {
        self.base.tick(self.of_channel(command))
    }

    /// The least ticks from one of the commands to one of the four at the same bank.
    pub(super) fn least(&self, number: usize, command: usize) -> Tick {
        self.least[number][command]
    }

    /// When a place is ready for another command.
    pub(super) fn ready_for_other(&mut self, command: Command, place: &Place) -> Tick {
        self.work_out();
        self.others.ready_at(command, place)
    }

    /// Works out what has been noted for later. Ticks of a node only rise, so the order of commands does not count.
    fn work_out(&mut self) {
        if self.noted != Noted::Later {
            return;
        }
        let mut rest = self.later;
        while !rest.is_empty() {
            let bank = rest.first() % CAPACITY;
            rest = rest.without_first();
            if self.last[PRE * CAPACITY + bank] > self.last[ACT * CAPACITY + bank] {
                self.later.remove(bank);
            }
            for (number, command) in self.sent.iter().enumerate().take(self.sends) {
                let tick = std::mem::take(&mut self.last[number * CAPACITY + bank]);
                if tick > 0 {
                    self.others.issue(*command, &self.places[bank], tick);
                }
            }
        }
    }

    /// The last tick that can be gone to before [`Self::rebase`].
    #[inline]
    pub(super) fn horizon(&self) -> Tick {
        self.base.horizon::<T>()
    }

    /// Counts ticks from a later base.
    #[cold]
    pub(super) fn rebase(&mut self, tick: Tick) {
        let ends = self.memories.iter_mut().flat_map(Memory::ends);
        self.base.move_to(tick, std::iter::once(&mut self.ready[..]).chain(ends));
    }

    /// The tick that was gone to, or one before it.
    #[inline(always)]
    pub(super) fn offset(&self, tick: Tick) -> T {
        self.base.offset(tick)
    }

    /// The tick of an offset, which may be never.
    #[inline(always)]
    pub(super) fn tick(&self, offset: T) -> Tick {
        if offset == T::NEVER { Tick::MAX } else { self.base.tick(offset) }
    }

    /// Those of some banks that are ready for a command at `now`. Lowers `next` to when others are.
    #[inline(always)]
    pub(super) fn which_ready(&self, command: usize, banks: S, now: T, next: &mut T) -> S {
        let mut which = self.allowed(command, banks, now, next);
        let mut rest = which;
        while !rest.is_empty() {
            let bank = rest.first();
            rest = rest.without_first();
            let ready = self.of_bank(command, bank);
            if ready > now {
                *next = ready.min(*next);
                which.remove(bank);
            }
        }
        which
    }

    /// The oldest of the requests of those of some banks that are ready for a command at `tick`.
    #[inline(always)]
    pub(super) fn scan(&self, command: usize, banks: S, requests: &[Key; CAPACITY], tick: Tick) -> Scan {
        let mut next = T::NEVER;
        let mut rest = self.which_ready(command, banks, self.offset(tick), &mut next);
        if rest.is_empty() {
            return Scan { next: self.tick(next), ..Scan::NOTHING };
        }
        let bank = rest.first();
        rest = rest.without_first();
        let mut scan = Scan { oldest: requests[bank % CAPACITY], bank: bank as u16, next: tick };
        if rest.is_empty() {
            scan.next = self.tick(next);
        }
        while !rest.is_empty() {
            let bank = rest.first();
            rest = rest.without_first();
            let request = requests[bank % CAPACITY];
            if request < scan.oldest {
                (scan.oldest, scan.bank) = (request, bank as u16);
            }
        }
        scan
    }

    /// Notes that a command, one of the numbers above, is issued to a bank.
    #[inline(always)]
    pub(super) fn issue(&mut self, number: usize, bank: usize, tick: Tick) {
        let now = self.offset(tick);
        let index = (number * CAPACITY + bank % CAPACITY) % (SENT * CAPACITY);
        let (ready, memories) = (&mut self.ready, &mut self.memories);
        match number {
            ACT => raise_all(&self.activation, bank, now, ready, memories),
            PRE => raise_all(&self.precharge, bank, now, ready, memories),
            RD => raise_all(&self.read, bank, now, ready, memories),
            WR => raise_all(&self.write, bank, now, ready, memories),
            _ => raise_all(&self.further[number - COMMANDS], bank, now, ready, memories),
        }
        self.last[index] = tick;
        if number == ACT {
            self.later.insert(bank);
        }
        if self.noted == Noted::AtOnce {
            self.issue_to_others(number, bank, tick);
        }
    }

    #[inline(never)]
    fn issue_to_others(&mut self, number: usize, bank: usize, tick: Tick) {
        match &self.others_moves[number * CAPACITY + bank % CAPACITY] {
            Some(moves) => self.others.issue_moves(moves, tick),
            None => self.others.issue(self.sent[number], &self.places[bank], tick),
        }
    }

    /// Notes that a command is issued to a place.
    #[cold]
    pub(super) fn issue_at(&mut self, command: Command, place: &Place, tick: Tick) {
        self.work_out();
        self.others.issue(command, place, tick);
        let now = self.offset(tick);
        let effects = self.table.effects[self.table.id(command)].clone();
        for rule in &effects.own {
            for node in self.table.matched(place, rule.level) {
                self.hold(rule.level, node, rule.following, now.plus(T::of(rule.latency.into())));
            }
        }
        for rule in effects.siblings.iter().filter(|rule| rule.level <= place.level) {
            let own = self.table.above(place, rule.level);
            for node in self.table.family(rule.level, own).filter(|node| *node != own) {
                self.hold(rule.level, node, rule.following, now.plus(T::of(rule.latency.into())));
            }
        }
        for rule in &effects.windows {
            for node in self.table.matched(place, rule.level) {
                let end = now.plus(T::of(rule.latency.into()));
                let free = self.memories[memory_of(rule, node)].slide(end);
                self.hold(rule.level, node, rule.following, free);
            }
        }
    }

    /// A node does not allow a command before a tick.
    fn hold(&mut self, level: u8, node: u32, following: u8, tick: T) {
        if let Some(command) = self.number(following) {
            let banks = self.banks(level, node);
            for ready in &mut self.ready[command * CAPACITY..][banks] {
                *ready = (*ready).max(tick);
            }
        }
    }
}

/// Which memory a window at a node has.
fn memory_of(rule: &WindowRule, node: u32) -> usize {
    rule.history as usize + node as usize * (usize::from(rule.window) + 1)
}

/// What counts as a rank: pseudo-channels, where there are some. What concerns one of several ranks of a pseudo-channel is
/// with its banks.
fn rank_count(organisation: &Organisation) -> u32 {
    let level = if organisation.pseudo_channels > 1 { Level::PseudoChannel } else { Level::Rank };
    organisation.nodes(level)
}

/// Where the ticks of a rank begin. The only rank is the channel.
fn rank_ticks(rank: usize, one_rank: bool) -> usize {
    if one_rank { CHANNEL * LANES } else { RANKS * LANES + rank * COMMANDS }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timing::standard::STANDARDS;

    /// Random commands at random banks, at once and after long pauses, against the state that answers for any command.
    fn check<S: BankSet, T: Offset>(table: &RuleTable, banks: u64, seed: u64) {
        let mut asked = TimingState::new(table.clone());
        let mut times = Times::<S, T>::new(table.clone(), |_, _| 0);
        let mut dice = seed;
        let mut below = |count: u64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % count
        };
        let mut tick = 1;
        for _ in 0..400 {
            let pause = [1, 4, 40, 20_000][below(40).min(3) as usize];
            tick += below(pause);
            if tick > times.horizon() {
                times.rebase(tick);
            }
            let (number, bank) = (below(7) as usize, below(banks) as usize);
            let command = times.sent[number];
            let place = *times.place(bank);
            if table.has(command) {
                times.issue(number, bank, tick);
                asked.issue(command, &place, tick);
            }
            if below(60) == 0 && table.has(Command::RefAb) {
                let rank = table.node(Level::Rank, below(table.organisation().nodes(Level::Rank).into()) as u32);
                times.issue_at(Command::RefAb, &rank, tick);
                asked.issue(Command::RefAb, &rank, tick);
            }
            for (number, command) in times.commands.into_iter().enumerate() {
                for bank in 0..banks as usize {
                    let ready = asked.ready_at(command, times.place(bank));
                    assert_eq!(times.ready(number, bank).max(tick), ready.max(tick), "{command} {bank} {tick}");
                    assert!(times.floor(number) <= ready.max(tick));
                }
            }
        }
    }

    #[test]
    fn is_what_is_worked_out_at_once_what_is_asked() {
        for (seed, standard) in STANDARDS.iter().enumerate() {
            for ranks in [1, 2] {
                let preset = &standard.organisations[0];
                let timing = standard.timing(standard.timings[0].name, preset).unwrap();
                let organisation = Organisation { ranks, ..preset.organisation };
                let table = RuleTable::of_standard(standard, &organisation, &timing, standard.commands);
                let banks = u64::from(organisation.nodes(Level::Bank));
                assert!(Tick::from(table.longest()) <= i16::REACH);
                check::<u128, i16>(&table, banks, seed as u64);
                check::<u128, i64>(&table, banks, 100 + seed as u64);
            }
        }
    }

    /// What refresh asks for is the same whether it was worked out at once or later: banks are activated, accessed and
    /// precharged at random, and now and then somebody asks.
    #[test]
    fn is_what_refresh_asks_for_what_was_issued() {
        for (seed, standard) in STANDARDS.iter().enumerate() {
            let preset = &standard.organisations[0];
            let timing = standard.timing(standard.timings[0].name, preset).unwrap();
            let unused = [Command::RefPb, Command::RfmAb, Command::RfmPb];
            let commands: Vec<Command> =
                standard.commands.iter().copied().filter(|command| !unused.contains(command)).collect();
            let table = RuleTable::of_standard(standard, &preset.organisation, &timing, &commands);
            let mut asked = TimingState::new(table.clone());
            let mut times = Times::<u128, i64>::new(table.clone(), |_, _| 0);
            assert!(times.noted == Noted::Later, "{}", standard.name);
            let banks = table.organisation().nodes(Level::Bank) as usize;
            let mut open = vec![false; banks];
            let (mut dice, mut tick, mut answers) = (seed as u64, 1, 0);
            for _ in 0..4_000 {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                tick += dice >> 33 & 7;
                let bank = (dice >> 36) as usize % banks.min(6);
                let number = match (open[bank], dice >> 50 & 3) {
                    (false, _) => ACT,
                    (true, 0) => PRE,
                    (true, access) => RD + (access & 1) as usize,
                };
                open[bank] = number != PRE;
                times.issue(number, bank, tick);
                asked.issue(times.sent[number], &times.places[bank], tick);
                if (dice >> 56).is_multiple_of(8) {
                    answers += 1;
                    for command in [Command::PreA, Command::RefAb] {
                        let place = table.node(standard.refresh_level, 0);
                        let ready = times.ready_for_other(command, &place);
                        assert_eq!(ready.max(tick), asked.ready_at(command, &place).max(tick), "{command} {tick}");
                    }
                }
            }
            assert!(answers > 300);
        }
    }

    /// The least ticks between two commands at one bank are those of the rules.
    #[test]
    fn is_a_bank_open_after_trcd() {
        let standard = crate::timing::standard::Standard::named("DDR4").unwrap();
        let preset = standard.organisation("DDR4_8Gb_x8").unwrap();
        let timing = standard.timing("DDR4_3200AA", preset).unwrap();
        let table = RuleTable::of_standard(standard, &preset.organisation, &timing, standard.commands);
        let times = Times::<u64, i16>::new(table, |_, _| 1);
        assert_eq!([RD, WR, PRE].map(|command| times.least(ACT, command)), [22, 22, 52]);
        assert_eq!(times.least(RD, ACT), 0);
    }
}
