//! All points and systems of a scenario, one after the other, and the files that they leave.

use std::fs;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use reports::csv::SpanWriter;
use reports::html::Figures;
use reports::run_info::RunInfo;
use reports::{Assumption, PointReport, ReportError, RunReport, SystemInput, SystemReport};
use sim_core::{SimulationError, Time};
use workloads::ModelConfig;

use crate::scenario::{Loaded, Scenario, ScenarioError};
use crate::system::{self, Job, SystemError};

/// Why a scenario could not be run.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[non_exhaustive]
pub enum RunError {
    /// The scenario or its model is wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Scenario(#[from] Box<ScenarioError>),
    /// A system cannot be built.
    #[error("{}: system `{system}`{}: {source}", path.display(), point(at))]
    System {
        /// The scenario file.
        path: PathBuf,
        /// The system.
        system: String,
        /// The point of the sweep.
        at: String,
        /// Why.
        source: Box<SystemError>,
        /// What to do.
        #[help]
        remedy: Option<String>,
    },
    /// A report could not be made or written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The output directory cannot be used.
    #[error("cannot write to {}: {source}", path.display())]
    #[diagnostic(help("name another directory with --out DIR"))]
    Output {
        /// The directory.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
}

impl RunError {
    /// Whether the input is to blame, and not pimscope.
    pub fn is_input(&self) -> bool {
        match self {
            Self::Scenario(_) | Self::Output { .. } => true,
            Self::System { source, .. } => match **source {
                // Rates so low, or latencies so long, that no clock shows the end: the figures are to blame.
                SystemError::Simulation(SimulationError::TimeOverflow { .. }) => true,
                SystemError::Simulation(_) | SystemError::Graph(_) => false,
                _ => true,
            },
            Self::Report(error) => matches!(error, ReportError::File { .. } | ReportError::Output { .. }),
        }
    }
}

fn point(at: &str) -> String {
    if at.is_empty() { String::new() } else { format!(" at {at}") }
}

fn remedy(error: &SystemError) -> Option<String> {
    Some(match error {
        SystemError::KvDoesNotFit { home, tokens_that_fit, .. } => {
            let overflow = if home.contains("host") { "" } else { " or set kv.overflow = \"host\"" };
            format!("lower workload.context to {tokens_that_fit}, lower workload.batch{overflow}")
        }
        SystemError::OutOfMemory(_) => {
            "take a device with more memory, a smaller model, a smaller batch or less kv.prefetch".to_owned()
        }
        SystemError::Simulation(SimulationError::TimeOverflow { .. }) => {
            "raise a bandwidth or a rate, or lower a latency, of this system: the run would take 213 days".to_owned()
        }
        SystemError::Figure(_) => "choose another device, or give the figure in the scenario".to_owned(),
        _ => return None,
    })
}

/// A system's run as it comes, before the next one begins: (point, run, report).
pub type Observe<'a> = dyn FnMut(&str, SystemInput, &SystemReport) -> Result<(), ReportError> + 'a;

/// Keeps no spans.
pub fn keep_nothing(_: &str, _: SystemInput, _: &SystemReport) -> Result<(), ReportError> {
    Ok(())
}

/// Runs every point and system.
pub fn simulate(loaded: &Loaded, observe: &mut Observe<'_>) -> Result<RunReport, RunError> {
    let mut assumptions: Vec<Assumption> = Vec::new();
    let mut run = RunReport {
        scenario: loaded.name.clone(),
        scenario_sha256: loaded.sha256.clone(),
        seed: loaded.points.first().map_or(1, |(_, scenario)| scenario.seed),
        assumptions: Vec::new(),
        systems: Vec::new(),
        points: Vec::new(),
    };
    for (keys, scenario) in &loaded.points {
        let at: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={}", plain(value))).collect();
        let systems = run_point(loaded, scenario, &at.join(" "), &mut assumptions, observe)?;
        if loaded.sweep.is_empty() {
            run.systems = systems;
        } else {
            run.points.push(PointReport { keys: keys.clone(), systems });
        }
    }
    run.assumptions = assumptions;
    Ok(run)
}

/// A value of a sweep without quotes.
fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn run_point(
    loaded: &Loaded,
    scenario: &Scenario,
    at: &str,
    assumptions: &mut Vec<Assumption>,
    observe: &mut Observe<'_>,
) -> Result<Vec<SystemReport>, RunError> {
    let in_model = |message: String| Box::new(ScenarioError::in_model(&scenario.model.path_shown, message));
    let model = ModelConfig::from_json(&scenario.model.text).map_err(|error| in_model(error.to_string()))?;
    if let Some(window) = model.sliding_window.filter(|window| *window < scenario.workload.context) {
        let context = scenario.workload.context;
        return Err(in_model(format!(
            "`sliding_window` is {window}, less than the context of {context}; sliding windows are not simulated in \
             this version: lower the context, or remove the key to attend to all tokens"
        ))
        .into());
    }
    let job = Job { model: &model, dtype_bytes: scenario.dtype.bytes(), workload: &scenario.workload };
    let mut systems = Vec::new();
    for spec in &scenario.systems {
        let outcome = system::simulate(spec, &job, scenario.seed).map_err(|source| RunError::System {
            path: loaded.path.clone(),
            system: spec.name.clone(),
            at: at.to_owned(),
            remedy: remedy(&source),
            source: Box::new(source),
        })?;
        for assumption in outcome.assumptions {
            if !assumptions.contains(&assumption) {
                assumptions.push(assumption);
            }
        }
        let report = reports::analyse(&outcome.input)?;
        check_laws(&outcome.input, &report)?;
        observe(at, outcome.input, &report)?;
        systems.push(report);
    }
    Ok(systems)
}

/// Laws 4 and 5 on what was run; law 1 is checked where the breakdown is made.
fn check_laws(input: &SystemInput, report: &SystemReport) -> Result<(), ReportError> {
    let elapsed: Time = report.step_latency.iter().copied().sum();
    reports::laws::check_meters(&input.name, &input.meters, elapsed, system::machine::DMA_CHUNK)?;
    reports::laws::check_memory(&input.name, &input.memory)
}

/// Where and how to write.
#[derive(Clone, Debug, Default)]
pub struct Outputs {
    /// The directory.
    pub directory: PathBuf,
    /// Whether to write trace.json.
    pub trace: bool,
}

/// Runs a scenario and writes its files; nothing is written where the run fails.
pub fn run_to_files(loaded: &Loaded, outputs: &Outputs) -> Result<(RunReport, u64), RunError> {
    let directory = Directory::prepare(&outputs.directory)?;
    let path = |name: &str| outputs.directory.join(name);
    let no_spans = |source| ReportError::File { path: path("spans.csv"), doing: "write", source };
    let spans = directory.temporary().map_err(no_spans)?;
    let mut writer = SpanWriter::new(std::io::BufWriter::new(spans.reopen().map_err(no_spans)?)).map_err(no_spans)?;

    // All spans are kept where they are drawn: a run's own, and a traced sweep's.
    let keep = loaded.sweep.is_empty() || outputs.trace;
    let mut kept: Vec<SystemInput> = Vec::new();
    let mut events = 0;
    let run = simulate(loaded, &mut |point, input, _| {
        writer.system(point, &input.name, &input.actors, &input.spans).map_err(no_spans)?;
        events += input.events;
        if keep {
            let name = if point.is_empty() { input.name.clone() } else { format!("{} {point}", input.name) };
            kept.push(SystemInput { name, ..input });
        }
        Ok(())
    })?;
    writer.finish().map_err(no_spans)?;

    let reports: Vec<&SystemReport> =
        run.systems.iter().chain(run.points.iter().flat_map(|point| &point.systems)).collect();
    let systems: Vec<(&SystemInput, &SystemReport)> = kept.iter().zip(reports).collect();
    let breakdown = (!run.systems.is_empty()).then(|| reports::figure::breakdown::svg(&run.systems)).transpose()?;
    let share = (!run.points.is_empty()).then(|| reports::figure::share::svg(&run.points)).transpose()?;
    let drawn = loaded.sweep.is_empty() && !systems.is_empty();
    let timeline = drawn.then(|| reports::figure::timeline::svg(&systems)).transpose()?;
    let figures = Figures { breakdown: breakdown.as_deref(), share: share.as_deref(), timeline: timeline.as_deref() };
    let page = reports::html::page(&run, &figures);

    for (name, text) in [("breakdown.svg", &breakdown), ("share.svg", &share), ("timeline.svg", &timeline)] {
        if let Some(text) = text {
            reports::files::write_text(&path(name), text)?;
        }
    }
    reports::files::write_text(&path("report.html"), &page)?;
    if outputs.trace {
        reports::files::write_whole(&path("trace.json"), |out| reports::perfetto::write(out, &systems))?;
    }
    // What an earlier run left here and this one does not write would not belong to summary.json.
    let stale = [
        ("breakdown.svg", breakdown.is_none()),
        ("share.svg", share.is_none()),
        ("timeline.svg", timeline.is_none()),
        ("trace.json", !outputs.trace),
    ];
    for (name, _) in stale.into_iter().filter(|(name, stale)| *stale && path(name).exists()) {
        let failed = |source| ReportError::File { path: path(name), doing: "remove", source };
        fs::remove_file(path(name)).map_err(failed)?;
    }
    spans.persist(path("spans.csv")).map_err(|error| no_spans(error.error))?;
    reports::files::write_text(&path("summary.json"), &reports::summary::to_json(&run))?;
    directory.keep();
    Ok((run, events))
}

/// run.json beside the other files.
pub fn write_run_info(directory: &Path, info: &RunInfo) -> Result<(), ReportError> {
    reports::files::write_text(&directory.join("run.json"), &reports::run_info::to_json(info))
}

/// The output directory; one that was made for a run that then failed is taken away again.
struct Directory {
    path: PathBuf,
    /// The directories that did not exist before, the outermost last.
    made: Vec<PathBuf>,
}

impl Directory {
    fn prepare(path: &Path) -> Result<Self, RunError> {
        let missing = |part: &&Path| !part.as_os_str().is_empty() && !part.exists();
        let made = path.ancestors().take_while(missing).map(Path::to_owned).collect();
        let directory = Self { path: path.to_owned(), made };
        let failed = |source| RunError::Output { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(failed)?;
        directory.temporary().map_err(failed)?;
        Ok(directory)
    }

    fn temporary(&self) -> std::io::Result<tempfile::NamedTempFile> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".pimscope-").suffix(".part");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        builder.tempfile_in(&self.path)
    }

    fn keep(mut self) {
        self.made.clear();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        for path in &self.made {
            // Only empty ones go; what somebody else has put there stays.
            let _ = fs::remove_dir(path);
        }
    }
}
