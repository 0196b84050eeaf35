//! The constraint table, compiled: when a command may follow what was issued.

use std::sync::Arc;

use crate::command::{Address, Bus, Command};
use crate::constraint::Constraint;
use crate::device::DeviceSpec;
use crate::organisation::{Level, Organisation};

/// Before every cycle that a constraint could count from.
pub(crate) const NEVER: i64 = i64::MIN / 4;

/// The nodes of a channel that an address lies in, by level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Nodes([u16; Level::ALL.len()]);

/// A constraint as its following command sees it.
#[derive(Clone, Copy, Debug)]
struct Rule {
    level: u8,
    /// Which history.
    history: u16,
    cycles: i64,
}

/// Configuration: the last issues of a set of commands at each node of one level: `window` places for each node, the
/// newest first.
#[derive(Clone, Copy, Debug)]
struct History {
    preceding: &'static [Command],
    level: Level,
    window: u32,
    /// Its first place.
    base: u32,
}

/// Configuration: the rules and notes of one command at one address, resolved to places in the history. Most commands
/// of a program go to few addresses; looking these up again for each costs more than the comparison itself.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    // Shared by the channels of a device.
    rules: Arc<[(u32, i64)]>,
    /// Places of windows of one.
    notes: Arc<[u32]>,
    /// Longer windows: (newest place, window).
    shifts: Vec<(u32, u32)>,
}

/// Configuration: what can hold back commands at some addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reaches {
    /// The longest rule that counts from one of them, and the longest that counts from commands of the row bus only.
    own: i64,
    row: i64,
    /// The others, which are the same for all: (place, cycles).
    shared: Vec<(u32, i64)>,
}

/// State: what has been issued last, and the rules that count from it.
#[derive(Clone, Debug)]
pub(crate) struct Readiness {
    /// Configuration: rules of each following command.
    rules: [Vec<Rule>; Command::ALL.len()],
    /// Configuration: histories to be noted for each command.
    noted: [Vec<u16>; Command::ALL.len()],
    /// Configuration.
    histories: Vec<History>,
    /// Configuration: the longest rule that counts from each place.
    reach: Vec<i64>,
    organisation: Organisation,
    /// State: the last issues by place.
    last: Vec<i64>,
    /// Configuration: the places that resolved commands note, in order.
    noted_places: Vec<u32>,
    /// Configuration: the longest rule that counts from each of these.
    noted_reach: Vec<i64>,
    /// Configuration: the same of resolved commands to one bank, without those; and by place, whether it is one of these.
    bank_places: Vec<u32>,
    of_banks: Vec<bool>,
    /// Configuration: the longest rule.
    longest: i64,
    /// State: the last issue of a command that is not resolved.
    other: i64,
    /// State: the last issue of a resolved command to one bank.
    banks: i64,
}

impl Spot {
    /// All places that it notes.
    fn places(&self) -> impl Iterator<Item = u32> + '_ {
        let shifted = self.shifts.iter().flat_map(|&(newest, window)| newest..newest + window);
        self.notes.iter().copied().chain(shifted)
    }
}

impl Readiness {
    pub(crate) fn new(device: &DeviceSpec, table: &[Constraint]) -> Self {
        let organisation = device.organisation;
        let mut rules: [Vec<Rule>; Command::ALL.len()] = std::array::from_fn(|_| Vec::new());
        let mut noted: [Vec<u16>; Command::ALL.len()] = std::array::from_fn(|_| Vec::new());
        let mut histories: Vec<History> = Vec::new();
        let mut reach: Vec<i64> = Vec::new();
        for constraint in table {
            let cycles = i64::from(constraint.latency.cycles(|parameter| device.cycles(parameter)));
            // A constraint of zero cycles holds by itself: streams are in order.
            if cycles == 0 {
                continue;
            }
            let (level, window) = (constraint.level, u32::from(constraint.window.max(1)));
            let known = histories.iter().position(|history| {
                (history.preceding, history.level, history.window) == (constraint.preceding, level, window)
            });
            let place = known.unwrap_or_else(|| {
                let base = reach.len() as u32;
                histories.push(History { preceding: constraint.preceding, level, window, base });
                reach.resize(reach.len() + (organisation.nodes(level) * window) as usize, 0);
                histories.len() - 1
            });
            let history = histories[place];
            let places = (organisation.nodes(level) * window) as usize;
            for reach in reach.iter_mut().skip(history.base as usize).take(places) {
                *reach = cycles.max(*reach);
            }
            for command in constraint.preceding {
                let noted = &mut noted[command.index()];
                if !noted.contains(&(place as u16)) {
                    noted.push(place as u16);
                }
            }
            for command in constraint.following {
                let rules = &mut rules[command.index()];
                match rules.iter_mut().find(|rule| rule.history == place as u16) {
                    Some(rule) => rule.cycles = rule.cycles.max(cycles),
                    None => rules.push(Rule { level: level as u8, history: place as u16, cycles }),
                }
            }
        }
        let (last, longest) = (vec![NEVER; reach.len()], reach.iter().copied().max().unwrap_or(0));
        Self {
            longest,
            rules,
            noted,
            histories,
            of_banks: vec![false; last.len()],
            last,
            reach,
            organisation,
            noted_places: Vec::new(),
            noted_reach: Vec::new(),
            bank_places: Vec::new(),
            other: NEVER,
            banks: NEVER,
        }
    }

