//! WKVQuant's cache in a simplified form: static shift and scale of each channel, then groups for each token.
//!
//! Source of the method: Yue, Yuan, Duanmu, Zhou, Wu, Nie, "WKVQuant: quantizing weight and key/value cache for large
//! language models gains more", arXiv 2402.12065. Simplified, hence "like": the paper learns shift and scale with a
//! loss over blocks, here they are the middle and half of the range that the prompt shows. Its 4-bit weights are not
//! part of a KV codec.

use super::attention::{Workspace, decoded};
use super::fp16::{Rows, bytes, rounded};
use super::int::check_group;
use super::scalar::{GroupedRows, attend, grouped_bits, quantise};
use super::{Codec, CodecCost, CodecError, EncodedHead, HeadShape, Parameters, Prefill, Work};
use crate::product;

/// Two-dimensional quantisation of the past, the newest tokens exact ("past only").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WkvquantLike {
    /// Bits of an element, 2 to 8.
    pub bits: u32,
    /// Elements of a token that share a least value and a step (G).
    pub group: u32,
    /// Newest tokens in FP16.
    pub recent: u32,
    /// Shift and scale of the channels are not rounded to FP16, though they are counted as FP16: for comparison with
    /// definitions without rounding.
    pub unrounded: bool,
}

/// How shift and scale of the channels are kept.
const CHANNELS: [(&str, bool); 2] = [("f16", false), ("unrounded", true)];

impl WkvquantLike {
    /// The paper's 4 bits; the current token is exact.
    pub const DEFAULT: Self = Self { bits: 4, group: 64, recent: 1, unrounded: false };

    pub(crate) fn parse(parameters: &mut Parameters<'_>) -> Result<Box<dyn Codec>, CodecError> {
        let Self { bits, group, recent, unrounded } = Self::DEFAULT;
        Ok(Box::new(Self {
            bits: parameters.number("bits", bits, 2..=8)?,
            group: parameters.number("group", group, 1..=65_536)?,
            recent: parameters.number("recent", recent, 0..=1 << 24)?,
            unrounded: parameters.word("channels", unrounded, &CHANNELS)?,
        }))
    }

    /// Shift and scale of each channel of K and V.
    fn channel_bits(head_dim: u64) -> u64 {
        product(&[2, 2, 16, head_dim])
    }
}

impl Codec for WkvquantLike {
    fn name(&self) -> &'static str {
        "wkvquant-like"
    }

    fn summary(&self) -> &'static str {
        "static channel scales, then groups for each token (simplified WKVQuant)"
    }

    fn parameters(&self) -> String {
        let channels = CHANNELS[usize::from(self.unrounded)].0;
        format!("bits={},group={},recent={},channels={channels}", self.bits, self.group, self.recent)
    }

    fn bits_per_token(&self, head: HeadShape) -> u64 {
        grouped_bits(product(&[2, u64::from(head.head_dim)]), self.bits, self.group)
    }

    /// The channels' shift and scale, and what exact tokens take more than codes.
    fn fixed_bytes(&self, head: HeadShape, tokens: u64) -> u64 {
        if tokens == 0 {
            return 0;
        }
        let more = product(&[8, bytes(head, 1)]).saturating_sub(self.bits_per_token(head));
        let exact = product(&[more, tokens.min(u64::from(self.recent))]);
        Self::channel_bits(u64::from(head.head_dim)).saturating_add(exact).div_ceil(8)
    }

    /// Two passes: the ranges of the channels, then the tokens.
    fn prefill(&self, head: HeadShape, tokens: u64) -> Work {
        let ranges = CodecCost {
            flops: product(&[4, u64::from(head.head_dim), tokens]),
            read_bytes: bytes(head, tokens),
            ..CodecCost::default()
        };
        Work::near(ranges).plus(quantise(head, tokens, self.stored_bytes(head, tokens)))
    }

    /// Shift and scale of the keys are folded into the query, those of the values into the output.
    fn attend(&self, head: HeadShape, tokens: u64) -> Work {
        attend(head, tokens, self.stored_bytes(head, tokens))
    }

    fn append(&self, head: HeadShape, _tokens: u64) -> Work {
        let into = CodecCost { write_bytes: bytes(head, 1), ..CodecCost::default() };
        Work::near(into).plus(quantise(head, 1, self.bits_per_token(head).div_ceil(8)))
    }

    fn check(&self, _tokens: usize, head_dim: usize) -> Result<(), CodecError> {
        check_group(self, self.group as usize, head_dim)
    }

    fn encode(&self, prefill: &Prefill<'_>) -> Result<Box<dyn EncodedHead>, CodecError> {
        let head_dim = prefill.head_dim;
        check_group(self, self.group as usize, head_dim)?;
        let coded = prefill.tokens().saturating_sub(self.recent as usize) * head_dim;
        let side = |rows: &[f32]| {
            let channels = Channels::of(rows, head_dim, self.unrounded);
            let mut side = Scaled { channels, rows: GroupedRows::new(self.bits, self.group as usize) };
            side.push(&rows[..coded]);
            side
        };
        let mut exact = Rows::new(head_dim);
        exact.extend(&prefill.keys[coded..], &prefill.values[coded..]);
        Ok(Box::new(WkvquantHead {
            codec: *self,
            head_dim,
            keys: side(prefill.keys),
            values: side(prefill.values),
            exact,
        }))
    }
}

