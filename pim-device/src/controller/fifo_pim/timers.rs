//! From which cycle on a command may be issued to a place: the timing state of the channel, and the spreads of the rule
//! set, which no line of a constraint table can say.

use crate::command::Command;
use crate::dram::{CommandBus, Place, RuleTable, Spot, TimingState};
use crate::organisation::{Level, Organisation};
use crate::timing::Timing;

use super::rules::{BankSet, RuleSet, Spread};

use std::sync::Arc;

/// A bank of the channel by number or, behind the banks, a pseudo-channel as a whole.
pub(super) type Node = u8;

/// Part of a list that lines of a table share.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    first: u32,
    count: u32,
}

impl Part {
    /// Puts `items` at the end of a list.
    fn append<T>(list: &mut Vec<T>, items: impl IntoIterator<Item = T>) -> Self {
        let first = list.len() as u32;
        list.extend(items);
        Self { first, count: list.len() as u32 - first }
    }

    #[inline]
    fn of<T>(self, list: &[T]) -> &[T] {
        list.get(self.first as usize..(self.first + self.count) as usize).unwrap_or_default()
    }
}

/// Configuration: a command at a node.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    /// What holds it back, down to the level to which it is checked.
    spot: Spot,
    /// What it holds back in the timing state: entries and by how much. Nothing where the table has to be asked.
    moves: Part,
    asks_table: bool,
    /// By how much it holds back the next one like it at each entry of `spot`; `None` where there is more to it.
    own: Option<[u32; Level::ALL.len()]>,
    /// After so many cycles the next one like it may go there; 0 where this is not known. Whether it is as long for all
    /// other places.
    period: u32,
    anywhere: bool,
    /// What it holds back in sets of banks, and the sets that hold it back.
    holds: Part,
    held: Part,
}

/// Configuration of all channels.
#[derive(Debug)]
struct Tables {
    rules: Arc<RuleTable>,
    places: Box<[Place]>,
    /// By node and command.
    lines: Box<[[Line; Command::ALL.len()]]>,
    moves: Box<[(u32, u32)]>,
    /// Sets of banks, numbered through all spreads, and by how much.
    holds: Box<[(u32, u32)]>,
    held: Box<[u32]>,
    /// By command: what holds it back anywhere in the channel.
    channel: [Spot; Command::ALL.len()],
    /// Commands that hold back sets of banks, and that are held back there; a bit each.
    holding: u32,
    waiting: u32,
    /// By command: nothing that it holds back waits longer.
    reach: [u64; Command::ALL.len()],
    /// Commands of which more than the last one at a place counts; a bit each.
    windowed: u32,
}

/// Configuration and state of one channel.
#[derive(Clone, Debug)]
pub(super) struct Timers {
    tables: Arc<Tables>,
    timing: TimingState,
    /// By set of banks: a constraint of it is over from this cycle on.
    sets: Vec<u64>,
    /// By command: nodes to which it was issued not long ago, a bit each, and by node when it was.
    recent: [BankSet; Command::ALL.len()],
    last: [Vec<u64>; Command::ALL.len()],
}

impl Timers {
    pub(super) fn new(rules: &RuleSet, organisation: &Organisation, cycles: &Timing) -> Self {
        let commands: Vec<Command> = rules.commands.iter().map(|rule| rule.command).collect();
        let cycles_of = |parameter| cycles.get(parameter);
        let bus = CommandBus { lengths: &[], two_buses: true };
        let table = RuleTable::new(organisation, rules.constraints, &commands, bus, cycles_of);
        let banks = organisation.banks_per_channel();
        let wholes = (0..organisation.pseudo_channels).map(|whole| table.node(Level::PseudoChannel, whole));
        let places: Box<[Place]> = (0..banks).map(|bank| table.node(Level::Bank, bank)).chain(wholes).collect();
        let resolved = Arc::new(table);
        let timing = TimingState::new(Arc::clone(&resolved));
        let mut lines = vec![[Line::default(); Command::ALL.len()]; places.len()];
        let mut channel = [Spot::default(); Command::ALL.len()];
        let (mut moves, mut holds, mut held) = (Vec::new(), Vec::new(), Vec::new());
        let (mut holding, mut waiting) = (0, 0);
        // The sets of banks in which a bank-level constraint holds: of (preceding, following, spread).
        let mut spreads: Vec<Held> = Vec::new();
        let mut sets = 0;
        for &(preceding, spread) in rules.spreads {
            let lines = rules.constraints.iter();
            for line in lines.filter(|line| line.level == Level::Bank && line.preceding.contains(&preceding)) {
                for &following in line.following {
                    let cycles = line.latency.cycles(cycles_of);
                    spreads.push(Held { preceding, following, spread, cycles, first: sets });
                    sets += spread.groups(organisation);
                    holding |= bit(preceding);
                    waiting |= bit(following);
                }
            }
        }
        for rule in rules.commands {
            let command = rule.command;
            channel[command.index()] = timing.spot(command, &places[0], Level::Channel);
            for (node, place) in places.iter().enumerate() {
                let line = &mut lines[node][command.index()];
                let of_place = timing.moves(command, place);
                line.spot = timing.spot(command, place, rule.checked_to);
                line.asks_table = of_place.is_none();
                line.own = timing.own_moves(command, place, &line.spot);
                let longest = line.own.iter().flatten().max().copied().unwrap_or(0);
                let anywhere = timing.own_moves(command, place, &channel[command.index()]);
                line.period = longest;
                line.anywhere = anywhere.is_some_and(|own| own.contains(&longest));
                line.moves = Part::append(&mut moves, of_place.into_iter().flatten());
                let Some(bank) = u32::try_from(node).ok().filter(|bank| *bank < banks) else { continue };
                let own = spreads.iter().filter(|held| held.preceding == command);
                let sets =
                    own.filter_map(|held| Some((held.first + held.spread.held_back(organisation, bank)?, held.cycles)));
                line.holds = Part::append(&mut holds, sets);
                let own = spreads.iter().filter(|held| held.following == command);
                line.held = Part::append(&mut held, own.map(|held| held.first + held.spread.group(organisation, bank)));
            }
        }
        let (mut reach, mut windowed) = ([0; Command::ALL.len()], 0);
        for line in rules.constraints {
            for &preceding in line.preceding {
                let reach = &mut reach[preceding.index()];
                *reach = u64::from(line.latency.cycles(cycles_of)).max(*reach);
                windowed |= if line.window > 1 { bit(preceding) } else { 0 };
            }
        }
        let tables = Tables {
            rules: resolved,
            reach,
            windowed,
            places,
            lines: lines.into(),
            moves: moves.into(),
            holds: holds.into(),
            held: held.into(),
            channel,
            holding,
            waiting,
        };
        Self {
            tables: Arc::new(tables),
            timing,
            sets: vec![0; sets as usize],
            recent: [0; Command::ALL.len()],
            last: std::array::from_fn(|_| Vec::new()),
        }
    }

