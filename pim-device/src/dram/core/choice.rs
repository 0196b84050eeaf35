//! The choice among requests: which is the oldest that is ready, and in which tick to look again.

#![allow(clippy::inline_always, reason = "asked for each kind of command at every look")]

use super::{ACTIVATIONS, COLUMN, Core, HITS, OWNERS, PRECHARGES, Pick, READ, WRITE};
use crate::command::Command;
use crate::dram::Tick;
use crate::dram::bank_set::{BankSet, CAPACITY};
use crate::dram::edges::Edges;
use crate::dram::entries::NONE;
use crate::dram::offset::Offset;
use crate::dram::times::{ACT, PRE, RD, Scan};

impl<S: BankSet, T: Offset> Core<S, T> {
    /// Whether a command of a kind may go at `tick`, as far as is known.
    #[inline(always)]
    pub(in crate::dram) fn may(&self, kind: usize, tick: Tick) -> bool {
        self.from[kind] <= tick
    }

    /// Goes to the first tick from `tick` on that has to be looked at and gives it, or goes to `horizon` where that is before.
    /// The queues are looked at in between.
    #[inline(always)]
    pub(in crate::dram) fn first(&mut self, tick: Tick, horizon: Tick, edges: &impl Edges<S>) -> Option<Tick> {
        let mut first = tick;
        if tick <= horizon {
            first = edges.first(&self.from, tick);
            if first > tick && (!self.refreshes.is_empty() || (self.changed && !self.mode_stays())) {
                first = tick;
            }
        }
        if first > horizon {
            self.now = horizon;
            return None;
        }
        self.now = first;
        Some(first)
    }

    /// A tick after `tick`, and not after the next one that has to be looked at, where nothing was found in it and refresh
    /// goes at `refresh` at the earliest.
    #[inline(always)]
    pub(in crate::dram) fn after(&self, tick: Tick, edges: &impl Edges<S>, refresh: Tick) -> Tick {
        if self.refreshes.is_empty() { tick + 1 } else { self.after_refresh(tick, edges, refresh) }
    }

    #[inline(never)]
    fn after_refresh(&self, tick: Tick, edges: &impl Edges<S>, refresh: Tick) -> Tick {
        let first = if self.refresh_waits() {
            edges.rising(self.from[OWNERS].max(tick + 1))
        } else {
            edges.first(&self.from, tick + 1)
        };
        first.min(refresh)
    }

    /// An access that was found may go in a later tick.
    #[inline]
    pub(in crate::dram) fn put_off(&mut self, tick: Tick) {
        (self.from[OWNERS], self.from[HITS]) = (tick, tick);
    }

    /// The owner that is served at `tick`: the oldest that is ready.
    #[inline(always)]
    pub(in crate::dram) fn active(&mut self, tick: Tick) -> Option<Pick> {
        if !self.may(OWNERS, tick) {
            return None;
        }
        let (now, mut next) = (self.times.offset(tick), T::NEVER);
        let reads = self.opened(READ, tick, now, &mut next);
        let writes = self.opened(WRITE, tick, now, &mut next);
        let all = reads | writes;
        let next = self.times.tick(next).min(self.opening[READ].next).min(self.opening[WRITE].next);
        if all.is_empty() {
            self.from[OWNERS] = next;
            return None;
        }
        let mut bank = all.first();
        let mut rest = all.without_first();
        self.from[OWNERS] = if rest.is_empty() { next } else { tick };
        while !rest.is_empty() {
            let other = rest.first();
            rest = rest.without_first();
            if self.owners[other % CAPACITY].age < self.owners[bank % CAPACITY].age {
                bank = other;
            }
        }
        let queue = usize::from(writes.contains(bank));
        Some(Pick { key: self.owners[bank % CAPACITY].key, bank: bank as u16, command: COLUMN[queue] })
    }

    /// The owners of one kind that are ready. Lowers `next` to when others are whose rows are open.
    #[inline(always)]
    fn opened(&mut self, queue: usize, tick: Tick, now: T, next: &mut T) -> S {
        while self.opening[queue].next <= tick {
            let bank = self.opening[queue].pop();
            self.opened[queue].insert(bank);
        }
        self.times.which_ready(RD + queue, self.opened[queue], now, next)
    }

