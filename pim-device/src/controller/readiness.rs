//! The constraint table, compiled: when a command may follow what was issued.

use crate::command::{Address, Command};
use crate::constraint::Constraint;
use crate::device::DeviceSpec;
use crate::organisation::{Level, Organisation};

/// Before every cycle that a constraint could count from.
const NEVER: i64 = i64::MIN / 4;

/// The nodes of a channel that an address lies in, numbered through all levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Nodes([u16; Level::ALL.len()]);

/// A constraint as its following command sees it.
#[derive(Clone, Copy, Debug)]
struct Rule {
    level: u8,
    /// Which set of preceding commands.
    group: u16,
    cycles: i64,
}

/// Configuration: the rules and notes of one command at one address, resolved to places in the history. Most commands
/// of a program go to few addresses; looking these up again for each costs more than the comparison itself.
#[derive(Debug)]
pub(crate) struct Spot {
    rules: Vec<(u32, i64)>,
    notes: Vec<u32>,
}

/// A constraint with a window.
#[derive(Debug)]
struct WindowRule {
    level: Level,
    preceding: &'static [Command],
    following: &'static [Command],
    cycles: i64,
    window: usize,
    /// State: the last issues at each node, oldest first.
    last: Vec<Vec<i64>>,
}

/// State: what has been issued last, and the rules that count from it.
#[derive(Debug)]
pub(crate) struct Readiness {
    /// Configuration: rules of each following command.
    rules: [Vec<Rule>; Command::ALL.len()],
    /// Configuration: (level, group) to be noted for each command.
    noted: [Vec<(u8, u16)>; Command::ALL.len()],
    windows: Vec<WindowRule>,
    groups: usize,
    /// State: the last issue by node and group.
    last: Vec<i64>,
    organisation: Organisation,
}

impl Readiness {
    pub(crate) fn new(device: &DeviceSpec, table: &[Constraint]) -> Self {
        let organisation = device.organisation;
        let mut sets: Vec<&[Command]> = Vec::new();
        let mut rules: [Vec<Rule>; Command::ALL.len()] = std::array::from_fn(|_| Vec::new());
        let mut noted: [Vec<(u8, u16)>; Command::ALL.len()] = std::array::from_fn(|_| Vec::new());
        let mut windows = Vec::new();
        for constraint in table {
            let cycles = i64::from(constraint.latency.cycles(|parameter| device.cycles(parameter)));
            // A constraint of zero cycles holds by itself: streams are in order.
            if cycles == 0 {
                continue;
            }
            if constraint.window > 1 {
                let nodes = organisation.nodes(constraint.level) as usize;
                let window = usize::from(constraint.window);
                windows.push(WindowRule {
                    level: constraint.level,
                    preceding: constraint.preceding,
                    following: constraint.following,
                    cycles,
                    window,
                    last: vec![vec![NEVER; window]; nodes],
                });
                continue;
            }
            let group = sets.iter().position(|set| *set == constraint.preceding).unwrap_or_else(|| {
                sets.push(constraint.preceding);
                sets.len() - 1
            }) as u16;
            let level = constraint.level as u8;
            for command in constraint.preceding {
                let noted = &mut noted[command.index()];
                if !noted.contains(&(level, group)) {
                    noted.push((level, group));
                }
            }
            for command in constraint.following {
                let rules = &mut rules[command.index()];
                match rules.iter_mut().find(|rule| (rule.level, rule.group) == (level, group)) {
                    Some(rule) => rule.cycles = rule.cycles.max(cycles),
                    None => rules.push(Rule { level, group, cycles }),
                }
            }
        }
        let nodes: u32 = Level::ALL.into_iter().map(|level| organisation.nodes(level)).sum();
        let groups = sets.len();
        Self { rules, noted, windows, groups, last: vec![NEVER; nodes as usize * groups], organisation }
    }

    /// Where an address lies.
    pub(crate) fn nodes(&self, address: Address) -> Nodes {
        let mut nodes = Nodes::default();
        let mut base = 0;
        for level in Level::ALL {
            nodes.0[level as usize] = (base + self.organisation.node(level, address)) as u16;
            base += self.organisation.nodes(level);
        }
        nodes
    }

    /// The first cycle at which `command` may be issued to `nodes`, the buses left aside.
    #[inline]
    pub(crate) fn ready(&self, command: Command, nodes: Nodes) -> i64 {
        let mut ready = NEVER;
        for rule in &self.rules[command.index()] {
            let node = usize::from(nodes.0[usize::from(rule.level)]);
            ready = ready.max(self.last[node * self.groups + usize::from(rule.group)] + rule.cycles);
        }
        if command == Command::Act {
            ready = ready.max(self.window_ready(command, nodes));
        }
        ready
    }

    /// Resolves a command, not one with a window, at an address.
    pub(crate) fn spot(&self, command: Command, nodes: Nodes) -> Spot {
        let place = |level: u8, group: u16| {
            let node = usize::from(nodes.0[usize::from(level)]);
            (node * self.groups + usize::from(group)) as u32
        };
        let rules = self.rules[command.index()].iter();
        let noted = self.noted[command.index()].iter();
        Spot {
            rules: rules.map(|rule| (place(rule.level, rule.group), rule.cycles)).collect(),
            notes: noted.map(|&(level, group)| place(level, group)).collect(),
        }
    }