/// Shift and scale of each channel.
#[derive(Debug)]
struct Channels {
    shift: Vec<f32>,
    scale: Vec<f32>,
}

impl Channels {
    fn of(rows: &[f32], head_dim: usize, unrounded: bool) -> Self {
        let kept = |number: f32| if unrounded { number } else { rounded(number) };
        let mut ranges = vec![(f32::INFINITY, f32::NEG_INFINITY); head_dim];
        for row in rows.chunks_exact(head_dim) {
            for (range, &element) in ranges.iter_mut().zip(row) {
                *range = (range.0.min(element), range.1.max(element));
            }
        }
        let shift: Vec<f32> =
            ranges.iter().map(|&(least, most)| if least > most { 0.0 } else { kept(0.5 * (most + least)) }).collect();
        let reach = |(&(least, most), &shift): (&(f32, f32), &f32)| {
            let reach = if least > most { 0.0 } else { (most - shift).abs().max((least - shift).abs()) };
            // Of a channel that never changes nothing is left to scale; FP16 has no number as small as 1e-8.
            kept(reach + 1e-8).max(if unrounded { 0.0 } else { f32::from(half::f16::MIN_POSITIVE) })
        };
        let scale = ranges.iter().zip(&shift).map(reach).collect();
        Self { shift, scale }
    }
}

#[derive(Debug)]
struct Scaled {
    channels: Channels,
    rows: GroupedRows,
}

impl Scaled {
    fn push(&mut self, rows: &[f32]) {
        let mut scaled = vec![0.0; self.channels.shift.len()];
        for row in rows.chunks_exact(scaled.len()) {
            let channels = self.channels.shift.iter().zip(&self.channels.scale);
            for ((scaled, element), (shift, scale)) in scaled.iter_mut().zip(row).zip(channels) {
                *scaled = (element - shift) / scale;
            }
            self.rows.push(&scaled);
        }
    }

    fn decode(&self, rows: &mut [f32]) {
        self.rows.decode(rows);
        for row in rows.chunks_exact_mut(self.channels.shift.len()) {
            let channels = self.channels.shift.iter().zip(&self.channels.scale);
            for (element, (shift, scale)) in row.iter_mut().zip(channels) {
                *element = *element * scale + shift;
            }
        }
    }
}

#[derive(Debug)]
struct WkvquantHead {
    codec: WkvquantLike,
    head_dim: usize,
    keys: Scaled,
    values: Scaled,
    exact: Rows,
}

impl EncodedHead for WkvquantHead {
    fn tokens(&self) -> usize {
        self.keys.rows.elements() / self.head_dim + self.exact.tokens()
    }

    fn stored_bits(&self) -> u64 {
        let coded = self.keys.rows.stored_bits() + self.values.rows.stored_bits();
        coded + WkvquantLike::channel_bits(self.head_dim as u64) + self.exact.stored_bits()
    }

    fn decode(&self, keys: &mut [f32], values: &mut [f32]) {
        let coded = self.keys.rows.elements();
        self.keys.decode(&mut keys[..coded]);
        self.values.decode(&mut values[..coded]);
        self.exact.decode(&mut keys[coded..], &mut values[coded..]);
    }

    fn attend(&self, queries: &[f32], scale: f32, workspace: &mut Workspace, out: &mut [f32]) {
        decoded((queries, scale), (self.tokens(), self.head_dim), workspace, out, |k, v| self.decode(k, v));
    }

    fn append(&mut self, key: &[f32], value: &[f32]) {
        self.exact.extend(key, value);
        if self.exact.tokens() > self.codec.recent as usize {
            let mut row = (vec![0.0; self.head_dim], vec![0.0; self.head_dim]);
            widen_row(&self.exact, &mut row.0, &mut row.1);
            self.exact.remove(0);
            self.keys.push(&row.0);
            self.values.push(&row.1);
        }
    }
}

/// The oldest exact token.
pub(crate) fn widen_row(rows: &Rows, key: &mut [f32], value: &mut [f32]) {
    super::fp16::widen(&rows.keys[..rows.head_dim], key);
    super::fp16::widen(&rows.values[..rows.head_dim], value);
}
