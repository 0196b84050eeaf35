//! From operators to tasks: what runs where, and what waits for what.
//!
//! Each decode step's operator graph becomes kernels of the GPU's stream, except attention, which goes where its KV
//! cache is. The steps hang together by the host's seeing a token before it launches the next one.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use host_gpu::{HostJob, Kernel};
use interconnect::Copy;
use petgraph::graph::{DiGraph, NodeIndex};
use pim_device::kernel::ordinary;
use pim_device::kernel::pq::{self, PqUnit};
use pim_device::{AttentionUnit, Command, Program, ProgramTask, attention};
use sim_core::{Bytes, Tag, Time};
use workloads::kv::CodecCost;
use workloads::{AttentionShape, Lengths, Operator, OperatorGraph, OperatorKind};

use super::cache::Load;
use super::channels::Units;
use super::prefill::Prefill;
use super::{Figures, Job, Machine, Placement, SystemError};
use crate::scenario::{Attention, Dispatch, Gather, Home, Pipeline};

/// The actor that runs a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// The GPU's stream.
    Stream,
    /// The GPU's copy engine from the host.
    CopyIn,
    /// The GPU's copy engine to the host; a GPU with one engine does these copies on [`Site::CopyIn`].
    CopyOut,
    /// Loads of kernels from host memory.
    HostLoad,
    /// Stores of kernels to a PIM stack.
    Store(usize),
    /// Loads of kernels from a PIM stack.
    Load(usize),
    /// A class of PIM channels.
    Pim(usize),
    /// The host's cores.
    Worker,
    /// The host thread that launches.
    Driver,
}

/// What a task is.
#[derive(Clone, Debug)]
pub enum Work {
    /// Of a GPU or CPU.
    Kernel(Kernel),
    /// A transfer.
    Copy(Copy),
    /// Of a PIM channel.
    Program(ProgramTask),
    /// Of the host thread.
    Host(HostJob),
}

/// A task and where it runs.
#[derive(Clone, Debug)]
pub struct Task {
    /// The actor.
    pub site: Site,
    /// What it does there.
    pub work: Work,
}

/// All tasks of a run; an edge means that its target waits for its source.
#[derive(Debug, Default)]
pub struct Tasks {
    /// The graph, in an order in which streams can take their kernels.
    pub graph: DiGraph<Task, ()>,
    /// How long the BufferPEs compare distances in the clustering of a layer of a group of prompts, of the channel with most.
    pub assignment: Time,
}

/// Compiles every step of the run. A long run's plan takes seconds: where `stop` says so the rest is left out, and the
/// plan is not to be run.
pub fn plan(
    figures: &Figures,
    placement: &Placement,
    machine: &Machine,
    job: &Job<'_>,
    prefill: Option<&Prefill>,
    stop: &dyn Fn() -> bool,
) -> Result<Tasks, SystemError> {
    let mut planner = Planner {
        figures,
        placement,
        machine,
        job,
        pipeline: placement.pipeline,
        tasks: Tasks::default(),
        programs: BTreeMap::new(),
        accesses: BTreeMap::new(),
        launched: None,
        homed: Vec::new(),
        step: Step::default(),
    };
    if let Some(prefill) = prefill {
        planner.prefill(prefill, stop)?;
    }
    for step in 1..=job.workload.new_tokens {
        // The first step is always there: without any task a run would be done before it could be stopped.
        if step > 1 && stop() {
            break;
        }
        planner.step(step)?;
    }
    Ok(planner.tasks)
}

/// What is known of the step that is being compiled.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// From 1; 0 for the prefill.
    pub(super) number: u32,
    /// Tokens that attention reads in each sequence.
    lengths: Lengths,
    /// The end of each layer's attention so far: its buffer is free afterwards.
    attended: Vec<Vec<NodeIndex>>,
    /// What the token waits for besides the last kernel.
    loose_ends: Vec<NodeIndex>,
    /// The group of sequences that is being compiled.
    group: usize,
    /// The last kernel of the stream, where the next one is to follow it whatever it waits for.
    program_order: Option<NodeIndex>,
}

