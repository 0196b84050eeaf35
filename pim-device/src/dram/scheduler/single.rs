//! One command bus: at most one command per tick.

use super::Scheduler;
use crate::dram::Tick;
use crate::dram::bank_set::BankSet;
use crate::dram::core::{Core, Offers};
use crate::dram::edges::EveryTick;
use crate::dram::request::Observer;

/// DDR4, DDR5, GDDR6.
#[derive(Clone, Debug)]
pub(in crate::dram) struct Single;

impl<S: BankSet> Scheduler<S> for Single {
    #[inline]
    fn step(&mut self, core: &mut Core<S>, mut tick: Tick, horizon: Tick, observer: &mut impl Observer) {
        loop {
            core.go_to(tick);
            if let Some(next) = core.is_quiet(tick, &EveryTick) {
                tick = next;
                if tick > horizon {
                    core.now = horizon;
                    return;
                }
                continue;
            }
            let columns = core.may_access(tick);
            if columns && let Some(active) = core.active(tick) {
                core.serve_owner(&active, tick, observer);
                return;
            }
            // A tick that refresh takes does not look at the queues.
            let mut refresh = Tick::MAX;
            if let Some(refresh) = core.refresh(tick, &EveryTick, &mut refresh) {
                core.issue_refresh(refresh.index, tick, refresh.command, observer);
                return;
            }
            if !core.refresh_waits() {
                let queue = core.mode();
                let offers = Offers {
                    columns: if columns || core.may_access(tick) { core.columns(queue, tick) } else { S::EMPTY },
                    activations: core.activations(queue, tick),
                    precharges: core.precharges(queue, tick, &EveryTick),
                };
                if let Some(best) = core.pick(queue, tick, offers) {
                    core.issue(queue, &best, tick, observer);
                    return;
                }
            }
            tick = core.after(tick, &EveryTick, refresh);
            if tick > horizon {
                core.now = horizon;
                return;
            }
        }
    }
}
