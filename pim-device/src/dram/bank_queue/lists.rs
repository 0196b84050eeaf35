//! Requests inside the controller, and the lists of them that each bank has.

use crate::dram::Tick;
use crate::dram::queue::{Key, NONE, SLOT_BITS, slot_of};
use crate::dram::request::{Access, Request};

/// What is known of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) request: Request,
    /// The tick after which it was offered.
    pub(super) arrived: Tick,
    /// The next in its list; the next slot where this one is free.
    pub(super) next: Key,
    pub(super) bank: u16,
    /// The buckets of its granule and of its row.
    pub(super) granule: u16,
    pub(super) row: u16,
}

/// State: every request of the controller, in slots that keep their number.
#[derive(Clone, Debug)]
pub(super) struct Entries {
    slots: Box<[Entry]>,
    /// The slot that is taken next.
    free: Key,
    /// The place of the next request in the order of arrival.
    order: Key,
}

impl Entries {
    pub(super) fn new(capacity: usize) -> Self {
        let request = Request { access: Access::Read, address: crate::command::Address::default(), column: 0, tag: 0 };
        let empty = |slot: usize| Entry { request, arrived: 0, next: slot as Key + 1, bank: 0, granule: 0, row: 0 };
        Self { slots: (0..capacity).map(empty).collect(), free: 0, order: 0 }
    }

    /// A slot for a request. There is one: queues refuse before slots run out.
    #[inline(always)]
    pub(super) fn add(&mut self, request: &Request, bank: usize, buckets: Buckets, arrived: Tick) -> Key {
        let key = self.order | self.free;
        let entry = &mut self.slots[slot_of(key)];
        self.order += 1 << SLOT_BITS;
        self.free = entry.next;
        let Buckets { granule, row } = buckets;
        *entry = Entry { request: *request, arrived, next: NONE, bank: bank as u16, granule, row };
        key
    }

    #[inline(always)]
    pub(super) fn release(&mut self, key: Key) {
        self.slots[slot_of(key)].next = self.free;
        self.free = slot_of(key) as Key;
    }

    #[inline(always)]
    pub(super) fn get(&self, key: Key) -> &Entry {
        &self.slots[slot_of(key)]
    }

    /// Has a request followed by another in its list.
    #[inline(always)]
    pub(super) fn link(&mut self, key: Key, next: Key) {
        self.slots[slot_of(key)].next = next;
    }
}

/// Buckets of granules, and of rows.
const BUCKETS: usize = 4_096;

/// Where the granule and the row of a request are counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buckets {
    pub(super) granule: u16,
    pub(super) row: u16,
}

impl Buckets {
    #[inline(always)]
    pub(super) fn of(bank: usize, request: &Request) -> Self {
        let row = (request.address.row ^ (bank as u32) << 20).wrapping_mul(0x9E37_79B1);
        let granule = row ^ request.column.wrapping_mul(0x85EB_CA6B);
        Self { granule: (granule >> 20) as u16, row: (row >> 20) as u16 }
    }
}

/// State: how many requests that wait fall into each bucket. Where there is no other nobody has to search.
#[derive(Clone, Debug)]
pub(super) struct Counts(Box<[u32; BUCKETS]>);

impl Counts {
    pub(super) fn new() -> Self {
        Self(Box::new([0; BUCKETS]))
    }

    #[inline(always)]
    pub(super) fn of(&self, bucket: u16) -> u32 {
        self.0[usize::from(bucket) % BUCKETS]
    }

    #[inline(always)]
    pub(super) fn add(&mut self, bucket: u16) {
        self.0[usize::from(bucket) % BUCKETS] += 1;
    }

    #[inline(always)]
    pub(super) fn remove(&mut self, bucket: u16) {
        self.0[usize::from(bucket) % BUCKETS] -= 1;
    }
}
