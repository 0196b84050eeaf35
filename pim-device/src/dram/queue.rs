//! Requests that wait: lists by bank, each in the order of arrival.

use super::Tick;
use super::bank_set::BankSet;
use super::request::{Access, Request};

/// No slot.
pub(super) const NONE: u16 = u16::MAX;

/// A request inside the controller.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) request: Request,
    /// The tick after which it was offered.
    pub(super) arrived: Tick,
    /// Place in the order of arrival.
    pub(super) sequence: u64,
    /// When it became the owner of its bank.
    pub(super) activated: Tick,
    pub(super) bank: u16,
    /// The next of its bank in its queue.
    next: u16,
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
        let empty = Entry { request: empty, arrived: 0, sequence: 0, activated: 0, bank: 0, next: NONE };
        Self { slots: vec![empty; capacity], free: (0..capacity as u16).rev().collect(), sequence: 0 }
    }

    /// A slot for a request. There is one: queues refuse before slots run out.
    #[inline]
    pub(super) fn add(&mut self, request: Request, bank: usize, arrived: Tick) -> u16 {
        let slot = self.free.pop().unwrap_or(0);
        self.sequence += 1;
        let sequence = self.sequence;
        self.slots[usize::from(slot)] =
            Entry { request, arrived, sequence, activated: 0, bank: bank as u16, next: NONE };
        slot
    }

    #[inline]
    pub(super) fn release(&mut self, slot: u16) {
        self.free.push(slot);
    }

    #[inline]
    pub(super) fn get(&self, slot: u16) -> &Entry {
        &self.slots[usize::from(slot)]
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: u16) -> &mut Entry {
        &mut self.slots[usize::from(slot)]
    }
}

/// What waits for one bank.
#[derive(Clone, Copy, Debug)]
struct Lane {
    first: u16,
    last: u16,
    /// The oldest for the open row.
    hit: u16,
    /// The oldest for another row.
    miss: u16,
}

/// State: requests of one kind that wait.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    lanes: Vec<Lane>,
    /// Banks with requests.
    pub(super) waiting: BankSet,
    /// Open banks with requests for the open row.
    pub(super) hits: BankSet,
    /// Open banks with requests for another row.
    pub(super) misses: BankSet,
    pub(super) len: u32,
    pub(super) capacity: u32,
}

impl Queue {
    pub(super) fn new(banks: usize, capacity: u32) -> Self {
        Self {
            lanes: vec![Lane { first: NONE, last: NONE, hit: NONE, miss: NONE }; banks],
            waiting: BankSet::default(),
            hits: BankSet::default(),
            misses: BankSet::default(),
            len: 0,
            capacity,
        }
    }

    /// The oldest request for a bank that has some.
    #[inline]
    pub(super) fn first(&self, bank: usize) -> u16 {
        self.lanes[bank].first
    }

    /// The oldest request for the open row of a bank in [`Self::hits`].
    #[inline]
    pub(super) fn hit(&self, bank: usize) -> u16 {
        self.lanes[bank].hit
    }

    /// The oldest request for another row of a bank in [`Self::misses`].
    #[inline]
    pub(super) fn miss(&self, bank: usize) -> u16 {
        self.lanes[bank].miss
    }

    /// Adds a request; `open` is the row that its bank holds.
    #[inline]
    pub(super) fn push(&mut self, entries: &mut Entries, slot: u16, open: Option<u32>) {
        let entry = entries.get(slot);
        let (bank, row) = (usize::from(entry.bank), entry.request.address.row);
        let lane = &mut self.lanes[bank];
        if lane.first == NONE {
            lane.first = slot;
            self.waiting.insert(bank);
        } else {
            entries.get_mut(lane.last).next = slot;
        }
        lane.last = slot;
        self.len += 1;
        if let Some(open) = open {
            if row == open {
                if lane.hit == NONE {
                    lane.hit = slot;
                    self.hits.insert(bank);
                }
            } else if lane.miss == NONE {
                lane.miss = slot;
                self.misses.insert(bank);
            }
        }
    }

    /// Takes a request out. What it was to its bank (hit or miss) is put right by [`Self::took_hit`] or
    /// [`Self::opened`].
    #[inline]
    fn unlink(&mut self, entries: &mut Entries, slot: u16) {
        let (bank, next) = (usize::from(entries.get(slot).bank), entries.get(slot).next);
        let lane = &mut self.lanes[bank];
        self.len -= 1;
        if lane.first == slot {
            lane.first = next;
            if next == NONE {
                lane.last = NONE;
                self.waiting.remove(bank);
            }
            return;
        }
        let mut before = lane.first;
        while entries.get(before).next != slot {
            before = entries.get(before).next;
        }
        entries.get_mut(before).next = next;
        if next == NONE {
            lane.last = before;
        }
    }

    /// Takes the oldest hit of a bank out.
    #[inline]
    pub(super) fn take_hit(&mut self, entries: &mut Entries, bank: usize) -> u16 {
        let slot = self.lanes[bank].hit;
        let row = entries.get(slot).request.address.row;
        let mut next = entries.get(slot).next;
        while next != NONE && entries.get(next).request.address.row != row {
            next = entries.get(next).next;
        }
        self.lanes[bank].hit = next;
        if next == NONE {
            self.hits.remove(bank);
        }
        self.unlink(entries, slot);
        slot
    }

    /// Takes the oldest request of a bank out.
    #[inline]
    pub(super) fn take_first(&mut self, entries: &mut Entries, bank: usize) -> u16 {
        let slot = self.lanes[bank].first;
        self.unlink(entries, slot);
        slot
    }

    /// A row has been opened in a bank.
    #[inline]
    pub(super) fn opened(&mut self, entries: &Entries, bank: usize, row: u32) {
        let lane = &mut self.lanes[bank];
        let mut slot = lane.first;
        while slot != NONE && (lane.hit == NONE || lane.miss == NONE) {
            let entry = entries.get(slot);
            if entry.request.address.row == row {
                if lane.hit == NONE {
                    lane.hit = slot;
                    self.hits.insert(bank);
                }
            } else if lane.miss == NONE {
                lane.miss = slot;
                self.misses.insert(bank);
            }
            slot = entry.next;
        }
    }

    /// A bank has been closed.
    #[inline]
    pub(super) fn closed(&mut self, bank: usize) {
        let lane = &mut self.lanes[bank];
        (lane.hit, lane.miss) = (NONE, NONE);
        self.hits.remove(bank);
        self.misses.remove(bank);
    }

    /// Whether a request for the same granule waits.
    #[inline]
    pub(super) fn holds(&self, entries: &Entries, bank: usize, row: u32, column: u32) -> bool {
        let mut slot = self.lanes[bank].first;
        while slot != NONE {
            let entry = entries.get(slot);
            if entry.request.address.row == row && entry.request.column == column {
                return true;
            }
            slot = entry.next;
        }
        false
    }
}
