//! The prompts before the first token: how they are cut so that they fit the GPU's memory, and their tasks.
//!
//! ```text
//!  all sequences ── groups that fit: from layer to layer together
//!                     │  a layer of a group, in chunks of tokens:
//!                     │    norm, QKV, RoPE of every chunk        K and V of all its tokens are there as early as can be
//!                     │    attention ... down of every chunk     while they go where their home is
//!                     └─ final norm, LM head and sample of the last tokens
//! ```
//!
//! K and V go home while the GPU goes on:
//!
//! | home, codec | |
//! |---|---|
//! | GPU, as they are | RoPE writes them to the cache |
//! | GPU, other codecs | kernel `kv-encode` when the codec knows all it needs |
//! | host | copies `kv-store` of each chunk, or of what `kv-encode` makes of the whole group |
//! | beside the GPU (codecs that choose) | copy `kv-store`, `kv-encode` of the host's cores, copy `codes-to-gpu` |
//! | PIM, as they are | stores `kv-store` to each stack, programs `kv-write` of its channels |
//! | PIM, quantised | the same, then `dc`, `ca`, `weights` and `cc` of clustering |
//!
//! A layer's stores wait for what the channels still do of the layer before, so clustering that is longer than the GPU's
//! layer holds up the GPU as soon as its buffers are full. The weights of clustering come from a kernel `importance` behind
//! the group's attention.
//!
//! A group goes through a layer as a whole because what becomes of K and V (clustering, eviction, the next layer's copy)
//! needs all tokens of a sequence, and so that the GPU has to hold K and V of two layers at most where their home is
//! elsewhere: of the one that is attended to and of the one before, which may still be on its way.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use petgraph::graph::NodeIndex;
use pim_device::kernel::ordinary;
use pim_device::kernel::pq::{self, Phase, PqUnit};
use pim_device::{Program, ProgramTask, kv_rows};
use reports::{Assumption, PrefillShape};
use serde_json::json;
use sim_core::{Bytes, Cycles, Time};
use workloads::kv::Needs;
use workloads::{Chunk, Lengths, ModelConfig, NodeIndex as OperatorIndex, OperatorGraph, OperatorKind, Piece};

use super::channels::Units;
use super::dispatch::{Planner, Site, Step, Work};
use super::{Job, Placement, SystemError};
use crate::scenario::{Attention, Dispatch, Home};

/// Tokens of a chunk for which room is kept before sequences are put together, where the scenario names none: enough for
/// matrix products to be bound by operations. Assumption.
pub const LEAST_CHUNK: u64 = 4096;
/// Layers whose K and V the GPU holds where their home is elsewhere.
const LAYER_BUFFERS: u64 = 2;

/// Rows of the scores whose column sums are the weights of a codec that asks for the last queries: AQPIM's t, and SnapKV's
/// window.
pub const OBSERVED: u64 = 32;
/// Bytes of a token's weight, in FP16.
const WEIGHT_BYTES: u64 = 2;

/// Sequences that go from layer to layer together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptGroup {
    /// The first of them, of the batch.
    pub first: u32,
    /// Tokens of their prompts.
    pub prompts: Lengths,
    /// How they are cut.
    pub chunks: Vec<Chunk>,
}

/// The prefill of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefill {
    /// In the order in which they are processed.
    pub groups: Vec<PromptGroup>,
    /// Tokens of a chunk, the last one of a group may have fewer.
    pub chunk_tokens: u64,
}

/// What the prefill needs of the GPU's memory.
#[derive(Clone, Copy, Debug)]
struct Workspace {
    /// For each token of a group, from layer to layer: the residual stream, and the block's output or Q. With K and V of
    /// [`LAYER_BUFFERS`] layers where their home is elsewhere.
    token: u64,
    /// For each token of a chunk: the largest operator's activations, twice.
    chunk_token: u64,
    /// For each sequence that ends in a chunk: the same of the LM head.
    sequence: u64,
}

