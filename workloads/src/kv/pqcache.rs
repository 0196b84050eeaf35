//! PQCache: all keys and values in the host's memory, the keys' codes near the GPU, the best tokens fetched.
//!
//! Source: Zhang, Fu, Ge, Lin, Zhang, Chen, Miao, Cui, "PQCache: product quantization-based KVCache for long context LLM
//! inference", SIGMOD 2025, arXiv 2407.12820.

use super::attention::{Workspace, room};
use super::fp16::{Rows, bytes};
use super::parameters::Share;
use super::pq::{Pq, Side, Sorting, Weights, word};
use super::selection::{attend_to, highest};
use super::{Codec, CodecCost, CodecError, EncodedHead, HeadShape, Keeps, Parameters, Prefill, Work, fp16};
use crate::product;

/// How the query heads of a KV head choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// By the sum of their approximate probabilities.
    Sum,
    /// Each for itself; the union is fetched.
    Union,
}

const SELECTION: [(&str, Selection); 2] = [("sum", Selection::Sum), ("union", Selection::Union)];
const CODEBOOK: [(&str, bool); 2] = [("f16", false), ("unrounded", true)];

/// Product quantisation of the keys as an index of what to fetch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PqCache {
    /// Sub-vectors of a key (m).
    pub sub_vectors: u32,
    /// Centroids of each (K).
    pub centroids: u32,
    /// Iterations of k-means on the host: as many as hide behind the GPU's prefill.
    pub iterations: u32,
    /// First tokens that stay with the GPU.
    pub sinks: u32,
    /// Tokens that a step attends to beside the sinks, as a part of all.
    pub keep: Share,
    /// Of these the part that is the newest tokens, in hundredths; they stay with the GPU too.
    pub newest: u32,
    /// How query heads choose.
    pub selection: Selection,
    /// Centroids are not rounded to FP16.
    pub unrounded: bool,
}

impl PqCache {
    /// The paper's: m 2, K 64, a fifth of the tokens, half of them the newest.
    pub const DEFAULT: Self = Self {
        sub_vectors: 2,
        centroids: 64,
        iterations: 10,
        sinks: 32,
        keep: Share(0.2),
        newest: 50,
        selection: Selection::Sum,
        unrounded: false,
    };

    pub(crate) fn parse(parameters: &mut Parameters<'_>) -> Result<Box<dyn Codec>, CodecError> {
        let default = Self::DEFAULT;
        Ok(Box::new(Self {
            sub_vectors: parameters.number("m", default.sub_vectors, 1..=65_536)?,
            centroids: parameters.number("k", default.centroids, 2..=65_536)?,
            iterations: parameters.number("iterations", default.iterations, 0..=10_000)?,
            sinks: parameters.number("sinks", default.sinks, 0..=1 << 24)?,
            keep: parameters.share("keep", default.keep)?,
            newest: parameters.number("newest", default.newest, 0..=100)?,
            selection: parameters.word("select", default.selection, &SELECTION)?,
            unrounded: parameters.word("codebook", default.unrounded, &CODEBOOK)?,
        }))
    }

    fn pq(&self) -> Pq {
        Pq {
            sub_vectors: self.sub_vectors,
            centroids: self.centroids,
            iterations: self.iterations,
            weights: Weights::None,
            sinks: 0,
            recent: 0,
            sorting: Sorting::None,
            unrounded: self.unrounded,
            ..Pq::DEFAULT
        }
    }

    /// Of `tokens` tokens: the sinks, the newest that stay, and how many are fetched of those between.
    fn split(&self, tokens: u64) -> (u64, u64, u64) {
        let sinks = tokens.min(u64::from(self.sinks));
        let all = self.keep.of_count(tokens - sinks);
        let newest = (u128::from(all) * u128::from(self.newest) / 100) as u64;
        (sinks, newest, all - newest)
    }

    fn code_bits(&self, tokens: u64) -> u64 {
        product(&[tokens, u64::from(self.sub_vectors), u64::from(self.pq().index_bits())])
    }

    /// The keys' codebook in FP16, 2 K d bytes.
    pub fn codebook_bytes(&self, head: HeadShape) -> u64 {
        product(&[2, u64::from(self.centroids), u64::from(head.head_dim)])
    }
}

