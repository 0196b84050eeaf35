//! The event kernel beside its rivals, on the same work.
//!
//! A model ([`model`]) is a set of [`model::Actor`]s that know no engine; each file under [`engine`] runs any of them on
//! one engine. So all engines do the same work, and the checksum over all actors' states says that they did: it does
//! not depend on the order of equal times, which engines treat differently.

pub mod engine;
pub mod model;
pub mod report;

/// What a run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Messages handled.
    pub events: u64,
    /// Over the final states of all actors.
    pub checksum: u64,
    /// CPU time of the event loop alone, in ns.
    pub nanoseconds: u64,
}

/// This thread's CPU time in ns. Other programs on the machine disturb it less than wall time.
pub fn cpu_time() -> u64 {
    cpu_time::ThreadTime::now().as_duration().as_nanos() as u64
}
