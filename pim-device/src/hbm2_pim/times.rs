//! When a rank allows its commands: the constraint table, looked up once for each command and bank.
//!
//! A command waits for its bank, for its bank group and for the rank; each keeps the first cycle that it allows. Issuing a
//! command moves a few of these cycles, which are listed for each command and bank.

use crate::command::Command;
use crate::constraint::Constraint;
use crate::organisation::{Level, Organisation};
use crate::timing::Parameter;

/// Commands to a bank, by number.
pub(super) const KINDS: [Command; 4] = [Command::Act, Command::Pre, Command::Rd, Command::Wr];
pub(super) const ACT: usize = 0;
pub(super) const PRE: usize = 1;
pub(super) const RD: usize = 2;
pub(super) const WR: usize = 3;

/// Banks of a rank, as many as a word of the queue has bits, and so many bank groups at most.
pub(super) const BANKS: usize = 32;
/// The rank, its bank groups, its banks: places of the cycles of one command.
const GROUP: usize = 1;
const BANK: usize = GROUP + BANKS;
const NODES: usize = 128;
const ENTRIES: usize = KINDS.len() * NODES;

/// A cycle that a command moves, and by how much.
#[derive(Clone, Copy, Debug)]
struct Move {
    entry: u32,
    cycles: u32,
}

/// Moves are looked at so many at a time; the list of a command is filled up with one that moves nothing.
const AT_ONCE: usize = 4;
/// A place that no command waits for.
const NOTHING: Move = Move { entry: NODES as u32 - 1, cycles: 0 };

/// A constraint that counts from one of the last commands: it moves a cycle to when the oldest of them stops counting.
#[derive(Clone, Copy, Debug)]
struct Window {
    entry: u32,
    cycles: u32,
    commands: u32,
    /// Where its memory begins.
    memory: u32,
}

/// What a command at a bank does: parts of the lists of moves and windows.
#[derive(Clone, Copy, Debug, Default)]
struct Effect {
    moves: (u32, u32),
    windows: (u32, u32),
}

/// Configuration and state of one rank.
#[derive(Clone, Debug)]
pub(super) struct Times {
    /// Configuration: bank group of each bank.
    groups: [u8; BANKS],
    /// Configuration: by command and bank, then the refresh of the rank.
    effects: Box<[Effect; KINDS.len() * BANKS + 1]>,
    moves: Box<[Move]>,
    windows: Box<[Window]>,
    /// Configuration: the cycles that any command moves.
    used: Box<[u16]>,
    /// State: by command, then rank, bank groups and banks.
    ready: Box<[u64; ENTRIES]>,
    /// State: of each window when its last commands stop counting, the newest first.
    memory: Vec<u64>,
}

/// The number of the refresh.
const REFRESH: usize = KINDS.len() * BANKS;

