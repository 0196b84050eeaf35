//! Cycles in which there are only PIM requests, which are most: the same as those of the channel, without a look at the
//! other queues.

use crate::command::{Bus, Command};

use super::super::rules::BankSet;
use super::{Candidate, Channel, Config, Entry, Node, Source, Stretch, Takes};

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

    /// The own command of the first request, where it goes over the column bus only and no other command may be issued
    /// before a later cycle than `now`, and that cycle: see [`super::super::burst`].
    #[inline]
    pub(in super::super) fn streams(&mut self, config: &Config, now: u64) -> Option<(Command, u64)> {
        if now >= self.next_refresh || !self.only_pim() {
            return None;
        }
        let (command, bank) = self.pim.first_column(config)?;
        self.pim.follower(command)?;
        if !self.timers.has_own(command) || self.timers.ready(command, bank) > now {
            return None;
        }
        let others = self.pim.others_from(&self.timers, command, now)?;
        Some((command, others.min(self.next_refresh)))
    }

    /// The row of the first request.
    #[inline]
    pub(in super::super) const fn first_row(&self) -> u32 {
        self.pim.entry(self.pim.head_slot()).row
    }

    /// The banks in which a row is open.
    #[inline]
    pub(in super::super) fn open_banks(&self, row: u32) -> BankSet {
        self.rows.with(row)
    }

    /// The first cycle in which a request with this command, which that at the front has, may be served; a cycle before it
    /// where that is another one.
    #[inline]
    pub(in super::super) fn allows(&self, command: Command) -> u64 {
        let anywhere = self.timers.ready_at_channel(command);
        let bank = self.pim.entry(self.pim.head_slot()).bank;
        if self.timers.period(command, bank).is_some_and(|(_, anywhere)| anywhere) {
            return anywhere;
        }
        let ready = self.timers.ready(command, bank);
        if ready > anywhere && self.pim.has_elsewhere(command, bank) { anywhere } else { ready }
    }

    /// The next cycle in which anything can happen after requests of the queue of PIM requests were served until `now`.
    pub(in super::super) fn next_of_pim(&mut self, now: u64) -> u64 {
        self.pim.next_change(&self.timers, now, true, self.next_refresh)
    }

    /// When the next refresh is due: before it there is none.
    #[inline]
    pub(in super::super) const fn next_refresh(&self) -> u64 {
        self.next_refresh
    }

    /// Serves the first of a stream of requests and tells its bank; `None`, and nothing is done, where it is not ready, is
    /// the last one or lets others go on. [`Self::settle`] has to follow before anything but the stream is looked at.
    #[inline]
    pub(in super::super) fn serve_first(&mut self, config: &Config, command: Command, now: u64) -> Option<Node> {
        let slot = self.pim.head_slot();
        let bank = self.pim.entry(slot).bank;
        let follower = self.pim.follower(command)?;
        if self.pim.frees_others(bank) || !self.timers.issue_own(command, bank, now) {
            return None;
        }
        if self.log.is_some() {
            let slot = slot as u8;
            self.note(config, now, Candidate { source: Source::Pim, slot, command: Some(command), bank, ready: true });
        }
        self.pim.remove_first(command, bank, follower);
        Some(bank)
    }

    /// The requests at the front that can be served one by one with nothing between, while others like `entry` come; `None`
    /// where none do or each is wanted.
    #[inline]
    pub(in super::super) fn run(&self, command: Command, bank: Node, entry: Option<&Entry>) -> Option<Stretch> {
        if self.log.is_some() { None } else { self.pim.run(command, bank, entry) }
    }

    /// Takes a request in a stretch; [`Self::settle_stretch`] has to follow.
    #[inline]
    pub(in super::super) fn stretch(&mut self, stretch: &mut Stretch, entry: &Entry) {
        self.pim.stretch(stretch, entry);
    }

    /// Brings the queue up to date after a stretch, the last of which was served at `now`.
    pub(in super::super) fn settle_stretch(&mut self, (command, bank): (Command, Node), stretch: &Stretch, now: u64) {
        self.pim.settle(command, stretch);
        self.timers.issue_own(command, bank, now);
    }

    /// After so many cycles the requests of a run can follow each other, if a stretch of them goes to this bank.
    #[inline]
    pub(in super::super) fn period(&self, command: Command, bank: Node) -> Option<u64> {
        let (period, anywhere) = self.timers.period(command, bank)?;
        (anywhere || !self.pim.has_elsewhere(command, bank)).then_some(period)
    }

    /// Brings the books up to date after `count` commands of a stream to these banks.
    pub(in super::super) fn settle(&mut self, command: Command, count: u64, banks: BankSet) {
        self.commands[command] += count;
        self.completed += count;
        self.timers.settle(command, banks);
    }

    /// Takes a request of the stream whose row is open.
    #[inline]
    pub(in super::super) fn accept_hit(&mut self, config: &Config, entry: &Entry, wide: bool) {
        self.pim.push_hit(config, entry, wide);
    }

    /// Takes any other PIM request. The first cycle from `now` on in which it can be issued, as far as is known.
    #[inline(never)]
    pub(in super::super) fn accept_other(&mut self, config: &Config, mut entry: Entry, now: u64) -> u64 {
        if let Some(own) = entry.own {
            entry.next = self.next(config, own, entry.bank, entry.row);
            self.pim.push_and_look(config, &self.timers, entry, now)
        } else {
            self.pim.push(config, entry);
            u64::MAX
        }
    }

    /// The row of the first request that needs one.
    pub(in super::super) fn first_needed_row(&self, config: &Config) -> Option<u32> {
        let needs = |entry: &&Entry| entry.own.is_some_and(|own| config.needs_row(own));
        self.pim.entries().find(needs).map(|entry| entry.row)
    }

    /// Writes down the state at the begin of cycle `now`, rows counted from `base`; `false` where there are more than PIM
    /// requests, or a refresh is due.
    pub(in super::super) fn describe(&mut self, config: &Config, now: u64, base: u32, key: &mut Vec<u32>) -> bool {
        if !self.only_pim() || self.reads_done > now || self.next_refresh <= now || self.log.is_some() {
            return false;
        }
        key.push(self.pim.len());
        for entry in self.pim.entries() {
            entry.write(config, base, key);
        }
        self.rows.describe(base, key);
        self.timers.describe(now, key)
    }

    /// Puts in place what [`Self::describe`] has written down at an earlier cycle.
    pub(in super::super) fn put(
        &mut self,
        config: &Config,
        now: u64,
        base: u32,
        words: &mut impl Iterator<Item = u32>,
    ) {
        self.pim.clear();
        let entries: Vec<Entry> = (0..words.next().unwrap_or(0)).map(|_| Entry::read(config, base, words)).collect();
        self.rows.put(base, words);
        self.timers.put(now, words);
        for mut entry in entries {
            if let Some(own) = entry.own {
                entry.next = self.next(config, own, entry.bank, entry.row);
            }
            self.pim.push(config, entry);
        }
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
