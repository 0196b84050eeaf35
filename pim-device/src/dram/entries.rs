//! Requests inside a controller, in slots that keep their number.

#![allow(clippy::inline_always, reason = "asked for each request")]

use super::Tick;
use super::request::{Access, Request};

/// A request inside the controller: its place in the order of arrival, and below that its slot. So the older of two is
/// the one that is less.
pub(super) type Key = u64;

/// No request: it comes after all.
pub(super) const NONE: Key = Key::MAX;

/// More slots than any controller has: 128 banks of 4,096 commands and two queues of as many.
const SLOT_BITS: u32 = 20;

/// The slot of a request.
#[inline]
const fn slot_of(key: Key) -> usize {
    (key % (1 << SLOT_BITS)) as usize
}

/// What is known of a request. Where it is counted is up to the controller.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<B> {
    pub(super) request: Request,
    /// The tick after which it was offered.
    pub(super) arrived: Tick,
    /// The next in its list; the next slot where this one is free.
    pub(super) next: Key,
    pub(super) bank: u16,
    pub(super) bucket: B,
}

/// State: every request of a controller.
#[derive(Clone, Debug)]
pub(super) struct Entries<B> {
    slots: Box<[Entry<B>]>,
    /// The slot that is taken next.
    free: Key,
    /// The place of the next request in the order of arrival.
    order: Key,
}

impl<B: Copy + Default> Entries<B> {
    pub(super) fn new(capacity: usize) -> Self {
        let request = Request { access: Access::Read, address: crate::command::Address::default(), column: 0, tag: 0 };
        let empty = |slot: usize| Entry { request, arrived: 0, next: slot as Key + 1, bank: 0, bucket: B::default() };
        Self { slots: (0..capacity).map(empty).collect(), free: 0, order: 0 }
    }

    /// A slot for a request. There is one: queues refuse before slots run out.
    #[inline(always)]
    pub(super) fn add(&mut self, request: &Request, bank: usize, bucket: B, arrived: Tick) -> Key {
        let key = self.order | self.free;
        let entry = &mut self.slots[slot_of(key)];
        self.order += 1 << SLOT_BITS;
        self.free = entry.next;
        *entry = Entry { request: *request, arrived, next: NONE, bank: bank as u16, bucket };
        key
    }

    #[inline(always)]
    pub(super) fn release(&mut self, key: Key) {
        self.slots[slot_of(key)].next = self.free;
        self.free = slot_of(key) as Key;
    }

    #[inline(always)]
    pub(super) fn get(&self, key: Key) -> &Entry<B> {
        &self.slots[slot_of(key)]
    }

    /// Has a request followed by another in its list.
    #[inline(always)]
    pub(super) fn link(&mut self, key: Key, next: Key) {
        self.slots[slot_of(key)].next = next;
    }
}
