//! Requests that wait: lists by bank, each in the order of arrival.

#![allow(clippy::inline_always, reason = "asked for each request")]

use super::bank_set::{BankSet, CAPACITY};
use super::entries::{Entries, Entry, Key, NONE};

/// Buckets of [`Queue::rows`].
const BUCKETS: usize = 1_024;

/// Where the requests for a row are counted.
pub(super) type Bucket = u16;

/// The bucket of a row.
#[inline(always)]
pub(super) const fn bucket(bank: usize, row: u32) -> Bucket {
    let mixed = (row ^ (bank as u32) << 20).wrapping_mul(0x9E37_79B1);
    ((mixed >> 22) as usize % BUCKETS) as Bucket
}

/// By bank, requests that wait for it.
#[derive(Clone, Debug)]
pub(super) struct Lanes {
    pub(super) first: [Key; CAPACITY],
    last: [Key; CAPACITY],
    /// The oldest for the open row of a bank in [`Queue::hits`].
    pub(super) hit: [Key; CAPACITY],
    /// The oldest for another row of a bank in [`Queue::misses`].
    pub(super) miss: [Key; CAPACITY],
}

/// The oldest of some banks' requests.
#[inline]
pub(super) fn oldest<S: BankSet>(requests: &[Key; CAPACITY], mut banks: S) -> Key {
    let mut oldest = NONE;
    while !banks.is_empty() {
        oldest = oldest.min(requests[banks.first() % CAPACITY]);
        banks = banks.without_first();
    }
    oldest
}

/// State: requests of one kind that wait.
#[derive(Clone, Debug)]
pub(super) struct Queue<S> {
    pub(super) lanes: Box<Lanes>,
    /// Banks with requests.
    pub(super) waiting: S,
    /// Open banks with requests for the open row.
    pub(super) hits: S,
    /// Open banks with requests for another row.
    pub(super) misses: S,
    /// How many requests there are for the rows of each bucket: where there is none nobody has to search.
    rows: Box<[u16; BUCKETS]>,
    pub(super) len: u32,
    pub(super) capacity: u32,
}

impl<S: BankSet> Queue<S> {
    pub(super) fn new(capacity: u32) -> Self {
        let none = [NONE; CAPACITY];
        Self {
            lanes: Box::new(Lanes { first: none, last: none, hit: none, miss: none }),
            waiting: S::EMPTY,
            hits: S::EMPTY,
            misses: S::EMPTY,
            rows: Box::new([0; BUCKETS]),
            len: 0,
            capacity,
        }
    }

    /// Adds a request; says whether it is the only one of its bank. What it is to a bank that is open is for
    /// [`Self::came`].
    #[inline(always)]
    pub(super) fn push(&mut self, entries: &mut Entries<Bucket>, key: Key, bank: usize) -> bool {
        let lanes = &mut *self.lanes;
        let lane = bank % CAPACITY;
        let alone = lanes.first[lane] == NONE;
        if alone {
            lanes.first[lane] = key;
            self.waiting.insert(bank);
        } else {
            entries.link(lanes.last[lane], key);
        }
        lanes.last[lane] = key;
        self.len += 1;
        self.rows[usize::from(entries.get(key).bucket) % BUCKETS] += 1;
        alone
    }

    /// A request has come to a bank that is open, a hit or a miss. Says whether the bank had none before.
    #[inline(always)]
    pub(super) fn came(&mut self, key: Key, bank: usize, is_hit: bool) -> bool {
        let lanes = &mut *self.lanes;
        let (banks, oldest) =
            if is_hit { (&mut self.hits, &mut lanes.hit) } else { (&mut self.misses, &mut lanes.miss) };
        let new = !banks.contains(bank);
        if new {
            banks.insert(bank);
            oldest[bank % CAPACITY] = key;
        }
        new
    }

    /// Takes a request out. What it was to its bank (hit or miss) is put right by [`Self::take_hit`] or
    /// [`Self::opened`].
    #[inline]
    fn unlink(&mut self, entries: &mut Entries<Bucket>, bank: usize, key: Key) {
        let Entry { next, bucket, .. } = *entries.get(key);
        self.len -= 1;
        self.rows[usize::from(bucket) % BUCKETS] -= 1;
        let lanes = &mut *self.lanes;
        let lane = bank % CAPACITY;
        if lanes.first[lane] == key {
            lanes.first[lane] = next;
            if next == NONE {
                self.waiting.remove(bank);
            }
            return;
        }
        let mut before = lanes.first[lane];
        while entries.get(before).next != key {
            before = entries.get(before).next;
        }
        entries.link(before, next);
        if next == NONE {
            lanes.last[lane] = before;
        }
    }

    /// Takes the oldest hit of a bank out.
    #[inline]
    pub(super) fn take_hit(&mut self, entries: &mut Entries<Bucket>, bank: usize) -> Key {
        let lane = bank % CAPACITY;
        let key = self.lanes.hit[lane];
        let entry = entries.get(key);
        let (row, mut next, bucket) = (entry.request.address.row, entry.next, usize::from(entry.bucket));
        self.unlink(entries, bank, key);
        if self.rows[bucket % BUCKETS] == 0 {
            next = NONE;
        }
        while next != NONE && entries.get(next).request.address.row != row {
            next = entries.get(next).next;
        }
        self.lanes.hit[lane] = next;
        if next == NONE {
            self.hits.remove(bank);
        }
        key
    }

    /// Takes the oldest request of a bank out.
    #[inline]
    pub(super) fn take_first(&mut self, entries: &Entries<Bucket>, bank: usize) -> Key {
        let lane = bank % CAPACITY;
        let key = self.lanes.first[lane];
        let Entry { next, bucket, .. } = *entries.get(key);
        self.len -= 1;
        self.rows[usize::from(bucket) % BUCKETS] -= 1;
        self.lanes.first[lane] = next;
        if next == NONE {
            self.waiting.remove(bank);
        }
        key
    }

    /// A row has been opened in a bank of [`Self::waiting`] that was closed. Says whether there is a hit.
    #[inline]
    pub(super) fn opened(&mut self, entries: &Entries<Bucket>, bank: usize, (row, bucket): (u32, Bucket)) -> bool {
        let lanes = &mut *self.lanes;
        let lane = bank % CAPACITY;
        let mut key = lanes.first[lane];
        if self.rows[usize::from(bucket) % BUCKETS] == 0 {
            lanes.miss[lane] = key;
            self.misses.insert(bank);
            return false;
        }
        let (mut hit, mut miss) = (NONE, NONE);
        while key != NONE && (hit == NONE || miss == NONE) {
            let entry = entries.get(key);
            let found = if entry.request.address.row == row { &mut hit } else { &mut miss };
            *found = (*found).min(key);
            key = entry.next;
        }
        (lanes.hit[lane], lanes.miss[lane]) = (hit, miss);
        if hit != NONE {
            self.hits.insert(bank);
        }
        if miss != NONE {
            self.misses.insert(bank);
        }
        hit != NONE
    }

    /// A bank has been closed.
    #[inline]
    pub(super) fn closed(&mut self, bank: usize) {
        self.hits.remove(bank);
        self.misses.remove(bank);
    }

    /// Whether a request for the same granule waits.
    #[inline]
    pub(super) fn holds(&self, entries: &Entries<Bucket>, bank: usize, row: u32, column: u32) -> bool {
        let mut key = self.lanes.first[bank % CAPACITY];
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
