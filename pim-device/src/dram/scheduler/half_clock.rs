//! Two buses and ticks of half a CK: commands begin on rising edges, precharges also on falling ones.

use super::Scheduler;
use super::double;
use crate::command::Command;
use crate::dram::Tick;
use crate::dram::bank_set::BankSet;
use crate::dram::core::Core;
use crate::dram::edges::Edges;
use crate::dram::offset::Offset;
use crate::dram::request::Observer;

/// An activation takes a CK and a half, so that it meets the falling edge after the next rising one.
const ACTIVATION: Tick = 3;

/// HBM3, HBM4. The first rising edge is tick 1.
#[derive(Clone, Copy, Debug)]
pub(in crate::dram) struct HalfClock<S> {
    /// State: the falling edge that the last row command which began on a rising one shares.
    shared: Tick,
    /// What that command shuts out there.
    shuts_out: S,
    /// Whether a bank may be precharged so soon after an activation that this shuts it out.
    after_activations: bool,
}

impl<S: BankSet> HalfClock<S> {
    /// `closes_in` is the least time from an activation to a precharge of the bank.
    pub(in crate::dram) const fn new(closes_in: Tick) -> Self {
        Self { shared: 0, shuts_out: S::EMPTY, after_activations: closes_in <= ACTIVATION }
    }
}

impl<S: BankSet> Edges<S> for HalfClock<S> {
    #[inline]
    fn rising(&self, tick: Tick) -> Tick {
        tick | 1
    }

    #[inline]
    fn shut_out(&self, tick: Tick) -> S {
        if tick == self.shared { self.shuts_out } else { S::EMPTY }
    }
}

impl<S: BankSet, T: Offset> Scheduler<S, T> for HalfClock<S> {
    #[inline]
    fn run(&mut self, core: &mut Core<S, T>, horizon: Tick, observer: &mut impl Observer) {
        while core.now < horizon {
            let shares = |command| match command {
                Command::Act => self.after_activations,
                // The bank is closed, and not closed again.
                Command::Pre => false,
                _ => true,
            };
            if let Some(issued) = double::step(core, horizon, &*self, observer)
                && shares(issued.command)
                && issued.tick % 2 == 1
            {
                self.shared = issued.tick + if issued.command == Command::Act { ACTIVATION } else { 1 };
                self.shuts_out = issued.shuts_out;
            }
            if core.stop {
                return;
            }
        }
    }
}
