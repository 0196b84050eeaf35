//! One command bus: at most one command per tick.

use super::Scheduler;
use crate::dram::Tick;
use crate::dram::bank_set::BankSet;
use crate::dram::core::Core;
use crate::dram::edges::EveryTick;
use crate::dram::offset::Offset;
use crate::dram::request::Observer;

/// DDR4, DDR5, GDDR6.
#[derive(Clone, Debug)]
pub(in crate::dram) struct Single;

impl<S: BankSet, T: Offset> Scheduler<S, T> for Single {
    #[inline]
    fn run(&mut self, core: &mut Core<S, T>, horizon: Tick, observer: &mut impl Observer) {
        let mut tick = core.now + 1;
        loop {
            let Some(first) = core.first(tick, horizon, &EveryTick) else { return };
            tick = first;
            let mut refresh = Tick::MAX;
            if let Some(active) = core.active(tick) {
                core.serve_owner(&active, tick, observer);
            } else if let Some(refresh) = core.refresh(tick, &EveryTick, &mut refresh) {
                core.issue_refresh(refresh.index, tick, refresh.command, observer);
            } else {
                // A tick that refresh takes does not look at the queues.
                let queue = core.served();
                if !queue.is_some_and(|queue| core.issue_any(queue, tick, &EveryTick, observer)) {
                    tick = core.after(tick, &EveryTick, refresh);
                    continue;
                }
            }
            if core.stop {
                return;
            }
            tick += 1;
        }
    }
}
