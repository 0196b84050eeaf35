//! Clock domains: cycles of a device, converted to picoseconds once, at the boundary.

use crate::time::Time;

/// A number of cycles of some clock domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cycles(pub u64);

/// A clock whose period is an exact ratio of picoseconds, so that 1.3 GHz does not drift.
///
/// Edge `n` lies at `n * period`, rounded up to a picosecond: the one rounding rule. Rounding each edge by itself, and
/// not the period, keeps the error below 1 ps however long the run.
///
/// ```
/// use sim_core::{ClockDomain, Cycles, Time};
/// let clock = ClockDomain::from_hz(1_300_000_000).unwrap(); // 769.23 ps
/// assert_eq!(clock.edge(Cycles(1)), Time::from_ps(770));
/// assert_eq!(clock.edge(Cycles(13)), Time::from_ps(10_000)); // exact, not 13 x 770
/// assert_eq!(clock.cycle_at_or_after(Time::from_ps(771)), Cycles(2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockDomain {
    /// Period in picoseconds = `numerator / denominator`.
    numerator: u64,
    denominator: u64,
}

impl ClockDomain {
    /// A clock of `numerator / denominator` picoseconds; `None` where either is zero.
    pub const fn new(numerator: u64, denominator: u64) -> Option<Self> {
        if numerator == 0 || denominator == 0 { None } else { Some(Self { numerator, denominator }) }
    }

    /// A clock of `hz` cycles per second; `None` for zero.
    pub const fn from_hz(hz: u64) -> Option<Self> {
        Self::new(crate::time::PS_PER_SECOND, hz)
    }

    /// When edge `cycles` comes, counted from edge 0 at time zero.
    pub fn edge(self, cycles: Cycles) -> Time {
        let ps = (u128::from(cycles.0) * u128::from(self.numerator)).div_ceil(u128::from(self.denominator));
        Time::from_ps(u64::try_from(ps).unwrap_or(u64::MAX))
    }

    /// The first edge at or after `time`.
    pub fn cycle_at_or_after(self, time: Time) -> Cycles {
        // Edge n is ceil(n p), and ceil(n p) >= t holds exactly where n p > t - 1.
        if time == Time::ZERO {
            return Cycles(0);
        }
        let n = (u128::from(time.ps()) - 1) * u128::from(self.denominator) / u128::from(self.numerator) + 1;
        Cycles(u64::try_from(n).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_edge_at_or_after_a_time_is_found_for_every_time() {
        for (numerator, denominator) in [(769, 1), (10_000, 13), (1, 3), (500, 1), (2_000, 3)] {
            let clock = ClockDomain::new(numerator, denominator).unwrap();
            for ps in 0..4_000 {
                let time = Time::from_ps(ps);
                let cycle = clock.cycle_at_or_after(time);
                assert!(clock.edge(cycle) >= time, "{clock:?} {time}");
                assert!(cycle.0 == 0 || clock.edge(Cycles(cycle.0 - 1)) < time, "{clock:?} {time}");
            }
        }
    }

    #[test]
    fn a_clock_without_period_is_refused() {
        assert_eq!(ClockDomain::new(0, 1), None);
        assert_eq!(ClockDomain::from_hz(0), None);
    }
}
