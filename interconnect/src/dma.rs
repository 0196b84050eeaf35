//! DMA engines: they take copies one after the other, pay a fixed cost for each and keep chunks under way.

use std::collections::VecDeque;

use sim_core::board::Arrival;
use sim_core::{
    Board, Category, Context, Handle, Inspect, Port, Request, Served, Signal, SpanDraft, SpanId, Tag, TaskIndex, Time,
    Waiting, log_span,
};

use crate::chunk::{Arrived, Chunk, Packet, RouteId, Routes};

/// What a DMA engine is.
#[derive(Clone, Copy, Debug)]
pub struct DmaSpec {
    /// Fixed cost of each copy before its first byte moves.
    pub set_up: Time,
    /// The most bytes under way at once, at least one chunk: what keeps queues finite and the link full.
    pub window: u64,
    /// Bytes of the largest chunk. Copies are cut into at least [`PIECES`] chunks where that leaves
    /// [`SMALLEST_CHUNK`] of each, so that the last memory's work on a chunk is small beside the copy.
    pub chunk: u64,
}

/// See [`DmaSpec::chunk`].
pub const PIECES: u64 = 64;
/// See [`DmaSpec::chunk`]: bytes.
pub const SMALLEST_CHUNK: u64 = 16 << 10;

/// One end of a copy.
#[derive(Clone, Copy, Debug, Default)]
pub struct Endpoint {
    /// The memory that serves the bytes; `None` where the model has no memory there (a buffer on a die).
    pub memory: Option<Port<Request>>,
}

/// One job: one or more copies of the same kind between the same ends.
#[derive(Clone, Debug)]
pub struct Copy {
    /// For the span: `kv-fetch`, `kv-append`, `q-to-host`.
    pub kind: &'static str,
    /// For the span.
    pub tag: Tag,
    /// For the span: see [`crate::Topology::category`].
    pub category: Category,
    /// Bytes of all copies together.
    pub bytes: u64,
    /// How many contiguous pieces, each with its own fixed cost; at least 1.
    pub copies: u32,
    /// The way of the data.
    pub route: RouteId,
    /// The way of the read requests where the engine sits at the destination and pulls; `None` where it pushes.
    pub requests: Option<RouteId>,
    /// Where the bytes come from.
    pub source: Endpoint,
    /// Where they go.
    pub destination: Endpoint,
}

/// The fixed cost of a copy has passed.
#[derive(Clone, Copy, Debug)]
pub struct SetUp;

/// Where a chunk under way is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leg {
    Request,
    Read,
    Travel,
    Write,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    bytes: u64,
    leg: Leg,
}

#[derive(Debug)]
struct Active {
    task: TaskIndex,
    span: SpanId,
    /// Copies whose fixed cost has not been paid.
    copies_left: u32,
    /// Bytes of the current copy not yet sent.
    unsent: u64,
    /// Bytes of later copies.
    later: u64,
    chunk: u64,
    setting_up: bool,
    /// Since when nothing has been under way while a set-up runs: that time is launch, not transfer.
    bare_since: Option<Time>,
}

/// The actor.
#[derive(Debug)]
pub struct DmaEngine {
    /// Configuration.
    spec: DmaSpec,
    routes: Routes,
    this: (Port<Arrived>, Port<Served>),
    board: Board<Copy>,
    /// State: ready and not begun.
    queue: VecDeque<(TaskIndex, Arrival)>,
    active: Option<Active>,
    /// State: chunks that wait for the source, and for the destination: the memory serves an engine's chunks one after
    /// the other, so that none is late because more of them were asked for.
    reads: VecDeque<u64>,
    writes: VecDeque<u64>,
    /// State: chunks under way, by tag.
    flights: Vec<Option<Flight>>,
    free: Vec<u32>,
    in_flight: u64,
    last: Option<SpanId>,
}

impl DmaEngine {
    /// An idle engine; `this` are ports to itself, for the answers.
    pub fn new(spec: DmaSpec, routes: Routes, this: (Port<Arrived>, Port<Served>)) -> Self {
        Self {
            spec,
            routes,
            this,
            board: Board::default(),
            queue: VecDeque::new(),
            active: None,
            reads: VecDeque::new(),
            writes: VecDeque::new(),
            flights: Vec::new(),
            free: Vec::new(),
            in_flight: 0,
            last: None,
        }
    }

