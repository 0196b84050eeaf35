//! H2O: heavy hitters and the newest tokens.
//!
//! Source: Zhang, Sheng, Zhou, Chen, Zheng, Cai, Song, Tian, Ré, Barrett, Wang, Chen, "H2O: heavy-hitter oracle for
//! efficient generative inference of large language models", NeurIPS 2023, arXiv 2306.14048.

use super::attention::Workspace;
use super::parameters::Share;
use super::selection::{Kept, highest};
use super::streaming::attend_kept;
use super::{Codec, CodecCost, CodecError, EncodedHead, HeadShape, Keeps, Needs, Parameters, Prefill, Work, fp16};
use crate::product;

/// Half of the kept tokens are those that have drawn most attention, half the newest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct H2o {
    /// Kept tokens as a part of the prompt's.
    pub keep: Share,
}

impl H2o {
    /// An eighth of the tokens.
    pub const DEFAULT: Self = Self { keep: Share(0.125) };

    pub(crate) fn parse(parameters: &mut Parameters<'_>) -> Result<Box<dyn Codec>, CodecError> {
        Ok(Box::new(Self { keep: parameters.share("keep", Self::DEFAULT.keep)? }))
    }
}

impl Codec for H2o {
    fn name(&self) -> &'static str {
        "h2o"
    }

    fn summary(&self) -> &'static str {
        "tokens that have drawn most attention, and the newest (H2O)"
    }

    fn parameters(&self) -> String {
        format!("keep={}", self.keep.0)
    }

    fn bits_per_token(&self, _head: HeadShape) -> u64 {
        0
    }

    /// 4 d bytes and a sum of 4 for each kept token.
    fn fixed_bytes(&self, head: HeadShape, tokens: u64) -> u64 {
        product(&[fp16::bytes(head, 1).saturating_add(4), self.keep.of_count(tokens)])
    }

    /// Running sums of the probabilities of all rows: n (n + 1) / 2 additions for each query head.
    fn prefill(&self, head: HeadShape, tokens: u64) -> Work {
        Work::near(CodecCost {
            adds: product(&[u64::from(head.query_heads), tokens, tokens.saturating_add(1)]) / 2,
            write_bytes: self.fixed_bytes(head, tokens),
            ..CodecCost::default()
        })
    }

    fn attend(&self, head: HeadShape, tokens: u64) -> Work {
        Work::near(attend_kept(head, self.keep.of_count(tokens)))
    }

    /// The sums of the kept tokens grow, and the smallest is found: the step's n-vector of additions.
    fn append(&self, head: HeadShape, tokens: u64) -> Work {
        let kept = self.keep.of_count(tokens);
        Work::near(CodecCost {
            adds: product(&[u64::from(head.query_heads).saturating_add(1), kept]),
            read_bytes: product(&[4, kept]),
            write_bytes: fp16::bytes(head, 1).saturating_add(product(&[4, kept])),
            ..CodecCost::default()
        })
    }

    fn needs(&self) -> Needs {
        Needs::Accumulated
    }

    fn encode(&self, prefill: &Prefill<'_>) -> Result<Box<dyn EncodedHead>, CodecError> {
        let accumulated = prefill.importance.accumulated.ok_or_else(|| self.needs().missing(self))?;
        let tokens = prefill.tokens();
        let kept = self.keep.of(tokens);
        let recent = kept - kept / 2;
        let mut order = Vec::new();
        highest(&accumulated[..tokens - recent], kept / 2, &mut order);
        order.extend((tokens - recent) as u32..tokens as u32);
        let sums = order.iter().map(|&token| accumulated[token as usize]).collect();
        Ok(Box::new(H2oHead { recent, sums, kept: Kept::of(prefill, order) }))
    }
}

#[derive(Debug)]
struct H2oHead {
    recent: usize,
    /// Attention that each kept token has drawn.
    sums: Vec<f32>,
    kept: Kept,
}

impl EncodedHead for H2oHead {
    fn tokens(&self) -> usize {
        self.kept.seen as usize
    }

    fn stored_bits(&self) -> u64 {
        self.kept.rows.stored_bits() + 32 * self.sums.len() as u64
    }

    fn keeps(&self) -> Keeps {
        Keeps::Some(self.kept.tokens.len())
    }

    fn decode(&self, keys: &mut [f32], values: &mut [f32]) {
        self.kept.rows.decode(keys, values);
    }

    fn attend(&self, queries: &[f32], scale: f32, workspace: &mut Workspace, out: &mut [f32]) {
        self.kept.attend(queries, scale, workspace, out);
    }

    fn observe(&mut self, workspace: &Workspace) {
        for probabilities in workspace.probabilities.chunks_exact(self.sums.len().max(1)) {
            self.sums.iter_mut().zip(probabilities).for_each(|(sum, probability)| *sum += probability);
        }
    }

    /// Of the tokens that are not among the newest the one goes that has drawn least attention.
    fn append(&mut self, key: &[f32], value: &[f32]) {
        self.kept.push(key, value);
        self.sums.push(0.0);
        let old = self.sums.len() - self.recent.min(self.sums.len());
        let least = (0..old).reduce(|a, b| if self.sums[b] < self.sums[a] { b } else { a });
        if let Some(place) = least {
            self.kept.remove(place);
            self.sums.remove(place);
        }
    }

    fn kept(&self) -> &[u32] {
        &self.kept.tokens
    }
}
