//! A part of a system: some actors, and the messages that are pending for them.
//!
//! One thread runs a partition up to a limit and touches nothing outside of it. A run on one thread is one partition
//! without a limit. What an event needs of its receiver (the actor and its counters) lies side by side; names stay
//! with the simulation.

use std::sync::Arc;

use crate::actor::{ActorId, Context, Core, Counters, Node};
use crate::error::SimulationError;
use crate::queue::{Key, Queue, Tie};
use crate::span::Spans;
use crate::time::Time;

/// One actor and the kernel's memory of it.
#[derive(Debug)]
struct Cell<N> {
    counters: Counters,
    /// `None` while reserved.
    node: Option<N>,
}

/// Actors, their pending messages, and what they recorded.
#[derive(Debug)]
pub(crate) struct Partition<N: Node> {
    /// State: by actor.
    cells: Vec<Cell<N>>,
    /// All that actors reach through their context.
    pub(crate) core: Core<N::Message>,
    /// Statistics: messages delivered.
    pub(crate) events: u64,
}

/// The messages that a partition has for others, until the end of the window.
#[derive(Debug)]
pub(crate) struct Outbox<M> {
    /// Configuration: the partition of this outbox, and of each actor.
    this: u32,
    partitions: Arc<[u32]>,
    /// Configuration: nothing may take less to another partition.
    lookahead: Time,
    /// State: by partition.
    sent: Vec<Sent<M>>,
    /// State: the earliest of all.
    earliest: Key,
}

/// What is on its way to one partition.
#[derive(Debug)]
struct Sent<M> {
    messages: Vec<(Key, ActorId, M)>,
    earliest: Key,
}

impl<M> Outbox<M> {
    pub(crate) fn new(this: u32, partitions: Arc<[u32]>, count: usize, lookahead: Time) -> Self {
        let sent = (0..count).map(|_| Sent { messages: Vec::new(), earliest: Key::NEVER }).collect();
        Self { this, partitions, lookahead, sent, earliest: Key::NEVER }
    }

    #[inline]
    pub(crate) fn is_foreign(&self, to: ActorId) -> bool {
        home(&self.partitions, to) != self.this
    }

    /// Keeps a message for another partition, or says how long it would have to take at least.
    pub(crate) fn send(&mut self, now: Time, key: Key, to: ActorId, message: M) -> Result<(), Time> {
        if key.time() < now + self.lookahead {
            return Err(self.lookahead);
        }
        self.earliest = self.earliest.min(key);
        let sent = &mut self.sent[home(&self.partitions, to) as usize];
        sent.earliest = sent.earliest.min(key);
        sent.messages.push((key, to, message));
        Ok(())
    }
}

/// The partition of an actor.
#[inline]
pub(crate) fn home(partitions: &[u32], actor: ActorId) -> u32 {
    partitions.get(actor.index()).copied().unwrap_or(0)
}

impl<M> Core<M> {
    /// The earliest message that has just been sent to each partition.
    pub(crate) fn earliest_sent(&self) -> Arc<[Key]> {
        self.outbox.iter().flat_map(|outbox| outbox.sent.iter().map(|sent| sent.earliest)).collect()
    }

    /// The messages for another partition.
    pub(crate) fn take_parcel(&mut self, partition: usize) -> Vec<(Key, ActorId, M)> {
        let Some(outbox) = &mut self.outbox else { return Vec::new() };
        outbox.earliest = Key::NEVER;
        outbox.sent[partition].earliest = Key::NEVER;
        std::mem::take(&mut outbox.sent[partition].messages)
    }
}

impl<N: Node> Partition<N> {
    pub(crate) fn new(seed: u64) -> Self {
        let core = Core {
            now: Time::ZERO,
            order: Tie::first(ActorId::from_index(0)),
            queue: Queue::new(),
            error: None,
            seed,
            names: Arc::default(),
            outbox: None,
            ahead: None,
            spans: Spans::default(),
        };
        Self { cells: Vec::new(), core, events: 0 }
    }

    /// Makes room for the next actor.
    pub(crate) fn reserve(&mut self, actor: ActorId, name: String) {
        Arc::make_mut(&mut self.core.names).push(name);
        self.cells.push(Cell { counters: Counters::new(actor), node: None });
    }

    pub(crate) fn place(&mut self, actor: ActorId, node: N) {
        self.cells[actor.index()].node = Some(node);
    }

