//! One channel: its queues, its two slots in each cycle, its refreshes.

mod pim_only;

use std::collections::VecDeque;

use crate::command::{Bus, Command, CommandCounts};
use crate::organisation::Organisation;

use super::config::Config;
use super::prerequisite::{look_again, next};
use super::queue::{Entry, Queue, Stretch};
use super::rows::OpenRows;
use super::rules::{BankSet, Banks, Effect};
use super::timers::{Node, Timers};
use super::{Issue, Target};

/// A queue takes another request as long as it holds no more than this.
const FULL_ABOVE: u32 = 32;
/// Writes are served once their queue holds more than 0.8 of 32 ...
const MANY_WRITES: u32 = 25;
/// ... and until it holds less than 0.2 of 32.
const FEW_WRITES: u32 = 6;

/// Where a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Reads and writes whose row has been opened for them.
    Active,
    Refresh,
    Pim,
    Read,
    Write,
}

impl Source {
    /// Where a request of this kind goes.
    #[inline]
    pub(super) const fn of(own: Option<Command>) -> Self {
        match own {
            Some(Command::Rd) => Self::Read,
            Some(Command::Wr) => Self::Write,
            _ => Self::Pim,
        }
    }
}

/// What a slot of the cycle takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Anything,
    Only(Bus),
    Nothing,
}

/// What a slot has come to.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    source: Source,
    slot: u8,
    /// `None` for a barrier.
    command: Option<Command>,
    bank: Node,
    ready: bool,
}

/// State and statistics of one channel.
#[derive(Clone, Debug)]
pub(super) struct Channel {
    timers: Timers,
    rows: OpenRows,
    active: Queue,
    pim: Queue,
    reads: Queue,
    writes: Queue,
    /// Pseudo-channels to be refreshed, by node.
    refreshes: VecDeque<Node>,
    next_refresh: u64,
    /// Whether writes are served instead of reads.
    writing: bool,
    /// Something has changed in this cycle.
    changed: bool,
    /// When the last read's data will have been handed over.
    reads_done: u64,
    /// Statistics: requests that are done with.
    pub(super) completed: u64,
    /// Statistics.
    pub(super) commands: CommandCounts,
    /// Statistics: barriers that took a slot.
    pub(super) barriers: u64,
    pub(super) log: Option<Vec<Issue>>,
}

impl Channel {
    pub(super) fn new(config: &Config, timers: Timers, logged: bool) -> Self {
        let banks = config.organisation.banks_per_channel() as usize;
        let queue = || Queue::new(banks);
        Self {
            timers,
            rows: OpenRows::default(),
            active: queue(),
            pim: queue(),
            reads: queue(),
            writes: queue(),
            refreshes: VecDeque::new(),
            next_refresh: config.refresh_interval.unwrap_or(u64::MAX),
            writing: false,
            changed: false,
            reads_done: 0,
            completed: 0,
            commands: CommandCounts::default(),
            barriers: 0,
            log: logged.then(Vec::new),
        }
    }

    fn queue(&mut self, source: Source) -> Option<&mut Queue> {
        match source {
            Source::Active => Some(&mut self.active),
            Source::Pim => Some(&mut self.pim),
            Source::Read => Some(&mut self.reads),
            Source::Write => Some(&mut self.writes),
            Source::Refresh => None,
        }
    }

    /// Whether the queue for this kind of request takes another.
    #[inline]
    pub(super) const fn has_room(&self, source: Source) -> bool {
        let queue = match source {
            Source::Read => &self.reads,
            Source::Write => &self.writes,
            _ => &self.pim,
        };
        queue.len() <= FULL_ABOVE
    }

    /// Takes a request for which there is room. Returns the cycle at which something may happen because of it.
    #[inline]
    pub(super) fn accept(&mut self, config: &Config, mut entry: Entry, now: u64) -> u64 {
        let Some(own) = entry.own else {
            self.pim.push(config, entry);
            // Behind others it waits.
            return if self.pim.starts_with_barrier() { now } else { u64::MAX };
        };
        entry.next = self.next(config, own, entry.bank, entry.row);
        match Source::of(entry.own) {
            Source::Read => self.reads.push(config, entry),
            Source::Write => self.writes.push(config, entry),
            // Unless it can be served itself, it changes nothing for those before it but to hold some of them back.
            _ => return self.pim.push_and_look(config, &self.timers, entry, now),
        }
        now
    }

    /// Whether a read needs no service: what it reads waits to be written. It is answered at once.
    #[inline]
    pub(super) fn answers(&mut self, entry: &Entry, now: u64) -> bool {
        if entry.own != Some(Command::Rd) || self.writes.is_empty() {
            return false;
        }
        let same = |write: &Entry| (write.row, write.column) == (entry.row, entry.column);
        let answered = self.writes.of_bank(entry.bank).any(same);
        if answered {
            self.read_done_at(now);
            self.completed += 1;
        }
        answered
    }

