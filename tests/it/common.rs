//! Runs that more than one module looks at, and the binary as a user starts it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use pimscope::run::{Outputs, RunError, run_to_files, simulate};
use pimscope::scenario::{Format, Loaded, Scenario};
use reports::{RunReport, Span, SystemInput, SystemReport};
use tempfile::TempDir;

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One system at one point of a scenario: what the simulation left and what was made of it.
#[derive(Debug)]
pub(crate) struct SystemRun {
    /// The point of the sweep; empty without one.
    pub(crate) point: String,
    pub(crate) input: SystemInput,
    pub(crate) report: SystemReport,
}

/// A finished run with all its spans.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) loaded: Loaded,
    pub(crate) systems: Vec<SystemRun>,
    pub(crate) report: RunReport,
}

impl Run {
    /// The first system of this name.
    #[track_caller]
    pub(crate) fn system(&self, name: &str) -> &SystemRun {
        self.systems.iter().find(|run| run.input.name == name).unwrap()
    }
}

/// Runs everything in memory.
pub(crate) fn try_run(loaded: Loaded) -> Result<Run, RunError> {
    let mut systems = Vec::new();
    let report = simulate(&loaded, &mut |point, input, report| {
        systems.push(SystemRun { point: point.to_owned(), input, report: report.clone() });
        Ok(())
    })?;
    Ok(Run { loaded, systems, report })
}

fn sets(sets: &[&str]) -> Vec<String> {
    sets.iter().map(|&set| set.to_owned()).collect()
}

/// A scenario of `scenarios/` with `--set` arguments.
#[track_caller]
pub(crate) fn load(name: &str, overrides: &[&str]) -> Loaded {
    Scenario::load(&root().join(format!("scenarios/{name}.toml")), &sets(overrides)).unwrap()
}

/// A scenario that is written in a test.
#[track_caller]
pub(crate) fn load_text(text: &str, overrides: &[&str]) -> Loaded {
    Scenario::from_text("test.toml", text, Format::Toml, &sets(overrides)).unwrap()
}

/// A shipped scenario as it is, run once for all tests.
pub(crate) fn shipped(name: &str) -> &'static Run {
    static RUNS: [(&str, OnceLock<Run>); 14] = [
        ("aqpim/accuracy-latency", OnceLock::new()),
        ("aqpim/capacity-wall", OnceLock::new()),
        ("aqpim/communication-share", OnceLock::new()),
        ("aqpim/decode-latency", OnceLock::new()),
        ("aqpim/energy", OnceLock::new()),
        ("aqpim/lookup-rate", OnceLock::new()),
        ("aqpim/prefill-clustering", OnceLock::new()),
        ("quickstart", OnceLock::new()),
        ("offload-share", OnceLock::new()),
        ("cxl-pim", OnceLock::new()),
        ("replaces", OnceLock::new()),
        ("pim-pool", OnceLock::new()),
        ("pim-kernels", OnceLock::new()),
        ("pim-traffic", OnceLock::new()),
    ];
    let (_, run) = RUNS.iter().find(|(known, _)| *known == name).expect("a scenario that RUNS lists");
    run.get_or_init(|| try_run(load(name, &[])).unwrap())
}

/// The names of the files in scenarios/ and the folders in it, without their ending, in order.
pub(crate) fn scenario_names() -> Vec<String> {
    let folder = root().join("scenarios");
    let files = tree(&folder).into_iter().filter(|path| path.is_file());
    files.map(|path| path.strip_prefix(&folder).unwrap().with_extension("").to_string_lossy().into_owned()).collect()
}

/// The directory that the quick start writes with a trace, written once for all tests.
pub(crate) fn quickstart_files() -> &'static Path {
    static FILES: OnceLock<TempDir> = OnceLock::new();
    FILES.get_or_init(|| to_files(&load("quickstart", &[]))).path()
}

/// Runs a scenario with a trace into a new directory.
#[track_caller]
pub(crate) fn to_files(loaded: &Loaded) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    run_to_files(loaded, &Outputs { directory: directory.path().to_owned(), trace: true }).unwrap();
    directory
}

/// Runs the binary with `--out out`, which must refuse with all that is `wanted` and write nothing.
#[track_caller]
pub(crate) fn check_run_refused(directory: &Path, arguments: &[&str], wanted: &[&str]) {
    let output = pimscope(directory, arguments, None);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(output.stdout.is_empty() && !directory.join("out").exists());
    // Lines are folded to the width of a terminal; what is looked for is not.
    let flat = message.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
    for wanted in wanted {
        assert!(flat.contains(wanted), "`{wanted}` is not in\n{message}");
    }
}

/// Spans of one kind.
pub(crate) fn of_kind<'a>(spans: &'a [Span], kind: &'a str) -> impl Iterator<Item = &'a Span> {
    spans.iter().filter(move |span| span.kind == kind)
}

/// The four kinds of systems on a model of 135 million parameters: fast, and the one scenario of most tests.
pub(crate) const SMALL: &str = r#"
    name = "small"
    [model]
    config = "smollm2-135m-instruct"
    [workload]
    batch = 4
    context = 1024
    new_tokens = 2
    [[system]]
    name = "gpu"
    gpu = "H100-SXM-80GB"
    kv = { home = "gpu" }
    [[system]]
    name = "gpu-offload"
    gpu = "H100-SXM-80GB"
    kv = { home = "host", prefetch = 1 }
    [[system]]
    name = "cpu-attention"
    gpu = "H100-SXM-80GB"
    kv = { home = "host", attention = "cpu" }
    [[system]]
    name = "attacc"
    gpu = "H100-SXM-80GB"
    pim = { device = "hbm3-pim-bank", stacks = 1 }
    kv = { home = "pim" }
"#;

/// The real binary, in `directory`, with nothing of the caller's environment that could change its output.
pub(crate) fn pimscope(directory: &Path, arguments: &[&str], log: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pimscope"));
    command.current_dir(directory).args(arguments).env_clear().env("LANG", "C.UTF-8").env("NO_COLOR", "1");
    if let Some(log) = log {
        command.env("RUST_LOG", log);
    }
    command.output().unwrap()
}

/// Everything below a directory, in order.
pub(crate) fn tree(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path.clone());
            }
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Every file of two runs.
#[track_caller]
pub(crate) fn check_same(one: &Path, other: &Path) {
    let names = |directory: &Path| -> Vec<_> {
        tree(directory).iter().map(|path| path.strip_prefix(directory).unwrap().to_owned()).collect()
    };
    assert_eq!(names(one), names(other));
    for name in names(one) {
        assert!(
            std::fs::read(one.join(&name)).unwrap() == std::fs::read(other.join(&name)).unwrap(),
            "{} differs",
            name.display()
        );
    }
}
