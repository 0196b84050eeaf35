//! Bursts: one column command after the other from the front of the PIM queue, without a look at anything else.
//!
//! Most commands are MACs on open rows in the order in which they came. While such a run lasts in one channel, what
//! [`Channel::tick`] and the front end would do is known:
//!
//! - The first request issues its own command, which leaves rows as they are. What could go with another command is not
//!   ready before a known cycle: what is issued meanwhile can only put it off.
//! - No request goes before the channel as a whole allows the command. If the first one may go in that very cycle, it
//!   does: no other can be before it.
//! - In the cycle after, the request that waited for room enters, where the stream's next request is for this channel.
//!
//! Within a burst, requests of one bank follow each other after a fixed time. While the next ones at the front are such,
//! and such ones enter, a *stretch* only counts them; the queue and the timers are brought up to date at its end.
//!
//! A burst ends before the first cycle in which any of this does not hold, and leaves everything as it would be then.

use crate::command::Command;

use super::channel::Channel;
use super::config::Config;
use super::queue::{Entry, Stretch};
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
    /// Before this cycle no other command is ready and no refresh due.
    until: u64,
    /// Commands that were issued, where, and where the last one was.
    count: u64,
    banks: BankSet,
    bank: Node,
}

impl Burst {
    /// The run at the front of a channel, if there is one at `now`.
    #[inline]
    pub(super) fn of(channel: &mut Channel, config: &Config, now: u64) -> Option<Self> {
        let (command, until) = channel.streams(config, now)?;
        let row = channel.first_row();
        Some(Self {
            command,
            need: config.need(command),
            row,
            open: channel.open_banks(row),
            wide: config.is_wide(command),
            until,
            count: 0,
            banks: 0,
            bank: 0,
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
        self.bank = bank;
        true
    }

    /// After a request was served: after how many cycles each to the same bank may follow the one before.
    #[inline]
    pub(super) fn period(&self, channel: &Channel) -> Option<u64> {
        channel.period(self.command, self.bank)
    }

    /// The requests at the front that go to that bank, while others like `entry` come; `None` where this is not like the
    /// last one that has.
    #[inline]
    pub(super) fn stretch(&self, channel: &Channel, entry: Option<&Entry>) -> Option<Stretch> {
        channel.run(self.command, self.bank, entry)
    }

    /// Ends such a stretch, the last of which was served at `now`.
    pub(super) fn end_stretch(&mut self, channel: &mut Channel, stretch: &Stretch, now: u64) {
        channel.settle_stretch((self.command, self.bank), stretch, now);
        self.count += u64::from(stretch.served);
    }

    /// The first cycle at which something else can happen in the channel.
    #[inline]
    pub(super) const fn until(&self) -> u64 {
        self.until
    }

    /// Puts a request at the end of the queue in cycle `now`.
    #[inline]
    pub(super) fn accept(&mut self, channel: &mut Channel, config: &Config, entry: &mut Entry, now: u64) {
        if self.is_of(entry.own) && self.is_open(channel, config, entry) {
            entry.next = self.command;
            channel.accept_hit(config, entry, self.wide);
        } else {
            self.until = channel.accept_other(config, *entry, now).min(self.until);
        }
    }

    #[inline]
    fn is_open(&mut self, channel: &Channel, config: &Config, entry: &Entry) -> bool {
        let Need::Open { banks, .. } = self.need else { return false };
        if entry.row != self.row {
            self.row = entry.row;
            self.open = channel.open_banks(entry.row);
        }
        config.set(banks, entry.bank) & !self.open == 0
    }

    /// After a request was served: the next cycle in which the channel allows the command, if nothing else can happen
    /// before.
    #[inline]
    pub(super) fn next(&self, channel: &Channel) -> Option<u64> {
        let next = channel.allows(self.command);
        (next < self.until).then_some(next)
    }

    /// Ends the run with what was served last at `now`, if anything was. Returns the next cycle in which anything can
    /// happen in the channel.
    pub(super) fn end(&self, channel: &mut Channel, now: u64) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        channel.settle(self.command, self.count, self.banks);
        let next = channel.allows(self.command).min(self.until);
        Some(if next > now { next } else { channel.next_of_pim(now) })
    }
}
