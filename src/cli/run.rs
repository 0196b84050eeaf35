//! `pimscope run`.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reports::run_info::{Executed, RunInfo};
use reports::{RunReport, Why};
use sim_core::Time;

use super::progress::{self, Line};
use super::{Failure, complain, interrupt, print, time, unreadable};
use crate::control::{Brake, Control, Standing};
use crate::run::{Outputs, RunError, run_to_files_within};
use crate::scenario::{Loaded, Scenario};
use crate::threads::cpu_time;

/// The most threads that can be asked for: each tells each other one of every window.
const MOST_THREADS: usize = 256;

/// Arguments of `pimscope run`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Scenario files, TOML or JSON
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Override a key of the scenario: --set workload.batch=8, --set system.attacc.pim.stacks=3
    #[arg(long = "set", value_name = "KEY=VALUE")]
    sets: Vec<String>,
    /// Where to write the reports [default: out/SCENARIO]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write trace.json for Perfetto or chrome://tracing
    #[arg(long)]
    trace: bool,
    /// Write commands.csv: every command of the PIM channels, executed one by one
    #[arg(long)]
    trace_commands: bool,
    /// Stop at this simulated time and write what there is, marked as partial: --until '1.5 ms'
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Stop after so many events of all systems together
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    max_events: Option<String>,
    /// Stop after so much wall time: --max-wall '10 s'
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    max_wall: Option<String>,
    /// Simulate each system on up to N threads, with the same result; what cannot gain from it runs on one
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    threads: Option<String>,
    /// Print nothing but errors, and what a limit cut short
    #[arg(short, long)]
    quiet: bool,
}

/// Runs the scenarios, one after the other, until one of them is stopped.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    // The only place that looks at a clock: run.json says how long the run took, and --max-wall how long it may take.
    #[expect(clippy::disallowed_methods, reason = "wall time never reaches a result but by stopping a run")]
    let begun = Instant::now();
    let until = positive("--until", arguments.until.as_deref())?;
    let max_events = arguments.max_events.as_deref().map(events).transpose()?;
    let max_wall = positive("--max-wall", arguments.max_wall.as_deref())?;
    let threads = arguments.threads.as_deref().map(threads).transpose()?;
    let brake = Brake::default();
    let pulled = brake.clone();
    interrupt::listen(move || pulled.pull(Why::Interrupt));
    if let Some(wall) = max_wall {
        pull_after(&brake, wall);
    }
    // Everything is read and checked before anything is run.
    let mut all = Vec::new();
    for file in &arguments.files {
        all.push(Scenario::load(file, &arguments.sets).map_err(|error| RunError::Scenario(Box::new(error)))?);
    }
    let directories = directories(&arguments.files, arguments.out.as_deref())?;
    let (mut stopped, mut not_run) = (None, Vec::new());
    for (index, (loaded, directory)) in all.iter().zip(directories).enumerate() {
        if index > 0 {
            // Pulled when there was nothing left to stop.
            stopped = stopped.or(brake.pulled());
        }
        if stopped.is_some() {
            not_run.push(loaded.path.display().to_string());
            continue;
        }
        let outputs = Outputs { directory, trace: arguments.trace };
        let commands = arguments.trace_commands;
        let control = Control { until, max_events, threads, commands, brake: brake.clone(), watch: None };
        let report = one(loaded, &outputs, arguments.quiet, begun, control)?;
        stopped = report.stopped.as_ref().map(|stopped| stopped.why);
        let printed = if arguments.quiet { Ok(()) } else { show(&report, &outputs) };
        // The exit code of an interrupt says more than that nobody reads the output.
        if stopped != Some(Why::Interrupt) {
            printed?;
        }
    }
    if !not_run.is_empty() {
        complain(format_args!("note: not run: {}", not_run.join(", ")));
    }
    if stopped == Some(Why::Interrupt) { Err(Failure::Interrupted) } else { Ok(()) }
}

