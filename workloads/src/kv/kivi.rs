//! KIVI: keys quantised by channel, values by token, the newest tokens exact.
//!
//! Source: Liu, Yuan, Jin, Zhong, Xu, Braverman, Chen, Hu, "KIVI: a tuning-free asymmetric 2bit quantization for KV
//! cache", ICML 2024, arXiv 2402.02750.

use super::attention::{Workspace, decoded};
use super::fp16::{Rows, bytes, widen};
use super::int::check_group;
use super::scalar::{Grid, GroupedRows, attend, grouped_bits, levels, quantise};
use super::{Codec, CodecCost, CodecError, EncodedHead, HeadShape, Parameters, Prefill, Work};
use crate::product;

/// Keys in groups of `group` tokens of one channel, values in groups of as many elements of one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kivi {
    /// Bits of an element, 2 to 8.
    pub bits: u32,
    /// Elements of a group (G).
    pub group: u32,
    /// Newest tokens in FP16 (R), a multiple of the group: of values always so many, of keys those that do not fill
    /// R tokens yet.
    pub residual: u32,
}

impl Kivi {
    /// The paper's: 2 bits, groups of 32, 128 tokens exact.
    pub const DEFAULT: Self = Self { bits: 2, group: 32, residual: 128 };

    pub(crate) fn parse(parameters: &mut Parameters<'_>) -> Result<Box<dyn Codec>, CodecError> {
        let Self { bits, group, residual } = Self::DEFAULT;
        let kivi = Self {
            bits: parameters.number("bits", bits, 2..=8)?,
            group: parameters.number("group", group, 1..=65_536)?,
            residual: parameters.number("residual", residual, 0..=1 << 24)?,
        };
        if !kivi.residual.is_multiple_of(kivi.group) {
            let problem = format!("{} exact tokens are no multiple of the group of {}", kivi.residual, kivi.group);
            return Err(parameters.refuse("residual", problem, "keys leave the residual in whole groups of tokens"));
        }
        Ok(Box::new(kivi))
    }

    /// Keys are quantised so many tokens at a time.
    fn block(&self) -> usize {
        if self.residual == 0 { self.group as usize } else { self.residual as usize }
    }

    /// Codes and grids of `tokens` tokens, in bytes.
    fn coded_bytes(&self, head: HeadShape, tokens: u64) -> u64 {
        product(&[self.bits_per_token(head), tokens]).div_ceil(8)
    }
}

impl Codec for Kivi {
    fn name(&self) -> &'static str {
        "kivi"
    }

    fn summary(&self) -> &'static str {
        "keys by channel, values by token, newest tokens exact (KIVI)"
    }

    fn parameters(&self) -> String {
        format!("bits={},group={},residual={}", self.bits, self.group, self.residual)
    }

    fn bits_per_token(&self, head: HeadShape) -> u64 {
        grouped_bits(product(&[2, u64::from(head.head_dim)]), self.bits, self.group)
    }

    /// Buffers for the exact tokens, 4 R d bytes, beside room for the codes of all tokens.
    fn fixed_bytes(&self, head: HeadShape, tokens: u64) -> u64 {
        if tokens == 0 { 0 } else { bytes(head, u64::from(self.residual)) }
    }

    fn prefill(&self, head: HeadShape, tokens: u64) -> Work {
        quantise(head, tokens, self.stored_bytes(head, tokens))
    }

    /// 2 n d (b + 32/G) / 8 + 4 R d bytes.
    fn attend(&self, head: HeadShape, tokens: u64) -> Work {
        attend(head, tokens, self.coded_bytes(head, tokens).saturating_add(self.fixed_bytes(head, tokens)))
    }

    /// One token goes into the residual and, on average, one leaves it.
    fn append(&self, head: HeadShape, _tokens: u64) -> Work {
        let into = CodecCost { write_bytes: bytes(head, 1), ..CodecCost::default() };
        Work::near(into).plus(quantise(head, 1, self.coded_bytes(head, 1)))
    }

    fn check(&self, _tokens: usize, head_dim: usize) -> Result<(), CodecError> {
        check_group(self, self.group as usize, head_dim)
    }

    fn encode(&self, prefill: &Prefill<'_>) -> Result<Box<dyn EncodedHead>, CodecError> {
        let head_dim = prefill.head_dim;
        check_group(self, self.group as usize, head_dim)?;
        let mut head = KiviHead {
            kivi: *self,
            head_dim,
            key_codes: Vec::new(),
            key_grids: Vec::new(),
            values: GroupedRows::new(self.bits, self.group as usize),
            exact_keys: Rows::new(head_dim),
            exact_values: Rows::new(head_dim),
        };
        let tokens = prefill.tokens();
        let coded_keys = (tokens - tokens % self.block()) * head_dim;
        let coded_values = tokens.saturating_sub(self.residual as usize) * head_dim;
        for block in prefill.keys[..coded_keys].chunks_exact(self.group as usize * head_dim) {
            head.push_keys(block);
        }
        head.values.push(&prefill.values[..coded_values]);
        head.exact_keys.extend(&prefill.keys[coded_keys..], &[]);
        head.exact_values.extend(&[], &prefill.values[coded_values..]);
        Ok(Box::new(head))
    }
}

