//! Time by category.

use sim_core::{Category, Time};

/// How much time each category takes on a critical path. Adds up to the latency exactly (law 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breakdown([Time; 9]);

impl Breakdown {
    /// The time of one category.
    pub const fn get(&self, category: Category) -> Time {
        self.0[category as usize]
    }

    /// Adds time to a category.
    pub fn add(&mut self, category: Category, time: Time) {
        self.0[category as usize] += time;
    }

    /// All categories together: the latency.
    pub fn total(&self) -> Time {
        self.0.iter().copied().sum()
    }

    /// Category by category, in the order of reports.
    pub fn iter(&self) -> impl Iterator<Item = (Category, Time)> {
        Category::ALL.into_iter().zip(self.0)
    }

    /// The part of the total that a category takes, 0 to 1; 0 where the total is zero.
    pub fn share(&self, category: Category) -> f64 {
        share(self.get(category), self.total())
    }

    /// The part of the total that is communication of any kind, 0 to 1.
    pub fn communication_share(&self) -> f64 {
        share(self.sum_of(Category::is_communication), self.total())
    }

    /// The part of the total that is communication with the host (PCIe and CXL), 0 to 1.
    pub fn host_communication_share(&self) -> f64 {
        share(self.sum_of(Category::is_host_communication), self.total())
    }

    fn sum_of(&self, chosen: fn(Category) -> bool) -> Time {
        self.iter().filter(|(c, _)| chosen(*c)).map(|(_, time)| time).sum()
    }
}

impl std::ops::AddAssign for Breakdown {
    fn add_assign(&mut self, other: Self) {
        for (category, time) in other.iter() {
            self.add(category, time);
        }
    }
}

/// `part / whole`, and 0 for a whole of nothing.
pub(crate) fn share(part: Time, whole: Time) -> f64 {
    if whole == Time::ZERO { 0.0 } else { part.ps() as f64 / whole.ps() as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn do_the_shares_add_up_to_one() {
        let mut breakdown = Breakdown::default();
        for (i, category) in Category::ALL.into_iter().enumerate() {
            breakdown.add(category, Time::from_ps(1 << i));
        }
        let sum: f64 = Category::ALL.into_iter().map(|c| breakdown.share(c)).sum();
        assert!((sum - 1.0).abs() < 1e-12);
        assert_eq!(breakdown.total(), Time::from_ps(511));
        assert!((breakdown.host_communication_share() - 24.0 / 511.0).abs() < 1e-12);
        assert!((breakdown.communication_share() - 120.0 / 511.0).abs() < 1e-12);
    }

    #[test]
    fn is_a_share_of_nothing_zero() {
        assert!(Breakdown::default().share(Category::Queue).abs() < f64::EPSILON);
    }
}
