//! The KV cache: how keys and values are stored (codecs) and how much of them fits a memory (placement).
//!
//! A [`Codec`] is one type in one file of `kv/`, listed in [`codecs`]. It has two sides that must not drift apart.
//! *Costs* are bytes, operations and where they run, of one KV head of one sequence in one layer, because that is the
//! unit that devices place. *Values* are what comes out: [`Codec::encode`] stores real keys and values as an
//! [`EncodedHead`], which gives them back, attends to them and takes new tokens. [`measure`](mod@measure) says how far
//! that is from exact attention, [`tensors`] reads the keys and values of a model, [`packing`] places the bytes in
//! words and pages.
//!
//! ```
//! use workloads::kv::{self, HeadShape};
//!
//! // AQPIM's defaults on Mistral-7B's shape: nine-bit indices, 8 + 32 tokens exact.
//! let pq = kv::parse("pq:m=32,k=512")?;
//! let mistral = HeadShape { head_dim: 128, query_heads: 4 };
//! let fp16 = kv::codec("fp16").ok_or("fp16 is always there")?;
//! let ratio = fp16.stored_bytes(mistral, 32_768) as f64 / pq.stored_bytes(mistral, 32_768) as f64;
//! assert_eq!(format!("{ratio:.2}"), "6.36");
//!
//! // A slip is located, with the nearest name.
//! let slip = kv::parse("pq:m=32,iteration=4").unwrap_err();
//! assert_eq!(slip.to_string(), "pq:m=32,iteration=4: character 9: `pq` has no parameter `iteration`");
//! assert!(slip.remedy().starts_with("did you mean `iterations`?"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod attention;
mod error;
mod fp16;
mod h2o;
mod int;
mod kivi;
mod kmeans;
mod kvquant;
pub mod measure;
pub mod packing;
mod parameters;
mod placement;
mod pq;
mod pqcache;
mod quest;
mod scalar;
mod selection;
mod skvq;
mod snapkv;
mod streaming;
pub mod tensors;
mod turboquant;
mod wkvquant;

use std::fmt;

use serde::Serialize;

pub use attention::Workspace;
pub use error::CodecError;
pub use fp16::Fp16;
pub use h2o::H2o;
pub use int::Int;
pub use kivi::Kivi;
pub use kmeans::{Clustering, cluster, nearest_codes};
pub use kvquant::KvquantLike;
pub use parameters::Parameters;
pub use placement::{DoesNotFit, KvDemand, KvPlacement, Overflow, SpillUnit, place, place_with};
pub use pq::{Initial, Pq, PqHead, Side, Sorting, Sums, Values, Weights, Width, channel_order};
pub use pqcache::{PqCache, Selection};
pub use quest::Quest;
pub use skvq::SkvqLike;
pub use snapkv::{Pooling, SnapKv};
pub use streaming::StreamingLlm;
pub use turboquant::TurboquantLike;
pub use wkvquant::WkvquantLike;

/// One KV head and the query heads that read it. All fields are configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct HeadShape {
    /// Elements of a head (d).
    pub head_dim: u32,
    /// Query heads per KV head (g).
    pub query_heads: u32,
}

/// What is done in one place to one KV head, once. Sums saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CodecCost {
    /// Floating-point operations on vectors: a multiply-add is two.
    pub flops: u64,
    /// Table look-ups (gathers) and scattered additions: irregular accesses.
    pub lookups: u64,
    /// Additions and comparisons of single numbers that come with the look-ups.
    pub adds: u64,
    /// Bytes of stored keys, values, codes and codebooks read.
    pub read_bytes: u64,
    /// Bytes of the same written.
    pub write_bytes: u64,
}

impl CodecCost {
    /// The same `times` times.
    pub fn times(self, times: u64) -> Self {
        Self {
            flops: self.flops.saturating_mul(times),
            lookups: self.lookups.saturating_mul(times),
            adds: self.adds.saturating_mul(times),
            read_bytes: self.read_bytes.saturating_mul(times),
            write_bytes: self.write_bytes.saturating_mul(times),
        }
    }

