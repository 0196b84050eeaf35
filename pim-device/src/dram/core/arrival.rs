//! Requests come: a place in a queue, and what the bank needs for them.

#![allow(clippy::inline_always, reason = "asked for each kind of command at every look")]

use super::{ACTIVATIONS, Core, HITS, NO_QUEUE, READ, Received, WRITE};
use crate::dram::Tick;
use crate::dram::bank_set::BankSet;
use crate::dram::config::DramError;
use crate::dram::offset::Offset;
use crate::dram::queue::bucket;
use crate::dram::request::{Access, Completion, Observer, Offered, Request};
use crate::dram::times::{ACT, PRE, RD};
use crate::organisation::Level;

impl<S: BankSet, T: Offset> Core<S, T> {
    /// What becomes of a request that is offered between two ticks. Where it goes into its queue, [`Self::queue_up`] has to
    /// follow.
    #[inline(always)]
    pub(in crate::dram) fn receive(
        &mut self,
        request: &Request,
        observer: &mut impl Observer,
    ) -> Result<Received, DramError> {
        self.bounds.check(request, &self.organisation)?;
        let address = request.address;
        let bank = self.organisation.node(Level::Bank, address) as usize;
        let writes = &self.queues[WRITE];
        if writes.waiting.contains(bank) && writes.holds(&self.entries, bank, address.row, request.column) {
            // The data is in the write queue, whether or not there would be a place.
            let (done, offered) = match request.access {
                Access::Read => (self.answer(self.now + 1), Offered::Forwarded),
                Access::Write => (self.now, Offered::Coalesced),
            };
            observer.completed(&Completion { request: *request, arrived: self.now, done });
            return Ok(Received::Joins(offered));
        }
        let queue = &self.queues[request.access as usize];
        if queue.len >= queue.capacity {
            self.refused = request.access as usize;
            return Ok(Received::Refused { bank });
        }
        Ok(Received::Place { bank })
    }

    /// Puts a request into its queue, which has a place.
    #[inline(always)]
    pub(in crate::dram) fn queue_up(&mut self, request: &Request, bank: usize) {
        let address = request.address;
        let queue_number = request.access as usize;
        let queue = &mut self.queues[queue_number];
        self.refused = NO_QUEUE;
        let key = self.entries.add(request, bank, bucket(bank, address.row), self.now);
        let alone = queue.push(&mut self.entries, key, bank);
        // A read can end that writes are served, and a write begin it.
        self.changed |= if queue_number == READ { self.write_mode } else { queue.len >= self.write_high };
        let row = self.banks.row(bank);
        if row.is_none() {
            if alone {
                self.ask(ACT, bank);
            }
        } else if row == Some(address.row) {
            if queue.came(key, bank, true) {
                self.may_go(HITS, RD + request.access as usize, bank);
            }
        } else if queue.came(key, bank, false) && !self.owned().contains(bank) {
            self.ask(PRE, bank);
        }
        self.outstanding += 1;
    }

    /// A request that has come wants an activation or a precharge of its bank.
    #[inline(always)]
    fn ask(&mut self, command: usize, bank: usize) {
        let ready = self.times.bank_ready(command, bank);
        if ready <= self.now {
            self.due[command].insert(bank);
        } else {
            self.calendars[command].insert(bank, ready);
        }
        self.may_go(ACTIVATIONS + command, command, bank);
    }

    /// When a read that has its data at `due` is answered: in order.
    #[inline]
    pub(super) fn answer(&mut self, due: Tick) -> Tick {
        self.last_answer = self.last_answer.max(due);
        self.last_answer
    }
}
