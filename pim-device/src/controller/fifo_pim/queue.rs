//! A request queue: which entry may go first.
//!
//! Entries lie in a ring of 64 slots in the order of their arrival; sets of entries are words with a bit for each slot.
//! What decides about an entry (its next command, whether it hits an open row, whether a hit of its bank waits) is kept
//! up to date as banks and neighbours change, so that to choose one looks at few entries, mostly at one.

use crate::command::{Bus, Command};

use super::Request;
use super::config::Config;
use super::rules::BankSet;
use super::timers::{Node, Timers};

/// Slots of the ring; more than twice the entries that a queue takes.
const SLOTS: u64 = 64;

/// What stands for a barrier among words.
const BARRIER: u32 = u32::MAX;

/// A request that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// Its own command; `None` for a barrier.
    pub(super) own: Option<Command>,
    /// What has to be issued next for it.
    pub(super) next: Command,
    /// Bank of the channel.
    pub(super) bank: Node,
    /// Column of the row.
    pub(super) column: u16,
    /// Row of the bank.
    pub(super) row: u32,
    /// `next` may not be issued before this. A lower bound that goes up when it is looked at.
    not_before: u64,
}

impl Entry {
    /// A request; `None` where it has no place in the channel.
    #[inline]
    pub(super) fn of(config: &Config, request: &Request) -> Option<Self> {
        let bank = config.bank(request.address, request.column)?;
        Some(Self::new(request.command, bank, request.address.row, request.column))
    }

    /// Writes down a request, its row counted from `base`.
    pub(super) fn write(&self, config: &Config, base: u32, key: &mut Vec<u32>) {
        let Some(own) = self.own else {
            key.push(BARRIER);
            return;
        };
        key.push((own as u32) << 8 | u32::from(self.bank));
        if config.needs_row(own) {
            key.push(self.row.wrapping_sub(base));
        }
    }

    /// A request that [`Self::write`] has written down; the row is `base` where none is needed, the column 0.
    pub(super) fn read(config: &Config, base: u32, words: &mut impl Iterator<Item = u32>) -> Self {
        let word = words.next().unwrap_or(BARRIER);
        if word == BARRIER {
            return Self::new(None, 0, 0, 0);
        }
        let own = Command::ALL[(word >> 8) as usize];
        let row = if config.needs_row(own) { base.wrapping_add(words.next().unwrap_or(0)) } else { base };
        Self::new(Some(own), word as Node, row, 0)
    }

    pub(super) const fn new(own: Option<Command>, bank: Node, row: u32, column: u16) -> Self {
        Self { own, next: Command::PreA, bank, column, row, not_before: 0 }
    }
}

/// The entry to be served first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Best {
    /// Where it is.
    pub(super) slot: usize,
    /// Whether its next command may be issued now.
    pub(super) ready: bool,
}

/// Entries at the front that go to one bank and issue their own command, while they are served and others come that are
/// like the last one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    /// Where those at the front go.
    bank: Node,
    /// How many of them wait.
    waiting: u32,
    /// Whether there are no others, and none come.
    whole: bool,
    /// How many may come before the ring is full, if none goes.
    room: u32,
    pub(super) served: u32,
    accepted: u32,
}

impl Stretch {
    /// Whether the first one may be served and another come in its place.
    #[inline]
    pub(super) const fn goes_on(&self) -> bool {
        self.waiting >= 2 && (self.whole || self.accepted < self.room)
    }

    /// The first one is served.
    #[inline]
    pub(super) const fn serve(&mut self) {
        self.served += 1;
        self.waiting -= 1;
    }
}

/// State of one queue.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    entries: Box<[Entry; SLOTS as usize]>,
    /// Number of the first entry in order of arrival, and of the next to come.
    head: u64,
    tail: u64,
    /// Entries, and how many.
    live: u64,
    len: u32,
    barriers: u64,
    /// Entries whose own command is next and whose row is open.
    hits: u64,
    /// Entries in whose bank a hit waits.
    covered: u64,
    /// Entries that need a row in banks of several bank groups.
    wide: u64,
    /// Entries whose next command opens or closes rows: they may pass a barrier.
    hoisted: u64,
    /// Entries by their next command, and which of these are not empty.
    next: [u64; Command::ALL.len()],
    commands: u32,
    /// By bank.
    at: Vec<AtBank>,
}

