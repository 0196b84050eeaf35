//! What a suite found: every case, and whether its bound holds.

/// One row of a reference and what we get for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The line of the reference at which the row begins, from 1; 0 where there are no lines.
    pub line: u64,
    /// The row as it stands in the reference.
    pub row: Vec<String>,
    /// The reference value, in the unit of the table.
    pub reference: f64,
    /// Ours, in the same unit.
    pub ours: f64,
    /// Whether the two count as equal.
    pub exact: bool,
    /// What the suite adds to every row, in the order of [`Outcome::extra_columns`].
    pub extra: Vec<String>,
}

impl Case {
    /// |ours - reference| / |reference|; where the reference is zero the difference itself.
    pub fn relative_error(&self) -> f64 {
        let difference = (self.ours - self.reference).abs();
        if self.reference == 0.0 { difference } else { difference / self.reference.abs() }
    }
}

/// How many parts of the cases are equal, where a case is a list: the commands of golden runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Equal ones.
    pub equal: usize,
    /// All.
    pub total: usize,
}

/// The result of one suite.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The suite's name.
    pub suite: String,
    /// The reference: a path of the repository, or as it was given.
    pub reference: String,
    /// The columns of the reference.
    pub columns: Vec<String>,
    /// The names of what the suite adds to every row, after `ours` and `relative_error`.
    pub extra_columns: Vec<String>,
    /// Every case, in the order of the reference.
    pub cases: Vec<Case>,
    /// Where cases are lists: what [`Self::exact`] counts instead of whole cases.
    pub parts: Option<Parts>,
    /// What must hold, by name.
    pub bound: Vec<(String, f64)>,
    /// What was found, by name; beside the relative errors.
    pub found: Vec<(String, f64)>,
    /// The same for people, a line each.
    pub notes: Vec<String>,
    /// Whether the bound holds.
    pub passed: bool,
}

impl Outcome {
    /// How many cases count as equal; where cases are lists, how many of their parts do.
    pub fn exact(&self) -> usize {
        self.parts.map_or_else(|| self.exact_cases(), |parts| parts.equal)
    }

    /// How many cases count as equal, each as a whole.
    pub fn exact_cases(&self) -> usize {
        self.cases.iter().filter(|case| case.exact).count()
    }

    /// The relative error that the part `share` (0 to 1) of the cases does not exceed. The median of an even number is
    /// the lower of the two in the middle. Zero without cases.
    pub fn error_at(&self, share: f64) -> f64 {
        let mut errors: Vec<f64> = self.cases.iter().map(Case::relative_error).collect();
        errors.sort_by(f64::total_cmp);
        let rank = (share * errors.len() as f64).ceil() as usize;
        errors.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(reference: f64, ours: f64) -> Case {
        Case { line: 0, row: Vec::new(), reference, ours, exact: reference.to_bits() == ours.to_bits(), extra: vec![] }
    }

    #[test]
    fn are_errors_relative_and_ordered() {
        let cases = [1.0, 1.5, 0.9, 1.0].map(|ours| case(1.0, ours)).to_vec();
        let outcome = Outcome { cases, passed: true, ..Outcome::default() };
        assert_eq!(outcome.exact(), 2);
        let golden = Outcome { parts: Some(Parts { equal: 7, total: 9 }), ..outcome.clone() };
        assert_eq!((golden.exact(), golden.exact_cases()), (7, 2));
        assert!(outcome.error_at(0.5).abs() < 1e-12);
        assert!((outcome.error_at(0.75) - 0.1).abs() < 1e-12);
        assert!((outcome.error_at(1.0) - 0.5).abs() < 1e-12);
        assert!((case(0.0, -0.25).relative_error() - 0.25).abs() < 1e-12);
        assert!((case(-2.0, -1.0).relative_error() - 0.5).abs() < 1e-12);
    }
}
