//! Keys and values as they are, two bytes an element.

use super::{Codec, CodecCost, HeadShape};
use crate::product;

/// FP16 (or BF16): every key and value exact, 4 d bytes per token and KV head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fp16;

/// Bytes of an element.
const ELEMENT_BYTES: u64 = 2;

impl Fp16 {
    /// K and V of `tokens` tokens: 4 n d bytes.
    fn bytes(head: HeadShape, tokens: u64) -> u64 {
        product(&[2, ELEMENT_BYTES, u64::from(head.head_dim), tokens])
    }
}

impl Codec for Fp16 {
    fn name(&self) -> &'static str {
        "fp16"
    }

    fn summary(&self) -> &'static str {
        "keys and values exact, 16 bits an element"
    }

    fn bits_per_token(&self, head: HeadShape) -> u64 {
        8 * Self::bytes(head, 1)
    }

    fn fixed_bytes(&self, _head: HeadShape, _tokens: u64) -> u64 {
        0
    }

    fn prefill(&self, head: HeadShape, tokens: u64) -> CodecCost {
        CodecCost { write_bytes: Self::bytes(head, tokens), ..CodecCost::default() }
    }

    /// 4 g n d FLOP (scores and weighted sum), 4 n d bytes read, 4 d written.
    fn decode(&self, head: HeadShape, tokens: u64) -> CodecCost {
        CodecCost {
            flops: product(&[4, u64::from(head.query_heads), tokens, u64::from(head.head_dim)]),
            lookups: 0,
            read_bytes: Self::bytes(head, tokens),
            write_bytes: Self::bytes(head, 1),
        }
    }
}
