//! What a command does.

#![allow(clippy::inline_always, reason = "asked for each kind of command at every look")]

use super::arrival::is_same;
use super::{CLOSED, Inner, Lane, READ, WRITE};
use crate::command::Command::{Act, Pre, Rd, Wr};
use crate::dram::Tick;
use crate::dram::bank_queue::{ACT, PRE, RD, WR};
use crate::dram::bank_set::{BankSet, CAPACITY};
use crate::dram::entries::{Key, NONE};
use crate::dram::offset::Offset;
use crate::dram::request::{Completion, Observer, Request, Target};

impl<S: BankSet, T: Offset> Inner<S, T> {
    /// Opens the row of a bank's first request.
    #[inline(never)]
    pub(super) fn activate(&mut self, bank: usize, tick: Tick, observer: &mut impl Observer) {
        self.ready.issue(ACT, bank, tick);
        let lane = &mut self.lanes[bank % CAPACITY];
        let entry = self.entries.get(lane.first);
        observer.issued(tick, Act, Target::Request(&entry.request));
        let row = entry.request.address.row;
        let mut row_hits = [0; 2];
        if self.rows.of(entry.bucket.row) == 1 {
            // The first, and no other.
            row_hits[entry.request.access as usize] = 1;
        } else {
            let mut key = lane.first;
            while key != NONE {
                let entry = self.entries.get(key);
                row_hits[entry.request.access as usize] += u16::from(entry.request.address.row == row);
                key = entry.next;
            }
        }
        (lane.row, lane.row_hits) = (row, row_hits);
        self.open.insert(bank);
        self.forget(ACT, bank);
        if row_hits[READ] > 0 {
            self.want(RD, bank, tick);
        }
        if row_hits[WRITE] > 0 {
            self.want(WR, bank, tick);
        }
    }

    /// Closes a bank for its first request.
    #[inline(never)]
    pub(super) fn precharge(&mut self, bank: usize, tick: Tick, observer: &mut impl Observer) {
        self.ready.issue(PRE, bank, tick);
        let entry = self.entries.get(self.lanes[bank % CAPACITY].first);
        observer.issued(tick, Pre, Target::Request(&entry.request));
        self.close(bank, tick);
    }

    #[inline(always)]
    pub(super) fn close(&mut self, bank: usize, tick: Tick) {
        self.open.remove(bank);
        self.forget(PRE, bank);
        let lane = &mut self.lanes[bank % CAPACITY];
        let hits = std::mem::take(&mut lane.row_hits) != [0; 2];
        (lane.hits, lane.row) = (0, CLOSED);
        if lane.len > 0 {
            self.want(ACT, bank, tick);
        }
        if hits {
            self.forget(RD, bank);
            self.forget(WR, bank);
        }
    }

    /// Issues the first access of the kinds that can go, of which there is one, and ends it.
    #[inline(never)]
    pub(super) fn access(&mut self, bank: usize, can_go: [bool; 2], tick: Tick, observer: &mut impl Observer) {
        let Some((key, before)) = self.first_access(bank, can_go) else { return };
        let entry = self.entries.get(key);
        let (access, next) = (entry.request.access as usize, entry.next);
        observer.issued(tick, [Rd, Wr][access], Target::Request(&entry.request));
        self.granules.remove(entry.bucket.granule);
        self.rows.remove(entry.bucket.row);
        if access == READ {
            let done = tick + self.read_latency;
            self.reads -= 1;
            observer.completed(&Completion { request: entry.request, arrived: entry.arrived, done });
            if !self.followers.is_empty() {
                let request = entry.request;
                self.answer_followers(bank, &request, done, observer);
            }
        }
        self.entries.release(key);
        self.ready.issue(RD + access, bank, tick);
        let lane = &mut self.lanes[bank % CAPACITY];
        if before == NONE {
            lane.first = next;
        } else {
            self.entries.link(before, next);
        }
        if next == NONE {
            lane.last = before;
        }
        lane.len -= 1;
        lane.hits += 1;
        lane.row_hits[access] -= 1;
        self.full.remove(bank);
        self.may_move = true;
        self.queued -= 1;
        let Lane { first, len, row, row_hits, hits, .. } = *lane;
        if row_hits[access] == 0 {
            self.forget(RD + access, bank);
        }
        // Without hits the first is for another row.
        let close = if row_hits == [0; 2] {
            len > 0
        } else {
            hits >= self.config.most_hits && self.entries.get(first).request.address.row != row
        };
        if close {
            self.want(PRE, bank, tick);
        }
    }

    /// The first hit of a bank's queue, of the kinds that can go, and the one before it in the queue.
    ///
    /// No write follows a read of the same granule there: it is not moved before the read is done.
    #[inline(always)]
    fn first_access(&self, bank: usize, can_go: [bool; 2]) -> Option<(Key, Key)> {
        let lane = &self.lanes[bank % CAPACITY];
        let (mut key, mut before) = (lane.first, NONE);
        while key != NONE {
            let entry = self.entries.get(key);
            if entry.request.address.row == lane.row && can_go[entry.request.access as usize] {
                return Some((key, before));
            }
            (before, key) = (key, entry.next);
        }
        None
    }

    /// Answers the other reads of a granule.
    #[inline(never)]
    fn answer_followers(&mut self, bank: usize, request: &Request, done: Tick, observer: &mut impl Observer) {
        let Self { followers, reads, .. } = self;
        followers.retain(|read| {
            let answered = read.bank == bank && is_same(&read.request, request);
            if answered {
                *reads -= 1;
                observer.completed(&Completion { request: read.request, arrived: read.arrived, done });
            }
            !answered
        });
    }

    /// Notes that a bank could use a command. Says before which tick it does not go.
    #[inline(always)]
    pub(super) fn want(&mut self, command: usize, bank: usize, tick: Tick) -> Tick {
        self.wants[command].insert(bank);
        let ready = self.ready.tick(self.ready.of_bank(command, bank));
        if ready <= tick {
            self.due[command].insert(bank);
        } else {
            self.calendar.insert(bank, ready);
        }
        ready.max(self.ready.tick(self.ready.of_rank(command)))
    }

    /// Notes that a bank can use a command no longer.
    #[inline(always)]
    pub(super) fn forget(&mut self, command: usize, bank: usize) {
        self.wants[command].remove(bank);
        self.due[command].remove(bank);
    }
}
