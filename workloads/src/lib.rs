//! What a language model computes and moves in one decode step, and where its KV cache fits.
//!
//! This crate knows no device and no time. It says what has to be done; the root package places it on devices.
//!
//! - [`ModelConfig`] is a model's published shape, read from its Hugging Face `config.json`: parameters, weight bytes,
//!   KV-cache bytes per token.
//! - [`OperatorGraph`] is the directed graph of kernels of one decode step, each [`Operator`] with its FLOPs and bytes,
//!   each edge with the activation that flows. [`AttentionShape`] is what crosses the border when attention runs
//!   somewhere other than on the GPU.
//! - [`kv::Codec`] is how keys and values are stored (one file per codec, listed by [`kv::codecs`]), and [`kv::place`]
//!   decides how much of the cache stays in a memory and which part spills.
//!
//! ```
//! use sim_core::Bytes;
//! use workloads::kv::{self, KvDemand, Overflow, SpillUnit};
//! use workloads::{DecodeStep, Lengths, ModelConfig, OperatorGraph, OperatorKind};
//!
//! let text = include_str!("../../models/mistral-7b-instruct-v0.2.json");
//! let model = ModelConfig::from_json(text)?;
//! assert_eq!(model.parameters(), 7_241_732_096);
//! assert_eq!(model.kv_bytes_per_token(2), 128 * 1024);
//!
//! // One step of 16 sequences at 32 768 tokens reads 64 GiB of keys and values.
//! let step = DecodeStep { batch: 16, context: 32_768, dtype_bytes: 2 };
//! let graph = OperatorGraph::decode(&model, step);
//! graph.validate()?;
//! assert_eq!(graph.totals().kv_read_bytes, 64 << 30);
//! assert_eq!(graph.operators().filter(|o| o.kind == OperatorKind::Attention).count(), 32);
//!
//! // In a memory of 48 GiB the newest four sequences spill.
//! let codec = kv::codec("fp16").ok_or("fp16 is always there")?;
//! let demand = KvDemand::new(&model, codec, &Lengths::equal(16, 32_768));
//! let placement = kv::place(demand, Bytes(48 << 30), Overflow::Host, SpillUnit::Sequences)?;
//! assert_eq!(placement.spilled_sequences(0), 12..16);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod graph;
pub mod kv;
pub mod lengths;
pub mod model;

pub use graph::{
    AttentionShape, Chunk, DecodeStep, Flow, FlowKind, GraphError, NodeIndex, Operator, OperatorGraph, OperatorKind,
    Piece, Totals,
};
pub use lengths::{Group, Lengths};
pub use model::{ActivationFunction, Biases, Family, ModelConfig, ModelError, Norm, Positions};

/// The product, or `u64::MAX` where it does not fit: [`OperatorGraph::validate`] refuses that value, so that an
/// absurd step is an error and never a small number.
pub(crate) fn product(factors: &[u64]) -> u64 {
    factors.iter().fold(1, |product: u64, &factor| product.saturating_mul(factor))
}
