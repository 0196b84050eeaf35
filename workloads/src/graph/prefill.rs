//! The operator graph of a chunk of prompts: the kernels of the decode step for many tokens at once.
//!
//! The formulas are those of the decode step (see the table of [the module above](super)) with `B` the tokens of the
//! chunk, and three differences:
//!
//! - Attention is causal. Token `i` of a sequence (from 1) attends to `i` tokens, so tokens `from + 1 ..= to` make
//!   `(to (to + 1) - from (from + 1)) / 2` pairs of a query and a key, `4 q` FLOPs each. A blocked kernel
//!   (FlashAttention) skips what lies above the diagonal; the half blocks on it are not counted.
//! - Attention reads the keys and values of a sequence once for each of its chunks: the prefix and the chunk's own.
//!   Assumption: blocks of queries after the first find them in the GPU's second-level cache.
//! - The final norm, LM head and sample are for the last token of each sequence that ends in the chunk. A chunk that
//!   ends none has none of them.
//!
//! K and V that the chunk writes are the KV write, as in the decode step.

use petgraph::graph::DiGraph;
use serde::Serialize;

use super::{Builder, DecodeStep, OperatorGraph};
use crate::lengths::Lengths;
use crate::model::ModelConfig;

/// Tokens `from..to` of one sequence's prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Piece {
    /// The sequence's place among those that are cut together.
    pub sequence: u32,
    /// Tokens of the sequence in earlier chunks.
    pub from: u64,
    /// The same with this chunk's.
    pub to: u64,
}

impl Piece {
    /// How many tokens.
    pub fn tokens(&self) -> u64 {
        self.to - self.from
    }

    /// Pairs of a token of the piece and a token that it attends to, itself included; saturating.
    pub fn pairs(&self) -> u64 {
        let up_to = |tokens: u64| u128::from(tokens) * (u128::from(tokens) + 1) / 2;
        u64::try_from(up_to(self.to) - up_to(self.from)).unwrap_or(u64::MAX)
    }
}

/// Tokens of prompts that go through the kernels together.
///
/// ```
/// use workloads::{Chunk, Lengths};
///
/// // Two prompts of 5 and 3 tokens, four at a time.
/// let chunks = Chunk::cut(&[5, 3].into_iter().collect(), 4);
/// let pieces: Vec<Vec<(u32, u64, u64)>> =
///     chunks.iter().map(|chunk| chunk.pieces.iter().map(|p| (p.sequence, p.from, p.to)).collect()).collect();
/// assert_eq!(pieces, [vec![(0, 0, 4)], vec![(0, 4, 5), (1, 0, 3)]]);
/// assert_eq!(chunks.iter().map(|chunk| chunk.ends).collect::<Vec<_>>(), [0, 2]);
/// // 1 + 2 + 3 + 4, and 5 with 1 + 2 + 3.
/// assert_eq!(chunks.iter().map(|chunk| chunk.pairs()).collect::<Vec<_>>(), [10, 11]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Chunk {
    /// Parts of sequences, in the order of the sequences.
    pub pieces: Vec<Piece>,
    /// How many of them end their sequence.
    pub ends: u32,
}

impl Chunk {
    /// Cuts prompts into chunks of `tokens` (at least 1) tokens; only the last may be shorter.
    pub fn cut(prompts: &Lengths, tokens: u64) -> Vec<Self> {
        let tokens = tokens.max(1);
        let mut chunks = Vec::new();
        let (mut chunk, mut free) = (Self::default(), tokens);
        for (sequence, length) in (0..).zip(prompts.iter()) {
            let mut from = 0;
            while from < length {
                let to = length.min(from + free);
                chunk.pieces.push(Piece { sequence, from, to });
                chunk.ends += u32::from(to == length);
                free -= to - from;
                from = to;
                if free == 0 {
                    chunks.push(std::mem::take(&mut chunk));
                    free = tokens;
                }
            }
        }
        if !chunk.pieces.is_empty() {
            chunks.push(chunk);
        }
        chunks
    }

    /// Tokens of all pieces.
    pub fn tokens(&self) -> u64 {
        self.pieces.iter().map(Piece::tokens).sum()
    }

    /// [`Piece::pairs`] of all pieces, saturating.
    pub fn pairs(&self) -> u64 {
        self.pieces.iter().map(Piece::pairs).fold(0, u64::saturating_add)
    }

    /// Tokens whose keys and values attention reads: of each piece, its sequence's up to its end.
    pub fn read(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.to).fold(0, u64::saturating_add)
    }
}

impl OperatorGraph {
    /// The graph of one chunk of prompts, layer by layer. Node indices follow the order of launch.
    ///
    /// Its [`step`](Self::step) has the chunk's tokens as batch and the longest prefix as context.
    pub fn prefill(model: &ModelConfig, chunk: &Chunk, dtype_bytes: u32) -> Self {
        let step = DecodeStep {
            batch: u32::try_from(chunk.tokens()).unwrap_or(u32::MAX),
            context: chunk.pieces.iter().map(|piece| piece.to).max().unwrap_or(0),
            dtype_bytes,
        };
        let (pairs, read, sampled) = (chunk.pairs(), chunk.read(), chunk.ends);
        Builder { model, step, pairs, read, sampled, graph: DiGraph::new() }.build()
    }
}
