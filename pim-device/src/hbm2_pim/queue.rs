//! The command queue of a rank: at most 64 requests in order of arrival, with the few that a decision has to look at
//! kept ready for each bank.
//!
//! A group is everything up to and including a request with a barrier mark. Requests leave the queue from the first
//! group only, so what may be issued is known bank by bank and changes only where a request comes or goes, where a row
//! opens or closes, and where a group ends. The banks that offer a read, and those that offer a write, are kept in the order
//! in which what they offer has arrived.

use std::collections::VecDeque;

use super::mode::ROW_REGISTERS;
use super::request::{Iter, Request};
use super::times::BANKS;

/// No slot.
const NONE: u16 = u16::MAX;
/// No row.
const CLOSED: u32 = u32::MAX;
/// No bank.
const NO_BANK: u8 = u8::MAX;

#[derive(Clone, Copy, Debug)]
struct Slot {
    request: Request,
    /// Order of arrival.
    arrival: u64,
    group: u64,
    /// Neighbours in the list of its bank; of a free slot the next free one.
    previous: u16,
    next: u16,
}

#[derive(Clone, Copy, Debug)]
struct Bank {
    row: u32,
    first: u16,
    last: u16,
}

/// What banks offer of one kind, reads or writes, the oldest first.
#[derive(Clone, Copy, Debug)]
struct Offers {
    /// By bank: the request and when it arrived.
    slots: [u16; BANKS],
    arrivals: [u64; BANKS],
    /// By bank: its neighbours in the order.
    older: [u8; BANKS],
    younger: [u8; BANKS],
    oldest: u8,
    youngest: u8,
    /// Banks that offer something, one bit each.
    banks: u32,
}

impl Offers {
    const NONE: Self = Self {
        slots: [NONE; BANKS],
        arrivals: [0; BANKS],
        older: [NO_BANK; BANKS],
        younger: [NO_BANK; BANKS],
        oldest: NO_BANK,
        youngest: NO_BANK,
        banks: 0,
    };

    /// A bank offers this request from now on, instead of what it may have offered.
    #[inline]
    fn put(&mut self, bank: usize, slot: u16, arrival: u64) {
        let bank = bank % BANKS;
        self.slots[bank] = slot;
        self.arrivals[bank] = arrival;
        let bit = 1 << bank;
        if self.banks & bit != 0 {
            if self.banks == bit {
                return;
            }
            self.unlink(bank);
        }
        self.banks |= bit;
        let mut older = self.youngest;
        while older != NO_BANK && self.arrivals[usize::from(older) % BANKS] > arrival {
            older = self.older[usize::from(older) % BANKS];
        }
        let younger = if older == NO_BANK {
            std::mem::replace(&mut self.oldest, bank as u8)
        } else {
            std::mem::replace(&mut self.younger[usize::from(older) % BANKS], bank as u8)
        };
        if younger == NO_BANK {
            self.youngest = bank as u8;
        } else {
            self.older[usize::from(younger) % BANKS] = bank as u8;
        }
        self.older[bank] = older;
        self.younger[bank] = younger;
    }

    /// A bank offers nothing from now on.
    #[inline]
    fn clear(&mut self, bank: usize) {
        let bank = bank % BANKS;
        if self.banks >> bank & 1 != 0 {
            self.banks &= !(1 << bank);
            self.unlink(bank);
        }
    }

