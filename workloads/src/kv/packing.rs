//! Codes in words and pages: what a cache takes in a memory that hands out whole pages and reads whole words.
//!
//! ```
//! use workloads::kv::packing::{Pages, pack, unpack};
//!
//! let pages = Pages::HBM; // words of 32 bytes, pages of 1 KiB
//! assert_eq!(pages.codes_per_word(9), 28); // a code never lies in two words
//! assert_eq!(pages.code_bytes(28 * 32 + 1, 9), 2 * 1024);
//! let codes = [511, 0, 256, 17];
//! assert_eq!(unpack(&pack(&codes, 9, pages), 9, pages, 4), codes);
//! ```

use serde::Serialize;

/// The grain of a memory. All fields are configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Pages {
    /// Bytes of one access; no code lies in two of them.
    pub word_bytes: u32,
    /// Bytes that are handed out at a time, a multiple of the word.
    pub page_bytes: u32,
}

impl Pages {
    /// HBM3: 32 B of one column access, 1 KiB of one row of a pseudo-channel (JESD238).
    pub const HBM: Self = Self { word_bytes: 32, page_bytes: 1024 };

    /// So many bytes in whole pages.
    pub fn whole(self, bytes: u64) -> u64 {
        let page = u64::from(self.page_bytes.max(1));
        bytes.div_ceil(page).saturating_mul(page)
    }

    /// How many codes of so many bits (1 to 16) lie in a word, at least 1.
    pub fn codes_per_word(self, bits: u32) -> u64 {
        (u64::from(self.word_bytes) * 8 / u64::from(bits.max(1))).max(1)
    }

    /// Bytes of a stream of codes, in whole words and pages.
    pub fn code_bytes(self, codes: u64, bits: u32) -> u64 {
        let words = codes.div_ceil(self.codes_per_word(bits));
        self.whole(words.saturating_mul(u64::from(self.word_bytes)))
    }
}

/// Codes of `bits` bits in words, the lowest bits first; what is left of a word stays zero.
pub fn pack(codes: &[u16], bits: u32, pages: Pages) -> Vec<u8> {
    let mut bytes = Vec::new();
    for codes in codes.chunks(pages.codes_per_word(bits) as usize) {
        let start = bytes.len();
        bytes.resize(start + pages.word_bytes as usize, 0);
        for (index, code) in codes.iter().enumerate() {
            let place = index * bits as usize;
            for bit in (0..bits as usize).filter(|bit| code >> bit & 1 == 1) {
                bytes[start + (place + bit) / 8] |= 1 << ((place + bit) % 8);
            }
        }
    }
    bytes
}

/// The first `count` codes of what [`pack`] made.
pub fn unpack(bytes: &[u8], bits: u32, pages: Pages, count: usize) -> Vec<u16> {
    let per_word = pages.codes_per_word(bits) as usize;
    let code = |index: usize| {
        let place = index / per_word * pages.word_bytes as usize * 8 + index % per_word * bits as usize;
        let bit = |bit: usize| u16::from(bytes[(place + bit) / 8] >> ((place + bit) % 8) & 1) << bit;
        (0..bits as usize).map(bit).sum()
    };
    (0..count).map(code).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn do_codes_of_every_width_come_back() {
        for bits in 1..=16 {
            let codes: Vec<u16> =
                (0..100_u32).map(|i| (i.wrapping_mul(40_503) >> 3) as u16 & (((1_u32 << bits) - 1) as u16)).collect();
            let packed = pack(&codes, bits, Pages::HBM);
            assert_eq!(packed.len() as u64, 100_u64.div_ceil(Pages::HBM.codes_per_word(bits)) * 32);
            assert_eq!(unpack(&packed, bits, Pages::HBM, 100), codes, "{bits} bits");
        }
    }
}
