//! Recomputes reference tables: what other simulators, measurements and theory say, and what the same question gives
//! here.
//!
//! A [`Suite`] knows one table (or folder), how to compute its rows with our own actors and how far off a row may be.
//! [`SUITES`] is the list; a suite is one file below this one, a line in that list and its data in `validation/`.
//!
//! ```
//! use pimscope::validate::{Options, suites};
//!
//! let suite = suites(&["queueing".to_owned()])?[0];
//! assert_eq!(suite.name(), "queueing");
//! let nowhere = Options { reference: Some("no/such/table.csv".into()), ..Options::default() };
//! assert!(suite.run(&nowhere).is_err_and(|error| error.is_input()));
//! # Ok::<(), pimscope::validate::ValidateError>(())
//! ```

pub mod aim;
pub mod aqpim;
pub mod attacc;
pub mod claims;
pub mod dram;
pub mod error;
pub mod golden;
pub mod hbm_pim;
pub mod kv_attention;
pub mod kv_costs;
pub mod kv_golden;
mod kv_reference;
pub mod outcome;
mod parallel;
pub mod queueing;
pub mod report;
pub mod table;

use std::path::{Path, PathBuf};

pub use error::ValidateError;
pub use outcome::{Case, Outcome};

/// How to run a suite.
#[derive(Clone, Debug)]
pub struct Options {
    /// A table of the same columns (or a folder of the same form) in the place of the shipped one.
    pub reference: Option<PathBuf>,
    /// Less work and wider bounds: for a first look.
    pub quick: bool,
    /// How many threads may work at once, at least 1. The result does not depend on it.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { reference: None, quick: false, threads: 1 }
    }
}

/// One reference and how it is recomputed.
///
/// Whoever implements it reads the reference (with [`table::Table`] where it is a CSV file), refuses what it cannot
/// compute with a located error before it computes anything, and judges the result against its own bound.
pub trait Suite: Sync {
    /// Its name on the command line, and of its file of cases.
    fn name(&self) -> &'static str;

    /// What is compared with what, in one line.
    fn about(&self) -> &'static str;

    /// Recomputes every case.
    ///
    /// # Errors
    /// [`ValidateError`], located where the reference is to blame.
    fn run(&self, options: &Options) -> Result<Outcome, ValidateError>;
}

/// All suites, in the order in which they run.
pub static SUITES: &[&dyn Suite] = &[
    &queueing::Queueing,
    &dram::DramGolden,
    &dram::DramTotals,
    &attacc::Golden,
    &attacc::Attention,
    &hbm_pim::HbmPimGolden,
    &hbm_pim::HbmPimKernels,
    &aim::AimBlocks,
    &aqpim::AqpimGolden,
    &kv_golden::KvGolden,
    &kv_costs::KvCosts,
    &kv_attention::KvAttentionError,
    &claims::Claims,
];

/// The suites of these names, each once, in the order of [`SUITES`]; all where no name is given.
///
/// # Errors
/// [`ValidateError::UnknownSuite`].
pub fn suites(names: &[String]) -> Result<Vec<&'static dyn Suite>, ValidateError> {
    let known: Vec<&str> = SUITES.iter().map(|suite| suite.name()).collect();
    if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(ValidateError::unknown_suite(name, &known));
    }
    let wanted = |suite: &&&dyn Suite| names.is_empty() || names.iter().any(|name| name == suite.name());
    Ok(SUITES.iter().filter(wanted).copied().collect())
}

/// Runs the suites of these names. Nothing is written.
///
/// # Errors
/// [`ValidateError`]: an unknown name, a reference that does not say for which of several suites it is, or whatever a
/// suite finds wrong.
pub fn run(names: &[String], options: &Options) -> Result<Vec<Outcome>, ValidateError> {
    let suites = suites(names)?;
    if options.reference.is_some() && suites.len() != 1 {
        return Err(ValidateError::whose_reference(&suites.iter().map(|suite| suite.name()).collect::<Vec<_>>()));
    }
    suites.iter().map(|suite| suite.run(options)).collect()
}

/// Finds out before a long run whether its results could be written to `directory`. Makes nothing.
///
/// # Errors
/// [`ValidateError::Output`].
pub fn check_directory(directory: &Path) -> Result<(), ValidateError> {
    let existing = directory.ancestors().find(|part| part.exists());
    match existing {
        Some(part) if !part.is_dir() => Err(ValidateError::Output {
            path: directory.to_owned(),
            reason: format!("{} is not a directory", part.display()),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_every_suite_found_by_its_name() {
        for suite in SUITES {
            let found = suites(&[suite.name().to_owned()]).unwrap();
            assert_eq!(found.len(), 1);
            assert!(!suite.about().is_empty());
        }
        assert_eq!(suites(&[]).unwrap().len(), SUITES.len());
        let twice = ["queueing".to_owned(), "queueing".to_owned()];
        assert_eq!(suites(&twice).unwrap().len(), 1);
    }

    #[test]
    fn is_an_unknown_suite_refused_with_the_nearest_name() {
        let error = suites(&["queuing".to_owned()]).err().unwrap();
        assert!(error.is_input());
        assert_eq!(error.to_string(), "there is no suite `queuing`");
        assert!(error.remedy().contains("`queueing`"), "{}", error.remedy());
    }

    #[test]
    fn is_a_directory_that_is_a_file_found_before_the_run() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(check_directory(&file.join("out")).is_err());
        check_directory(&directory.path().join("a/b")).unwrap();
        assert!(!directory.path().join("a").exists());
    }
}
