//! PCIe transaction-layer packets.
//!
//! Bytes besides the payload, as counted by the pcie-bench model: a posted write with a 64-bit address 24, a read
//! request 24, a completion 20 (8 of framing, sequence number and LCRC; 4 generic; 12, 12 and 8 of their own).

use crate::chunk::Packet;

/// Sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packets {
    /// Maximum payload size (MPS) of a write or a completion.
    pub max_payload: u64,
    /// Maximum read request size (MRRS).
    pub max_read_request: u64,
    /// Of a posted write, without its payload.
    pub write_header: u64,
    /// Of a completion, without its payload.
    pub completion_header: u64,
    /// Of a read request.
    pub request_header: u64,
}

impl Packets {
    /// The sizes of generations 1 to 5 with the usual 256 B payload and 512 B requests.
    pub const USUAL: Self =
        Self { max_payload: 256, max_read_request: 512, write_header: 24, completion_header: 20, request_header: 24 };

    /// Bytes of all the packets of a chunk of `bytes`.
    pub const fn wire_bytes(&self, packet: Packet, bytes: u64) -> u64 {
        match packet {
            Packet::ReadRequest => bytes.div_ceil(self.max_read_request) * self.request_header,
            Packet::ReadCompletion => bytes + bytes.div_ceil(self.max_payload) * self.completion_header,
            Packet::Write => bytes + bytes.div_ceil(self.max_payload) * self.write_header,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(packet: Packet, bytes: u64, expected: u64) {
        assert_eq!(Packets::USUAL.wire_bytes(packet, bytes), expected);
    }

    #[test]
    fn packets_carry_their_headers() {
        check(Packet::Write, 1, 25);
        check(Packet::Write, 256, 280);
        check(Packet::Write, 257, 257 + 48);
        check(Packet::ReadCompletion, 4_096, 4_096 + 16 * 20);
        check(Packet::ReadRequest, 4_096, 8 * 24);
        check(Packet::ReadRequest, 0, 0);
    }
}
