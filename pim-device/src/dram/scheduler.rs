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
use super::offset::Offset;
use super::request::Observer;

/// Chooses commands.
pub(super) trait Scheduler<S: BankSet, T: Offset> {
    /// Issues what is due up to `horizon`, or until the core says stop, and sets the core's time to the last tick that is
    /// over.
    fn run(&mut self, core: &mut Core<S, T>, horizon: Tick, observer: &mut impl Observer);
}

/// Runs until `limit`, a free place after a refusal, or (if asked) the last request.
pub(super) fn run<S: BankSet, T: Offset>(
    scheduler: &mut impl Scheduler<S, T>,
    core: &mut Core<S, T>,
    limit: Tick,
    until: Until,
    observer: &mut impl Observer,
) {
    core.begin(until);
    while core.now < limit {
        let horizon = limit.min(core.horizon());
        if core.is_idle() {
            core.now = limit.min(core.next_refresh() - 1);
            continue;
        }
        scheduler.run(core, horizon, observer);
        if core.stop {
            break;
        }
    }
}

/// Runs until a place is free after a refusal: so there is always something to do.
#[inline(always)]
#[allow(clippy::inline_always, reason = "a call takes as much as what it does (callgrind)")]
pub(super) fn run_to_place<S: BankSet, T: Offset>(
    scheduler: &mut impl Scheduler<S, T>,
    core: &mut Core<S, T>,
    observer: &mut impl Observer,
) {
    core.begin(Until::Place);
    while !core.stop {
        let horizon = core.horizon();
        scheduler.run(core, horizon, observer);
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