impl Workspace {
    fn of(model: &ModelConfig, dtype_bytes: u32, buffered: bool) -> Self {
        let element = u64::from(dtype_bytes);
        let state = (model.hidden + model.hidden.max(model.query_elements())) * element;
        let buffers = if buffered { LAYER_BUFFERS * model.kv_bytes_per_token_layer(dtype_bytes) } else { 0 };
        let largest = |ends| {
            let chunk = Chunk { pieces: vec![Piece { sequence: 0, from: 0, to: 1 }], ends };
            let graph = OperatorGraph::prefill(model, &chunk, dtype_bytes);
            // The head of one token is that of one sequence: activations of every operator grow with its tokens.
            let counts = |kind| (ends == 0) != matches!(kind, OperatorKind::LmHead | OperatorKind::Sample);
            graph.operators().filter(|o| counts(o.kind)).map(|o| o.activation_bytes).max().unwrap_or(0)
        };
        Self { token: state + buffers, chunk_token: 2 * largest(0), sequence: 2 * largest(1) }
    }

    /// Bytes of a group that is cut into chunks of so many tokens.
    fn bytes(&self, prompts: &Lengths, chunk: u64) -> u64 {
        let tokens = prompts.total();
        let work = self.chunk_token.saturating_mul(tokens.min(chunk));
        let head = self.sequence.saturating_mul(u64::from(prompts.sequences()));
        self.token.saturating_mul(tokens).saturating_add(work.max(head))
    }
}

/// The prompts of the run; none where there is no prefill.
fn prompts(job: &Job<'_>) -> Option<Lengths> {
    job.workload.kind.has_prefill().then(|| job.lengths(0))
}

/// Bytes of the GPU's memory that the prefill needs at least, of which its share is kept before the KV cache gets any: the
/// longest prompt by itself (or as many as the scenario wants), in chunks of [`LEAST_CHUNK`] (or as the scenario wants).
pub fn least_workspace(job: &Job<'_>, home: Home) -> u64 {
    let Some(prompts) = prompts(job) else { return 0 };
    let workspace = Workspace::of(job.model, job.dtype_bytes, home != Home::Gpu);
    let chunk = job.workload.prefill_chunk.unwrap_or(LEAST_CHUNK);
    match job.workload.prefill_batch {
        Some(batch) => {
            let groups = starts(&prompts, batch).into_iter().map(|first| prompts.after(first).first(batch));
            groups.map(|group| workspace.bytes(&group, chunk)).max().unwrap_or(0)
        }
        None => workspace.bytes(&Lengths::equal(1, prompts.longest()), chunk),
    }
}

/// The groups of sequences of the run's prompts where `there` bytes of the GPU's memory are; none where there is no prefill.
pub fn groups(job: &Job<'_>, there: u64, buffered: bool) -> Vec<Range<u32>> {
    let Some(prompts) = prompts(job) else { return Vec::new() };
    let workspace = Workspace::of(job.model, job.dtype_bytes, buffered);
    let least = job.workload.prefill_chunk.unwrap_or(LEAST_CHUNK);
    let size = job.workload.prefill_batch;
    let starts: Vec<u32> = if let Some(size) = size {
        starts(&prompts, size)
    } else {
        let packed = packed(&prompts, &|group: &Lengths| workspace.bytes(group, least) <= there);
        // Groups of equal sequences are as even as can be.
        let even = prompts.sequences().div_ceil(packed.len().max(1) as u32);
        if prompts.is_equal() { starts(&prompts, even) } else { packed }
    };
    let ends = starts.iter().skip(1).copied().chain([prompts.sequences()]);
    starts.iter().copied().zip(ends).map(|(from, to)| from..to).collect()
}

/// The first sequences of groups of `size`; the last may have fewer.
fn starts(prompts: &Lengths, size: u32) -> Vec<u32> {
    (0..prompts.sequences()).step_by(size.max(1) as usize).collect()
}

