//! When each command may be issued where: the state that follows from what was issued.

use crate::command::Command;
use crate::organisation::Level;

use super::Tick;
use super::rules::{LEVELS, Place, Rule, RuleTable};

/// Configuration: a command at a place, looked up in a [`TimingState`]. For controllers that ask for the same ones again
/// and again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spot {
    entries: [u32; LEVELS],
    count: u8,
}

/// State: for each node of the channel and each command the first tick at which the node allows it.
///
/// A command may be issued at the latest of the ticks that the nodes on its path allow. Issuing one moves the ticks of
/// others; they never go back, so an answer of [`Self::ready_at`] stays a lower bound.
#[derive(Clone, Debug)]
pub struct TimingState {
    rules: RuleTable,
    /// Rows of nodes, widest level first; 0 for "any time".
    earliest: Vec<Tick>,
    /// For each window rule and node: a position, and the ticks at which each of the last commands stops counting.
    history: Vec<Tick>,
}

impl TimingState {
    /// Nothing has been issued.
    pub fn new(rules: RuleTable) -> Self {
        let (earliest, history) = (vec![0; rules.entries()], vec![0; rules.history as usize]);
        Self { rules, earliest, history }
    }

    /// The table.
    pub const fn rules(&self) -> &RuleTable {
        &self.rules
    }

    /// The first tick at which `command` may be issued to `place`: every node on its path allows it, and where the place
    /// is not a bank, every node below.
    #[inline]
    pub fn ready_at(&self, command: Command, place: &Place) -> Tick {
        self.ready_down_to(command, place, Level::Bank)
    }

    /// The same, but only the nodes from the channel down to `level` are asked.
    #[inline]
    pub fn ready_down_to(&self, command: Command, place: &Place, level: Level) -> Tick {
        let id = self.rules.id(command);
        let mut ready = 0;
        for &at in &self.rules.effects[id].waits_at {
            if at > level as u8 {
                break;
            }
            ready = if at <= place.level {
                ready.max(self.earliest[place.offsets[usize::from(at)] as usize + id])
            } else {
                ready.max(self.ready_below(id, place, at))
            };
        }
        ready
    }

    /// Where the ticks stand of which [`Self::ready_down_to`] takes the latest. Only for a place that is not above `level`,
    /// else of its own levels.
    pub fn spot(&self, command: Command, place: &Place, level: Level) -> Spot {
        let id = self.rules.id(command);
        let levels = self.rules.effects[id].waits_at.iter().filter(|&&at| at <= (level as u8).min(place.level));
        let mut spot = Spot::default();
        for &at in levels {
            spot.entries[usize::from(spot.count)] = place.offsets[usize::from(at)] + id as u32;
            spot.count += 1;
        }
        spot
    }

    /// [`Self::ready_down_to`] for what [`Self::spot`] has looked up.
    #[inline]
    pub fn ready_at_spot(&self, spot: &Spot) -> Tick {
        let entries = spot.entries.iter().take(usize::from(spot.count));
        entries.fold(0, |ready, &entry| ready.max(self.earliest[entry as usize]))
    }

    /// Where and by how much [`Self::issue`] moves ticks; `None` where more is to be done than this.
    pub fn moves(&self, command: Command, place: &Place) -> Option<Vec<(u32, u32)>> {
        let effects = &self.rules.effects[self.rules.id(command)];
        let plain = place.level == Level::Bank as u8 && effects.windows.is_empty() && effects.siblings.is_empty();
        let entry = |rule: &Rule| place.offsets[usize::from(rule.level)] + u32::from(rule.following);
        plain.then(|| effects.own.iter().map(|rule| (entry(rule), rule.latency)).collect())
    }

    /// [`Self::issue`] for what [`Self::moves`] has looked up.
    #[inline]
    pub fn issue_moves(&mut self, moves: &[(u32, u32)], tick: Tick) {
        for &(entry, latency) in moves {
            let entry = &mut self.earliest[entry as usize];
            *entry = (*entry).max(tick + Tick::from(latency));
        }
    }