    /// [`Self::ready`] for a resolved command.
    #[inline]
    pub(crate) fn ready_at(&self, spot: &Spot) -> i64 {
        let rules = spot.rules.iter();
        rules.fold(NEVER, |ready, &(place, cycles)| ready.max(self.last[place as usize] + cycles))
    }

    /// [`Self::note`] for a resolved command.
    #[inline]
    pub(crate) fn note_at(&mut self, spot: &Spot, cycle: i64) {
        for &place in &spot.notes {
            self.last[place as usize] = cycle;
        }
    }

    fn window_ready(&self, command: Command, nodes: Nodes) -> i64 {
        let rules = self.windows.iter().filter(|rule| rule.following.contains(&command));
        rules.map(|rule| rule.last[self.place(rule.level, nodes)][0] + rule.cycles).max().unwrap_or(NEVER)
    }

    /// The number of a node within its level.
    fn place(&self, level: Level, nodes: Nodes) -> usize {
        let wider = Level::ALL.into_iter().take_while(|wider| *wider < level);
        let base: u32 = wider.map(|level| self.organisation.nodes(level)).sum();
        usize::from(nodes.0[level as usize]) - base as usize
    }

    /// Notes that `command` is issued to `nodes` at `cycle`.
    #[inline]
    pub(crate) fn note(&mut self, command: Command, nodes: Nodes, cycle: i64) {
        for &(level, group) in &self.noted[command.index()] {
            let node = usize::from(nodes.0[usize::from(level)]);
            self.last[node * self.groups + usize::from(group)] = cycle;
        }
        if command == Command::Act {
            self.note_window(command, nodes, cycle);
        }
    }

