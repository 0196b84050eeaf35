//! Product quantisation of keys and values, with AQPIM's options.
//!
//! Sources: Jégou, Douze, Schmid, "Product quantization for nearest neighbor search", TPAMI 2011; Matsushima, Okoshi,
//! Motomura, Fujiki, "AQPIM: breaking the PIM capacity wall for LLMs with in-memory activation quantization", HPCA 2026,
//! arXiv 2604.18137.
//!
//! A key or value of d elements is cut into m sub-vectors. K centroids for each sub-vector, found by weighted k-means
//! over the prompt, are the codebook; a token is m indices. A query's inner products with the codebook are a table of
//! m x K numbers, and a token's score is the sum of m of them. On the value side the probabilities are added up for each
//! centroid and multiplied once, or values are put together again token by token.

mod head;
mod order;
mod side;

use super::packing::Pages;
use super::{Codec, CodecCost, CodecError, EncodedHead, HeadShape, Needs, Parameters, Prefill, Work, fp16};
use crate::product;

pub use head::PqHead;
pub use order::{Sorting, channel_order};
pub use side::Side;

/// What a token weighs in k-means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weights {
    /// All the same.
    None,
    /// The attention that it drew from all queries of the prompt.
    Attention,
    /// The square root of that.
    Root,
    /// That, for each query that sees the token.
    Normalised,
    /// The attention that it drew from the last few queries alone (AQPIM: 32 rows).
    Window,
}

/// Where k-means starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initial {
    /// Every (n / K)th token.
    Stride,
    /// K tokens drawn with the seed.
    Sample,
}

/// How wide an index is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// log2(K) bits, rounded up.
    Packed,
    /// 16 bits.
    Half,
}

/// How sums are rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sums {
    /// FP64: the reference.
    Wide,
    /// Every product and sum in FP16, in k-means and attention, as in a memory's processing elements.
    Half,
}

/// How probabilities meet values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Added up for each centroid, then multiplied with the codebook once.
    Accumulate,
    /// Multiplied with the centroids of each token.
    Reconstruct,
}

/// Product quantisation. All fields are configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pq {
    /// Sub-vectors (m); they divide the head dimension.
    pub sub_vectors: u32,
    /// Centroids of each sub-vector (K), 2 to 65 536.
    pub centroids: u32,
    /// Iterations of k-means.
    pub iterations: u32,
    /// What tokens weigh.
    pub weights: Weights,
    /// First tokens in FP16.
    pub sinks: u32,
    /// Newest tokens in FP16.
    pub recent: u32,
    /// Tokens that share a codebook; 0 is all of them.
    pub window: u32,
    /// Which channels make up a sub-vector.
    pub sorting: Sorting,
    /// Where k-means starts.
    pub initial: Initial,
    /// Seed of [`Initial::Sample`] and of [`Sorting`].
    pub seed: u32,
    /// How wide an index is stored.
    pub width: Width,
    /// How sums are rounded.
    pub sums: Sums,
    /// Centroids are not rounded to FP16, though they are counted as FP16: for comparison with definitions without
    /// rounding.
    pub unrounded: bool,
    /// How probabilities meet values.
    pub values: Values,
    /// After so many generated tokens, which wait in FP16, the codebook is clustered again; 0 is never (AQPIM).
    pub recluster: u32,
}

const WEIGHTS: [(&str, Weights); 5] = [
    ("none", Weights::None),
    ("attention", Weights::Attention),
    ("root", Weights::Root),
    ("normalised", Weights::Normalised),
    ("window", Weights::Window),
];
const INITIAL: [(&str, Initial); 2] = [("stride", Initial::Stride), ("sample", Initial::Sample)];
const WIDTH: [(&str, Width); 2] = [("packed", Width::Packed), ("u16", Width::Half)];
const SUMS: [(&str, Sums); 2] = [("f64", Sums::Wide), ("f16", Sums::Half)];
const CODEBOOK: [(&str, bool); 2] = [("f16", false), ("unrounded", true)];
const VALUES: [(&str, Values); 2] = [("accumulate", Values::Accumulate), ("reconstruct", Values::Reconstruct)];