/// State of one bank's part of a queue.
#[derive(Clone, Copy, Debug, Default)]
struct AtBank {
    /// Entries.
    entries: u64,
    /// How many of them hit.
    hits: u8,
}

impl Queue {
    pub(super) fn new(banks: usize) -> Self {
        Self {
            entries: Box::new([Entry::new(None, 0, 0, 0); SLOTS as usize]),
            head: 0,
            tail: 0,
            live: 0,
            len: 0,
            barriers: 0,
            hits: 0,
            covered: 0,
            hoisted: 0,
            wide: 0,
            next: [0; Command::ALL.len()],
            commands: 0,
            at: vec![AtBank::default(); banks],
        }
    }

    #[inline]
    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.live == 0
    }

    #[inline]
    pub(super) const fn entry(&self, slot: usize) -> &Entry {
        &self.entries[slot % SLOTS as usize]
    }

    /// The requests that need a row and have to have it opened or closed before; with `only` false also those that have it.
    /// Of those that need it in few banks only those to a bank of `near`.
    #[inline]
    pub(super) fn without_row(&self, only: bool, near: Option<BankSet>) -> u64 {
        let mut requests = if only { self.hoisted } else { self.hoisted | self.hits };
        if let Some(mut banks) = near {
            let mut there = self.wide;
            while banks != 0 {
                there |= self.at[banks.trailing_zeros() as usize].entries;
                banks &= banks - 1;
            }
            requests &= there;
        }
        requests
    }

    /// Of these requests those that need the same command next in the same bank as this one for the same.
    #[inline]
    pub(super) fn like(&self, slot: usize, requests: u64) -> u64 {
        let one = self.entry(slot);
        let alike = |&other: &usize| {
            let other = self.entry(other);
            other.row == one.row && other.own == one.own
        };
        bits(requests & self.alike(slot)).filter(alike).fold(0, |all, slot| all | 1 << slot)
    }

    /// Whether an entry goes to this bank.
    #[inline]
    pub(super) fn has_bank(&self, bank: Node) -> bool {
        self.at[usize::from(bank)].entries != 0
    }

    /// Entries of a bank, in no order.
    pub(super) fn of_bank(&self, bank: Node) -> impl Iterator<Item = &Entry> {
        bits(self.at[usize::from(bank)].entries).map(|slot| &self.entries[slot])
    }

    /// All entries, in order.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        in_order(self.live, self.head_slot()).map(|slot| &self.entries[slot])
    }

    /// Takes all entries out.
    pub(super) fn clear(&mut self) {
        (self.live, self.len, self.barriers, self.hits, self.covered) = (0, 0, 0, 0, 0);
        (self.hoisted, self.wide, self.commands) = (0, 0, 0);
        self.next.fill(0);
        self.at.fill(AtBank::default());
    }

    #[inline]
    pub(super) const fn head_slot(&self) -> usize {
        (self.head % SLOTS) as usize
    }

    /// Puts an entry at the end.
    #[inline]
    pub(super) fn push(&mut self, config: &Config, entry: Entry) {
        if self.live == 0 {
            self.head = self.tail;
        } else if self.tail - self.head == SLOTS {
            self.close_gaps(config);
        }
        let slot = (self.tail % SLOTS) as usize;
        self.tail += 1;
        let bit = 1 << slot;
        self.entries[slot] = entry;
        self.live |= bit;
        self.len += 1;
        let Some(own) = entry.own else {
            self.barriers |= bit;
            return;
        };
        if config.is_wide(own) {
            self.wide |= bit;
        }
        let at = &mut self.at[usize::from(entry.bank)];
        at.entries |= bit;
        if at.hits > 0 {
            self.covered |= bit;
        }
        self.enlist(config, slot);
    }

    /// Puts a request at the end. Returns when it may be served first: never, or not before others have been, where the
    /// result is the largest cycle; at the earliest `now`.
    #[inline]
    pub(super) fn push_and_look(&mut self, config: &Config, timers: &Timers, entry: Entry, now: u64) -> u64 {
        self.push(config, entry);
        let slot = ((self.tail - 1) % SLOTS) as usize;
        if (self.eligible() | 1 << self.head_slot()) >> slot & 1 == 0 {
            return u64::MAX;
        }
        self.ready_at(timers, slot, now).max(now)
    }

    /// Moves all entries together: many left from the middle.
    #[cold]
    fn close_gaps(&mut self, config: &Config) {
        let entries: Vec<Entry> = in_order(self.live, self.head_slot()).map(|slot| self.entries[slot]).collect();
        while self.live != 0 {
            self.remove(self.head_slot());
        }
        for entry in entries {
            self.push(config, entry);
        }
    }

    /// Takes an entry out.
    #[inline]
    pub(super) fn remove(&mut self, slot: usize) -> Entry {
        let bit = 1 << slot;
        let entry = *self.entry(slot);
        self.live &= !bit;
        self.wide &= !bit;
        self.len -= 1;
        if entry.own.is_none() {
            self.barriers &= !bit;
        } else {
            self.delist(slot);
            self.covered &= !bit;
            self.at[usize::from(entry.bank)].entries &= !bit;
        }
        if slot == self.head_slot() {
            let distance = self.live.rotate_right(slot as u32).trailing_zeros();
            self.head = if self.live == 0 { self.tail } else { self.head + u64::from(distance) };
        }
        entry
    }

    /// Gives requests that are [like](Self::like) each other another next command.
    pub(super) fn set_next(&mut self, config: &Config, slots: u64, next: Command) {
        let first = slots.trailing_zeros() as usize;
        let Entry { own, next: before, bank, .. } = self.entries[first];
        for slot in bits(slots) {
            self.entries[slot].next = next;
            self.entries[slot].not_before = 0;
        }
        self.next[before as usize] &= !slots;
        if self.next[before as usize] == 0 {
            self.commands &= !(1 << before as u32);
        }
        self.next[next as usize] |= slots;
        self.commands |= 1 << next as u32;
        self.hoisted = if config.moves_rows(next) { self.hoisted | slots } else { self.hoisted & !slots };
        let at = &mut self.at[usize::from(bank)];
        at.hits -= (self.hits & slots).count_ones() as u8;
        self.hits &= !slots;
        if own == Some(next) && config.needs_row(next) {
            self.hits |= slots;
            at.hits += slots.count_ones() as u8;
        }
        self.covered = if at.hits > 0 { self.covered | at.entries } else { self.covered & !at.entries };
    }

    #[inline]
    fn enlist(&mut self, config: &Config, slot: usize) {
        let Entry { own, next, bank, .. } = self.entries[slot];
        let bit = 1 << slot;
        self.next[next as usize] |= bit;
        self.commands |= 1 << next as u32;
        if config.moves_rows(next) {
            self.hoisted |= bit;
        }
        if own == Some(next) && config.needs_row(next) {
            self.hits |= bit;
            let at = &mut self.at[usize::from(bank)];
            at.hits += 1;
            self.covered |= at.entries;
        }
    }

    #[inline]
    fn delist(&mut self, slot: usize) {
        let Entry { next, bank, .. } = self.entries[slot];
        let bit = 1 << slot;
        self.next[next as usize] &= !bit;
        if self.next[next as usize] == 0 {
            self.commands &= !(1 << next as u32);
        }
        self.hoisted &= !bit;
        if self.hits & bit != 0 {
            self.hits &= !bit;
            let at = &mut self.at[usize::from(bank)];
            at.hits -= 1;
            if at.hits == 0 {
                self.covered &= !at.entries;
            }
        }
    }

    /// The next command of the first request and its bank, where it is the request's own, and one that only goes over
    /// the column bus.
    #[inline]
    pub(super) fn first_column(&self, config: &Config) -> Option<(Command, Node)> {
        let entry = &self.entries[self.head_slot()];
        let plain = self.live != 0 && entry.own == Some(entry.next) && config.is_plain_column(entry.next);
        plain.then_some((entry.next, entry.bank))
    }

    /// Takes out what [`Self::first_column`] has found: the same as [`Self::remove`].
    #[inline]
    pub(super) fn remove_first_column(&mut self, config: &Config, command: Command, bank: Node) {
        let slot = self.head_slot();
        let gone = !(1 << slot);
        self.live &= gone;
        self.wide &= gone;
        self.len -= 1;
        let alike = &mut self.next[command as usize];
        *alike &= gone;
        if *alike == 0 {
            self.commands &= !(1 << command as u32);
        }
        self.covered &= gone;
        let at = &mut self.at[usize::from(bank)];
        at.entries &= gone;
        if config.needs_row(command) {
            self.hits &= gone;
            at.hits -= 1;
            if at.hits == 0 {
                self.covered &= !at.entries;
            }
        }
        let distance = self.live.rotate_right(slot as u32).trailing_zeros();
        self.head = if self.live == 0 { self.tail } else { self.head + u64::from(distance) };
    }

    /// The command that is next for all requests, where it is one.
    #[inline]
    pub(super) const fn only_command(&self) -> Option<Command> {
        if self.commands.is_power_of_two() { Some(Command::ALL[self.commands.trailing_zeros() as usize]) } else { None }
    }

    /// Takes a barrier away that stands first. Whether there was one.
    #[inline]
    pub(super) fn drop_barrier(&mut self) -> bool {
        let first = self.starts_with_barrier();
        if first {
            self.remove(self.head_slot());
        }
        first
    }

    #[inline]
    pub(super) const fn starts_with_barrier(&self) -> bool {
        self.barriers >> self.head_slot() & 1 != 0
    }

    /// The entries that may be served before the first one if it has to wait: before a barrier all, behind one those
    /// that open or close rows; in a bank where a hit waits only hits.
    #[inline]
    const fn eligible(&self) -> u64 {
        let head = self.head_slot() as u32;
        let barriers = self.barriers.rotate_right(head);
        // All bits below the lowest one.
        let before = (barriers.wrapping_sub(1) & !barriers).rotate_left(head);
        (before | self.hoisted) & self.live & !self.barriers & (self.hits | !self.covered)
    }

    /// A cycle before which no entry that may be served is ready with another command than this one; `None` where one is
    /// at `now`.
    #[inline]
    pub(super) fn others_from(&mut self, timers: &Timers, command: Command, now: u64) -> Option<u64> {
        let mut others = self.eligible() & !self.next[command as usize];
        let mut soonest = u64::MAX;
        while others != 0 {
            let slot = others.trailing_zeros() as usize;
            let ready = self.ready_at(timers, slot, now);
            if ready <= now {
                return None;
            }
            soonest = soonest.min(ready);
            others &= !self.alike(slot);
        }
        Some(soonest)
    }

    /// How far from the first entry the second one is, where this is its next command too.
    #[inline]
    pub(super) const fn follower(&self, command: Command) -> Option<u64> {
        let head = self.head_slot() as u32;
        let others = self.live.rotate_right(head) & !1;
        let second = others & others.wrapping_neg() & self.next[command as usize].rotate_right(head);
        if second == 0 { None } else { Some(second.trailing_zeros() as u64) }
    }

    /// Whether others in the bank of the first entry wait for this last hit there.
    #[inline]
    pub(super) fn frees_others(&self, bank: Node) -> bool {
        let at = &self.at[usize::from(bank)];
        let first = 1 << self.head_slot();
        at.hits == 1 && self.hits & first != 0 && at.entries != first
    }

    /// Takes the first entry out, which is about to issue its own command, is followed by another with the same and frees
    /// no others: the same as [`Self::remove`].
    #[inline]
    pub(super) fn remove_first(&mut self, command: Command, bank: Node, follower: u64) {
        let bit = 1 << self.head_slot();
        let gone = !bit;
        let at = &mut self.at[usize::from(bank)];
        at.entries &= gone;
        at.hits -= u8::from(self.hits & bit != 0);
        self.live &= gone;
        self.wide &= gone;
        self.hits &= gone;
        self.covered &= gone;
        self.next[command as usize] &= gone;
        self.len -= 1;
        self.head += follower;
    }

    /// Puts an entry at the end that hits with a command which others wait for: the same as [`Self::push`].
    #[inline]
    pub(super) fn push_hit(&mut self, config: &Config, entry: &Entry, wide: bool) {
        if self.tail - self.head == SLOTS {
            self.close_gaps(config);
        }
        let slot = (self.tail % SLOTS) as usize;
        let bit = 1 << slot;
        self.tail += 1;
        self.entries[slot] = *entry;
        self.live |= bit;
        self.len += 1;
        self.wide |= if wide { bit } else { 0 };
        self.hits |= bit;
        self.next[entry.next as usize] |= bit;
        let at = &mut self.at[usize::from(entry.bank)];
        at.entries |= bit;
        at.hits += 1;
        self.covered |= at.entries;
    }

    /// The entries at the front that lie side by side and go to this bank with this command, which is their own, while
    /// others like `entry` come; `None` where that is not like the last one.
    #[inline]
    pub(super) fn run(&self, command: Command, bank: Node, entry: Option<&Entry>) -> Option<Stretch> {
        let slot = ((self.tail - 1) % SLOTS) as usize;
        let last = self.entry(slot);
        let mut whole = true;
        if let Some(entry) = entry {
            if self.live >> slot & 1 == 0
                || entry.own != last.own
                || entry.own.is_none()
                || entry.bank != last.bank
                || entry.row != last.row
            {
                return None;
            }
            whole = bank == last.bank && command == last.next;
        }
        let alike = self.next[command as usize] & self.at[usize::from(bank)].entries;
        let waiting = alike.rotate_right(self.head_slot() as u32).trailing_ones();
        let length = (self.tail - self.head) as u32;
        whole &= waiting == length;
        Some(Stretch { bank, waiting, whole, room: SLOTS as u32 - length, served: 0, accepted: 0 })
    }

    /// Puts another entry behind those that have come in a stretch; [`Self::settle`] has to follow.
    #[inline]
    pub(super) fn stretch(&mut self, stretch: &mut Stretch, entry: &Entry) {
        let next = self.entries[((self.tail - 1) % SLOTS) as usize].next;
        self.entries[((self.tail + u64::from(stretch.accepted)) % SLOTS) as usize] = Entry { next, ..*entry };
        stretch.accepted += 1;
        stretch.waiting += u32::from(stretch.whole);
    }

    /// Takes out and puts in what a stretch of these has served and accepted: the same as [`Self::remove_first`] and
    /// [`Self::push`] again and again.
    pub(super) fn settle(&mut self, command: Command, stretch: &Stretch) {
        let ring = |first: u64, count: u64| match count {
            0..SLOTS => ((1_u64 << count) - 1).rotate_left((first % SLOTS) as u32),
            _ => u64::MAX,
        };
        let slot = ((self.tail - 1) % SLOTS) as usize;
        let (last, bit) = (self.entries[slot], 1_u64 << slot);
        let (hits, hoisted, covered, wide) =
            (self.hits & bit != 0, self.hoisted & bit != 0, self.covered & bit != 0, self.wide & bit != 0);
        let first_hits = self.hits >> self.head_slot() & 1 != 0;
        let (served, accepted) = (u64::from(stretch.served), u64::from(stretch.accepted));
        let (mut gone, mut come) = (ring(self.head, served), ring(self.tail, accepted));
        self.head += served;
        self.tail += accepted;
        if stretch.whole {
            (gone, come) = (u64::MAX, ring(self.head, self.tail - self.head));
        }
        self.at[usize::from(stretch.bank)].entries &= !gone;
        self.at[usize::from(last.bank)].entries |= come;
        // In the order in which the numbers do not wrap.
        self.at[usize::from(last.bank)].hits += if hits && !stretch.whole { accepted as u8 } else { 0 };
        let less = if stretch.whole { served - accepted } else { served };
        self.at[usize::from(stretch.bank)].hits -= if first_hits { less as u8 } else { 0 };
        let moved = |words: u64, come_too: bool| words & !gone | if come_too { come } else { 0 };
        self.live = moved(self.live, true);
        self.next[command as usize] &= !gone;
        self.next[last.next as usize] |= come;
        self.hits = moved(self.hits, hits);
        self.hoisted = moved(self.hoisted, hoisted);
        self.covered = moved(self.covered, covered);
        self.wide = moved(self.wide, wide);
        self.len = self.len + stretch.accepted - stretch.served;
    }

    /// Whether an entry with this command that may be served goes to another bank than this.
    #[inline]
    pub(super) fn has_elsewhere(&self, command: Command, bank: Node) -> bool {
        self.eligible() & self.next[command as usize] & !self.at[usize::from(bank)].entries != 0
    }

    /// Whether there is an entry at all whose next command goes over this bus.
    #[inline]
    pub(super) const fn may_offer(&self, config: &Config, bus: Bus) -> bool {
        self.commands & config.commands_of(bus) != 0
    }

    /// Whether an entry whose next command goes over this bus could be the best one.
    #[inline]
    pub(super) fn offers(&self, config: &Config, bus: Bus) -> bool {
        let commands = self.commands & config.commands_of(bus);
        commands != 0 && {
            let relevant = self.eligible() | 1 << self.head_slot();
            bits(commands.into()).any(|command| self.next[command] & relevant != 0)
        }
    }

    /// The entry to be served first: the first one if its command may be issued, else the first eligible one whose
    /// command may, else the first one. A barrier may always.
    #[inline]
    pub(super) fn best(&mut self, timers: &Timers, now: u64) -> Option<Best> {
        if self.live == 0 {
            return None;
        }
        let head = self.head_slot();
        if self.starts_with_barrier() || self.ready_at(timers, head, now) <= now {
            return Some(Best { slot: head, ready: true });
        }
        let mut candidates = self.eligible() & !(1 << head);
        if candidates & (candidates.wrapping_sub(1)) != 0 {
            for command in self.commands() {
                if timers.ready_at_channel(command) > now {
                    candidates &= !self.next[command as usize];
                }
            }
        }
        let mut candidates = candidates.rotate_right(head as u32);
        while candidates != 0 {
            let slot = (head + candidates.trailing_zeros() as usize) % SLOTS as usize;
            if self.ready_at(timers, slot, now) <= now {
                return Some(Best { slot, ready: true });
            }
            candidates &= !self.alike(slot).rotate_right(head as u32);
        }
        Some(Best { slot: head, ready: false })
    }

    /// When an entry's command may be issued, or a later cycle than `now` that is not after that.
    #[inline]
    fn ready_at(&mut self, timers: &Timers, slot: usize, now: u64) -> u64 {
        let entry = &mut self.entries[slot];
        if entry.not_before <= now {
            entry.not_before = timers.ready(entry.next, entry.bank);
        }
        entry.not_before
    }

    /// The next cycle after `now` at which one of the entries that may be served can become ready, or a cycle before it;
    /// at most `limit`. Those that are ready at `now` count for the next cycle only if something has `changed`: if
    /// nothing has, they are kept from being issued by what is not ready yet.
    pub(super) fn next_change(&mut self, timers: &Timers, now: u64, changed: bool, limit: u64) -> u64 {
        if self.live == 0 {
            return limit;
        }
        let mut soonest = limit;
        let relevant = self.eligible() | 1 << self.head_slot();
        for command in self.commands() {
            let entries = self.next[command as usize] & relevant;
            if entries == 0 {
                continue;
            }
            let bound = timers.ready_at_channel(command);
            if bound > now {
                soonest = soonest.min(bound);
                continue;
            }
            let mut entries = entries;
            while entries != 0 {
                let slot = entries.trailing_zeros() as usize;
                let ready = self.ready_at(timers, slot, now);
                if ready > now {
                    soonest = soonest.min(ready);
                } else if changed {
                    return now + 1;
                }
                entries &= !self.alike(slot);
            }
        }
        soonest
    }

    /// The entries that are ready whenever this one is: those with its next command in its bank.
    #[inline]
    fn alike(&self, slot: usize) -> u64 {
        let entry = &self.entries[slot];
        self.next[entry.next as usize] & self.at[usize::from(entry.bank)].entries
    }

    fn commands(&self) -> impl Iterator<Item = Command> + use<> {
        bits(u64::from(self.commands)).map(|number| Command::ALL[number])
    }
}

/// The bits of a word, lowest first.
#[inline]
fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = word.trailing_zeros() as usize;
        word &= word.wrapping_sub(1);
        (lowest < SLOTS as usize).then_some(lowest)
    })
}

/// The slots of a set, beginning at `head` and round.
#[inline]
fn in_order(set: u64, head: usize) -> impl Iterator<Item = usize> {
    bits(set.rotate_right(head as u32)).map(move |distance| (head + distance) % SLOTS as usize)
}
