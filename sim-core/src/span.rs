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
    /// The generated token, from 1; 0 for the prompts before it.
    pub step: u32,
    /// The decoder layer, from 0; `None` outside of the layers.
    pub layer: Option<u32>,
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            0 => f.write_str("prefill")?,
            step => write!(f, "token {step}")?,
        }
        self.layer.map_or(Ok(()), |layer| write!(f, " layer {layer}"))
    }
}

/// One job of one actor: a kernel, a transfer, a PIM program, a launch.
///
/// The job became ready when its last predecessor's news arrived: `cause.end + signal == ready`. It may then have
/// waited for its resource until `start`. Of `start..end` the time `launch` is fixed cost (kernel start, copy set-up, mode
/// switch) and counts as [`Category::Launch`]; the rest counts as `category`. Most of it lies at the beginning, and reports
/// draw all of it there.
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
    /// The fixed cost in `start..end`, drawn at its beginning.
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

/// No span, in [`Spans::places`].
const ABSENT: u32 = u32::MAX;
/// Up to so many open spans are searched one by one.
const SEARCHED: usize = 16;

/// All spans of a run.
#[derive(Debug, Default)]
pub struct Spans {
    /// Statistics: done, in the order in which they ended.
    finished: Vec<Span>,
    /// State: begun and not yet ended.
    open: Vec<Span>,
    /// State: where in `open` a span is. Open addressing, [`ABSENT`] or a place; empty while `open` is short.
    places: Vec<u32>,
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
        self.enter();
        id
    }

    /// Counts more of an open job as launch.
    pub fn add_launch(&mut self, id: SpanId, more: Time) {
        let place = if self.places.is_empty() {
            self.open.iter().position(|span| span.id == id)
        } else {
            self.find(id).map(|cell| self.places[cell] as usize)
        };
        if let Some(place) = place {
            self.open[place].launch += more;
        }
    }

    pub(crate) fn close(&mut self, id: SpanId, now: Time) -> Option<&Span> {
        let place = self.take_place(id)?;
        let mut span = self.open.swap_remove(place);
        span.end = now;
        self.finished.push(span);
        self.finished.last()
    }

    /// Takes in the spans of other actors.
    pub(crate) fn join(&mut self, other: Self) {
        if self.finished.is_empty() {
            // Most of them are the first thread's: taken as they are, not copied.
            self.finished = other.finished;
        } else {
            self.finished.extend(other.finished);
        }
        for span in other.open {
            self.open.push(span);
            self.enter();
        }
        if self.numbers.len() < other.numbers.len() {
            self.numbers.resize(other.numbers.len(), 0);
        }
        // An actor has opened spans in one of the two only.
        for (own, number) in self.numbers.iter_mut().zip(other.numbers) {
            *own = (*own).max(number);
        }
    }

    /// Where the table has, or should have, the span `id`.
    fn cell(&self, id: SpanId) -> usize {
        // Fibonacci hashing: the top bits of a product with 2^64 over the golden ratio spread runs of numbers evenly.
        let key = (id.actor.index() as u64) << 32 | u64::from(id.number);
        let hash = key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (hash >> (u64::BITS - self.places.len().trailing_zeros())) as usize
    }

    /// The cell after `cell`, in a ring.
    fn after(&self, cell: usize) -> usize {
        (cell + 1) & (self.places.len() - 1)
    }

    /// Enters the span that was opened last.
    fn enter(&mut self) {
        if self.open.len() * 2 > self.places.len() {
            if self.open.len() <= SEARCHED {
                return;
            }
            self.places = vec![ABSENT; (self.open.len() * 4).next_power_of_two()];
            for place in 0..self.open.len() {
                self.enter_at(place);
            }
        } else {
            self.enter_at(self.open.len() - 1);
        }
    }

    fn enter_at(&mut self, place: usize) {
        let mut cell = self.cell(self.open[place].id);
        while self.places[cell] != ABSENT {
            cell = self.after(cell);
        }
        self.places[cell] = place as u32;
    }

    /// The cell that holds the span `id`.
    fn find(&self, id: SpanId) -> Option<usize> {
        let mut cell = self.cell(id);
        loop {
            let place = self.places[cell];
            if place == ABSENT {
                return None;
            }
            if self.open[place as usize].id == id {
                return Some(cell);
            }
            cell = self.after(cell);
        }
    }

    /// The place of the open span `id`, about to be removed by a swap with the last: takes it out of the table, and
    /// enters the last one there.
    fn take_place(&mut self, id: SpanId) -> Option<usize> {
        if self.places.is_empty() {
            return self.open.iter().position(|span| span.id == id);
        }
        let mut hole = self.find(id)?;
        let place = self.places[hole];
        let last = self.open.last()?.id;
        if let Some(cell) = self.find(last) {
            self.places[cell] = place;
        }
        // Close the gap: later cells of the run move up unless they would pass their own first choice.
        let mut cell = self.after(hole);
        while self.places[cell] != ABSENT {
            let moved = self.places[cell] as usize;
            // The removed span and the last one stand in for each other here: `place` now names the last one.
            let owner = if moved == place as usize { last } else { self.open[moved].id };
            let (displaced, gap) = (cell.wrapping_sub(self.cell(owner)), cell.wrapping_sub(hole));
            let ring = self.places.len() - 1;
            if displaced & ring >= gap & ring {
                self.places[hole] = self.places[cell];
                hole = cell;
            }
            cell = self.after(cell);
        }
        self.places[hole] = ABSENT;
        Some(place as usize)
    }

    /// The finished spans ordered by (end, actor, number), the order of every report.
    pub fn into_sorted(self) -> Vec<Span> {
        let mut spans = self.finished;
        spans.sort_unstable_by_key(|span| (span.end, span.id));
        spans
    }

    /// How many have ended.
    pub fn finished(&self) -> u64 {
        self.finished.len() as u64
    }

    /// Those still open, in no particular order.
    pub fn unfinished(&self) -> &[Span] {
        &self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::draw;

    const DRAFT: SpanDraft = SpanDraft {
        kind: "job",
        category: Category::Launch,
        tag: Tag { step: 1, layer: None },
        ready: Time::ZERO,
        signal: Time::ZERO,
        launch: Time::ZERO,
        bytes: 0,
        operations: 0,
        cause: None,
        held_by: None,
    };

    /// Opens up to `most` spans and closes them in a random order, in waves.
    #[track_caller]
    fn check(most: usize, waves: u64) {
        let mut spans = Spans::default();
        let mut open = Vec::new();
        let mut closed = Vec::new();
        for wave in 0..waves {
            for i in 0..most as u64 * 3 {
                let bits = draw(wave, 0, i);
                // More opened than closed in even waves, the other way round in odd ones.
                if open.is_empty() || open.len() < most && bits.is_multiple_of(4) == (wave % 2 == 1) {
                    open.push(spans.open(ActorId::from_index((bits >> 8) as usize % 5), Time::ZERO, DRAFT));
                } else {
                    let id = open.swap_remove((bits >> 8) as usize % open.len());
                    let now = Time::from_ps(closed.len() as u64);
                    assert_eq!(spans.close(id, now).map(|span| (span.id, span.end)), Some((id, now)));
                    assert_eq!(spans.close(id, now), None, "it is closed already");
                    closed.push(id);
                }
                assert_eq!(spans.unfinished().len(), open.len());
            }
        }
        let ends: Vec<SpanId> = spans.into_sorted().into_iter().map(|span| span.id).collect();
        assert_eq!(ends, closed);
    }

    #[test]
    fn a_span_is_found_among_few_and_among_thousands() {
        check(3, 8);
        check(60, 10);
        check(5_000, 6);
    }
}