    /// Where an address lies.
    pub(crate) fn nodes(&self, address: Address) -> Nodes {
        Nodes(Level::ALL.map(|level| self.organisation.node(level, address) as u16))
    }

    /// The newest place of a history at `nodes`.
    #[inline]
    fn newest(&self, history: usize, nodes: Nodes) -> u32 {
        let history = &self.histories[history];
        history.base + u32::from(nodes.0[history.level as usize]) * history.window
    }

    /// The first cycle at which `command` may be issued to `nodes`, the buses left aside.
    #[inline]
    pub(crate) fn ready(&self, command: Command, nodes: Nodes) -> i64 {
        let mut ready = NEVER;
        for rule in &self.rules[command.index()] {
            let history = &self.histories[usize::from(rule.history)];
            let node = u32::from(nodes.0[usize::from(rule.level)]);
            let oldest = history.base + node * history.window + history.window - 1;
            ready = ready.max(self.last[oldest as usize] + rule.cycles);
        }
        ready
    }

    /// Resolves a command at an address.
    pub(crate) fn spot(&mut self, command: Command, nodes: Nodes) -> Spot {
        let spot = self.resolve(command, nodes);
        self.noted_places.extend(spot.places());
        spot
    }

    /// Resolves a command to one bank. There are many of these: what they note is looked at only after [`Self::noted_banks`].
    pub(crate) fn bank_spot(&mut self, command: Command, nodes: Nodes) -> Spot {
        let spot = self.resolve(command, nodes);
        self.know(&spot.places().collect::<Vec<_>>());
        spot
    }

    /// These places are noted by commands of [`Self::bank_spot`], of this engine or of another one.
    pub(crate) fn know(&mut self, places: &[u32]) {
        for place in places {
            if self.noted_places.binary_search(place).is_err()
                && let Err(at) = self.bank_places.binary_search(place)
            {
                self.bank_places.insert(at, *place);
                self.of_banks[*place as usize] = true;
            }
        }
    }

    /// Places that only commands of [`Self::bank_spot`] note.
    pub(crate) fn bank_places(&self) -> &[u32] {
        &self.bank_places
    }

    /// A command of [`Self::bank_spot`] has been noted.
    #[inline]
    pub(crate) fn noted_banks(&mut self, cycle: i64) {
        self.banks = cycle;
    }

    fn resolve(&self, command: Command, nodes: Nodes) -> Spot {
        let (rules, noted) = (&self.rules[command.index()], &self.noted[command.index()]);
        let rules = rules.iter().map(|rule| {
            let history = usize::from(rule.history);
            (self.newest(history, nodes) + self.histories[history].window - 1, rule.cycles)
        });
        let (mut single, mut shifts) = (Vec::with_capacity(noted.len()), Vec::new());
        for &history in noted {
            let newest = self.newest(usize::from(history), nodes);
            match self.histories[usize::from(history)].window {
                1 => single.push(newest),
                window => shifts.push((newest, window)),
            }
        }
        Spot { rules: rules.collect(), notes: single.into(), shifts }
    }

    /// All commands that are resolved have been.
    pub(crate) fn resolved(&mut self) {
        self.noted_places.sort_unstable();
        self.noted_places.dedup();
        self.noted_reach = self.noted_places.iter().map(|&place| self.reach[place as usize]).collect();
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
        for &place in &*spot.notes {
            self.last[place as usize] = cycle;
        }
        for &(newest, window) in &spot.shifts {
            self.shift(newest, window, cycle);
        }
    }

    fn shift(&mut self, newest: u32, window: u32, cycle: i64) {
        let newest = newest as usize;
        let Some(places) = self.last.get_mut(newest..newest + window as usize) else { return };
        let mut moved = cycle;
        for place in places {
            std::mem::swap(place, &mut moved);
        }
    }

    /// Notes that `command` is issued to `nodes` at `cycle`.
    #[inline]
    pub(crate) fn note(&mut self, command: Command, nodes: Nodes, cycle: i64) {
        self.other = cycle;
        for i in 0..self.noted[command.index()].len() {
            let history = usize::from(self.noted[command.index()][i]);
            let newest = self.newest(history, nodes);
            match self.histories[history].window {
                1 => self.last[newest as usize] = cycle,
                window => self.shift(newest, window, cycle),
            }
        }
    }