    /// What is left without a part of it.
    pub fn minus(self, part: Self) -> Self {
        Self {
            flops: self.flops.saturating_sub(part.flops),
            lookups: self.lookups.saturating_sub(part.lookups),
            adds: self.adds.saturating_sub(part.adds),
            read_bytes: self.read_bytes.saturating_sub(part.read_bytes),
            write_bytes: self.write_bytes.saturating_sub(part.write_bytes),
        }
    }

    /// Both, one after the other.
    pub fn plus(self, other: Self) -> Self {
        Self {
            flops: self.flops.saturating_add(other.flops),
            lookups: self.lookups.saturating_add(other.lookups),
            adds: self.adds.saturating_add(other.adds),
            read_bytes: self.read_bytes.saturating_add(other.read_bytes),
            write_bytes: self.write_bytes.saturating_add(other.write_bytes),
        }
    }
}

/// What is done to one KV head, and where it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Work {
    /// By the processor that computes attention, on the memory that holds the cache: GPU, CPU or PIM.
    pub near: CodecCost,
    /// By the host's processor, on the host's memory.
    pub host: CodecCost,
    /// Bytes that cross the link between the two.
    pub link_bytes: u64,
}

impl Work {
    /// All of it where attention runs.
    pub fn near(cost: CodecCost) -> Self {
        Self { near: cost, ..Self::default() }
    }

    /// Both, one after the other.
    pub fn plus(self, other: Self) -> Self {
        Self {
            near: self.near.plus(other.near),
            host: self.host.plus(other.host),
            link_bytes: self.link_bytes.saturating_add(other.link_bytes),
        }
    }
}

/// How the tokens of a prompt were attended to while it was read: what decides which of them are important.
#[derive(Clone, Copy, Debug, Default)]
pub struct Importance<'a> {
    /// For each token, the attention probability that it drew from all queries of the prompt and all query heads of the
    /// KV head.
    pub accumulated: Option<&'a [f32]>,
    /// The position after the last of these queries.
    pub queries_end: usize,
    /// For each token, the same from the last few queries alone.
    pub observed: Option<&'a [f32]>,
    /// How many queries of each query head those are.
    pub observed_queries: usize,
}

/// What a codec has to know about the tokens of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing but keys and values.
    Nothing,
    /// [`Importance::accumulated`].
    Accumulated,
    /// [`Importance::observed`].
    Observed,
}

impl Needs {
    /// [`CodecError::Missing`] for a codec that does not get it.
    pub fn missing(self, codec: &dyn Codec) -> CodecError {
        let needs = match self {
            Self::Nothing => "nothing",
            Self::Accumulated => "the attention that each token drew, which this input does not say",
            Self::Observed => "the attention of the last queries, which this input does not say",
        };
        CodecError::Missing { codec: text(codec), needs }
    }
}

/// One KV head of one sequence when its prompt has been read: what a codec stores.
#[derive(Clone, Copy, Debug)]
pub struct Prefill<'a> {
    /// Keys after rotary embedding, tokens x head_dim, row by row.
    pub keys: &'a [f32],
    /// Values, of the same shape.
    pub values: &'a [f32],
    /// Elements of a head (d), at least 1.
    pub head_dim: usize,
    /// What is known about the tokens.
    pub importance: Importance<'a>,
}

impl Prefill<'_> {
    /// The number of tokens (n).
    pub fn tokens(&self) -> usize {
        self.keys.len() / self.head_dim.max(1)
    }
}

/// What an [`EncodedHead`] keeps of its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// Something of every token, and every query sees all of them.
    All,
    /// These tokens are left, in rising order; the others are gone.
    Some(usize),
    /// Every token, and the queries of one step choose together which of them they see.
    Choice,
}

/// The stored keys and values of one KV head.
pub trait EncodedHead: fmt::Debug + Send + Sync {
    /// How many tokens there have been.
    fn tokens(&self) -> usize;

    /// Bits that are stored for them, with scales, codebooks and exact tokens.
    fn stored_bits(&self) -> u64;

