//! KVQuant in a simplified form: keys scaled by channel, values by token, one codebook of levels, outliers exact.
//!
//! Source of the method: Hooper, Kim, Mohammadzadeh, Mahoney, Shao, Keutzer, Gholami, "KVQuant: towards 10 million
//! context length LLM inference with KV cache quantization", NeurIPS 2024, arXiv 2401.18079. Simplified, hence "like": the
//! codebook is of this head and not weighted by Fisher information, and keys are quantised after rotary embedding.

use half::f16;

use super::attention::{Workspace, decoded};
use super::fp16::{bytes, rounded};
use super::kmeans::{Clustering, cluster};
use super::parameters::Share;
use super::{Codec, CodecCost, CodecError, EncodedHead, HeadShape, Parameters, Prefill, Work};
use crate::product;

/// At most so many elements decide the codebook.
const SAMPLE: usize = 65_536;
/// Iterations of k-means for the codebook.
const ITERATIONS: u32 = 20;
/// An exact element: its value in FP16 and its place in 16 bits.
const OUTLIER_BITS: u64 = 32;

/// Non-uniform levels with a part of the elements exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KvquantLike {
    /// Bits of an element, 2 to 8.
    pub bits: u32,
    /// The part of the elements that is kept exact, half of it at either end.
    pub outliers: Share,
}

impl KvquantLike {
    /// 2 bits, one element in a hundred exact.
    pub const DEFAULT: Self = Self { bits: 2, outliers: Share(0.01) };

    pub(crate) fn parse(parameters: &mut Parameters<'_>) -> Result<Box<dyn Codec>, CodecError> {
        let Self { bits, outliers } = Self::DEFAULT;
        Ok(Box::new(Self {
            bits: parameters.number("bits", bits, 2..=8)?,
            outliers: parameters.share("outliers", outliers)?,
        }))
    }
}

impl Codec for KvquantLike {
    fn name(&self) -> &'static str {
        "kvquant-like"
    }

    fn summary(&self) -> &'static str {
        "one codebook of levels, outliers exact (simplified KVQuant)"
    }

    fn parameters(&self) -> String {
        format!("bits={},outliers={}", self.bits, self.outliers.0)
    }

    /// Codes, the expected number of outliers, and the range of each value. A value has at least one outlier at either
    /// end: quantiles lie between elements.
    fn bits_per_token(&self, head: HeadShape) -> u64 {
        let d = f64::from(head.head_dim);
        let of_key = d * self.outliers.0;
        let of_value = 2.0 * ((d - 1.0) * self.outliers.0 / 2.0).floor() + 2.0;
        let outliers = ((of_key + of_value) * OUTLIER_BITS as f64).ceil() as u64;
        product(&[2, u64::from(head.head_dim), u64::from(self.bits)]).saturating_add(outliers).saturating_add(32)
    }

    /// The range of each channel of the keys, and two codebooks in FP16.
    fn fixed_bytes(&self, head: HeadShape, tokens: u64) -> u64 {
        if tokens == 0 { 0 } else { product(&[4, u64::from(head.head_dim)]).saturating_add(4 << self.bits) }
    }

    /// Quantiles (a sort), the codebook (a sample), the codes.
    fn prefill(&self, head: HeadShape, tokens: u64) -> Work {
        let elements = product(&[2, u64::from(head.head_dim), tokens]);
        let sample = elements.min(2 * SAMPLE as u64);
        let codebook = product(&[3, sample, 1 << self.bits, u64::from(ITERATIONS)]);
        Work::near(CodecCost {
            flops: product(&[4, elements]).saturating_add(codebook),
            adds: product(&[elements, u64::from(tokens.max(2).ilog2() + self.bits)]),
            read_bytes: product(&[2, bytes(head, tokens)]),
            write_bytes: self.stored_bytes(head, tokens),
            ..CodecCost::default()
        })
    }

    /// A look-up, a multiplication and an addition for each element.
    fn attend(&self, head: HeadShape, tokens: u64) -> Work {
        let elements = product(&[2, u64::from(head.head_dim), tokens]);
        Work::near(CodecCost {
            flops: super::fp16::attention_flops(head, tokens).saturating_add(product(&[2, elements])),
            lookups: elements,
            read_bytes: self.stored_bytes(head, tokens),
            ..CodecCost::default()
        })
    }

    fn append(&self, head: HeadShape, _tokens: u64) -> Work {
        let elements = product(&[2, u64::from(head.head_dim)]);
        Work::near(CodecCost {
            flops: product(&[4, elements]),
            adds: product(&[elements, u64::from(head.head_dim.max(2).ilog2() + self.bits)]),
            read_bytes: bytes(head, 1),
            write_bytes: self.bits_per_token(head).div_ceil(8),
            ..CodecCost::default()
        })
    }

    fn encode(&self, prefill: &Prefill<'_>) -> Result<Box<dyn EncodedHead>, CodecError> {
        let head_dim = prefill.head_dim;
        let tail = self.outliers.0 / 2.0;
        let channel = |channel: usize| {
            Range::of(prefill.keys.iter().skip(channel).step_by(head_dim).copied(), tail, &mut Vec::new())
        };
        let channels: Vec<Range> = (0..head_dim).map(channel).collect();
        let mut sort = Vec::new();
        let rows = prefill.values.chunks_exact(head_dim);
        let tokens: Vec<Range> = rows.map(|row| Range::of(row.iter().copied(), tail, &mut sort)).collect();
        let keys = prefill.keys.iter().zip(channels.iter().cycle());
        let keys = Levels::of(keys.map(|(&x, range)| (x, *range)), self.bits);
        let repeated = tokens.iter().flat_map(|range| std::iter::repeat_n(range, head_dim));
        let values = Levels::of(prefill.values.iter().zip(repeated).map(|(&x, range)| (x, *range)), self.bits);
        Ok(Box::new(KvquantHead { codec: *self, head_dim, channels, tokens, keys, values, sort }))
    }
}

