//! The figures that the simulator reads, as a table: what each is called, what it measures and what may stand there.
//!
//! Checking of the catalogue, overrides in scenarios, the JSON Schema and `pimscope list` all come from this table. An
//! entry may hold more figures than these; those are shown, and not read.

use crate::catalogue::Kind;
use crate::scenario::quantity::Dimension;

/// What may stand in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A number with a unit.
    Quantity {
        /// What it measures.
        dimension: Dimension,
        /// Whether nothing at all is a sensible amount.
        zero: bool,
    },
    /// A whole number, both ends included.
    Integer {
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// True or false.
    Flag,
    /// One of some words.
    Word(&'static [&'static str]),
    /// The name of an entry of the catalogue.
    Device(Kind),
}

/// The families of links, which have different figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinkKind {
    /// Packets with headers, split at a maximum payload.
    Pcie,
    /// Flits over a PCIe phy.
    Cxl,
    /// GPU to GPU and GPU to Grace.
    Nvlink,
    /// Between a GPU and the stacks of its package.
    OnPackage,
}

impl LinkKind {
    /// Every family.
    pub const ALL: [Self; 4] = [Self::Pcie, Self::Cxl, Self::Nvlink, Self::OnPackage];

    /// As the figure `link_kind` has it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pcie => "pcie",
            Self::Cxl => "cxl",
            Self::Nvlink => "nvlink",
            Self::OnPackage => "on-package",
        }
    }

    /// The family of this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// A figure that the simulator reads.
#[derive(Debug)]
pub struct FigureField {
    /// Its key in the catalogue and in a scenario.
    pub key: &'static str,
    /// What may stand there.
    pub shape: Shape,
    /// What it means; one sentence.
    pub doc: &'static str,
    /// Whether a scenario may override it here. Some figures have a scenario field of their own.
    pub overridable: bool,
    /// The families of links that have it; empty for all, and for what is not a link.
    pub links: &'static [LinkKind],
    /// Whether an entry can be without it. What holds then is said by `doc`.
    pub optional: bool,
    /// Whether only PIM devices that work on a product-quantised KV cache have it.
    pub pq: bool,
}

const fn quantity(dimension: Dimension) -> Shape {
    Shape::Quantity { dimension, zero: false }
}

/// Bandwidths, rates, capacities and shares must be more than zero; a latency may be zero.
const LATENCY: Shape = Shape::Quantity { dimension: Dimension::Time, zero: true };
const SHARE: Shape = quantity(Dimension::Fraction);
const BANDWIDTH: Shape = quantity(Dimension::Bandwidth);
const CAPACITY: Shape = quantity(Dimension::Bytes);
const OPERATIONS: Shape = quantity(Dimension::Operations);
/// What takes no energy can be modelled too.
const ENERGY: Shape = Shape::Quantity { dimension: Dimension::Energy, zero: true };
const POWER: Shape = Shape::Quantity { dimension: Dimension::Power, zero: true };
/// Headers of a packet; none at all is a model too.
const OVERHEAD: Shape = Shape::Quantity { dimension: Dimension::Bytes, zero: true };

const fn figure(key: &'static str, shape: Shape, doc: &'static str) -> FigureField {
    FigureField { key, shape, doc, overridable: true, links: &[], pq: false, optional: false }
}

const fn optional(key: &'static str, shape: Shape, doc: &'static str) -> FigureField {
    FigureField { key, shape, doc, overridable: true, links: &[], pq: false, optional: true }
}

const fn link(links: &'static [LinkKind], key: &'static str, shape: Shape, doc: &'static str) -> FigureField {
    FigureField { key, shape, doc, overridable: true, links, pq: false, optional: false }
}

const fn pq(key: &'static str, shape: Shape, doc: &'static str) -> FigureField {
    FigureField { key, shape, doc, overridable: true, links: &[], pq: true, optional: false }
}

const fn own_field(key: &'static str, shape: Shape, doc: &'static str) -> FigureField {
    FigureField { key, shape, doc, overridable: false, links: &[], pq: false, optional: false }
}

