//! A part of a system: some actors, and the messages that are pending for them.
//!
//! One thread runs a partition up to a limit and touches nothing outside of it. A run on one thread is one partition
//! without a limit. What an event needs of its receiver (the actor and its counters) lies side by side; names stay
//! with the simulation.

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

    /// Delivers every message whose key is before `limit`, in order, and those that follow from them.
    pub(crate) fn run_before(&mut self, limit: Key, seed: u64, names: &[String]) -> Result<(), SimulationError> {
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
