//! One direction of a link: first come first served, save that read requests pass between the packets of data.

use sim_core::{Category, Context, Handle, Inspect, Meter, Rate, Time};

use crate::chunk::{Arrived, Chunk, Packet, Routes};
use crate::protocol::Framing;
use crate::serialiser::Serialiser;

/// What a link is; both of its directions are alike.
#[derive(Clone, Copy, Debug)]
pub struct LinkSpec {
    /// What a transfer over it counts as.
    pub category: Category,
    /// Bytes per second of one direction that are left to packets, headers included: the raw rate less line coding and
    /// the link layer's own packets.
    pub rate: Rate,
    /// Headers that packets carry.
    pub framing: Framing,
    /// From the first byte sent to the first byte received.
    pub latency: Time,
}

/// The actor: a wire that sends chunks one after the other, first come first served.
#[derive(Debug)]
pub struct Link {
    /// Configuration.
    spec: LinkSpec,
    routes: Routes,
    /// State and statistics.
    wire: Serialiser,
}

impl Link {
    /// An idle direction of a link.
    pub const fn new(spec: LinkSpec, routes: Routes) -> Self {
        let wire = Serialiser::new(spec.rate);
        Self { spec, routes, wire }
    }
}

impl Inspect for Link {
    fn meter(&self) -> Option<Meter> {
        Some(self.wire.meter())
    }

    fn meter_at(&self, at: Time) -> Option<Meter> {
        Some(self.wire.meter_at(at))
    }
}

impl<M: From<Chunk> + From<Arrived>> Handle<Chunk, M> for Link {
    fn handle(&mut self, chunk: Chunk, context: &mut Context<'_, M>) {
        let now = context.now();
        let bytes = self.spec.framing.wire_bytes(chunk.packet, chunk.bytes);
        let slot = match chunk.packet {
            Packet::ReadRequest => self.wire.slip_in(now, bytes, chunk.tail),
            Packet::ReadCompletion | Packet::Write => self.wire.accept(now, bytes, chunk.tail),
        };
        let chunk = Chunk { tail: slot.finish.since(slot.start), ..chunk };
        self.routes.forward(chunk, slot.start.since(now), self.spec.latency, context);
    }
}