/// The word of a meaning.
pub(crate) fn word<T: Copy + PartialEq>(words: &[(&'static str, T)], meaning: T) -> &'static str {
    words.iter().find(|(_, other)| *other == meaning).map_or("", |(word, _)| word)
}

impl Pq {
    /// AQPIM's: m 32, K 512, 4 iterations, weighted, 8 sinks and 32 newest tokens exact.
    pub const DEFAULT: Self = Self {
        sub_vectors: 32,
        centroids: 512,
        iterations: 4,
        weights: Weights::Attention,
        sinks: 8,
        recent: 32,
        window: 0,
        sorting: Sorting::None,
        initial: Initial::Stride,
        seed: 1,
        width: Width::Packed,
        sums: Sums::Wide,
        unrounded: false,
        values: Values::Accumulate,
        recluster: 0,
    };

    /// Without weights and exact tokens.
    pub const PLAIN: Self = Self { weights: Weights::None, sinks: 0, recent: 0, ..Self::DEFAULT };

    pub(crate) fn parse(parameters: &mut Parameters<'_>) -> Result<Box<dyn Codec>, CodecError> {
        const TOKENS: u32 = 1 << 24;
        let default = Self::DEFAULT;
        let pq = Self {
            sub_vectors: parameters.number("m", default.sub_vectors, 1..=65_536)?,
            centroids: parameters.number("k", default.centroids, 2..=65_536)?,
            iterations: parameters.number("iterations", default.iterations, 0..=10_000)?,
            weights: parameters.word("weights", default.weights, &WEIGHTS)?,
            sinks: parameters.number("sinks", default.sinks, 0..=TOKENS)?,
            recent: parameters.number("recent", default.recent, 0..=TOKENS)?,
            window: parameters.number("window", default.window, 0..=TOKENS)?,
            sorting: parameters.word("sort", default.sorting, &order::SORTING)?,
            initial: parameters.word("init", default.initial, &INITIAL)?,
            seed: parameters.number("seed", default.seed, 0..=u32::MAX)?,
            width: parameters.word("indices", default.width, &WIDTH)?,
            sums: parameters.word("sums", default.sums, &SUMS)?,
            unrounded: parameters.word("codebook", default.unrounded, &CODEBOOK)?,
            values: parameters.word("values", default.values, &VALUES)?,
            recluster: parameters.number("recluster", default.recluster, 0..=TOKENS)?,
        };
        if pq.window > 0 && pq.recluster > pq.window {
            let problem = format!("{} new tokens do not fit a window of {}", pq.recluster, pq.window);
            return Err(parameters.refuse("recluster", problem, "cluster again after fewer tokens, or take window=0"));
        }
        Ok(Box::new(pq))
    }

    /// Bits of an index.
    pub fn index_bits(&self) -> u32 {
        match self.width {
            Width::Packed => (self.centroids.max(2) - 1).ilog2() + 1,
            Width::Half => 16,
        }
    }

    /// Tokens in FP16 of `tokens`: sinks, the newest, and those that wait to be clustered.
    fn exact(&self, tokens: u64) -> u64 {
        tokens.min([self.sinks, self.recent, self.recluster].map(u64::from).iter().sum())
    }

    /// Codebooks for so many coded tokens.
    fn windows(&self, coded: u64) -> u64 {
        let (window, every) = (u64::from(self.window), u64::from(self.recluster));
        match (coded, window) {
            (0, _) => 0,
            (_, 0) => 1,
            (coded, window) if every == 0 => coded.div_ceil(window),
            // A window takes whole clusterings, and the prompt's last one may have no room for the first of them.
            (coded, window) => coded.div_ceil((window - window % every).max(1)) + 1,
        }
    }

    /// K d elements.
    fn codebook(&self, head: HeadShape) -> u64 {
        product(&[u64::from(self.centroids), u64::from(head.head_dim)])
    }

    /// Weights that are kept to cluster again.
    fn keeps_weights(&self) -> bool {
        self.recluster > 0 && self.weights != Weights::None
    }

    /// The iterations of k-means over `tokens` tokens of K and V, without the assignment that follows them: the distances
    /// (3 n K d FLOP each) and the sums of the members.
    pub fn clustering(&self, head: HeadShape, tokens: u64) -> CodecCost {
        let d = u64::from(head.head_dim);
        let iterations = u64::from(self.iterations);
        let distances = product(&[6, tokens, self.codebook(head)]);
        let add = if self.weights == Weights::None { 1 } else { 2 };
        CodecCost {
            flops: product(&[iterations, distances.saturating_add(product(&[2, add, tokens, d]))]),
            read_bytes: product(&[iterations, fp16::bytes(head, tokens)]),
            ..CodecCost::default()
        }
    }

    /// The nearest centroids of `tokens` tokens: 3 K d FLOP and m K comparisons for a key and for a value.
    pub fn encoding(&self, head: HeadShape, tokens: u64) -> CodecCost {
        CodecCost {
            flops: product(&[6, tokens, self.codebook(head)]),
            adds: product(&[2, tokens, u64::from(self.sub_vectors), u64::from(self.centroids)]),
            read_bytes: product(&[4, self.codebook(head)]),
            ..CodecCost::default()
        }
    }
}

impl Codec for Pq {
    fn name(&self) -> &'static str {
        "pq"
    }

    fn summary(&self) -> &'static str {
        "product quantisation: weighted k-means, exact sinks and newest tokens (AQPIM)"
    }

    fn parameters(&self) -> String {
        let numbers = format!("m={},k={},iterations={}", self.sub_vectors, self.centroids, self.iterations);
        let exact = format!("sinks={},recent={},window={}", self.sinks, self.recent, self.window);
        format!(
            "{numbers},weights={},{exact},sort={},init={},seed={},indices={},sums={},codebook={},values={},recluster={}",
            word(&WEIGHTS, self.weights),
            word(&order::SORTING, self.sorting),
            word(&INITIAL, self.initial),
            self.seed,
            word(&WIDTH, self.width),
            word(&SUMS, self.sums),
            word(&CODEBOOK, self.unrounded),
            word(&VALUES, self.values),
            self.recluster,
        )
    }

    /// 2 m log2(K) bits.
    fn bits_per_token(&self, _head: HeadShape) -> u64 {
        let weight = if self.keeps_weights() { 16 } else { 0 };
        product(&[2, u64::from(self.sub_vectors), u64::from(self.index_bits())]) + weight
    }

    /// 4 K d bytes for each window, and what the exact tokens take more than indices.
    fn fixed_bytes(&self, head: HeadShape, tokens: u64) -> u64 {
        let exact = self.exact(tokens);
        let books = product(&[4, self.codebook(head), self.windows(tokens - exact)]);
        let more = product(&[8, fp16::bytes(head, 1)]).saturating_sub(self.bits_per_token(head));
        books.saturating_add(product(&[more, exact]).div_ceil(8))
    }

    fn prefill(&self, head: HeadShape, tokens: u64) -> Work {
        let coded = tokens - self.exact(tokens);
        let stored = CodecCost { write_bytes: self.stored_bytes(head, tokens), ..CodecCost::default() };
        let last = CodecCost { read_bytes: fp16::bytes(head, tokens), ..self.encoding(head, coded) };
        Work::near(self.clustering(head, coded).plus(last).plus(stored))
    }

    /// K side: 2 g K d FLOP for the table and g n m look-ups. V side: g n m scattered additions and 2 g K d FLOP, or g n m
    /// look-ups of d/m elements and 2 g n d FLOP. Exact tokens: 4 g d FLOP each.
    fn attend(&self, head: HeadShape, tokens: u64) -> Work {
        let exact = self.exact(tokens);
        let coded = tokens - exact;
        let g = u64::from(head.query_heads);
        let tables = product(&[2, g, self.codebook(head), self.windows(coded)]);
        let lookups = product(&[g, coded, u64::from(self.sub_vectors)]);
        let (values, adds) = match self.values {
            Values::Accumulate => (tables, lookups.saturating_mul(2)),
            Values::Reconstruct => (product(&[2, g, coded, u64::from(head.head_dim)]), lookups),
        };
        Work::near(CodecCost {
            flops: tables.saturating_add(values).saturating_add(fp16::attention_flops(head, exact)),
            lookups: lookups.saturating_mul(2),
            adds,
            read_bytes: self.stored_bytes(head, tokens),
            write_bytes: 0,
        })
    }

    /// A token leaves the exact ones and gets the indices of the nearest centroids; with `recluster` also its part of the
    /// next clustering.
    fn append(&self, head: HeadShape, tokens: u64) -> Work {
        let coded = tokens - self.exact(tokens);
        let indices = self.bits_per_token(head).div_ceil(8);
        let window = if self.exact(u64::MAX) > 0 { fp16::bytes(head, 1) } else { 0 };
        let written = CodecCost { write_bytes: indices.saturating_add(window), ..CodecCost::default() };
        let every = u64::from(self.recluster);
        if every == 0 {
            let encoding = if coded > 0 { self.encoding(head, 1) } else { CodecCost::default() };
            return Work::near(encoding.plus(written));
        }
        let window = if self.window == 0 { coded } else { coded.min(u64::from(self.window)) };
        let all = self.clustering(head, window).plus(self.encoding(head, window));
        let part = CodecCost {
            flops: all.flops.div_ceil(every),
            adds: all.adds.div_ceil(every),
            read_bytes: all.read_bytes.div_ceil(every),
            write_bytes: product(&[indices, window]).div_ceil(every),
            lookups: 0,
        };
        Work::near(part.plus(written))
    }

    /// Each sub-vector's indices in a stream of their own, as they lie in banks of their own; codebooks and exact tokens
    /// of keys and of values in pages of their own.
    fn padded_bytes(&self, head: HeadShape, tokens: u64, pages: Pages) -> u64 {
        let exact = self.exact(tokens);
        let coded = tokens - exact;
        let (m, d) = (u64::from(self.sub_vectors), u64::from(head.head_dim));
        let indices = pages.code_bytes(coded, self.index_bits());
        let book = pages.whole(product(&[2, u64::from(self.centroids), d.div_ceil(m)]));
        let weights = if self.keeps_weights() { pages.code_bytes(coded, 16) } else { 0 };
        let rows = pages.whole(fp16::bytes(head, exact) / 2);
        let sub_vectors = product(&[2, m, indices.saturating_add(product(&[book, self.windows(coded)]))]);
        sub_vectors.saturating_add(weights).saturating_add(product(&[2, rows]))
    }

    fn as_pq(&self) -> Option<&Pq> {
        Some(self)
    }

    fn needs(&self) -> Needs {
        match self.weights {
            Weights::None => Needs::Nothing,
            Weights::Window => Needs::Observed,
            Weights::Attention | Weights::Root | Weights::Normalised => Needs::Accumulated,
        }
    }

    fn for_head_dim(&self, from: u32, to: u32) -> Result<Option<Box<dyn Codec>>, CodecError> {
        let sub_vectors = scaled(self, self.sub_vectors, from, to)?;
        Ok((sub_vectors != self.sub_vectors).then(|| Box::new(Self { sub_vectors, ..*self }) as Box<dyn Codec>))
    }

    fn check(&self, tokens: usize, head_dim: usize) -> Result<(), CodecError> {
        self.check_cut(head_dim)?;
        if self.centroids as usize > tokens {
            let problem = format!("{} centroids for {tokens} tokens", self.centroids);
            return Err(CodecError::shape(self, problem, format!("take k={tokens} or less")));
        }
        self.check_exact(tokens)
    }

    fn encode(&self, prefill: &Prefill<'_>) -> Result<Box<dyn EncodedHead>, CodecError> {
        Ok(Box::new(PqHead::encode(*self, prefill)?))
    }
}

/// So many sub-vectors of a head of `to` elements have as many channels as `sub_vectors` of one of `from`.
pub(crate) fn scaled(codec: &dyn Codec, sub_vectors: u32, from: u32, to: u32) -> Result<u32, CodecError> {
    let all = u64::from(sub_vectors) * u64::from(to);
    if from == 0 || !all.is_multiple_of(u64::from(from)) {
        let problem = format!("sub-vectors of {from} / {sub_vectors} channels do not divide a head of {to} elements");
        return Err(CodecError::shape(codec, problem, format!("take m so that m x {to} / {from} is whole")));
    }
    Ok((all / u64::from(from)) as u32)
}

impl Pq {
    fn check_cut(&self, head_dim: usize) -> Result<(), CodecError> {
        let m = self.sub_vectors as usize;
        if !head_dim.is_multiple_of(m) {
            let problem = format!("{m} sub-vectors do not divide a head of {head_dim} elements");
            return Err(CodecError::shape(self, problem, format!("take m that divides {head_dim}")));
        }
        if self.sorting == Sorting::CosinePairs && !(head_dim / m).is_multiple_of(2) {
            let problem = format!("sub-vectors of {} elements cannot hold pairs", head_dim / m);
            return Err(CodecError::shape(self, problem, "take half as many sub-vectors, or sort=cosine"));
        }
        Ok(())
    }

    fn check_exact(&self, tokens: usize) -> Result<(), CodecError> {
        let exact = self.sinks as usize + self.recent as usize;
        if exact > tokens {
            let problem =
                format!("{} sinks and {} newest tokens are more than {tokens} tokens", self.sinks, self.recent);
            return Err(CodecError::shape(self, problem, "take fewer exact tokens"));
        }
        Ok(())
    }

    /// What the tokens weigh, from the first to the last.
    pub(crate) fn token_weights(&self, prefill: &Prefill<'_>) -> Result<Option<Vec<f32>>, CodecError> {
        let importance = prefill.importance;
        let missing = || self.needs().missing(self);
        let accumulated = importance.accumulated.ok_or_else(missing);
        Ok(match self.weights {
            Weights::None => None,
            Weights::Attention => Some(accumulated?.to_vec()),
            Weights::Root => Some(accumulated?.iter().map(|weight| weight.sqrt()).collect()),
            Weights::Normalised => {
                let seen = |token: usize| importance.queries_end.saturating_sub(token).max(1) as f32;
                Some(accumulated?.iter().enumerate().map(|(token, weight)| weight / seen(token)).collect())
            }
            Weights::Window => Some(importance.observed.ok_or_else(missing)?.to_vec()),
        })
    }
}