/// Operators next to each other in the order of launch that the groups go through one after the other, or that are one
/// for the whole batch.
#[derive(Debug)]
struct Block {
    by_group: bool,
    nodes: Vec<workloads::graph::NodeIndex>,
}

/// The most copies in which a layer's cache is fetched: a choice. So many take ten seconds for each layer and token.
const MOST_COPIES: u32 = 1 << 24;

/// So many copies of so many bytes, where they are not too many.
fn copies(key: &'static str, bytes: u64, count: u64) -> Result<u32, SystemError> {
    match u32::try_from(count) {
        Ok(count) if count <= MOST_COPIES => Ok(count),
        _ => Err(SystemError::TooManyCopies { key, bytes: Bytes(bytes), count, most: MOST_COPIES }),
    }
}

/// Cuts a step into blocks. The last operators of a layer are followed by the first ones of the next: where both go by
/// groups, a group does both before the next group has its turn.
fn blocks(operators: &OperatorGraph, pipeline: Pipeline, groups: usize) -> Result<Vec<Block>, SystemError> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut attended = false;
    for node in operators.topological_order()? {
        let Some(operator) = operators.operator(node) else { continue };
        let front = matches!(
            operator.kind,
            OperatorKind::InputNorm
                | OperatorKind::Qkv
                | OperatorKind::Rope
                | OperatorKind::Append
                | OperatorKind::Attention
        );
        let by_group = groups > 1 && operator.layer.is_some() && (front || pipeline == Pipeline::Layer);
        match blocks.last_mut() {
            // All groups send their queries before the first one takes its output.
            Some(block) if block.by_group == by_group && !(by_group && attended) => block.nodes.push(node),
            _ => blocks.push(Block { by_group, nodes: vec![node] }),
        }
        attended = operator.kind == OperatorKind::Attention;
    }
    Ok(blocks)
}

pub(super) struct Planner<'a> {
    pub(super) figures: &'a Figures,
    pub(super) placement: &'a Placement,
    pub(super) machine: &'a Machine,
    pub(super) job: &'a Job<'a>,
    pipeline: Pipeline,
    pub(super) tasks: Tasks,
    /// By the units of a channel.
    programs: BTreeMap<Vec<Units>, Arc<Program>>,
    /// Ordinary accesses, by direction and bytes.
    accesses: BTreeMap<(Command, u64), Arc<Program>>,
    /// The host's last job: launches are made one after the other.
    pub(super) launched: Option<NodeIndex>,
    /// By layer, what brings the prompts' K and V to their home: the first step's attention waits for it.
    pub(super) homed: Vec<Vec<NodeIndex>>,
    pub(super) step: Step,
}

/// Bytes of the number of a chosen token of a head.
const INDEX_BYTES: u64 = 4;

