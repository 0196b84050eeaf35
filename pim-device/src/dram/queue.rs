//! Requests that wait: lists by bank, each in the order of arrival.

use super::Tick;
use super::bank_set::{BankSet, CAPACITY};
use super::request::{Access, Request};

/// A request inside the controller: its place in the order of arrival, and below that its slot. So the older of two is
/// the one that is less.
pub(super) type Key = u64;

/// No request: it comes after all.
pub(super) const NONE: Key = Key::MAX;

const SLOT_BITS: u32 = 16;

/// The slot of a request.
#[inline]
const fn slot_of(key: Key) -> usize {
    (key % (1 << SLOT_BITS)) as usize
}

/// What is known of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) request: Request,
    /// The tick after which it was offered.
    pub(super) arrived: Tick,
    /// The next of its bank in its queue.
    next: Key,
    pub(super) bank: u16,
}

/// State: every request of the controller, in slots that keep their number.
#[derive(Clone, Debug)]
pub(super) struct Entries {
    slots: Vec<Entry>,
    free: Vec<u16>,
    sequence: u64,
}

impl Entries {
    pub(super) fn new(capacity: usize) -> Self {
        let empty = Request { access: Access::Read, address: crate::command::Address::default(), column: 0, tag: 0 };
        let empty = Entry { request: empty, arrived: 0, next: NONE, bank: 0 };
        Self { slots: vec![empty; capacity], free: (0..capacity as u16).rev().collect(), sequence: 0 }
    }

    /// A slot for a request. There is one: queues refuse before slots run out.
    #[inline]
    pub(super) fn add(&mut self, request: &Request, bank: usize, arrived: Tick) -> Key {
        let slot = self.free.pop().unwrap_or(0);
        self.sequence += 1;
        self.slots[usize::from(slot)] = Entry { request: *request, arrived, next: NONE, bank: bank as u16 };
        self.sequence << SLOT_BITS | u64::from(slot)
    }

    #[inline]
    pub(super) fn release(&mut self, key: Key) {
        self.free.push(slot_of(key) as u16);
    }

    #[inline]
    pub(super) fn get(&self, key: Key) -> &Entry {
        &self.slots[slot_of(key)]
    }
}

/// What waits for one bank.
#[derive(Clone, Copy, Debug)]
struct Lane {
    first: Key,
    last: Key,
    /// The oldest for the open row.
    hit: Key,
    /// The oldest for another row.
    miss: Key,
}

/// State: requests of one kind that wait.
#[derive(Clone, Debug)]
pub(super) struct Queue<S> {
    lanes: Box<[Lane; CAPACITY]>,
    /// Banks with requests.
    pub(super) waiting: S,
    /// Open banks with requests for the open row.
    pub(super) hits: S,
    /// Open banks with requests for another row.
    pub(super) misses: S,
    pub(super) len: u32,
    pub(super) capacity: u32,
}

impl<S: BankSet> Queue<S> {
    pub(super) fn new(capacity: u32) -> Self {
        let lane = Lane { first: NONE, last: NONE, hit: NONE, miss: NONE };
        Self {
            lanes: Box::new([lane; CAPACITY]),
            waiting: S::EMPTY,
            hits: S::EMPTY,
            misses: S::EMPTY,
            len: 0,
            capacity,
        }
    }

    #[inline]
    fn lane(&self, bank: usize) -> &Lane {
        &self.lanes[bank % CAPACITY]
    }

    #[inline]
    fn lane_mut(&mut self, bank: usize) -> &mut Lane {
        &mut self.lanes[bank % CAPACITY]
    }

    /// The oldest request for a bank that has some.
    #[inline]
    pub(super) fn first(&self, bank: usize) -> Key {
        self.lane(bank).first
    }

    /// The oldest request for the open row of a bank in [`Self::hits`].
    #[inline]
    pub(super) fn hit(&self, bank: usize) -> Key {
        self.lane(bank).hit
    }

