//! The command line: arguments, logs, exit codes.
//!
//! Exit codes: 0 done, 1 a check failed (a broken law) or what there was to say could not be printed, 2 bad input (one message, nothing half written), 3 interrupted
//! (what was finished is kept).

mod interrupt;
mod list;
mod progress;
mod quantize;
mod run;
mod sweep;
mod trace;
mod validate;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use miette::Diagnostic;
use sim_core::Time;
use tracing_subscriber::EnvFilter;

use crate::run::RunError;
use crate::scenario::quantity::{Dimension, Quantity};

/// Where does the time of a generated token go, and what would another memory system change?
#[derive(Debug, Parser)]
#[command(name = "pimscope", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run every system of a scenario: prints the breakdown table and writes the reports
    Run(run::Arguments),
    /// Run the points of a scenario's sweep side by side; what is finished is kept
    Sweep(sweep::Arguments),
    /// Put the shards of a sweep together
    Merge(sweep::Merge),
    /// Recompute reference tables: prints cases and errors, exit code 1 where a bound does not hold
    Validate(validate::Arguments),
    /// Measure what KV codecs do to a model's own keys and values: error of attention against bits
    Quantize(quantize::Arguments),
    /// Read a finished run's trace as text
    Trace(trace::Arguments),
    /// Show what there is: gpus, cpus, links, pim, models, scenarios, codecs
    List(list::Arguments),
    /// Print the JSON Schema of scenario files
    Schema,
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Why a command failed.
#[derive(Debug, thiserror::Error, Diagnostic)]
enum Failure {
    #[error(transparent)]
    #[diagnostic(transparent)]
    Run(Box<RunError>),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Sweep(Box<crate::sweep::SweepError>),
    #[error(transparent)]
    Report(#[from] reports::ReportError),
    #[error("{message}")]
    Input {
        message: String,
        #[help]
        remedy: Option<String>,
    },
    /// Stopped by Ctrl-C; what there is to say has been said.
    #[error("interrupted")]
    Interrupted,
    /// Text could not be put out, where that is not because its reader has gone.
    #[error("cannot write to standard output: {0}")]
    Output(std::io::Error),
    /// The reader of our output has gone; not an error of anybody's.
    #[error("the output was closed")]
    Closed,
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Self::Run(Box::new(error))
    }
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Run(error) if !error.is_input() => 1,
            Self::Sweep(error) if !error.is_input() => 1,
            Self::Report(reports::ReportError::LawBroken { .. }) | Self::Output(_) => 1,
            Self::Run(_) | Self::Sweep(_) | Self::Report(_) | Self::Input { .. } => 2,
            Self::Interrupted => INTERRUPTED,
            Self::Closed => 0,
        }
    }
}

/// The exit code after Ctrl-C.
const INTERRUPTED: u8 = 3;

/// A time that a flag gives, with its unit.
fn time(flag: &str, text: Option<&str>) -> Result<Option<Time>, Failure> {
    let Some(text) = text else { return Ok(None) };
    match Quantity::parse(text, Dimension::Time) {
        Ok(Quantity::Time(time)) => Ok(Some(time)),
        Ok(other) => Err(unreadable(flag, text, &format!("{other} is not a time"))),
        Err(error) => Err(unreadable(flag, text, &error.to_string())),
    }
}

fn unreadable(flag: &str, text: &str, why: &str) -> Failure {
    let remedy = Some("a time is written with its unit, such as '1.5 ms'".to_owned());
    Failure::Input { message: format!("{flag} {text}: {why}"), remedy }
}

/// Prints to standard output; a closed pipe ends the command quietly.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(unprinted)
}

fn unprinted(error: std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::BrokenPipe { Failure::Closed } else { Failure::Output(error) }
}

/// A line on standard error. Where it cannot be written the exit code has to do.
fn complain(text: impl std::fmt::Display) {
    let _ = std::io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// Says why a command failed, and gives its exit code.
fn failed(failure: Failure) -> ExitCode {
    let code = failure.code();
    if code != 0 && !matches!(failure, Failure::Interrupted) {
        complain(format_args!("{:?}", miette::Report::new(failure)));
    }
    ExitCode::from(code)
}

/// Runs the command line and gives the exit code.
pub fn main() -> ExitCode {
    log();
    let _ = miette::set_hook(Box::new(handler));
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            return match error.print() {
                // The text that was asked for, and not a mistake of the arguments: that goes to standard error.
                Err(unwritten) if code == 0 => failed(unprinted(unwritten)),
                _ => ExitCode::from(code),
            };
        }
    };
    let done = match arguments.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Sweep(arguments) => sweep::sweep(&arguments),
        Command::Merge(arguments) => sweep::merge(&arguments),
        Command::Validate(arguments) => return validate::validate(&arguments),
        Command::Quantize(arguments) => quantize::quantize(&arguments),
        Command::Trace(arguments) => trace::trace(&arguments),
        Command::List(arguments) => list::list(&arguments),
        Command::Schema => schema(),
        Command::Completions { shell } => completions(shell),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failed(failure),
    }
}

/// How errors are shown. Lines are left to the terminal to wrap, so that names such as H200-SXM are not broken at their
/// hyphens; causes are part of the messages.
fn handler(_: &(dyn Diagnostic + 'static)) -> Box<dyn miette::ReportHandler> {
    Box::new(miette::MietteHandlerOpts::new().wrap_lines(false).without_cause_chain().build())
}

fn schema() -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(&crate::scenario::json_schema()).unwrap_or_default();
    print(&format!("{text}\n"))
}

fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "pimscope", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// Logs go to standard error, without wall time: what happened when is in simulated time. Off unless `RUST_LOG` asks.
fn log() {
    if std::env::var_os("RUST_LOG").is_none() {
        return;
    }
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(EnvFilter::from_default_env()).with_writer(std::io::stderr);
    // Without colours where nobody looks.
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let _ = subscriber.without_time().with_ansi(ansi).log_internal_errors(false).try_init();
}
