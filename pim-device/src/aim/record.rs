//! The commands of all channels, where they are wanted.

use std::collections::BTreeMap;

use super::channel::Logged;
use crate::command::Command;

/// Beyond twice what is wanted, so many more are kept before they are cut: sorting pays for many at once.
const SLACK: usize = 4_096;

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
