//! All points and systems of a scenario, one after the other, and the files that they leave.

use std::path::PathBuf;

use miette::Diagnostic;
use reports::commands::{CommandWriter, Commands};
use reports::csv::SpanWriter;
use reports::html::Figures;
use reports::run_info::{Executed, RunInfo};
use reports::{Accuracy, PointReport, ReportError, RunReport, Stopped, SystemInput, SystemReport};
use sim_core::{Progress, SimulationError, Time};
use workloads::ModelConfig;

use crate::accuracy::Accuracies;
use crate::control::{Control, Standing};
use crate::output::Output;
use crate::quantize::QuantizeError;
use crate::scenario::{KernelScenario, Loaded, Scenario, ScenarioError, SystemSpec};
use crate::system::{self, Conduct, Job, Outcome, SystemError, kernel_run};

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
    /// A system's KV codec cannot be measured.
    #[error("{}: system `{system}`{}: accuracy: {source}", path.display(), point(at))]
    #[diagnostic(help("{}", source.remedy()))]
    Accuracy {
        /// The scenario file.
        path: PathBuf,
        /// The system.
        system: String,
        /// The point of the sweep.
        at: String,
        /// Why.
        source: Box<QuantizeError>,
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
            Self::Scenario(_) | Self::Accuracy { .. } | Self::Output { .. } => true,
            Self::System { source, .. } => match **source {
                // Rates so low, or latencies so long, that no clock shows the end: the figures are to blame.
                SystemError::Simulation(SimulationError::TimeOverflow { .. }) => true,
                SystemError::Simulation(_) | SystemError::Graph(_) | SystemError::Kernel(_) => false,
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
        SystemError::KvDoesNotFit { home, tokens_that_fit, shortest, context, .. } => {
            let overflow = if home.contains("host") { "" } else { " or set kv.overflow = \"host\"" };
            let (lengths, batch) = if shortest == context {
                ("workload.context", "lower workload.batch")
            } else {
                ("the longer ones of workload.context", "list fewer sequences")
            };
            match tokens_that_fit {
                0 => format!("give it more memory, {batch}{overflow}"),
                _ => format!("lower {lengths} to {tokens_that_fit}, {batch}{overflow}"),
            }
        }
        SystemError::OutOfMemory(refused) if refused.purpose.contains("prefill") => {
            "take a device with more memory, or a smaller workload.prefill_chunk or prefill_batch".to_owned()
        }
        SystemError::OutOfMemory(_) => {
            "take a device with more memory, a smaller model, a smaller batch or less kv.prefetch".to_owned()
        }
        SystemError::Simulation(SimulationError::TimeOverflow { .. }) => {
            "raise a bandwidth or a rate, or lower a latency, of this system: the run would take 213 days".to_owned()
        }
        SystemError::TooManyCopies { key: "kv.block", .. } => "raise kv.block".to_owned(),
        SystemError::TooManyCopies { .. } => "lower the batch or the share of tokens that are chosen".to_owned(),
        SystemError::Traffic(_) => "lower the rate of `traffic`, or take a kernel that ends sooner".to_owned(),
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
    simulate_within(loaded, &mut Control::default(), observe)
}

/// Runs points and systems until one of them is stopped; those after it are not run.
pub fn simulate_within(
    loaded: &Loaded,
    control: &mut Control<'_>,
    observe: &mut Observe<'_>,
) -> Result<RunReport, RunError> {
    let report = RunReport {
        scenario: loaded.name.clone(),
        scenario_sha256: loaded.sha256.clone(),
        seed: (loaded.points.first().map(|(_, scenario)| scenario.seed))
            .or(loaded.kernels.first().map(|(_, scenario)| scenario.seed))
            .unwrap_or(1),
        ..RunReport::default()
    };
    let of_models = loaded.points.iter().map(|(_, scenario)| scenario.systems.len());
    let all = of_models.chain(loaded.kernels.iter().map(|(_, scenario)| scenario.systems.len())).sum();
    let mut runner = Runner { loaded, control, observe, report, events: 0, place: (0, all) };
    for (keys, scenario) in &loaded.points {
        let systems = runner.point(scenario, &written(keys))?;
        runner.add(keys, systems);
    }
    for (keys, scenario) in &loaded.kernels {
        let systems = runner.kernels(scenario, &written(keys))?;
        runner.add(keys, systems);
    }
    Ok(runner.report)
}

/// The keys of a point of a sweep, for people.
pub(crate) fn written(keys: &[(String, serde_json::Value)]) -> String {
    let keys: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={}", plain(value))).collect();
    keys.join(" ")
}

/// A value of a sweep without quotes.
fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A system's name, and its point where there is a sweep.
fn named(system: &str, at: &str) -> String {
    if at.is_empty() { system.to_owned() } else { format!("{system} {at}") }
}

/// Runs one system, and tells how far it is.
type Simulate<'a> = dyn FnMut(Conduct<'_>, &mut dyn FnMut(u64, Progress)) -> Result<Outcome, SystemError> + 'a;

