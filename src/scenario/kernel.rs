//! Scenarios of kind `pim-kernel`: one kernel on PIM devices, without a model, a GPU or a host.
//!
//! They have a schema of their own, [`ROOT`], which [`is_kernel`] chooses by `workload.kind`. What a device can do is a
//! line of [`DEVICES`], what a kernel needs one of [`KERNELS`].

use serde_json::{Value as Json, json};
use sim_core::Rate;

use crate::catalogue::{Catalogue, Entry, Kind, Shape};
use crate::scenario::check::Checked;
use crate::scenario::document::{Node, Value};
use crate::scenario::error::{Fault, Problem};
use crate::scenario::quantity::{Dimension, Quantity};
use crate::scenario::resolve::{contradiction, device, digest, sorted, with_overrides};
use crate::scenario::schema::{Fallback, Field, Presence, ROOT as DECODE, Section, Takes, field, integer};
use crate::scenario::words::{Element, Execution, First, KernelKind, KernelName, KernelSplit, TrafficPattern, Words};
use crate::system::kernel_run;

/// The word of `workload.kind` that makes a scenario one of these.
const KIND: &str = "pim-kernel";

/// Whether a document is a scenario of this kind.
pub(super) fn is_kernel(root: &Node) -> bool {
    let kind = root.get("workload").and_then(|workload| workload.get("kind"));
    kind.is_some_and(|kind| matches!(&kind.value, Value::Text(text) if text == KIND))
}

/// Sizes: far above any model, and small enough that their products fit.
const MOST: u64 = 1 << 24;

const fn size(key: &'static str, doc: &'static str) -> Field {
    field(key, integer(1, MOST), Fallback::Depends("none; required by the kernels that have it"), doc)
}

/// The whole scenario.
pub(crate) const ROOT: &Section = &Section {
    key: "",
    doc: "A scenario of one kernel on PIM devices.",
    presence: Presence::Required,
    shorthand: None,
    fields: DECODE.fields,
    sections: &[WORKLOAD, SYSTEM],
    figures: None,
};

const WORKLOAD: Section = Section {
    key: "workload",
    doc: "What is computed.",
    presence: Presence::Required,
    shorthand: None,
    fields: &[
        field("kind", Takes::Word(KernelKind::WORDS), Fallback::Required, "The kind of work."),
        field("kernel", Takes::Word(KernelName::WORDS), Fallback::Required, "The kernel."),
        field(
            "dtype",
            Takes::Word(Element::WORDS),
            Fallback::Depends("of each device, the first that it can do"),
            "Type of the elements.",
        ),
        size("outputs", "Rows of the matrix of `gemv` and `gemv-tree`."),
        size("inputs", "Columns of that matrix."),
        field(
            "batch",
            integer(1, 4096),
            Fallback::Depends("1"),
            "Vectors of `gemv` and `gemv-tree`, sequences of `attention`.",
        ),
        field(
            "elements",
            integer(1, 1 << 32),
            Fallback::Depends("none; required by the kernels that have it"),
            "Elements of each vector of `add`, `mul` and `relu`.",
        ),
        size("context", "Tokens that `attention` and `block` attend to, the new one included."),
        size("head_dim", "Elements of a head of `attention` and `block`."),
        size("heads", "Query heads of `attention` and `block`."),
        field(
            "kv_heads",
            integer(1, MOST),
            Fallback::Depends("`heads`"),
            "Heads of keys and values of `attention` and `block`, a divisor of `heads`.",
        ),
        field(
            "split",
            Takes::Word(KernelSplit::WORDS),
            Fallback::Depends("`channels`"),
            "How `attention` is dealt to channels.",
        ),
        size("hidden", "Width of the residual stream of `block`."),
        size("ffn", "Width of the feed-forward network of `block`."),
        field(
            "block_channels",
            integer(1, 1 << 12),
            Fallback::Depends("all of the device"),
            "Channels that a `block` has to itself; the device runs as many blocks as fit.",
        ),
        field(
            "bytes",
            Takes::Plain(Shape::Quantity { dimension: Dimension::Bytes, zero: false }),
            Fallback::Depends("none; required by the kernels that have it"),
            "What `write` and `read` move, rounded up to whole rows of all banks.",
        ),
    ],
    sections: &[],
    figures: None,
};

