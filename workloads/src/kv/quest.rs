//! Quest: pages of tokens, chosen anew by every query from the range of their keys.
//!
//! Source: Tang, Zhao, Zhu, Xiao, Kasikci, Han, "Quest: query-aware sparsity for efficient long-context LLM inference",
//! ICML 2024, arXiv 2406.10774. The query heads of a KV head choose together (assumption: the paper has one query head
//! for each).

use half::f16;

use super::attention::{Workspace, room};
use super::fp16::{Rows, bytes};
use super::parameters::Share;
use super::selection::{attend_to, highest};
use super::{Codec, CodecCost, CodecError, EncodedHead, HeadShape, Keeps, Parameters, Prefill, Work};
use crate::product;

/// All tokens in FP16, and the least and the largest key of each page; queries attend to the best pages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quest {
    /// Tokens of a page.
    pub page: u32,
    /// Tokens that a query attends to; 0 for a part of all, `keep`.
    pub budget: u32,
    /// The part.
    pub keep: Share,
}

impl Quest {
    /// Pages of 16, an eighth of the tokens.
    pub const DEFAULT: Self = Self { page: 16, budget: 0, keep: Share(0.125) };

    pub(crate) fn parse(parameters: &mut Parameters<'_>) -> Result<Box<dyn Codec>, CodecError> {
        let Self { page, budget, keep } = Self::DEFAULT;
        Ok(Box::new(Self {
            page: parameters.number("page", page, 1..=65_536)?,
            budget: parameters.number("budget", budget, 0..=1 << 24)?,
            keep: parameters.share("keep", keep)?,
        }))
    }

    /// Pages that a query attends to, at least one, of those that are full.
    fn pages(&self, tokens: u64) -> u64 {
        let page = u64::from(self.page);
        let budget = if self.budget > 0 { u64::from(self.budget) } else { self.keep.of_count(tokens) };
        (budget.max(page) / page).min(tokens / page)
    }
}

impl Codec for Quest {
    fn name(&self) -> &'static str {
        "quest"
    }

    fn summary(&self) -> &'static str {
        "everything exact; each query reads the pages whose key range fits it (Quest)"
    }

    fn parameters(&self) -> String {
        format!("page={},budget={},keep={}", self.page, self.budget, self.keep.0)
    }

    fn bits_per_token(&self, head: HeadShape) -> u64 {
        product(&[8, bytes(head, 1)])
    }

    /// Two vectors for each page that has been begun.
    fn fixed_bytes(&self, head: HeadShape, tokens: u64) -> u64 {
        bytes(head, tokens.div_ceil(u64::from(self.page)))
    }

    fn prefill(&self, head: HeadShape, tokens: u64) -> Work {
        Work::near(CodecCost {
            flops: product(&[2, u64::from(head.head_dim), tokens]),
            write_bytes: self.stored_bytes(head, tokens),
            ..CodecCost::default()
        })
    }

    /// A page's score takes 4 d FLOP for each query head (two products, the larger, the sum) and its two vectors.
    fn attend(&self, head: HeadShape, tokens: u64) -> Work {
        let page = u64::from(self.page);
        let (d, g) = (u64::from(head.head_dim), u64::from(head.query_heads));
        let all = tokens / page;
        let seen = product(&[self.pages(tokens), page]).saturating_add(tokens % page);
        let seen_flops = product(&[4, g, d, seen]);
        Work::near(CodecCost {
            flops: product(&[4, g, d, all]).saturating_add(seen_flops),
            read_bytes: bytes(head, all).saturating_add(bytes(head, seen)),
            ..CodecCost::default()
        })
    }

    fn append(&self, head: HeadShape, _tokens: u64) -> Work {
        Work::near(CodecCost {
            flops: product(&[2, u64::from(head.head_dim)]),
            read_bytes: bytes(head, 1),
            write_bytes: product(&[2, bytes(head, 1)]),
            ..CodecCost::default()
        })
    }

    fn encode(&self, prefill: &Prefill<'_>) -> Result<Box<dyn EncodedHead>, CodecError> {
        let mut head = QuestHead { quest: *self, rows: Rows::new(prefill.head_dim), least: vec![], largest: vec![] };
        let rows = prefill.keys.chunks_exact(prefill.head_dim).zip(prefill.values.chunks_exact(prefill.head_dim));
        rows.for_each(|(key, value)| head.append(key, value));
        Ok(Box::new(head))
    }
}

#[derive(Debug)]
struct QuestHead {
    quest: Quest,
    rows: Rows,
    /// For each page that has been begun, a row.
    least: Vec<f16>,
    largest: Vec<f16>,
}

impl EncodedHead for QuestHead {
    fn tokens(&self) -> usize {
        self.rows.tokens()
    }

    fn stored_bits(&self) -> u64 {
        self.rows.stored_bits() + 16 * (self.least.len() + self.largest.len()) as u64
    }

    fn keeps(&self) -> Keeps {
        Keeps::Choice
    }

    fn decode(&self, keys: &mut [f32], values: &mut [f32]) {
        self.rows.decode(keys, values);
    }

    fn attend(&self, queries: &[f32], scale: f32, workspace: &mut Workspace, out: &mut [f32]) {
        let (d, page) = (self.rows.head_dim, self.quest.page as usize);
        let tokens = self.rows.tokens();
        let full = tokens / page;
        let scores = room(&mut workspace.probabilities, full);
        let bounds = self.least.chunks_exact(d).zip(self.largest.chunks_exact(d));
        for (score, (least, largest)) in scores.iter_mut().zip(bounds) {
            let of_query = |query: &[f32]| -> f32 {
                let bounds = least.iter().zip(largest);
                query.iter().zip(bounds).map(|(q, (a, b))| (q * a.to_f32()).max(q * b.to_f32())).sum()
            };
            *score = queries.chunks_exact(d).map(of_query).sum();
        }
        highest(scores, self.quest.pages(tokens as u64) as usize, &mut workspace.order);
        let mut chosen = std::mem::take(&mut workspace.chosen);
        chosen.clear();
        let page = page as u32;
        chosen.extend(workspace.order.iter().flat_map(|&number| number * page..(number + 1) * page));
        chosen.extend(full as u32 * page..tokens as u32);
        attend_to(&self.rows, &chosen, (queries, scale), workspace, out);
        workspace.chosen = chosen;
    }

    fn append(&mut self, key: &[f32], value: &[f32]) {
        let (d, page) = (self.rows.head_dim, self.quest.page as usize);
        if self.rows.tokens().is_multiple_of(page) {
            self.least.extend(std::iter::repeat_n(f16::INFINITY, d));
            self.largest.extend(std::iter::repeat_n(f16::NEG_INFINITY, d));
        }
        self.rows.extend(key, value);
        let start = self.least.len() - d;
        for ((least, largest), key) in self.least[start..].iter_mut().zip(&mut self.largest[start..]).zip(key) {
            let key = f16::from_f32(*key);
            *least = least.min(key);
            *largest = largest.max(key);
        }
    }
}
