//! Commands that only refresh sends: what is forbidden to them, and what they do.

use super::look_up::memory_of;
use super::{ACT, PRE, Times};
use crate::command::Command;
use crate::dram::Tick;
use crate::dram::bank_set::{BankSet, CAPACITY};
use crate::dram::offset::Offset;
use crate::dram::rules::Place;

/// How it is noted what commands at banks forbid to those that only refresh sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// Nothing is refreshed.
    Never,
    /// The last tick of each command at each bank counts, and is worked out when somebody asks: all-bank refresh.
    Later,
    /// With each command: refresh bank by bank asks all the time, and windows have to see every command.
    AtOnce,
}

impl<S: BankSet, T: Offset> Times<S, T> {
    /// When a place is ready for another command.
    pub(in crate::dram) fn ready_for_other(&mut self, command: Command, place: &Place) -> Tick {
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

    #[inline(never)]
    pub(super) fn issue_to_others(&mut self, number: usize, bank: usize, tick: Tick) {
        match &self.others_moves[number * CAPACITY + bank % CAPACITY] {
            Some(moves) => self.others.issue_moves(moves, tick),
            None => self.others.issue(self.sent[number], &self.places[bank], tick),
        }
    }

    /// Notes that a command is issued to a place.
    #[cold]
    pub(in crate::dram) fn issue_at(&mut self, command: Command, place: &Place, tick: Tick) {
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
