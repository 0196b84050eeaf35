//! The commands of a channel and of all of them, where they are wanted.

use std::collections::BTreeMap;

use crate::command::Command;
use crate::dram::Tick;

/// Beyond twice what is wanted, so many more are kept before they are cut: sorting pays for many at once.
const SLACK: usize = 4_096;

/// A command as a channel issues it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Logged {
    pub(super) tick: Tick,
    pub(super) command: Command,
    pub(super) bank: u8,
    pub(super) row: u32,
    pub(super) column: u16,
}

/// Is told of a channel's commands, in the order in which they are found.
pub(super) trait Log: Clone + Default + std::fmt::Debug {
    /// Whether it wants to be told.
    const LOOKS: bool = true;

    fn push(&mut self, logged: Logged);

    /// What was told since there were `before` comes `times` times more, each `period` later and a column further.
    fn repeat_since(&mut self, before: usize, period: Tick, times: u64);

    /// What was told since the last time, which is forgotten.
    fn take(&mut self) -> Vec<Logged>;

    fn len(&self) -> usize;
}

/// Nobody looks.
impl Log for () {
    const LOOKS: bool = false;

    fn push(&mut self, _: Logged) {}

    fn repeat_since(&mut self, _: usize, _: Tick, _: u64) {}

    fn take(&mut self) -> Vec<Logged> {
        Vec::new()
    }

    fn len(&self) -> usize {
        0
    }
}

impl Log for Vec<Logged> {
    fn push(&mut self, logged: Logged) {
        Self::push(self, logged);
    }

    fn repeat_since(&mut self, before: usize, period: Tick, times: u64) {
        let round = before..Self::len(self);
        for time in 1..=times {
            for place in round.clone() {
                let logged = self[place];
                let accesses = matches!(logged.command, Command::Rd | Command::Wr);
                let column = if accesses { logged.column.saturating_add(time as u16) } else { logged.column };
                Self::push(self, Logged { tick: logged.tick + time * period, column, ..logged });
            }
        }
    }

    fn take(&mut self) -> Vec<Logged> {
        std::mem::take(self)
    }

    fn len(&self) -> usize {
        Self::len(self)
    }
}

/// A command that channels issue in the same cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AimIssued {
    /// The cycle of the command clock; the first is 0.
    pub cycle: u64,
    /// What.
    pub command: Command,
    /// The bank of the channel; means nothing where the command is to all or to none.
    pub bank: u8,
    /// The row, where the command has one.
    pub row: u32,
    /// The column of the row or of the global buffer, where the command has one.
    pub column: u16,
    /// Who: a place in [`AimRecord::channels`].
    pub channels: u32,
}

/// Statistics: the first commands of all channels, by cycle, and how many more there were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AimRecord {
    most: usize,
    /// By cycle, and in a cycle by the first channel.
    pub issued: Vec<AimIssued>,
    /// Sets of channels that do the same: a bit for each.
    pub channels: Vec<u128>,
    /// How many more commands there were than are kept; what channels did together counts as one.
    pub left_out: u64,
    known: BTreeMap<u128, u32>,
}

impl AimRecord {
    pub(super) fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// Adds what some channels have done.
    pub(super) fn add(&mut self, members: u128, logged: Vec<Logged>) {
        if logged.is_empty() {
            return;
        }
        let channels = *self.known.entry(members).or_insert_with(|| {
            self.channels.push(members);
            self.channels.len() as u32 - 1
        });
        for Logged { tick, command, bank, row, column } in logged {
            // Ticks count from 1.
            self.issued.push(AimIssued { cycle: tick - 1, command, bank, row, column, channels });
        }
        if self.issued.len() >= self.most.saturating_mul(2).saturating_add(SLACK) {
            self.cut();
        }
    }

    /// Sorts the commands and forgets those that are too many.
    pub(super) fn cut(&mut self) {
        let channels = &self.channels;
        self.issued.sort_unstable_by_key(|issued| (issued.cycle, channels[issued.channels as usize].trailing_zeros()));
        self.left_out += self.issued.len().saturating_sub(self.most) as u64;
        self.issued.truncate(self.most);
    }
}