/// Runs one scenario and writes its files.
fn one(
    loaded: &Loaded,
    outputs: &Outputs,
    quiet: bool,
    command_begun: Instant,
    control: Control<'static>,
) -> Result<RunReport, Failure> {
    let before = command_begun.elapsed();
    let cpu_before = cpu_time();
    let wall = || command_begun.elapsed().saturating_sub(before);
    let mut line = Line::new(!quiet);
    let mut watch = |standing: &Standing<'_>| line.show(standing, wall());
    let threads = control.threads;
    let mut control = Control { watch: Some(&mut watch), ..control };
    let describe = |executed: &[Executed]| {
        let first_thread = cpu_time().zip(cpu_before).map(|(now, before)| now.saturating_sub(before).as_secs_f64());
        // The first thread of each system is this one.
        let others = executed.iter().flat_map(|system| system.execution.threads.iter().skip(1));
        let others: f64 = others.filter_map(|thread| thread.cpu_seconds).sum();
        Some(RunInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: host(),
            threads: threads.map_or(1, NonZeroUsize::get),
            wall_seconds: wall().as_secs_f64(),
            cpu_seconds: first_thread.map(|first| first + others),
            first_thread_cpu_seconds: first_thread,
            events: executed.iter().map(|system| system.events).sum(),
            systems: executed.to_vec(),
            peak_memory_bytes: peak_memory(),
            extra: vec![("scenario_file".to_owned(), loaded.path.display().to_string().into())],
        })
    };
    let done = run_to_files_within(loaded, outputs, &mut control, &describe);
    progress::erase();
    let (report, executed) = done?;
    if !quiet {
        for (why, systems) in one_thread(&executed) {
            complain(format_args!("note: {} on one thread: {why}", systems.join(", ")));
        }
    }
    for Executed { system, point, commands_left_out, .. } in executed.iter().filter(|e| e.commands_left_out > 0) {
        let at = if point.is_empty() { String::new() } else { format!(" at {point}") };
        complain(format_args!(
            "note: commands.csv has no room for the last {commands_left_out} commands of {system}{at}"
        ));
    }
    if let Some(stopped) = &report.stopped {
        let cause = match stopped.why {
            Why::Interrupt => "interrupted".to_owned(),
            limit => format!("stopped by --{}", limit.key()),
        };
        let (at, directory) = (stopped.at, outputs.directory.display());
        complain(format_args!("note: {cause} at {at} of simulated time: the files in {directory} are partial"));
    }
    Ok(report)
}

/// The systems that ran on one thread although more were asked for, by the reason. The points of a sweep are one.
fn one_thread(executed: &[Executed]) -> Vec<(&str, Vec<&str>)> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for Executed { system, execution, .. } in executed {
        let Some(why) = execution.one_thread.as_deref() else { continue };
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, systems)) if systems.contains(&system.as_str()) => {}
            Some((_, systems)) => systems.push(system),
            None => reasons.push((why, vec![system])),
        }
    }
    reasons
}

fn show(report: &RunReport, outputs: &Outputs) -> Result<(), Failure> {
    print(&format!("{}\n\n", report.scenario))?;
    print(&reports::table::table(report))?;
    print(&format!("\nReports are in {}: open report.html.\n", outputs.directory.display()))
}

/// Stops the run after so much wall time, simulating or not.
fn pull_after(brake: &Brake, wall: Time) {
    let brake = brake.clone();
    // Rounded up: the clock of a machine is no finer.
    let wall = Duration::from_nanos(wall.ps().div_ceil(1_000));
    std::thread::spawn(move || {
        std::thread::sleep(wall);
        brake.pull(Why::MaxWall);
    });
}

/// A time of more than nothing.
fn positive(flag: &str, text: Option<&str>) -> Result<Option<Time>, Failure> {
    match (time(flag, text)?, text) {
        (Some(Time::ZERO), Some(text)) => Err(unreadable(flag, text, "it must be more than zero")),
        (time, _) => Ok(time),
    }
}

/// The number of --max-events: digits, with `_` between them where that is easier to read.
fn events(text: &str) -> Result<u64, Failure> {
    let digits = text.replace('_', "");
    match digits.parse() {
        Ok(events) if events > 0 && !text.starts_with('+') => Ok(events),
        _ => Err(Failure::Input {
            message: format!("--max-events {text}: a whole number from 1 to {} is wanted", u64::MAX),
            remedy: Some("write --max-events 1000000 or 1_000_000".to_owned()),
        }),
    }
}

/// The number of --threads.
fn threads(text: &str) -> Result<NonZeroUsize, Failure> {
    let threads = text.parse().ok().filter(|_| !text.starts_with('+'));
    threads.and_then(NonZeroUsize::new).filter(|threads| threads.get() <= MOST_THREADS).ok_or_else(|| Failure::Input {
        message: format!("--threads {text}: a whole number from 1 to {MOST_THREADS} is wanted"),
        remedy: Some("write --threads 2; as many as the machine has cores is the most that can pay".to_owned()),
    })
}

/// Where each scenario's files go: out/STEM, or DIR, or DIR/STEM where there are several.
fn directories(files: &[PathBuf], out: Option<&Path>) -> Result<Vec<PathBuf>, Failure> {
    let stem = |file: &PathBuf| file.file_stem().map_or_else(|| "scenario".into(), PathBuf::from);
    let directories: Vec<PathBuf> = match (out, files) {
        (Some(out), [_]) => vec![out.to_owned()],
        (out, files) => files.iter().map(|file| out.unwrap_or(Path::new("out")).join(stem(file))).collect(),
    };
    for (index, directory) in directories.iter().enumerate() {
        if directories[..index].contains(directory) {
            return Err(Failure::Input {
                message: format!("two scenarios would write to {}", directory.display()),
                remedy: Some("run them one at a time with different --out directories".to_owned()),
            });
        }
    }
    Ok(directories)
}

/// The machine's name, where the system tells.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{} {} {}", name.trim(), std::env::consts::OS, std::env::consts::ARCH).trim().to_owned()
}

/// The most memory that this process held, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}
