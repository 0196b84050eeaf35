//! One bus, activations in two halves, and a data clock that has to run before an access (LPDDR5).

#![allow(clippy::inline_always, reason = "called for each command")]

use super::Scheduler;
use crate::command::Command;
use crate::dram::Tick;
use crate::dram::bank_set::BankSet;
use crate::dram::config::ChannelConfig;
use crate::dram::core::{Core, Pick};
use crate::dram::edges::EveryTick;
use crate::dram::entries::Key;
use crate::dram::offset::Offset;
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
    begun: Tick,
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
    #[inline(always)]
    fn second<S: BankSet, T: Offset>(
        &mut self,
        core: &mut Core<S, T>,
        half: Half,
        tick: Tick,
        observer: &mut impl Observer,
    ) {
        self.half = None;
        core.activated(half.key, half.begun, tick, observer);
    }

    /// Issues an access.
    #[inline(always)]
    fn access<S: BankSet, T: Offset>(
        &mut self,
        core: &mut Core<S, T>,
        access: &Announced,
        tick: Tick,
        observer: &mut impl Observer,
    ) {
        let after = self.clock_after[usize::from(access.pick.command == Command::Wr)];
        self.clock_until = self.clock_until.max(tick + after);
        match access.queue {
            None => core.serve_owner(&access.pick, tick, observer),
            Some(queue) => core.serve_hit(queue, access.pick.bank.into(), tick, observer),
        }
    }

    /// An access may go at `tick`: at once while the data clock runs, else its CAS goes first, unless the second half of
    /// an activation could then come too late.
    #[inline(always)]
    fn begin_access<S: BankSet, T: Offset>(
        &mut self,
        core: &mut Core<S, T>,
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
    #[inline(always)]
    fn begin<S: BankSet, T: Offset>(
        &mut self,
        core: &mut Core<S, T>,
        queue: usize,
        pick: &Pick,
        tick: Tick,
        observer: &mut impl Observer,
    ) {
        match pick.command {
            Command::Pre => core.precharge(pick.bank.into(), pick.key, tick, observer),
            Command::Act1 => {
                let key = core.half_activate(queue, pick, tick, observer);
                self.half = Some(Half { key, begun: tick, deadline: tick + self.act2_within });
            }
            _ => self.begin_access(core, Announced { pick: *pick, queue: Some(queue) }, tick, observer),
        }
    }

    #[inline(always)]
    fn step<S: BankSet, T: Offset>(&mut self, core: &mut Core<S, T>, horizon: Tick, observer: &mut impl Observer) {
        let mut tick = core.now + 1;
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
            let Some(first) = core.first(tick, horizon, &EveryTick) else { return };
            tick = first;
            if let Some(active) = core.active(tick) {
                self.begin_access(core, Announced { pick: active, queue: None }, tick, observer);
                return;
            }
            // A tick that refresh takes does not look at the queues.
            let mut refresh = Tick::MAX;
            if let Some(refresh) = core.refresh(tick, &EveryTick, &mut refresh) {
                core.issue_refresh(refresh.index, tick, refresh.command, observer);
                return;
            }
            if let Some(queue) = core.served()
                && let Some(best) = core.pick(queue, tick, true, &EveryTick)
            {
                self.begin(core, queue, &best, tick, observer);
                return;
            }
            tick = core.after(tick, &EveryTick, refresh);
        }
    }

    /// A tick between the halves of an activation. Something is issued in each: at least the second half.
    #[inline(always)]
    fn between<S: BankSet, T: Offset>(
        &mut self,
        core: &mut Core<S, T>,
        half: Half,
        tick: Tick,
        observer: &mut impl Observer,
    ) {
        core.now = tick;
        if half.deadline <= tick {
            self.second(core, half, tick, observer);
            return;
        }
        if let Some(active) = core.active(tick) {
            self.begin_access(core, Announced { pick: active, queue: None }, tick, observer);
            return;
        }
        // Something is issued in this tick anyway, so nobody asks when refresh can go.
        let mut later = Tick::MAX;
        if let Some(refresh) = core.refresh(tick, &EveryTick, &mut later) {
            core.issue_refresh(refresh.index, tick, refresh.command, observer);
            return;
        }
        if let Some(queue) = core.served()
            && let Some(best) = core.pick(queue, tick, false, &EveryTick)
        {
            match best.command {
                Command::Pre => core.precharge(best.bank.into(), best.key, tick, observer),
                _ => self.begin_access(core, Announced { pick: best, queue: Some(queue) }, tick, observer),
            }
            return;
        }
        self.second(core, half, tick, observer);
    }
}

impl<S: BankSet, T: Offset> Scheduler<S, T> for Split {
    #[inline]
    fn run(&mut self, core: &mut Core<S, T>, horizon: Tick, observer: &mut impl Observer) {
        while core.now < horizon {
            self.step(core, horizon, observer);
            if core.stop {
                return;
            }
        }
    }
}