impl Planner<'_> {
    pub(super) fn tag(&self, layer: Option<u32>) -> Tag {
        Tag { step: self.step.number, layer }
    }

    pub(super) fn add(&mut self, site: Site, work: Work, after: &[NodeIndex]) -> NodeIndex {
        let site = if site == Site::CopyOut && self.figures.gpu.one_copy_engine { Site::CopyIn } else { site };
        let task = self.tasks.graph.add_node(Task { site, work });
        for (place, &before) in after.iter().enumerate() {
            // An operator can reach another over two ways that are one and the same task here.
            if !after[..place].contains(&before) {
                self.tasks.graph.add_edge(before, task, ());
            }
        }
        task
    }

    pub(super) fn host_job(&mut self, kind: &'static str, duration: Time, after: &[NodeIndex]) -> NodeIndex {
        let job = HostJob { kind, tag: self.tag(None), duration };
        self.add(Site::Driver, Work::Host(job), after)
    }

    /// A task that the host launches: by itself, or with the step's graph where nothing else starts it.
    pub(super) fn launch(&mut self, site: Site, work: Work, after: &[NodeIndex]) -> NodeIndex {
        let mut after = after.to_vec();
        match self.figures.gpu.dispatch {
            Dispatch::Stream => {
                let before: Vec<NodeIndex> = self.launched.into_iter().collect();
                let launch = self.host_job("launch", self.figures.gpu.launch, &before);
                self.launched = Some(launch);
                after.push(launch);
            }
            Dispatch::Graph if after.is_empty() => after.extend(self.launched),
            Dispatch::Graph => {}
        }
        let kernel = site == Site::Stream && self.placement.groups.len() > 1;
        if kernel {
            after.extend(self.step.program_order);
        }
        let task = self.add(site, work, &after);
        if kernel {
            self.step.program_order = Some(task);
        }
        task
    }

    fn step(&mut self, number: u32) -> Result<(), SystemError> {
        self.step = Step { number, lengths: self.job.lengths(number), ..Step::default() };
        let operators = self.job.operators(number);
        if self.figures.gpu.dispatch == Dispatch::Graph {
            let before: Vec<NodeIndex> = self.launched.into_iter().collect();
            self.launched = Some(self.host_job("launch", self.figures.gpu.launch, &before));
        }
        let groups = self.placement.groups.len();
        // Each group's operators: the same graph for fewer sequences.
        let of_groups: Vec<OperatorGraph> = if groups > 1 {
            let slice = |group: &Range<u32>| self.step.lengths.first(group.end).after(group.start);
            let of = |group| OperatorGraph::decode_lengths(self.job.model, &slice(group), self.job.dtype_bytes);
            self.placement.groups.iter().map(of).collect()
        } else {
            Vec::new()
        };
        // What the consumers of an operator wait for, by group; of an operator of the whole batch one entry.
        let mut ends: BTreeMap<_, Vec<Vec<NodeIndex>>> = BTreeMap::new();
        let mut last = Vec::new();
        for block in blocks(&operators, self.pipeline, groups)? {
            for group in 0..if block.by_group { groups } else { 1 } {
                self.step.group = group;
                let graph = of_groups.get(group).filter(|_| block.by_group).unwrap_or(&operators);
                for &node in &block.nodes {
                    let Some(operator) = graph.operator(node) else { continue };
                    let mut after: Vec<NodeIndex> = Vec::new();
                    for (before, _) in operators.predecessors(node) {
                        match ends.get(&before).map_or(&[][..], Vec::as_slice) {
                            by_group if block.by_group && by_group.len() > 1 => after.extend(&by_group[group]),
                            all => after.extend(all.iter().flatten()),
                        }
                    }
                    let done = self.operator(operator, block.by_group, &after)?;
                    last.clone_from(&done);
                    ends.entry(node).or_default().push(done);
                }
            }
        }
        last.append(&mut self.step.loose_ends);
        if self.figures.gpu.dispatch == Dispatch::Stream {
            last.extend(self.launched);
        }
        self.launched = Some(self.host_job("token", Time::ZERO, &last));
        Ok(())
    }

    /// One operator, of the group that is being compiled or of the whole batch. Gives what its consumers wait for.
    fn operator(
        &mut self,
        operator: &Operator,
        by_group: bool,
        after: &[NodeIndex],
    ) -> Result<Vec<NodeIndex>, SystemError> {
        let (kind, layer) = (operator.kind, operator.layer);
        if let (OperatorKind::Attention, Some(layer)) = (kind, layer) {
            let mut after = after.to_vec();
            if let Some(homed) = self.homed.get(layer as usize).filter(|_| self.step.number == 1) {
                after.extend(homed);
            }
            let groups = if by_group { self.step.group..self.step.group + 1 } else { 0..self.placement.groups.len() };
            let mut ends = Vec::new();
            for group in groups {
                ends.extend(self.attention(layer, group, operator, &after)?);
            }
            return Ok(ends);
        }
        let (bytes, operations) = match layer {
            Some(layer) if matches!(kind, OperatorKind::Rope | OperatorKind::Append) => {
                let append = self.append(layer);
                let bytes = operator.activation_bytes.saturating_add(append.bytes);
                (bytes, operator.flops.saturating_add(append.operations(&self.figures.gpu)))
            }
            _ => (operator.total_bytes(), operator.flops),
        };
        let kernel = self.kernel(kind.name(), layer, bytes, operations);
        Ok(vec![self.launch(Site::Stream, Work::Kernel(kernel), after)])
    }

    /// What the GPU does to store the new token's key and value: with the codec where it attends, as they are where they
    /// are sent on.
    fn append(&self, layer: u32) -> Load {
        let placement = self.placement;
        let (home, host) = placement.group_split(layer, self.step.group, &self.step.lengths);
        let sent = |part: &Lengths| {
            let write_bytes = u64::from(part.sequences()).saturating_mul(self.token_bytes());
            Load { bytes: write_bytes, cost: CodecCost { write_bytes, ..CodecCost::default() } }
        };
        let cut = placement.merged(layer, self.step.group, &self.step.lengths) > 0;
        match placement.choice.attention {
            Attention::Cpu => sent(&host),
            // A sequence that is cut has its new token in the host's part.
            Attention::Gpu if cut => placement.cache.append(&self.group_lengths()),
            Attention::Gpu => placement.cache.append(&home).plus(placement.cache.append(&host)),
            Attention::Pim if cut => sent(&self.group_lengths()),
            Attention::Pim => sent(&home).plus(placement.cache.append(&host)),
        }
    }

    /// Tokens that attention reads in each sequence of the group.
    fn group_lengths(&self) -> Lengths {
        let all = 0..self.job.workload.batch;
        let group = self.placement.groups.get(self.step.group).unwrap_or(&all);
        self.step.lengths.first(group.end).after(group.start)
    }

    /// A token's key and value in a layer, as they are.
    fn token_bytes(&self) -> u64 {
        self.job.model.kv_bytes_per_token_layer(self.job.dtype_bytes)
    }

    pub(super) fn kernel(&self, kind: &'static str, layer: Option<u32>, bytes: u64, operations: u64) -> Kernel {
        Kernel { kind, tag: self.tag(layer), bytes, operations, bandwidth_cap: None }
    }

    /// Attention of a group in one layer: the part in the home, and the part in the host. Gives what the output waits for.
    fn attention(
        &mut self,
        layer: u32,
        group: usize,
        operator: &Operator,
        after: &[NodeIndex],
    ) -> Result<Vec<NodeIndex>, SystemError> {
        self.step.group = group;
        let (home, host) = self.placement.group_split(layer, group, &self.step.lengths);
        let mut ends = Vec::new();
        if !home.is_empty() {
            match self.placement.choice.home {
                Home::Pim => ends.extend(self.attend_on_pim(layer, after)?),
                Home::Gpu | Home::Host => {
                    ends.push(self.attend_on_gpu("attention", layer, operator, &home, after)?);
                }
            }
        }
        if host.is_empty() {
            self.attended(layer, &ends);
        } else {
            match self.placement.choice.attention {
                Attention::Cpu => ends.push(self.attend_on_cpu(layer, &host, after)),
                Attention::Gpu | Attention::Pim => ends.push(self.attend_fetched(layer, operator, &host, after)?),
            }
        }
        let merged = self.placement.merged(layer, group, &self.step.lengths);
        if merged > 0 {
            // Two partial outputs with their maxima and sums are read and one output is written.
            let shape = self.shape();
            let statistics = 2 * 8 * u64::from(merged * shape.kv_heads * shape.query_heads_per_kv_head);
            let output_bytes = shape.output_bytes / u64::from(shape.batch.max(1)) * u64::from(merged);
            let bytes = 3 * output_bytes + statistics;
            let kernel = self.kernel("merge", Some(layer), bytes, 4 * output_bytes);
            ends = vec![self.launch(Site::Stream, Work::Kernel(kernel), &ends)];
        }
        Ok(ends)
    }

    /// The buffer of a layer's fetched cache is free when these have ended.
    fn attended(&mut self, layer: u32, ends: &[NodeIndex]) {
        let layer = layer as usize;
        if self.step.attended.len() <= layer {
            self.step.attended.resize(layer + 1, Vec::new());
        }
        self.step.attended[layer].extend(ends);
    }

    /// Attention's shape for the sequences of the group.
    fn shape(&self) -> AttentionShape {
        self.job.model.attention_of(&self.group_lengths(), self.job.dtype_bytes)
    }

    /// GPU kernels over KV in the GPU's own memory; tokens that a codec chooses are fetched in between.
    fn attend_on_gpu(
        &mut self,
        kind: &'static str,
        layer: u32,
        operator: &Operator,
        part: &Lengths,
        after: &[NodeIndex],
    ) -> Result<NodeIndex, SystemError> {
        let gpu = &self.figures.gpu;
        let cap = Some(gpu.attention_bandwidth);
        let load = self.placement.cache.attend(part);
        let kernel = Kernel {
            bandwidth_cap: cap,
            ..self.kernel(kind, Some(layer), load.bytes + operator.activation_bytes, load.operations(gpu))
        };
        let mut after = after.to_vec();
        if self.placement.cache.chooses() {
            let load = self.placement.cache.choose(part);
            let (bytes, operations) = (load.bytes + operator.activation_bytes / 2, load.operations(gpu));
            let search = Kernel { bandwidth_cap: cap, ..self.kernel("search", Some(layer), bytes, operations) };
            let search = self.launch(Site::Stream, Work::Kernel(search), &after);
            after = vec![search];
            after.extend(self.gather(layer, part, search)?);
        }
        Ok(self.launch(Site::Stream, Work::Kernel(kernel), &after))
    }

    /// Brings the tokens that a search has chosen from the host.
    fn gather(&mut self, layer: u32, part: &Lengths, search: NodeIndex) -> Result<Option<NodeIndex>, SystemError> {
        let cache = &self.placement.cache;
        let bytes = cache.chosen_bytes(part);
        if bytes == 0 {
            return Ok(None);
        }
        // Assumption: a token's key and value of a head lie side by side.
        let piece = (self.token_bytes() / cache.kv_heads.max(1)).max(1);
        let pieces = bytes.div_ceil(piece);
        let tag = self.tag(Some(layer));
        let machine = self.machine;
        let indices = || machine.to_host("indices-to-host", tag, pieces.saturating_mul(INDEX_BYTES));
        let fetch = |copies| machine.from_host("kv-gather", tag, bytes, copies);
        Ok(Some(match self.placement.choice.gather {
            Gather::Loads => self.launch(Site::HostLoad, Work::Copy(fetch(1)), &[search]),
            Gather::Copies => {
                let copies = copies("kv.gather = \"copies\"", bytes, pieces)?;
                let told = self.launch(Site::CopyOut, Work::Copy(indices()), &[search]);
                self.launch(Site::CopyIn, Work::Copy(fetch(copies)), &[told])
            }
            Gather::Cpu => {
                let told = self.launch(Site::CopyOut, Work::Copy(indices()), &[search]);
                let kernel = self.kernel("gather", Some(layer), bytes.saturating_mul(2), 0);
                let gathered = self.add(Site::Worker, Work::Kernel(kernel), &[told]);
                self.launch(Site::CopyIn, Work::Copy(fetch(1)), &[gathered])
            }
        }))
    }

    /// Copies a layer's KV from the host and attends on the GPU; what is new of the newest token goes back.
    fn attend_fetched(
        &mut self,
        layer: u32,
        operator: &Operator,
        part: &Lengths,
        after: &[NodeIndex],
    ) -> Result<NodeIndex, SystemError> {
        let cache = &self.placement.cache;
        // Of a sequence that is cut this part holds the newest tokens, which cost the same wherever it begins.
        let append = self.machine.to_host("kv-append", self.tag(Some(layer)), cache.append_bytes(part));
        let append = self.launch(Site::CopyOut, Work::Copy(append), after);
        self.step.loose_ends.push(append);

        // The new token's K and V are on the GPU already.
        let cached = part.beyond(1);
        let mut attend_after = after.to_vec();
        if !cached.is_empty() {
            let bytes = cached.sum(|tokens| cache.fetch_bytes(tokens));
            let blocks = match self.placement.choice.block {
                Some(block) => cached.sum(|tokens| cache.fetch_bytes(tokens).div_ceil(block.0.max(1))),
                None => u64::from(cached.sequences()),
            };
            let copies = copies("kv.block", bytes, blocks)?;
            let fetch = self.machine.from_host("kv-fetch", self.tag(Some(layer)), bytes, copies);
            let prefetch = self.placement.choice.prefetch;
            let fetch_after = if prefetch == 0 {
                // On demand, when the layer's queries are there.
                after.to_vec()
            } else {
                // As soon as a buffer is free: when the layer `prefetch + 1` before has been attended.
                let before = layer.checked_sub(prefetch + 1);
                before.map_or_else(Vec::new, |before| self.step.attended[before as usize].clone())
            };
            attend_after.push(self.launch(Site::CopyIn, Work::Copy(fetch), &fetch_after));
        }
        let attend = self.attend_on_gpu("attention-fetched", layer, operator, part, &attend_after)?;
        self.attended(layer, &[attend]);
        Ok(attend)
    }

    /// Sends queries, keys and values to the host, attends on its cores and fetches the output.
    fn attend_on_cpu(&mut self, layer: u32, part: &Lengths, after: &[NodeIndex]) -> NodeIndex {
        let shape = self.shape();
        let tag = self.tag(Some(layer));
        let queries = self.machine.to_host("qkv-to-host", tag, shape.q_bytes + shape.kv_append_bytes);
        let queries = self.launch(Site::CopyOut, Work::Copy(queries), after);
        let cache = &self.placement.cache;
        let mut load = cache.attend(part);
        if !cache.codec.is_plain() {
            // The copy has written the new token; a codec makes its codes of it.
            load = load.plus(cache.append(part));
        }
        let bytes = load.bytes + shape.q_bytes + shape.output_bytes;
        let kernel = self.kernel("attention", Some(layer), bytes, load.host_operations());
        let attend = self.add(Site::Worker, Work::Kernel(kernel), &[queries]);
        self.attended(layer, &[attend]);
        let output = self.machine.from_host("output-to-gpu", tag, shape.output_bytes, 1);
        self.launch(Site::CopyIn, Work::Copy(output), &[attend])
    }

    /// Sends queries, keys and values to the stacks, runs the channels' programs and loads the outputs.
    fn attend_on_pim(&mut self, layer: u32, after: &[NodeIndex]) -> Result<Vec<NodeIndex>, SystemError> {
        let shape = self.shape();
        let tag = self.tag(Some(layer));
        let units_of = |total: u64| total / (u64::from(shape.batch) * u64::from(shape.kv_heads)).max(1);
        let to_unit = units_of(shape.q_bytes) + units_of(shape.kv_append_bytes);
        let from_unit = units_of(shape.output_bytes);
        let (machine, placement) = (self.machine, self.placement);
        let slots = placement.group_slots(layer, self.step.group);
        let units_in = |units: &[u32]| units[slots.clone()].iter().copied().map(u64::from).sum::<u64>();
        let mut sent = Vec::new();
        for (stack, units) in placement.stack_units.iter().enumerate() {
            let units = units_in(units);
            if units > 0 {
                let copy = machine.to_stack("qkv-to-pim", tag, units * to_unit, stack);
                sent.push(self.add(Site::Store(stack), Work::Copy(copy), after));
            }
        }
        let mut attended = Vec::new();
        for (class, channels) in placement.classes.iter().enumerate() {
            let units = channels.units_of(slots.clone());
            if !units.is_empty() {
                // K and V are written by the program itself. Queries and outputs pass the channel as ordinary accesses of their
                // own: the host's side of the buffers, which wait for whoever has the channel.
                let count: u64 = units.iter().map(|units| u64::from(units.count)).sum();
                let queries = self.access(Command::Wr, count * units_of(shape.q_bytes));
                let stored = ProgramTask { program: queries, kind: "query-store", tag };
                let stored = self.add(Site::Pim(class), Work::Program(stored), &sent);
                let program = ProgramTask { program: self.program(&units)?, kind: "attention", tag };
                let program = self.add(Site::Pim(class), Work::Program(program), &[stored]);
                let outputs = self.access(Command::Rd, count * from_unit);
                let read = ProgramTask { program: outputs, kind: "output-load", tag };
                attended.push(self.add(Site::Pim(class), Work::Program(read), &[program]));
            }
        }
        let mut loaded = Vec::new();
        for (stack, units) in placement.stack_units.iter().enumerate() {
            let units = units_in(units);
            if units > 0 {
                let copy = machine.from_stack("output-to-gpu", tag, units * from_unit, stack);
                loaded.push(self.add(Site::Load(stack), Work::Copy(copy), &attended));
            }
        }
        Ok(loaded)
    }

    /// Ordinary accesses to so many bytes of a channel. The buffers answer at rows behind those of the banks (assumption).
    fn access(&mut self, command: Command, bytes: u64) -> Arc<Program> {
        let build = || match &self.figures.pim {
            Some(pim) => {
                let organisation = &pim.device.organisation;
                let granules = bytes.div_ceil(u64::from(organisation.granule).max(1));
                Arc::new(ordinary::access(&pim.device, command, organisation.rows, granules))
            }
            None => Arc::new(Program::default()),
        };
        self.accesses.entry((command, bytes)).or_insert_with(build).clone()
    }

    /// The program of a channel with these units; the same for every layer.
    fn program(&mut self, units: &[Units]) -> Result<Arc<Program>, SystemError> {
        let to_come = u64::from(self.job.workload.new_tokens - self.step.number);
        let now = |units: &Units| Units { tokens: self.placement.unit_tokens(units.tokens, to_come), ..*units };
        let units: Vec<Units> = units.iter().map(now).collect();
        if let Some(program) = self.programs.get(&units) {
            return Ok(program.clone());
        }
        let program = Arc::new(self.build(&units)?);
        self.programs.insert(units, program.clone());
        Ok(program)
    }

    fn build(&self, units: &[Units]) -> Result<Program, SystemError> {
        let Some(pim) = &self.figures.pim else { return Ok(Program::default()) };
        let (model, query_heads) = (self.job.model, self.job.model.query_heads_per_kv_head());
        let tokens = units.iter().flat_map(|units| std::iter::repeat_n(units.tokens, units.count as usize));
        if let Some(shape) = self.placement.cache.pq_shape() {
            let units: Vec<PqUnit> = tokens.map(|tokens| PqUnit { tokens, query_heads }).collect();
            return Ok(pq::attention(&pim.device, &shape, &units)?);
        }
        let units: Vec<AttentionUnit> = tokens.map(|tokens| AttentionUnit { tokens, query_heads }).collect();
        Ok(attention(&pim.device, model.head_dim, &units))
    }
}
