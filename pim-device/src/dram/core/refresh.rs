//! Refreshes: when they are due, and their commands.

use super::{Core, KINDS, RefreshPick, RefreshRequest};
use crate::command::Command;
use crate::dram::Tick;
use crate::dram::bank_set::{BankSet, CAPACITY};
use crate::dram::config::Refresh;
use crate::dram::edges::Edges;
use crate::dram::entries::NONE;
use crate::dram::offset::Offset;
use crate::dram::request::{Observer, Target};
use crate::dram::times::PRE;
use crate::organisation::Level;

impl<S: BankSet, T: Offset> Core<S, T> {
    /// The next tick at which refreshes are pushed.
    pub(in crate::dram) const fn next_refresh(&self) -> Tick {
        self.next_refresh
    }

    /// Pushes the refreshes of the next tick; says how far one can go from there.
    #[inline]
    pub(in crate::dram) fn horizon(&mut self) -> Tick {
        if self.now >= self.horizon {
            self.look_ahead();
        }
        self.horizon
    }

    #[inline(never)]
    fn look_ahead(&mut self) {
        let tick = self.now + 1;
        if tick >= self.next_refresh {
            self.push_refreshes();
        }
        if tick > self.times.horizon() {
            self.times.rebase(tick);
        }
        self.horizon = self.times.horizon().min(self.next_refresh - 1);
    }

    fn push_refreshes(&mut self) {
        self.next_refresh += self.refresh_interval;
        self.from = [0; KINDS];
        for node in &self.refresh_nodes {
            match self.refresh {
                Refresh::None => {}
                Refresh::AllBank => {
                    self.refreshes.push_back(RefreshRequest { place: *node, command: Command::RefAb });
                }
                Refresh::PerBank => {
                    let bank = self.banks.below(node).start + self.next_bank as usize;
                    self.refreshing.insert(bank);
                    let place = *self.times.place(bank);
                    self.refreshes.push_back(RefreshRequest { place, command: Command::RefPb });
                }
            }
        }
        let each = self.organisation.nodes(Level::Bank) / self.refresh_nodes.len() as u32;
        self.next_bank = (self.next_bank + 1) % each;
    }

    /// Whether an all-bank refresh waits: no queue is served then.
    #[inline]
    pub(in crate::dram) fn refresh_waits(&self) -> bool {
        self.refresh == Refresh::AllBank && !self.refreshes.is_empty()
    }

    /// The refresh command that goes at `tick`: of all-bank refreshes only the head is looked at, of per-bank ones all.
    #[inline]
    pub(in crate::dram) fn refresh(
        &mut self,
        tick: Tick,
        edges: &impl Edges<S>,
        next: &mut Tick,
    ) -> Option<RefreshPick> {
        if self.refreshes.is_empty() {
            return None;
        }
        self.refresh_that_waits(tick, edges, next)
    }

    #[inline(never)]
    fn refresh_that_waits(&mut self, tick: Tick, edges: &impl Edges<S>, next: &mut Tick) -> Option<RefreshPick> {
        let looked_at = if self.refresh == Refresh::PerBank { self.refreshes.len() } else { 1 };
        for index in 0..looked_at {
            if let Some((time, command)) = self.pick_refresh(index, tick, edges) {
                if time <= tick {
                    return Some(RefreshPick { index, command });
                }
                *next = time.min(*next);
            }
        }
        None
    }

    /// The command of a waiting refresh, and when it may be issued; `None` while a bank of it is owned or being activated.
    fn pick_refresh(&mut self, index: usize, tick: Tick, edges: &impl Edges<S>) -> Option<(Tick, Command)> {
        let refresh = *self.refreshes.get(index)?;
        let place = &refresh.place;
        if self.banks.all_closed(place) {
            let time = self.times.ready_for_other(refresh.command, place).max(tick);
            return Some((edges.rising(time), refresh.command));
        }
        let below = self.banks.below(place);
        if below.clone().any(|bank| self.owners[bank % CAPACITY].key != NONE || self.banks.is_activating(bank)) {
            return None;
        }
        let (command, time) = if below.len() == 1 {
            (Command::Pre, self.times.ready(PRE, below.start))
        } else {
            (Command::PreA, self.times.ready_for_other(Command::PreA, place))
        };
        Some((edges.precharge(time.max(tick), S::range(below)), command))
    }

    /// Issues a command of the refresh at `index`.
    pub(in crate::dram) fn issue_refresh(
        &mut self,
        index: usize,
        tick: Tick,
        command: Command,
        observer: &mut impl Observer,
    ) {
        let Some(refresh) = self.refreshes.get(index).copied() else { return };
        self.times.issue_at(command, &refresh.place, tick);
        observer.issued(tick, command, Target::Refresh(&refresh.place));
        self.from = [0; KINDS];
        if command == refresh.command {
            self.refreshes.remove(index);
            if command == Command::RefPb {
                for bank in self.banks.below(&refresh.place) {
                    // Another turn of the same bank may wait already.
                    let again = self.refreshes.iter().any(|other| other.place == refresh.place);
                    if !again {
                        self.refreshing.remove(bank);
                    }
                }
            }
            return;
        }
        for bank in self.banks.below(&refresh.place) {
            self.close(bank);
        }
    }
}