impl Codec for PqCache {
    fn name(&self) -> &'static str {
        "pqcache"
    }

    fn summary(&self) -> &'static str {
        "everything in host memory, the best tokens by the keys' codes fetched (PQCache)"
    }

    fn parameters(&self) -> String {
        format!(
            "m={},k={},iterations={},sinks={},keep={},newest={},select={},codebook={}",
            self.sub_vectors,
            self.centroids,
            self.iterations,
            self.sinks,
            self.keep.0,
            self.newest,
            word(&SELECTION, self.selection),
            word(&CODEBOOK, self.unrounded),
        )
    }

    /// The keys' codes, near the GPU.
    fn bits_per_token(&self, _head: HeadShape) -> u64 {
        self.code_bits(1)
    }

    /// The codebook, and sinks and newest tokens in FP16.
    fn fixed_bytes(&self, head: HeadShape, tokens: u64) -> u64 {
        if tokens == 0 {
            return 0;
        }
        let (sinks, newest, _) = self.split(tokens);
        self.codebook_bytes(head).saturating_add(bytes(head, sinks + newest))
    }

    fn host_bytes(&self, head: HeadShape, tokens: u64) -> u64 {
        bytes(head, tokens)
    }

    /// Everything crosses the link; the host clusters the keys and sends codes and codebook back.
    fn prefill(&self, head: HeadShape, tokens: u64) -> Work {
        let d = u64::from(head.head_dim);
        let (sinks, newest, _) = self.split(tokens);
        let near = self.fixed_bytes(head, tokens).saturating_add(self.code_bits(tokens).div_ceil(8));
        let coded = tokens - sinks;
        let iterations = u64::from(self.iterations);
        let pass = product(&[3, coded, u64::from(self.centroids), d]);
        let back = self.codebook_bytes(head).saturating_add(self.code_bits(tokens).div_ceil(8));
        Work {
            near: CodecCost { read_bytes: bytes(head, newest), write_bytes: near, ..CodecCost::default() },
            host: CodecCost {
                flops: product(&[iterations + 1, pass]).saturating_add(product(&[iterations, coded, d])),
                adds: product(&[iterations + 1, coded, u64::from(self.sub_vectors), u64::from(self.centroids)]),
                lookups: 0,
                read_bytes: product(&[iterations + 1, 2, coded, d]),
                write_bytes: bytes(head, tokens).saturating_add(back),
            },
            link_bytes: bytes(head, tokens).saturating_add(back),
        }
    }

    /// g K d multiply-adds for the table, g n m look-ups, and attention on what is kept and fetched. A union of g choices
    /// is counted as disjoint ones, the most it can be.
    fn attend(&self, head: HeadShape, tokens: u64) -> Work {
        let g = u64::from(head.query_heads);
        let (sinks, newest, top) = self.split(tokens);
        let coded = tokens - sinks - newest;
        let fetched = match self.selection {
            Selection::Sum => top,
            Selection::Union => product(&[g, top]).min(coded),
        };
        let seen = sinks + newest + fetched;
        let attended = CodecCost {
            flops: fp16::attention_flops(head, seen),
            read_bytes: bytes(head, seen),
            write_bytes: bytes(head, fetched),
            ..CodecCost::default()
        };
        Work {
            near: self.choose(head, tokens).plus(attended),
            host: CodecCost { read_bytes: bytes(head, fetched), ..CodecCost::default() },
            link_bytes: bytes(head, fetched),
        }
    }

    fn choose(&self, head: HeadShape, tokens: u64) -> CodecCost {
        let (d, g) = (u64::from(head.head_dim), u64::from(head.query_heads));
        let (sinks, newest, _) = self.split(tokens);
        let coded = tokens - sinks - newest;
        CodecCost {
            flops: product(&[2, g, u64::from(self.centroids), d]),
            lookups: product(&[g, coded, u64::from(self.sub_vectors)]),
            adds: product(&[g, coded, u64::from(self.sub_vectors) - 1]),
            read_bytes: self.code_bits(coded).div_ceil(8).saturating_add(self.codebook_bytes(head)),
            write_bytes: 0,
        }
    }

    /// The new token goes to the host, and its key is coded near the GPU.
    fn append(&self, head: HeadShape, _tokens: u64) -> Work {
        let codebook = product(&[u64::from(self.centroids), u64::from(head.head_dim)]);
        Work {
            near: CodecCost {
                flops: product(&[3, codebook]),
                adds: product(&[u64::from(self.sub_vectors), u64::from(self.centroids)]),
                lookups: 0,
                read_bytes: product(&[2, codebook]),
                write_bytes: bytes(head, 1).saturating_add(self.code_bits(1).div_ceil(8)),
            },
            host: CodecCost { write_bytes: bytes(head, 1), ..CodecCost::default() },
            link_bytes: bytes(head, 1),
        }
    }

    fn for_head_dim(&self, from: u32, to: u32) -> Result<Option<Box<dyn Codec>>, CodecError> {
        let sub_vectors = super::pq::scaled(self, self.sub_vectors, from, to)?;
        Ok((sub_vectors != self.sub_vectors).then(|| Box::new(Self { sub_vectors, ..*self }) as Box<dyn Codec>))
    }

    fn check(&self, tokens: usize, head_dim: usize) -> Result<(), CodecError> {
        if !head_dim.is_multiple_of(self.sub_vectors as usize) {
            let problem = format!("{} sub-vectors do not divide a head of {head_dim} elements", self.sub_vectors);
            return Err(CodecError::shape(self, problem, format!("take m that divides {head_dim}")));
        }
        if self.sinks as usize > tokens || self.centroids as usize > tokens - self.sinks as usize {
            let problem = format!("{} sinks and {} centroids for {tokens} tokens", self.sinks, self.centroids);
            return Err(CodecError::shape(self, problem, "take fewer sinks or a smaller k"));
        }
        Ok(())
    }

    fn encode(&self, prefill: &Prefill<'_>) -> Result<Box<dyn EncodedHead>, CodecError> {
        self.check(prefill.tokens(), prefill.head_dim)?;
        let coded = &prefill.keys[self.sinks as usize * prefill.head_dim..];
        let keys = Side::encode(&self.pq(), coded, coded, prefill.head_dim, None, true);
        Ok(Box::new(PqCacheHead { codec: *self, rows: Rows::of(prefill), keys }))
    }
}

