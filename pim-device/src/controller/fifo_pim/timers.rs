//! From which cycle on a command may be issued to a place: the timing state of the channel, and the spreads of the rule
//! set, which no line of a constraint table can say.

use crate::command::Command;
use crate::dram::{CommandBus, Place, RuleTable, Spot, TimingState};
use crate::organisation::{Level, Organisation};
use crate::timing::Timing;

use super::rules::{RuleSet, Spread};

use std::sync::Arc;

/// A bank of the channel by number or, behind the banks, a pseudo-channel as a whole.
pub(super) type Node = u8;

/// What issuing a command moves in the timing state, looked up: entries and by how much.
type Moves = Option<Box<[(u32, u32)]>>;

/// A bank-level constraint that holds in a set of banks.
#[derive(Clone, Debug)]
struct Held {
    preceding: Command,
    following: Command,
    cycles: u64,
    /// By bank: the set it is in, and the one that it holds back.
    member: Vec<u8>,
    holds: Vec<Option<u8>>,
    /// State, by set: from this cycle on.
    ready: Vec<u64>,
}

impl Held {
    fn of(spread: Spread, organisation: &Organisation) -> Self {
        let banks = 0..organisation.banks_per_channel();
        Self {
            preceding: Command::PreA,
            following: Command::PreA,
            cycles: 0,
            member: banks.clone().map(|bank| spread.group(organisation, bank) as u8).collect(),
            holds: banks.map(|bank| spread.held_back(organisation, bank).map(|set| set as u8)).collect(),
            ready: vec![0; spread.groups(organisation) as usize],
        }
    }
}

/// Configuration and state of one channel.
#[derive(Clone, Debug)]
pub(super) struct Timers {
    timing: TimingState,
    places: Arc<[Place]>,
    /// By command and node: what holds it back, down to the level to which it is checked.
    spots: Arc<[[Spot; Command::ALL.len()]]>,
    /// By command and node: what it holds back; `None` where the table has to be asked.
    moves: Arc<[[Moves; Command::ALL.len()]]>,
    /// By command: what holds it back anywhere in the channel.
    channel: Arc<[Spot; Command::ALL.len()]>,
    /// In the order of what precedes, and by command: which of them.
    held: Vec<Held>,
    held_by: [(u8, u8); Command::ALL.len()],
    /// Commands that hold back, and are held back, in sets of banks; a bit each.
    holding: u32,
    waiting: u32,
}

impl Timers {
    pub(super) fn new(rules: &RuleSet, organisation: &Organisation, cycles: &Timing) -> Self {
        let commands: Vec<Command> = rules.commands.iter().map(|rule| rule.command).collect();
        let cycles_of = |parameter| cycles.get(parameter);
        let bus = CommandBus { lengths: &[], two_buses: true };
        let table = RuleTable::new(organisation, rules.constraints, &commands, bus, cycles_of);
        let banks = (0..organisation.banks_per_channel()).map(|bank| table.node(Level::Bank, bank));
        let wholes = (0..organisation.pseudo_channels).map(|whole| table.node(Level::PseudoChannel, whole));
        let places: Arc<[Place]> = banks.chain(wholes).collect();
        let timing = TimingState::new(table);
        let nothing = || [Spot::default(); Command::ALL.len()];
        let (mut spots, mut channel) = (vec![nothing(); places.len()], nothing());
        let mut moves: Vec<[Moves; Command::ALL.len()]> =
            places.iter().map(|_| std::array::from_fn(|_| None)).collect();
        for rule in rules.commands {
            let command = rule.command;
            channel[command.index()] = timing.spot(command, &places[0], Level::Channel);
            for (node, place) in places.iter().enumerate() {
                spots[node][command.index()] = timing.spot(command, place, rule.checked_to);
                moves[node][command.index()] = timing.moves(command, place).map(Vec::into_boxed_slice);
            }
        }
        let mut held = Vec::new();
        for &(preceding, spread) in rules.spreads {
            let lines = rules.constraints.iter();
            for line in lines.filter(|line| line.level == Level::Bank && line.preceding.contains(&preceding)) {
                let cycles = u64::from(line.latency.cycles(cycles_of));
                let line = line.following.iter();
                held.extend(line.map(|&following| Held {
                    preceding,
                    following,
                    cycles,
                    ..Held::of(spread, organisation)
                }));
            }
        }
        held.sort_by_key(|held: &Held| held.preceding);
        let mut held_by = [(0, 0); Command::ALL.len()];
        for (command, of_command) in Command::ALL.into_iter().zip(&mut held_by) {
            let before = |until: Command| held.iter().filter(|held| held.preceding < until).count() as u8;
            let own = held.iter().filter(|held| held.preceding == command).count() as u8;
            *of_command = (before(command), before(command) + own);
        }
        let bits = |commands: &mut dyn Iterator<Item = Command>| commands.fold(0, |set, command| set | bit(command));
        Self {
            timing,
            places,
            spots: spots.into(),
            moves: moves.into(),
            channel: Arc::new(channel),
            holding: bits(&mut held.iter().map(|held| held.preceding)),
            waiting: bits(&mut held.iter().map(|held| held.following)),
            held,
            held_by,
        }
    }

    /// From when on a command may be issued to a node, if nothing else is issued before.
    #[inline]
    pub(super) fn ready(&self, command: Command, node: Node) -> u64 {
        let ready = self.timing.ready_at_spot(&self.spots[usize::from(node)][command.index()]);
        if self.waiting & bit(command) == 0 { ready } else { ready.max(self.ready_in_sets(command, node)) }
    }

    #[cold]
    fn ready_in_sets(&self, command: Command, node: Node) -> u64 {
        let held = self.held.iter().filter(|held| held.following == command);
        held.filter_map(|held| Some(held.ready[usize::from(*held.member.get(usize::from(node))?)])).max().unwrap_or(0)
    }

    /// Not before this may a command be issued anywhere in the channel.
    #[inline]
    pub(super) fn ready_at_channel(&self, command: Command) -> u64 {
        self.timing.ready_at_spot(&self.channel[command.index()])
    }

    /// A command is issued to a node.
    #[inline]
    pub(super) fn issue(&mut self, command: Command, node: Node, now: u64) {
        if let Some(moves) = &self.moves[usize::from(node)][command.index()] {
            self.timing.issue_moves(moves, now);
        } else {
            self.timing.issue(command, &self.places[usize::from(node)], now);
        }
        if self.holding & bit(command) == 0 {
            return;
        }
        self.hold_sets(command, node, now);
    }

    #[inline]
    fn hold_sets(&mut self, command: Command, node: Node, now: u64) {
        let (from, to) = self.held_by[command.index()];
        for held in &mut self.held[usize::from(from)..usize::from(to)] {
            if let Some(&Some(set)) = held.holds.get(usize::from(node)) {
                // Issues come in order, so that the last one counts.
                held.ready[usize::from(set)] = now + held.cycles;
            }
        }
    }
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
