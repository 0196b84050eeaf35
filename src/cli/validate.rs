//! `pimscope validate`.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{Failure, print};
use crate::validate::{self, Options, ValidateError, report};

/// Arguments of `pimscope validate`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Only these suites [default: all]
    #[arg(long = "suite", value_name = "NAME")]
    suites: Vec<String>,
    /// Another table of the same columns, or folder of the same form, in the place of the suite's own
    #[arg(long, value_name = "PATH")]
    reference: Option<PathBuf>,
    /// Write validation.json and a file with every case of each suite
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Simulate less, against wider bounds: a first look
    #[arg(long)]
    quick: bool,
}

/// Exit codes: 0 all bounds hold, 1 one does not, 2 bad input.
pub(super) fn validate(arguments: &Arguments) -> ExitCode {
    match outcomes(arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            let code = if error.is_input() { 2 } else { 1 };
            eprintln!("{:?}", miette::Report::new(error));
            ExitCode::from(code)
        }
    }
}

/// Whether every bound holds.
fn outcomes(arguments: &Arguments) -> Result<bool, ValidateError> {
    let options = Options {
        reference: arguments.reference.clone(),
        quick: arguments.quick,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    };
    if let Some(directory) = &arguments.out {
        validate::check_directory(directory)?;
    }
    let outcomes = validate::run(&arguments.suites, &options)?;
    if let Some(directory) = &arguments.out {
        report::write(directory, &outcomes)?;
    }
    // A reader that has gone does not change the result.
    let _: Result<(), Failure> = print(&report::text(&outcomes));
    if let Some(directory) = &arguments.out {
        let _ = print(&format!("\nEvery case is in {}.\n", directory.display()));
    }
    Ok(outcomes.iter().all(|outcome| outcome.passed))
}
