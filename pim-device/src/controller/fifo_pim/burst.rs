//! Bursts: one column command after the other from the front of the PIM queue, without a look at anything else.
//!
//! Most commands are MACs on open rows in the order in which they came. While such a run lasts in one channel, what
//! [`Channel::tick`] and the front end would do is known:
//!
//! - All requests that may be served have the same next command, their own, which leaves rows as they are: the others
//!   stand behind a barrier, where only requests that open or close rows could pass.
//! - None of them goes before the channel as a whole allows the command. If the first one may go in that very cycle, it
//!   does: no other can be before it.
//! - In the cycle after, the request that waited for room enters, where the stream's next request is for this channel.
//!
//! A burst ends before the first cycle in which any of this does not hold, and leaves everything as it would be then.

use crate::command::Command;

use super::channel::Channel;
use super::config::Config;
use super::queue::Entry;
use super::rules::{BankSet, Need};
use super::timers::Node;

/// A run of one command at the front of a channel's queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Burst {
    command: Command,
    /// What a request of this command needs, and a row with the banks where it is open.
    need: Need,
    row: u32,
    open: BankSet,
    /// Whether it needs it in banks of several bank groups.
    wide: bool,
    /// Commands that were issued, where, and when the last to each bank was.
    count: u64,
    banks: BankSet,
    last: [u64; BankSet::BITS as usize],
}

impl Burst {
    /// The run at the front of a channel, if there is one at `now`.
    #[inline]
    pub(super) fn of(channel: &Channel, config: &Config, now: u64) -> Option<Self> {
        let command = channel.streams(config, now)?;
        let row = channel.first_row();
        Some(Self {
            command,
            need: config.need(command),
            row,
            open: channel.open_banks(row),
            wide: config.is_wide(command),
            count: 0,
            banks: 0,
            last: [0; BankSet::BITS as usize],
        })
    }

    /// Whether a request goes on with the run as far as its command tells.
    #[inline]
    pub(super) fn is_of(&self, command: Option<Command>) -> bool {
        command == Some(self.command)
    }

    /// Serves the first request at `now`. `false`, and nothing is done, where it is not ready or is the last of the run.
    #[inline]
    pub(super) fn serve(&mut self, channel: &mut Channel, config: &Config, now: u64) -> bool {
        let Some(bank) = channel.serve_first(config, self.command, now) else { return false };
        self.count += 1;
        self.banks |= 1 << bank;
        self.last[usize::from(bank)] = now;
        true
    }

    /// Puts a request at the end of the queue, if it changes nothing for those that may be served. Whether it did.
    #[inline]
    pub(super) fn accept(&mut self, channel: &mut Channel, config: &Config, entry: &mut Entry) -> bool {
        if !self.is_of(entry.own) || !self.is_open(channel, config, entry) {
            return channel.accept_behind(config, *entry);
        }
        entry.next = self.command;
        channel.accept_hit(config, entry, self.wide);
        true
    }

    #[inline]
    fn is_open(&mut self, channel: &Channel, config: &Config, entry: &Entry) -> bool {
        let Need::Open { banks, .. } = self.need else { return true };
        if entry.row != self.row {
            self.row = entry.row;
            self.open = channel.open_banks(entry.row);
        }
        config.set(banks, entry.bank) & !self.open == 0
    }

    /// After a request was served: the next cycle in which the channel allows the command.
    #[inline]
    pub(super) fn next(&self, channel: &Channel) -> u64 {
        channel.allows(self.command)
    }

    /// Ends the run with what was served last at `now`, if anything was. Returns the next cycle in which anything can
    /// happen in the channel.
    pub(super) fn end(&self, channel: &mut Channel, now: u64) -> Option<u64> {
        let mut banks = self.banks;
        let last = std::iter::from_fn(|| {
            let bank = banks.trailing_zeros();
            banks &= banks.wrapping_sub(1);
            self.last.get(bank as usize).map(|&cycle| (bank as Node, cycle))
        });
        channel.settle(self.command, self.count, last);
        (self.count > 0).then(|| {
            let next = channel.allows(self.command);
            if next > now { next.min(channel.next_refresh()) } else { channel.next_of_pim(now) }
        })
    }
}
