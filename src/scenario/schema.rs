//! The schema of a scenario as data. Checking, defaults, the JSON Schema and the list of keys all come from here.

use crate::catalogue::{FigureField, Kind, Shape};
use crate::scenario::quantity::Dimension;
use crate::scenario::words::{
    Attention, Dispatch, Dtype, Execution, Gather, Home, Overflow, Pipeline, Placement, SpillUnit, Word, Words,
    WorkloadKind,
};

/// A table of a scenario.
#[derive(Debug)]
pub(crate) struct Section {
    /// Its key in the section above.
    pub(crate) key: &'static str,
    /// What it is about.
    pub(crate) doc: &'static str,
    /// What happens when it is not there.
    pub(crate) presence: Presence,
    /// The field that a plain text in its place stands for.
    pub(crate) shorthand: Option<&'static str>,
    /// Its fields.
    pub(crate) fields: &'static [Field],
    /// The tables in it.
    pub(crate) sections: &'static [Section],
    /// The devices whose figures can be overridden in it.
    pub(crate) figures: Option<Kind>,
}

/// Whether a section has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It must be.
    Required,
    /// Without it, its fields have their defaults.
    Defaulted,
    /// Without it, the thing that it describes is not there.
    Optional,
    /// A list of tables with at least one.
    Repeated,
}

/// A key with a value.
#[derive(Debug)]
pub(crate) struct Field {
    /// The key.
    pub(crate) key: &'static str,
    /// Another key for the same.
    pub(crate) also: Option<&'static str>,
    /// What may stand there.
    pub(crate) takes: Takes,
    /// What counts where nothing stands there.
    pub(crate) fallback: Fallback,
    /// What it means.
    pub(crate) doc: &'static str,
}