/// A run as it goes from system to system.
struct Runner<'a, 'c> {
    loaded: &'a Loaded,
    control: &'a mut Control<'c>,
    observe: &'a mut Observe<'a>,
    report: RunReport,
    /// Messages delivered so far, which the limit on them counts.
    events: u64,
    /// The how manieth system it is, of how many.
    place: (usize, usize),
}

impl Runner<'_, '_> {
    /// Adds the reports of a point.
    fn add(&mut self, keys: &[(String, serde_json::Value)], systems: Vec<SystemReport>) {
        if self.loaded.sweep.is_empty() {
            self.report.systems = systems;
        } else if !systems.is_empty() {
            self.report.points.push(PointReport { keys: keys.to_vec(), systems });
        }
    }

    /// A kernel on all of its devices.
    fn kernels(&mut self, scenario: &KernelScenario, at: &str) -> Result<Vec<SystemReport>, RunError> {
        let mut systems = Vec::new();
        for spec in &scenario.systems {
            if let Some(stopped) = &mut self.report.stopped {
                stopped.not_run.push(named(&spec.name, at));
                continue;
            }
            let report = self.one(&spec.name, at, &mut |conduct, progress| {
                kernel_run::simulate(spec, &scenario.work, scenario.seed, conduct, progress)
            })?;
            systems.push(report);
        }
        Ok(systems)
    }

    fn point(&mut self, scenario: &Scenario, at: &str) -> Result<Vec<SystemReport>, RunError> {
        if let Some(stopped) = &mut self.report.stopped {
            stopped.not_run.extend(scenario.systems.iter().map(|spec| named(&spec.name, at)));
            return Ok(Vec::new());
        }
        let in_model = |message: String| Box::new(ScenarioError::in_model(&scenario.model.path_shown, message));
        let mut model = ModelConfig::from_json(&scenario.model.text).map_err(|error| in_model(error.to_string()))?;
        model.layers = scenario.layers.unwrap_or(model.layers);
        if let Some(window) = model.sliding_window.filter(|window| *window < scenario.workload.context) {
            let context = scenario.workload.context;
            return Err(in_model(format!(
                "`sliding_window` is {window}, less than the context of {context}; sliding windows are not simulated in \
                 this version: lower the context, or remove the key to attend to all tokens"
            ))
            .into());
        }
        let job = Job { model: &model, dtype_bytes: scenario.dtype.bytes(), workload: &scenario.workload };
        // Before anything is simulated: what does not go together is refused at once.
        let accuracies = self.accuracies(scenario, &model, at)?;
        let mut systems = Vec::new();
        for (spec, accuracy) in scenario.systems.iter().zip(accuracies) {
            if let Some(stopped) = &mut self.report.stopped {
                stopped.not_run.push(named(&spec.name, at));
            } else {
                systems.push(self.system(spec, &job, scenario.seed, (at, accuracy))?);
            }
        }
        Ok(systems)
    }

    /// What each system's codec does to attention; nothing where the scenario does not ask.
    fn accuracies(
        &self,
        scenario: &Scenario,
        model: &ModelConfig,
        at: &str,
    ) -> Result<Vec<Option<Accuracy>>, RunError> {
        let Some(choice) = &scenario.accuracy else { return Ok(vec![None; scenario.systems.len()]) };
        let mut accuracies = Accuracies::new(choice);
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let of = |spec: &SystemSpec| {
            let measured = accuracies.of(spec.kv.codec.text(), model.head_dim, threads);
            measured.map(Some).map_err(|source| RunError::Accuracy {
                path: self.loaded.path.clone(),
                system: spec.name.clone(),
                at: at.to_owned(),
                source: Box::new(source),
            })
        };
        scenario.systems.iter().map(of).collect()
    }

