//! The KV cache: how keys and values are stored (codecs) and how much of them fits a memory (placement).
//!
//! A codec is one type in one file of `kv/`, listed in [`codecs`]. Its costs are of one KV head of one sequence in one
//! layer, because that is the unit that devices place; values (encode, decode, attend) join the same type.

mod fp16;
mod placement;

use std::fmt;

use serde::Serialize;

pub use fp16::Fp16;
pub use placement::{DoesNotFit, KvDemand, KvPlacement, Overflow, SpillUnit, place, place_with};

/// One KV head and the query heads that read it. All fields are configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct HeadShape {
    /// Elements of a head (d).
    pub head_dim: u32,
    /// Query heads per KV head (g).
    pub query_heads: u32,
}

/// What a codec does to one KV head, once. Sums saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CodecCost {
    /// Floating-point operations.
    pub flops: u64,
    /// Table look-ups.
    pub lookups: u64,
    /// Bytes of stored keys and values read.
    pub read_bytes: u64,
    /// Bytes of stored keys and values written.
    pub write_bytes: u64,
}

/// How keys and values are stored, and what that costs.
///
/// All costs are of one KV head of one sequence in one layer; n is the number of cached tokens, d the head
/// dimension, g the query heads per KV head.
pub trait Codec: fmt::Debug + Send + Sync {
    /// Name in scenarios and reports.
    fn name(&self) -> &'static str;

    /// One line for `pimscope list codecs`.
    fn summary(&self) -> &'static str;

    /// Bits stored for the key and the value of one token. Bits, because indices of nine bits are usual.
    fn bits_per_token(&self, head: HeadShape) -> u64;

    /// Bytes stored whatever the number of tokens: codebooks, residual windows. They may grow in steps with `tokens`,
    /// but never shrink.
    fn fixed_bytes(&self, head: HeadShape, tokens: u64) -> u64;

    /// The cost of storing the first `tokens` tokens.
    fn prefill(&self, head: HeadShape, tokens: u64) -> CodecCost;

    /// The cost of one decode step that attends to `tokens` tokens, the new one included, and appends the new one's
    /// key and value.
    fn decode(&self, head: HeadShape, tokens: u64) -> CodecCost;

    /// Bytes of `tokens` tokens, packed without a memory's padding; rounded up to a byte, saturating.
    fn stored_bytes(&self, head: HeadShape, tokens: u64) -> u64 {
        let bits = u128::from(self.bits_per_token(head)) * u128::from(tokens);
        let bytes = u64::try_from(bits.div_ceil(8)).unwrap_or(u64::MAX);
        bytes.saturating_add(self.fixed_bytes(head, tokens))
    }
}

/// Every codec with its default parameters, in the order in which they are listed. Adding a codec is adding its
/// file and a line here.
pub fn codecs() -> &'static [&'static dyn Codec] {
    static CODECS: [&dyn Codec; 1] = [&Fp16];
    &CODECS
}

/// The codec of that name with its default parameters.
pub fn codec(name: &str) -> Option<&'static dyn Codec> {
    codecs().iter().copied().find(|codec| codec.name() == name)
}