impl Prefill {
    /// Cuts the prompts of a run so that they fit what [`least_workspace`] keeps and the GPU's memory has left, and books
    /// what they take of the latter.
    pub fn of(placement: &mut Placement, job: &Job<'_>) -> Result<Option<Self>, SystemError> {
        let Some(prompts) = prompts(job) else { return Ok(None) };
        let home = placement.choice.home;
        let buffered = home != Home::Gpu || placement.uses_host() || !placement.choice.codec.is_plain();
        let workspace = Workspace::of(job.model, job.dtype_bytes, buffered);
        let kept = placement.activations;
        let there = kept.saturating_add(placement.gpu.free().0);
        let ranges =
            if placement.prompts.is_empty() { groups(job, there, buffered) } else { placement.prompts.clone() };
        let groups: Vec<(u32, Lengths)> =
            ranges.iter().map(|range| (range.start, prompts.first(range.end).after(range.start))).collect();
        let largest = groups.iter().map(|(_, group)| group.total()).max().unwrap_or(0);
        let needed = |chunk| groups.iter().map(|(_, group)| workspace.bytes(group, chunk)).max().unwrap_or(0);
        let chunk_tokens = job.workload.prefill_chunk.unwrap_or_else(|| {
            let most = super::placement::most(1, largest.max(1) + 1, |chunk| needed(chunk) <= there);
            // Chunks are as even as can be.
            largest.div_ceil(largest.div_ceil(most).max(1)).max(1)
        });
        let more = needed(chunk_tokens).saturating_sub(kept);
        placement.gpu.take("more activations of the prefill", Bytes(more))?;
        let cut = |(first, prompts): (u32, Lengths)| PromptGroup {
            first,
            chunks: Chunk::cut(&prompts, chunk_tokens),
            prompts,
        };
        Ok(Some(Self { groups: groups.into_iter().map(cut).collect(), chunk_tokens }))
    }

    /// What reports say of it.
    pub fn shape(&self, assignment: Time) -> PrefillShape {
        PrefillShape {
            tokens: self.groups.iter().map(|group| group.prompts.total()).sum(),
            longest: self.groups.iter().map(|group| group.prompts.longest()).max().unwrap_or(0),
            groups: self.groups.len() as u32,
            chunks: self.groups.iter().map(|group| group.chunks.len() as u32).sum(),
            chunk_tokens: self.chunk_tokens,
            assignment,
        }
    }
}

/// The first sequences of groups of neighbours, each with as many sequences as fit, and with one at least.
fn packed(prompts: &Lengths, fits: &dyn Fn(&Lengths) -> bool) -> Vec<u32> {
    let (mut groups, mut first) = (Vec::new(), 0);
    while first < prompts.sequences() {
        let rest = prompts.after(first);
        let left = u64::from(rest.sequences());
        let count = super::placement::most(1, left + 1, |count| fits(&rest.first(count as u32))) as u32;
        groups.push(first);
        first += count;
    }
    groups
}

/// What a prefill rests on that no source gives.
pub fn assumptions() -> Vec<Assumption> {
    let assume = |key: &str, value: serde_json::Value, why: &str| Assumption {
        key: format!("prefill.{key}"),
        value,
        why: why.to_owned(),
    };
    vec![
        assume(
            "attention",
            json!("gemm_fraction of peak, K and V read once for each chunk"),
            "a blocked causal kernel (FlashAttention); blocks after the first find K and V in the second-level cache",
        ),
        assume("least_chunk", json!(LEAST_CHUNK), "tokens that room is kept for before sequences are put together"),
        assume(
            "layer_buffers",
            json!(LAYER_BUFFERS),
            "layers whose K and V the GPU holds where their home is elsewhere",
        ),
        assume(
            "layers",
            json!("turned by a group's channels"),
            "of prompts that are processed in several groups, so that the layers of a group are clustered side by side; only where a \
             layer of all sequences fills the channels evenly",
        ),
    ]
}

/// The tasks of a chunk's operators so far.
#[derive(Debug)]
struct ChunkTasks {
    graph: OperatorGraph,
    order: Vec<OperatorIndex>,
    ends: BTreeMap<OperatorIndex, NodeIndex>,
}

/// Which of a layer's two rounds an operator belongs to.
fn makes_kv(kind: OperatorKind) -> bool {
    matches!(kind, OperatorKind::InputNorm | OperatorKind::Qkv | OperatorKind::Rope | OperatorKind::Append)
}

