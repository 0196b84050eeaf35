//! Two buses and ticks of half a CK: commands begin on rising edges, precharges also on falling ones.

use super::Scheduler;
use super::double::{self, RowCommand};
use crate::command::Command;
use crate::dram::Tick;
use crate::dram::bank_set::BankSet;
use crate::dram::core::Core;
use crate::dram::edges::Edges;
use crate::dram::request::Observer;

/// HBM3, HBM4. The first rising edge is tick 1.
#[derive(Clone, Debug)]
pub(in crate::dram) struct HalfClock<S> {
    /// State: the last row command that began on a rising edge.
    last: Option<RowCommand<S>>,
}

impl<S> HalfClock<S> {
    pub(in crate::dram) const fn new() -> Self {
        Self { last: None }
    }
}

/// The edges as the last row command leaves them.
struct Halves<S> {
    /// The falling edge that the last row command shares, and the command.
    paired: Option<(Tick, RowCommand<S>)>,
}

impl<S: BankSet> Edges<S> for Halves<S> {
    #[inline]
    fn column(&self, tick: Tick) -> Tick {
        tick | 1
    }

    #[inline]
    fn row(&self, tick: Tick) -> Tick {
        tick | 1
    }

    #[inline]
    fn shut_out(&self, tick: Tick) -> S {
        match &self.paired {
            Some((edge, last)) if *edge == tick => last.shuts_out,
            _ => S::EMPTY,
        }
    }
}

impl<S: BankSet> Scheduler<S> for HalfClock<S> {
    #[inline]
    fn step(&mut self, core: &mut Core<S>, tick: Tick, horizon: Tick, observer: &mut impl Observer) {
        // An activation takes a CK and a half, so that it meets the falling edge after the next rising one.
        let edge = |last: RowCommand<S>| last.tick + if last.command == Command::Act { 3 } else { 1 };
        let halves = Halves { paired: self.last.map(|last| (edge(last), last)) };
        if let Some(issued) = double::step(core, tick, horizon, &halves, observer)
            && issued.tick % 2 == 1
        {
            self.last = Some(issued);
        }
    }
}
