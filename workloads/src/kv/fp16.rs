//! Keys and values as they are, two bytes an element.

use half::f16;

use super::attention::{Workspace, decoded};
use super::{Codec, CodecCost, CodecError, EncodedHead, HeadShape, Parameters, Prefill, Work};
use crate::product;

/// FP16 (or BF16): every key and value exact, 4 d bytes per token and KV head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fp16;

/// Bytes of an element.
const ELEMENT_BYTES: u64 = 2;

/// K and V of `tokens` tokens in FP16: 4 n d bytes.
pub(crate) fn bytes(head: HeadShape, tokens: u64) -> u64 {
    product(&[2, ELEMENT_BYTES, u64::from(head.head_dim), tokens])
}

/// Attention over `tokens` tokens: 4 g n d FLOP (scores and weighted sum).
pub(crate) fn attention_flops(head: HeadShape, tokens: u64) -> u64 {
    product(&[4, u64::from(head.query_heads), tokens, u64::from(head.head_dim)])
}

/// Rounds to the nearest FP16 number, ties to even.
pub(crate) fn rounded(element: f32) -> f32 {
    f16::from_f32(element).to_f32()
}

impl Fp16 {
    #[expect(clippy::unnecessary_wraps, reason = "the form of all codecs")]
    pub(crate) fn parse(_: &mut Parameters<'_>) -> Result<Box<dyn Codec>, CodecError> {
        Ok(Box::new(Self))
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
        product(&[8, bytes(head, 1)])
    }

    fn fixed_bytes(&self, _head: HeadShape, _tokens: u64) -> u64 {
        0
    }

    fn prefill(&self, head: HeadShape, tokens: u64) -> Work {
        Work::near(CodecCost { write_bytes: bytes(head, tokens), ..CodecCost::default() })
    }

    /// 4 g n d FLOP, 4 n d bytes read.
    fn attend(&self, head: HeadShape, tokens: u64) -> Work {
        Work::near(CodecCost {
            flops: attention_flops(head, tokens),
            read_bytes: bytes(head, tokens),
            ..CodecCost::default()
        })
    }

    /// 4 d bytes written.
    fn append(&self, head: HeadShape, _tokens: u64) -> Work {
        Work::near(CodecCost { write_bytes: bytes(head, 1), ..CodecCost::default() })
    }

    fn encode(&self, prefill: &Prefill<'_>) -> Result<Box<dyn EncodedHead>, CodecError> {
        Ok(Box::new(Rows::of(prefill)))
    }
}

/// Rows of keys and values in FP16.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    pub(crate) head_dim: usize,
    pub(crate) keys: Vec<f16>,
    pub(crate) values: Vec<f16>,
}

impl Rows {
    pub(crate) fn new(head_dim: usize) -> Self {
        Self { head_dim, ..Self::default() }
    }

    pub(crate) fn of(prefill: &Prefill<'_>) -> Self {
        let mut rows = Self::new(prefill.head_dim);
        rows.extend(prefill.keys, prefill.values);
        rows
    }

    pub(crate) fn extend(&mut self, keys: &[f32], values: &[f32]) {
        self.keys.extend(keys.iter().copied().map(f16::from_f32));
        self.values.extend(values.iter().copied().map(f16::from_f32));
    }

    pub(crate) fn tokens(&self) -> usize {
        self.keys.len() / self.head_dim
    }

    pub(crate) fn decode(&self, keys: &mut [f32], values: &mut [f32]) {
        widen(&self.keys, keys);
        widen(&self.values, values);
    }

    /// Takes a row away.
    pub(crate) fn remove(&mut self, row: usize) {
        let range = row * self.head_dim..(row + 1) * self.head_dim;
        self.keys.drain(range.clone());
        self.values.drain(range);
    }
}

/// FP16 to FP32, which is exact.
pub(crate) fn widen(from: &[f16], to: &mut [f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = from.to_f32();
    }
}

impl EncodedHead for Rows {
    fn tokens(&self) -> usize {
        Rows::tokens(self)
    }

    fn stored_bits(&self) -> u64 {
        16 * (self.keys.len() + self.values.len()) as u64
    }

    fn decode(&self, keys: &mut [f32], values: &mut [f32]) {
        Rows::decode(self, keys, values);
    }

    fn attend(&self, queries: &[f32], scale: f32, workspace: &mut Workspace, out: &mut [f32]) {
        let decode = |keys: &mut [f32], values: &mut [f32]| Rows::decode(self, keys, values);
        decoded((queries, scale), (self.tokens(), self.head_dim), workspace, out, decode);
    }

    fn append(&mut self, key: &[f32], value: &[f32]) {
        self.extend(key, value);
    }
}