    fn note_window(&mut self, command: Command, nodes: Nodes, cycle: i64) {
        for i in 0..self.windows.len() {
            if self.windows[i].preceding.contains(&command) {
                let place = self.place(self.windows[i].level, nodes);
                let rule = &mut self.windows[i];
                rule.last[place].remove(0);
                rule.last[place].push(cycle);
                debug_assert_eq!(rule.last[place].len(), rule.window);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Command::{Act, ActAb, MacAb, MvGb, MvSb, Pre, PreA, RefAb, SetM, Sfm, Wr, WrGb};
    use crate::constraint::JEDEC;
    use crate::device::MultiBankActivation;

    const NOW: i64 = 10_000;

    fn bank(rank: u8, bank_group: u8, bank: u8) -> Address {
        Address { rank, bank_group, bank, ..Address::default() }
    }

    fn other_pseudo_channel() -> Address {
        Address { pseudo_channel: 1, ..Address::default() }
    }

    /// `following` at `to` is ready `cycles` after `preceding` at `from`, and not one earlier.
    #[track_caller]
    fn check_on(device: &DeviceSpec, preceding: (Command, Address), following: (Command, Address), cycles: i64) {
        let mut readiness = Readiness::new(device, JEDEC);
        let (from, to) = (readiness.nodes(preceding.1), readiness.nodes(following.1));
        readiness.note(preceding.0, from, NOW);
        let ready = readiness.ready(following.0, to);
        assert_eq!(ready - NOW, cycles, "{} to {}", preceding.0, following.0);
    }

    #[track_caller]
    fn check(preceding: Command, following: Command, cycles: i64) {
        let here = Address::default();
        check_on(&DeviceSpec::hbm3_pim_bank(), (preceding, here), (following, here), cycles);
    }

    #[track_caller]
    fn check_at(preceding: (Command, Address), following: (Command, Address), cycles: i64) {
        check_on(&DeviceSpec::hbm3_pim_bank(), preceding, following, cycles);
    }

    /// `following` does not wait for `preceding`.
    #[track_caller]
    fn free(preceding: (Command, Address), following: (Command, Address)) {
        let mut readiness = Readiness::new(&DeviceSpec::hbm3_pim_bank(), JEDEC);
        let (from, to) = (readiness.nodes(preceding.1), readiness.nodes(following.1));
        readiness.note(preceding.0, from, NOW);
        assert!(readiness.ready(following.0, to) < 0, "{} to {}", preceding.0, following.0);
    }

    // The numbers are those of HBM3_5.2Gbps for 8 Gb channels of the AttAcc simulator.
    #[test]
    fn all_bank_commands_follow_each_other() {
        check(ActAb, MacAb, 19); // nRCDRD
        check(ActAb, PreA, 45); // nRAS
        check(ActAb, ActAb, 63); // nRC
        check(ActAb, RefAb, 63); // nRC
        check(MacAb, MacAb, 6); // nCCDAB
        check(MacAb, PreA, 8); // nRTPL
        check(PreA, ActAb, 19); // nRP
        check(PreA, RefAb, 19); // nRP: the defect of rule set attacc
        check(PreA, SetM, 19); // nRP
        check(RefAb, ActAb, 456); // nRFC
        check(RefAb, RefAb, 456);
        check(RefAb, Act, 456);
        check(RefAb, PreA, 456);
        check(RefAb, SetM, 456);
        check(SetM, ActAb, 20);
        check(SetM, Act, 20);
        check(SetM, WrGb, 20);
    }

    #[test]
    fn without_the_power_limit_macs_are_four_cycles_apart() {
        let timing = crate::timing::hbm3::gbps_5_2(crate::PowerLimit::Off);
        let device = DeviceSpec::hbm3_pim_bank().with_timing(timing);
        let here = Address::default();
        check_on(&device, (MacAb, here), (MacAb, here), 4);
    }

    #[test]
    fn a_staggered_row_is_open_three_windows_later() {
        let mut device = DeviceSpec::hbm3_pim_bank();
        device.multi_bank_activation = MultiBankActivation::Staggered;
        let here = Address::default();
        check_on(&device, (ActAb, here), (MacAb, here), 19 + 117);
        check_on(&device, (ActAb, here), (PreA, here), 45 + 117);
        check_on(&device, (ActAb, here), (ActAb, here), 63 + 117);
        // The last four activations fill a window of their own.
        check_on(&device, (ActAb, here), (Act, here), 63 + 117);
    }

    #[test]
    fn moves_share_the_data_path() {
        for (first, second) in [(MvSb, MvSb), (MvSb, MvGb), (MvGb, MvSb), (WrGb, MvSb), (Wr, MvSb)] {
            check_at((first, bank(0, 0, 0)), (second, bank(0, 0, 3)), 4); // nCCDL
            check_at((first, bank(0, 0, 0)), (second, bank(0, 1, 0)), 2); // nCCDS
            check_at((first, bank(0, 0, 0)), (second, bank(1, 0, 0)), 2); // nBL
            free((first, bank(0, 0, 0)), (second, other_pseudo_channel()));
        }
        check(MvSb, Sfm, 21); // nCL + nBL
        check(MvSb, SetM, 21);
        check(WrGb, SetM, 8); // nCWL + nBL
        free((MacAb, bank(0, 0, 0)), (MvSb, bank(0, 0, 0)));
        free((MvSb, bank(0, 0, 0)), (MacAb, bank(0, 0, 0)));
        free((RefAb, bank(0, 0, 0)), (MvSb, bank(0, 0, 0)));
    }

    #[test]
    fn ordinary_commands_follow_each_other() {
        check_at((Act, bank(0, 0, 0)), (Act, bank(0, 0, 0)), 63); // nRC
        check_at((Act, bank(0, 0, 0)), (Act, bank(0, 0, 1)), 4); // nRRDL
        check_at((Act, bank(0, 0, 0)), (Act, bank(0, 1, 0)), 2); // nRRDS
        check_at((Act, bank(0, 0, 0)), (Wr, bank(0, 0, 0)), 19); // nRCDWR
        check_at((Act, bank(0, 0, 0)), (Pre, bank(0, 0, 0)), 45); // nRAS
        check_at((Act, bank(0, 0, 0)), (Pre, bank(1, 0, 0)), 2);
        check_at((Act, bank(1, 2, 3)), (PreA, bank(0, 0, 0)), 45);
        check_at((Act, bank(1, 2, 3)), (ActAb, bank(0, 0, 0)), 63);
        check_at((Pre, bank(0, 0, 0)), (Act, bank(0, 0, 0)), 19); // nRP
        check_at((Pre, bank(1, 2, 3)), (RefAb, bank(0, 0, 0)), 19);
        check_at((Pre, bank(1, 2, 3)), (ActAb, bank(0, 0, 0)), 19);
        check_at((PreA, bank(0, 0, 0)), (Act, bank(1, 2, 3)), 19);
        check_at((Wr, bank(0, 0, 0)), (Pre, bank(0, 0, 0)), 6 + 2 + 21); // nCWL + nBL + nWR
        check_at((Wr, bank(1, 2, 3)), (PreA, bank(0, 0, 0)), 6 + 2 + 21);
        check_at((Wr, bank(0, 0, 0)), (Wr, bank(0, 0, 1)), 4); // nCCDL
        check_at((Wr, bank(0, 0, 0)), (Wr, bank(0, 1, 0)), 2); // nCCDS
        free((Wr, bank(0, 0, 0)), (Pre, bank(0, 0, 1)));
    }

    #[test]
    fn the_fifth_activation_of_a_rank_waits_for_the_first() {
        let mut readiness = Readiness::new(&DeviceSpec::hbm3_pim_bank(), JEDEC);
        for (i, cycle) in [100, 102, 104, 106].into_iter().enumerate() {
            let nodes = readiness.nodes(bank(0, i as u8, 0));
            assert!(readiness.ready(Act, nodes) <= cycle);
            readiness.note(Act, nodes, cycle);
        }
        let fifth = readiness.nodes(bank(0, 0, 1));
        assert_eq!(readiness.ready(Act, fifth), 139); // nFAW
        let other = readiness.nodes(bank(1, 0, 1));
        assert_eq!(readiness.ready(Act, other), 108); // Two cycles of the bus.
    }
}
