//! The engines, one file each.

mod desque;
mod nexosim;
mod ours;
mod ours_ring;
mod plain;
mod simcore;

use crate::Outcome;
use crate::model::{Actor, Hold, Phold, Ring, Spec, System, Tandem};

/// What runs a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// A loop over the standard library's binary heap of 24-byte entries: what a model costs without an engine.
    Plain,
    /// sim-core.
    Ours,
    /// desque: a box per event on a binary heap, all actors in one state.
    Desque,
    /// simcore: a box per event, times in f64, actors behind `Rc<RefCell<dyn _>>`.
    Simcore,
    /// nexosim: actors as asynchronous tasks with mailboxes; one thread.
    Nexosim,
}

impl Engine {
    /// All of them; the plain loop first.
    pub const ALL: [Self; 5] = [Self::Plain, Self::Ours, Self::Desque, Self::Simcore, Self::Nexosim];

    /// The name by which the command line knows it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Ours => "ours",
            Self::Desque => "desque",
            Self::Simcore => "simcore",
            Self::Nexosim => "nexosim",
        }
    }

    /// Runs a model for about so many events.
    pub fn run(self, spec: Spec, events: u64) -> Outcome {
        let end = spec.ticks_for(events);
        match spec {
            Spec::Phold { actors, population } => self.run_system(Phold::system(actors, population, end)),
            // The shortest handler is written as a user would: with its one port, not a table of peers.
            Spec::Ring { tokens } if self == Self::Ours => ours_ring::run(Ring::system(tokens, end)),
            Spec::Ring { tokens } => self.run_system(Ring::system(tokens, end)),
            Spec::Tandem => self.run_system(Tandem::system(end)),
            Spec::Hold { pending } => self.run_system(Hold::system(pending, end)),
        }
    }

    fn run_system<A: Actor>(self, system: System<A>) -> Outcome {
        match self {
            Self::Plain => plain::run(system),
            Self::Ours => ours::run(system),
            Self::Desque => desque::run(system),
            Self::Simcore => simcore::run(system),
            Self::Nexosim => nexosim::run(system),
        }
    }
}
