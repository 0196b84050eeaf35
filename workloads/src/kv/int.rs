//! Uniform integers for each token: asymmetric, with a range of its own for each group of a token's elements.

use super::attention::{Workspace, decoded};
use super::scalar::{GroupedRows, attend, grouped_bits, quantise};
use super::{Codec, CodecError, EncodedHead, HeadShape, Parameters, Prefill, Work};
use crate::product;

/// Integers of `bits` bits, a least value and a step in FP16 for each group of neighbouring elements of a token:
/// 2 d (b + 32/G) / 8 bytes a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Int {
    /// Bits of an element, 2 to 8.
    pub bits: u32,
    /// Elements of a group (G); 0 is the whole of a token's key or value.
    pub group: u32,
}

impl Int {
    /// int4, one range for each key and each value.
    pub const DEFAULT: Self = Self { bits: 4, group: 0 };

    pub(crate) fn parse(parameters: &mut Parameters<'_>) -> Result<Box<dyn Codec>, CodecError> {
        let Self { bits, group } = Self::DEFAULT;
        Ok(Box::new(Self {
            bits: parameters.number("bits", bits, 2..=8)?,
            group: parameters.number("group", group, 0..=65_536)?,
        }))
    }

    fn group(self, head_dim: u32) -> u32 {
        if self.group == 0 { head_dim } else { self.group }
    }
}

/// Refuses a group that does not divide the head dimension.
pub(crate) fn check_group(codec: &dyn Codec, group: usize, head_dim: usize) -> Result<(), CodecError> {
    if group == 0 || !head_dim.is_multiple_of(group) {
        let problem = format!("groups of {group} elements do not divide a head of {head_dim}");
        return Err(CodecError::shape(codec, problem, format!("take a group that divides {head_dim}")));
    }
    Ok(())
}

impl Codec for Int {
    fn name(&self) -> &'static str {
        "int"
    }

    fn summary(&self) -> &'static str {
        "uniform integers, a range for each token or group of its elements"
    }

    fn parameters(&self) -> String {
        format!("bits={},group={}", self.bits, self.group)
    }

    fn bits_per_token(&self, head: HeadShape) -> u64 {
        grouped_bits(product(&[2, u64::from(head.head_dim)]), self.bits, self.group(head.head_dim))
    }

    fn fixed_bytes(&self, _head: HeadShape, _tokens: u64) -> u64 {
        0
    }

    fn prefill(&self, head: HeadShape, tokens: u64) -> Work {
        quantise(head, tokens, self.stored_bytes(head, tokens))
    }

    fn attend(&self, head: HeadShape, tokens: u64) -> Work {
        attend(head, tokens, self.stored_bytes(head, tokens))
    }

    fn append(&self, head: HeadShape, _tokens: u64) -> Work {
        quantise(head, 1, self.stored_bytes(head, 1))
    }

    fn check(&self, _tokens: usize, head_dim: usize) -> Result<(), CodecError> {
        check_group(self, self.group(head_dim as u32) as usize, head_dim)
    }

    fn encode(&self, prefill: &Prefill<'_>) -> Result<Box<dyn EncodedHead>, CodecError> {
        let head_dim = prefill.head_dim;
        let group = self.group(head_dim as u32) as usize;
        check_group(self, group, head_dim)?;
        let rows = GroupedRows::new(self.bits, group);
        let mut head = IntHead { head_dim, keys: rows.clone(), values: rows };
        head.keys.push(prefill.keys);
        head.values.push(prefill.values);
        Ok(Box::new(head))
    }
}

#[derive(Debug)]
struct IntHead {
    head_dim: usize,
    keys: GroupedRows,
    values: GroupedRows,
}

impl EncodedHead for IntHead {
    fn tokens(&self) -> usize {
        self.keys.elements() / self.head_dim
    }

    fn stored_bits(&self) -> u64 {
        self.keys.stored_bits() + self.values.stored_bits()
    }

    fn decode(&self, keys: &mut [f32], values: &mut [f32]) {
        self.keys.decode(keys);
        self.values.decode(values);
    }

    fn attend(&self, queries: &[f32], scale: f32, workspace: &mut Workspace, out: &mut [f32]) {
        decoded((queries, scale), (self.tokens(), self.head_dim), workspace, out, |k, v| self.decode(k, v));
    }

    fn append(&mut self, key: &[f32], value: &[f32]) {
        self.keys.push(key);
        self.values.push(value);
    }
}
