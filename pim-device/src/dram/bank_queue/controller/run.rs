//! A run: from tick to tick, with refreshes in between.

#![allow(clippy::inline_always, reason = "asked for each kind of command at every look")]

use super::Inner;
use crate::command::Bus;
use crate::command::Command::{Pre, RefAb};
use crate::dram::Tick;
use crate::dram::bank_queue::{PRE, REF};
use crate::dram::bank_set::BankSet;
use crate::dram::config::DramError;
use crate::dram::offset::Offset;
use crate::dram::request::{Observer, Target};
use crate::dram::scheduler::Until;

impl<S: BankSet, T: Offset> Inner<S, T> {
    /// Runs the ticks before `limit`, or until what is waited for has come.
    #[inline(always)]
    pub(in crate::dram::bank_queue) fn run(
        &mut self,
        limit: Tick,
        until: Until,
        observer: &mut impl Observer,
    ) -> Result<(), DramError> {
        self.freed = false;
        let (mut left, mut end) = (self.reads, self.patience_from(until));
        let mut stop = self.stop(limit, end);
        loop {
            let over = match until {
                Until::Limit => self.now >= limit,
                Until::Place => self.freed,
                Until::Done => self.reads == 0,
            };
            if over {
                return Ok(());
            }
            if until == Until::Done && self.reads != left {
                (left, end) = (self.reads, self.patience_from(until));
                stop = self.stop(limit, end);
            }
            let tick = if self.may_move { self.now } else { self.from.max(self.now) };
            if tick >= stop {
                self.pause(limit, end, observer)?;
                stop = self.stop(limit, end);
                continue;
            }
            self.now = tick + 1;
            if self.from <= tick {
                self.serve(tick, observer);
            }
            if self.may_move {
                self.may_move = self.transfer(tick);
            }
        }
    }

    /// The last tick to which a run waits for something that does not come.
    #[inline(always)]
    fn patience_from(&self, until: Until) -> Tick {
        if until == Until::Limit { Tick::MAX } else { self.now.saturating_add(self.patience) }
    }

    /// The tick in which something else happens than that requests are served: always, while a refresh waits.
    #[inline(always)]
    fn stop(&self, limit: Tick, end: Tick) -> Tick {
        if self.refreshing { 0 } else { self.next_refresh.min(limit).min(end.saturating_add(1)) }
    }

    /// Goes to `limit`, or to a tick with a refresh and runs that.
    #[cold]
    fn pause(&mut self, limit: Tick, end: Tick, observer: &mut impl Observer) -> Result<(), DramError> {
        if !self.may_move && !self.refreshing {
            self.now = self.from.min(self.next_refresh).min(limit).max(self.now);
        }
        let tick = self.now;
        if tick > end {
            return Err(self.stuck());
        }
        if tick >= limit {
            return Ok(());
        }
        if tick >= self.next_refresh {
            self.refreshing = true;
            self.next_refresh += self.refresh_interval;
        }
        let wake = self.refresh(tick, observer);
        if self.may_move {
            self.may_move = self.transfer(tick);
            self.now = tick + 1;
        } else {
            self.now = wake.min(self.next_refresh).min(limit).max(tick + 1);
        }
        Ok(())
    }

    #[cold]
    fn stuck(&self) -> DramError {
        let requests = self.transactions.iter().sum::<u32>() + self.queued;
        DramError::Stuck { tick: self.now, requests: requests.into() }
    }

    /// Issues what can be in a tick: one command, or one on each bus.
    #[inline(always)]
    fn serve(&mut self, tick: Tick, observer: &mut impl Observer) {
        if tick > self.ready.horizon() {
            self.ready.rebase(tick);
        }
        if self.calendar.next() <= tick {
            let woken = self.calendar.take(tick);
            for (due, wants) in self.due.iter_mut().zip(&self.wants) {
                *due |= woken & *wants;
            }
        }
        let Some(bus) = self.turn(None, tick, observer) else { return };
        self.from = self.first_possible();
        if self.config.two_buses && self.from <= tick {
            self.second(bus, tick, observer);
        }
    }

    /// The second command of a tick, where it goes on the other bus.
    #[inline(never)]
    fn second(&mut self, taken: Bus, tick: Tick, observer: &mut impl Observer) {
        if self.turn(Some(taken), tick, observer).is_some() {
            self.from = self.first_possible();
        }
    }

    /// A refresh is due: precharges whatever can be, then refreshes. Says when something can be issued, if nothing
    /// was.
    #[cold]
    fn refresh(&mut self, tick: Tick, observer: &mut impl Observer) -> Tick {
        if tick > self.ready.horizon() {
            self.ready.rebase(tick);
        }
        let (mut wake, mut open) = (Tick::MAX, self.open);
        while !open.is_empty() {
            let bank = open.first();
            let ready = self.ready.ready(PRE, bank);
            if ready <= tick {
                self.ready.issue(PRE, bank, tick);
                observer.issued(tick, Pre, Target::Refresh(&self.places[bank]));
                self.close(bank, tick);
                return tick;
            }
            wake = wake.min(ready);
            open = open.without_first();
        }
        if !self.open.is_empty() {
            return wake;
        }
        let ready = self.ready.ready(REF, 0);
        if ready > tick {
            return ready;
        }
        self.ready.refresh(tick);
        observer.issued(tick, RefAb, Target::Refresh(&self.rank));
        self.refreshing = false;
        self.from = tick;
        tick
    }
}
