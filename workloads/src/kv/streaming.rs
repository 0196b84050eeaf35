//! StreamingLLM: the first and the newest tokens.
//!
//! Source: Xiao, Tian, Chen, Han, Lewis, "Efficient streaming language models with attention sinks", ICLR 2024,
//! arXiv 2309.17453. Positions stay what they were; the paper renumbers the kept tokens for texts longer than the model
//! was trained for.

use super::attention::Workspace;
use super::parameters::Share;
use super::selection::Kept;
use super::{Codec, CodecCost, CodecError, EncodedHead, HeadShape, Keeps, Parameters, Prefill, Work, fp16};

/// Sinks and a window of the newest tokens, together a part of the prompt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StreamingLlm {
    /// First tokens that stay.
    pub sinks: u32,
    /// Kept tokens as a part of the prompt's.
    pub keep: Share,
}

/// The cost of attending to so many of the tokens in FP16.
pub(crate) fn attend_kept(head: HeadShape, kept: u64) -> CodecCost {
    CodecCost { flops: fp16::attention_flops(head, kept), read_bytes: fp16::bytes(head, kept), ..CodecCost::default() }
}

impl StreamingLlm {
    /// Four sinks, an eighth of the tokens.
    pub const DEFAULT: Self = Self { sinks: 4, keep: Share(0.125) };

    pub(crate) fn parse(parameters: &mut Parameters<'_>) -> Result<Box<dyn Codec>, CodecError> {
        let Self { sinks, keep } = Self::DEFAULT;
        Ok(Box::new(Self {
            sinks: parameters.number("sinks", sinks, 0..=1 << 24)?,
            keep: parameters.share("keep", keep)?,
        }))
    }

    fn kept(&self, tokens: u64) -> u64 {
        self.keep.of_count(tokens).max(tokens.min(u64::from(self.sinks)))
    }
}

impl Codec for StreamingLlm {
    fn name(&self) -> &'static str {
        "streaming-llm"
    }

    fn summary(&self) -> &'static str {
        "the first and the newest tokens (StreamingLLM)"
    }

    fn parameters(&self) -> String {
        format!("sinks={},keep={}", self.sinks, self.keep.0)
    }

    fn bits_per_token(&self, _head: HeadShape) -> u64 {
        0
    }

    /// 4 d bytes of each kept token: what is stored follows the part that is kept, not the tokens one by one.
    fn fixed_bytes(&self, head: HeadShape, tokens: u64) -> u64 {
        fp16::bytes(head, self.kept(tokens))
    }

    fn prefill(&self, head: HeadShape, tokens: u64) -> Work {
        Work::near(CodecCost { write_bytes: self.fixed_bytes(head, tokens), ..CodecCost::default() })
    }

    fn attend(&self, head: HeadShape, tokens: u64) -> Work {
        Work::near(attend_kept(head, self.kept(tokens)))
    }

    fn append(&self, head: HeadShape, _tokens: u64) -> Work {
        Work::near(CodecCost { write_bytes: fp16::bytes(head, 1), ..CodecCost::default() })
    }

    fn check(&self, tokens: usize, _head_dim: usize) -> Result<(), CodecError> {
        if self.sinks as usize > self.keep.of(tokens) {
            let kept = self.keep.of(tokens);
            let problem = format!("{} sinks of {kept} tokens that are kept of {tokens}", self.sinks);
            return Err(CodecError::shape(self, problem, "take fewer sinks or keep more"));
        }
        Ok(())
    }

    fn encode(&self, prefill: &Prefill<'_>) -> Result<Box<dyn EncodedHead>, CodecError> {
        let tokens = prefill.tokens() as u32;
        let kept = self.kept(u64::from(tokens)) as u32;
        let sinks = self.sinks.min(kept);
        let kept = Kept::of(prefill, (0..sinks).chain(tokens - (kept - sinks)..tokens).collect());
        Ok(Box::new(StreamingHead { sinks: sinks as usize, kept }))
    }
}

#[derive(Debug)]
struct StreamingHead {
    sinks: usize,
    kept: Kept,
}

impl EncodedHead for StreamingHead {
    fn tokens(&self) -> usize {
        self.kept.seen as usize
    }

    fn stored_bits(&self) -> u64 {
        self.kept.rows.stored_bits()
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

    /// The oldest token of the window goes.
    fn append(&mut self, key: &[f32], value: &[f32]) {
        self.kept.push(key, value);
        if self.kept.tokens.len() > self.sinks + 1 {
            self.kept.remove(self.sinks);
        }
    }

    fn kept(&self) -> &[u32] {
        &self.kept.tokens
    }
}