const SYSTEM: Section = Section {
    key: "system",
    doc: "A PIM device to run on.",
    presence: Presence::Repeated,
    shorthand: None,
    fields: &[field(
        "name",
        Takes::Name,
        Fallback::Required,
        "What the system is called in reports; no two have the same.",
    )],
    sections: &[
        Section {
            key: "pim",
            doc: "The device. Figures of HBM3 devices can be overridden here.",
            presence: Presence::Required,
            shorthand: Some("device"),
            fields: &[
                field("device", Takes::Text, Fallback::Required, "Its name in `pimscope list pim`."),
                field("stacks", integer(1, 64), Fallback::Integer(1), "How many; one of gddr6-aim."),
                field(
                    "execution",
                    Takes::Word(Execution::WORDS),
                    Fallback::Text("fast"),
                    "How programs of HBM3 devices are simulated; the results are the same.",
                ),
            ],
            sections: &[],
            figures: Some(Kind::Pim),
        },
        TRAFFIC,
    ],
    figures: None,
};

const TRAFFIC: Section = Section {
    key: "traffic",
    doc: "Ordinary requests of 32 B that come to an HBM3 device while the kernel runs. They share banks, buses and refresh with it.",
    presence: Presence::Optional,
    shorthand: None,
    fields: &[
        field(
            "rate",
            Takes::Plain(Shape::Quantity { dimension: Dimension::Bandwidth, zero: false }),
            Fallback::Required,
            "Bytes per second to all channels together; requests come evenly.",
        ),
        field("pattern", Takes::Word(TrafficPattern::WORDS), Fallback::Text("random"), "Where they go."),
        field(
            "first",
            Takes::Word(First::WORDS),
            Fallback::Text("kernel"),
            "Who goes first where both wait for a channel: `kernel`, or `requests`, 32 of them at most.",
        ),
    ],
    sections: &[],
    figures: None,
};

/// The sizes of a kernel: those that it needs, and those that it can do without.
const KERNELS: &[(KernelName, &[&str], &[&str])] = &[
    (KernelName::Gemv, &["outputs", "inputs"], &["batch"]),
    (KernelName::GemvTree, &["outputs", "inputs"], &["batch"]),
    (KernelName::Attention, &["context", "head_dim", "heads"], &["kv_heads", "batch", "split"]),
    (KernelName::Add, &["elements"], &[]),
    (KernelName::Mul, &["elements"], &[]),
    (KernelName::Relu, &["elements"], &[]),
    (KernelName::Block, &["hidden", "ffn", "heads", "head_dim", "context"], &["kv_heads", "block_channels"]),
    (KernelName::Write, &["bytes"], &[]),
    (KernelName::Read, &["bytes"], &[]),
];

/// What the HBM3 devices do.
const HBM3: (&[KernelName], &[Element]) = (
    &[KernelName::Gemv, KernelName::Attention, KernelName::Write, KernelName::Read],
    &[Element::Fp16, Element::Bf16, Element::Int8],
);

/// A device's kernels and types, the first type being its default.
type Ability = (&'static str, &'static [KernelName], &'static [Element]);

/// What each device does.
const DEVICES: &[Ability] = &[
    ("hbm3-pim-bank", HBM3.0, HBM3.1),
    ("hbm3-pim-bg", HBM3.0, HBM3.1),
    ("hbm3-pim-buffer", HBM3.0, HBM3.1),
    ("hbm3-aqpim", HBM3.0, HBM3.1),
    (
        "hbm2-pim",
        &[KernelName::Gemv, KernelName::GemvTree, KernelName::Add, KernelName::Mul, KernelName::Relu],
        &[Element::Fp16],
    ),
    ("gddr6-aim", &[KernelName::Gemv, KernelName::Block], &[Element::Bf16]),
];

/// A kernel and its sizes. What it does not have is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelWork {
    /// Which.
    pub kernel: KernelName,
    /// Rows and columns of a matrix.
    pub outputs: u64,
    /// Its columns.
    pub inputs: u64,
    /// Vectors or sequences.
    pub batch: u64,
    /// Elements of a vector.
    pub elements: u64,
    /// Tokens.
    pub context: u64,
    /// Elements of a head.
    pub head_dim: u64,
    /// Query heads.
    pub heads: u64,
    /// Heads of keys and values.
    pub kv_heads: u64,
    /// How attention is dealt to channels.
    pub split: KernelSplit,
    /// Width of the residual stream.
    pub hidden: u64,
    /// Width of the feed-forward network.
    pub ffn: u64,
    /// Channels of a block; `None` for all.
    pub block_channels: Option<u64>,
    /// Bytes to move.
    pub bytes: u64,
}

/// A device that runs the kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelSystem {
    /// Its name, which no other system of the scenario has.
    pub name: String,
    /// The device's figures.
    pub entry: Entry,
    /// Stacks.
    pub stacks: u32,
    /// Type of the elements.
    pub dtype: Element,
    /// How programs are simulated.
    pub execution: Execution,
    /// Ordinary requests beside the kernel.
    pub traffic: Option<KernelTraffic>,
}

/// Ordinary requests beside a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelTraffic {
    /// Bytes per second to all channels.
    pub rate: Rate,
    /// Where they go.
    pub pattern: TrafficPattern,
    /// Who goes first.
    pub first: First,
}