#[derive(Debug)]
struct KiviHead {
    kivi: Kivi,
    head_dim: usize,
    key_codes: Vec<u8>,
    /// For each group of tokens, one for each channel.
    key_grids: Vec<Grid>,
    values: GroupedRows,
    /// Only the keys of the one and the values of the other are used.
    exact_keys: Rows,
    exact_values: Rows,
}

impl KiviHead {
    /// Quantises the keys of one group of tokens.
    fn push_keys(&mut self, block: &[f32]) {
        let (head_dim, levels) = (self.head_dim, levels(self.kivi.bits));
        let grids = self.key_grids.len();
        for channel in 0..head_dim {
            self.key_grids.push(Grid::of(block.iter().skip(channel).step_by(head_dim).copied(), levels));
        }
        for row in block.chunks_exact(head_dim) {
            let codes = row.iter().zip(&self.key_grids[grids..]).map(|(&element, grid)| grid.code(element, levels));
            self.key_codes.extend(codes);
        }
    }
}

impl EncodedHead for KiviHead {
    fn tokens(&self) -> usize {
        self.key_codes.len() / self.head_dim + self.exact_keys.keys.len() / self.head_dim
    }

    fn stored_bits(&self) -> u64 {
        let coded = self.key_codes.len() as u64 * u64::from(self.kivi.bits) + 32 * self.key_grids.len() as u64;
        let exact = 16 * (self.exact_keys.keys.len() + self.exact_values.values.len()) as u64;
        coded + self.values.stored_bits() + exact
    }

    fn decode(&self, keys: &mut [f32], values: &mut [f32]) {
        let (coded, exact) = keys.split_at_mut(self.key_codes.len());
        let group = self.kivi.group as usize * self.head_dim;
        let grids = self.key_grids.chunks_exact(self.head_dim);
        for ((keys, codes), grids) in coded.chunks_exact_mut(group).zip(self.key_codes.chunks_exact(group)).zip(grids) {
            let rows = keys.chunks_exact_mut(self.head_dim).zip(codes.chunks_exact(self.head_dim));
            for (keys, codes) in rows {
                for ((key, code), grid) in keys.iter_mut().zip(codes).zip(grids) {
                    *key = grid.point(*code);
                }
            }
        }
        widen(&self.exact_keys.keys, exact);
        let (coded, exact) = values.split_at_mut(self.values.elements());
        self.values.decode(coded);
        widen(&self.exact_values.values, exact);
    }

    fn attend(&self, queries: &[f32], scale: f32, workspace: &mut Workspace, out: &mut [f32]) {
        decoded((queries, scale), (self.tokens(), self.head_dim), workspace, out, |k, v| self.decode(k, v));
    }

    fn append(&mut self, key: &[f32], value: &[f32]) {
        let (head_dim, block) = (self.head_dim, self.kivi.block());
        self.exact_keys.extend(key, &[]);
        if self.exact_keys.keys.len() == block * head_dim {
            let mut keys = vec![0.0; block * head_dim];
            widen(&self.exact_keys.keys, &mut keys);
            keys.chunks_exact(self.kivi.group as usize * head_dim).for_each(|block| self.push_keys(block));
            self.exact_keys.keys.clear();
        }
        self.exact_values.extend(&[], value);
        if self.exact_values.values.len() > self.kivi.residual as usize * head_dim {
            let row: Vec<f32> = self.exact_values.values.drain(..head_dim).map(half::f16::to_f32).collect();
            self.values.push(&row);
        }
    }
}
