//! The port where links meet the host's memory system (PCIe root complex).
//!
//! Both directions share its capacity: measured full-duplex copies reach 83 GB/s on a generation 5 host, not twice 55.

use sim_core::{Context, Handle, Inspect, Meter, Rate, Time};

use crate::chunk::{Arrived, Chunk, Packet, Routes};
use crate::serialiser::Serialiser;

/// What a host port is.
#[derive(Clone, Copy, Debug)]
pub struct HostPortSpec {
    /// Bytes of data per second, both directions together.
    pub rate: Rate,
    /// How long a chunk takes to pass.
    pub latency: Time,
}

/// The actor.
#[derive(Debug)]
pub struct HostPort {
    /// Configuration.
    latency: Time,
    routes: Routes,
    /// State and statistics.
    port: Serialiser,
}

impl HostPort {
    /// An idle port.
    pub const fn new(spec: &HostPortSpec, routes: Routes) -> Self {
        Self { latency: spec.latency, routes, port: Serialiser::new(spec.rate) }
    }
}

impl Inspect for HostPort {
    fn meter(&self) -> Option<Meter> {
        Some(self.port.meter())
    }

    fn meter_at(&self, at: Time) -> Option<Meter> {
        Some(self.port.meter_at(at))
    }
}

impl<M: From<Chunk> + From<Arrived>> Handle<Chunk, M> for HostPort {
    fn handle(&mut self, chunk: Chunk, context: &mut Context<'_, M>) {
        let now = context.now();
        // A request carries no data and so takes none of the measured capacity, which is of data.
        let slot = match chunk.packet {
            Packet::ReadRequest => self.port.slip_in(now, 0, chunk.tail),
            Packet::ReadCompletion | Packet::Write => self.port.accept(now, chunk.bytes, chunk.tail),
        };
        let chunk = Chunk { tail: slot.finish.since(slot.start), ..chunk };
        self.routes.forward(chunk, slot.start.since(now), self.latency, context);
    }
}
