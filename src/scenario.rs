//! Scenarios: what a person writes, checked and resolved against the catalogue.
//!
//! TOML and JSON go through one schema, which is a table (`schema.rs`); [`json_schema()`] prints it. Values that are not
//! given have their defaults: dtype `fp16`, `workload.batch` and `workload.new_tokens` 1, seed 1, a graph dispatch, the host CPU `Xeon-8480+`,
//! the host link of the GPU's figure `host_link`, the PIM link of the device's figure `link`, a `kv` of fp16 in the GPU's
//! memory with one layer of prefetch, whose overflow goes to the host by whole sequences.
//!
//! `--set KEY=VALUE` and the keys of `[sweep]` are written alike: `workload.batch`; `kv.prefetch` for every system;
//! `system.NAME.kv.prefetch` or `system.0.kv.prefetch` for one of them. A `--set` of a swept key takes the place of its
//! sweep.
//!
//! ```
//! use pimscope::scenario::{Format, Scenario};
//!
//! let text = r#"
//!     [model]
//!     config = "llama-2-7b"
//!     [workload]
//!     batch = 16
//!     context = 4096
//!     [[system]]
//!     name = "offload"
//!     gpu = "H100"
//!     kv.home = "host"
//! "#;
//! let loaded = Scenario::from_text("example.toml", text, Format::Toml, &["workload.batch=8".into()])?;
//! let (_, scenario) = &loaded.points[0];
//! assert_eq!(scenario.workload.batch, 8);
//! assert_eq!(scenario.systems[0].gpu.entry.name, "H100-SXM-80GB");
//! assert_eq!(scenario.systems[0].host.link.name, "PCIe5x16");
//! # Ok::<(), pimscope::scenario::ScenarioError>(())
//! ```

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sim_core::Bytes;
use workloads::Lengths;

use crate::catalogue::Entry;
pub use crate::scenario::codec::CodecChoice;
use crate::scenario::document::Node;
use crate::scenario::error::Fault;
pub use crate::scenario::error::{Place, Problem, ScenarioError};
pub use crate::scenario::json_schema::json_schema;
pub use crate::scenario::kernel::{KernelScenario, KernelSystem, KernelTraffic, KernelWork};
use crate::scenario::models::Models;
pub use crate::scenario::models::{EMBEDDED_MODELS, ModelSource};
use crate::scenario::overrides::Axis;
pub use crate::scenario::words::{
    Attention, Dispatch, Dtype, Element, Execution, First, Gather, Home, KernelKind, KernelName, KernelSplit, Overflow,
    Pipeline, Placement, SpillUnit, TrafficPattern, Word, Words, WorkloadKind,
};

mod check;
mod codec;
mod document;
mod error;
mod file;
mod json_schema;
mod kernel;
mod models;
mod overrides;
pub mod quantity;
mod resolve;
mod schema;
#[cfg(test)]
mod tests;
mod words;

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        /// The scenarios that are built in, by name, with their text.
        pub const SHIPPED_SCENARIOS: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../scenarios/", $name, ".toml"))),)*];
    };
}

shipped![
    "aqpim/accuracy-latency",
    "aqpim/capacity-wall",
    "aqpim/communication-share",
    "aqpim/decode-latency",
    "aqpim/energy",
    "aqpim/lookup-rate",
    "aqpim/prefill-clustering",
    "cxl-pim",
    "offload-share",
    "pim-kernels",
    "pim-pool",
    "pim-traffic",
    "quickstart",
    "replaces",
];

/// One model and workload on one or more systems, resolved: every name looked up, every default filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// What it is called.
    pub name: String,
    /// Seed of every random stream.
    pub seed: u64,
    /// The model's configuration.
    pub model: ModelSource,
    /// How many of its layers are simulated; none for all.
    pub layers: Option<u32>,
    /// Type of weights, activations and KV cache.
    pub dtype: Dtype,
    /// What is computed.
    pub workload: Workload,
    /// The machines, in the order of the file.
    pub systems: Vec<SystemSpec>,
    /// Tensors on which the error of the systems' KV codecs is measured.
    pub accuracy: Option<AccuracyChoice>,
    /// The sweep that this is a point of: keys and values.
    pub sweep: Vec<(String, Vec<Value>)>,
    /// SHA-256 of the resolved point as canonical JSON, without its name and sweep.
    pub sha256: String,
}

/// What is computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// The kind of work.
    pub kind: WorkloadKind,
    /// Sequences that are decoded together.
    pub batch: u32,
    /// Cached tokens that the last step reads, in the longest sequence.
    pub context: u64,
    /// The same of each sequence, the oldest first: `batch` of them, the longest of `context`.
    pub lengths: Lengths,
    /// Decode steps, at most the tokens of the shortest sequence; none of a prefill alone.
    pub new_tokens: u32,
    /// Prompt tokens that go through a layer's kernels together; none for as many as fit.
    pub prefill_chunk: Option<u64>,
    /// Sequences whose prompts go from layer to layer together; none for as many as fit.
    pub prefill_batch: Option<u32>,
    /// Whether the context may exceed the trained length.
    pub beyond_trained_length: bool,
}