/// One kernel on one or more devices, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelScenario {
    /// What it is called.
    pub name: String,
    /// Seed of every random stream.
    pub seed: u64,
    /// The kernel.
    pub work: KernelWork,
    /// The devices, in the order of the file.
    pub systems: Vec<KernelSystem>,
    /// SHA-256 of the resolved point as canonical JSON, without its name and sweep.
    pub sha256: String,
}

/// Makes the scenario of one point.
pub(super) fn resolve(root: &Checked, stem: &str) -> Result<KernelScenario, Fault> {
    let workload = root.need("workload")?;
    let work = work(workload)?;
    let mut systems: Vec<KernelSystem> = Vec::new();
    for (index, section) in root.sections("system").enumerate() {
        let system = system(section, workload, &work)?;
        if let Some(first) = systems.iter().position(|other| other.name == system.name) {
            return Err(contradiction(
                section,
                "name",
                format!("systems {first} and {index} are both called `{}`", system.name),
                "give every system a name of its own".to_owned(),
            ));
        }
        // What the device's own model refuses is refused here, where the key is known.
        kernel_run::Prepared::new(&system, &work).map_err(|refused| {
            let message = format!("system `{}`: {}", system.name, refused.message);
            contradiction(workload, refused.key, message, refused.remedy)
        })?;
        systems.push(system);
    }
    let mut scenario = KernelScenario {
        name: root.text("name").unwrap_or(stem).to_owned(),
        seed: root.integer("seed")?,
        work,
        systems,
        sha256: String::new(),
    };
    scenario.sha256 = digest(&canonical(&scenario));
    Ok(scenario)
}

fn work(section: &Checked) -> Result<KernelWork, Fault> {
    let kernel: KernelName = section.word("kernel")?;
    let (_, needed, also) = *KERNELS
        .iter()
        .find(|(name, ..)| *name == kernel)
        .ok_or_else(|| Fault::new(Problem::Defect { key: "kernel" }, section.origin.clone()))?;
    for field in WORKLOAD.fields {
        let key = field.key;
        let given = section.has(key);
        if needed.contains(&key) && !given {
            let remedy = format!("`{kernel}` needs {}: {}", list(needed), field.doc);
            let problem = Problem::Missing { key: key.to_owned(), section: section.path.clone(), remedy };
            return Err(Fault::new(problem, section.origin.clone()));
        }
        let known = ["kind", "kernel", "dtype"].contains(&key) || needed.contains(&key) || also.contains(&key);
        if given && !known {
            let sizes: Vec<&str> = needed.iter().chain(also).copied().collect();
            return Err(contradiction(
                section,
                key,
                format!("`{}` means nothing for the kernel `{kernel}`", section.path_of(key)),
                format!("its keys: {}", list(&sizes)),
            ));
        }
    }
    let number = |key| section.maybe_integer(key).unwrap_or(0);
    let work = KernelWork {
        kernel,
        outputs: number("outputs"),
        inputs: number("inputs"),
        batch: section.maybe_integer("batch").unwrap_or(1),
        elements: number("elements"),
        context: number("context"),
        head_dim: number("head_dim"),
        heads: number("heads"),
        kv_heads: section.maybe_integer("kv_heads").unwrap_or_else(|| number("heads")),
        split: section.maybe_word("split").unwrap_or(KernelSplit::Channels),
        hidden: number("hidden"),
        ffn: number("ffn"),
        block_channels: section.maybe_integer("block_channels"),
        bytes: match section.quantity("bytes") {
            Some(Quantity::Bytes(bytes)) => bytes.0,
            _ => 0,
        },
    };
    if work.heads > 0 && !work.heads.is_multiple_of(work.kv_heads) {
        return Err(contradiction(
            section,
            "kv_heads",
            format!("`kv_heads` is {}, which does not divide the {} heads", work.kv_heads, work.heads),
            "each head of keys and values serves as many query heads: take a divisor".to_owned(),
        ));
    }
    Ok(work)
}

fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn words<W: Words>(words: &[W]) -> String {
    words.iter().map(|word| word.word()).collect::<Vec<_>>().join(", ")
}

