//! Constraint tables, resolved for one channel: latencies in ticks, by preceding command.

use crate::command::{Address, Command};
use crate::constraint::Constraint;
use crate::organisation::{Level, Organisation};
use crate::timing::standard::Standard;
use crate::timing::{Parameter, Timing};

/// Levels of the tree.
pub(super) const LEVELS: usize = Level::ALL.len();
/// No such command in the table.
const ABSENT: u8 = u8::MAX;

/// Where a command goes: a node of the channel, and with it every bank below the node.
///
/// Made by [`RuleTable::bank`] and [`RuleTable::node`], for that table only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Each node on the path, numbered through all levels.
    pub(super) path: [u32; LEVELS],
    /// The level of the addressed node, as a number.
    pub(super) level: u8,
    /// The number of the addressed node within its level.
    node: u32,
}

impl Place {
    /// The level of the addressed node.
    pub const fn level(&self) -> Level {
        Level::ALL[self.level as usize]
    }

    /// The number of the addressed node within its level.
    pub const fn node(&self) -> u32 {
        self.node
    }
}

/// What one issued command does to the node at one level: `following` has to wait `latency`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) latency: u32,
    /// Where the entries of the following command begin in the state.
    pub(super) row: u32,
    pub(super) level: u8,
    pub(super) following: u8,
}

/// A rule that counts from the n-th last command.
#[derive(Clone, Debug)]
pub(super) struct WindowRule {
    pub(super) level: u8,
    pub(super) following: u8,
    pub(super) row: u32,
    pub(super) latency: u32,
    pub(super) window: u8,
    /// Where its memory begins; `window` entries and a position for each node of the level.
    pub(super) history: u32,
}

/// Everything that follows from one command.
#[derive(Clone, Debug, Default)]
pub(super) struct Effects {
    /// At the nodes on the path, widest level first.
    pub(super) own: Vec<Rule>,
    /// At the other children of the parent.
    pub(super) siblings: Vec<Rule>,
    pub(super) windows: Vec<WindowRule>,
    /// The levels at which this command itself may have to wait, widest first.
    pub(super) waits_at: Vec<u8>,
}

/// How the commands of a channel are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandBus<'a> {
    /// Ticks that a command occupies its bus, where it is not one.
    pub lengths: &'a [(Command, u32)],
    /// Whether row and column commands have buses of their own, see [`Command::bus`].
    pub two_buses: bool,
}

/// Configuration: a constraint table for one channel, in ticks.
///
/// Lines that say less than another one are left out, as are commands that the controller never sends, so that issuing
/// a command touches as little as it can.
///
/// ```
/// use pim_device::dram::{RuleTable, TimingState};
/// use pim_device::timing::standard::Standard;
/// use pim_device::{Address, Command};
///
/// let ddr4 = Standard::named("DDR4").unwrap();
/// let organisation = ddr4.organisation("DDR4_8Gb_x8").unwrap();
/// let timing = ddr4.timing("DDR4_3200AA", organisation).unwrap();
/// let mut state = TimingState::new(RuleTable::of_standard(ddr4, &organisation.organisation, &timing, ddr4.commands));
/// let bank = state.rules().bank(Address::default());
/// state.issue(Command::Act, &bank, 1);
/// assert_eq!(state.ready_at(Command::Rd, &bank), 23); // nRCD 22
/// assert_eq!(state.ready_at(Command::Act, &bank), 75); // nRC 74
/// ```
#[derive(Clone, Debug)]
pub struct RuleTable {
    organisation: Organisation,
    /// Dense number of each command of the table.
    ids: [u8; Command::ALL.len()],
    /// How many nodes the channel has at all levels: the length of a command's row in the state.
    pub(super) nodes: u32,
    /// The first node of each level among all nodes.
    pub(super) first: [u32; LEVELS],
    pub(super) effects: Vec<Effects>,
    pub(super) history: u32,
}

