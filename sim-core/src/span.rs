//! Spans: what each actor did, when, and because of what. They are the one source of every report.

use std::fmt;

use crate::actor::ActorId;
use crate::time::Time;

/// What time is spent on. The categories of the critical path of a token add up to its latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// The GPU computes, or reads its own memory.
    ComputeGpu,
    /// The CPU computes, or reads its own memory.
    ComputeCpu,
    /// A PIM device computes on its own banks.
    ComputePim,
    /// A transfer over PCIe.
    CommunicationPcie,
    /// A transfer over CXL.
    CommunicationCxl,
    /// A transfer over NVLink.
    CommunicationNvlink,
    /// A transfer between the GPU and PIM stacks over the stacks' external interface.
    CommunicationHbm,
    /// Dispatch, flags, mode switches and synchronisation.
    Launch,
    /// Waiting for arbitration that no other job can be named for.
    Queue,
}

impl Category {
    /// All of them, in the order in which reports show them.
    pub const ALL: [Self; 9] = [
        Self::ComputeGpu,
        Self::ComputeCpu,
        Self::ComputePim,
        Self::CommunicationPcie,
        Self::CommunicationCxl,
        Self::CommunicationNvlink,
        Self::CommunicationHbm,
        Self::Launch,
        Self::Queue,
    ];

    /// The key of summary.json.
    pub const fn key(self) -> &'static str {
        match self {
            Self::ComputeGpu => "compute.gpu",
            Self::ComputeCpu => "compute.cpu",
            Self::ComputePim => "compute.pim",
            Self::CommunicationPcie => "communication.pcie",
            Self::CommunicationCxl => "communication.cxl",
            Self::CommunicationNvlink => "communication.nvlink",
            Self::CommunicationHbm => "communication.hbm",
            Self::Launch => "launch",
            Self::Queue => "queue",
        }
    }

    /// The category with this key.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.key() == key)
    }

    /// Whether it is a transfer.
    pub const fn is_communication(self) -> bool {
        matches!(
            self,
            Self::CommunicationPcie | Self::CommunicationCxl | Self::CommunicationNvlink | Self::CommunicationHbm
        )
    }

    /// Whether it is a transfer to or from the host: PCIe or CXL.
    pub const fn is_host_communication(self) -> bool {
        matches!(self, Self::CommunicationPcie | Self::CommunicationCxl)
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.key())
    }
}

/// Names a span: the actor that recorded it and the actor's own count, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId {
    /// Who.
    pub actor: ActorId,
    /// The how manieth of this actor.
    pub number: u32,
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.actor.index(), self.number)
    }
}

/// Which part of the workload a job belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag {
    /// The generated token, from 1.
    pub step: u32,
    /// The decoder layer, from 0; `None` outside of the layers.
    pub layer: Option<u32>,
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.layer {
            Some(layer) => write!(f, "token {} layer {layer}", self.step),
            None => write!(f, "token {}", self.step),
        }
    }
}

/// One job of one actor: a kernel, a transfer, a PIM program, a launch.
///
/// The job became ready when its last predecessor's news arrived: `cause.end + signal == ready`. It may then have
/// waited for its resource until `start`. The first `launch` of `start..end` is fixed cost (kernel start, copy
/// set-up, mode switch) and counts as [`Category::Launch`]; the rest counts as `category`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its name.
    pub id: SpanId,
    /// What kind of job: `attention`, `kv-fetch`, `launch`.
    pub kind: &'static str,
    /// What `start + launch .. end` is spent on.
    pub category: Category,
    /// Which token and layer.
    pub tag: Tag,
    /// When the last predecessor's news arrived.
    pub ready: Time,
    /// When the resource was granted.
    pub start: Time,
    /// When it was done.
    pub end: Time,
    /// The fixed cost at the beginning of `start..end`.
    pub launch: Time,
    /// How long the last predecessor's news took to arrive.
    pub signal: Time,
    /// Bytes read, written or moved.
    pub bytes: u64,
    /// Arithmetic operations (a multiply-add counts as two).
    pub operations: u64,
    /// The predecessor that made it ready; `None` at the start of the run.
    pub cause: Option<SpanId>,
    /// The job that held the resource just before.
    pub held_by: Option<SpanId>,
}

/// What is known of a job when it starts; the rest comes with [`crate::Context::close`].
#[derive(Clone, Copy, Debug)]
pub struct SpanDraft {
    /// See [`Span::kind`].
    pub kind: &'static str,
    /// See [`Span::category`].
    pub category: Category,
    /// See [`Span::tag`].
    pub tag: Tag,
    /// See [`Span::ready`].
    pub ready: Time,
    /// See [`Span::signal`].
    pub signal: Time,
    /// See [`Span::launch`].
    pub launch: Time,
    /// See [`Span::bytes`].
    pub bytes: u64,
    /// See [`Span::operations`].
    pub operations: u64,
    /// See [`Span::cause`].
    pub cause: Option<SpanId>,
    /// See [`Span::held_by`].
    pub held_by: Option<SpanId>,
}

/// All spans of a run.
#[derive(Debug, Default)]
pub struct Spans {
    /// Statistics: done, in the order in which they ended.
    finished: Vec<Span>,
    /// State: begun and not yet ended.
    open: Vec<Span>,
    /// State: how many each actor has opened.
    numbers: Vec<u32>,
}

impl Spans {
    pub(crate) fn open(&mut self, actor: ActorId, now: Time, draft: SpanDraft) -> SpanId {
        if self.numbers.len() <= actor.index() {
            self.numbers.resize(actor.index() + 1, 0);
        }
        let number = self.numbers[actor.index()];
        self.numbers[actor.index()] += 1;
        let id = SpanId { actor, number };
        let SpanDraft { kind, category, tag, ready, signal, launch, bytes, operations, cause, held_by } = draft;
        self.open.push(Span {
            id,
            kind,
            category,
            tag,
            ready,
            start: now,
            end: Time::MAX,
            launch,
            signal,
            bytes,
            operations,
            cause,
            held_by,
        });
        id
    }

    pub(crate) fn is_open(&self, id: SpanId) -> bool {
        self.open.iter().any(|span| span.id == id)
    }

    pub(crate) fn close(&mut self, id: SpanId, now: Time) -> Option<&Span> {
        let place = self.open.iter().position(|span| span.id == id)?;
        let mut span = self.open.swap_remove(place);
        span.end = now;
        self.finished.push(span);
        self.finished.last()
    }

    /// The finished spans ordered by (end, actor, number), the order of every report.
    pub fn into_sorted(self) -> Vec<Span> {
        let mut spans = self.finished;
        spans.sort_unstable_by_key(|span| (span.end, span.id));
        spans
    }

    /// Those still open, in no particular order.
    pub fn unfinished(&self) -> &[Span] {
        &self.open
    }
}
