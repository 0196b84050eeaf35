//! `pimscope validate`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;

use super::{Failure, INTERRUPTED, complain, failed, interrupt, print};
use crate::validate::{self, Options, Outcome, ValidateError, report};

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

/// What the thread that waits hears.
enum Heard {
    Done(Result<Vec<Outcome>, ValidateError>),
    Interrupt,
}

/// What came of printing.
type Printed = Result<(), Failure>;

/// Exit codes: 0 all bounds hold, 1 one does not, 2 bad input, 3 interrupted.
pub(super) fn validate(arguments: &Arguments) -> ExitCode {
    match outcomes(arguments) {
        Ok(Some((_, Err(failure)))) if failure.code() != 0 => failed(failure),
        // A reader that has gone does not change the result.
        Ok(Some((true, _))) => ExitCode::SUCCESS,
        Ok(Some((false, _))) => ExitCode::from(1),
        Ok(None) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            let code = if error.is_input() { 2 } else { 1 };
            complain(format_args!("{:?}", miette::Report::new(error)));
            ExitCode::from(code)
        }
    }
}

/// Whether every bound holds, and whether that was printed; nothing where the command was interrupted.
fn outcomes(arguments: &Arguments) -> Result<Option<(bool, Printed)>, ValidateError> {
    let options = Options {
        reference: arguments.reference.clone(),
        quick: arguments.quick,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    };
    if let Some(directory) = &arguments.out {
        validate::check_directory(directory)?;
    }
    // Suites know nothing of Ctrl-C. They compute beside the thread that waits, and end with the process.
    let (tell, hear) = mpsc::channel();
    let interrupted = tell.clone();
    interrupt::listen(move || drop(interrupted.send(Heard::Interrupt)));
    let suites = arguments.suites.clone();
    let work = std::thread::spawn(move || drop(tell.send(Heard::Done(validate::run(&suites, &options)))));
    let outcomes = match hear.recv() {
        Ok(Heard::Done(outcomes)) => outcomes?,
        Ok(Heard::Interrupt) => {
            complain("note: interrupted: nothing was written");
            return Ok(None);
        }
        Err(_) => Vec::new(),
    };
    if let Err(panic) = work.join() {
        std::panic::resume_unwind(panic);
    }
    if let Some(directory) = &arguments.out {
        report::write(directory, &outcomes)?;
    }
    let mut printed = print(&report::text(&outcomes));
    if let Some(directory) = &arguments.out {
        printed = printed.and_then(|()| print(&format!("\nEvery case is in {}.\n", directory.display())));
    }
    // Everything was done by then, but whoever pressed Ctrl-C does not expect a success.
    let late = hear.try_iter().any(|heard| matches!(heard, Heard::Interrupt));
    Ok((!late).then(|| (outcomes.iter().all(|outcome| outcome.passed), printed)))
}