    /// What is kept.
    fn keeps(&self) -> Keeps {
        Keeps::All
    }

    /// Writes the keys and values that the stored bits stand for, tokens x head_dim each, oldest token first; of
    /// [`Keeps::Some`] only those that are left.
    ///
    /// # Panics
    /// Where a slice has another length.
    fn decode(&self, keys: &mut [f32], values: &mut [f32]);

    /// Attends with some query vectors (each of `head_dim` elements) and writes as many output vectors. With
    /// [`Keeps::Choice`] the queries must be those of one step.
    ///
    /// The probabilities that the tokens got are left in the workspace where every token got one; see
    /// [`Workspace::probabilities`].
    fn attend(&self, queries: &[f32], scale: f32, workspace: &mut Workspace, out: &mut [f32]);

    /// Takes the key and value of a token that was generated, `head_dim` elements each.
    fn append(&mut self, key: &[f32], value: &[f32]);

    /// Looks at the probabilities that the last call of [`attend`](Self::attend) left in the workspace: a codec that keeps
    /// running sums adds them.
    fn observe(&mut self, _workspace: &Workspace) {}

    /// For [`Keeps::Some`], which tokens are left, in rising order.
    fn kept(&self) -> &[u32] {
        &[]
    }

    /// For product quantisation, what is stored; for whoever wants to look inside.
    fn as_pq(&self) -> Option<&PqHead> {
        None
    }
}

/// How keys and values are stored, and what that costs.
///
/// All costs are of one KV head of one sequence in one layer; n is the number of cached tokens, d the head
/// dimension, g the query heads per KV head.
pub trait Codec: fmt::Debug + Send + Sync {
    /// Name in scenarios and reports.
    fn name(&self) -> &'static str;

    /// One line for `pimscope list codecs`.
    fn summary(&self) -> &'static str;

    /// All parameters as [`parse`] takes them, `name=value` with commas; empty where there are none.
    fn parameters(&self) -> String {
        String::new()
    }

    /// Bits stored for the key and the value of one token. Bits, because indices of nine bits are usual.
    fn bits_per_token(&self, head: HeadShape) -> u64;

    /// Bytes stored whatever the number of tokens: codebooks, residual windows. They may grow in steps with `tokens`,
    /// but never shrink.
    fn fixed_bytes(&self, head: HeadShape, tokens: u64) -> u64;

    /// Bytes that the host's memory holds of `tokens` tokens beside that.
    fn host_bytes(&self, _head: HeadShape, _tokens: u64) -> u64 {
        0
    }

    /// The cost of storing the first `tokens` tokens.
    fn prefill(&self, head: HeadShape, tokens: u64) -> Work;

    /// The cost of attending to `tokens` tokens once.
    fn attend(&self, head: HeadShape, tokens: u64) -> Work;

    /// The part of [`Self::attend`]'s near cost that chooses which tokens are fetched: it comes before the fetch, the rest
    /// after it. Nothing for a codec that fetches none.
    fn choose(&self, _head: HeadShape, _tokens: u64) -> CodecCost {
        CodecCost::default()
    }

    /// The cost of storing one more token, the last of `tokens`.
    fn append(&self, head: HeadShape, tokens: u64) -> Work;

    /// The cost of one decode step that attends to `tokens` tokens, the new one included, and appends the new one's
    /// key and value.
    fn decode(&self, head: HeadShape, tokens: u64) -> Work {
        self.attend(head, tokens).plus(self.append(head, tokens))
    }

    /// Bytes of `tokens` tokens, packed without a memory's padding; rounded up to a byte, saturating.
    fn stored_bytes(&self, head: HeadShape, tokens: u64) -> u64 {
        let bits = u128::from(self.bits_per_token(head)) * u128::from(tokens);
        let bytes = u64::try_from(bits.div_ceil(8)).unwrap_or(u64::MAX);
        bytes.saturating_add(self.fixed_bytes(head, tokens))
    }

    /// Bytes of `tokens` tokens in whole words and pages; [`Self::stored_bytes`] where the codec has no layout of its
    /// own, rounded up to pages.
    fn padded_bytes(&self, head: HeadShape, tokens: u64, pages: packing::Pages) -> u64 {
        pages.whole(self.stored_bytes(head, tokens))
    }

