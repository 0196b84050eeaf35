//! The unit that travels: a chunk of a copy, and the routes that chunks follow.

use std::sync::Arc;

use sim_core::{Context, Port, Time};

/// What a chunk's packets are; it decides the headers on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    /// Asks for data: no payload, but requests for as many bytes as the chunk names.
    ReadRequest,
    /// Data that was asked for.
    ReadCompletion,
    /// Data that nobody asked for (a posted write).
    Write,
}

/// A part of a copy on its way, or the request for it. What arrives is its head; the tail follows.
#[derive(Clone, Copy, Debug)]
pub struct Chunk {
    /// Which route it follows.
    pub route: RouteId,
    /// How many stages of the route lie behind it.
    pub hop: u32,
    /// Bytes of data that it carries or asks for.
    pub bytes: u64,
    /// What its packets are.
    pub packet: Packet,
    /// How long after its head its last byte arrives at the latest stage.
    pub tail: Time,
    /// Who is told when the last byte has arrived.
    pub owner: Port<Arrived>,
    /// Comes back with the arrival.
    pub tag: u64,
}

/// The last byte of the chunk with this tag has come to the end of its route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// The chunk's tag.
    pub tag: u64,
}

/// Names a route of a [`Routes`] table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteId(pub u32);

/// Every route as the ports of its stages, in order. Shared by all stages and never changed during a run.
#[derive(Clone, Debug, Default)]
pub struct Routes(Arc<[Vec<Port<Chunk>>]>);

impl Routes {
    /// From the stages' ports, route by route.
    pub fn new(routes: Vec<Vec<Port<Chunk>>>) -> Self {
        Self(routes.into())
    }

    /// Sends a chunk to the first stage of its route; where the route has none, it has arrived.
    pub fn enter<M: From<Chunk> + From<Arrived>>(&self, chunk: Chunk, context: &mut Context<'_, M>) {
        self.forward(chunk, Time::ZERO, Time::ZERO, context);
    }

    /// Sends a chunk on to its next stage, or tells its owner where there is none. Its head leaves `wait` from now and
    /// arrives after `latency`; `chunk.tail` later follows its last byte.
    pub(crate) fn forward<M: From<Chunk> + From<Arrived>>(
        &self,
        chunk: Chunk,
        wait: Time,
        latency: Time,
        context: &mut Context<'_, M>,
    ) {
        let stages = self.0.get(chunk.route.0 as usize);
        let Some(stages) = stages else {
            return context.law_broken(6, format!("a chunk follows route {}, which does not exist", chunk.route.0));
        };
        match stages.get(chunk.hop as usize) {
            Some(port) => context.send(port.farther(latency), wait, Chunk { hop: chunk.hop + 1, ..chunk }),
            None => context.send(chunk.owner.farther(latency), wait + chunk.tail, Arrived { tag: chunk.tag }),
        }
    }
}