const GPU: &[FigureField] = &[
    figure("mem_capacity", CAPACITY, "Memory of all stacks together."),
    own_field(
        "hbm_stacks",
        Shape::Integer { least: 1, most: 64 },
        "Stacks that the capacity and the bandwidth are divided over.",
    ),
    figure("mem_bw_peak", BANDWIDTH, "Nominal bandwidth of all stacks together."),
    figure("stream_fraction", SHARE, "Share of the nominal bandwidth that streaming kernels reach."),
    figure("attention_fraction", SHARE, "Share of the nominal bandwidth that decode attention reaches."),
    figure("fp16_dense", OPERATIONS, "Nominal FP16 rate of dense matrix products."),
    figure("gemm_fraction", SHARE, "Share of the nominal rate that large matrix products reach."),
    figure("lookup_rate", OPERATIONS, "Table look-ups and scattered additions, which go through shared memory."),
    figure("launch_interval_stream", LATENCY, "Time between kernels that the host launches in a stream."),
    figure("launch_interval_graph", LATENCY, "Time between kernels of a graph."),
    figure("usable_fraction", SHARE, "Share of the capacity that tensors may take."),
    figure("copy_setup", LATENCY, "Fixed cost of a copy that a copy engine makes."),
    figure(
        "tdp",
        quantity(Dimension::Power),
        "Thermal design power: what it takes with cores and memory at their peak.",
    ),
    figure("idle_power", POWER, "What it takes at all times, its memory's standby and refresh left out."),
    figure("mem_energy", ENERGY, "Reading or writing a bit of its memory."),
    figure("mac_energy", ENERGY, "A multiply-add."),
    figure("mem_standby", POWER, "Standby of one memory stack."),
    figure("mem_refresh", POWER, "Refresh of one memory stack, beside standby."),
    figure("copy_engines", Shape::Integer { least: 1, most: 2 }, "Copies in flight at a time: 1, or 1 each way."),
    own_field("host_link", Shape::Device(Kind::Link), "Link to the host where the scenario names none."),
];

const CPU: &[FigureField] = &[
    figure("sockets", Shape::Integer { least: 1, most: 64 }, "Sockets of the host."),
    figure("mem_bw_peak", BANDWIDTH, "Nominal DRAM bandwidth of a socket."),
    figure("stream_fraction", SHARE, "Share of the nominal bandwidth that streaming code reaches."),
    figure("mem_capacity", CAPACITY, "Memory of the whole host."),
    figure("fp16", OPERATIONS, "FP16 rate of a socket."),
    figure("tdp", quantity(Dimension::Power), "Thermal design power of a socket: what it takes while its cores work."),
    figure("idle_power", POWER, "What a socket takes while they do not."),
    figure("dram_energy", ENERGY, "Reading or writing a bit of DRAM."),
    figure("dram_standby", POWER, "Standby of a GiB of DRAM."),
    figure("dram_refresh", POWER, "Refresh of a GiB of DRAM, beside standby."),
    figure("flag_latency", LATENCY, "One way of a flag between CPU and GPU."),
    figure("post_latency", LATENCY, "A posted write of the CPU to GPU memory, until the CPU goes on."),
];

const LINK: &[FigureField] = &[
    own_field("link_kind", Shape::Word(&["pcie", "cxl", "nvlink", "on-package"]), "The protocol."),
    figure("raw_bw", BANDWIDTH, "Raw rate of one direction."),
    link(
        &[LinkKind::Pcie, LinkKind::Nvlink, LinkKind::OnPackage],
        "link_efficiency",
        SHARE,
        "Share of the raw rate that is left for packets; for NVLink and on-package links, for payload.",
    ),
    link(
        &[LinkKind::Pcie, LinkKind::Nvlink, LinkKind::OnPackage],
        "latency",
        LATENCY,
        "One way, without serialisation.",
    ),
    link(&[LinkKind::Pcie], "mps", CAPACITY, "Largest payload of a packet."),
    link(&[LinkKind::Pcie], "mrrs", CAPACITY, "Largest read request."),
    link(&[LinkKind::Pcie], "header_write", OVERHEAD, "Bytes of a posted write besides its payload."),
    link(&[LinkKind::Pcie], "header_completion", OVERHEAD, "Bytes of a completion besides its payload."),
    link(&[LinkKind::Pcie], "header_request", OVERHEAD, "Bytes of a read request."),
    link(&[LinkKind::Pcie], "host_port", BANDWIDTH, "Payload of both directions together that the host port sustains."),
    link(&[LinkKind::Cxl], "flit_bytes", CAPACITY, "A flit on the wire."),
    link(&[LinkKind::Cxl], "flit_payload", CAPACITY, "What a flit carries."),
    link(&[LinkKind::Cxl], "port_latency", LATENCY, "Protocol layers of one port."),
    link(&[LinkKind::Cxl], "phy_latency", LATENCY, "Physical layers and wire, one way."),
    link(&[LinkKind::Cxl], "switch_latency", LATENCY, "Passing through a switch."),
    link(&[LinkKind::Cxl], "device_latency", LATENCY, "From the device's port to its memory controller."),
];