    #[cold]
    fn ready_below(&self, id: usize, place: &Place, level: u8) -> Tick {
        let nodes = self.rules.below(place, level);
        nodes.map(|node| self.earliest[self.rules.offset(level, node) as usize + id]).max().unwrap_or(0)
    }

    /// Notes that `command` is issued to `place` at `tick`.
    ///
    /// Every level of the place is updated, whatever the command's scope, and where the place is not a bank, every node
    /// below.
    #[inline]
    pub fn issue(&mut self, command: Command, place: &Place, tick: Tick) {
        let effects = &self.rules.effects[self.rules.id(command)];
        if place.level < Level::Bank as u8 {
            self.issue_all(command, place, tick);
            return;
        }
        for rule in &effects.own {
            let entry = place.offsets[usize::from(rule.level)] as usize + usize::from(rule.following);
            let entry = &mut self.earliest[entry];
            *entry = (*entry).max(tick + Tick::from(rule.latency));
        }
        if !effects.windows.is_empty() {
            for index in 0..effects.windows.len() {
                let level = self.rules.effects[self.rules.id(command)].windows[index].level;
                let node = self.rules.above(place, level);
                self.slide(command, index, node, tick);
            }
        }
        if !self.rules.effects[self.rules.id(command)].siblings.is_empty() {
            self.issue_to_siblings(command, place, tick);
        }
    }

    /// Window rule `index` of `command` at a node of its level.
    #[inline]
    fn slide(&mut self, command: Command, index: usize, node: u32, tick: Tick) {
        let rule = &self.rules.effects[self.rules.id(command)].windows[index];
        let window = usize::from(rule.window);
        let begin = rule.history as usize + node as usize * (window + 1);
        let memory = &mut self.history[begin..=begin + window];
        // What is kept is when each command stops counting; the entry after the newest is the oldest.
        let position = memory[0] as usize;
        memory[1 + position] = tick + Tick::from(rule.latency);
        let oldest = if position + 1 == window { 0 } else { position + 1 };
        memory[0] = oldest as Tick;
        let free = memory[1 + oldest];
        let entry = self.rules.offset(rule.level, node) as usize + usize::from(rule.following);
        self.earliest[entry] = self.earliest[entry].max(free);
    }

    fn issue_to_siblings(&mut self, command: Command, place: &Place, tick: Tick) {
        let effects = &self.rules.effects[self.rules.id(command)];
        for rule in &effects.siblings {
            if rule.level > place.level {
                continue;
            }
            let own = self.rules.above(place, rule.level);
            for node in self.rules.family(rule.level, own).filter(|node| *node != own) {
                let entry = self.rules.offset(rule.level, node) as usize + usize::from(rule.following);
                self.earliest[entry] = self.earliest[entry].max(tick + Tick::from(rule.latency));
            }
        }
    }

    #[cold]
    fn issue_all(&mut self, command: Command, place: &Place, tick: Tick) {
        let id = self.rules.id(command);
        let nodes = |state: &Self, level: u8| {
            if level <= place.level {
                let node = state.rules.above(place, level);
                node..node + 1
            } else {
                state.rules.below(place, level)
            }
        };
        for index in 0..self.rules.effects[id].own.len() {
            let rule = self.rules.effects[id].own[index];
            for node in nodes(self, rule.level) {
                self.raise(rule.level, node, usize::from(rule.following), tick + Tick::from(rule.latency));
            }
        }
        for index in 0..self.rules.effects[id].windows.len() {
            let level = self.rules.effects[id].windows[index].level;
            for node in nodes(self, level) {
                self.slide(command, index, node, tick);
            }
        }
        self.issue_to_siblings(command, place, tick);
    }

    fn raise(&mut self, level: u8, node: u32, id: usize, tick: Tick) {
        let entry = self.rules.offset(level, node) as usize + id;
        self.earliest[entry] = self.earliest[entry].max(tick);
    }

    /// Node `node` of `level` does not allow `command` before `tick`: for rules that no table can say.
    pub fn hold(&mut self, level: Level, node: u32, command: Command, tick: Tick) {
        let id = self.rules.id(command);
        self.raise(level as u8, node, id, tick);
    }
}
