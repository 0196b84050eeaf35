//! Cycles in which there are only PIM requests, which are most: the same as those of the channel, without a look at the
//! other queues.

use crate::command::{Bus, Command};

use super::{Candidate, Channel, Config, Node, Source, Takes};

impl Channel {
    /// Whether nothing but PIM requests can be served, now or later in this cycle.
    #[inline]
    pub(super) fn only_pim(&self) -> bool {
        self.writing
            && self.refreshes.is_empty()
            && self.active.is_empty()
            && self.reads.is_empty()
            && self.writes.is_empty()
    }

    /// A cycle in which there are only PIM requests: what [`Self::tick`] does, without a look at the other queues.
    #[inline]
    pub(super) fn tick_pim(&mut self, config: &Config, now: u64) -> u64 {
        if let Some((command, bank)) = self.pim.first_column(config)
            && self.timers.ready(command, bank) <= now
        {
            return self.tick_column(config, command, bank, now);
        }
        self.tick_pim_slots(config, now)
    }

    /// Such a cycle that begins with the column command of the first request, as most do: what
    /// [`Self::tick_pim_slots`] does for it.
    #[inline]
    fn tick_column(&mut self, config: &Config, command: Command, bank: Node, now: u64) -> u64 {
        if self.log.is_some() {
            let slot = self.pim.head_slot() as u8;
            let first = Candidate { source: Source::Pim, slot, command: Some(command), bank, ready: true };
            self.note(config, now, first);
        }
        self.changed = true;
        self.commands[command] += 1;
        self.completed += 1;
        self.timers.issue(command, bank, now);
        self.pim.remove_first_column(config, command, bank);
        if self.pim.is_empty() {
            return self.next_refresh;
        }
        // The second slot: it takes a barrier away, then looks for a command of the row bus.
        if self.pim.starts_with_barrier() {
            self.drop_barrier();
        }
        if self.pim.may_offer(config, Bus::Row) && self.pim.offers(config, Bus::Row) {
            self.row_slot_pim(config, now);
        }
        if self.pim.starts_with_barrier() {
            return now + 1;
        }
        if let Some(command) = self.pim.only_command() {
            // What holds it back in the whole channel is mostly enough to know.
            let bound = self.timers.ready_at_channel(command);
            if bound > now {
                return bound.min(self.next_refresh);
            }
        }
        self.pim.next_change(&self.timers, now, true, self.next_refresh)
    }

    /// The second slot of such a cycle, where a request needs a command of the row bus.
    #[inline(never)]
    fn row_slot_pim(&mut self, config: &Config, now: u64) {
        let Some(candidate) = self.best(Source::Pim, now) else { return };
        let fits = candidate.command.is_some_and(|command| config.bus(command) == Some(Bus::Row));
        if candidate.ready && fits {
            self.issue(config, now, candidate);
        }
    }

    #[inline(never)]
    fn tick_pim_slots(&mut self, config: &Config, now: u64) -> u64 {
        let first = self.slot_pim(config, now, Takes::Anything);
        if self.pim.is_empty() {
            return self.next_refresh;
        }
        let takes = match first.and_then(|command| config.bus(command)) {
            Some(Bus::Row) => Takes::Only(Bus::Column),
            Some(Bus::Column) => Takes::Only(Bus::Row),
            None => Takes::Nothing,
        };
        self.slot_pim(config, now, takes);
        if self.pim.starts_with_barrier() {
            return now + 1;
        }
        self.pim.next_change(&self.timers, now, self.changed, self.next_refresh)
    }

    /// One slot of such a cycle. Returns the command that it issued: where none is, no queue is left to name another.
    #[inline]
    fn slot_pim(&mut self, config: &Config, now: u64, takes: Takes) -> Option<Command> {
        self.drop_barrier();
        let offered = match takes {
            Takes::Anything => true,
            Takes::Only(bus) => self.pim.offers(config, bus),
            Takes::Nothing => false,
        };
        if !offered {
            return None;
        }
        let candidate = self.best(Source::Pim, now)?;
        let fits = match takes {
            Takes::Only(bus) => candidate.command.is_some_and(|command| config.bus(command) == Some(bus)),
            Takes::Anything | Takes::Nothing => true,
        };
        if !candidate.ready || !fits {
            return None;
        }
        self.issue(config, now, candidate);
        candidate.command
    }
}