impl Times {
    /// Nothing has been issued. Of `table` what holds within a rank counts.
    pub(super) fn new(
        organisation: &Organisation,
        table: &[Constraint],
        cycles_of: impl Fn(Parameter) -> u32 + Copy,
    ) -> Self {
        let banks = (organisation.banks_per_rank() as usize).min(BANKS);
        let per_group = organisation.banks.max(1) as usize;
        let groups = std::array::from_fn(|bank| (bank / per_group) as u8);
        let mut effects = Box::new([Effect::default(); REFRESH + 1]);
        let (mut moves, mut windows): (Vec<Move>, Vec<Window>) = (Vec::new(), Vec::new());
        let mut memory = 0;
        // Windows of one node are the same for all banks in it.
        let mut known: Vec<(usize, u32)> = Vec::new();
        for (number, effect) in effects.iter_mut().enumerate() {
            let (preceding, bank) = match KINDS.get(number / BANKS) {
                Some(kind) => (*kind, Some(number % BANKS)),
                None => (Command::RefAb, None),
            };
            if bank.is_some_and(|bank| bank >= banks) {
                continue;
            }
            let begin = (moves.len(), windows.len());
            for (at, line) in table.iter().enumerate().filter(|(_, line)| line.preceding.contains(&preceding)) {
                let cycles = line.latency.cycles(cycles_of);
                for (kind, _) in KINDS.iter().enumerate().filter(|(_, kind)| line.following.contains(kind)) {
                    for node in nodes(line.level, bank, banks, per_group) {
                        let entry = (kind * NODES + node) as u32;
                        if line.window <= 1 {
                            match moves[begin.0..].iter_mut().find(|known| known.entry == entry) {
                                Some(known) => known.cycles = known.cycles.max(cycles),
                                None => moves.push(Move { entry, cycles }),
                            }
                            continue;
                        }
                        let commands = u32::from(line.window);
                        let place = known.iter().position(|&one| one == (at, entry)).unwrap_or_else(|| {
                            known.push((at, entry));
                            known.len() - 1
                        });
                        // Every line's memory is as long as the longest window.
                        let first = place as u32 * u32::from(u8::MAX);
                        memory = memory.max((place + 1) * usize::from(u8::MAX));
                        windows.push(Window { entry, cycles, commands, memory: first });
                    }
                }
            }
            moves.resize(begin.0 + (moves.len() - begin.0).next_multiple_of(AT_ONCE), NOTHING);
            let part = |begin: usize, end: usize| (begin as u32, end as u32);
            *effect = Effect { moves: part(begin.0, moves.len()), windows: part(begin.1, windows.len()) };
        }
        let mut used: Vec<u16> =
            moves.iter().map(|of| of.entry as u16).chain(windows.iter().map(|of| of.entry as u16)).collect();
        used.sort_unstable();
        used.dedup();
        Self {
            groups,
            used: used.into(),
            effects,
            moves: moves.into(),
            windows: windows.into(),
            ready: Box::new([0; ENTRIES]),
            memory: vec![0; memory],
        }
    }

    /// The first cycle at which the rank as a whole allows a command.
    #[inline]
    pub(super) fn wide(&self, kind: usize) -> u64 {
        self.ready[kind * NODES % ENTRIES]
    }

    /// The first cycle at which a bank and its bank group allow a command.
    #[inline]
    pub(super) fn narrow(&self, kind: usize, bank: usize) -> u64 {
        let row = kind * NODES;
        let group = usize::from(self.groups[bank % BANKS]);
        self.ready[(row + GROUP + group) % ENTRIES].max(self.ready[(row + BANK + bank % BANKS) % ENTRIES])
    }

    /// The first cycle for a command to a bank.
    #[inline]
    pub(super) fn ready(&self, kind: usize, bank: usize) -> u64 {
        self.wide(kind).max(self.narrow(kind, bank))
    }

    /// A command is issued to a bank.
    #[inline]
    pub(super) fn issue(&mut self, kind: usize, bank: usize, now: u64) {
        self.apply((kind * BANKS + bank % BANKS) % REFRESH, now);
    }

    /// A refresh of the rank is issued.
    pub(super) fn refresh(&mut self, now: u64) {
        self.apply(REFRESH, now);
    }

    #[inline]
    fn apply(&mut self, number: usize, now: u64) {
        let Effect { moves, windows } = self.effects[number];
        let moves = self.moves.get(moves.0 as usize..moves.1 as usize).unwrap_or_default();
        for moves in moves.as_chunks::<AT_ONCE>().0 {
            for of in moves {
                let ready = &mut self.ready[of.entry as usize % ENTRIES];
                *ready = (*ready).max(now + u64::from(of.cycles));
            }
        }
        if windows.0 != windows.1 {
            self.slide(windows, now);
        }
    }