    /// For product quantisation, its parameters; for devices that work on its codes.
    fn as_pq(&self) -> Option<&Pq> {
        None
    }

    /// What the codec has to know about a prompt.
    fn needs(&self) -> Needs {
        Needs::Nothing
    }

    /// The codec that does to heads of `to` elements what this one does to heads of `from`: sub-vectors of as many
    /// channels. `None` where it is the same codec.
    ///
    /// # Errors
    /// [`CodecError::Shape`] where there is no such codec.
    fn for_head_dim(&self, _from: u32, _to: u32) -> Result<Option<Box<dyn Codec>>, CodecError> {
        Ok(None)
    }

    /// Whether the parameters go with so many tokens of so many elements.
    ///
    /// # Errors
    /// [`CodecError::Shape`].
    fn check(&self, _tokens: usize, _head_dim: usize) -> Result<(), CodecError> {
        Ok(())
    }

    /// Stores the keys and values of a prompt. A prompt may be shorter than [`Self::check`] wants: codebooks are then
    /// smaller.
    ///
    /// # Errors
    /// [`CodecError::Shape`] where the head cannot be stored at all, [`CodecError::Missing`] where the codec needs to know how important the tokens are and nobody says.
    fn encode(&self, prefill: &Prefill<'_>) -> Result<Box<dyn EncodedHead>, CodecError>;
}

/// Reads a codec's parameters.
type Parse = fn(&mut Parameters<'_>) -> Result<Box<dyn Codec>, CodecError>;

/// Every codec with its default parameters, in the order in which they are listed, and how its text is read. Adding a
/// codec is adding its file and a line here.
static CODECS: [(&dyn Codec, Parse); 13] = [
    (&Fp16, Fp16::parse),
    (&Int::DEFAULT, Int::parse),
    (&Kivi::DEFAULT, Kivi::parse),
    (&WkvquantLike::DEFAULT, WkvquantLike::parse),
    (&SkvqLike::DEFAULT, SkvqLike::parse),
    (&TurboquantLike::DEFAULT, TurboquantLike::parse),
    (&KvquantLike::DEFAULT, KvquantLike::parse),
    (&Pq::DEFAULT, Pq::parse),
    (&PqCache::DEFAULT, PqCache::parse),
    (&SnapKv::DEFAULT, SnapKv::parse),
    (&StreamingLlm::DEFAULT, StreamingLlm::parse),
    (&H2o::DEFAULT, H2o::parse),
    (&Quest::DEFAULT, Quest::parse),
];

/// Every codec with its default parameters, in the order in which they are listed.
pub fn codecs() -> impl ExactSizeIterator<Item = &'static dyn Codec> {
    CODECS.iter().map(|(codec, _)| *codec)
}

/// The codec of that name with its default parameters.
pub fn codec(name: &str) -> Option<&'static dyn Codec> {
    codecs().find(|codec| codec.name() == name)
}

/// The codec that a text such as `pq:m=32,k=256,iterations=4` describes; what is not said is as in [`codec`].
///
/// # Errors
/// [`CodecError::Text`] with the place in the text.
pub fn parse(text: &str) -> Result<Box<dyn Codec>, CodecError> {
    let (name, _) = text.split_once(':').unwrap_or((text, ""));
    let known: Vec<&str> = codecs().map(Codec::name).collect();
    let Some((_, parse)) = CODECS.iter().find(|(codec, _)| codec.name() == name.trim()) else {
        return Err(CodecError::unknown(text, name.trim(), &known));
    };
    let mut parameters = Parameters::split(text)?;
    let codec = parse(&mut parameters)?;
    parameters.finish()?;
    Ok(codec)
}

/// A codec as [`parse`] takes it.
pub fn text(codec: &dyn Codec) -> String {
    match codec.parameters() {
        parameters if parameters.is_empty() => codec.name().to_owned(),
        parameters => format!("{}:{parameters}", codec.name()),
    }
}