fn system(section: &Checked, workload: &Checked, work: &KernelWork) -> Result<KernelSystem, Fault> {
    let pim = section.need("pim")?;
    let found = Catalogue::embedded().find(Kind::Pim, pim.text("device").unwrap_or_default());
    let entry = found.map_err(|unknown| Fault::new(Problem::UnknownDevice { unknown }, pim.origin_of("device")))?;
    let ability = DEVICES.iter().find(|(name, ..)| *name == entry.name);
    let &(name, kernels, types) =
        ability.ok_or_else(|| Fault::new(Problem::Defect { key: "device" }, pim.origin.clone()))?;
    if !kernels.contains(&work.kernel) {
        let able = DEVICES.iter().filter(|(_, kernels, _)| kernels.contains(&work.kernel)).map(|(name, ..)| *name);
        return Err(contradiction(
            pim,
            "device",
            format!("`{name}` has no kernel `{}`", work.kernel),
            format!(
                "its kernels: {}; devices with `{}`: {}",
                words(kernels),
                work.kernel,
                list(&able.collect::<Vec<_>>())
            ),
        ));
    }
    let dtype = match workload.maybe_word("dtype") {
        None => *types.first().unwrap_or(&Element::Fp16),
        Some(dtype) if types.contains(&dtype) => dtype,
        Some(dtype) => {
            return Err(contradiction(
                workload,
                "dtype",
                format!("`{name}` does not compute in {dtype}"),
                format!("it computes in {}; without `dtype` each device has its own", words(types)),
            ));
        }
    };
    if let (Some(figure), None) = (pim.figures().first(), pim_device::DeviceSpec::by_name(name)) {
        let problem = Problem::Contradiction {
            message: format!("`{}` means nothing for `{name}`, whose figures are fixed", pim.path_of(figure.field.key)),
            remedy: "leave it out".to_owned(),
        };
        return Err(Fault::new(problem, figure.origin.clone()));
    }
    let stacks = pim.small("stacks")?;
    if name == "gddr6-aim" && stacks != 1 {
        return Err(contradiction(
            pim,
            "stacks",
            format!("`{name}` is one device of 32 channels with one dispatcher, and `stacks` is {stacks}"),
            "leave `stacks` out".to_owned(),
        ));
    }
    let traffic = section.section("traffic").map(|traffic| self::traffic(traffic, name)).transpose()?;
    Ok(KernelSystem {
        traffic,
        name: section.text("name").unwrap_or_default().to_owned(),
        entry: with_overrides(entry, pim)?,
        stacks,
        dtype,
        execution: pim.word("execution")?,
    })
}

fn traffic(section: &Checked, device: &str) -> Result<KernelTraffic, Fault> {
    if pim_device::DeviceSpec::by_name(device).is_none() {
        return Err(contradiction(
            section,
            "rate",
            format!("`{device}` has no model of ordinary requests beside its kernels"),
            "leave `traffic` out, or take an HBM3 device".to_owned(),
        ));
    }
    let Some(Quantity::Bandwidth(rate)) = section.quantity("rate") else {
        return Err(Fault::new(Problem::Defect { key: "rate" }, section.origin.clone()));
    };
    Ok(KernelTraffic { rate, pattern: section.word("pattern")?, first: section.word("first")? })
}

/// The resolved scenario as JSON with sorted keys, defaults filled in. The execution is left out: it changes no result.
fn canonical(scenario: &KernelScenario) -> Json {
    let work = &scenario.work;
    let systems: Vec<Json> = scenario
        .systems
        .iter()
        .map(|system| {
            json!({
                "name": system.name,
                "pim": { "device": device(&system.entry), "stacks": system.stacks },
                "dtype": system.dtype.word(),
                "traffic": system.traffic.map(|traffic| json!({
                    "rate": traffic.rate.0,
                    "pattern": traffic.pattern.word(),
                    "first": traffic.first.word(),
                })),
            })
        })
        .collect();
    sorted(json!({
        "seed": scenario.seed,
        "workload": {
            "kind": KIND,
            "kernel": work.kernel.word(),
            "outputs": work.outputs,
            "inputs": work.inputs,
            "batch": work.batch,
            "elements": work.elements,
            "context": work.context,
            "head_dim": work.head_dim,
            "heads": work.heads,
            "kv_heads": work.kv_heads,
            "split": work.split.word(),
            "hidden": work.hidden,
            "ffn": work.ffn,
            "block_channels": work.block_channels,
            "bytes": work.bytes,
        },
        "system": systems,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_of_the_catalogue_has_a_line() {
        let names: Vec<&str> = Catalogue::embedded().of(Kind::Pim).map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, DEVICES.iter().map(|(name, ..)| *name).collect::<Vec<_>>());
    }

    #[test]
    fn every_kernel_has_a_line_and_a_device() {
        for word in KernelName::WORDS {
            let name = KernelName::from_word(word.word).unwrap();
            assert!(KERNELS.iter().any(|(kernel, ..)| *kernel == name), "{name}");
            assert!(DEVICES.iter().any(|(_, kernels, _)| kernels.contains(&name)), "{name}");
        }
    }

    #[test]
    fn every_size_is_a_key() {
        for key in KERNELS.iter().flat_map(|(_, needed, also)| needed.iter().chain(*also)) {
            assert!(WORKLOAD.find(key).is_some(), "{key}");
        }
    }
}
