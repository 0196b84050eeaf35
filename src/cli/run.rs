//! `pimscope run`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use reports::run_info::RunInfo;

use super::{Failure, print};
use crate::run::{Outputs, RunError, run_to_files, write_run_info};
use crate::scenario::Scenario;

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
    /// Print nothing but errors
    #[arg(short, long)]
    quiet: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    // Everything is read and checked before anything is run.
    let mut all = Vec::new();
    for file in &arguments.files {
        all.push(Scenario::load(file, &arguments.sets).map_err(|error| RunError::Scenario(Box::new(error)))?);
    }
    let directories = directories(&arguments.files, arguments.out.as_deref())?;
    for (loaded, directory) in all.iter().zip(directories) {
        let outputs = Outputs { directory, trace: arguments.trace };
        // The only place that looks at a clock: run.json says how long the run took.
        #[expect(clippy::disallowed_methods, reason = "wall time is reported in run.json, never used")]
        let begun = Instant::now();
        let (report, events) = run_to_files(loaded, &outputs)?;
        let info = RunInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: host(),
            threads: 1,
            wall_seconds: begun.elapsed().as_secs_f64(),
            events,
            peak_memory_bytes: peak_memory(),
            extra: vec![("scenario_file".to_owned(), loaded.path.display().to_string().into())],
        };
        write_run_info(&outputs.directory, &info)?;
        if !arguments.quiet {
            print(&format!("{}\n\n", report.scenario))?;
            print(&reports::table::table(&report))?;
            print(&format!("\nReports are in {}: open report.html.\n", outputs.directory.display()))?;
        }
    }
    Ok(())
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