    #[inline]
    fn unlink(&mut self, bank: usize) {
        let (older, younger) = (self.older[bank % BANKS], self.younger[bank % BANKS]);
        if older == NO_BANK {
            self.oldest = younger;
        } else {
            self.younger[usize::from(older) % BANKS] = younger;
        }
        if younger == NO_BANK {
            self.youngest = older;
        } else {
            self.older[usize::from(younger) % BANKS] = older;
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Group {
    /// Reads and writes that are still in the queue.
    counts: [u32; 2],
    /// Whether its last request, which carries the mark, has arrived, and the bank of the one that arrived last.
    complete: bool,
    last_bank: u8,
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
    /// The first free slot.
    free: u16,
    capacity: usize,
    /// As many as the rank has.
    count: usize,
    banks: [Bank; BANKS],
    arrived: u64,
    /// The groups that have requests in the queue: the first, those between, and the last where it is not the first, which
    /// is the one that arrives.
    first: Group,
    between: VecDeque<Group>,
    last: Group,
    /// Groups behind the first.
    behind: u64,
    /// Number of the first group.
    first_group: u64,
    length: usize,
    /// Banks with requests, one bit each.
    occupied: u32,
    /// What banks offer as far as order is concerned: reads, then writes.
    offers: [Offers; 2],
    /// Banks with an open row, one bit each.
    pub(super) open: u32,
    /// Banks whose open row the first group wants.
    pub(super) wanted: u32,
    /// Closed banks with a request that may have its row opened.
    pub(super) activable: u32,
}

impl Queue {
    pub(super) fn new(banks: u32, capacity: u32) -> Self {
        Self {
            slots: Vec::new(),
            free: NONE,
            capacity: capacity as usize,
            count: banks as usize,
            banks: [Bank { row: CLOSED, first: NONE, last: NONE }; BANKS],
            arrived: 0,
            first: Group::default(),
            between: VecDeque::new(),
            last: Group::default(),
            behind: 0,
            first_group: 0,
            length: 0,
            occupied: 0,
            offers: [Offers::NONE; 2],
            open: 0,
            wanted: 0,
            activable: 0,
        }
    }

    pub(super) fn banks(&self) -> usize {
        self.count
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.length >= self.capacity
    }

    /// Banks with a read, or a write, that may be issued as far as order is concerned.
    #[inline]
    pub(super) fn offering(&self, write: bool) -> u32 {
        self.offers[usize::from(write)].banks
    }

    /// The oldest of what banks offer.
    #[inline]
    pub(super) fn oldest_offer(&self, write: bool) -> Option<Candidate> {
        self.offer(write, self.offers[usize::from(write)].oldest)
    }

    /// The next younger one.
    #[inline]
    pub(super) fn younger_offer(&self, write: bool, than: Candidate) -> Option<Candidate> {
        self.offer(write, self.offers[usize::from(write)].younger[than.bank % BANKS])
    }

    #[inline]
    fn offer(&self, write: bool, bank: u8) -> Option<Candidate> {
        let offers = &self.offers[usize::from(write)];
        let bank = usize::from(bank);
        (bank < BANKS).then(|| Candidate {
            slot: offers.slots[bank % BANKS],
            bank,
            arrival: offers.arrivals[bank % BANKS],
        })
    }

    /// The request for which a bank of [`Self::activable`] would open its row: its oldest.
    #[inline]
    pub(super) fn oldest(&self, bank: usize) -> Candidate {
        let slot = self.banks[bank % BANKS].first;
        Candidate { slot, bank, arrival: self.slots[slot as usize].arrival }
    }

    pub(super) fn request(&self, slot: u16) -> Request {
        self.slots[slot as usize].request
    }

    /// A request arrives. Whether that changes what the banks offer.
    #[inline]
    pub(super) fn push(&mut self, request: Request) -> bool {
        let group = self.group_of(&request);
        let bank = usize::from(request.bank) % BANKS;
        let previous = self.banks[bank].last;
        let slot = Slot { request, arrival: self.arrived, group, previous, next: NONE };
        self.arrived += 1;
        self.length += 1;
        let place = self.free;
        let place = if let Some(free) = self.slots.get_mut(usize::from(place)) {
            self.free = free.next;
            *free = slot;
            place
        } else {
            self.slots.push(slot);
            (self.slots.len() - 1) as u16
        };
        match previous {
            NONE => {
                self.banks[bank].first = place;
                self.occupied |= 1 << bank;
            }
            previous => self.slots[previous as usize].next = place,
        }
        self.banks[bank].last = place;
        // A bank that offers something older offers nothing else for a younger request.
        let offers = self.offers[usize::from(request.write)].banks;
        if offers >> bank & 1 == 1 || (previous != NONE && self.open >> bank & 1 == 0) {
            return false;
        }
        let before = (self.offers[0].banks, self.offers[1].banks, self.wanted, self.activable);
        self.update(bank);
        before != (self.offers[0].banks, self.offers[1].banks, self.wanted, self.activable)
    }

    /// Counts a request that arrives, and tells the number of its group.
    #[inline]
    fn group_of(&mut self, request: &Request) -> u64 {
        let mut arriving = if self.behind == 0 { &mut self.first } else { &mut self.last };
        if arriving.complete {
            if self.behind > 0 {
                self.between.push_back(self.last);
            }
            self.last = Group::default();
            self.behind += 1;
            arriving = &mut self.last;
        }
        arriving.complete = request.barrier;
        arriving.last_bank = request.bank;
        arriving.counts[usize::from(request.write)] += 1;
        self.first_group + self.behind
    }

    /// The kind of column command, a write or not, that is all that can be issued, as far as order is concerned, until a
    /// request changes that; `None` where there may be more.
    #[inline]
    pub(super) fn streams(&self) -> Option<bool> {
        let (reads, writes) = (self.offers[0].banks, self.offers[1].banks);
        let write = reads == 0;
        let one = (reads == 0) != (writes == 0) && self.first.counts[usize::from(!write)] == 0;
        (one && self.activable == 0 && self.open & !self.wanted == 0).then_some(write)
    }

    /// Takes the oldest request of the bank of an offer and puts `arrival` in its place at the end, where neither changes
    /// which banks offer something: the same as [`Self::take`] and [`Self::push`]. `false`, and nothing is done, where that
    /// is not sure, or where the request may change the mode.
    #[inline]
    pub(super) fn exchange(&mut self, candidate: Candidate, write: bool, arrival: Option<&Request>) -> bool {
        let bank = candidate.bank;
        let done = self.exchange_in(bank, candidate.slot, write, arrival);
        if done {
            let next = self.banks[bank % BANKS].first;
            let arrival = self.slots[usize::from(next)].arrival;
            self.offers[usize::from(write)].put(bank, next, arrival);
        }
        done
    }

    /// Whether a bank is the only one that offers something.
    #[inline]
    pub(super) fn is_alone(&self, bank: usize, write: bool) -> bool {
        self.offers[usize::from(write)].banks == 1 << bank
    }

    /// The same for up to `most` requests in turn of the only bank that offers something; tells how many.
    #[inline]
    pub(super) fn exchange_run(
        &mut self,
        bank: usize,
        write: bool,
        most: u64,
        arrival: &mut Option<Request>,
        arriving: &mut Iter<'_>,
    ) -> u64 {
        let own = usize::from(write);
        let rank = self.slots[usize::from(self.offers[own].slots[bank % BANKS])].request.rank;
        let mut done = 0;
        while done < most {
            done += self.exchange_alike(bank, write, most - done, arrival, arriving);
            if done == most {
                break;
            }
            let first = self.banks[bank % BANKS].first;
            let same_rank = arrival.as_ref().is_none_or(|arrival| arrival.rank == rank);
            if !same_rank || !self.exchange_in(bank, first, write, arrival.as_ref()) {
                break;
            }
            if arrival.is_some() {
                *arrival = arriving.next();
            }
            done += 1;
        }
        let first = self.banks[bank % BANKS].first;
        if done > 0 {
            let arrival = self.slots[usize::from(first)].arrival;
            self.offers[own].put(bank, first, arrival);
        }
        done
    }

    /// The same as [`Self::exchange_in`] again and again for the first requests of a bank, as long as those that arrive go to
    /// one bank and are of one kind and group; tells how many.
    #[inline]
    fn exchange_alike(
        &mut self,
        bank: usize,
        write: bool,
        most: u64,
        arrival: &mut Option<Request>,
        arriving: &mut Iter<'_>,
    ) -> u64 {
        let Some(mut coming) = *arrival else { return 0 };
        let (bank, own, to, kind) = (bank % BANKS, usize::from(write), coming.bank, coming.write);
        let mut place = self.banks[bank].first;
        let mut last = self.banks[usize::from(to) % BANKS].last;
        let complete = self.first.complete;
        let behind = if self.behind == 0 { &self.first } else { &self.last };
        let Some(head) = self.slots.get(usize::from(place)) else { return 0 };
        let Request { row, rank, barrier, .. } = head.request;
        // What is told apart here, single exchanges look at.
        if barrier
            || write && row == ROW_REGISTERS
            || last == NONE
            || behind.complete
            || coming.rank != rank
            || !complete && (kind != write || usize::from(to) != bank)
        {
            return 0;
        }
        let group = self.first_group + self.behind;
        // What arrives is of another group than the first one where that is complete.
        let most = if complete { most.min(u64::from(self.first.counts[own]).saturating_sub(2)) } else { most };
        let (mut done, mut ends, mut none) = (0, false, false);
        while done < most && !ends && (coming.bank, coming.write, coming.rank) == (to, kind, rank) {
            let next = self.slots[usize::from(place)].next;
            let Some(Slot { request, group: of_next, .. }) = self.slots.get(usize::from(next)) else { break };
            if *of_next != self.first_group || request.barrier || (request.row, request.write) != (row, write) {
                break;
            }
            self.slots[usize::from(last)].next = place;
            let arrival = self.arrived + done;
            self.slots[usize::from(place)] = Slot { request: coming, arrival, group, previous: last, next: NONE };
            (last, place) = (place, next);
            done += 1;
            ends = coming.barrier;
            let Some(request) = arriving.next() else {
                none = true;
                break;
            };
            coming = request;
        }
        if done > 0 {
            self.slots[usize::from(place)].previous = NONE;
            self.banks[bank].first = place;
            self.banks[usize::from(to) % BANKS].last = last;
            self.arrived += done;
            let behind = if self.behind == 0 { &mut self.first } else { &mut self.last };
            behind.counts[usize::from(kind)] += done as u32;
            (behind.complete, behind.last_bank) = (ends, to);
            self.first.counts[own] -= done as u32;
            *arrival = (!none).then_some(coming);
        }
        done
    }

    /// An exchange, but that the bank's offer is left as it is.
    #[allow(clippy::inline_always, reason = "the call is a third of what an exchange takes (callgrind)")]
    #[inline(always)]
    fn exchange_in(&mut self, bank: usize, place: u16, write: bool, arrival: Option<&Request>) -> bool {
        let bank = bank % BANKS;
        let Some(slot) = self.slots.get(usize::from(place)) else { return false };
        let (request, next) = (slot.request, slot.next);
        let own = usize::from(write);
        // The last but one of a complete group makes the last one the head.
        let ends = self.first.complete && self.first.counts[own] <= 2;
        let special = request.barrier || write && request.is_control();
        if special || ends || slot.previous != NONE || !self.follows(&request, next) {
            return false;
        }
        // Where the first group is complete, what arrives is of a later one, and that changes nothing yet.
        if !self.first.complete
            && let Some(arrival) = arrival
            && (arrival.write != write || self.offers[own].banks >> (usize::from(arrival.bank) % BANKS) & 1 == 0)
        {
            return false;
        }
        self.slots[usize::from(next)].previous = NONE;
        self.banks[bank].first = next;
        self.first.counts[own] -= 1;
        let Some(arrival) = arrival else {
            self.slots[usize::from(place)].next = self.free;
            self.free = place;
            self.length -= 1;
            return true;
        };
        let group = self.group_of(arrival);
        let bank = usize::from(arrival.bank) % BANKS;
        let previous = std::mem::replace(&mut self.banks[bank].last, place);
        if let Some(previous) = self.slots.get_mut(usize::from(previous)) {
            previous.next = place;
        } else {
            self.banks[bank].first = place;
            self.occupied |= 1 << bank;
        }
        self.slots[usize::from(place)] = Slot { request: *arrival, arrival: self.arrived, group, previous, next: NONE };
        self.arrived += 1;
        true
    }

    /// Where the next requests of a kind go and how long ago they arrived, the oldest first, counted from the one that comes.
    pub(super) fn order(&self, write: bool) -> ([(u8, u32); BANKS], usize) {
        let mut order = [(NO_BANK, 0); BANKS];
        let mut count = 0;
        let mut offer = self.oldest_offer(write);
        while let Some(candidate) = offer {
            order[count % BANKS] = (candidate.bank as u8, (self.arrived - candidate.arrival) as u32);
            count += 1;
            offer = self.younger_offer(write, candidate);
        }
        (order, count)
    }

    /// Whether all that is in the queue is of the run and the row of `arrival`, and in each bank every `banks`-th request of
    /// that run.
    pub(super) fn is_of_run(&self, arrival: &Request, banks: u64) -> bool {
        let mut found = 0;
        for bank in 0..self.count {
            let mut place = self.banks[bank % BANKS].first;
            let mut before: Option<u64> = None;
            while place != NONE {
                let Slot { request, arrival: own, next, .. } = &self.slots[usize::from(place)];
                let same = (request.run, request.row, request.write) == (arrival.run, arrival.row, arrival.write);
                if !same || before.is_some_and(|before| own - before != banks) {
                    return false;
                }
                (before, place, found) = (Some(*own), *next, found + 1);
            }
        }
        found == self.length && self.behind == 0 && !self.first.complete
    }

    /// What it holds after so many rounds of a burst of every bank: what [`Self::is_of_run`] says of it stays so.
    pub(super) fn skip_rounds(&mut self, write: bool, rounds: u64, banks: u64) {
        let arrived = rounds * banks;
        for bank in 0..self.count {
            let mut place = self.banks[bank % BANKS].first;
            while place != NONE {
                let slot = &mut self.slots[usize::from(place)];
                slot.arrival += arrived;
                slot.request.column += rounds as u8;
                place = slot.next;
            }
        }
        for arrival in &mut self.offers[usize::from(write)].arrivals {
            *arrival += arrived;
        }
        self.arrived += arrived;
    }

    /// A request leaves for its bank.
    #[inline]
    pub(super) fn take(&mut self, place: u16) -> Request {
        let Slot { request, previous, next, .. } = self.slots[place as usize];
        let bank = usize::from(request.bank) % BANKS;
        match previous {
            NONE => self.banks[bank].first = next,
            previous => self.slots[previous as usize].next = next,
        }
        match next {
            NONE => {
                self.banks[bank].last = previous;
                if previous == NONE {
                    self.occupied &= !(1 << bank);
                }
            }
            next => self.slots[next as usize].previous = previous,
        }
        self.slots[place as usize].next = self.free;
        self.free = place;
        self.length -= 1;
        if request.barrier {
            self.end_group();
            self.update_all(self.occupied | 1 << bank);
            return request;
        }
        self.first.counts[usize::from(request.write)] -= 1;
        let others = self.first.counts[usize::from(!request.write)];
        if others == 0 && previous == NONE && self.follows(&request, next) {
            let arrival = self.slots[next as usize].arrival;
            self.offers[usize::from(request.write)].put(bank, next, arrival);
        } else {
            self.update(bank);
        }
        if self.head_is_marked() {
            // The marked request may go, and rows of the next group may be opened.
            self.update_all(self.occupied & !self.open | 1 << self.first.last_bank);
        }
        request
    }

    /// The next group becomes the first.
    fn end_group(&mut self) {
        self.first_group += 1;
        self.first = match self.behind {
            0 => Group::default(),
            1 => self.last,
            _ => self.between.pop_front().unwrap_or_default(),
        };
        self.behind = self.behind.saturating_sub(1);
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
        self.banks[bank % BANKS].row = u32::from(row);
        self.open |= 1 << bank;
        self.update(bank);
    }

    /// Closes a bank and tells its row.
    pub(super) fn close_row(&mut self, bank: usize) -> u16 {
        let row = std::mem::replace(&mut self.banks[bank % BANKS].row, CLOSED);
        self.open &= !(1 << bank);
        self.update(bank);
        row as u16
    }

    /// Whether all of the first group but its marked last request has left.
    #[inline]
    fn head_is_marked(&self) -> bool {
        self.first.complete && self.first.counts[0] + self.first.counts[1] == 1
    }

    /// Finds again what some banks offer.
    fn update_all(&mut self, mut banks: u32) {
        while banks != 0 {
            self.update(banks.trailing_zeros() as usize);
            banks &= banks - 1;
        }
    }

    /// Finds again what a bank offers.
    fn update(&mut self, bank: usize) {
        let bit = 1 << bank;
        let head_is_marked = self.head_is_marked();
        let (mut wanted, mut activable) = (false, false);
        let mut found: [Option<(u16, u64)>; 2] = [None; 2];
        let Bank { row, first, .. } = self.banks[bank % BANKS];
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
            let [reads, writes] = self.first.counts;
            let mut place = first;
            while place != NONE {
                let slot = &self.slots[place as usize];
                if slot.group != self.first_group {
                    break;
                }
                if u32::from(slot.request.row) == row {
                    wanted = true;
                    let of_kind = &mut found[usize::from(slot.request.write)];
                    let may = !slot.request.barrier || head_is_marked;
                    if of_kind.is_none() && may && !self.waits(place, row) {
                        *of_kind = Some((place, slot.arrival));
                    }
                    if (found[0].is_some() || reads == 0) && (found[1].is_some() || writes == 0) {
                        break;
                    }
                }
                place = slot.next;
            }
        }
        for (offers, found) in self.offers.iter_mut().zip(found) {
            match found {
                Some((place, arrival)) => offers.put(bank, place, arrival),
                None => offers.clear(bank),
            }
        }
        let set = |mask: &mut u32, on: bool| *mask = *mask & !bit | if on { bit } else { 0 };
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
