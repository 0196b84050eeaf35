//! The choice among the commands of the banks: whose turn it is, and in which tick to look again.

#![allow(clippy::inline_always, reason = "asked for each kind of command at every look")]

use super::Inner;
use crate::command::Bus;
use crate::dram::Tick;
use crate::dram::bank_queue::{ACT, PRE, RD, WR};
use crate::dram::bank_set::{BankSet, CAPACITY};
use crate::dram::offset::Offset;
use crate::dram::request::Observer;

/// What a bank does in its turn.
#[derive(Clone, Copy, Debug)]
enum Step {
    Activate,
    Precharge,
    /// The kinds that can go.
    Access([bool; 2]),
}

impl Step {
    #[inline(always)]
    const fn bus(self) -> Bus {
        match self {
            Self::Activate | Self::Precharge => Bus::Row,
            Self::Access(_) => Bus::Column,
        }
    }
}

impl<S: BankSet, T: Offset> Inner<S, T> {
    /// Issues the command of the next bank in turn that has one that is ready, if it does not need the bus that is taken.
    /// Says which bus it needs.
    #[inline(always)]
    pub(super) fn turn(&mut self, taken: Option<Bus>, tick: Tick, observer: &mut impl Observer) -> Option<Bus> {
        let now = self.ready.offset(tick);
        let mut banks = self.allowed(ACT, now) | self.allowed(PRE, now) | self.allowed(RD, now) | self.allowed(WR, now);
        while !banks.is_empty() {
            // Those after the last one first, then from the beginning.
            let later = banks & self.later;
            let bank = if later.is_empty() { banks.first() } else { later.first() };
            banks.remove(bank);
            let Some(step) = self.step(bank, now) else { continue };
            self.later = self.after[bank % CAPACITY];
            let bus = step.bus();
            if taken == Some(bus) {
                self.from = tick;
                return None;
            }
            match step {
                Step::Activate => self.activate(bank, tick, observer),
                Step::Precharge => self.precharge(bank, tick, observer),
                Step::Access(can_go) => self.access(bank, can_go, tick, observer),
            }
            return Some(bus);
        }
        self.from = self.next_possible(now);
        None
    }

    /// What a bank can do at `now`.
    #[inline(always)]
    fn step(&mut self, bank: usize, now: T) -> Option<Step> {
        // A bank that wants an activation wants nothing else.
        if self.due[ACT].contains(bank) {
            return self.is_ready(ACT, bank, now).then_some(Step::Activate);
        }
        if self.can_go(PRE, bank, now) {
            return Some(Step::Precharge);
        }
        let can_go = [self.can_go(RD, bank, now), self.can_go(WR, bank, now)];
        (can_go[0] | can_go[1]).then_some(Step::Access(can_go))
    }

    /// Whether a bank is due for a command and can go.
    #[inline(always)]
    fn can_go(&mut self, command: usize, bank: usize, now: T) -> bool {
        self.due[command].contains(bank) && self.is_allowed(command, now) && self.is_ready(command, bank, now)
    }

    /// Whether the rank allows a command.
    #[inline(always)]
    fn is_allowed(&self, command: usize, now: T) -> bool {
        self.ready.of_rank(command) <= now
    }

    /// The banks that are due for a command that the rank allows.
    #[inline(always)]
    fn allowed(&self, command: usize, now: T) -> S {
        if self.is_allowed(command, now) { self.due[command] } else { S::EMPTY }
    }

    /// Whether a bank that is due for a command is ready. Where it is not it goes into the calendar.
    #[inline(always)]
    fn is_ready(&mut self, command: usize, bank: usize, now: T) -> bool {
        let ready = self.ready.of_bank(command, bank);
        if ready > now {
            self.due[command].remove(bank);
            self.calendar.insert(bank, self.ready.tick(ready));
        }
        ready <= now
    }

    /// A tick before which no bank has a command that is ready.
    #[inline(always)]
    pub(super) fn first_possible(&self) -> Tick {
        let mut first = T::NEVER;
        for (command, due) in self.due.iter().enumerate() {
            let floor = if due.is_empty() { T::NEVER } else { self.ready.of_rank(command) };
            first = first.min(floor);
        }
        self.next_of(first)
    }

    /// A tick before which nothing that cannot go at `now` can.
    #[inline(always)]
    fn next_possible(&self, now: T) -> Tick {
        let mut next = T::NEVER;
        for (command, due) in self.due.iter().enumerate() {
            let floor = self.ready.of_rank(command);
            next = next.min(if due.is_empty() || floor <= now { T::NEVER } else { floor });
        }
        self.next_of(next)
    }

    /// When something may go, where banks that are due may from `first` on.
    #[inline(always)]
    fn next_of(&self, first: T) -> Tick {
        let waiting = self.calendar.next();
        if first == T::NEVER { waiting } else { waiting.min(self.ready.tick(first)) }
    }
}