    fn system(
        &mut self,
        spec: &SystemSpec,
        job: &Job<'_>,
        seed: u64,
        (at, accuracy): (&str, Option<Accuracy>),
    ) -> Result<SystemReport, RunError> {
        self.one(&spec.name, at, &mut |conduct, progress| {
            let outcome = system::simulate(spec, job, seed, conduct, progress);
            outcome.map(|outcome| Outcome {
                input: SystemInput { accuracy: accuracy.clone(), ..outcome.input },
                ..outcome
            })
        })
    }

    /// Runs a system and reports it.
    fn one(&mut self, name: &str, at: &str, simulate: &mut Simulate<'_>) -> Result<SystemReport, RunError> {
        self.place.0 += 1;
        let limits = self.control.limits(self.events);
        let conduct = Conduct { limits: &limits, threads: self.control.threads(), commands: self.control.commands };
        let (control, place) = (&mut *self.control, self.place);
        let mut progress = |tasks, progress| {
            control.tell(&Standing { system: name, point: at, place, tasks, progress });
        };
        let outcome = simulate(conduct, &mut progress).map_err(|source| RunError::System {
            path: self.loaded.path.clone(),
            system: name.to_owned(),
            at: at.to_owned(),
            remedy: remedy(&source),
            source: Box::new(source),
        })?;
        self.events += outcome.input.events;
        for assumption in outcome.assumptions {
            if !self.report.assumptions.contains(&assumption) {
                self.report.assumptions.push(assumption);
            }
        }
        if let (Some(limit), Some(time)) = (outcome.stopped, outcome.input.stopped) {
            self.report.stopped = Some(Stopped {
                why: self.control.why(limit),
                system: name.to_owned(),
                point: (!self.loaded.sweep.is_empty()).then(|| at.to_owned()),
                at: time,
                not_run: Vec::new(),
            });
        }
        let report = reports::analyse(&outcome.input)?;
        check_laws(&outcome.input, &report)?;
        (self.observe)(at, outcome.input, &report)?;
        Ok(report)
    }
}

