//! One command bus: at most one command per tick.

use super::Scheduler;
use crate::dram::Tick;
use crate::dram::core::Core;
use crate::dram::request::Observer;
use crate::dram::search::{EveryTick, Pick};

/// DDR4, DDR5, GDDR6.
#[derive(Clone, Debug)]
pub(in crate::dram) struct Single;

impl Scheduler for Single {
    #[inline]
    fn step(&mut self, core: &mut Core, tick: Tick, horizon: Tick, observer: &mut impl Observer) {
        let active = core.pick_active(tick, &EveryTick);
        if active.time <= tick {
            core.serve_owner(&active, tick, observer);
            core.now = tick;
            return;
        }
        let mut best = active;
        let refresh = core.pick_refreshes(tick, &EveryTick);
        if let Some(refresh) = refresh {
            // A tick that refresh takes does not look at the queues.
            if refresh.time <= tick {
                core.now = tick;
                core.issue_refresh(refresh.index, tick, refresh.command, observer);
                return;
            }
            best.time = best.time.min(refresh.time);
        }
        let other = best.time;
        let mut queue = 0;
        if !core.refresh_waits() {
            queue = core.mode();
            best = Pick { time: other, ..Pick::NONE };
            core.pick_columns(queue, tick, &EveryTick, &mut best);
            core.pick_rows(queue, tick, &EveryTick, &mut best);
        }
        if best.time > horizon {
            core.now = horizon;
            return;
        }
        core.now = best.time;
        if best.time < other {
            core.issue(queue, &best, observer);
        } else if active.time == other {
            core.serve_owner(&active, active.time, observer);
        } else if let Some(refresh) = refresh {
            core.issue_refresh(refresh.index, refresh.time, refresh.command, observer);
        }
    }
}
