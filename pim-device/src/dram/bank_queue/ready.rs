//! When the banks of a rank are ready for a command.
//!
//! The rules of this controller hold at a bank, at its bank group or at the rank. So three short rows of ticks say when a
//! bank is ready for each command: its own, its group's and the rank's; each command raises one of each kind.

use super::{ACT, COMMANDS, REF, RULES, SENT};
use crate::dram::Tick;
use crate::dram::bank_set::CAPACITY;
use crate::dram::offset::{Base, Offset};
use crate::dram::rules::RuleTable;
use crate::organisation::Level;

/// Commands of a row, filled up to one word of the processor where ticks are short.
const LANES: usize = 8;

/// Ticks by command, counted from a base.
#[derive(Clone, Copy, Debug)]
#[repr(align(16))]
struct Row<T>([T; LANES]);

impl<T: Offset> Row<T> {
    /// Raises ticks to what follows a command at `tick`.
    #[inline(always)]
    fn raise(&mut self, tick: T, latencies: &Self) {
        // Both are read before anything is written, so that it is done for all commands at once.
        let (before, latencies) = (*self, *latencies);
        *self = Self(std::array::from_fn(|lane| before.0[lane].max(tick.plus(latencies.0[lane]))));
    }
}

/// What a command makes the rank, its bank group and its bank wait for.
#[derive(Clone, Copy, Debug)]
struct Raises<T> {
    rank: Row<T>,
    group: Row<T>,
    bank: Row<T>,
}

/// The most activations that a window counts.
const WINDOW: usize = 32;

/// An activation waits for the n-th last one of the rank.
#[derive(Clone, Debug)]
struct Window<T> {
    // Configuration.
    latency: T,
    size: u8,
    // State: when each of the last activations stops counting.
    ends: [T; WINDOW],
    oldest: u8,
}

impl<T: Offset> Window<T> {
    /// Notes an activation; says when the next may follow.
    #[inline(always)]
    fn slide(&mut self, tick: T) -> T {
        self.ends[usize::from(self.oldest) % WINDOW] = tick.plus(self.latency);
        self.oldest = if self.oldest + 1 < self.size { self.oldest + 1 } else { 0 };
        self.ends[usize::from(self.oldest) % WINDOW]
    }
}

/// Configuration and state: the timing of a rank.
#[derive(Clone, Debug)]
pub(super) struct Ready<T> {
    // Configuration.
    raises: [Raises<T>; SENT.len()],
    group_of: [u8; CAPACITY],
    // State.
    base: Base,
    rank: Row<T>,
    groups: [Row<T>; CAPACITY],
    banks: [Row<T>; CAPACITY],
    windows: Vec<Window<T>>,
}

impl<T: Offset> Ready<T> {
    /// The state in which nothing has happened. `table` has been made of [`RULES`] and [`SENT`]; no latency is longer than
    /// [`Offset::REACH`].
    pub(super) fn new(table: &RuleTable) -> Self {
        let none = Row([T::NOTHING; LANES]);
        let mut raises = [Raises { rank: none, group: none, bank: none }; SENT.len()];
        let mut windows = Vec::new();
        for (preceding, raises) in raises.iter_mut().enumerate() {
            let effects = &table.effects[table.id(SENT[preceding])];
            for rule in &effects.own {
                let following = usize::from(rule.following);
                // A refresh is for every bank: what one makes it wait for, and what it does itself, is the rank's.
                let row = match Level::ALL[usize::from(rule.level)] {
                    Level::Bank if following != REF && preceding != REF => &mut raises.bank,
                    Level::BankGroup if following != REF && preceding != REF => &mut raises.group,
                    _ => &mut raises.rank,
                };
                row.0[following] = row.0[following].max(T::of(rule.latency.into()));
            }
            for rule in &effects.windows {
                let (latency, size) = (T::of(rule.latency.into()), rule.window);
                windows.push(Window { latency, size, ends: [T::ZERO; WINDOW], oldest: 0 });
            }
        }
        let per_group = table.organisation().banks as usize;
        let zero = Row([T::ZERO; LANES]);
        Self {
            raises,
            group_of: std::array::from_fn(|bank| (bank / per_group) as u8),
            base: Base::new(),
            rank: zero,
            groups: [zero; CAPACITY],
            banks: [zero; CAPACITY],
            windows,
        }
    }

    /// When a bank is ready for a command, but for the rank.
    #[inline(always)]
    pub(super) fn of_bank(&self, command: usize, bank: usize) -> T {
        let group = usize::from(self.group_of[bank % CAPACITY]) % CAPACITY;
        self.banks[bank % CAPACITY].0[command].max(self.groups[group].0[command])
    }

    /// What no bank is ready before.
    #[inline(always)]
    pub(super) fn of_rank(&self, command: usize) -> T {
        self.rank.0[command]
    }