/// The range within which elements are coded.
#[derive(Clone, Copy, Debug)]
struct Range {
    low: f32,
    high: f32,
}

impl Range {
    /// Between two quantiles, which are interpolated linearly between neighbouring elements.
    fn of(elements: impl Iterator<Item = f32>, tail: f64, sort: &mut Vec<f32>) -> Self {
        sort.clear();
        sort.extend(elements);
        sort.sort_unstable_by(f32::total_cmp);
        let quantile = |share: f64| {
            let place = share * (sort.len().max(1) - 1) as f64;
            let at = |index: usize| f64::from(sort.get(index).or(sort.last()).copied().unwrap_or_default());
            let (below, above) = (at(place as usize), at(place as usize + 1));
            rounded((below + (above - below) * place.fract()) as f32)
        };
        Self { low: quantile(tail), high: quantile(1.0 - tail) }
    }

    fn is_outlier(self, element: f32) -> bool {
        element < self.low || element > self.high
    }

    fn middle(self) -> f32 {
        f32::midpoint(self.high, self.low)
    }

    fn half(self) -> f32 {
        (self.high - self.low) / 2.0 + 1e-8
    }

    fn scaled(self, element: f32) -> f32 {
        (element.clamp(self.low, self.high) - self.middle()) / self.half()
    }
}

/// Codes of one side, its codebook, and its outliers.
#[derive(Debug)]
struct Levels {
    codebook: Vec<f32>,
    codes: Vec<u8>,
    outliers: Vec<(usize, f16)>,
}

impl Levels {
    fn of(elements: impl Iterator<Item = (f32, Range)> + Clone, bits: u32) -> Self {
        let scaled: Vec<f32> = elements.clone().map(|(x, range)| range.scaled(x)).collect();
        let step = (scaled.len() / SAMPLE).max(1);
        let sample: Vec<f32> = scaled.into_iter().step_by(step).collect();
        let centroids = (1 << bits).min(sample.len());
        let initial: Vec<f32> = (0..centroids).map(|j| sample[j * sample.len() / centroids]).collect();
        let clustering = Clustering { dimension: 1, iterations: ITERATIONS, ..Clustering::default() };
        let (mut codebook, _) = cluster(&sample, initial, clustering);
        codebook.sort_unstable_by(f32::total_cmp);
        let mut levels = Self { codebook, codes: Vec::new(), outliers: Vec::new() };
        elements.for_each(|(x, range)| levels.push(x, range));
        levels
    }

    fn push(&mut self, element: f32, range: Range) {
        let scaled = range.scaled(element);
        let below = |pair: &[f32]| f32::midpoint(pair[0], pair[1]) < scaled;
        if range.is_outlier(element) {
            self.outliers.push((self.codes.len(), f16::from_f32(element)));
        }
        self.codes.push(self.codebook.windows(2).take_while(|pair| below(pair)).count() as u8);
    }

    fn decode<'a>(&self, rows: &mut [f32], ranges: impl Iterator<Item = &'a Range>) {
        for ((element, code), range) in rows.iter_mut().zip(&self.codes).zip(ranges) {
            *element = self.codebook[usize::from(*code)] * range.half() + range.middle();
        }
        for (place, value) in &self.outliers {
            rows[*place] = value.to_f32();
        }
    }

    fn stored_bits(&self, bits: u32) -> u64 {
        let codes = self.codes.len() as u64 * u64::from(bits);
        codes + self.outliers.len() as u64 * OUTLIER_BITS + 16 * self.codebook.len() as u64
    }
}

#[derive(Debug)]
struct KvquantHead {
    codec: KvquantLike,
    head_dim: usize,
    channels: Vec<Range>,
    tokens: Vec<Range>,
    keys: Levels,
    values: Levels,
    sort: Vec<f32>,
}

impl EncodedHead for KvquantHead {
    fn tokens(&self) -> usize {
        self.tokens.len()
    }

    fn stored_bits(&self) -> u64 {
        let levels = self.keys.stored_bits(self.codec.bits) + self.values.stored_bits(self.codec.bits);
        levels + 32 * (self.channels.len() + self.tokens.len()) as u64
    }

    fn decode(&self, keys: &mut [f32], values: &mut [f32]) {
        self.keys.decode(keys, self.channels.iter().cycle());
        let each = self.tokens.iter().flat_map(|range| std::iter::repeat_n(range, self.head_dim));
        self.values.decode(values, each);
    }

    fn attend(&self, queries: &[f32], scale: f32, workspace: &mut Workspace, out: &mut [f32]) {
        decoded((queries, scale), (self.tokens(), self.head_dim), workspace, out, |k, v| self.decode(k, v));
    }

    fn append(&mut self, key: &[f32], value: &[f32]) {
        let range = Range::of(value.iter().copied(), self.codec.outliers.0 / 2.0, &mut self.sort);
        self.tokens.push(range);
        for ((&key, &channel), &value) in key.iter().zip(&self.channels).zip(value) {
            self.keys.push(key, channel);
            self.values.push(value, range);
        }
    }
}