    /// One read's data is handed over in each cycle, in order.
    fn read_done_at(&mut self, cycle: u64) {
        self.reads_done = cycle.max(self.reads_done + 1);
    }

    /// When nothing waits any more, if nothing waits in a queue; `None` if something does.
    #[inline]
    pub(super) fn done_at(&self) -> Option<u64> {
        let waits = !self.pim.is_empty()
            || !self.reads.is_empty()
            || !self.writes.is_empty()
            || !self.refreshes.is_empty()
            || !self.active.is_empty();
        (!waits).then_some(self.reads_done)
    }

    /// What has to be issued next for a request.
    #[inline]
    fn next(&self, config: &Config, own: Command, bank: Node, row: u32) -> Command {
        next(config, &self.rows, own, bank, row)
    }

    /// One cycle. Returns the next one at which anything can happen here if no request comes.
    #[inline]
    pub(super) fn tick(&mut self, config: &Config, now: u64) -> u64 {
        self.changed = false;
        if now < self.next_refresh && self.only_pim() {
            return self.tick_pim(config, now);
        }
        self.tick_all(config, now)
    }

    #[inline(never)]
    fn tick_all(&mut self, config: &Config, now: u64) -> u64 {
        if now >= self.next_refresh {
            self.next_refresh += config.refresh_interval.unwrap_or(u64::MAX);
            let banks = config.organisation.banks_per_channel();
            self.refreshes.extend((banks..banks + config.organisation.pseudo_channels).map(|node| node as Node));
            self.changed = true;
        }
        let first = self.slot(config, now, Takes::Anything);
        let takes = match first.and_then(|command| config.bus(command)) {
            Some(Bus::Row) => Takes::Only(Bus::Column),
            Some(Bus::Column) => Takes::Only(Bus::Row),
            None => Takes::Nothing,
        };
        self.slot(config, now, takes);
        self.next_change(config, now)
    }

    #[inline]
    fn drop_barrier(&mut self) {
        if self.pim.drop_barrier() {
            self.completed += 1;
            self.changed = true;
        }
    }

    /// One slot of the cycle: at most one command. Returns the command that it came to, issued or not.
    #[inline]
    fn slot(&mut self, config: &Config, now: u64, takes: Takes) -> Option<Command> {
        let candidate = self.candidate(config, now, takes)?;
        if candidate.ready && !self.closes_what_is_needed(config, candidate) {
            self.issue(config, now, candidate);
        }
        candidate.command
    }

    /// Looks for a command that the slot takes: active requests, then refreshes (which let nothing past while they wait),
    /// then PIM requests, then reads or writes.
    #[inline]
    fn candidate(&mut self, config: &Config, now: u64, takes: Takes) -> Option<Candidate> {
        let fits = |command: Command| match takes {
            Takes::Anything => true,
            Takes::Only(bus) => config.bus(command) == Some(bus),
            Takes::Nothing => false,
        };
        if !self.active.is_empty() {
            let candidate = self.best(Source::Active, now);
            if candidate.is_some_and(|candidate| candidate.ready && candidate.command.is_some_and(fits)) {
                return candidate;
            }
        }
        if let Some(&bank) = self.refreshes.front() {
            let command = self.next(config, Command::RefAb, bank, 0);
            if fits(command) {
                let ready = self.timers.ready(command, bank) <= now;
                return Some(Candidate { source: Source::Refresh, slot: 0, command: Some(command), bank, ready });
            }
        }
        self.drop_barrier();
        let offered = match takes {
            Takes::Anything => true,
            Takes::Only(bus) => self.pim.offers(config, bus),
            Takes::Nothing => false,
        };
        if offered {
            let candidate = self.best(Source::Pim, now);
            let takes = |command: Option<Command>| command.map_or(takes == Takes::Anything, fits);
            if candidate.is_some_and(|candidate| candidate.ready && takes(candidate.command)) {
                return candidate;
            }
        }
        if self.turns() {
            self.writing = !self.writing;
            self.changed = true;
        }
        if self.writes.is_empty() && self.reads.is_empty() {
            return None;
        }
        let candidate = self.best(if self.writing { Source::Write } else { Source::Read }, now)?;
        let fits = candidate.command.is_some_and(fits);
        Some(Candidate { ready: candidate.ready && fits, ..candidate })
    }

    #[inline]
    fn best(&mut self, source: Source, now: u64) -> Option<Candidate> {
        let queue = match source {
            Source::Active => &mut self.active,
            Source::Read => &mut self.reads,
            Source::Write => &mut self.writes,
            Source::Pim | Source::Refresh => &mut self.pim,
        };
        let best = queue.best(&self.timers, now)?;
        let entry = queue.entry(best.slot);
        let command = entry.own.map(|_| entry.next);
        Some(Candidate { source, slot: best.slot as u8, command, bank: entry.bank, ready: best.ready })
    }

