//! Kernels, and how one runs: a start cost, then bytes and operations side by side.

use sim_core::board::Arrival;
use sim_core::{Category, Context, Port, Rate, Request, Served, SpanDraft, SpanId, Tag, TaskIndex, Time};

/// What a kernel needs.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// For the span: `qkv`, `attention`.
    pub kind: &'static str,
    /// For the span.
    pub tag: Tag,
    /// Bytes read from and written to the processor's own memory.
    pub bytes: u64,
    /// Arithmetic operations.
    pub operations: u64,
    /// The fastest that this kind of kernel reads memory, where that is less than a stream of bytes reaches.
    pub bandwidth_cap: Option<Rate>,
}

/// A kernel's start cost has passed.
#[derive(Clone, Copy, Debug)]
pub struct Started;

/// Where a processor's kernels find what they need.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// Its memory, in bytes.
    pub memory: Port<Request>,
    /// Its cores, in operations.
    pub cores: Port<Request>,
    /// The processor itself, for the answers.
    pub reply: Port<Served>,
}

const MEMORY: u64 = 0;
const CORES: u64 = 1;

/// Runs one kernel at a time.
#[derive(Debug)]
pub(crate) struct Runner {
    /// Configuration.
    category: Category,
    start_cost: Time,
    ports: Ports,
    /// State: the kernel that runs, its span, and how many of its needs are not served.
    active: Option<(TaskIndex, SpanId, u8)>,
    /// State: the kernel before.
    last: Option<SpanId>,
}

impl Runner {
    pub(crate) const fn new(category: Category, start_cost: Time, ports: Ports) -> Self {
        Self { category, start_cost, ports, active: None, last: None }
    }

    pub(crate) const fn is_idle(&self) -> bool {
        self.active.is_none()
    }

    /// Takes a kernel that is ready.
    pub(crate) fn begin<M: From<Started>>(
        &mut self,
        task: TaskIndex,
        kernel: &Kernel,
        arrival: Arrival,
        context: &mut Context<'_, M>,
    ) {
        let waited = context.now() > arrival.ready;
        let span = context.open(SpanDraft {
            kind: kernel.kind,
            category: self.category,
            tag: kernel.tag,
            ready: arrival.ready,
            signal: arrival.latency,
            launch: self.start_cost,
            bytes: kernel.bytes,
            operations: kernel.operations,
            cause: arrival.cause,
            held_by: self.last.filter(|_| waited),
        });
        self.active = Some((task, span, 2));
        context.wake(self.start_cost, Started);
    }

    /// The task that runs.
    pub(crate) fn task(&self) -> Option<TaskIndex> {
        self.active.map(|(task, _, _)| task)
    }

    /// The start cost has passed: asks for bytes and operations.
    pub(crate) fn started<M: From<Request>>(&self, kernel: &Kernel, context: &mut Context<'_, M>) {
        let Ports { memory, cores, reply } = self.ports;
        let bytes = Request { amount: kernel.bytes, cap: kernel.bandwidth_cap, tag: MEMORY, reply };
        context.send(memory, Time::ZERO, bytes);
        context.send(cores, Time::ZERO, Request { amount: kernel.operations, cap: None, tag: CORES, reply });
    }

    /// One of the two has been served; gives the kernel that is thereby done.
    pub(crate) fn served(&mut self) -> Option<(TaskIndex, SpanId)> {
        let (task, span, missing) = self.active.as_mut()?;
        *missing -= 1;
        if *missing > 0 {
            return None;
        }
        let done = (*task, *span);
        self.last = Some(done.1);
        self.active = None;
        Some(done)
    }
}
