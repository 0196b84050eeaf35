//! Requests come: each waits as a transaction, or goes with one that waits.

#![allow(clippy::inline_always, reason = "asked for each request")]

use super::{Inner, NO_QUEUE, READ};
use crate::dram::Tick;
use crate::dram::bank_queue::counts::Buckets;
use crate::dram::bank_set::{BankSet, CAPACITY};
use crate::dram::entries::NONE;
use crate::dram::offset::Offset;
use crate::dram::request::{Access, Completion, Observer, Offered, Request};

/// A read that is answered with another one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Follower {
    pub(super) request: Request,
    pub(super) arrived: Tick,
    pub(super) bank: usize,
}

/// Whether two requests of a bank are for the same granule.
#[inline]
pub(super) fn is_same(one: &Request, other: &Request) -> bool {
    one.address.row == other.address.row && one.column == other.column
}

impl<S: BankSet, T: Offset> Inner<S, T> {
    /// Takes a request for which there is a place.
    #[inline(always)]
    pub(super) fn take(&mut self, request: &Request, observer: &mut impl Observer) -> Offered {
        let (address, arrived) = (request.address, self.now);
        self.refused = NO_QUEUE;
        let bank =
            usize::from(address.bank_group) * self.config.organisation.banks as usize + usize::from(address.bank);
        let buckets = Buckets::of(bank, request);
        if request.access == Access::Write {
            observer.completed(&Completion { request: *request, arrived, done: arrived + 1 });
        }
        if self.granules.of(buckets.granule) > 0
            && let Some(offered) = self.joins(request, bank, observer)
        {
            return offered;
        }
        self.granules.add(buckets.granule);
        let kind = request.access as usize;
        self.reads += usize::from(kind == READ);
        let key = self.entries.add(request, bank, buckets, arrived);
        let last = &mut self.lanes[bank % CAPACITY].last_waiting[kind];
        if self.waiting[kind].contains(bank) {
            self.entries.link(*last, key);
        } else {
            self.waiting[kind].insert(bank);
            self.first[kind][bank % CAPACITY] = key;
        }
        *last = key;
        self.transactions[kind] += 1;
        self.may_move = true;
        Offered::Queued
    }

    /// Lets a request go with an earlier one of the same granule that waits, where there is one.
    #[inline(never)]
    fn joins(&mut self, request: &Request, bank: usize, observer: &mut impl Observer) -> Option<Offered> {
        let arrived = self.now;
        let written = self.finds(Access::Write, bank, request);
        match request.access {
            Access::Write => written.then_some(Offered::Coalesced),
            Access::Read if written => {
                observer.completed(&Completion { request: *request, arrived, done: arrived + 1 });
                Some(Offered::Forwarded)
            }
            Access::Read if self.finds(Access::Read, bank, request) => {
                self.reads += 1;
                self.followers.push(Follower { request: *request, arrived, bank });
                Some(Offered::Coalesced)
            }
            Access::Read => None,
        }
    }

    /// Whether an access of this kind to the same granule waits.
    #[inline(never)]
    pub(super) fn finds(&self, access: Access, bank: usize, request: &Request) -> bool {
        let kind = access as usize;
        let mut waiting = if self.waiting[kind].contains(bank) { self.first[kind][bank % CAPACITY] } else { NONE };
        while waiting != NONE {
            let entry = self.entries.get(waiting);
            if is_same(&entry.request, request) {
                return true;
            }
            waiting = entry.next;
        }
        let mut queued = self.lanes[bank % CAPACITY].first;
        while queued != NONE {
            let entry = self.entries.get(queued);
            if entry.request.access == access && is_same(&entry.request, request) {
                return true;
            }
            queued = entry.next;
        }
        false
    }
}
