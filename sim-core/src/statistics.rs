//! What a resource counted during a run.

use crate::time::{Rate, Time};

/// Totals of one resource (a link direction, a memory, a pool of cores).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    /// What flowed: bytes or operations.
    pub amount: u64,
    /// The most that may flow per second.
    pub peak: Rate,
    /// How long anything flowed.
    pub busy: Time,
}

impl Meter {
    /// The part of `elapsed` times the peak that was used, 0 to 1.
    pub fn utilisation(&self, elapsed: Time) -> f64 {
        let possible = self.peak.0 as f64 * elapsed.seconds();
        if possible > 0.0 { self.amount as f64 / possible } else { 0.0 }
    }
}
