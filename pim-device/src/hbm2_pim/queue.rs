//! The command queue of a rank: at most 64 requests in order of arrival, with the few that a decision has to look at
//! kept ready for each bank.
//!
//! A group is everything up to and including a request with a barrier mark. Requests leave the queue from the first
//! group only, so what may be issued is known bank by bank and changes only where a request comes or goes, where a row
//! opens or closes, and where a group ends.

use std::collections::VecDeque;

use super::request::Request;

/// No slot.
const NONE: u16 = u16::MAX;
/// No row.
const CLOSED: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Slot {
    request: Request,
    /// Order of arrival.
    arrival: u64,
    group: u64,
    /// Neighbours in the list of its bank.
    previous: u16,
    next: u16,
    /// Neighbours in the queue.
    older: u16,
    younger: u16,
}

#[derive(Clone, Copy, Debug)]
struct Bank {
    row: u32,
    first: u16,
    last: u16,
    /// What the masks of the queue speak of; anything where their bit is not set.
    read: u16,
    write: u16,
}

#[derive(Clone, Copy, Debug, Default)]
struct Group {
    /// Reads and writes that are still in the queue.
    reads: u32,
    writes: u32,
    /// Whether its last request, which carries the mark, has arrived.
    complete: bool,
}

impl Group {
    fn count(&mut self, write: bool) -> &mut u32 {
        if write { &mut self.writes } else { &mut self.reads }
    }
}

/// A request of a bank that a command can be made for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) slot: u16,
    pub(super) bank: usize,
    /// Order of arrival.
    pub(super) arrival: u64,
}

/// State: the queue and the open rows of a rank.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    slots: Vec<Slot>,
    free: Vec<u16>,
    capacity: usize,
    banks: Vec<Bank>,
    arrived: u64,
    /// The oldest and the youngest.
    head: u16,
    tail: u16,
    /// The groups that have requests in the queue; the last is the one that arrives.
    groups: VecDeque<Group>,
    /// Number of the first of `groups`.
    first_group: u64,
    length: usize,
    /// Banks with an open row, one bit each.
    pub(super) open: u32,
    /// Banks with a read that may be issued as far as order is concerned.
    pub(super) readable: u32,
    /// Banks with such a write.
    pub(super) writable: u32,
    /// Banks whose open row the first group wants.
    pub(super) wanted: u32,
    /// Closed banks with a request that may have its row opened.
    pub(super) activable: u32,
}