/// What the prefill has compiled so far.
#[derive(Debug, Default)]
struct Course {
    /// By layers of groups: what has to be done before their buffer is free.
    drained: Vec<Vec<NodeIndex>>,
    /// By class of PIM channels, the last program.
    channels: BTreeMap<usize, NodeIndex>,
    /// Programs that write so many rows.
    writes: BTreeMap<u64, Arc<Program>>,
    /// Programs of clustering, by the units of a channel.
    clusterings: BTreeMap<Vec<Units>, Vec<(&'static str, Arc<Program>)>>,
    /// The last kernels of all groups.
    last: Vec<NodeIndex>,
}

/// A layer of a group.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    layer: u32,
    group: &'a PromptGroup,
}

impl PromptGroup {
    fn range(&self) -> Range<u32> {
        self.first..self.first + self.prompts.sequences()
    }
}

impl Planner<'_> {
    /// Compiles the prefill: step 0, whose token is the first of each sequence.
    pub(super) fn prefill(&mut self, prefill: &Prefill, stop: &dyn Fn() -> bool) -> Result<(), SystemError> {
        self.step = Step::default();
        self.homed = vec![Vec::new(); self.job.model.layers as usize];
        let mut course = Course::default();
        for (number, group) in prefill.groups.iter().enumerate() {
            if number > 0 && stop() {
                break;
            }
            if self.figures.gpu.dispatch == Dispatch::Graph {
                let before: Vec<NodeIndex> = self.launched.into_iter().collect();
                self.launched = Some(self.host_job("launch", self.figures.gpu.launch, &before));
            }
            self.prompt_group(group, &mut course)?;
        }
        let mut last = course.last;
        if self.figures.gpu.dispatch == Dispatch::Stream {
            last.extend(self.launched);
        }
        self.launched = Some(self.host_job("token", Time::ZERO, &last));
        Ok(())
    }

    fn prompt_group(&mut self, group: &PromptGroup, course: &mut Course) -> Result<(), SystemError> {
        let mut chunks = Vec::with_capacity(group.chunks.len());
        for chunk in &group.chunks {
            let graph = OperatorGraph::prefill(self.job.model, chunk, self.job.dtype_bytes);
            graph.validate()?;
            chunks.push(ChunkTasks { order: graph.topological_order()?, graph, ends: BTreeMap::new() });
        }
        for tasks in &mut chunks {
            self.operators(tasks, &[], |kind, _| kind == OperatorKind::Embed);
        }
        for layer in 0..self.job.model.layers {
            self.prompt_layer(Place { layer, group }, &mut chunks, course)?;
        }
        for tasks in &mut chunks {
            let head = self.operators(tasks, &[], |kind, at| at.is_none() && kind != OperatorKind::Embed);
            course.last.extend(head);
        }
        Ok(())
    }

    fn prompt_layer(
        &mut self,
        place: Place<'_>,
        chunks: &mut [ChunkTasks],
        course: &mut Course,
    ) -> Result<(), SystemError> {
        let Place { layer, group } = place;
        let of_layer = |at: Option<u32>| at == Some(layer);
        let plain = self.placement.choice.codec.is_plain();
        let needs = self.placement.choice.codec.get().needs();
        let buffer = course.drained.len().checked_sub(LAYER_BUFFERS as usize);
        let mut free = buffer.map_or_else(Vec::new, |turn| course.drained[turn].clone());
        let (mut drained, mut homed) = (Vec::new(), Vec::new());
        let mut made = Vec::new();
        for (tasks, chunk) in chunks.iter_mut().zip(&group.chunks) {
            let kv = self.operators(tasks, &free, |kind, at| of_layer(at) && makes_kv(kind));
            free.clear();
            made = kv.into_iter().collect();
            if plain {
                drained.extend(self.store_chunk(place, chunk, &made));
            }
        }
        let (home, _) = self.placement.range_split(layer, &group.range(), &self.job.lengths(0));
        let to_pim = self.placement.choice.home == Home::Pim && !home.is_empty();
        let sent = if to_pim { self.send(place, &made, course) } else { Vec::new() };
        drained.extend(&sent);
        if !plain && needs == Needs::Nothing {
            self.encode(place, &made, &mut drained, &mut homed);
        }
        for tasks in chunks.iter_mut() {
            // Of a sequence in several chunks: its tokens before.
            self.operators(tasks, &made, |kind, at| of_layer(at) && kind == OperatorKind::Attention);
            if needs == Needs::Nothing {
                self.operators(tasks, &[], |kind, at| {
                    of_layer(at) && !makes_kv(kind) && kind != OperatorKind::Attention
                });
            }
        }
        let mut weights = Vec::new();
        if needs != Needs::Nothing {
            // The scores of the last queries, or of all, are there when the last chunk has been attended to.
            let known = self.importance(place, needs, &made);
            drained.push(known);
            if !plain {
                self.encode(place, &[known], &mut drained, &mut homed);
            }
            if to_pim {
                weights = self.send_weights(place, known);
                drained.extend(&weights);
            }
            for tasks in chunks.iter_mut() {
                self.operators(tasks, &[], |kind, at| {
                    of_layer(at) && !makes_kv(kind) && kind != OperatorKind::Attention
                });
            }
        }
        homed.extend(&drained);
        if to_pim {
            homed.extend(self.keep_on_pim(place, &sent, &weights, course)?);
        }
        if let Some(all) = self.homed.get_mut(layer as usize) {
            all.extend(homed);
        }
        course.drained.push(drained);
        Ok(())
    }

    /// Launches the chosen operators of a chunk, in order; the first one waits for `first`, too. Gives the last one.
    fn operators(
        &mut self,
        tasks: &mut ChunkTasks,
        first: &[NodeIndex],
        chosen: impl Fn(OperatorKind, Option<u32>) -> bool,
    ) -> Option<NodeIndex> {
        let mut first = first.to_vec();
        let mut last = None;
        for &node in &tasks.order {
            let Some(operator) = tasks.graph.operator(node).filter(|o| chosen(o.kind, o.layer)) else { continue };
            let mut after: Vec<NodeIndex> =
                tasks.graph.predecessors(node).filter_map(|(before, _)| tasks.ends.get(&before).copied()).collect();
            after.append(&mut first);
            let kernel = self.kernel(operator.kind.name(), operator.layer, operator.total_bytes(), operator.flops);
            let task = self.launch(Site::Stream, Work::Kernel(kernel), &after);
            tasks.ends.insert(node, task);
            last = Some(task);
        }
        last
    }

    /// Brings what a chunk has added to a layer's K and V to the host, as far as it lives there, beside the GPU's kernels.
    fn store_chunk(&mut self, place: Place<'_>, chunk: &Chunk, after: &[NodeIndex]) -> Option<NodeIndex> {
        let Place { layer, group } = place;
        let host = chunk.pieces.iter().map(|piece| self.placement.host_tokens(layer, group.first, piece)).sum::<u64>();
        let bytes = host.saturating_mul(self.job.model.kv_bytes_per_token_layer(self.job.dtype_bytes));
        (host > 0).then(|| self.copy_to_host(layer, bytes, after))
    }

    fn copy_to_host(&mut self, layer: u32, bytes: u64, after: &[NodeIndex]) -> NodeIndex {
        let copy = self.machine.to_host("kv-store", self.tag(Some(layer)), bytes);
        self.launch(Site::CopyOut, Work::Copy(copy), after)
    }

    /// The codec's work on a group's K and V in a layer, of whoever attends to them; PIM stacks do theirs by themselves.
    /// The GPU's buffer is needed until the end of what is added to `drained`.
    fn encode(
        &mut self,
        place: Place<'_>,
        after: &[NodeIndex],
        drained: &mut Vec<NodeIndex>,
        homed: &mut Vec<NodeIndex>,
    ) {
        let Place { layer, group } = place;
        let (home, host) = self.placement.range_split(layer, &group.range(), &self.job.lengths(0));
        let (choice, cache) = (&self.placement.choice, &self.placement.cache);
        let attended = if choice.home == Home::Pim { Lengths::default() } else { home };
        let on_cores = choice.attention == Attention::Cpu;
        let all: Lengths = attended.groups().iter().chain(host.groups()).copied().collect();
        if all.is_empty() {
            return;
        }
        let raw = all.total().saturating_mul(self.job.model.kv_bytes_per_token_layer(self.job.dtype_bytes));
        let (load, spilled) = (cache.encode(&all), cache.bytes(&host));
        let load_of_host = if on_cores { load.near } else { load.host };
        if on_cores || cache.chooses() {
            let sent = self.copy_to_host(layer, raw, after);
            let kernel = self.kernel("kv-encode", Some(layer), load_of_host.bytes, load_of_host.host_operations());
            let encoded = self.add(Site::Worker, Work::Kernel(kernel), &[sent]);
            drained.push(sent);
            homed.push(encoded);
            if on_cores {
                return;
            }
            let codes = self.machine.from_host("codes-to-gpu", self.tag(Some(layer)), load.back(raw), 1);
            homed.push(self.launch(Site::CopyIn, Work::Copy(codes), &[encoded]));
        }
        let kernel = self.kernel("kv-encode", Some(layer), load.near.bytes, load.near.operations(&self.figures.gpu));
        let encoded = self.launch(Site::Stream, Work::Kernel(kernel), after);
        drained.push(encoded);
        if spilled > 0 {
            drained.push(self.copy_to_host(layer, spilled, &[encoded]));
        }
    }

    /// The column sums of the scores of the last queries, or of all of them, for each KV head: a kernel of its own, as one
    /// that does not keep the scores (FlashAttention) has none to add up.
    fn importance(&mut self, place: Place<'_>, needs: Needs, after: &[NodeIndex]) -> NodeIndex {
        let model = self.job.model;
        let element = u64::from(self.job.dtype_bytes);
        let prompts = &place.group.prompts;
        let rows = |tokens: u64| if needs == Needs::Observed { tokens.min(OBSERVED) } else { tokens };
        // Row r of the last ones sees all tokens but those behind it.
        let pairs = prompts.sum(|n| {
            let rows = rows(n);
            rows.saturating_mul(n) - rows * rows.saturating_sub(1) / 2
        });
        // A multiply-add for each element, and an addition to the sum.
        let operations = pairs.saturating_mul(2 * model.query_elements() + u64::from(model.heads));
        let bytes = prompts.sum(|n| {
            let read = n * model.key_elements() + rows(n) * model.query_elements();
            (read * element).saturating_add(n * u64::from(model.kv_heads) * WEIGHT_BYTES)
        });
        let kernel = self.kernel("importance", Some(place.layer), bytes, operations);
        self.launch(Site::Stream, Work::Kernel(kernel), after)
    }

    /// Stores a layer's K and V to the PIM stacks, when their channels are done with what came before.
    fn send(&mut self, place: Place<'_>, made: &[NodeIndex], course: &Course) -> Vec<NodeIndex> {
        let slots = self.placement.slots(place.layer, &place.group.range());
        let mut after = made.to_vec();
        for (class, channels) in self.placement.classes.iter().enumerate() {
            if !channels.units_of(slots.clone()).is_empty() {
                after.extend(course.channels.get(&class));
            }
        }
        let token = 2 * u64::from(self.job.model.head_dim) * u64::from(self.job.dtype_bytes);
        self.store_to_stacks("kv-store", place, token, &after)
    }

    /// Stores the weights of a layer's tokens to the PIM stacks.
    fn send_weights(&mut self, place: Place<'_>, known: NodeIndex) -> Vec<NodeIndex> {
        self.store_to_stacks("weights-to-pim", place, WEIGHT_BYTES, &[known])
    }

    /// Stores so many bytes for each prompt token of each unit to each stack.
    fn store_to_stacks(
        &mut self,
        kind: &'static str,
        place: Place<'_>,
        token: u64,
        after: &[NodeIndex],
    ) -> Vec<NodeIndex> {
        let placement = self.placement;
        let slots = placement.slots(place.layer, &place.group.range());
        let new = u64::from(self.job.workload.new_tokens);
        let mut ends = Vec::new();
        for (stack, lengths) in placement.stack_lengths.iter().enumerate() {
            let units = lengths.get(slots.clone()).unwrap_or_default().iter();
            let tokens: u64 = units.map(|units| units.sum(|tokens| placement.unit_tokens(tokens, new))).sum();
            if tokens > 0 {
                let copy = self.machine.to_stack(kind, self.tag(Some(place.layer)), tokens * token, stack);
                ends.push(self.add(Site::Store(stack), Work::Copy(copy), after));
            }
        }
        ends
    }

    /// What the channels do with a layer's K and V. Gives the last program of each class.
    fn keep_on_pim(
        &mut self,
        place: Place<'_>,
        sent: &[NodeIndex],
        weights: &[NodeIndex],
        course: &mut Course,
    ) -> Result<Vec<NodeIndex>, SystemError> {
        let slots = self.placement.slots(place.layer, &place.group.range());
        let new = u64::from(self.job.workload.new_tokens);
        let mut ends = Vec::new();
        for (class, channels) in self.placement.classes.iter().enumerate() {
            let mut units = channels.units_of(slots.clone());
            if units.is_empty() {
                continue;
            }
            for units in &mut units {
                units.tokens = self.placement.unit_tokens(units.tokens, new);
            }
            let mut after = sent.to_vec();
            let mut last = None;
            for (kind, program) in self.home_programs(units, course)? {
                if kind == "weights" {
                    after.extend(weights);
                }
                let task = ProgramTask { program, kind, tag: self.tag(Some(place.layer)) };
                let task = self.add(Site::Pim(class), Work::Program(task), &after);
                after = vec![task];
                last = Some(task);
            }
            if let Some(last) = last {
                course.channels.insert(class, last);
                ends.push(last);
            }
        }
        Ok(ends)
    }

    /// The programs of a channel with units of so many prompt tokens, in order.
    fn home_programs(
        &mut self,
        units: Vec<Units>,
        course: &mut Course,
    ) -> Result<Vec<(&'static str, Arc<Program>)>, SystemError> {
        let Some(pim) = &self.figures.pim else { return Ok(Vec::new()) };
        let (device, model) = (&pim.device, self.job.model);
        let codec = self.placement.choice.codec.get();
        let (Some(shape), Some(pq)) = (self.placement.cache.pq_shape(), codec.as_pq()) else {
            let rows = units.iter().map(|u| u64::from(u.count) * kv_rows(device, u.tokens, model.head_dim)).sum();
            let write = || Arc::new(ordinary::write_rows(device, 0..u32::try_from(rows).unwrap_or(u32::MAX)));
            let program = course.writes.entry(rows).or_insert_with(write).clone();
            return Ok(vec![("kv-write", program)]);
        };
        if let Some(known) = course.clusterings.get(&units) {
            return Ok(known.clone());
        }
        let query_heads = model.query_heads_per_kv_head();
        let each = units.iter().flat_map(|u| std::iter::repeat_n(u.tokens, u.count as usize));
        let list: Vec<PqUnit> = each.map(|tokens| PqUnit { tokens, query_heads }).collect();
        let phases = pq::clustering(device, &shape, &list, pq.iterations)?;
        let compared = phases.iter().filter(|phase| phase.kind == "dc");
        let cycles = compared.map(|phase| phase.program.buffer_cycles(device)).sum();
        let assignment = device.timing.clock.edge(Cycles(cycles));
        self.tasks.assignment = self.tasks.assignment.max(assignment);
        let phases: Vec<_> = phases.into_iter().map(|Phase { kind, program }| (kind, Arc::new(program))).collect();
        course.clusterings.insert(units, phases.clone());
        Ok(phases)
    }
}

impl Placement {
    /// How many tokens of a piece of a prompt live in the host's memory in a layer; `first` is the first sequence of its
    /// group.
    fn host_tokens(&self, layer: u32, first: u32, piece: &Piece) -> u64 {
        // A sequence of any length is in the home where one of one token is.
        let all = Lengths::equal(first + piece.sequence + 1, piece.to);
        let (home, _) = self.split(layer, &all);
        if home.sequences() < all.sequences() {
            return piece.tokens();
        }
        piece.to - self.resident_tokens(piece.to).clamp(piece.from, piece.to)
    }
}
