//! `pimscope sweep` and `pimscope merge`.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use reports::{RunReport, Why};

use super::progress::{self, Line};
use super::{Failure, complain, interrupt, print};
use crate::control::Brake;
use crate::run::RunError;
use crate::scenario::Scenario;
use crate::sweep::{self, Choice, Ended, SweepError};

/// The most points side by side.
const MOST_JOBS: usize = 256;

/// Arguments of `pimscope sweep`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A scenario file with a [sweep]
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Override a key of the scenario: --set workload.batch=8
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Where to write the reports [default: out/SCENARIO]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Points that are run side by side [default: one for each core]
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    jobs: Option<String>,
    /// Run part I of N only, on a machine of its own; `pimscope merge` puts the parts together: --shard 1/4
    #[arg(long, value_name = "I/N")]
    shard: Option<String>,
    /// Go on with a sweep that was stopped: its finished points are kept
    #[arg(long)]
    resume: bool,
    /// Print nothing but errors
    #[arg(short, long)]
    quiet: bool,
}

/// Arguments of `pimscope merge`.
#[derive(Debug, clap::Args)]
pub(super) struct Merge {
    /// The directories of all shards
    #[arg(required = true, value_name = "DIR")]
    shards: Vec<PathBuf>,
    /// Where to write the reports of the whole sweep
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print nothing but errors
    #[arg(short, long)]
    quiet: bool,
}

impl From<SweepError> for Failure {
    fn from(error: SweepError) -> Self {
        match error {
            SweepError::Run(error) => error.into(),
            error => Self::Sweep(Box::new(error)),
        }
    }
}

/// Runs the sweep.
pub(super) fn sweep(arguments: &Arguments) -> Result<(), Failure> {
    #[expect(clippy::disallowed_methods, reason = "for the line that says how long it will take")]
    let begun = Instant::now();
    let shard = arguments.shard.as_deref().map_or(Ok((0, 1)), shard)?;
    let jobs = match arguments.jobs.as_deref() {
        Some(text) => jobs(text)?,
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let brake = Brake::default();
    let pulled = brake.clone();
    interrupt::listen(move || pulled.pull(Why::Interrupt));
    let loaded =
        Scenario::load(&arguments.file, &arguments.sets).map_err(|error| RunError::Scenario(Box::new(error)))?;
    let stem = || arguments.file.file_stem().map_or_else(|| "scenario".into(), PathBuf::from);
    let directory = arguments.out.clone().unwrap_or_else(|| Path::new("out").join(stem()));
    let line = Mutex::new(Line::new(!arguments.quiet));
    let choice = Choice { jobs, shard, resume: arguments.resume };
    let progress = |done, all| {
        line.lock().unwrap_or_else(PoisonError::into_inner).points(done, all, begun.elapsed());
    };
    let ended = sweep::sweep(&loaded, &directory, &choice, &brake, &progress);
    progress::erase();
    match ended? {
        Ended::Whole(run) if !arguments.quiet => show(&run, &directory),
        Ended::Shard(points) if !arguments.quiet => print(&format!(
            "{points} points of shard {}/{} are in {}. When all shards are there:\n\n  pimscope merge DIR... --out DIR\n",
            shard.0 + 1,
            shard.1,
            directory.display()
        )),
        Ended::Whole(_) | Ended::Shard(_) => Ok(()),
        Ended::Stopped(_, done, all) => {
            complain(format_args!(
                "note: interrupted: {done} of {all} points are kept in {}; go on with --resume",
                directory.display()
            ));
            Err(Failure::Interrupted)
        }
    }
}

/// Puts shards together.
pub(super) fn merge(arguments: &Merge) -> Result<(), Failure> {
    let run = sweep::merge(&arguments.shards, &arguments.out)?;
    if arguments.quiet { Ok(()) } else { show(&run, &arguments.out) }
}

fn show(run: &RunReport, directory: &Path) -> Result<(), Failure> {
    print(&format!("{}\n\n", run.scenario))?;
    print(&reports::table::table(run))?;
    print(&format!("\nReports are in {}: open report.html; results.csv has a row for each.\n", directory.display()))
}

/// The number of --jobs.
fn jobs(text: &str) -> Result<usize, Failure> {
    let jobs = text.parse().ok().filter(|jobs| (1..=MOST_JOBS).contains(jobs) && !text.starts_with('+'));
    jobs.ok_or_else(|| Failure::Input {
        message: format!("--jobs {text}: a whole number from 1 to {MOST_JOBS} is wanted"),
        remedy: Some("write --jobs 2; as many as the machine has cores is the most that can pay".to_owned()),
    })
}

/// The part of --shard, from 0, and the number of parts.
fn shard(text: &str) -> Result<(usize, usize), Failure> {
    let parts = text.split_once('/').and_then(|(part, parts)| Some((part.parse().ok()?, parts.parse().ok()?)));
    match parts {
        Some((part, parts)) if (1..=parts).contains(&part) => Ok((part - 1, parts)),
        _ => Err(Failure::Input {
            message: format!("--shard {text}: a part and the number of parts are wanted"),
            remedy: Some("write --shard 1/4 for the first of four parts".to_owned()),
        }),
    }
}
