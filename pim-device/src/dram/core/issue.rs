//! The oldest request that is ready goes on.

#![allow(clippy::inline_always, reason = "asked for each kind of command at every look")]

use super::{ACTIVATIONS, Core, HITS, PRECHARGES};
use crate::command::Command;
use crate::dram::Tick;
use crate::dram::bank_set::BankSet;
use crate::dram::edges::Edges;
use crate::dram::entries::NONE;
use crate::dram::offset::Offset;
use crate::dram::request::Observer;
use crate::dram::times::{ACT, PRE, Scan};

impl<S: BankSet, T: Offset> Core<S, T> {
    /// Serves the oldest hit of a queue that is ready at `tick`; says whether there is one.
    #[inline(always)]
    pub(in crate::dram) fn issue_hit(&mut self, queue: usize, tick: Tick, observer: &mut impl Observer) -> bool {
        let hit = self.hits(queue, tick);
        if hit.oldest == NONE {
            return false;
        }
        self.serve_hit(queue, hit.bank.into(), tick, observer);
        true
    }

    /// Goes on with the oldest request of a queue that is ready at `tick`, of those that want a row command. Says which it
    /// is, and the bank. Activations are asked for where the tick allows them.
    #[inline(always)]
    pub(in crate::dram) fn issue_row(
        &mut self,
        queue: usize,
        tick: Tick,
        act: bool,
        edges: &impl Edges<S>,
        observer: &mut impl Observer,
    ) -> Option<(Command, usize)> {
        let first = if act { self.activations(queue, tick) } else { Scan::NOTHING };
        let miss = self.precharges(queue, tick, edges);
        let issued = self.issue_older(queue, first, miss, tick, observer);
        match issued {
            Some((Command::Act, _)) => self.from[PRECHARGES] = self.from[PRECHARGES].max(self.times.floor(PRE)),
            Some(_) => self.from[ACTIVATIONS] = self.from[ACTIVATIONS].max(self.times.floor(ACT)),
            None => {}
        }
        issued
    }

    /// What goes of an activation and a precharge.
    #[inline(always)]
    fn issue_older(
        &mut self,
        queue: usize,
        first: Scan,
        miss: Scan,
        tick: Tick,
        observer: &mut impl Observer,
    ) -> Option<(Command, usize)> {
        if first.oldest < miss.oldest {
            let bank = first.bank.into();
            self.activate(queue, bank, tick, observer);
            if miss.oldest != NONE {
                self.from[PRECHARGES] = self.times.floor(PRE).max(tick);
            }
            return Some((Command::Act, bank));
        }
        if miss.oldest == NONE {
            return None;
        }
        let bank = miss.bank.into();
        self.precharge(bank, miss.oldest, tick, observer);
        if first.oldest != NONE {
            // Not set, but kept low: the bank may be one that is activated next.
            self.from[ACTIVATIONS] = self.from[ACTIVATIONS].min(self.times.floor(ACT).max(tick));
        }
        Some((Command::Pre, bank))
    }

    /// Goes on with the oldest request of a queue that is ready at `tick`, whatever it wants; says whether there is one.
    #[inline(always)]
    pub(in crate::dram) fn issue_any(
        &mut self,
        queue: usize,
        tick: Tick,
        edges: &impl Edges<S>,
        observer: &mut impl Observer,
    ) -> bool {
        let hit = self.hits(queue, tick);
        let first = self.activations(queue, tick);
        let miss = self.precharges(queue, tick, edges);
        if hit.oldest < first.oldest && hit.oldest < miss.oldest {
            if first.oldest != NONE {
                self.from[ACTIVATIONS] = tick;
            }
            if miss.oldest != NONE {
                self.from[PRECHARGES] = tick;
            }
            self.serve_hit(queue, hit.bank.into(), tick, observer);
            return true;
        }
        if hit.oldest != NONE {
            self.from[HITS] = tick;
        }
        self.issue_older(queue, first, miss, tick, observer).is_some()
    }
}