#[derive(Debug)]
struct PqCacheHead {
    codec: PqCache,
    /// In the host's memory.
    rows: Rows,
    /// Of all tokens but the sinks.
    keys: Side,
}

impl EncodedHead for PqCacheHead {
    fn tokens(&self) -> usize {
        self.rows.tokens()
    }

    /// In both memories, without the copies of sinks and newest tokens.
    fn stored_bits(&self) -> u64 {
        let codes = self.codec.code_bits(self.keys.tokens() as u64);
        let codebook = 16 * u64::from(self.codec.centroids) * self.rows.head_dim as u64;
        self.rows.stored_bits() + codes + codebook
    }

    fn keeps(&self) -> Keeps {
        Keeps::Choice
    }

    fn decode(&self, keys: &mut [f32], values: &mut [f32]) {
        self.rows.decode(keys, values);
    }

    fn attend(&self, queries: &[f32], scale: f32, workspace: &mut Workspace, out: &mut [f32]) {
        let tokens = self.rows.tokens();
        let (sinks, newest, top) = self.codec.split(tokens as u64);
        let (sinks, newest, top) = (sinks as usize, newest as usize, top as usize);
        let between = tokens - sinks - newest;
        let mut sums = std::mem::take(&mut workspace.keys);
        let mut chosen = std::mem::take(&mut workspace.chosen);
        chosen.clear();
        let all = room(&mut sums, between);
        all.fill(0.0);
        for query in queries.chunks_exact(self.rows.head_dim) {
            let scores = room(&mut workspace.scores, self.keys.tokens());
            self.keys.look_up(query, f64::from(scale), &mut workspace.table, scores);
            let scores = &mut scores[..between];
            let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            for score in &mut *scores {
                *score = (*score - most).exp();
            }
            let total: f64 = scores.iter().sum();
            match self.codec.selection {
                Selection::Sum => {
                    all.iter_mut().zip(scores).for_each(|(sum, score)| *sum += (*score / total) as f32);
                }
                Selection::Union => {
                    all.iter_mut().zip(scores).for_each(|(sum, score)| *sum = (*score / total) as f32);
                    highest(all, top, &mut workspace.order);
                    chosen.extend(&workspace.order);
                }
            }
        }
        if self.codec.selection == Selection::Sum {
            highest(all, top, &mut workspace.order);
            chosen.extend(&workspace.order);
        }
        chosen.sort_unstable();
        chosen.dedup();
        for token in &mut chosen {
            *token += sinks as u32;
        }
        chosen.splice(..0, 0..sinks as u32);
        chosen.extend((tokens - newest) as u32..tokens as u32);
        workspace.keys = sums;
        attend_to(&self.rows, &chosen, (queries, scale), workspace, out);
        workspace.chosen = chosen;
    }

    fn append(&mut self, key: &[f32], value: &[f32]) {
        self.rows.extend(key, value);
        self.keys.push(&self.codec.pq(), key);
    }
}
