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
//! A group goes through a layer as a whole because what becomes of K and V (clustering, eviction, the next layer's copy)
//! needs all tokens of a sequence, and so that the GPU has to hold K and V of two layers at most where their home is
//! elsewhere: of the one that is attended to and of the one before, which may still be on its way.

use std::collections::BTreeMap;

use petgraph::graph::NodeIndex;
use reports::{Assumption, PrefillShape};
use serde_json::json;
use sim_core::{Bytes, Time};
use workloads::{Chunk, Lengths, ModelConfig, NodeIndex as OperatorIndex, OperatorGraph, OperatorKind, Piece};

use super::dispatch::{Planner, Site, Step, Work};
use super::{Job, Placement, SystemError};
use crate::scenario::{Dispatch, Home};

/// Tokens of a chunk for which room is kept before sequences are put together, where the scenario names none: enough for
/// matrix products to be bound by operations. Assumption.
pub const LEAST_CHUNK: u64 = 4096;
/// Layers whose K and V the GPU holds where their home is elsewhere.
const LAYER_BUFFERS: u64 = 2;

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
        Some(batch) => groups_of(&prompts, batch).map(|(_, group)| workspace.bytes(&group, chunk)).max().unwrap_or(0),
        None => workspace.bytes(&Lengths::equal(1, prompts.longest()), chunk),
    }
}

/// Groups of `size` sequences; the last may have fewer.
fn groups_of(prompts: &Lengths, size: u32) -> impl Iterator<Item = (u32, Lengths)> {
    let starts = (0..prompts.sequences()).step_by(size.max(1) as usize);
    starts.map(move |first| (first, prompts.after(first).first(size)))
}

