//! One command bus: at most one command per tick.

use super::Scheduler;
use crate::dram::Tick;
use crate::dram::bank_set::BankSet;
use crate::dram::core::{Core, Pick};
use crate::dram::edges::EveryTick;
use crate::dram::request::Observer;

/// DDR4, DDR5, GDDR6.
#[derive(Clone, Debug)]
pub(in crate::dram) struct Single;

impl<S: BankSet> Scheduler<S> for Single {
    #[inline]
    fn step(&mut self, core: &mut Core<S>, mut tick: Tick, horizon: Tick, observer: &mut impl Observer) {
        // What decides it does not change before something is issued.
        let mut looked_at = None;
        loop {
            core.go_to(tick);
            let mut next = Tick::MAX;
            if let Some(active) = core.active(tick, &mut next) {
                core.serve_owner(&active, tick, observer);
                return;
            }
            // A tick that refresh takes does not look at the queues.
            if let Some(refresh) = core.refresh(tick, &EveryTick, &mut next) {
                core.issue_refresh(refresh.index, tick, refresh.command, observer);
                return;
            }
            if !core.refresh_waits() {
                let queue = *looked_at.get_or_insert_with(|| core.mode());
                let mut best = Pick::NONE;
                core.columns(queue, tick, &mut best, &mut next);
                core.activations(queue, tick, &mut best, &mut next);
                core.precharges(queue, tick, &EveryTick, &mut best, &mut next);
                if let Some(best) = best.found() {
                    core.issue(queue, &best, tick, observer);
                    return;
                }
            }
            tick = next.min(core.times.next());
            if tick > horizon {
                core.now = horizon;
                return;
            }
        }
    }
}