    /// The oldest hit of a queue that is ready.
    #[inline(always)]
    pub(super) fn hits(&mut self, queue: usize, tick: Tick) -> Scan {
        if !self.may(HITS, tick) {
            return Scan::NOTHING;
        }
        let banks = self.queues[queue].hits.without(self.refreshing);
        let scan = self.times.scan(RD + queue, banks, &self.queues[queue].lanes.hit, tick);
        self.from[HITS] = scan.next;
        scan
    }

    /// The oldest activation of a queue that is ready.
    #[inline(always)]
    pub(super) fn activations(&mut self, queue: usize, tick: Tick) -> Scan {
        if !self.may(ACTIVATIONS, tick) {
            return Scan::NOTHING;
        }
        let banks = (self.queues[queue].waiting & self.banks.closed()).without(self.refreshing);
        let scan = self.oldest(ACT, banks, queue, tick);
        self.from[ACTIVATIONS] = scan.next;
        scan
    }

    /// The oldest precharge of a queue that is ready.
    #[inline(always)]
    pub(super) fn precharges(&mut self, queue: usize, tick: Tick, edges: &impl Edges<S>) -> Scan {
        if !self.may(PRECHARGES, tick) {
            return Scan::NOTHING;
        }
        let mut banks = self.queues[queue].misses.without(self.owned() | self.refreshing);
        let shut_out = banks & edges.shut_out(tick);
        if !shut_out.is_empty() {
            banks = banks.without(shut_out);
        }
        let mut scan = self.oldest(PRE, banks, queue, tick);
        if !shut_out.is_empty() {
            scan.next = scan.next.min(tick + 1);
        }
        self.from[PRECHARGES] = scan.next;
        scan
    }

    /// The oldest request of those banks of a queue that want an activation or a precharge and are ready at `tick`.
    #[inline(always)]
    fn oldest(&mut self, command: usize, wants: S, queue: usize, tick: Tick) -> Scan {
        if self.calendars[command].next() <= tick {
            self.due[command] |= self.calendars[command].take(tick);
        }
        let (now, mut next) = (self.times.offset(tick), T::NEVER);
        let mut banks = self.times.allowed(command, wants & self.due[command], now, &mut next);
        while !banks.is_empty() {
            let lanes = &*self.queues[queue].lanes;
            let requests = if command == ACT { &lanes.first } else { &lanes.miss };
            let mut bank = banks.first();
            let mut oldest = requests[bank % CAPACITY];
            let mut rest = banks.without_first();
            let alone = rest.is_empty();
            while !rest.is_empty() {
                let of = rest.first();
                rest = rest.without_first();
                let request = requests[of % CAPACITY];
                if request < oldest {
                    (oldest, bank) = (request, of);
                }
            }
            if self.times.of_bank(command, bank) <= now {
                let next = if alone { self.times.tick(next).min(self.calendars[command].next()) } else { tick };
                return Scan { oldest, bank: bank as u16, next };
            }
            // Another command has come in between.
            banks.remove(bank);
            self.due[command].remove(bank);
            self.wait(command, bank);
        }
        Scan { next: self.times.tick(next).min(self.calendars[command].next()), ..Scan::NOTHING }
    }

    /// Banks with an owner: no row is closed there for a request.
    #[inline(always)]
    pub(super) fn owned(&self) -> S {
        self.owned[READ] | self.owned[WRITE]
    }

    /// The oldest request of a queue that is ready at `tick`, whatever it wants.
    #[inline(always)]
    pub(in crate::dram) fn pick(&mut self, queue: usize, tick: Tick, act: bool, edges: &impl Edges<S>) -> Option<Pick> {
        let hit = self.hits(queue, tick);
        let first = if act { self.activations(queue, tick) } else { Scan::NOTHING };
        let miss = self.precharges(queue, tick, edges);
        let key = hit.oldest.min(first.oldest).min(miss.oldest);
        if key == NONE {
            return None;
        }
        for (kind, scan) in [(HITS, hit), (ACTIVATIONS, first), (PRECHARGES, miss)] {
            if scan.oldest != NONE && scan.oldest != key {
                self.from[kind] = tick;
            }
        }
        let (bank, command) = if key == first.oldest {
            (first.bank, self.activate)
        } else if key == miss.oldest {
            (miss.bank, Command::Pre)
        } else {
            (hit.bank, COLUMN[queue])
        };
        Some(Pick { key, bank, command })
    }
}
