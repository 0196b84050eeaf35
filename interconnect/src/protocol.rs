//! How many bytes a chunk is on the wire.

pub mod cxl;
pub mod pcie;

use crate::chunk::Packet;

/// The headers of a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Transaction-layer packets.
    Pcie(pcie::Packets),
    /// Flits of fixed size.
    Cxl(cxl::Flits),
    /// None: the overhead of NVLink and of a stack's own interface is in the rate, as an achieved share of the peak.
    Plain,
}

impl Framing {
    /// Bytes on the wire of a chunk that carries (or asks for) `bytes` of data.
    pub const fn wire_bytes(&self, packet: Packet, bytes: u64) -> u64 {
        match (self, packet) {
            (Self::Pcie(packets), _) => packets.wire_bytes(packet, bytes),
            (Self::Cxl(flits), _) => flits.wire_bytes(packet, bytes),
            (Self::Plain, Packet::ReadRequest) => 0,
            (Self::Plain, _) => bytes,
        }
    }
}