    /// Whether reads and writes would take turns now.
    #[inline]
    const fn turns(&self) -> bool {
        if self.writing {
            self.writes.len() <= FEW_WRITES && !self.reads.is_empty()
        } else {
            self.writes.len() > MANY_WRITES || self.reads.is_empty()
        }
    }

    /// A bank must not be closed for another request while one whose row was opened there waits.
    #[inline]
    fn closes_what_is_needed(&self, config: &Config, candidate: Candidate) -> bool {
        let Some(command) = candidate.command else { return false };
        !self.active.is_empty()
            && candidate.source != Source::Refresh
            && matches!(config.effect(command), Effect::Close(_))
            && self.active.has_bank(candidate.bank)
    }

    #[inline]
    fn issue(&mut self, config: &Config, now: u64, candidate: Candidate) {
        self.changed = true;
        let Candidate { source, slot, command, bank, .. } = candidate;
        let slot = usize::from(slot);
        if self.log.is_some() {
            self.note(config, now, candidate);
        }
        let Some(command) = command else {
            self.barriers += 1;
            self.completed += 1;
            self.pim.remove(slot);
            return;
        };
        self.commands[command] += 1;
        self.timers.issue(command, bank, now);
        if source == Source::Refresh {
            if command == Command::RefAb {
                self.refreshes.pop_front();
            }
            self.move_rows(config, command, bank, 0);
            return;
        }
        let Some(queue) = self.queue(source) else { return };
        let entry = *queue.entry(slot);
        if entry.own == Some(command) {
            queue.remove(slot);
            self.completed += 1;
            if command == Command::Rd {
                self.read_done_at(now + config.read_latency);
            }
        } else if config.effect(command) == Effect::Open(Banks::Addressed) && self.active.len() <= FULL_ABOVE {
            // The bank is now open for this request: it goes before the others.
            let entry = self.queue(source).map_or(entry, |queue| queue.remove(slot));
            self.active.push(config, entry);
        }
        self.move_rows(config, command, bank, entry.row);
    }

    #[cold]
    fn note(&mut self, config: &Config, now: u64, candidate: Candidate) {
        let target = if candidate.source == Source::Refresh {
            let whole = u32::from(candidate.bank) - config.organisation.banks_per_channel();
            Target::PseudoChannel(whole as u8)
        } else {
            let queue = self.queue(candidate.source);
            let entry = queue.map_or(Entry::new(None, 0, 0, 0), |queue| *queue.entry(candidate.slot.into()));
            Target::Column(config.address(entry.bank, entry.row), entry.column)
        };
        let issue = Issue { cycle: now, command: candidate.command, target };
        self.log.get_or_insert_default().push(issue);
    }

    /// What a command does to rows, and what that changes for those who wait.
    #[inline]
    fn move_rows(&mut self, config: &Config, command: Command, bank: Node, row: u32) {
        let (opens, kind) = match config.effect(command) {
            Effect::Nothing => return,
            Effect::Open(banks) => (true, banks),
            Effect::Close(banks) => (false, banks),
        };
        self.move_banks(config, opens, kind, bank, row);
    }

    #[inline(never)]
    fn move_banks(&mut self, config: &Config, opens: bool, kind: Banks, bank: Node, row: u32) {
        let banks = config.set(kind, bank);
        // Few banks: of the requests that need their row in few only those of these banks can have changed.
        let few = matches!(kind, Banks::Addressed | Banks::EachPseudoChannel);
        let near = few.then(|| config.set(Banks::EachPseudoChannel, bank));
        if opens {
            self.rows.activate(row, banks);
        } else {
            self.rows.precharge(banks);
        }
        for queue in [&mut self.active, &mut self.pim, &mut self.reads, &mut self.writes] {
            if !queue.is_empty() {
                look_again(config, &self.rows, queue, (banks, near), opens);
            }
        }
    }

    /// The next cycle at which anything can happen if no request comes.
    #[inline]
    fn next_change(&mut self, config: &Config, now: u64) -> u64 {
        // Each look at the PIM queue takes one barrier away; each look at reads and writes may turn.
        if self.pim.starts_with_barrier() || self.turns() {
            return now + 1;
        }
        let mut next = self.next_refresh;
        if let Some(&bank) = self.refreshes.front() {
            let command = self.next(config, Command::RefAb, bank, 0);
            let ready = self.timers.ready(command, bank);
            if ready > now {
                next = next.min(ready);
            } else if self.changed {
                return now + 1;
            }
        }
        next = self.pim.next_change(&self.timers, now, self.changed, next);
        for queue in [&mut self.active, &mut self.reads, &mut self.writes] {
            if !queue.is_empty() {
                next = queue.next_change(&self.timers, now, self.changed, next);
            }
        }
        next
    }
}

/// How many banks a channel may have: the nodes behind them are its pseudo-channels.
pub(super) const fn fits(organisation: &Organisation) -> bool {
    organisation.banks_per_channel() <= BankSet::BITS
        && organisation.banks_per_channel() + organisation.pseudo_channels <= Node::MAX as u32
}