const PIM: &[FigureField] = &[
    figure("buffer_rate", BANDWIDTH, "What the softmax unit of one stack takes in."),
    figure("softmax_passes", Shape::Integer { least: 1, most: 16 }, "Times that the softmax unit reads the scores."),
    figure("power_limit", Shape::Flag, "Whether all-bank MACs keep the longer gap of the power limit."),
    figure(
        "multi_bank_activation",
        Shape::Word(&["provisioned", "staggered"]),
        "Whether the supply is sized for activating all banks at once, or activation keeps to tFAW.",
    ),
    figure(
        "gqa",
        Shape::Word(&["serial", "shared"]),
        "Query heads of a group one after the other, or in one shared pass.",
    ),
    figure("launch", LATENCY, "Part of each hand-over between GPU and PIM, both ways: the launch."),
    figure("flag", LATENCY, "Part of each hand-over between GPU and PIM, both ways: the flag."),
    optional(
        "power",
        quantity(Dimension::Power),
        "The most that a stack may take, standby included; without it only the gap of `power_limit` holds.",
    ),
    optional("energy_activation", ENERGY, "Activating and precharging, per bit of the page."),
    optional("energy_cell", ENERGY, "Reading or writing a cell, per bit."),
    optional("energy_bank_group", ENERGY, "From column decoder to bank-group multiplexer, per bit."),
    optional("energy_global", ENERGY, "From bank-group to global multiplexer, per bit."),
    optional("energy_tsv", ENERGY, "Through the silicon to the buffer die, per bit."),
    optional("energy_mac", ENERGY, "A multiply-add of a PE."),
    optional("energy_refresh", ENERGY, "A refresh of all banks of a rank, beside standby."),
    optional("standby_open", POWER, "Standby of a rank of a channel while a program runs."),
    optional("standby_closed", POWER, "Standby of a rank of a channel while none does."),
    figure("density_factor", SHARE, "Share of the rows that is left beside the PEs."),
    own_field("link", Shape::Device(Kind::Link), "Link to the GPU where the scenario names none."),
    pq(
        "lookups_per_column",
        Shape::Integer { least: 1, most: 1_024 },
        "Values that one look-up command brings from each bank's open row.",
    ),
    pq(
        "reduction",
        Shape::Word(&["buffer", "bank-group", "in-bank"]),
        "Where the looked-up values of a token are added: on the buffer die, first beside each bank group, or in the bank \
         (tokens split over banks, all tables in each bank).",
    ),
    pq("register_file", Shape::Integer { least: 4, most: 1_024 }, "Registers of 32 B of each bank PE."),
    pq(
        "result_registers",
        Shape::Integer { least: 1, most: 1_024 },
        "Registers of 32 B of each bank PE for results that wait for the data path.",
    ),
    pq(
        "value_passes",
        Shape::Integer { least: 0, most: 64 },
        "Passes over the value indices; 0 for one for each channel of a sub-vector.",
    ),
    pq(
        "values",
        Shape::Word(&["reconstruct", "accumulate"]),
        "Values looked up token by token, or probabilities added up for each centroid first.",
    ),
    pq("mapping", Shape::Word(&["together", "apart"]), "K and V of a head in the same banks, or in different ones."),
    pq("buffer_operations", OPERATIONS, "Additions, minima and reciprocals per second of the BufferPEs of one stack."),
    pq("mv_bf_broadcast", Shape::Flag, "Whether one move brings probabilities to all banks of a head."),
];

impl FigureField {
    /// Every figure that is read of entries of `kind`.
    pub const fn of(kind: Kind) -> &'static [Self] {
        match kind {
            Kind::Gpu => GPU,
            Kind::Cpu => CPU,
            Kind::Link => LINK,
            Kind::Pim => PIM,
        }
    }

    /// Whether `entry` has the figure.
    pub fn fits(&self, entry: &crate::catalogue::Entry) -> bool {
        self.applies(entry.link_kind()) && (!self.pq || entry.get("lookups_per_column").is_some())
    }

    /// Whether an entry of this family of links has the figure; what is not a link has no family.
    pub fn applies(&self, family: Option<LinkKind>) -> bool {
        self.links.is_empty() || family.is_some_and(|family| self.links.contains(&family))
    }
}
