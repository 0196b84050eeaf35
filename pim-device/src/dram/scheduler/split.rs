//! One bus, activations in two halves, and a data clock that has to run before an access (LPDDR5).

use super::Scheduler;
use crate::command::Command;
use crate::dram::Tick;
use crate::dram::config::ChannelConfig;
use crate::dram::core::Core;
use crate::dram::request::Observer;
use crate::dram::search::{EveryTick, Pick};
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
    slot: u16,
    bank: u16,
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
    fn second(&mut self, core: &mut Core, half: Half, tick: Tick, observer: &mut impl Observer) {
        self.half = None;
        core.send(tick, Command::Act2, half.slot, observer);
        let row = core.entries.get(half.slot).request.address.row;
        core.open(usize::from(half.bank), row);
        core.own(half.slot, tick);
    }

    /// Issues an access.
    fn access(&mut self, core: &mut Core, access: &Announced, tick: Tick, observer: &mut impl Observer) {
        let after = self.clock_after[usize::from(access.pick.command == Command::Wr)];
        self.clock_until = self.clock_until.max(tick + after);
        match access.queue {
            None => core.serve_owner(&access.pick, tick, observer),
            Some(queue) => core.serve_hit(queue, &access.pick, tick, observer),
        }
    }

    /// An access may go at `tick`: at once while the data clock runs, else its CAS goes first, unless the second half of
    /// an activation could then come too late.
    fn begin_access(&mut self, core: &mut Core, access: Announced, tick: Tick, observer: &mut impl Observer) {
        if tick < self.clock_until {
            self.access(core, &access, tick, observer);
            return;
        }
        if let Some(half) = self.half
            && half.deadline <= tick + 1
        {
            self.second(core, half, tick, observer);
            return;
        }
        let command = if access.pick.command == Command::Rd { Command::CasRd } else { Command::CasWr };
        let slot = match access.queue {
            None => core.owner(access.pick.bank),
            Some(queue) => core.queues[queue].hit(usize::from(access.pick.bank)),
        };
        core.send(tick, command, slot, observer);
        self.announced = Some(access);
    }

    /// A tick between the halves of an activation. Something is issued in each: at least the second half.
    fn between(&mut self, core: &mut Core, half: Half, tick: Tick, observer: &mut impl Observer) {
        core.now = tick;
        if half.deadline <= tick {
            self.second(core, half, tick, observer);
            return;
        }
        let active = core.pick_active(tick, &EveryTick);
        if active.time <= tick {
            self.begin_access(core, Announced { pick: active, queue: None }, tick, observer);
            return;
        }
        let refresh = core.pick_refreshes(tick, &EveryTick).filter(|refresh| refresh.time <= tick);
        if let Some(refresh) = refresh {
            core.issue_refresh(refresh.index, tick, refresh.command, observer);
            return;
        }
        if !core.refresh_waits() {
            let queue = core.mode();
            let mut best = Pick { time: tick + 1, ..Pick::NONE };
            core.pick_columns(queue, tick, &EveryTick, &mut best);
            core.pick_precharges(queue, tick, &EveryTick, &mut best);
            if best.time <= tick {
                match best.command {
                    Command::Pre => core.precharge(queue, &best, tick, observer),
                    _ => self.begin_access(core, Announced { pick: best, queue: Some(queue) }, tick, observer),
                }
                return;
            }
        }
        self.second(core, half, tick, observer);
    }
}

impl Scheduler for Split {
    #[inline]
    fn step(&mut self, core: &mut Core, tick: Tick, horizon: Tick, observer: &mut impl Observer) {
        if let Some(access) = self.announced {
            let time = core.bank_ready(access.pick.command, access.pick.bank).max(tick);
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
        let active = core.pick_active(tick, &EveryTick);
        if active.time <= tick {
            core.now = tick;
            self.begin_access(core, Announced { pick: active, queue: None }, tick, observer);
            return;
        }
        let refresh = core.pick_refreshes(tick, &EveryTick);
        if let Some(refresh) = refresh.filter(|refresh| refresh.time <= tick) {
            // A tick that refresh takes does not look at the queues.
            core.now = tick;
            core.issue_refresh(refresh.index, tick, refresh.command, observer);
            return;
        }
        let other = refresh.map_or(Tick::MAX, |refresh| refresh.time).min(active.time);
        let mut best = Pick { time: other, ..Pick::NONE };
        let mut queue = 0;
        if !core.refresh_waits() {
            queue = core.mode();
            core.pick_columns(queue, tick, &EveryTick, &mut best);
            core.pick_rows(queue, tick, &EveryTick, &mut best);
        }
        let time = best.time;
        if time > horizon {
            core.now = horizon;
            return;
        }
        core.now = time;
        if time == other {
            if active.time == time {
                self.begin_access(core, Announced { pick: active, queue: None }, time, observer);
            } else if let Some(refresh) = refresh {
                core.issue_refresh(refresh.index, time, refresh.command, observer);
            }
            return;
        }
        match best.command {
            Command::Pre => core.precharge(queue, &best, time, observer),
            Command::Act1 => {
                let slot = core.take_first(queue, best.bank);
                core.send(time, Command::Act1, slot, observer);
                core.half_open(usize::from(best.bank));
                self.half = Some(Half { slot, bank: best.bank, deadline: time + self.act2_within });
            }
            _ => self.begin_access(core, Announced { pick: best, queue: Some(queue) }, time, observer),
        }
    }
}
