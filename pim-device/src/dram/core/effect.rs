//! What a command for a request does.

#![allow(clippy::inline_always, reason = "asked for each kind of command at every look")]

use super::owner::Owner;
use super::{ACTIVATIONS, COLUMN, Core, HITS, OWNERS, PRECHARGES, Pick, READ, WRITE};
use crate::command::Command;
use crate::dram::Tick;
use crate::dram::bank_set::{BankSet, CAPACITY};
use crate::dram::entries::{Entry, Key, NONE};
use crate::dram::offset::Offset;
use crate::dram::queue::Bucket;
use crate::dram::request::{Completion, Observer, Target};
use crate::dram::times::{ACT, ACT2, CAS_RD, CAS_WR, PRE, RD};

impl<S: BankSet, T: Offset> Core<S, T> {
    /// CAS for an access.
    #[inline(always)]
    pub(in crate::dram) fn send_clock(&mut self, tick: Tick, access: &Pick, observer: &mut impl Observer) {
        let command = if access.command == Command::Wr { (CAS_WR, Command::CasWr) } else { (CAS_RD, Command::CasRd) };
        self.send(tick, command, (access.bank.into(), access.key), observer);
    }

    /// The first half of an activation.
    #[inline(always)]
    pub(in crate::dram) fn half_activate(
        &mut self,
        queue: usize,
        pick: &Pick,
        tick: Tick,
        observer: &mut impl Observer,
    ) -> Key {
        let bank = usize::from(pick.bank);
        let key = self.take_first(queue, bank);
        self.send(tick, (ACT, Command::Act1), (bank, key), observer);
        self.from[ACTIVATIONS] = self.from[ACTIVATIONS].max(self.times.floor(ACT));
        self.banks.activating(bank);
        key
    }

    /// The second half of an activation that began at `begun`: the row is open, and the request owns the bank.
    #[inline(always)]
    pub(in crate::dram) fn activated(&mut self, key: Key, begun: Tick, tick: Tick, observer: &mut impl Observer) {
        let bank = self.entries.get(key).bank.into();
        self.open((ACT2, Command::Act2), (bank, key), (begun, tick), observer);
    }

    /// Activates a closed bank for the oldest request.
    #[inline(always)]
    pub(super) fn activate(&mut self, queue: usize, bank: usize, tick: Tick, observer: &mut impl Observer) {
        let key = self.take_first(queue, bank);
        self.open((ACT, Command::Act), (bank, key), (tick, tick), observer);
        self.from[ACTIVATIONS] = self.from[ACTIVATIONS].max(self.times.floor(ACT));
    }

    /// Opens the row of a request; the request becomes the owner of its bank.
    #[inline(always)]
    fn open(
        &mut self,
        command: (usize, Command),
        (bank, key): (usize, Key),
        (begun, tick): (Tick, Tick),
        observer: &mut impl Observer,
    ) {
        let entry = self.send(tick, command, (bank, key), observer);
        let (row, bucket, access) = (entry.request.address.row, entry.bucket, entry.request.access as usize);
        self.owners[bank % CAPACITY] = Owner::new(key, entry.arrived, tick);
        self.owned[access].insert(bank);
        let mut opens = begun + self.opens_in[access];
        if command.0 == ACT2 {
            opens = opens.max(tick + self.opens_soon[access]);
        }
        self.opening[access].push(bank, opens);
        self.from[OWNERS] = self.from[OWNERS].min(opens);
        self.banks.open(bank, row);
        for queue in [READ, WRITE] {
            if self.queues[queue].waiting.contains(bank)
                && self.queues[queue].opened(&self.entries, bank, (row, bucket))
            {
                self.may_go(HITS, RD + queue, bank);
            }
        }
    }

    /// Precharges a bank for the oldest request for another row.
    #[inline(always)]
    pub(in crate::dram) fn precharge(&mut self, bank: usize, key: Key, tick: Tick, observer: &mut impl Observer) {
        self.send(tick, (PRE, Command::Pre), (bank, key), observer);
        self.from[PRECHARGES] = self.from[PRECHARGES].max(self.times.floor(PRE));
        self.close(bank);
    }

