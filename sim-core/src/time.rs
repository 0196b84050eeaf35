//! Simulated time and the quantities that are divided by it.
//!
//! Time is a whole number of picoseconds in 64 bits (213 days). Sums saturate at [`Time::MAX`], which the scheduler
//! refuses as an error, so an overflow can never wrap round to an early time.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

/// Picoseconds in a second.
pub const PS_PER_SECOND: u64 = 1_000_000_000_000;

/// A point in simulated time, or a span of it, in picoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// The start of the simulation; no time at all.
    pub const ZERO: Self = Self(0);
    /// The end of representable time. Reaching it is an error.
    pub const MAX: Self = Self(u64::MAX);

    /// From picoseconds.
    pub const fn from_ps(ps: u64) -> Self {
        Self(ps)
    }

    /// From nanoseconds.
    pub const fn from_ns(ns: u64) -> Self {
        Self(ns.saturating_mul(1_000))
    }

    /// From microseconds.
    pub const fn from_us(us: u64) -> Self {
        Self(us.saturating_mul(1_000_000))
    }

    /// In picoseconds.
    pub const fn ps(self) -> u64 {
        self.0
    }

    /// In seconds, for printing only.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / PS_PER_SECOND as f64
    }

    /// `self - other`, or zero where `other` is later.
    pub const fn since(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// A whole multiple, saturating.
    pub const fn times(self, n: u64) -> Self {
        Self(self.0.saturating_mul(n))
    }
}

impl Add for Time {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Time {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Time {
    type Output = Self;
    /// Saturates at zero; where the order matters compare first.
    fn sub(self, other: Self) -> Self {
        self.since(other)
    }
}

impl Sum for Time {
    fn sum<I: Iterator<Item = Self>>(times: I) -> Self {
        times.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Time {
    /// With the largest unit in which the integral part is not zero, and three decimals: `12.345 us`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ps = self.0;
        let (unit, size) = match ps {
            0 => return f.pad("0 ps"),
            1..=999 => return f.pad(&format!("{ps} ps")),
            1_000..=999_999 => ("ns", 1_000),
            1_000_000..=999_999_999 => ("us", 1_000_000),
            1_000_000_000..=999_999_999_999 => ("ms", 1_000_000_000),
            _ => ("s", PS_PER_SECOND),
        };
        // Whole thousandths of the unit, so that printing never rounds up past the true value.
        let thousandths = ps / (size / 1_000);
        f.pad(&format!("{}.{:03} {unit}", thousandths / 1_000, thousandths % 1_000))
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

impl Bytes {
    /// One GiB.
    pub const GIB: Self = Self(1 << 30);
}

impl Add for Bytes {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Bytes {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Bytes {
    fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
        items.fold(Self::default(), Add::add)
    }
}

impl fmt::Display for Bytes {
    /// In binary units with two decimals: `62.50 GiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
        let power = (0..5).rev().find(|p| self.0 >> (10 * p) > 0).unwrap_or(0);
        if power == 0 {
            return f.pad(&format!("{} B", self.0));
        }
        f.pad(&format!("{:.2} {}", self.0 as f64 / (1_u64 << (10 * power)) as f64, UNITS[power]))
    }
}

/// An amount per second: bytes per second of a memory or a link, operations per second of a processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(pub u64);

impl Rate {
    /// The time that `amount` takes at this rate, rounded up to a picosecond. [`Time::MAX`] at rate zero.
    pub fn time_for(self, amount: u64) -> Time {
        if amount == 0 {
            return Time::ZERO;
        }
        if self.0 == 0 {
            return Time::MAX;
        }
        let ps = (u128::from(amount) * u128::from(PS_PER_SECOND)).div_ceil(u128::from(self.0));
        Time(u64::try_from(ps).unwrap_or(u64::MAX))
    }

    /// This rate times `numerator / denominator`, rounded down.
    pub fn scaled(self, numerator: u64, denominator: u64) -> Self {
        let rate = u128::from(self.0) * u128::from(numerator) / u128::from(denominator.max(1));
        Self(u64::try_from(rate).unwrap_or(u64::MAX))
    }

    /// This rate times a factor that a person wrote (0.85, 16), rounded to one per second.
    pub fn times(self, factor: f64) -> Self {
        Self((self.0 as f64 * factor).round() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(time: Time, expected: &str) {
        assert_eq!(time.to_string(), expected);
    }

    #[test]
    fn times_print_with_their_unit() {
        check(Time::ZERO, "0 ps");
        check(Time::from_ps(999), "999 ps");
        check(Time::from_ps(1_000), "1.000 ns");
        check(Time::from_ps(1_999_999), "1.999 us");
        check(Time::from_us(2_500), "2.500 ms");
        check(Time::from_us(61_000_000), "61.000 s");
    }

    #[test]
    fn a_rate_rounds_time_up() {
        assert_eq!(Rate(3).time_for(1), Time::from_ps(333_333_333_334));
        assert_eq!(Rate(1_000_000_000_000).time_for(7), Time::from_ps(7));
        assert_eq!(Rate(0).time_for(1), Time::MAX);
        assert_eq!(Rate(0).time_for(0), Time::ZERO);
    }

    #[test]
    fn sums_saturate_and_never_wrap() {
        assert_eq!(Time::MAX + Time::from_ps(1), Time::MAX);
        assert_eq!(Time::from_ps(1) - Time::from_ps(2), Time::ZERO);
    }

    #[test]
    fn bytes_print_in_binary_units() {
        assert_eq!(Bytes(512).to_string(), "512 B");
        assert_eq!(Bytes(131_072).to_string(), "128.00 KiB");
        assert_eq!(Bytes(3 << 40).to_string(), "3.00 TiB");
    }
}
