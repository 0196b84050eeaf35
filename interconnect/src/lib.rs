//! Topology, links, switches, the host port and DMA engines.
//!
//! A [`Topology`] is a graph of endpoints, switches and host ports joined by links. Every direction of a link, every
//! switch and every host port is an actor of its own ([`Link`], [`Switch`], [`HostPort`]). A [`DmaEngine`] cuts a copy
//! into [`Chunk`]s and keeps a bounded number of them under way; contention, pipelining and back-pressure follow from
//! the chunks meeting in the actors, not from a formula. Chunks cut through: a link forwards the head of a chunk as
//! soon as it goes out, so an unloaded route costs the sum of its latencies plus the size over the least bandwidth.
//!
//! ```
//! use interconnect::{Framing, LinkSpec, Topology};
//! use sim_core::{Category, Rate, Time};
//!
//! let spec = LinkSpec {
//!     category: Category::CommunicationPcie,
//!     rate: Rate(25_000_000_000),
//!     framing: Framing::Plain,
//!     latency: Time::from_ns(450),
//! };
//! let mut topology = Topology::default();
//! let host = topology.endpoint("host");
//! let switch = topology.switch("switch", Time::from_ns(20));
//! let gpu = topology.endpoint("gpu");
//! topology.link(host, switch, spec);
//! topology.link(switch, gpu, spec);
//! let route = topology.route(host, gpu)?;
//! assert_eq!(topology.stages_of(route).len(), 3); // link, switch, link
//! assert_eq!(topology.latency(route), Time::from_ns(450 + 20 + 450));
//! # Ok::<(), interconnect::NoRoute>(())
//! ```

pub mod chunk;
pub mod dma;
pub mod host_port;
pub mod link;
pub mod protocol;
pub mod serialiser;
pub mod switch;
pub mod topology;

pub use chunk::{Arrived, Chunk, Packet, RouteId, Routes};
pub use dma::{Copy, DmaEngine, DmaSpec, Endpoint, SetUp};
pub use host_port::{HostPort, HostPortSpec};
pub use link::{Link, LinkSpec};
pub use protocol::Framing;
pub use serialiser::Serialiser;
pub use switch::Switch;
pub use topology::{NoRoute, Stage, StageId, Topology};