    #[cold]
    fn slide(&mut self, (begin, end): (u32, u32), now: u64) {
        for of in &self.windows[begin as usize..end as usize] {
            let begin = of.memory as usize;
            let memory = &mut self.memory[begin..begin + of.commands as usize];
            memory.rotate_right(1);
            memory[0] = now + u64::from(of.cycles);
            let ready = &mut self.ready[of.entry as usize % ENTRIES];
            *ready = (*ready).max(memory.last().copied().unwrap_or_default());
        }
    }

    /// Whether nothing counts from further back than the last command of a kind.
    pub(super) fn is_plain(&self) -> bool {
        self.windows.is_empty()
    }

    /// How much later than `now` each place that holds back anything allows each command.
    pub(super) fn after(&self, now: u64, after: &mut Vec<u64>) {
        after.clear();
        after.extend(self.used.iter().map(|&entry| self.ready[usize::from(entry) % ENTRIES].saturating_sub(now)));
    }

    /// What was not allowed at `now` is not allowed for so much longer: what repeats has gone on for so long.
    pub(super) fn forward(&mut self, now: u64, cycles: u64) {
        for &entry in &self.used {
            let ready = &mut self.ready[usize::from(entry) % ENTRIES];
            if *ready > now {
                *ready += cycles;
            }
        }
    }

    /// A bank does not allow a command before this cycle.
    pub(super) fn hold(&mut self, kind: usize, bank: usize, cycle: u64) {
        let ready = &mut self.ready[(kind * NODES + BANK + bank % BANKS) % ENTRIES];
        *ready = (*ready).max(cycle);
    }
}

/// The places of a level at which a command to a bank, or to the whole rank, holds back others.
fn nodes(level: Level, bank: Option<usize>, banks: usize, per_group: usize) -> std::ops::Range<usize> {
    let of = |first: usize, one: Option<usize>, count: usize| match one {
        Some(one) => first + one..first + one + 1,
        None => first..first + count,
    };
    match level {
        // There is one of each in a rank's own state.
        Level::Channel | Level::PseudoChannel | Level::Rank => 0..1,
        Level::BankGroup => of(GROUP, bank.map(|bank| bank / per_group), banks.div_ceil(per_group)),
        Level::Bank => of(BANK, bank, banks),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::hbm2_pim::Hbm2Pim;

    fn times(more: &[Constraint]) -> Times {
        let device = Hbm2Pim::new();
        let within: Vec<Constraint> = device.constraints.iter().filter(|line| !line.sibling).copied().collect();
        Times::new(&device.organisation, &[&within, more].concat(), |parameter| device.timing.get(parameter))
    }

    #[test]
    fn waits_each_command_for_bank_bank_group_and_rank() {
        let mut times = times(&[]);
        times.issue(ACT, 5, 100);
        assert_eq!([ACT, PRE, RD, WR].map(|kind| times.ready(kind, 5)), [147, 133, 114, 110]);
        // tRRDL in its bank group, tRRDS elsewhere.
        assert_eq!([4, 8].map(|bank| times.ready(ACT, bank)), [106, 104]);
        times.issue(RD, 5, 120);
        assert_eq!([5, 4, 8].map(|bank| times.ready(RD, bank)), [124, 124, 122]);
        assert_eq!(times.ready(WR, 8), 120 + 20 + 2 + 1 - 8);
        times.refresh(200);
        assert!((0..16).all(|bank| times.ready(ACT, bank) == 550));
        times.hold(RD, 3, 700);
        assert_eq!((times.ready(RD, 3), times.wide(RD)), (700, 122));
    }

    #[test]
    fn counts_a_window_from_the_fourth_last_command() {
        let window = [crate::constraint::at(
            Level::Rank,
            &[Command::Act],
            &[Command::Act],
            crate::constraint::Latency::fixed(30),
        )
        .window(4)];
        let mut times = times(&window);
        for (bank, cycle) in [(0, 100), (4, 104), (8, 108), (12, 112)] {
            assert!(times.ready(ACT, bank) <= cycle);
            times.issue(ACT, bank, cycle);
        }
        assert_eq!(times.ready(ACT, 6), 130);
    }
}
