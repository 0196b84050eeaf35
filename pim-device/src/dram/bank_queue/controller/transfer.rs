//! Transactions move into the command queues of their banks.

#![allow(clippy::inline_always, reason = "asked for each kind of command at every look")]

use super::{CLOSED, Inner, READ, WRITE};
use crate::dram::Tick;
use crate::dram::bank_queue::{ACT, PRE, RD};
use crate::dram::bank_set::{BankSet, CAPACITY};
use crate::dram::entries::NONE;
use crate::dram::offset::Offset;
use crate::dram::queue::oldest;
use crate::dram::request::Access;

impl<S: BankSet, T: Offset> Inner<S, T> {
    /// Moves one transaction into its bank's queue. Says whether in the next tick there may be another one.
    #[inline(always)]
    pub(super) fn transfer(&mut self, tick: Tick) -> bool {
        let writes = self.transactions[WRITE];
        if self.draining == 0 && writes >= self.drain_from[usize::from(self.queued > 0)] {
            self.draining = writes;
        }
        if self.draining > 0 { self.transfer_one(WRITE, tick) } else { self.transfer_one(READ, tick) }
    }

    /// Moves the first transaction of a kind for whose bank there is a place.
    #[inline(always)]
    fn transfer_one(&mut self, kind: usize, tick: Tick) -> bool {
        let key = oldest(&self.first[kind], self.waiting[kind].without(self.full));
        if key == NONE {
            return false;
        }
        let entry = self.entries.get(key);
        let (bank, next, row) = (usize::from(entry.bank), entry.next, entry.request.address.row);
        let row_bucket = entry.bucket.row;
        if kind == WRITE {
            // A read of the same granule goes first. The write is one that waits itself.
            if self.granules.of(entry.bucket.granule) > 1 && self.finds(Access::Read, bank, &entry.request) {
                // It is decided anew in the next tick.
                self.draining = 0;
                return true;
            }
            self.draining -= 1;
        }
        self.first[kind][bank % CAPACITY] = next;
        if next == NONE {
            self.waiting[kind].remove(bank);
        }
        self.transactions[kind] -= 1;
        self.freed |= self.refused == kind;
        self.entries.link(key, NONE);
        let lane = &mut self.lanes[bank % CAPACITY];
        let alone = lane.len == 0;
        if alone {
            lane.first = key;
        } else {
            self.entries.link(lane.last, key);
        }
        lane.last = key;
        lane.len += 1;
        if lane.len as usize >= self.config.commands {
            self.full.insert(bank);
        }
        self.queued += 1;
        self.rows.add(row_bucket);
        if lane.row == row {
            lane.row_hits[kind] += 1;
            if lane.hits < self.config.most_hits {
                self.forget(PRE, bank);
            }
            let first = self.want(RD + kind, bank, tick);
            self.from = self.from.min(first);
        } else if alone {
            // Otherwise the first one says what is needed.
            let command = if lane.row == CLOSED { ACT } else { PRE };
            let first = self.want(command, bank, tick);
            self.from = self.from.min(first);
        }
        true
    }
}
