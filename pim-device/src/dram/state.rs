//! When each command may be issued where: the state that follows from what was issued.

mod spot;

use std::sync::Arc;

use crate::command::Command;
use crate::organisation::Level;

use super::Tick;
use super::rules::{Place, RuleTable, WindowRule};
pub use spot::Spot;

/// State: for each node of the channel and each command the first tick at which the node allows it.
///
/// A command may be issued at the latest of the ticks that the nodes on its path allow. Issuing one moves the ticks of
/// others; they never go back, so an answer of [`Self::ready_at`] stays a lower bound.
#[derive(Clone, Debug)]
pub struct TimingState {
    rules: Arc<RuleTable>,
    /// For each command a row of nodes, widest level first; 0 for "any time".
    earliest: Vec<Tick>,
    /// For each window rule and node: a position, and the ticks at which each of the last commands stops counting.
    history: Vec<Tick>,
}

impl TimingState {
    /// Nothing has been issued. Channels may share a table.
    pub fn new(rules: impl Into<Arc<RuleTable>>) -> Self {
        let rules = rules.into();
        let (earliest, history) = (vec![0; rules.entries()], vec![0; rules.history as usize]);
        Self { rules, earliest, history }
    }

    /// The table.
    pub fn rules(&self) -> &RuleTable {
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
        let row = self.row(id);
        let mut ready = 0;
        for &at in &self.rules.effects[id].waits_at {
            if at > level as u8 {
                break;
            }
            ready = if at <= place.level {
                ready.max(row[place.path[usize::from(at)] as usize])
            } else {
                ready.max(self.ready_below(id, place, at))
            };
        }
        ready
    }

    /// The entries of a command.
    #[inline]
    fn row(&self, id: usize) -> &[Tick] {
        let nodes = self.rules.nodes as usize;
        &self.earliest[id * nodes..(id + 1) * nodes]
    }

    #[cold]
    fn ready_below(&self, id: usize, place: &Place, level: u8) -> Tick {
        let nodes = self.rules.below(place, level);
        nodes.map(|node| self.earliest[self.entry(id, level, node)]).max().unwrap_or(0)
    }

    /// The entry of a node.
    fn entry(&self, id: usize, level: u8, node: u32) -> usize {
        id * self.rules.nodes as usize + (self.rules.first[usize::from(level)] + node) as usize
    }

    /// Notes that `command` is issued to `place` at `tick`.
    ///
    /// Every level of the place is updated, whatever the command's scope, and where the place is not a bank, every node
    /// below.
    #[inline]
    pub fn issue(&mut self, command: Command, place: &Place, tick: Tick) {
        let effects = &self.rules.effects[self.rules.id(command)];
        // Rules are ordered by level, so the last one tells whether any is about nodes below the place.
        let plain = effects.windows.is_empty()
            && effects.siblings.is_empty()
            && effects.own.last().is_none_or(|rule| rule.level <= place.level);
        if place.level < Level::Bank as u8 && !plain {
            self.issue_all(command, place, tick);
            return;
        }
        for rule in &effects.own {
            let entry = &mut self.earliest[(place.path[usize::from(rule.level)] + rule.row) as usize];
            *entry = (*entry).max(tick + Tick::from(rule.latency));
        }
        for rule in &effects.windows {
            let node = self.rules.above(place, rule.level);
            Self::slide(&mut self.earliest, &mut self.history, &self.rules, rule, node, tick);
        }
        if !effects.siblings.is_empty() {
            self.issue_to_siblings(command, place, tick);
        }
    }

    /// A window rule at a node of its level.
    #[inline]
    fn slide(earliest: &mut [Tick], history: &mut [Tick], rules: &RuleTable, rule: &WindowRule, node: u32, tick: Tick) {
        let window = usize::from(rule.window);
        let begin = rule.history as usize + node as usize * (window + 1);
        let memory = &mut history[begin..=begin + window];
        // What is kept is when each command stops counting; the entry after the newest is the oldest.
        let position = memory[0] as usize;
        memory[1 + position] = tick + Tick::from(rule.latency);
        let oldest = if position + 1 == window { 0 } else { position + 1 };
        memory[0] = oldest as Tick;
        let free = memory[1 + oldest];
        let entry = &mut earliest[(rule.row + rules.first[usize::from(rule.level)] + node) as usize];
        *entry = (*entry).max(free);
    }

    fn issue_to_siblings(&mut self, command: Command, place: &Place, tick: Tick) {
        let effects = &self.rules.effects[self.rules.id(command)];
        for rule in &effects.siblings {
            if rule.level > place.level {
                continue;
            }
            let own = self.rules.above(place, rule.level);
            for node in self.rules.family(rule.level, own).filter(|node| *node != own) {
                let entry = &mut self.earliest[(rule.row + self.rules.first[usize::from(rule.level)] + node) as usize];
                *entry = (*entry).max(tick + Tick::from(rule.latency));
            }
        }
    }

    #[cold]
    fn issue_all(&mut self, command: Command, place: &Place, tick: Tick) {
        let Self { rules, earliest, history } = self;
        let effects = &rules.effects[rules.id(command)];
        for rule in &effects.own {
            for node in rules.matched(place, rule.level) {
                let entry = &mut earliest[(rule.row + rules.first[usize::from(rule.level)] + node) as usize];
                *entry = (*entry).max(tick + Tick::from(rule.latency));
            }
        }
        for rule in &effects.windows {
            for node in rules.matched(place, rule.level) {
                Self::slide(earliest, history, rules, rule, node, tick);
            }
        }
        self.issue_to_siblings(command, place, tick);
    }

    fn raise(&mut self, level: u8, node: u32, id: usize, tick: Tick) {
        let entry = self.entry(id, level, node);
        self.earliest[entry] = self.earliest[entry].max(tick);
    }

    /// Node `node` of `level` does not allow `command` before `tick`: for rules that no table can say.
    pub fn hold(&mut self, level: Level, node: u32, command: Command, tick: Tick) {
        let id = self.rules.id(command);
        self.raise(level as u8, node, id, tick);
    }

    /// Whether this state at `tick` allows what `other` allows at `its_tick`, now and later. `false` where there are
    /// rules with windows, whose memory is not compared.
    pub fn is_same_at(&self, tick: Tick, other: &Self, its_tick: Tick) -> bool {
        let later = |state: &Self, entry: usize, tick: Tick| state.earliest[entry].saturating_sub(tick);
        self.history.is_empty()
            && other.history.is_empty()
            && self.earliest.len() == other.earliest.len()
            && (0..self.earliest.len()).all(|entry| later(self, entry, tick) == later(other, entry, its_tick))
    }

    /// Moves everything that is not yet allowed at `tick` by `ticks`: what repeats with a period has gone on for so long.
    /// Rules with windows are not moved.
    pub fn forward(&mut self, tick: Tick, ticks: Tick) {
        for entry in &mut self.earliest {
            if *entry > tick {
                *entry += ticks;
            }
        }
    }
}