    #[inline(always)]
    pub(super) fn close(&mut self, bank: usize) {
        self.banks.close(bank);
        for queue in [READ, WRITE] {
            self.queues[queue].closed(bank);
        }
        self.due[ACT].remove(bank);
        if (self.queues[READ].waiting | self.queues[WRITE].waiting).contains(bank) {
            let ready = self.wait(ACT, bank);
            self.from[ACTIVATIONS] = self.from[ACTIVATIONS].min(ready.max(self.times.floor(ACT)));
        }
    }

    /// Issues the access of a bank's owner and ends it.
    #[inline(always)]
    pub(in crate::dram) fn serve_owner(&mut self, pick: &Pick, tick: Tick, observer: &mut impl Observer) {
        let bank = usize::from(pick.bank);
        let queue = usize::from(pick.command == Command::Wr);
        self.owners[bank % CAPACITY].key = NONE;
        self.owned[queue].remove(bank);
        self.opened[queue].remove(bank);
        self.serve(queue, (bank, pick.key), tick, observer);
        self.due[PRE].remove(bank);
        if (self.queues[READ].misses | self.queues[WRITE].misses).contains(bank) {
            let ready = self.wait(PRE, bank);
            self.from[PRECHARGES] = self.from[PRECHARGES].min(ready.max(self.times.floor(PRE)));
        }
    }

    /// Issues a hit of a queue and ends it.
    #[inline(always)]
    pub(in crate::dram) fn serve_hit(&mut self, queue: usize, bank: usize, tick: Tick, observer: &mut impl Observer) {
        let key = self.queues[queue].take_hit(&mut self.entries, bank);
        self.taken(queue);
        self.serve(queue, (bank, key), tick, observer);
        self.from[HITS] = self.from[HITS].max(self.times.floor(RD + queue));
        if self.queues[queue].hits.contains(bank) {
            self.may_go(HITS, RD + queue, bank);
        }
    }

    /// Issues an access and ends it.
    #[inline(always)]
    fn serve(&mut self, queue: usize, (bank, key): (usize, Key), tick: Tick, observer: &mut impl Observer) {
        let Entry { request, arrived, .. } = *self.send(tick, (RD + queue, COLUMN[queue]), (bank, key), observer);
        self.outstanding -= 1;
        self.stop |= self.outstanding == self.left;
        let done = if queue == READ { self.answer(tick + self.read_latency) } else { tick };
        observer.completed(&Completion { request, arrived, done });
        self.entries.release(key);
    }

    /// Takes the request out of its queue that activates a closed bank.
    #[inline(always)]
    fn take_first(&mut self, queue: usize, bank: usize) -> Key {
        let key = self.queues[queue].take_first(&self.entries, bank);
        self.taken(queue);
        key
    }

    /// A request has left a queue: the last read begins that writes are served, and few writes end it.
    #[inline(always)]
    fn taken(&mut self, queue: usize) {
        self.stop |= self.watched == queue;
        self.changed |= self.queues[queue].len <= self.few[queue];
    }

    /// A command is sent for a request; gives back what is known of it.
    #[inline(always)]
    fn send(
        &mut self,
        tick: Tick,
        (number, command): (usize, Command),
        (bank, key): (usize, Key),
        observer: &mut impl Observer,
    ) -> &Entry<Bucket> {
        self.times.issue(number, bank, tick);
        let entry = self.entries.get(key);
        observer.issued(tick, command, Target::Request(&entry.request));
        entry
    }

    /// A bank may go on with a command of a kind that it could not use before.
    #[inline(always)]
    pub(super) fn may_go(&mut self, kind: usize, command: usize, bank: usize) {
        self.from[kind] = self.from[kind].min(self.times.ready(command, bank));
    }

    /// A bank waits from now on for the tick at which it is ready for an activation or a precharge.
    #[inline(always)]
    pub(super) fn wait(&mut self, command: usize, bank: usize) -> Tick {
        let ready = self.times.bank_ready(command, bank);
        self.calendars[command].insert(bank, ready);
        ready
    }
}