    /// Of another channel, to which nothing has been issued.
    pub(super) fn fresh(&self) -> Self {
        Self {
            tables: Arc::clone(&self.tables),
            timing: TimingState::new(Arc::clone(&self.tables.rules)),
            sets: vec![0; self.sets.len()],
            recent: [0; Command::ALL.len()],
            last: std::array::from_fn(|_| Vec::new()),
        }
    }

    /// Writes down what was issued and can still hold back something at `now`; `false` where that would not do.
    pub(super) fn describe(&mut self, now: u64, key: &mut Vec<u32>) -> bool {
        let count = key.len();
        key.push(0);
        for (command, recent) in self.recent.iter_mut().enumerate() {
            let reach = self.tables.reach[command];
            let mut nodes = *recent;
            while nodes != 0 {
                let node = nodes.trailing_zeros();
                nodes &= nodes - 1;
                let age = now - self.last[command][node as usize];
                if age >= reach {
                    *recent &= !(1 << node);
                    continue;
                }
                let Ok(age) = u16::try_from(age) else { return false };
                if self.tables.windowed >> command & 1 != 0 {
                    return false;
                }
                key.push((command as u32) << 24 | node << 16 | u32::from(age));
            }
        }
        key[count] = (key.len() - count - 1) as u32;
        true
    }

    /// Puts in place what [`Self::describe`] has written down, now that all that was issued before is no later.
    pub(super) fn put(&mut self, now: u64, words: &mut impl Iterator<Item = u32>) {
        let count = words.next().unwrap_or(0);
        for word in words.take(count as usize) {
            let (command, node, age) = (word >> 24, (word >> 16) as u8, u64::from(word as u16));
            self.issue(Command::ALL[command as usize], node, now - age);
        }
    }

    /// From when on a command may be issued to a node, if nothing else is issued before.
    #[inline]
    pub(super) fn ready(&self, command: Command, node: Node) -> u64 {
        let line = &self.tables.lines[usize::from(node)][command as usize];
        let ready = self.timing.ready_at_spot(&line.spot);
        if self.tables.waiting & bit(command) == 0 { ready } else { ready.max(self.ready_in_sets(line)) }
    }

    #[cold]
    fn ready_in_sets(&self, line: &Line) -> u64 {
        let sets = line.held.of(&self.tables.held).iter();
        sets.map(|&set| self.sets[set as usize]).max().unwrap_or(0)
    }

    /// Not before this may a command be issued anywhere in the channel.
    #[inline]
    pub(super) fn ready_at_channel(&self, command: Command) -> u64 {
        self.timing.ready_at_spot(&self.tables.channel[command as usize])
    }

    /// Issues a command to a node, if it may be now, as far as the next one of the same command is concerned:
    /// [`Self::settle`] has to follow before another command asks. `false` also where that cannot be told apart.
    #[inline]
    pub(super) fn issue_own(&mut self, command: Command, node: Node, now: u64) -> bool {
        let line = &self.tables.lines[usize::from(node)][command as usize];
        let issued = line.own.as_ref().is_some_and(|own| self.timing.issue_own(&line.spot, own, now));
        if issued {
            match self.last[command as usize].get_mut(usize::from(node)) {
                Some(last) => *last = now,
                None => self.first(command, node, now),
            }
        }
        issued
    }

