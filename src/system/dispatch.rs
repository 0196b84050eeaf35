//! From operators to tasks: what runs where, and what waits for what.
//!
//! Each decode step's operator graph becomes kernels of the GPU's stream, except attention, which goes where its KV
//! cache is. The steps hang together by the host's seeing a token before it launches the next one.

use std::collections::BTreeMap;
use std::sync::Arc;

use host_gpu::{HostJob, Kernel};
use interconnect::Copy;
use petgraph::graph::{DiGraph, NodeIndex};
use pim_device::{AttentionUnit, Program, ProgramTask, attention};
use sim_core::{Tag, Time};
use workloads::{AttentionShape, Lengths, Operator, OperatorKind};

use super::channels::Units;
use super::{Figures, Job, Machine, Placement, SystemError};
use crate::scenario::{Attention, Dispatch, Home};

/// The actor that runs a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// The GPU's stream.
    Stream,
    /// The GPU's copy engine from the host.
    CopyIn,
    /// The GPU's copy engine to the host; a GPU with one engine does these copies on [`Site::CopyIn`].
    CopyOut,
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
}

/// Compiles every step of the run. A long run's plan takes seconds: where `stop` says so the rest is left out, and the
/// plan is not to be run.
pub fn plan(
    figures: &Figures,
    placement: &Placement,
    machine: &Machine,
    job: &Job<'_>,
    stop: &dyn Fn() -> bool,
) -> Result<Tasks, SystemError> {
    let mut planner = Planner {
        figures,
        placement,
        machine,
        job,
        tasks: Tasks::default(),
        programs: BTreeMap::new(),
        launched: None,
        step: Step::default(),
    };
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
struct Step {
    number: u32,
    /// Tokens that attention reads in each sequence.
    lengths: Lengths,
    /// The end of each layer's attention so far: its buffer is free afterwards.
    attended: Vec<Vec<NodeIndex>>,
    /// What the token waits for besides the last kernel.
    loose_ends: Vec<NodeIndex>,
}

struct Planner<'a> {
    figures: &'a Figures,
    placement: &'a Placement,
    machine: &'a Machine,
    job: &'a Job<'a>,
    tasks: Tasks,
    /// By the units of a channel.
    programs: BTreeMap<Vec<Units>, Arc<Program>>,
    /// The host's last job: launches are made one after the other.
    launched: Option<NodeIndex>,
    step: Step,
}

