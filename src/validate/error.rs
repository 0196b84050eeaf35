//! What can be wrong with a validation, and how it is said.

use std::fmt;
use std::path::PathBuf;

use miette::Diagnostic;
use sim_core::SimulationError;

/// Where in a reference something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1; `None` for the file as a whole.
    pub line: Option<u64>,
    /// The character in the line, from 1.
    pub column: Option<u64>,
}

impl Place {
    /// The file as a whole.
    pub fn file(file: &str) -> Self {
        Self { file: file.to_owned(), line: None, column: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        for number in [self.line, self.column].into_iter().flatten() {
            write!(f, ":{number}")?;
        }
        Ok(())
    }
}

/// Why a validation could not be done. A validation that was done and failed is not an error but an
/// [`Outcome`](super::Outcome).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ValidateError {
    /// No such suite.
    #[error("there is no suite `{name}`")]
    UnknownSuite {
        /// The name as written.
        name: String,
        /// What to write.
        remedy: String,
    },
    /// A reference is given, and it could be for several suites.
    #[error("--reference is for one suite, and {} would run", suites.join(", "))]
    WhoseReference {
        /// The suites.
        suites: Vec<String>,
    },
    /// A reference cannot be read or understood.
    #[error("{place}: {problem}")]
    Reference {
        /// Where.
        place: Place,
        /// What is wrong.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// The results cannot be written.
    #[error("cannot write to {}: {reason}", path.display())]
    Output {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A simulation stopped: a defect of the simulator, not of the reference.
    #[error("{place}: the simulation of this row stopped: {source}")]
    Simulation {
        /// The row.
        place: Place,
        /// Why.
        source: SimulationError,
    },
}

impl ValidateError {
    /// A name that no suite has.
    pub(crate) fn unknown_suite(name: &str, known: &[&str]) -> Self {
        let nearest = known.iter().max_by(|a, b| {
            let nearness = |known: &str| strsim::jaro_winkler(known, name);
            nearness(a).total_cmp(&nearness(b))
        });
        let nearest = nearest.filter(|known| strsim::jaro_winkler(known, name) > 0.8);
        let hint = nearest.map_or_else(String::new, |known| format!("did you mean `{known}`? "));
        let remedy = format!("{hint}there are: {}", known.join(", "));
        Self::UnknownSuite { name: name.to_owned(), remedy }
    }

    /// A reference for none or several suites.
    pub(crate) fn whose_reference(suites: &[&str]) -> Self {
        Self::WhoseReference { suites: suites.iter().map(|&name| name.to_owned()).collect() }
    }

    /// Whether the input is to blame (exit code 2), and not pimscope (1).
    pub const fn is_input(&self) -> bool {
        !matches!(self, Self::Simulation { .. })
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::UnknownSuite { remedy, .. } | Self::Reference { remedy, .. } => remedy.clone(),
            Self::WhoseReference { .. } => "name the suite with --suite NAME".to_owned(),
            Self::Output { .. } => "name another directory with --out DIR".to_owned(),
            Self::Simulation { .. } => "this is a defect of pimscope: please report the row".to_owned(),
        }
    }
}

impl Diagnostic for ValidateError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.remedy()))
    }
}
