//! SnapKV: the tokens that the last queries of the prompt look at.
//!
//! Source: Li, Huang, Yang, Venkitesh, Locatelli, Ye, Cai, Lewis, Chen, "SnapKV: LLM knows what you are looking for
//! before generation", NeurIPS 2024, arXiv 2404.14469.

use super::attention::Workspace;
use super::parameters::Share;
use super::pq::word;
use super::selection::{Kept, highest};
use super::streaming::attend_kept;
use super::{Codec, CodecCost, CodecError, EncodedHead, HeadShape, Keeps, Needs, Parameters, Prefill, Work, fp16};
use crate::product;

/// How the attention of neighbours is put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The largest.
    Max,
    /// The mean, zero beyond the ends.
    Mean,
}

const POOLING: [(&str, Pooling); 2] = [("max", Pooling::Max), ("mean", Pooling::Mean)];

/// The newest tokens, and those with the highest pooled attention from the last queries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SnapKv {
    /// Newest tokens that stay, and queries that decide.
    pub window: u32,
    /// Neighbours that are pooled, odd.
    pub kernel: u32,
    /// How they are pooled.
    pub pooling: Pooling,
    /// Kept tokens as a part of the prompt's; at least the window and eight.
    pub keep: Share,
}

impl SnapKv {
    /// Window 32, kernel 7, an eighth of the tokens.
    pub const DEFAULT: Self = Self { window: 32, kernel: 7, pooling: Pooling::Max, keep: Share(0.125) };

    pub(crate) fn parse(parameters: &mut Parameters<'_>) -> Result<Box<dyn Codec>, CodecError> {
        let Self { window, kernel, pooling, keep } = Self::DEFAULT;
        let codec = Self {
            window: parameters.number("window", window, 1..=1 << 24)?,
            kernel: parameters.number("kernel", kernel, 1..=65_535)?,
            pooling: parameters.word("pool", pooling, &POOLING)?,
            keep: parameters.share("keep", keep)?,
        };
        if codec.kernel.is_multiple_of(2) {
            let problem = format!("`kernel` is \"{}\"", codec.kernel);
            return Err(parameters.refuse("kernel", problem, "write an odd number, so that it has a middle"));
        }
        Ok(Box::new(codec))
    }

    fn kept(&self, tokens: u64) -> u64 {
        self.keep.of_count(tokens).max(u64::from(self.window) + 8).min(tokens)
    }

    /// The pooled scores of the tokens before the window.
    fn pooled(&self, scores: &[f32]) -> Vec<f32> {
        let half = self.kernel as usize / 2;
        let around = |token: usize| &scores[token.saturating_sub(half)..(token + half + 1).min(scores.len())];
        let pool = |token: usize| match self.pooling {
            Pooling::Max => around(token).iter().copied().fold(f32::NEG_INFINITY, f32::max),
            Pooling::Mean => around(token).iter().sum::<f32>() / self.kernel as f32,
        };
        (0..scores.len()).map(pool).collect()
    }
}

impl Codec for SnapKv {
    fn name(&self) -> &'static str {
        "snapkv"
    }

    fn summary(&self) -> &'static str {
        "tokens that the prompt's last queries look at, and the newest (SnapKV)"
    }

    fn parameters(&self) -> String {
        let pool = word(&POOLING, self.pooling);
        format!("window={},kernel={},pool={pool},keep={}", self.window, self.kernel, self.keep.0)
    }

    fn bits_per_token(&self, _head: HeadShape) -> u64 {
        0
    }

    /// 4 d bytes of each kept token.
    fn fixed_bytes(&self, head: HeadShape, tokens: u64) -> u64 {
        fp16::bytes(head, self.kept(tokens))
    }

    /// The sum of the last rows of probabilities, the pooling, a selection, and what is kept.
    fn prefill(&self, head: HeadShape, tokens: u64) -> Work {
        let rows = product(&[u64::from(head.query_heads), u64::from(self.window)]);
        Work::near(CodecCost {
            adds: product(&[tokens, rows.saturating_add(u64::from(self.kernel)).saturating_add(1)]),
            read_bytes: fp16::bytes(head, self.kept(tokens)),
            write_bytes: fp16::bytes(head, self.kept(tokens)),
            ..CodecCost::default()
        })
    }

    fn attend(&self, head: HeadShape, tokens: u64) -> Work {
        Work::near(attend_kept(head, self.kept(tokens)))
    }

    fn append(&self, head: HeadShape, _tokens: u64) -> Work {
        Work::near(CodecCost { write_bytes: fp16::bytes(head, 1), ..CodecCost::default() })
    }

    fn needs(&self) -> Needs {
        Needs::Observed
    }

    fn encode(&self, prefill: &Prefill<'_>) -> Result<Box<dyn EncodedHead>, CodecError> {
        let observed = prefill.importance.observed.ok_or_else(|| self.needs().missing(self))?;
        let tokens = prefill.tokens();
        let (kept, window) = (self.kept(tokens as u64) as usize, (self.window as usize).min(tokens));
        let mut order = Vec::new();
        highest(&self.pooled(&observed[..tokens - window]), kept.saturating_sub(window), &mut order);
        order.extend((tokens - window) as u32..tokens as u32);
        Ok(Box::new(SnapHead(Kept::of(prefill, order))))
    }
}

/// What a prompt left, and every token that is generated.
#[derive(Debug)]
struct SnapHead(Kept);

impl EncodedHead for SnapHead {
    fn tokens(&self) -> usize {
        self.0.seen as usize
    }

    fn stored_bits(&self) -> u64 {
        self.0.rows.stored_bits()
    }

    fn keeps(&self) -> Keeps {
        Keeps::Some(self.0.tokens.len())
    }

    fn decode(&self, keys: &mut [f32], values: &mut [f32]) {
        self.0.rows.decode(keys, values);
    }

    fn attend(&self, queries: &[f32], scale: f32, workspace: &mut Workspace, out: &mut [f32]) {
        self.0.attend(queries, scale, workspace, out);
    }

    fn append(&mut self, key: &[f32], value: &[f32]) {
        self.0.push(key, value);
    }

    fn kept(&self) -> &[u32] {
        &self.0.tokens
    }
}