    /// When a bank is ready for a command, or the rank for a refresh.
    pub(super) fn ready(&self, command: usize, bank: usize) -> Tick {
        self.tick(self.of_bank(command, bank).max(self.of_rank(command)))
    }

    /// Notes that a command is issued to a bank.
    #[inline(always)]
    pub(super) fn issue(&mut self, command: usize, bank: usize, tick: Tick) {
        let now = self.offset(tick);
        let raises = &self.raises[command];
        let group = usize::from(self.group_of[bank % CAPACITY]) % CAPACITY;
        self.rank.raise(now, &raises.rank);
        self.groups[group].raise(now, &raises.group);
        self.banks[bank % CAPACITY].raise(now, &raises.bank);
        if command == ACT {
            for window in &mut self.windows {
                let free = window.slide(now);
                self.rank.0[ACT] = self.rank.0[ACT].max(free);
            }
        }
    }

    /// Notes that the rank is refreshed.
    pub(super) fn refresh(&mut self, tick: Tick) {
        self.rank.raise(self.offset(tick), &self.raises[REF].rank);
    }

    /// The last tick that can be gone to before [`Self::rebase`].
    #[inline(always)]
    pub(super) fn horizon(&self) -> Tick {
        self.base.horizon::<T>()
    }

    /// Counts ticks from a later base.
    #[cold]
    pub(super) fn rebase(&mut self, tick: Tick) {
        let rows = self.groups.iter_mut().chain(&mut self.banks).chain([&mut self.rank]);
        let ends = self.windows.iter_mut().map(|window| &mut window.ends[..]);
        self.base.move_to(tick, rows.map(|row| &mut row.0[..]).chain(ends));
    }

    /// The tick that was gone to, or one before it.
    #[inline(always)]
    pub(super) fn offset(&self, tick: Tick) -> T {
        self.base.offset(tick)
    }

    /// The tick of an offset that is not never.
    #[inline(always)]
    pub(super) fn tick(&self, offset: T) -> Tick {
        self.base.tick(offset)
    }
}

/// Windows are of activations at the rank, and no rule is for siblings: there is nothing else that this form holds.
const _: () = {
    let mut line = 0;
    while line < RULES.len() {
        let rule = &RULES[line];
        assert!(!rule.sibling && rule.level as u8 >= Level::Rank as u8);
        assert!(rule.window <= 1 || rule.level as u8 == Level::Rank as u8 && rule.window as usize <= WINDOW);
        line += 1;
    }
    assert!(COMMANDS < LANES && REF < LANES);
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dram::rules::CommandBus;
    use crate::dram::state::TimingState;
    use crate::organisation::Organisation;
    use crate::timing::Parameter;

    /// Random commands at random banks, at once and after long pauses, against the state that answers for any command.
    fn check<T: Offset>(seed: u64) {
        let mut dice = seed;
        let mut below = |count: u64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % count
        };
        let (bank_groups, banks) = (1 + below(11) as u32, 1 + below(11) as u32);
        let organisation = Organisation {
            channels: 1,
            pseudo_channels: 1,
            ranks: 1,
            bank_groups,
            banks,
            rows: 8,
            columns: 8,
            granule: 64,
        };
        let mut times: Vec<u32> = Parameter::ALL.iter().map(|_| below(60) as u32).collect();
        times[Parameter::Rfc as usize] = 300 + below(100) as u32;
        let bus = CommandBus { lengths: &[], two_buses: true };
        let table = RuleTable::new(&organisation, RULES, SENT, bus, |parameter| times[parameter as usize]);
        let (mut asked, mut ready) = (TimingState::new(table.clone()), Ready::<T>::new(&table));
        let rank = table.node(Level::Rank, 0);
        let mut tick = 1;
        for _ in 0..1_000 {
            let pause = [1, 4, 40, 20_000][below(40).min(3) as usize];
            tick += below(pause);
            if tick > ready.horizon() {
                ready.rebase(tick);
            }
            let (command, bank) = (below(4) as usize, below((bank_groups * banks).into()) as usize);
            ready.issue(command, bank, tick);
            asked.issue(SENT[command], &table.node(Level::Bank, bank as u32), tick);
            if below(30) == 0 {
                ready.refresh(tick);
                asked.issue(SENT[REF], &rank, tick);
            }
            for (command, sent) in SENT[..COMMANDS].iter().enumerate() {
                for bank in 0..(bank_groups * banks) as usize {
                    let expected = asked.ready_at(*sent, &table.node(Level::Bank, bank as u32));
                    assert_eq!(ready.ready(command, bank).max(tick), expected.max(tick), "{command} {bank} {tick}");
                }
            }
            assert_eq!(ready.ready(REF, 0).max(tick), asked.ready_at(SENT[REF], &rank).max(tick), "{tick}");
        }
    }

    #[test]
    fn is_what_is_in_three_rows_what_is_asked() {
        for seed in 0..30 {
            check::<i16>(seed);
            check::<i64>(100 + seed);
        }
    }
}