impl Prefill {
    /// Cuts the prompts of a run so that they fit what [`least_workspace`] keeps and the GPU's memory has left, and books
    /// what they take of the latter.
    pub fn of(placement: &mut Placement, job: &Job<'_>) -> Result<Option<Self>, SystemError> {
        let Some(prompts) = prompts(job) else { return Ok(None) };
        let home = placement.choice.home;
        let buffered = home != Home::Gpu || placement.uses_host();
        let workspace = Workspace::of(job.model, job.dtype_bytes, buffered);
        let kept = placement.activations;
        let there = kept.saturating_add(placement.gpu.free().0);
        let (given_chunk, given_batch) = (job.workload.prefill_chunk, job.workload.prefill_batch);
        let least = given_chunk.unwrap_or(LEAST_CHUNK);

        let groups: Vec<(u32, Lengths)> = match given_batch {
            Some(size) => groups_of(&prompts, size).collect(),
            None => {
                let fits = |group: &Lengths| workspace.bytes(group, least) <= there;
                let groups = packed(&prompts, &fits);
                // Groups of equal sequences are as even as can be.
                let even = prompts.sequences().div_ceil(groups.len().max(1) as u32);
                if prompts.is_equal() { groups_of(&prompts, even).collect() } else { groups }
            }
        };
        let largest = groups.iter().map(|(_, group)| group.total()).max().unwrap_or(0);
        let needed = |chunk| groups.iter().map(|(_, group)| workspace.bytes(group, chunk)).max().unwrap_or(0);
        let chunk_tokens = given_chunk.unwrap_or_else(|| {
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
    pub fn shape(&self) -> PrefillShape {
        PrefillShape {
            tokens: self.groups.iter().map(|group| group.prompts.total()).sum(),
            longest: self.groups.iter().map(|group| group.prompts.longest()).max().unwrap_or(0),
            groups: self.groups.len() as u32,
            chunks: self.groups.iter().map(|group| group.chunks.len() as u32).sum(),
            chunk_tokens: self.chunk_tokens,
        }
    }
}

/// Groups of neighbours, each with as many sequences as fit, and with one at least.
fn packed(prompts: &Lengths, fits: &dyn Fn(&Lengths) -> bool) -> Vec<(u32, Lengths)> {
    let (mut groups, mut first) = (Vec::new(), 0);
    while first < prompts.sequences() {
        let rest = prompts.after(first);
        let left = u64::from(rest.sequences());
        let count = super::placement::most(1, left + 1, |count| fits(&rest.first(count as u32))) as u32;
        groups.push((first, rest.first(count)));
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

impl Planner<'_> {
    /// Compiles the prefill: step 0, whose token is the first of each sequence.
    pub(super) fn prefill(&mut self, prefill: &Prefill, stop: &dyn Fn() -> bool) -> Result<(), SystemError> {
        self.step = Step::default();
        self.homed = vec![Vec::new(); self.job.model.layers as usize];
        let mut last = Vec::new();
        // By layers of groups: what has to be done before the buffer is free.
        let mut drained: Vec<Vec<NodeIndex>> = Vec::new();
        for (number, group) in prefill.groups.iter().enumerate() {
            if number > 0 && stop() {
                break;
            }
            if self.figures.gpu.dispatch == Dispatch::Graph {
                let before: Vec<NodeIndex> = self.launched.into_iter().collect();
                self.launched = Some(self.host_job("launch", self.figures.gpu.launch, &before));
            }
            self.prompt_group(group, &mut drained, &mut last)?;
        }
        if self.figures.gpu.dispatch == Dispatch::Stream {
            last.extend(self.launched);
        }
        self.launched = Some(self.host_job("token", Time::ZERO, &last));
        Ok(())
    }

    fn prompt_group(
        &mut self,
        group: &PromptGroup,
        drained: &mut Vec<Vec<NodeIndex>>,
        last: &mut Vec<NodeIndex>,
    ) -> Result<(), SystemError> {
        let mut chunks = Vec::with_capacity(group.chunks.len());
        for chunk in &group.chunks {
            let graph = OperatorGraph::prefill(self.job.model, chunk, self.job.dtype_bytes);
            // Laws 1 and 4 count what is there: a count that does not fit is refused before.
            graph.validate()?;
            chunks.push(ChunkTasks { order: graph.topological_order()?, graph, ends: BTreeMap::new() });
        }
        for tasks in &mut chunks {
            self.operators(tasks, &[], |kind, _| kind == OperatorKind::Embed);
        }
        for layer in 0..self.job.model.layers {
            let mut stored = Vec::new();
            let buffer = drained.len().checked_sub(LAYER_BUFFERS as usize);
            let mut free = buffer.map_or_else(Vec::new, |turn| drained[turn].clone());
            let mut made = None;
            for (tasks, chunk) in chunks.iter_mut().zip(&group.chunks) {
                let kv = self.operators(tasks, &free, |kind, at| at == Some(layer) && makes_kv(kind));
                free.clear();
                made = kv;
                stored.extend(self.store(layer, group, chunk, kv.as_slice()));
            }
            for tasks in &mut chunks {
                // Of a sequence in several chunks: its tokens before.
                self.operators(tasks, made.as_slice(), |kind, at| at == Some(layer) && !makes_kv(kind));
            }
            if let Some(homed) = self.homed.get_mut(layer as usize) {
                homed.extend(&stored);
            }
            drained.push(stored);
        }
        for tasks in &mut chunks {
            last.extend(self.operators(tasks, &[], |kind, at| at.is_none() && kind != OperatorKind::Embed));
        }
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

    /// Brings what a chunk has added to a layer's K and V to where it lives, beside the GPU's kernels. Gives what the GPU's
    /// buffer is needed for until its end.
    fn store(&mut self, layer: u32, group: &PromptGroup, chunk: &Chunk, after: &[NodeIndex]) -> Vec<NodeIndex> {
        let mut ends = Vec::new();
        let host = chunk.pieces.iter().map(|piece| self.placement.host_tokens(layer, group.first, piece)).sum::<u64>();
        if host > 0 {
            let bytes = host.saturating_mul(self.job.model.kv_bytes_per_token_layer(self.job.dtype_bytes));
            let copy = self.machine.to_host("kv-store", self.tag(Some(layer)), bytes);
            ends.push(self.launch(Site::CopyOut, Work::Copy(copy), after));
        }
        ends
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
