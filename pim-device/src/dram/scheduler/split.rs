//! One bus, activations in two halves, and a data clock that has to run before an access (LPDDR5).

use super::Scheduler;
use crate::command::Command;
use crate::dram::Tick;
use crate::dram::bank_set::BankSet;
use crate::dram::config::ChannelConfig;
use crate::dram::core::{Core, Offers, Pick};
use crate::dram::edges::EveryTick;
use crate::dram::queue::Key;
use crate::dram::request::Observer;
use crate::timing::Parameter;

/// LPDDR5.
#[derive(Clone, Debug)]
pub(in crate::dram) struct Split {
    // Configuration, in ticks.
    /// ACT1 to ACT2 at the latest.
    act2_within: Tick,
    /// From a read, and a write, to when the data clock stops.
    clock_after: [Tick; 2],
    // State.
    half: Option<Half>,
    announced: Option<Announced>,
    /// The data clock runs before this tick.
    clock_until: Tick,
}

/// An activation of which one half is sent.
#[derive(Clone, Copy, Debug)]
struct Half {
    key: Key,
    deadline: Tick,
}

/// An access whose CAS is sent.
#[derive(Clone, Copy, Debug)]
struct Announced {
    pick: Pick,
    /// `None` for a bank's owner.
    queue: Option<usize>,
}

impl Split {
    pub(in crate::dram) fn new(config: &ChannelConfig) -> Self {
        let ticks = |parameter| config.ticks(parameter);
        let tail = ticks(Parameter::BlMin) + ticks(Parameter::WckPst);
        Self {
            act2_within: ticks(Parameter::Aad),
            clock_after: [ticks(Parameter::Cl) + tail, ticks(Parameter::Cwl) + tail],
            half: None,
            announced: None,
            clock_until: 0,
        }
    }

    /// The second half of the activation.
    fn second<S: BankSet>(&mut self, core: &mut Core<S>, half: Half, tick: Tick, observer: &mut impl Observer) {
        self.half = None;
        core.activated(half.key, tick, observer);
    }

    /// Issues an access.
    fn access<S: BankSet>(&mut self, core: &mut Core<S>, access: &Announced, tick: Tick, observer: &mut impl Observer) {
        let after = self.clock_after[usize::from(access.pick.command == Command::Wr)];
        self.clock_until = self.clock_until.max(tick + after);
        match access.queue {
            None => core.serve_owner(&access.pick, tick, observer),
            Some(queue) => core.serve_hit(queue, &access.pick, tick, observer),
        }
    }

    /// An access may go at `tick`: at once while the data clock runs, else its CAS goes first, unless the second half of
    /// an activation could then come too late.
    fn begin_access<S: BankSet>(
        &mut self,
        core: &mut Core<S>,
        access: Announced,
        tick: Tick,
        observer: &mut impl Observer,
    ) {
        if tick < self.clock_until {
            self.access(core, &access, tick, observer);
            return;
        }
        if let Some(half) = self.half
            && half.deadline <= tick + 1
        {
            core.put_off(tick);
            self.second(core, half, tick, observer);
            return;
        }
        core.send_clock(tick, &access.pick, observer);
        self.announced = Some(access);
    }

    /// Issues what was picked from a queue.
    fn begin<S: BankSet>(
        &mut self,
        core: &mut Core<S>,
        queue: usize,
        pick: &Pick,
        tick: Tick,
        observer: &mut impl Observer,
    ) {
        match pick.command {
            Command::Pre => core.precharge(pick, tick, observer),
            Command::Act1 => {
                let key = core.half_activate(queue, pick, tick, observer);
                self.half = Some(Half { key, deadline: tick + self.act2_within });
            }
            _ => self.begin_access(core, Announced { pick: *pick, queue: Some(queue) }, tick, observer),
        }
    }

    /// A tick between the halves of an activation. Something is issued in each: at least the second half.
    fn between<S: BankSet>(&mut self, core: &mut Core<S>, half: Half, tick: Tick, observer: &mut impl Observer) {
        core.go_to(tick);
        if half.deadline <= tick {
            self.second(core, half, tick, observer);
            return;
        }
        let columns = core.may_access(tick);
        if columns && let Some(active) = core.active(tick) {
            self.begin_access(core, Announced { pick: active, queue: None }, tick, observer);
            return;
        }
        // Something is issued in this tick anyway, so nobody asks when refresh can go.
        let mut later = Tick::MAX;
        if let Some(refresh) = core.refresh(tick, &EveryTick, &mut later) {
            core.issue_refresh(refresh.index, tick, refresh.command, observer);
            return;
        }
        if !core.refresh_waits() {
            let queue = core.mode();
            let offers = Offers {
                columns: if columns || core.may_access(tick) { core.columns(queue, tick) } else { S::EMPTY },
                activations: S::EMPTY,
                precharges: core.precharges(queue, tick, &EveryTick),
            };
            if let Some(best) = core.pick(queue, tick, offers) {
                match best.command {
                    Command::Pre => core.precharge(&best, tick, observer),
                    _ => self.begin_access(core, Announced { pick: best, queue: Some(queue) }, tick, observer),
                }
                return;
            }
        }
        self.second(core, half, tick, observer);
    }
}

impl<S: BankSet> Scheduler<S> for Split {
    #[inline]
    fn step(&mut self, core: &mut Core<S>, mut tick: Tick, horizon: Tick, observer: &mut impl Observer) {
        if let Some(access) = self.announced {
            let time = core.access_ready(&access.pick).max(tick);
            core.now = time.min(horizon);
            if time <= horizon {
                self.announced = None;
                self.access(core, &access, time, observer);
            }
            return;
        }
        if let Some(half) = self.half {
            self.between(core, half, tick, observer);
            return;
        }
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
                self.begin_access(core, Announced { pick: active, queue: None }, tick, observer);
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
                    self.begin(core, queue, &best, tick, observer);
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