impl RuleTable {
    /// The table of a standard for a channel, with those of its commands that the controller sends. Parameters of
    /// `timing` are in CK.
    pub fn of_standard(
        standard: &Standard,
        organisation: &Organisation,
        timing: &Timing,
        commands: &[Command],
    ) -> Self {
        let ticks = |parameter| timing.get(parameter) * standard.ticks_per_clock;
        let bus = CommandBus { lengths: standard.lengths, two_buses: standard.two_buses };
        Self::new(organisation, standard.constraints, commands, bus, ticks)
    }

    /// A table for a channel. `ticks_of` says what a parameter is; lines are counted from the last tick of a command to
    /// the last tick of the next.
    pub fn new(
        organisation: &Organisation,
        constraints: &[Constraint],
        commands: &[Command],
        bus: CommandBus<'_>,
        ticks_of: impl Fn(Parameter) -> u32,
    ) -> Self {
        let mut ids = [ABSENT; Command::ALL.len()];
        for (id, command) in commands.iter().enumerate() {
            ids[command.index()] = id as u8;
        }
        let mut first = [0; LEVELS];
        for level in 1..LEVELS {
            first[level] = first[level - 1] + organisation.nodes(Level::ALL[level - 1]);
        }
        let mut table = Self {
            organisation: *organisation,
            ids,
            nodes: Level::ALL.into_iter().map(|level| organisation.nodes(level)).sum(),
            first,
            effects: vec![Effects::default(); commands.len()],
            history: 0,
        };
        let length = |command: Command| {
            bus.lengths.iter().find(|(named, _)| *named == command).map_or(1, |(_, ticks)| i64::from(*ticks))
        };
        // A command that takes several ticks keeps its bus so long.
        for &preceding in commands {
            for &following in commands {
                let shared = !bus.two_buses || preceding.bus() == following.bus();
                if length(preceding) > 1 && shared {
                    table.add((Level::Channel, preceding, following), length(preceding), 1, false);
                }
            }
        }
        for line in constraints {
            let known = |command: &&Command| table.ids[command.index()] != ABSENT;
            let (preceding, following): (Vec<_>, Vec<_>) =
                (line.preceding.iter().filter(known).collect(), line.following.iter().filter(known).collect());
            let latency = line.latency.signed_cycles(&ticks_of);
            for &&before in &preceding {
                for &&after in &following {
                    let latency = latency + length(before) - length(after);
                    table.add((line.level, before, after), latency, line.window, line.sibling);
                }
            }
        }
        table.tidy();
        table
    }

    /// Adds a line; one that never makes anything wait is left out.
    fn add(&mut self, (level, before, after): (Level, Command, Command), latency: i64, window: u8, sibling: bool) {
        let (level, following) = (level as u8, self.ids[after.index()]);
        if latency <= 0 || (sibling && self.family(level, 0).len() == 1) {
            return;
        }
        let row = u32::from(following) * self.nodes;
        let latency = u32::try_from(latency).unwrap_or(u32::MAX);
        let nodes = self.organisation.nodes(Level::ALL[usize::from(level)]);
        let effects = &mut self.effects[usize::from(self.ids[before.index()])];
        if window > 1 {
            effects.windows.push(WindowRule { level, following, row, latency, window, history: self.history });
            self.history += nodes * (u32::from(window) + 1);
            return;
        }
        let rules = if sibling { &mut effects.siblings } else { &mut effects.own };
        match rules.iter_mut().find(|rule| (rule.level, rule.following) == (level, following)) {
            Some(rule) => rule.latency = rule.latency.max(latency),
            None => rules.push(Rule { latency, row, level, following }),
        }
    }

    /// Leaves out what a wider level says already, and notes where each command may have to wait.
    fn tidy(&mut self) {
        for effects in &mut self.effects {
            let all = effects.own.clone();
            effects.own.retain(|rule| {
                !all.iter().any(|wider| {
                    wider.level < rule.level && wider.following == rule.following && wider.latency >= rule.latency
                })
            });
            effects.own.sort_by_key(|rule| (rule.level, rule.following));
        }
        for id in 0..self.effects.len() {
            let waits = |level: u8| {
                let about = |rule: &Rule| usize::from(rule.following) == id && rule.level == level;
                self.effects.iter().any(|effects| {
                    effects.own.iter().chain(&effects.siblings).any(about)
                        || effects.windows.iter().any(|rule| usize::from(rule.following) == id && rule.level == level)
                })
            };
            self.effects[id].waits_at = (0..LEVELS as u8).filter(|level| waits(*level)).collect();
        }
    }

