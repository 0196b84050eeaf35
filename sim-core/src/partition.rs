//! A part of a system: some actors, and the messages that are pending for them.
//!
//! One thread runs a partition up to a limit and touches nothing outside of it. A run on one thread is one partition
//! without a limit. What an event needs of its receiver (the actor and its counters) lies side by side; names stay
//! with the simulation.

use std::sync::Arc;

use crate::actor::{ActorId, Context, Counters, Node};
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
    /// State: the messages on their way to these actors.
    pub(crate) queue: Queue<N::Message>,
    /// Statistics.
    pub(crate) spans: Spans,
    /// Statistics: messages delivered.
    pub(crate) events: u64,
    /// State: when the last message was delivered.
    pub(crate) now: Time,
}

/// The messages that a partition has for others, until the end of the window.
#[derive(Debug)]
pub(crate) struct Outbox<M> {
    /// Configuration: the partition of this outbox, and of each actor.
    this: u32,
    partitions: Arc<[u32]>,
    /// State: the end of the window; nothing may arrive before it.
    limit: Key,
    /// State: by partition.
    sent: Vec<Vec<(Key, ActorId, M)>>,
    /// State: the earliest of them.
    earliest: Key,
}

impl<M> Outbox<M> {
    pub(crate) fn new(this: u32, partitions: Arc<[u32]>, count: usize) -> Self {
        let sent = (0..count).map(|_| Vec::new()).collect();
        Self { this, partitions, limit: Key::NEVER, sent, earliest: Key::NEVER }
    }

    /// Begins a window.
    pub(crate) fn open(&mut self, limit: Key) {
        self.limit = limit;
        self.earliest = Key::NEVER;
    }

    pub(crate) const fn earliest(&self) -> Key {
        self.earliest
    }

    /// The messages for a partition.
    pub(crate) fn take(&mut self, partition: usize) -> Vec<(Key, ActorId, M)> {
        std::mem::take(&mut self.sent[partition])
    }

    #[inline]
    pub(crate) fn is_foreign(&self, to: ActorId) -> bool {
        home(&self.partitions, to) != self.this
    }

    /// Keeps a message for another partition, or says when it could have arrived at the earliest.
    pub(crate) fn send(&mut self, key: Key, to: ActorId, message: M) -> Result<(), Time> {
        if key < self.limit {
            return Err(self.limit.time());
        }
        self.earliest = self.earliest.min(key);
        self.sent[home(&self.partitions, to) as usize].push((key, to, message));
        Ok(())
    }
}

/// The partition of an actor.
#[inline]
pub(crate) fn home(partitions: &[u32], actor: ActorId) -> u32 {
    partitions.get(actor.index()).copied().unwrap_or(0)
}

impl<N: Node> Partition<N> {
    pub(crate) fn new() -> Self {
        Self { cells: Vec::new(), queue: Queue::new(), spans: Spans::default(), events: 0, now: Time::ZERO }
    }

    /// Makes room for the next actor.
    pub(crate) fn reserve(&mut self, actor: ActorId) {
        self.cells.push(Cell { counters: Counters::new(actor), node: None });
    }

    pub(crate) fn place(&mut self, actor: ActorId, node: N) {
        self.cells[actor.index()].node = Some(node);
    }

    /// The actors; `None` for those that were never placed.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = Option<&N>> {
        self.cells.iter().map(|cell| cell.node.as_ref())
    }

    /// Deals the actors and their pending messages to `count` partitions. Each has room for all actors, so that an
    /// actor's place is its index everywhere. Handles of events that were pending before the run do not survive.
    pub(crate) fn split(&mut self, partitions: &[u32], count: usize) -> Vec<Self> {
        let mut parts: Vec<Self> = (0..count).map(|_| Self::new()).collect();
        for (index, cell) in std::mem::take(&mut self.cells).into_iter().enumerate() {
            let actor = ActorId::from_index(index);
            let home = home(partitions, actor) as usize;
            for part in &mut parts {
                part.reserve(actor);
            }
            parts[home].cells[index] = cell;
        }
        while let Some((key, to, message)) = self.queue.pop_before(Key::NEVER) {
            parts[home(partitions, to) as usize].queue.push(key, to, message);
        }
        for part in &mut parts {
            part.now = self.now;
        }
        parts
    }

    /// Puts the parts of [`Self::split`] together again.
    pub(crate) fn join(&mut self, partitions: &[u32], parts: Vec<Self>) {
        for (index, part) in parts.into_iter().enumerate() {
            let Self { cells, mut queue, spans, events, now } = part;
            self.cells.resize_with(cells.len().max(self.cells.len()), || Cell {
                counters: Counters::new(ActorId::from_index(0)),
                node: None,
            });
            for (actor, cell) in cells.into_iter().enumerate() {
                if home(partitions, ActorId::from_index(actor)) as usize == index {
                    self.cells[actor] = cell;
                }
            }
            while let Some((key, to, message)) = queue.pop_before(Key::NEVER) {
                self.queue.push(key, to, message);
            }
            self.spans.join(spans);
            self.events += events;
            self.now = self.now.max(now);
        }
    }

    /// Delivers every message whose key is before `limit`, in order, and those that follow from them. What they send to
    /// other partitions is left in the outbox.
    pub(crate) fn run_before(
        &mut self,
        limit: Key,
        seed: u64,
        names: &[String],
        outbox: Option<&mut Outbox<N::Message>>,
    ) -> Result<(), SimulationError> {
        let mut context = Context {
            now: self.now,
            tie: Tie::first(ActorId::from_index(0)),
            actor: ActorId::from_index(0),
            counters: Counters::new(ActorId::from_index(0)),
            names,
            seed,
            queue: &mut self.queue,
            spans: &mut self.spans,
            error: None,
            outbox,
        };
        while let Some((key, to, message)) = context.queue.pop_before(limit) {
            self.now = key.time();
            self.events += 1;
            let Some(Cell { counters, node: Some(node) }) = self.cells.get_mut(to.index()) else {
                return Err(SimulationError::Unplaced { actor: format!("actor {}", to.index()) });
            };
            context.now = key.time();
            context.tie = key.tie();
            context.actor = to;
            context.counters = *counters;
            if let Err(message) = node.deliver(message, &mut context) {
                let (actor, message) = (names[to.index()].clone(), format!("{message:?}"));
                return Err(SimulationError::Misaddressed { actor, message });
            }
            *counters = context.counters;
            if let Some(error) = context.error.take() {
                return Err(error);
            }
        }
        Ok(())
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