    /// The oldest request for another row of a bank in [`Self::misses`].
    #[inline]
    pub(super) fn miss(&self, bank: usize) -> Key {
        self.lane(bank).miss
    }

    /// Adds a request; `open` is the row that its bank holds.
    #[inline]
    pub(super) fn push(&mut self, entries: &mut Entries, key: Key, bank: usize, row: u32, open: Option<u32>) {
        let lane = &mut self.lanes[bank % CAPACITY];
        if lane.first == NONE {
            lane.first = key;
            self.waiting.insert(bank);
        } else {
            entries.slots[slot_of(lane.last)].next = key;
        }
        lane.last = key;
        self.len += 1;
        if let Some(open) = open {
            if row == open {
                if lane.hit == NONE {
                    lane.hit = key;
                    self.hits.insert(bank);
                }
            } else if lane.miss == NONE {
                lane.miss = key;
                self.misses.insert(bank);
            }
        }
    }

    /// Takes a request out. What it was to its bank (hit or miss) is put right by [`Self::take_hit`] or
    /// [`Self::opened`].
    #[inline]
    fn unlink(&mut self, entries: &mut Entries, bank: usize, key: Key) {
        let next = entries.get(key).next;
        self.len -= 1;
        let lane = self.lane_mut(bank);
        if lane.first == key {
            lane.first = next;
            if next == NONE {
                lane.last = NONE;
                self.waiting.remove(bank);
            }
            return;
        }
        let mut before = lane.first;
        while entries.get(before).next != key {
            before = entries.get(before).next;
        }
        entries.slots[slot_of(before)].next = next;
        if next == NONE {
            lane.last = before;
        }
    }

    /// Takes the oldest hit of a bank out.
    #[inline]
    pub(super) fn take_hit(&mut self, entries: &mut Entries, bank: usize) -> Key {
        let key = self.lane(bank).hit;
        let Entry { request, mut next, .. } = *entries.get(key);
        while next != NONE && entries.get(next).request.address.row != request.address.row {
            next = entries.get(next).next;
        }
        self.lane_mut(bank).hit = next;
        if next == NONE {
            self.hits.remove(bank);
        }
        self.unlink(entries, bank, key);
        key
    }

    /// Takes the oldest request of a bank out.
    #[inline]
    pub(super) fn take_first(&mut self, entries: &mut Entries, bank: usize) -> Key {
        let key = self.lane(bank).first;
        self.unlink(entries, bank, key);
        key
    }

    /// A row has been opened in a bank that was closed.
    #[inline]
    pub(super) fn opened(&mut self, entries: &Entries, bank: usize, row: u32) {
        let lane = &mut self.lanes[bank % CAPACITY];
        let mut key = lane.first;
        while key != NONE {
            let entry = entries.get(key);
            if entry.request.address.row == row {
                if lane.hit == NONE {
                    lane.hit = key;
                    self.hits.insert(bank);
                    if lane.miss != NONE {
                        return;
                    }
                }
            } else if lane.miss == NONE {
                lane.miss = key;
                self.misses.insert(bank);
                if lane.hit != NONE {
                    return;
                }
            }
            key = entry.next;
        }
    }

    /// A bank has been closed.
    #[inline]
    pub(super) fn closed(&mut self, bank: usize) {
        let lane = self.lane_mut(bank);
        (lane.hit, lane.miss) = (NONE, NONE);
        self.hits.remove(bank);
        self.misses.remove(bank);
    }

    /// Whether a request for the same granule waits.
    #[inline]
    pub(super) fn holds(&self, entries: &Entries, bank: usize, row: u32, column: u32) -> bool {
        let mut key = self.lane(bank).first;
        while key != NONE {
            let entry = entries.get(key);
            if entry.request.address.row == row && entry.request.column == column {
                return true;
            }
            key = entry.next;
        }
        false
    }
}