/// Laws 4 and 5 on what was run; law 1 is checked where the breakdown is made.
fn check_laws(input: &SystemInput, report: &SystemReport) -> Result<(), ReportError> {
    // Jobs that no token waits for may end later: what brings the prompts' K and V home where nothing is decoded.
    let tokens = report.prefill.as_ref().map(reports::PrefillReport::latency).into_iter();
    let tokens = tokens.chain(report.step_latency.iter().copied()).sum();
    let homed = report.prefill.as_ref().map_or(Time::ZERO, |prefill| prefill.done);
    let elapsed = input.stopped.unwrap_or_else(|| homed.max(tokens));
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
pub fn run_to_files(loaded: &Loaded, outputs: &Outputs) -> Result<(RunReport, Vec<Executed>), RunError> {
    run_to_files_within(loaded, outputs, &mut Control::default(), &|_| None)
}

/// What run.json says of a run whose systems were executed so; `None` for no run.json.
pub type Describe<'a> = dyn Fn(&[Executed]) -> Option<RunInfo> + 'a;

/// [`run_to_files`] within limits. A run that is stopped leaves the files of what it has done, marked as partial.
pub fn run_to_files_within(
    loaded: &Loaded,
    outputs: &Outputs,
    control: &mut Control<'_>,
    describe: &Describe<'_>,
) -> Result<(RunReport, Vec<Executed>), RunError> {
    let failed = |source| RunError::Output { path: outputs.directory.clone(), source };
    let mut output = Output::prepare(&outputs.directory).map_err(failed)?;
    let no_spans = |source| output_error(outputs, "spans.csv", source);
    let file = output.create("spans.csv").map_err(no_spans)?;
    let mut writer = SpanWriter::new(std::io::BufWriter::new(file)).map_err(no_spans)?;
    let no_commands = |source| output_error(outputs, "commands.csv", source);
    let mut commands = None;
    if control.commands {
        let file = output.create("commands.csv").map_err(no_commands)?;
        commands = Some(CommandWriter::new(std::io::BufWriter::new(file)).map_err(no_commands)?);
    }

    // All spans are kept where they are drawn: a run's own, and a traced sweep's.
    let keep = loaded.sweep.is_empty() || outputs.trace;
    let mut kept: Vec<SystemInput> = Vec::new();
    let mut executed = Vec::new();
    let run = simulate_within(loaded, control, &mut |point, input, _| {
        writer.system(point, &input.name, &input.actors, &input.spans).map_err(no_spans)?;
        if let Some(writer) = &mut commands {
            writer.system(point, &input.name, &input.actors, &input.commands).map_err(no_commands)?;
        }
        let (system, point_of) = (input.name.clone(), point.to_owned());
        let execution = input.execution.clone();
        let (events, commands_left_out) = (input.events, input.commands.left_out);
        executed.push(Executed { system, point: point_of, events, execution, commands_left_out });
        if input.stopped.is_some() {
            output.write("spans-open.csv", |out| {
                let mut open = SpanWriter::new(out)?;
                open.system(point, &input.name, &input.actors, &input.open)?;
                open.finish()
            })?;
        }
        if keep {
            // Commands are written, and are the most of what there is.
            kept.push(SystemInput { name: named(&input.name, point), commands: Commands::default(), ..input });
        }
        Ok(())
    })?;
    writer.finish().map_err(no_spans)?;
    if let Some(writer) = commands {
        writer.finish().map_err(no_commands)?;
    }

    let reports: Vec<&SystemReport> =
        run.systems.iter().chain(run.points.iter().flat_map(|point| &point.systems)).collect();
    let systems: Vec<(&SystemInput, &SystemReport)> = kept.iter().zip(reports).collect();
    if outputs.trace {
        output.write("trace.json", |out| reports::perfetto::write(out, &systems))?;
    }
    let drawn: &[_] = if loaded.sweep.is_empty() { &systems } else { &[] };
    write_reports(&mut output, &run, drawn)?;
    if let Some(info) = describe(&executed) {
        output.write_text("run.json", &reports::run_info::to_json(&info))?;
    }
    output.commit(&OPTIONAL)?;
    Ok((run, executed))
}

/// The files that not every run has. What an earlier run left of them and this one does not write would not belong to its
/// summary.json.
pub(crate) const OPTIONAL: [&str; 12] = [
    "breakdown.svg",
    "latency.svg",
    "share.svg",
    "timeline.svg",
    "prefill.svg",
    "prefill-timeline.svg",
    "accuracy.svg",
    "energy.svg",
    "results.csv",
    "trace.json",
    "commands.csv",
    "spans-open.csv",
];

/// Writes what follows from the reports of all systems; `drawn` are those whose timelines are shown.
pub(crate) fn write_reports(
    output: &mut Output,
    run: &RunReport,
    drawn: &[(&SystemInput, &SystemReport)],
) -> Result<(), ReportError> {
    let decodes = run.systems.iter().any(SystemReport::decodes);
    let breakdown = decodes.then(|| reports::figure::breakdown::svg(&run.systems)).transpose()?;
    let share = reports::figure::share::svg(&run.points)?;
    let latency = reports::figure::latency::svg(&run.points)?;
    let timeline = (!drawn.is_empty() && decodes).then(|| reports::figure::timeline::svg(drawn)).transpose()?;
    let prompts = run.systems.iter().any(|system| system.prefill.is_some());
    let prefill = prompts.then(|| reports::figure::breakdown::prefill_svg(&run.systems)).transpose()?;
    let prompts_drawn = prompts && !drawn.is_empty();
    let prefill_timeline = prompts_drawn.then(|| reports::figure::timeline::prefill_svg(drawn)).transpose()?;
    let accuracy = reports::figure::accuracy::svg(&run.scenario, &run.systems, &run.points)?;
    let energy = reports::figure::energy::svg(&run.systems)?;
    let figures = Figures {
        energy: energy.as_deref(),
        breakdown: breakdown.as_deref(),
        share: share.as_deref(),
        latency: latency.as_deref(),
        timeline: timeline.as_deref(),
        prefill: prefill.as_deref(),
        prefill_timeline: prefill_timeline.as_deref(),
        accuracy: accuracy.as_deref(),
    };
    let page = reports::html::page(run, &figures);
    let results = (!run.points.is_empty()).then(|| reports::results::to_csv(&run.points));
    let optional = [
        ("breakdown.svg", &breakdown),
        ("latency.svg", &latency),
        ("share.svg", &share),
        ("timeline.svg", &timeline),
        ("prefill.svg", &prefill),
        ("prefill-timeline.svg", &prefill_timeline),
        ("accuracy.svg", &accuracy),
        ("energy.svg", &energy),
        ("results.csv", &results),
    ];
    for (name, text) in optional {
        if let Some(text) = text {
            output.write_text(name, text)?;
        }
    }
    output.write_text("report.html", &page)?;
    output.write_text("summary.json", &reports::summary::to_json(run))
}

fn output_error(outputs: &Outputs, name: &str, source: std::io::Error) -> ReportError {
    ReportError::File { path: outputs.directory.join(name), doing: "write", source }
}