    /// How far apart a run of one command over `spots` in turn goes on: what a command at one spot demands of the next,
    /// where nothing that lies further back demands more. `None` where something does.
    pub(crate) fn gap(spots: &[Spot]) -> Option<i64> {
        let demands = |from: &Spot, to: &Spot| {
            let rules = to.rules.iter().filter(|(place, _)| from.notes.contains(place));
            rules.map(|&(_, cycles)| cycles).max().unwrap_or(0)
        };
        let pairs = || (0..spots.len()).map(|at| (&spots[at], &spots[(at + 1) % spots.len()]));
        let gap = pairs().map(|(from, to)| demands(from, to)).max().unwrap_or(0).max(1);
        let uniform = pairs().all(|(from, to)| demands(from, to).max(1) == gap);
        let alone = spots.iter().all(|spot| spot.shifts.is_empty());
        let far = spots.iter().enumerate().all(|(to, spot)| {
            let longest = spot.rules.iter().map(|&(_, cycles)| cycles).max().unwrap_or(0);
            let mut near = (1..=spots.len()).zip(1_i64..).take_while(|(_, gaps)| gap * gaps < longest);
            near.all(|(back, gaps)| {
                let from = &spots[(to + spots.len() - back % spots.len()) % spots.len()];
                demands(from, spot) <= gap * gaps
            })
        });
        (uniform && alone && far).then_some(gap)
    }

    /// What can hold back commands at `spots`; `None` where it is not this simple.
    pub(crate) fn reaches(&self, spots: &[Spot]) -> Option<Reaches> {
        let mut reaches = Reaches::default();
        for spot in spots {
            for rule in &*spot.rules {
                let &(place, cycles) = rule;
                let before = self.histories.iter().rfind(|history| history.base <= place)?;
                if spot.notes.contains(&place) {
                    reaches.own = cycles.max(reaches.own);
                } else if before.preceding.iter().all(|command| command.bus() == Bus::Row) {
                    reaches.row = cycles.max(reaches.row);
                } else if !spots.iter().all(|other| other.rules.contains(rule)) {
                    return None;
                } else if !reaches.shared.contains(rule) {
                    reaches.shared.push(*rule);
                }
            }
        }
        Some(reaches)
    }

    /// From this cycle on nothing that was issued holds back a command with these reaches: `own` is when the last one like it
    /// was issued, `row` when the last one of the row bus was.
    #[inline]
    pub(crate) fn settled(&self, reaches: &Reaches, own: i64, row: i64) -> i64 {
        let shared = reaches.shared.iter().map(|&(place, cycles)| self.last[place as usize] + cycles);
        shared.fold((own + reaches.own).max(row + reaches.row), i64::max)
    }

    /// What a command at each of these in turn notes: (place, how many commands come behind the last one there); `None` where
    /// there is more to it.
    pub(crate) fn round(spots: &[Spot]) -> Option<Vec<(u32, u32)>> {
        let mut places: Vec<(u32, u32)> = Vec::new();
        for (behind, spot) in (0..).zip(spots.iter().rev()) {
            if !spot.shifts.is_empty() {
                return None;
            }
            for &place in &*spot.notes {
                if places.iter().all(|&(known, _)| known != place) {
                    places.push((place, behind));
                }
            }
        }
        Some(places)
    }

    /// Notes a round, see [`Self::round`], of which the last command was issued at `last`, each `gap` behind the one before.
    #[inline]
    pub(crate) fn note_round(&mut self, round: &[(u32, u32)], last: i64, gap: i64) {
        for &(place, behind) in round {
            self.last[place as usize] = last - i64::from(behind) * gap;
        }
    }

    /// Visits, in the order of places, what can still hold back a command at `floor` or later: (place, cycle). False where
    /// that may be more than resolved commands have noted.
    pub(crate) fn live(&self, floor: i64, mut visit: impl FnMut(u32, i64)) -> bool {
        let banks = if self.banks + self.longest > floor { self.bank_places.as_slice() } else { &[] };
        for (&place, reach) in self.noted_places.iter().zip(&self.noted_reach) {
            let last = self.last[place as usize];
            if last + reach > floor {
                visit(place, last);
            }
        }
        for &place in banks {
            let last = self.last[place as usize];
            if last + self.reach[place as usize] > floor {
                visit(place, last);
            }
        }
        self.other + self.longest <= floor
    }

    /// Forgets what resolved commands have noted, then takes what [`Self::live`] has visited.
    pub(crate) fn restore(&mut self, live: impl Iterator<Item = (u32, i64)>) {
        let banks = if self.banks == NEVER { &[] } else { self.bank_places.as_slice() };
        for places in [self.noted_places.as_slice(), banks] {
            for &place in places {
                self.last[place as usize] = NEVER;
            }
        }
        self.banks = NEVER;
        for (place, cycle) in live {
            self.last[place as usize] = cycle;
            if self.of_banks[place as usize] {
                self.banks = self.banks.max(cycle);
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
        check_on(&device, (ActAb, here), (MacAb, here), 19 + 123);
        check_on(&device, (ActAb, here), (PreA, here), 45 + 123);
        check_on(&device, (ActAb, here), (ActAb, here), 63 + 123);
        check_on(&device, (ActAb, here), (Act, here), 63 + 123);
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