    /// The same without what makes these commands wait.
    pub(super) fn without_following(&self, commands: &[Command]) -> Self {
        let left_out = |following: u8| commands.iter().any(|&command| self.id(command) == usize::from(following));
        let mut table = self.clone();
        for effects in &mut table.effects {
            effects.own.retain(|rule| !left_out(rule.following));
            effects.siblings.retain(|rule| !left_out(rule.following));
            effects.windows.retain(|rule| !left_out(rule.following));
        }
        table
    }

    /// The latency of the longest line.
    pub(super) fn longest(&self) -> u32 {
        let of = |effects: &Effects| {
            let rules = effects.own.iter().chain(&effects.siblings).map(|rule| rule.latency);
            rules.chain(effects.windows.iter().map(|rule| rule.latency)).max()
        };
        self.effects.iter().filter_map(of).max().unwrap_or(0)
    }

    /// The channel's organisation.
    pub const fn organisation(&self) -> &Organisation {
        &self.organisation
    }

    /// Whether the table has this command.
    pub const fn has(&self, command: Command) -> bool {
        self.ids[command.index()] != ABSENT
    }

    /// The bank that an address names.
    pub fn bank(&self, address: Address) -> Place {
        self.node(Level::Bank, self.organisation.node(Level::Bank, address))
    }

    /// Node `node` of `level`, and with it every bank below it.
    ///
    /// # Panics
    /// If there is no such node.
    pub fn node(&self, level: Level, node: u32) -> Place {
        let nodes = self.organisation.nodes(level);
        assert!(node < nodes, "node {node} of {nodes} at {level:?}");
        let mut path = [0; LEVELS];
        for (wider, on_path) in path.iter_mut().enumerate().take(level as usize + 1) {
            *on_path = self.first[wider] + node / (nodes / self.organisation.nodes(Level::ALL[wider]));
        }
        Place { path, level: level as u8, node }
    }

    /// What a command of the table means.
    ///
    /// # Panics
    /// If the table does not have it.
    #[inline]
    pub(super) fn id(&self, command: Command) -> usize {
        let id = self.ids[command.index()];
        debug_assert!(id != ABSENT, "{command} is not in the table");
        usize::from(id)
    }

    /// The nodes of `level` that lie below `place` or are it.
    pub(super) fn below(&self, place: &Place, level: u8) -> std::ops::Range<u32> {
        let each = self.organisation.nodes(Level::ALL[usize::from(level)]) / self.organisation.nodes(place.level());
        place.node * each..(place.node + 1) * each
    }

    /// The number of a place's node at a level that is not below it.
    pub(super) fn above(&self, place: &Place, level: u8) -> u32 {
        place.path[usize::from(level)] - self.first[usize::from(level)]
    }

    /// The nodes of `level` that a command to `place` touches: the one above it, or those below.
    pub(super) fn matched(&self, place: &Place, level: u8) -> std::ops::Range<u32> {
        if level > place.level {
            return self.below(place, level);
        }
        let node = self.above(place, level);
        node..node + 1
    }

    /// The nodes of `level` with the same parent.
    pub(super) fn family(&self, level: u8, node: u32) -> std::ops::Range<u32> {
        let nodes = self.organisation.nodes(Level::ALL[usize::from(level)]);
        let parents = if level == 0 { 1 } else { self.organisation.nodes(Level::ALL[usize::from(level) - 1]) };
        let each = nodes / parents;
        let begin = node / each * each;
        begin..begin + each
    }

    /// Entries of the state: a row of nodes for each command.
    pub(super) fn entries(&self) -> usize {
        self.nodes as usize * self.effects.len()
    }
}
