//! CXL flits: fixed-size units of which a fixed part is payload (64 of 68 bytes in CXL 1.1 and 2.0).

use crate::chunk::Packet;

/// Sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flits {
    /// On the wire.
    pub flit: u64,
    /// Of it payload.
    pub payload: u64,
    /// The bytes that one request asks for at most; a request fills a flit (assumption: requests are not packed).
    pub max_read_request: u64,
}

impl Flits {
    /// Bytes of all the flits of a chunk of `bytes`.
    pub const fn wire_bytes(&self, packet: Packet, bytes: u64) -> u64 {
        match packet {
            Packet::ReadRequest => bytes.div_ceil(self.max_read_request) * self.flit,
            Packet::ReadCompletion | Packet::Write => bytes.div_ceil(self.payload) * self.flit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flit_is_whole_or_not_sent() {
        let flits = Flits { flit: 68, payload: 64, max_read_request: 512 };
        assert_eq!(flits.wire_bytes(Packet::Write, 64), 68);
        assert_eq!(flits.wire_bytes(Packet::Write, 65), 136);
        assert_eq!(flits.wire_bytes(Packet::ReadCompletion, 6_400), 6_800);
        assert_eq!(flits.wire_bytes(Packet::ReadRequest, 1_024), 136);
    }
}
