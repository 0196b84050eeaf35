//! One command bus: at most one command per tick.

use super::Scheduler;
use crate::dram::Tick;
use crate::dram::core::{Core, EveryTick, Pick};
use crate::dram::request::Observer;

/// DDR4, DDR5, GDDR6.
#[derive(Clone, Debug)]
pub(in crate::dram) struct Single;

impl Scheduler for Single {
    #[inline]
    fn step(&mut self, core: &mut Core, tick: Tick, horizon: Tick, observer: &mut impl Observer) {
        let active = core.pick_active(tick, tick, &EveryTick);
        if active.is_some() {
            core.serve_owner(&active, tick, observer);
            core.now = tick;
            return;
        }
        let refresh = core.pick_refreshes(tick, &EveryTick);
        if let Some(refresh) = refresh.filter(|refresh| refresh.time <= tick) {
            // A tick that refresh takes does not look at the queues.
            core.now = tick;
            core.issue_refresh(refresh.index, tick, refresh.command, observer);
            return;
        }
        let refresh_time = refresh.map_or(Tick::MAX, |refresh| refresh.time);
        let mut best = Pick { time: refresh_time, ..Pick::NONE };
        let mut queue = 0;
        if !core.refresh_waits() {
            queue = core.mode();
            core.pick_columns(queue, tick, &EveryTick, &mut best);
            core.pick_rows(queue, tick, &EveryTick, &mut best);
        }
        let active = core.pick_active(tick, best.time.min(horizon), &EveryTick);
        if active.is_some() {
            core.now = active.time;
            core.serve_owner(&active, active.time, observer);
        } else if best.time > horizon {
            core.now = horizon;
        } else if best.time < refresh_time {
            core.now = best.time;
            core.issue(queue, &best, observer);
        } else if let Some(refresh) = refresh {
            core.now = refresh.time;
            core.issue_refresh(refresh.index, refresh.time, refresh.command, observer);
        }
    }
}