impl Queue {
    pub(super) fn new(banks: u32, capacity: u32) -> Self {
        let bank = Bank { row: CLOSED, first: NONE, last: NONE, read: NONE, write: NONE };
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            capacity: capacity as usize,
            banks: vec![bank; banks as usize],
            arrived: 0,
            head: NONE,
            tail: NONE,
            groups: VecDeque::from([Group::default()]),
            first_group: 0,
            length: 0,
            open: 0,
            readable: 0,
            writable: 0,
            wanted: 0,
            activable: 0,
        }
    }

    pub(super) fn banks(&self) -> usize {
        self.banks.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.length >= self.capacity
    }

    /// What `banks` of [`Self::readable`] or [`Self::writable`] offer, one after the other, the oldest first.
    #[inline]
    pub(super) fn next_column(&self, reads: bool, banks: u32, after: Option<Candidate>) -> Option<Candidate> {
        if banks == 0 {
            return None;
        }
        let mut place = after.map_or(self.head, |candidate| self.slots[candidate.slot as usize].younger);
        while place != NONE {
            let slot = &self.slots[place as usize];
            let bank = usize::from(slot.request.bank);
            let offered = if reads { self.banks[bank].read } else { self.banks[bank].write };
            if banks >> bank & 1 == 1 && offered == place {
                return Some(Candidate { slot: place, bank, arrival: slot.arrival });
            }
            place = slot.younger;
        }
        None
    }

    /// What a bank of [`Self::readable`] or [`Self::writable`] offers.
    #[inline]
    pub(super) fn column_of(&self, reads: bool, bank: usize) -> u16 {
        if reads { self.banks[bank].read } else { self.banks[bank].write }
    }

    /// The request for which a bank of [`Self::activable`] would open its row: its oldest.
    #[inline]
    pub(super) fn oldest(&self, bank: usize) -> Candidate {
        let slot = self.banks[bank].first;
        Candidate { slot, bank, arrival: self.slots[slot as usize].arrival }
    }

    pub(super) fn request(&self, slot: u16) -> Request {
        self.slots[slot as usize].request
    }

    /// A request arrives. Whether that changes what the banks offer.
    #[inline]
    pub(super) fn push(&mut self, request: Request) -> bool {
        if self.groups.back().is_none_or(|group| group.complete) {
            self.groups.push_back(Group::default());
        }
        let group = self.first_group + self.groups.len() as u64 - 1;
        if let Some(back) = self.groups.back_mut() {
            back.complete = request.barrier;
            *back.count(request.write) += 1;
        }
        let bank = usize::from(request.bank);
        let previous = self.banks[bank].last;
        let older = self.tail;
        let slot = Slot { request, arrival: self.arrived, group, previous, next: NONE, older, younger: NONE };
        self.arrived += 1;
        self.length += 1;
        let place = if let Some(place) = self.free.pop() {
            self.slots[place as usize] = slot;
            place
        } else {
            self.slots.push(slot);
            (self.slots.len() - 1) as u16
        };
        match previous {
            NONE => self.banks[bank].first = place,
            previous => self.slots[previous as usize].next = place,
        }
        self.banks[bank].last = place;
        match older {
            NONE => self.head = place,
            older => self.slots[older as usize].younger = place,
        }
        self.tail = place;
        // A bank that offers something older offers nothing else for a younger request.
        let offers = if request.write { self.writable } else { self.readable };
        if offers >> bank & 1 == 1 || (previous != NONE && self.open >> bank & 1 == 0) {
            return false;
        }
        let before = (self.readable, self.writable, self.wanted, self.activable);
        self.update(bank);
        before != (self.readable, self.writable, self.wanted, self.activable)
    }

    /// A request leaves for its bank.
    pub(super) fn take(&mut self, place: u16) -> Request {
        let Slot { request, previous, next, older, younger, .. } = self.slots[place as usize];
        let bank = usize::from(request.bank);
        match previous {
            NONE => self.banks[bank].first = next,
            previous => self.slots[previous as usize].next = next,
        }
        match next {
            NONE => self.banks[bank].last = previous,
            next => self.slots[next as usize].previous = previous,
        }
        match older {
            NONE => self.head = younger,
            older => self.slots[older as usize].younger = younger,
        }
        match younger {
            NONE => self.tail = older,
            younger => self.slots[younger as usize].older = older,
        }
        self.free.push(place);
        self.length -= 1;
        if request.barrier {
            self.groups.pop_front();
            self.first_group += 1;
            self.update(bank);
            self.update_all();
        } else {
            let mut others = 0;
            if let Some(group) = self.groups.front_mut() {
                *group.count(request.write) -= 1;
                others = *group.count(!request.write);
            }
            if others == 0 && previous == NONE && self.follows(&request, next) {
                let bank = &mut self.banks[bank];
                *(if request.write { &mut bank.write } else { &mut bank.read }) = next;
            } else {
                self.update(bank);
            }
            if self.head_is_marked() {
                self.update_all();
            }
        }
        request
    }

    /// Whether a request of the bank simply takes the place of the one that has left, its first.
    #[inline]
    fn follows(&self, left: &Request, next: u16) -> bool {
        next != NONE && {
            let Slot { request, group, .. } = &self.slots[next as usize];
            *group == self.first_group && !request.barrier && (request.row, request.write) == (left.row, left.write)
        }
    }

    pub(super) fn open_row(&mut self, bank: usize, row: u16) {
        self.banks[bank].row = u32::from(row);
        self.open |= 1 << bank;
        self.update(bank);
    }

    /// Closes a bank and tells its row.
    pub(super) fn close_row(&mut self, bank: usize) -> u16 {
        let row = std::mem::replace(&mut self.banks[bank].row, CLOSED);
        self.open &= !(1 << bank);
        self.update(bank);
        row as u16
    }

    /// Whether all of the first group but its marked last request has left.
    fn head_is_marked(&self) -> bool {
        self.groups.front().is_some_and(|group| group.complete && group.reads + group.writes == 1)
    }

    /// Finds again what every bank offers that has requests; the others offer nothing.
    fn update_all(&mut self) {
        for bank in 0..self.banks.len() {
            if self.banks[bank].first != NONE {
                self.update(bank);
            }
        }
    }

    /// Finds again what a bank offers.
    fn update(&mut self, bank: usize) {
        let bit = 1 << bank;
        let head_is_marked = self.head_is_marked();
        let (mut readable, mut writable, mut wanted, mut activable) = (false, false, false, false);
        let Bank { row, first, .. } = self.banks[bank];
        if first == NONE {
        } else if row == CLOSED {
            let oldest = &self.slots[first as usize];
            // The marked request has to be the head; once it is, the next group's may go ahead of it, but for its own
            // marked one.
            let ahead = oldest.group - self.first_group;
            activable = match ahead {
                0 => !oldest.request.barrier || head_is_marked,
                1 => !oldest.request.barrier && head_is_marked,
                _ => false,
            };
        } else {
            let Group { reads, writes, .. } = self.groups.front().copied().unwrap_or_default();
            let mut place = first;
            while place != NONE {
                let slot = &self.slots[place as usize];
                if slot.group != self.first_group {
                    break;
                }
                if u32::from(slot.request.row) == row {
                    wanted = true;
                    let write = slot.request.write;
                    let found = if write { writable } else { readable };
                    let may = !slot.request.barrier || head_is_marked;
                    if !found && may && !self.waits(place, row) {
                        let bank = &mut self.banks[bank];
                        if write {
                            (writable, bank.write) = (true, place);
                        } else {
                            (readable, bank.read) = (true, place);
                        }
                    }
                    if (readable || reads == 0) && (writable || writes == 0) {
                        break;
                    }
                }
                place = slot.next;
            }
        }
        let set = |mask: &mut u32, on: bool| *mask = *mask & !bit | if on { bit } else { 0 };
        set(&mut self.readable, readable);
        set(&mut self.writable, writable);
        set(&mut self.wanted, wanted);
        set(&mut self.activable, activable);
    }

    /// Whether an older request is for the same burst of the open row.
    fn waits(&self, place: u16, row: u32) -> bool {
        let column = self.slots[place as usize].request.column;
        let mut older = self.slots[place as usize].previous;
        while older != NONE {
            let slot = &self.slots[older as usize];
            if u32::from(slot.request.row) == row && slot.request.column == column {
                return true;
            }
            older = slot.previous;
        }
        false
    }
}
