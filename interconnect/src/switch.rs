//! A switch, or the controller of a device that sits between a link and a memory: it adds latency.
//!
//! Contention for an output is contention for the link behind it, and happens there.

use sim_core::{Context, Handle, Inspect, Time};

use crate::chunk::{Arrived, Chunk, Routes};

/// The actor.
#[derive(Debug)]
pub struct Switch {
    /// Configuration: how long a chunk takes to pass.
    latency: Time,
    routes: Routes,
}

impl Switch {
    /// A switch that takes `latency` from input to output.
    pub const fn new(latency: Time, routes: Routes) -> Self {
        Self { latency, routes }
    }
}

impl Inspect for Switch {}

impl<M: From<Chunk> + From<Arrived>> Handle<Chunk, M> for Switch {
    fn handle(&mut self, chunk: Chunk, context: &mut Context<'_, M>) {
        self.routes.forward(chunk, Time::ZERO, self.latency, context);
    }
}