    /// After so many cycles a command may be issued again to a node, and whether anywhere else not before either.
    #[inline]
    pub(super) fn period(&self, command: Command, node: Node) -> Option<(u64, bool)> {
        let Line { period, anywhere, .. } = self.tables.lines[usize::from(node)][command as usize];
        (period > 0).then_some((period.into(), anywhere))
    }

    /// What [`Self::issue_own`] has issued to these nodes, the last time to each, is told to all other commands.
    pub(super) fn settle(&mut self, command: Command, mut nodes: BankSet) {
        while nodes != 0 {
            let node = nodes.trailing_zeros();
            nodes &= nodes - 1;
            let last = self.last[command as usize].get(node as usize).copied();
            self.issue(command, node as Node, last.unwrap_or_default());
        }
    }

    /// Whether [`Self::issue_own`] is for this command: no set of banks holds it back.
    #[inline]
    pub(super) fn has_own(&self, command: Command) -> bool {
        self.tables.waiting & bit(command) == 0
    }

    /// The first command of its kind.
    #[cold]
    fn first(&mut self, command: Command, node: Node, now: u64) {
        let last = &mut self.last[command as usize];
        last.resize(self.tables.places.len(), 0);
        last[usize::from(node)] = now;
    }

    /// A command is issued to a node; one that was issued before another may be told after it.
    pub(super) fn issue(&mut self, command: Command, node: Node, now: u64) {
        self.recent[command as usize] |= 1 << node;
        match self.last[command as usize].get_mut(usize::from(node)) {
            Some(last) => *last = now,
            None => self.first(command, node, now),
        }
        let line = &self.tables.lines[usize::from(node)][command as usize];
        if line.asks_table {
            self.timing.issue(command, &self.tables.places[usize::from(node)], now);
        } else {
            self.timing.issue_moves(line.moves.of(&self.tables.moves), now);
        }
        if self.tables.holding & bit(command) != 0 {
            for &(set, cycles) in line.holds.of(&self.tables.holds) {
                let ready = &mut self.sets[set as usize];
                *ready = (*ready).max(now + u64::from(cycles));
            }
        }
    }
}

/// A bank-level constraint that holds in sets of banks.
#[derive(Clone, Copy, Debug)]
struct Held {
    preceding: Command,
    following: Command,
    spread: Spread,
    cycles: u32,
    /// Number of its first set.
    first: u32,
}

#[inline]
const fn bit(command: Command) -> u32 {
    1 << command as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PowerLimit;
    use crate::command::Command::{Act, ActAb, MacAb, MacPb, MacSb, MvSb, PreA, PrePb, PreSb, RefAb, Sfm, Wr};
    use crate::constraint::attacc::RULES;
    use crate::timing::hbm3::gbps_5_2;

    const NOW: u64 = 10_000;
    /// The node of pseudo-channel 1 as a whole, as refreshes address it.
    const WHOLE: Node = 65;

    /// `following` may be issued `cycles` after `preceding`, and not one earlier; 0 where it does not wait.
    #[track_caller]
    fn check(preceding: (Command, Node), following: (Command, Node), cycles: u64) {
        let mut timers = Timers::new(&RULES, &Organisation::HBM3_8GB_2R, &gbps_5_2(PowerLimit::On));
        timers.issue(preceding.0, preceding.1, NOW);
        let ready = timers.ready(following.0, following.1);
        assert_eq!(ready.saturating_sub(NOW), cycles, "{preceding:?} to {following:?}");
    }

    #[test]
    fn waits_each_command_as_long_as_the_simulator_says() {
        check((ActAb, 0), (MacAb, 0), 19);
        check((MacAb, 0), (MacAb, 0), 6);
        check((MacAb, 0), (PreA, 0), 8);
        check((RefAb, 65), (ActAb, 32), 456);
        check((RefAb, 65), (ActAb, 0), 0);
        check((MvSb, 0), (MvSb, 1), 4);
        check((MvSb, 0), (MvSb, 4), 2);
        check((Wr, 0), (MvSb, 4), 2);
    }

    #[test]
    fn is_a_command_of_the_channel_not_held_back_below_it() {
        check((PreA, 0), (RefAb, 64), 0);
        check((MvSb, 0), (Sfm, 0), 0);
        check((Sfm, 0), (MvSb, 0), 4);
        check((Act, 0), (PreA, 0), 2);
        check((MacSb, 0), (PreA, WHOLE), 0);
    }

    #[test]
    fn do_bank_constraints_of_macs_reach_further_banks() {
        // Bank 2 of every bank group.
        check((MacSb, 2), (PreSb, 32 + 8 + 2), 8);
        check((MacSb, 2), (PreSb, 32 + 8 + 3), 0);
        // Rank 1: bank group 1 of rank 0.
        check((MacPb, 16 + 12 + 2), (PrePb, 16 + 12 + 2), 8);
        check((MacPb, 16 + 12 + 2), (PrePb, 6), 8);
        check((MacPb, 16 + 12 + 2), (PrePb, 32 + 6), 8);
        check((MacPb, 16 + 12 + 2), (PrePb, 2), 0);
    }
}