/// On what the error of KV codecs is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccuracyChoice {
    /// A file of tensors, or the name of built-in ones.
    pub tensors: String,
    /// Tokens that are stored; by default as many as the tensors allow.
    pub context: Option<usize>,
}

/// A machine.
#[derive(Clone, Debug, PartialEq)]
pub struct SystemSpec {
    /// Its name, which no other system of the scenario has.
    pub name: String,
    /// Who launches the kernels.
    pub dispatch: Dispatch,
    /// Sequences of a group that is computed by itself, at most the batch.
    pub pipeline_group: u32,
    /// How far.
    pub pipeline: Pipeline,
    /// The GPU.
    pub gpu: GpuChoice,
    /// The host.
    pub host: HostChoice,
    /// The PIM stacks, if there are any.
    pub pim: Option<PimChoice>,
    /// The KV cache.
    pub kv: KvChoice,
}

/// The GPU of a system.
#[derive(Clone, Debug, PartialEq)]
pub struct GpuChoice {
    /// Its figures. Capacity and bandwidth are those of the figure `hbm_stacks` stacks.
    pub entry: Entry,
    /// GPUs.
    pub count: u32,
    /// Memory stacks of this system's GPU, before PIM stacks replace any.
    pub hbm_stacks: u32,
}

/// The host of a system.
#[derive(Clone, Debug, PartialEq)]
pub struct HostChoice {
    /// The CPU's figures.
    pub cpu: Entry,
    /// The figures of the link between GPU and host.
    pub link: Entry,
}

/// The PIM stacks of a system.
#[derive(Clone, Debug, PartialEq)]
pub struct PimChoice {
    /// The device's figures.
    pub entry: Entry,
    /// Stacks. If they replace the GPU's, fewer than those.
    pub stacks: u32,
    /// How they join the GPU's own stacks.
    pub placement: Placement,
    /// The figures of the link to the GPU.
    pub link: Entry,
    /// Whether a CXL switch stands between.
    pub switch: bool,
    /// How their programs are simulated. Not part of the digest: the results are the same.
    pub execution: Execution,
}

/// The KV cache of a system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvChoice {
    /// How keys and values are kept.
    pub codec: CodecChoice,
    /// Where they live.
    pub home: Home,
    /// Who computes attention over them.
    pub attention: Attention,
    /// Layers that are fetched ahead.
    pub prefetch: u32,
    /// What happens to what does not fit.
    pub overflow: Overflow,
    /// What goes to the host as one piece.
    pub spill_unit: SpillUnit,
    /// Contiguous bytes of one copy; none for as much as the layout allows.
    pub block: Option<Bytes>,
    /// How chosen tokens come from the host.
    pub gather: Gather,
    /// Whether every query head reads the cache by itself.
    pub gqa_blind: bool,
}

/// A point of a sweep: its keys with their values (none without a sweep), and the scenario that they make.
pub type Point = (Vec<(String, Value)>, Scenario);

/// The same of a scenario of kernels.
pub type KernelPoint = (Vec<(String, Value)>, KernelScenario);

/// A scenario file with all its points.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The name, as the first point has it.
    pub name: String,
    /// The file, as it was named.
    pub path: PathBuf,
    /// The sweep: keys and values, the slowest first.
    pub sweep: Vec<(String, Vec<Value>)>,
    /// SHA-256 of the resolved scenario: that of its point, or of all its points where it sweeps.
    pub sha256: String,
    /// The points, of which there is one at least; the first key of the sweep varies slowest. None where the scenario is
    /// of kernels.
    pub points: Vec<Point>,
    /// The points of a scenario of kernels, likewise; none where it is of a model.
    pub kernels: Vec<KernelPoint>,
}

/// How a scenario is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Toml,
    /// For programs.
    Json,
}

impl Format {
    /// By the ending of the file; without one that says it, by the first character.
    fn guess(path: &Path, text: &str) -> Self {
        let ending = path.extension().unwrap_or_default();
        let is = |known: &str| ending.eq_ignore_ascii_case(known);
        if is("json") || (!is("toml") && text.trim_start().starts_with('{')) { Self::Json } else { Self::Toml }
    }
}

impl Scenario {
    /// Reads, checks and resolves a scenario file with the `--set` arguments of the command line. Where there is no such
    /// file, `quickstart`, `quickstart.toml` and `scenarios/quickstart.toml` name the built-in scenario.
    pub fn load(path: &Path, sets: &[String]) -> Result<Loaded, ScenarioError> {
        if let Some(text) = shipped(path).filter(|_| !path.exists()) {
            return read(path, text, Format::Toml, None, sets);
        }
        let text =
            file::read(path).map_err(|problem| ScenarioError::new(problem, Place::File { path: path.to_owned() }))?;
        // A bare file name has an empty folder, which is the working directory.
        let folder = path.parent().map(|folder| Path::new(".").join(folder));
        read(path, &text, Format::guess(path, &text), folder, sets)
    }