    /// The actors; `None` for those that were never placed.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = Option<&N>> {
        self.cells.iter().map(|cell| cell.node.as_ref())
    }

    /// See [`crate::Inspect::settle`].
    pub(crate) fn settle(&mut self) {
        for node in self.cells.iter_mut().filter_map(|cell| cell.node.as_mut()) {
            node.settle(&mut self.core.spans);
        }
    }

    /// Deals the actors and their pending messages to `count` partitions. Each has room for all actors, so that an
    /// actor's place is its index everywhere. Handles of events that were pending before the run do not survive.
    pub(crate) fn split(&mut self, partitions: &[u32], count: usize) -> Vec<Self> {
        let part = || {
            let mut part = Self::new(self.core.seed);
            part.core.now = self.core.now;
            part.core.names = Arc::clone(&self.core.names);
            part
        };
        let mut parts: Vec<Self> = (0..count).map(|_| part()).collect();
        for (index, cell) in std::mem::take(&mut self.cells).into_iter().enumerate() {
            let actor = ActorId::from_index(index);
            let home = home(partitions, actor) as usize;
            for part in &mut parts {
                part.cells.push(Cell { counters: Counters::new(actor), node: None });
            }
            parts[home].cells[index] = cell;
        }
        while let Some((key, to, message)) = self.core.queue.pop_until(Time::MAX) {
            parts[home(partitions, to) as usize].core.queue.push(key, to, message);
        }
        parts
    }

    /// Puts the parts of [`Self::split`] together again.
    pub(crate) fn join(&mut self, partitions: &[u32], parts: Vec<Self>) {
        for (index, part) in parts.into_iter().enumerate() {
            let Self { cells, mut core, events } = part;
            self.cells.resize_with(cells.len().max(self.cells.len()), || Cell {
                counters: Counters::new(ActorId::from_index(0)),
                node: None,
            });
            for (actor, cell) in cells.into_iter().enumerate() {
                if home(partitions, ActorId::from_index(actor)) as usize == index {
                    self.cells[actor] = cell;
                }
            }
            while let Some((key, to, message)) = core.queue.pop_until(Time::MAX) {
                self.core.queue.push(key, to, message);
            }
            self.core.spans.join(core.spans);
            self.events += events;
            self.core.now = self.core.now.max(core.now);
        }
    }

    /// Delivers every message whose key is before `limit`, the start of a time or [`Key::NEVER`], in order, and those
    /// that follow from them. Pauses when `pause` messages have been delivered in all: fewer than that means that none
    /// is left before `limit`.
    pub(crate) fn run_before(&mut self, limit: Key, pause: u64) -> Result<(), SimulationError> {
        self.run_until::<false>(limit, pause)
    }

    /// The same for one partition of several. What is sent to others is left in the outbox, and ends the run at the
    /// time at which the first of it arrives.
    pub(crate) fn run_window(&mut self, limit: Key, pause: u64) -> Result<(), SimulationError> {
        self.run_until::<true>(limit, pause)
    }

    fn run_until<const WINDOW: bool>(&mut self, limit: Key, pause: u64) -> Result<(), SimulationError> {
        // Times are cheaper to compare than keys.
        let Some(mut last) = limit.last_time_before() else { return Ok(()) };
        let Self { cells, core, events } = self;
        let mut left = pause.saturating_sub(*events);
        let most = left;
        let result = loop {
            if left == 0 {
                break Ok(());
            }
            let Some((key, to, message)) = core.queue.pop_until(last) else { break Ok(()) };
            left -= 1;
            core.now = key.time();
            core.order = key.tie();
            let Some(Cell { counters, node: Some(node) }) = cells.get_mut(to.index()) else {
                break Err(SimulationError::Unplaced { actor: format!("actor {}", to.index()) });
            };
            let mut context = Context { core, counters, actor: to };
            if let Err(message) = node.deliver(message, &mut context) {
                let (actor, message) = (context.name().to_owned(), format!("{message:?}"));
                break Err(SimulationError::Misaddressed { actor, message });
            }
            // Looked at before it is taken: taking nothing would still write.
            if core.error.is_some() {
                break core.error.take().map_or(Ok(()), |error| Err(*error));
            }
            if WINDOW && let Some(outbox) = &core.outbox {
                // It takes some time, so it is not at time zero that it arrives.
                last = last.min(outbox.earliest.before_it());
            }
        };
        *events += most - left;
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bound of the kernel's memory per actor, apart from the letters of its name.
    #[test]
    fn an_actor_costs_at_most_64_bytes_besides_itself() {
        let cell = size_of::<Cell<u64>>() - size_of::<u64>();
        let name = size_of::<String>();
        let spans_opened = size_of::<u32>();
        assert!(cell + name + spans_opened <= 64, "{} bytes", cell + name + spans_opened);
    }
}
