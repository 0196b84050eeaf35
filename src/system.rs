//! A scenario's system, assembled and run.
//!
//! [`figures`] reads the catalogue's figures of a [`SystemSpec`], [`placement`] decides which bytes lie in which memory,
//! [`machine`] makes the actors and wires them, [`dispatch`] compiles the operator graph of every decode step to tasks
//! on those actors, and [`simulate`] runs the whole and gathers what the reports need.

pub mod assumptions;
pub mod cache;
pub mod channels;
pub mod deal;
pub mod dispatch;
pub mod energy;
pub mod error;
pub mod figures;
pub mod kernel_run;
pub mod machine;
pub mod node;
pub mod placement;
pub mod prefill;

use std::sync::atomic::Ordering;

use reports::run_info::{Execution, Thread};
use reports::{Assumption, KvBytes, Memory, SystemInput, Use};
use sim_core::{Limits, ParallelReport, Progress, Stop, Time};
use workloads::{AttentionShape, Lengths, ModelConfig, OperatorGraph};

pub use error::SystemError;
pub use figures::Figures;
pub use machine::Machine;
pub use placement::Placement;
pub use prefill::Prefill;

use crate::scenario::{SystemSpec, Workload};
use crate::threads::cpu_time;

/// What is run on a system: a model and how much of it.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// The model.
    pub model: &'a ModelConfig,
    /// Bytes of a weight or an activation.
    pub dtype_bytes: u32,
    /// Batch, context, new tokens.
    pub workload: &'a Workload,
}

impl Job<'_> {
    /// The tokens that step `step` of the run, from 1, reads in each sequence: the last one all, the one before it one
    /// fewer.
    pub fn lengths(&self, step: u32) -> Lengths {
        let Workload { lengths, new_tokens, .. } = self.workload;
        lengths.map(|tokens| tokens - u64::from(*new_tokens) + u64::from(step))
    }

    /// The operators of step `step`.
    pub fn operators(&self, step: u32) -> OperatorGraph {
        OperatorGraph::decode_lengths(self.model, &self.lengths(step), self.dtype_bytes)
    }

    /// Attention's shape in step `step`.
    pub fn attention(&self, step: u32) -> AttentionShape {
        self.model.attention_of(&self.lengths(step), self.dtype_bytes)
    }
}

/// A finished run of one system.
#[derive(Debug)]
pub struct Outcome {
    /// What the reports need.
    pub input: SystemInput,
    /// What the run rests on that no source gives.
    pub assumptions: Vec<Assumption>,
    /// Which limit stopped the run; `None` for a whole run.
    pub stopped: Option<Stop>,
}

/// How a system is run. Nothing of it changes the result of a whole run.
#[derive(Clone, Copy, Debug)]
pub struct Conduct<'a> {
    /// What may end it early.
    pub limits: &'a Limits,
    /// The most threads.
    pub threads: usize,
    /// Whether the commands of PIM channels are kept.
    pub commands: bool,
}

/// Runs one system. `progress` hears how many tasks there are, once before the run and every now and
/// then how far it is.
pub fn simulate(
    spec: &SystemSpec,
    job: &Job<'_>,
    seed: u64,
    conduct: Conduct<'_>,
    progress: &mut dyn FnMut(u64, Progress),
) -> Result<Outcome, SystemError> {
    let begun = cpu_time();
    let (mut figures, mut assumptions) = Figures::read(spec)?;
    figures.serve(job.model.query_heads_per_kv_head());
    let mut placement = Placement::of(spec, &figures, job)?;
    let prefill = Prefill::of(&mut placement, job)?;
    assumptions.extend(assumptions::of(&figures, &placement));
    if prefill.is_some() {
        assumptions.extend(prefill::assumptions());
    }
    let mut machine = Machine::build(&figures, &placement, job, seed)?;
    if conduct.commands {
        machine.record();
    }
    let Conduct { limits, threads, .. } = conduct;
    let stop = || limits.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed));
    let compiled = dispatch::plan(&figures, &placement, &machine, job, prefill.as_ref(), &stop)?;
    let (tasks, assignment) = (compiled.graph.node_count() as u64, compiled.assignment);
    tracing::info!(system = spec.name, tasks, "compiled");
    machine.bind(compiled, job);
    progress(tasks, Progress::default());
    let planned = cpu_time().zip(begun).map(|(now, begun)| now.saturating_sub(begun)).unwrap_or_default();
    let run = machine.run(limits, threads, deal::besides(planned), &mut |at| progress(tasks, at))?;
    let Placement { gpu, host, pim, .. } = &placement;
    let longest = job.workload.lengths.longest();
    let [plain, packed, paged] = placement.bytes_of_sequence(job.model.layers, longest);
    let used = |ledger: &host_gpu::Ledger| Use { used: ledger.used(), capacity: ledger.capacity() };
    let input = SystemInput {
        name: spec.name.clone(),
        batch: job.workload.batch,
        context: job.workload.context,
        prefill: prefill.as_ref().map(|prefill| prefill.shape(assignment)),
        lengths: if job.workload.lengths.is_equal() { Vec::new() } else { job.workload.lengths.iter().collect() },
        kernel: None,
        energy_pj: energy::parts(&run, &figures),
        attention_energy_pj: if prefill.is_none() { energy::of_attention(&run, &figures) } else { Vec::new() },
        pim_commands: run.pim_energy.map_or_else(Vec::new, |energy| energy.commands),
        actors: run.names,
        spans: run.spans,
        open: run.open,
        commands: run.commands,
        stopped: run.stopped.map(|(at, _)| at),
        meters: run.meters,
        memory: Memory {
            gpu: Some(used(gpu)),
            pim: pim.as_ref().map(used),
            host: Some(used(host)),
            kv_bytes_per_token: packed.div_ceil(longest.max(1)),
            kv_bytes: KvBytes { tokens: longest, plain, packed, paged },
            kv_tokens_that_fit: Placement::tokens_that_fit(spec, &figures, job),
            spilled: placement.spilled(),
            placement: placement.describe(),
        },
        // Measured by whoever runs the scenario, where it asks.
        accuracy: None,
        notes: [placement.notes(&figures), Figures::notes(spec)?].concat(),
        events: run.events,
        execution: execution(&run.threads, run.one_thread.map(|why| why.to_string())),
    };
    Ok(Outcome { input, assumptions, stopped: run.stopped.map(|(_, why)| why) })
}

fn execution(report: &ParallelReport, one_thread: Option<String>) -> Execution {
    let thread = |part: &sim_core::PartitionReport| Thread {
        actors: part.actors,
        events: part.events,
        busy_seconds: part.busy.as_secs_f64(),
        blocked_seconds: part.blocked.as_secs_f64(),
        cpu_seconds: part.cpu.map(|cpu| cpu.as_secs_f64()),
    };
    Execution {
        lookahead: Some(report.lookahead).filter(|&lookahead| lookahead > Time::ZERO),
        windows: report.windows,
        threads: report.partitions.iter().map(thread).collect(),
        one_thread,
    }
}