/// What a field takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Takes {
    /// Any text that is not empty.
    Text,
    /// A name, which may become part of a file name.
    Name,
    /// One of some words.
    Word(&'static [Word]),
    /// A number, a flag or a device.
    Plain(Shape),
    /// A KV codec as text.
    Codec,
    /// A parameter of a codec: a number or a word.
    Parameter,
    /// A whole number for all sequences, or a list with one for each.
    Lengths {
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
}

/// The value of a field that is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fallback {
    /// It has to be given.
    Required,
    /// It depends; this says on what.
    Depends(&'static str),
    /// A whole number.
    Integer(u64),
    /// True or false.
    Flag(bool),
    /// A word or a device.
    Text(&'static str),
}

pub(crate) const fn field(key: &'static str, takes: Takes, fallback: Fallback, doc: &'static str) -> Field {
    Field { key, also: None, takes, fallback, doc }
}

pub(crate) const fn integer(least: u64, most: u64) -> Takes {
    Takes::Plain(Shape::Integer { least, most })
}

const fn device(kind: Kind) -> Takes {
    Takes::Plain(Shape::Device(kind))
}

const FLAG: Takes = Takes::Plain(Shape::Flag);

/// The longest name.
pub(crate) const NAME_LENGTH: usize = 100;
/// The most systems of a scenario.
pub(crate) const MOST_SYSTEMS: usize = 64;
/// The most sequences of a batch.
pub(crate) const MOST_SEQUENCES: u64 = 4096;
/// The most points of a sweep.
pub(crate) const MOST_POINTS: usize = 100_000;
/// The key of the sweep, which is not a section: its keys are those of the other sections.
pub(crate) const SWEEP: &str = "sweep";
/// What a sweep is.
pub(crate) const SWEEP_DOC: &str = "Lists of values for any keys, written as for `--set`; every combination is a \
    point, the first key varies slowest.";

/// The whole scenario.
pub(crate) const ROOT: &Section = &Section {
    key: "",
    doc: "A scenario: one model and workload, run on one or more systems.",
    presence: Presence::Required,
    shorthand: None,
    fields: &[
        field(
            "name",
            Takes::Name,
            Fallback::Depends("the name of the file"),
            "What the scenario is called in reports.",
        ),
        field("seed", integer(0, u64::MAX), Fallback::Integer(1), "Seed of every random stream."),
    ],
    sections: &[MODEL, WORKLOAD, SYSTEM, ACCURACY],
    figures: None,
};

const MODEL: Section = Section {
    key: "model",
    doc: "The language model.",
    presence: Presence::Required,
    shorthand: None,
    fields: &[
        field(
            "config",
            Takes::Text,
            Fallback::Required,
            "A Hugging Face config.json, or a folder that holds one: seen from the working directory, from the \
             scenario's folder, from the folder above; or else the name of a built-in model.",
        ),
        field("dtype", Takes::Word(Dtype::WORDS), Fallback::Text("fp16"), "Type of weights, activations and KV cache."),
        field(
            "layers",
            integer(1, 1024),
            Fallback::Depends("all of them"),
            "Decoder layers that are simulated: the first ones, with their weights and their cache.",
        ),
    ],
    sections: &[],
    figures: None,
};

const WORKLOAD: Section = Section {
    key: "workload",
    doc: "What is computed.",
    presence: Presence::Required,
    shorthand: None,
    fields: &[
        field("kind", Takes::Word(WorkloadKind::WORDS), Fallback::Text("decode"), "The kind of work."),
        field(
            "batch",
            integer(1, MOST_SEQUENCES),
            Fallback::Depends("the number of lengths in `context`, 1 where it is a number"),
            "Sequences that are decoded together.",
        ),
        field(
            "context",
            Takes::Lengths { least: 1, most: 1 << 24 },
            Fallback::Required,
            "Cached tokens that the last step reads, of every sequence or a list with one number for each; step i of n \
             reads context - n + i.",
        ),
        field("new_tokens", integer(1, 1 << 16), Fallback::Integer(1), "Decode steps, at most the least `context`."),
        field(
            "prefill_chunk",
            integer(1, 1 << 24),
            Fallback::Depends("the most that fits the GPU's memory"),
            "Prompt tokens that go through a layer's kernels together; of kinds with a prefill.",
        ),
        field(
            "prefill_batch",
            integer(1, MOST_SEQUENCES),
            Fallback::Depends("as many as fit the GPU's memory"),
            "Sequences whose prompts go from layer to layer together; of kinds with a prefill.",
        ),
        field(
            "beyond_trained_length",
            FLAG,
            Fallback::Flag(false),
            "Whether the context may be longer than the model was trained for.",
        ),
    ],
    sections: &[],
    figures: None,
};

const ACCURACY: Section = Section {
    key: "accuracy",
    doc: "Measures what each system's KV codec does to the output of attention, on a model's own keys, values and queries.",
    presence: Presence::Optional,
    shorthand: Some("tensors"),
    fields: &[
        field(
            "tensors",
            Takes::Text,
            Fallback::Text("kv_smollm2_L2048_2heads"),
            "A file of the safetensors format (docs/CODECS.md), or the name of built-in tensors.",
        ),
        field(
            "context",
            integer(1, 1 << 24),
            Fallback::Depends("the longest multiple of 128 before the queries"),
            "Tokens that are stored.",
        ),
    ],
    sections: &[],
    figures: None,
};

const SYSTEM: Section = Section {
    key: "system",
    doc: "A machine to run on.",
    presence: Presence::Repeated,
    shorthand: None,
    fields: &[
        field("name", Takes::Name, Fallback::Required, "What the system is called in reports; no two have the same."),
        field("dispatch", Takes::Word(Dispatch::WORDS), Fallback::Text("graph"), "Who launches the kernels."),
        field(
            "pipeline_group",
            integer(1, MOST_SEQUENCES),
            Fallback::Depends(
                "half of the batch where the PIM stacks hold a cache with the codec `pq`, else all of it",
            ),
            "Sequences of a group: the GPU goes on with the next group while the PIM stacks attend to this one.",
        ),
        field(
            "pipeline",
            Takes::Word(Pipeline::WORDS),
            Fallback::Text("qkv"),
            "What a group goes through by itself; the weights of that are read once for each group.",
        ),
    ],
    sections: &[GPU, HOST, PIM, KV],
    figures: None,
};

const GPU: Section = Section {
    key: "gpu",
    doc: "The GPU. Its figures can be overridden here.",
    presence: Presence::Required,
    shorthand: Some("device"),
    fields: &[
        field("device", device(Kind::Gpu), Fallback::Required, "Its name in `pimscope list gpus`."),
        field("count", integer(1, 1), Fallback::Integer(1), "GPUs; one in this version."),
        field(
            "hbm_stacks",
            integer(1, 64),
            Fallback::Depends("the stacks of the device"),
            "Memory stacks; capacity and bandwidth are in proportion.",
        ),
    ],
    sections: &[],
    figures: Some(Kind::Gpu),
};

const HOST: Section = Section {
    key: "host",
    doc: "The host. The figures of its CPU can be overridden here.",
    presence: Presence::Defaulted,
    shorthand: Some("cpu"),
    fields: &[field("cpu", device(Kind::Cpu), Fallback::Text("Xeon-8480+"), "Its name in `pimscope list cpus`.")],
    sections: &[Section {
        key: "link",
        doc: "The link between GPU and host; without it, that of the GPU's figure `host_link`. Its figures can be \
              overridden here.",
        presence: Presence::Optional,
        shorthand: Some("name"),
        fields: LINK_FIELDS,
        sections: &[],
        figures: Some(Kind::Link),
    }],
    figures: Some(Kind::Cpu),
};

const LINK_FIELDS: &[Field] = &[Field {
    key: "name",
    also: Some("device"),
    takes: device(Kind::Link),
    fallback: Fallback::Depends("the link that counts without this table"),
    doc: "Its name in `pimscope list links`.",
}];

const PIM: Section = Section {
    key: "pim",
    doc: "Memory stacks that compute. Their figures can be overridden here.",
    presence: Presence::Optional,
    shorthand: Some("device"),
    fields: &[
        field("device", device(Kind::Pim), Fallback::Required, "Its name in `pimscope list pim`."),
        field("stacks", integer(1, 64), Fallback::Required, "How many."),
        field(
            "placement",
            Takes::Word(Placement::WORDS),
            Fallback::Text("adds"),
            "How they join the GPU's own stacks.",
        ),
        field("switch", FLAG, Fallback::Flag(false), "Whether a CXL switch stands between them and the GPU."),
        field(
            "execution",
            Takes::Word(Execution::WORDS),
            Fallback::Text("fast"),
            "How their programs are simulated; the results are the same.",
        ),
    ],
    sections: &[Section {
        key: "link",
        doc: "The link between GPU and PIM stacks; without it, that of the device's figure `link`. Its figures can be \
              overridden here.",
        presence: Presence::Optional,
        shorthand: Some("name"),
        fields: LINK_FIELDS,
        sections: &[],
        figures: Some(Kind::Link),
    }],
    figures: Some(Kind::Pim),
};

const KV: Section = Section {
    key: "kv",
    doc: "The KV cache.",
    presence: Presence::Defaulted,
    shorthand: None,
    fields: &[
        field(
            "codec",
            Takes::Codec,
            Fallback::Text("fp16"),
            "How keys and values are kept: a codec of `pimscope list codecs`, with parameters as in `pq:m=32,k=512`; \
             parameters may also stand beside it as keys of their own.",
        ),
        field("home", Takes::Word(Home::WORDS), Fallback::Text("gpu"), "Where they live."),
        field(
            "attention",
            Takes::Word(Attention::WORDS),
            Fallback::Depends("home: \"gpu\" for gpu and host, \"pim\" for pim"),
            "Who computes attention over them.",
        ),
        field(
            "prefetch",
            integer(0, 1024),
            Fallback::Integer(1),
            "Layers whose cache is fetched ahead of the layer that computes; 0 fetches when it is needed.",
        ),
        field("overflow", Takes::Word(Overflow::WORDS), Fallback::Text("host"), "What happens to what does not fit."),
        field(
            "spill_unit",
            Takes::Word(SpillUnit::WORDS),
            Fallback::Text("sequences"),
            "What goes to the host as one piece.",
        ),
        field(
            "block",
            Takes::Plain(Shape::Quantity { dimension: Dimension::Bytes, zero: false }),
            Fallback::Depends("the layout: everything contiguous in one copy"),
            "Contiguous bytes of one copy.",
        ),
        field(
            "gather",
            Takes::Word(Gather::WORDS),
            Fallback::Text("loads"),
            "How tokens that a step chooses among those in host memory come to the GPU (`pqcache`).",
        ),
        field(
            "gqa_blind",
            FLAG,
            Fallback::Flag(false),
            "Whether every query head reads the cache by itself, as if the query heads of a group shared nothing.",
        ),
    ],
    sections: &[],
    figures: None,
};

const fn parameter(key: &'static str, doc: &'static str) -> Field {
    field(key, Takes::Parameter, Fallback::Depends("that of the codec"), doc)
}

/// The parameters of all codecs, which may stand in `kv` beside `codec`. They are left out of lists of keys.
pub(crate) const CODEC_PARAMETERS: &[Field] = &[
    Field { also: Some("m"), ..parameter("subvectors", "Sub-vectors of a head: the codec's parameter `m`.") },
    Field { also: Some("k"), ..parameter("centroids", "Centroids of a sub-vector: the codec's parameter `k`.") },
    parameter("bits", "Bits of an element."),
    parameter("budget", "Tokens that are attended to."),
    parameter("channels", "How shift and scale of channels are kept."),
    parameter("codebook", "Whether centroids are rounded to FP16."),
    parameter("group", "Elements of a group."),
    parameter("indices", "How wide an index is stored."),
    parameter("init", "Where k-means starts."),
    parameter("iterations", "Iterations of k-means."),
    parameter("keep", "Share of the tokens that is kept or fetched."),
    parameter("kernel", "Neighbours that are pooled."),
    parameter("key_bits", "Bits of an element of a key."),
    parameter("newest", "Per cent of what is kept that are the newest tokens."),
    parameter("outliers", "Share of the elements that stays exact."),
    parameter("page", "Tokens of a page."),
    parameter("pool", "How neighbours are pooled."),
    parameter("recent", "Newest tokens in FP16."),
    parameter("recluster", "Generated tokens after which the codebook is made again."),
    parameter("residual", "Newest tokens in FP16."),
    parameter("seed", "Seed of the codec's draws."),
    parameter("select", "How query heads choose."),
    parameter("sinks", "First tokens in FP16."),
    parameter("sort", "Which channels make up a sub-vector."),
    parameter("sums", "How sums are rounded."),
    parameter("value_bits", "Bits of an element of a value."),
    parameter("values", "How probabilities meet values."),
    parameter("weights", "What a token weighs in k-means."),
    parameter("window", "Newest tokens in FP16, or tokens that share a codebook."),
];

/// What the codec calls its parameter.
pub(crate) fn codec_parameter(field: &Field) -> &'static str {
    field.also.unwrap_or(field.key)
}

/// What a key leads to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// A table.
    Section(&'static Section),
    /// A field.
    Field(&'static Field),
    /// A figure of the section's device.
    Figure(&'static FigureField),
}

impl Section {
    /// What `key` leads to.
    pub(crate) fn find(&'static self, key: &str) -> Option<Place> {
        let fields = self.fields.iter().chain(self.parameters());
        let field = { fields }.find(|field| field.key == key || field.also == Some(key));
        let section = || self.sections.iter().find(|section| section.key == key);
        let figure = || self.overridable().find(|figure| figure.key == key);
        field.map(Place::Field).or_else(|| section().map(Place::Section)).or_else(|| figure().map(Place::Figure))
    }

    /// The parameters of codecs that can stand in it.
    pub(crate) fn parameters(&self) -> &'static [Field] {
        if self.key == KV.key { CODEC_PARAMETERS } else { &[] }
    }

    /// The figures that can be overridden in it.
    pub(crate) fn overridable(&self) -> impl Iterator<Item = &'static FigureField> + use<> {
        let figures = self.figures.map_or(&[][..], FigureField::of);
        figures.iter().filter(|figure| figure.overridable)
    }

    /// Every key of it, fields first.
    pub(crate) fn keys(&self) -> Vec<&'static str> {
        let mut keys: Vec<_> = self.fields.iter().map(|field| field.key).collect();
        keys.extend(self.sections.iter().map(|section| section.key));
        if self.key.is_empty() {
            keys.push(SWEEP);
        }
        keys.extend(self.overridable().map(|figure| figure.key));
        keys
    }

    /// Every key below it that `--set` and a sweep can name, with dots; with or without the figures of devices.
    pub(crate) fn dotted(&self, above: &str, figures: bool, keys: &mut Vec<String>) {
        // A system has a `name` too; without the system's own it means the scenario's.
        let shadowed = |key: &str| self.presence == Presence::Repeated && ROOT.find(key).is_some();
        let own = self.fields.iter().map(|field| field.key).filter(|key| !shadowed(key));
        let figure_keys = self.overridable().filter(|_| figures).map(|figure| figure.key);
        keys.extend(own.chain(figure_keys).map(|key| format!("{above}{key}")));
        for section in self.sections {
            // Keys of systems are written without their prefix: they hold for every system.
            let above = if section.presence == Presence::Repeated {
                above.to_owned()
            } else {
                format!("{above}{}.", section.key)
            };
            section.dotted(&above, figures, keys);
        }
    }
}