    /// The same for a text that is not in a file; `path` names it in messages, and its stem is the default name.
    pub fn from_text(path: &str, text: &str, format: Format, sets: &[String]) -> Result<Loaded, ScenarioError> {
        read(Path::new(path), text, format, None, sets)
    }
}

/// The built-in scenario that `path` names.
fn shipped(path: &Path) -> Option<&'static str> {
    let name = path.strip_prefix("scenarios").unwrap_or(path).to_str()?;
    let name = name.strip_suffix(".toml").unwrap_or(name);
    let (_, text) = SHIPPED_SCENARIOS.iter().find(|(known, _)| *known == name)?;
    Some(text)
}

fn read(
    path: &Path,
    text: &str,
    format: Format,
    folder: Option<PathBuf>,
    sets: &[String],
) -> Result<Loaded, ScenarioError> {
    points(path, text, format, folder, sets).map_err(|fault| ScenarioError::located(fault, path, text))
}

fn points(path: &Path, text: &str, format: Format, folder: Option<PathBuf>, sets: &[String]) -> Result<Loaded, Fault> {
    let mut root = match format {
        Format::Toml => document::from_toml(text)?,
        Format::Json => document::from_json(text)?,
    };
    let of_kernels = kernel::is_kernel(&root);
    let schema = if of_kernels { kernel::ROOT } else { schema::ROOT };
    for set in sets {
        overrides::set(schema, &mut root, set)?;
    }
    let axes = overrides::take_sweep(&mut root)?;
    let total = total(&axes)?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let mut models = Models::new(folder);
    let sweep: Vec<(String, Vec<Value>)> =
        axes.iter().map(|axis| (axis.key.clone(), axis.values.iter().map(Node::json).collect())).collect();
    let (mut points, mut kernels, mut digests) = (Vec::new(), Vec::new(), Vec::new());
    for index in 0..total {
        let mut document = root.clone();
        let mut keys = Vec::new();
        for (axis, value) in chosen(&axes, index) {
            overrides::apply(schema, &mut document, &axis.path, value, &axis.origin)?;
            keys.push((axis.key.clone(), value.json()));
        }
        let checked = check::check(schema, &document, "")?;
        if of_kernels {
            let scenario = kernel::resolve(&checked, &stem)?;
            digests.push((scenario.sha256.clone(), json!([keys, scenario.sha256])));
            kernels.push((keys, scenario));
            continue;
        }
        let mut scenario = resolve::resolve(&checked, &stem, &mut models)?;
        scenario.sweep.clone_from(&sweep);
        digests.push((scenario.sha256.clone(), json!([keys, scenario.sha256])));
        points.push((keys, scenario));
    }
    let sha256 = match digests.as_slice() {
        [(only, _)] if sweep.is_empty() => only.clone(),
        all => resolve::digest(&all.iter().map(|(_, point)| point.clone()).collect()),
    };
    let mut names = points.iter().map(|(_, point)| &point.name).chain(kernels.iter().map(|(_, point)| &point.name));
    Ok(Loaded {
        name: names.next().cloned().unwrap_or_default(),
        path: path.to_owned(),
        sweep,
        sha256,
        points,
        kernels,
    })
}

/// How many points a sweep has; one without a sweep.
fn total(axes: &[Axis]) -> Result<usize, Fault> {
    let mut total: usize = 1;
    for axis in axes {
        total = total.saturating_mul(axis.values.len());
        if total > schema::MOST_POINTS {
            let problem = Problem::Contradiction {
                message: format!("the sweep has more than {} points", schema::MOST_POINTS),
                remedy: "take fewer values, or split the sweep over several scenarios".to_owned(),
            };
            return Err(Fault::new(problem, axis.origin.clone()));
        }
    }
    Ok(total)
}

/// The value of each key at point `index`; the first key varies slowest.
fn chosen(axes: &[Axis], index: usize) -> impl Iterator<Item = (&Axis, &Node)> {
    let mut below: usize = axes.iter().map(|axis| axis.values.len()).product();
    axes.iter().filter_map(move |axis| {
        below /= axis.values.len().max(1);
        let value = axis.values.get(index / below.max(1) % axis.values.len().max(1))?;
        Some((axis, value))
    })
}

/// The name that a scenario's text gives itself; empty where it gives none.
pub fn title(text: &str) -> String {
    let name = document::from_toml(text).ok().and_then(|root| match root.get("name")?.value {
        document::Value::Text(ref name) => Some(name.clone()),
        _ => None,
    });
    name.unwrap_or_default()
}