impl Planner<'_> {
    fn tag(&self, layer: Option<u32>) -> Tag {
        Tag { step: self.step.number, layer }
    }

    fn add(&mut self, site: Site, work: Work, after: &[NodeIndex]) -> NodeIndex {
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

    fn host_job(&mut self, kind: &'static str, duration: Time, after: &[NodeIndex]) -> NodeIndex {
        let job = HostJob { kind, tag: self.tag(None), duration };
        self.add(Site::Driver, Work::Host(job), after)
    }

    /// A task that the host launches: by itself, or with the step's graph where nothing else starts it.
    fn launch(&mut self, site: Site, work: Work, after: &[NodeIndex]) -> NodeIndex {
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
        self.add(site, work, &after)
    }

    fn step(&mut self, number: u32) -> Result<(), SystemError> {
        self.step = Step { number, lengths: self.job.lengths(number), ..Step::default() };
        let operators = self.job.operators(number);
        if self.figures.gpu.dispatch == Dispatch::Graph {
            let before: Vec<NodeIndex> = self.launched.into_iter().collect();
            self.launched = Some(self.host_job("launch", self.figures.gpu.launch, &before));
        }
        let mut ends: BTreeMap<_, Vec<NodeIndex>> = BTreeMap::new();
        let mut last = Vec::new();
        for node in operators.topological_order()? {
            let Some(operator) = operators.operator(node) else { continue };
            let before = operators.predecessors(node);
            let after: Vec<NodeIndex> = before.flat_map(|(node, _)| ends[&node].iter().copied()).collect();
            let done = if let (OperatorKind::Attention, Some(layer)) = (operator.kind, operator.layer) {
                self.attention(layer, operator, &after)
            } else {
                let (kind, bytes) = (operator.kind.name(), operator.total_bytes());
                let kernel = self.kernel(kind, operator.layer, bytes, operator.flops);
                vec![self.launch(Site::Stream, Work::Kernel(kernel), &after)]
            };
            last.clone_from(&done);
            ends.insert(node, done);
        }
        last.append(&mut self.step.loose_ends);
        if self.figures.gpu.dispatch == Dispatch::Stream {
            last.extend(self.launched);
        }
        self.launched = Some(self.host_job("token", Time::ZERO, &last));
        Ok(())
    }

    fn kernel(&self, kind: &'static str, layer: Option<u32>, bytes: u64, operations: u64) -> Kernel {
        Kernel { kind, tag: self.tag(layer), bytes, operations, bandwidth_cap: None }
    }

    /// Attention of one layer: the part in the home, and the part in the host. Gives what the output waits for.
    fn attention(&mut self, layer: u32, operator: &Operator, after: &[NodeIndex]) -> Vec<NodeIndex> {
        let (home, host) = self.placement.split(layer, &self.step.lengths);
        let mut ends = Vec::new();
        if !home.is_empty() {
            match self.placement.choice.home {
                Home::Pim => ends.extend(self.attend_on_pim(layer, after)),
                Home::Gpu | Home::Host => ends.push(self.attend_on_gpu("attention", layer, operator, &home, after)),
            }
        }
        if host.is_empty() {
            self.step.attended.push(ends.clone());
        } else {
            match self.placement.choice.attention {
                Attention::Cpu => ends.push(self.attend_on_cpu(layer, &host, after)),
                Attention::Gpu | Attention::Pim => ends.push(self.attend_fetched(layer, operator, &host, after)),
            }
        }
        let merged = self.placement.merged(layer, &self.step.lengths);
        if merged > 0 {
            // Two partial outputs with their maxima and sums are read and one output is written.
            let shape = self.shape();
            let statistics = 2 * 8 * u64::from(merged * shape.kv_heads * shape.query_heads_per_kv_head);
            let output_bytes = shape.output_bytes / u64::from(shape.batch.max(1)) * u64::from(merged);
            let bytes = 3 * output_bytes + statistics;
            let kernel = self.kernel("merge", Some(layer), bytes, 4 * output_bytes);
            ends = vec![self.launch(Site::Stream, Work::Kernel(kernel), &ends)];
        }
        ends
    }

    fn shape(&self) -> AttentionShape {
        self.job.attention(self.step.number)
    }

    /// The KV bytes of a part of a layer.
    fn bytes(&self, part: &Lengths) -> u64 {
        part.total().saturating_mul(self.job.model.kv_bytes_per_token_layer(self.job.dtype_bytes))
    }

    /// A GPU kernel over KV in the GPU's own memory.
    fn attend_on_gpu(
        &mut self,
        kind: &'static str,
        layer: u32,
        operator: &Operator,
        part: &Lengths,
        after: &[NodeIndex],
    ) -> NodeIndex {
        let kernel = Kernel {
            bandwidth_cap: Some(self.figures.gpu.attention_bandwidth),
            ..self.kernel(kind, Some(layer), self.bytes(part) + operator.activation_bytes, self.operations(part))
        };
        self.launch(Site::Stream, Work::Kernel(kernel), after)
    }

    /// 4 operations for every query head, element and cached token: a multiply-add for the score, one for the output.
    fn operations(&self, part: &Lengths) -> u64 {
        let model = self.job.model;
        part.total().saturating_mul(4 * u64::from(model.heads) * u64::from(model.head_dim))
    }

    /// Copies a layer's KV from the host and attends on the GPU; the new token's K and V go back.
    fn attend_fetched(&mut self, layer: u32, operator: &Operator, part: &Lengths, after: &[NodeIndex]) -> NodeIndex {
        let append = Lengths::equal(part.sequences(), 1);
        let append = self.machine.to_host("kv-append", self.tag(Some(layer)), self.bytes(&append));
        let append = self.launch(Site::CopyOut, Work::Copy(append), after);
        self.step.loose_ends.push(append);

        // The new token's K and V are on the GPU already.
        let cached = part.beyond(1);
        let mut attend_after = after.to_vec();
        if !cached.is_empty() {
            let bytes = self.bytes(&cached);
            let copies = match self.placement.choice.block {
                Some(block) => cached.sum(|tokens| self.bytes(&Lengths::equal(1, tokens)).div_ceil(block.0.max(1))),
                None => u64::from(cached.sequences()),
            };
            let copies = u32::try_from(copies).unwrap_or(u32::MAX);
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
        let attend = self.attend_on_gpu("attention-fetched", layer, operator, part, &attend_after);
        self.step.attended.push(vec![attend]);
        attend
    }

    /// Sends queries, keys and values to the host, attends on its cores and fetches the output.
    fn attend_on_cpu(&mut self, layer: u32, part: &Lengths, after: &[NodeIndex]) -> NodeIndex {
        let shape = self.shape();
        let tag = self.tag(Some(layer));
        let queries = self.machine.to_host("qkv-to-host", tag, shape.q_bytes + shape.kv_append_bytes);
        let queries = self.launch(Site::CopyOut, Work::Copy(queries), after);
        let bytes = self.bytes(part) + shape.q_bytes + shape.output_bytes;
        let kernel = self.kernel("attention", Some(layer), bytes, self.operations(part));
        let attend = self.add(Site::Worker, Work::Kernel(kernel), &[queries]);
        self.step.attended.push(vec![attend]);
        let output = self.machine.from_host("output-to-gpu", tag, shape.output_bytes, 1);
        self.launch(Site::CopyIn, Work::Copy(output), &[attend])
    }

    /// Sends queries, keys and values to the stacks, runs the channels' programs and loads the outputs.
    fn attend_on_pim(&mut self, layer: u32, after: &[NodeIndex]) -> Vec<NodeIndex> {
        let shape = self.shape();
        let tag = self.tag(Some(layer));
        let units_of = |total: u64| total / (u64::from(shape.batch) * u64::from(shape.kv_heads)).max(1);
        let to_unit = units_of(shape.q_bytes) + units_of(shape.kv_append_bytes);
        let from_unit = units_of(shape.output_bytes);
        let (machine, placement) = (self.machine, self.placement);
        let mut sent = Vec::new();
        for (stack, units) in placement.stack_units.iter().enumerate() {
            let units = u64::from(units[layer as usize]);
            if units > 0 {
                let copy = machine.to_stack("qkv-to-pim", tag, units * to_unit, stack);
                sent.push(self.add(Site::Store(stack), Work::Copy(copy), after));
            }
        }
        let mut attended = Vec::new();
        for (class, channels) in placement.classes.iter().enumerate() {
            let units = &channels.units[layer as usize];
            if !units.is_empty() {
                let program = ProgramTask { program: self.program(units), kind: "attention", tag };
                attended.push(self.add(Site::Pim(class), Work::Program(program), &sent));
            }
        }
        let mut loaded = Vec::new();
        for (stack, units) in placement.stack_units.iter().enumerate() {
            let units = u64::from(units[layer as usize]);
            if units > 0 {
                let copy = machine.from_stack("output-to-gpu", tag, units * from_unit, stack);
                loaded.push(self.add(Site::Load(stack), Work::Copy(copy), &attended));
            }
        }
        loaded
    }

    /// The program of a channel with these units; the same for every layer.
    fn program(&mut self, units: &[Units]) -> Arc<Program> {
        let (model, figures) = (self.job.model, self.figures);
        let to_come = u64::from(self.job.workload.new_tokens - self.step.number);
        let now = |units: &Units| Units { tokens: self.placement.resident_tokens(units.tokens - to_come), ..*units };
        let units: Vec<Units> = units.iter().map(now).collect();
        let build = |units: &Vec<Units>| {
            let unit = |tokens| AttentionUnit { tokens, query_heads: model.query_heads_per_kv_head() };
            let each = |units: &Units| std::iter::repeat_n(unit(units.tokens), units.count as usize);
            let units: Vec<AttentionUnit> = units.iter().flat_map(each).collect();
            match &figures.pim {
                Some(pim) => Arc::new(attention(&pim.device, model.head_dim, &units)),
                None => Arc::new(Program::default()),
            }
        };
        self.programs.entry(units).or_insert_with_key(build).clone()
    }
}