    /// The copies to do.
    pub const fn board_mut(&mut self) -> &mut Board<Copy> {
        &mut self.board
    }

    /// Takes the next copy that is ready, if the engine is free.
    fn begin<M: From<SetUp>>(&mut self, context: &mut Context<'_, M>) {
        if self.active.is_some() {
            return;
        }
        let Some((task, arrival)) = self.queue.pop_front() else {
            return;
        };
        let work = self.board.work(task);
        let waited = context.now() > arrival.ready;
        let span = context.open(SpanDraft {
            kind: work.kind,
            category: work.category,
            tag: work.tag,
            ready: arrival.ready,
            signal: arrival.latency,
            launch: self.spec.set_up,
            bytes: work.bytes,
            operations: 0,
            cause: arrival.cause,
            held_by: self.last.filter(|_| waited),
        });
        let copies = u64::from(work.copies.max(1));
        let largest = work.bytes.div_ceil(copies);
        let chunk = self.spec.chunk.min(largest.div_ceil(PIECES).max(SMALLEST_CHUNK)).max(1);
        self.active = Some(Active {
            task,
            span,
            copies_left: copies as u32,
            unsent: 0,
            later: work.bytes,
            chunk,
            setting_up: true,
            // The first set-up is launch from the start.
            bare_since: None,
        });
        context.wake(self.spec.set_up, SetUp);
    }

