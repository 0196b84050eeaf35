//! Which command goes next: one type for each way in which a standard sends commands.
//!
//! All of them serve first requests whose row was opened for them, then refresh, then the queue: its oldest request whose
//! next command is ready, whatever the command is (first ready, first come, first served). They differ in how many
//! commands fit into a tick, on which ticks, and in what an access needs.
//!
//! None of them looks at a tick in which nothing happens: a step finds the earliest command and goes there.

mod double;
mod half_clock;
mod single;
mod split;

pub(super) use double::Double;
pub(super) use half_clock::HalfClock;
pub(super) use single::Single;
pub(super) use split::Split;

use super::Tick;
use super::bank_set::BankSet;
use super::core::Core;
use super::request::Observer;

/// Chooses commands.
pub(super) trait Scheduler<S: BankSet> {
    /// Issues what is due next, at `tick` at the earliest, and sets the core's time to when that was; where nothing is
    /// due up to `horizon`, only sets the time to `horizon`. `tick` is the tick after the core's time.
    fn step(&mut self, core: &mut Core<S>, tick: Tick, horizon: Tick, observer: &mut impl Observer);
}

/// Steps until `limit`, a free place after a refusal, or (if asked) the last request.
pub(super) fn run<S: BankSet>(
    scheduler: &mut impl Scheduler<S>,
    core: &mut Core<S>,
    limit: Tick,
    until: Until,
    observer: &mut impl Observer,
) {
    core.freed = false;
    while core.now < limit {
        let tick = core.now + 1;
        core.refresh_manager(tick);
        let horizon = limit.min(core.next_refresh() - 1);
        scheduler.step(core, tick, horizon, observer);
        let stop = match until {
            Until::Limit => false,
            Until::Place => core.freed,
            Until::Done => core.outstanding == 0,
        };
        if stop {
            break;
        }
    }
}

/// When to stop before the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// Not before.
    Limit,
    /// When a place is free in the queue that refused the last offer.
    Place,
    /// When no request is left.
    Done,
}