    /// Sends chunks of the current copy while the window allows.
    fn fill<M>(&mut self, context: &mut Context<'_, M>)
    where
        M: From<SetUp> + From<Request> + From<Chunk> + From<Arrived>,
    {
        let Some(active) = &mut self.active else { return };
        while active.unsent > 0 && (self.in_flight == 0 || self.in_flight + active.chunk <= self.spec.window) {
            let bytes = active.unsent.min(active.chunk);
            active.unsent -= bytes;
            self.in_flight += bytes;
            let work = self.board.work(active.task);
            let leg = if work.requests.is_some() { Leg::Request } else { Leg::Read };
            let flight = Some(Flight { bytes, leg });
            let tag = if let Some(tag) = self.free.pop() {
                self.flights[tag as usize] = flight;
                tag
            } else {
                self.flights.push(flight);
                (self.flights.len() - 1) as u32
            };
            let tag = u64::from(tag);
            match work.requests {
                Some(route) => {
                    let (packet, owner) = (Packet::ReadRequest, self.this.0);
                    self.routes.enter(Chunk { route, hop: 0, bytes, packet, tail: Time::ZERO, owner, tag }, context);
                }
                None => join_line(&mut self.reads, work.source, bytes, tag, self.this, context),
            }
        }
        // The next copy is set up while the last chunks of this one travel.
        if active.unsent == 0 && active.copies_left > 0 && !active.setting_up {
            active.setting_up = true;
            active.bare_since = (self.in_flight == 0).then(|| context.now());
            context.wake(self.spec.set_up, SetUp);
        }
    }

    /// A chunk has finished a leg of its way.
    fn advance<M>(&mut self, tag: u64, context: &mut Context<'_, M>)
    where
        M: From<SetUp> + From<Request> + From<Chunk> + From<Arrived> + From<Signal>,
    {
        let Some(active) = &self.active else { return };
        let work = self.board.work(active.task);
        let Some(flight) = self.flights.get_mut(tag as usize).and_then(Option::as_mut) else {
            return context.law_broken(6, format!("chunk {tag} arrived, but none is under way"));
        };
        let bytes = flight.bytes;
        match flight.leg {
            Leg::Request => {
                flight.leg = Leg::Read;
                join_line(&mut self.reads, work.source, bytes, tag, self.this, context);
            }
            Leg::Read => {
                flight.leg = Leg::Travel;
                let packet = if work.requests.is_some() { Packet::ReadCompletion } else { Packet::Write };
                let (route, owner) = (work.route, self.this.0);
                self.routes.enter(Chunk { route, hop: 0, bytes, packet, tail: Time::ZERO, owner, tag }, context);
                next_in_line(&mut self.reads, &self.flights, work.source, self.this, context);
            }
            Leg::Travel => {
                flight.leg = Leg::Write;
                join_line(&mut self.writes, work.destination, bytes, tag, self.this, context);
            }
            Leg::Write => {
                self.flights[tag as usize] = None;
                self.free.push(tag as u32);
                self.in_flight -= bytes;
                if self.in_flight == 0
                    && let Some(active) = self.active.as_mut().filter(|active| active.setting_up)
                {
                    active.bare_since = Some(context.now());
                }
                next_in_line(&mut self.writes, &self.flights, work.destination, self.this, context);
                self.fill(context);
                self.finish(context);
            }
        }
    }

    /// Ends the active copy if nothing of it is left.
    fn finish<M>(&mut self, context: &mut Context<'_, M>)
    where
        M: From<SetUp> + From<Signal>,
    {
        let done = |active: &mut Active| active.copies_left == 0 && active.unsent == 0 && !active.setting_up;
        if self.in_flight > 0 {
            return;
        }
        if let Some(active) = self.active.take_if(done) {
            log_span!(context, active.span);
            self.board.complete(active.task, active.span, context);
            self.last = Some(active.span);
            self.begin(context);
        }
    }
}

/// A chunk waits for a memory; the first in line is asked for.
fn join_line<M>(
    line: &mut VecDeque<u64>,
    end: Endpoint,
    bytes: u64,
    tag: u64,
    this: (Port<Arrived>, Port<Served>),
    context: &mut Context<'_, M>,
) where
    M: From<Request> + From<Arrived>,
{
    line.push_back(tag);
    if line.len() == 1 {
        ask(end, bytes, tag, this, context);
    }
}

/// The first chunk of a line has been served: asks for the next one.
fn next_in_line<M>(
    line: &mut VecDeque<u64>,
    flights: &[Option<Flight>],
    end: Endpoint,
    this: (Port<Arrived>, Port<Served>),
    context: &mut Context<'_, M>,
) where
    M: From<Request> + From<Arrived>,
{
    line.pop_front();
    if let Some(&tag) = line.front()
        && let Some(flight) = flights[tag as usize]
    {
        ask(end, flight.bytes, tag, this, context);
    }
}

/// Asks a memory for a chunk; where there is none it is served at once.
fn ask<M>(end: Endpoint, amount: u64, tag: u64, this: (Port<Arrived>, Port<Served>), context: &mut Context<'_, M>)
where
    M: From<Request> + From<Arrived>,
{
    match end.memory {
        Some(memory) => context.send(memory, Time::ZERO, Request { amount, cap: None, tag, reply: this.1 }),
        None => context.send(this.0, Time::ZERO, Arrived { tag }),
    }
}

impl Inspect for DmaEngine {
    fn waiting(&self) -> Vec<Waiting> {
        self.board.waiting(|copy| format!("{} of {}", copy.kind, copy.tag))
    }
}

impl<M: From<SetUp>> Handle<Signal, M> for DmaEngine {
    fn handle(&mut self, signal: Signal, context: &mut Context<'_, M>) {
        if self.board.signal(signal, context) {
            self.queue.push_back((signal.task, self.board.arrival(signal.task)));
            self.begin(context);
        }
    }
}

impl<M> Handle<SetUp, M> for DmaEngine
where
    M: From<SetUp> + From<Request> + From<Chunk> + From<Arrived> + From<Signal>,
{
    fn handle(&mut self, _: SetUp, context: &mut Context<'_, M>) {
        if let Some(active) = &mut self.active {
            active.setting_up = false;
            if let Some(since) = active.bare_since.take() {
                context.add_launch(active.span, context.now() - since);
            }
            active.unsent = active.later.div_ceil(u64::from(active.copies_left.max(1)));
            active.later -= active.unsent;
            active.copies_left = active.copies_left.saturating_sub(1);
        }
        self.fill(context);
        self.finish(context);
    }
}

impl<M> Handle<Arrived, M> for DmaEngine
where
    M: From<SetUp> + From<Request> + From<Chunk> + From<Arrived> + From<Signal>,
{
    fn handle(&mut self, arrived: Arrived, context: &mut Context<'_, M>) {
        self.advance(arrived.tag, context);
    }
}

impl<M> Handle<Served, M> for DmaEngine
where
    M: From<SetUp> + From<Request> + From<Chunk> + From<Arrived> + From<Signal>,
{
    fn handle(&mut self, served: Served, context: &mut Context<'_, M>) {
        self.advance(served.tag, context);
    }
}
