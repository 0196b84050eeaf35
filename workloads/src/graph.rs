//! The operator graph of one decode step: what a GPU launches for one new token per sequence, kernel by kernel.
//!
//! ```text
//! Embed -+-> InputNorm -> Qkv -> Rope -> Attention -> OutputProjection -+
//!        |                                                              v
//!        +-------------------------- residual --------------------> PostNorm -+-> GateUp -> Activation -> Down -+
//!                                                                             |                                 v
//!                                                                             +----------- residual ------> next norm
//!
//! next norm: the next layer's InputNorm, or after the last layer FinalNorm -> LmHead -> Sample
//! ```
//!
//! The add of the residual is fused into the norm behind it, which writes the sum (the next residual) and the
//! normalised sum; the first norm has nothing to add and the final norm keeps no sum.
//!
//! Formulas, for batch `B`, context `n` (of sequences of different lengths `n B` is the sum of their contexts), element size `e` and the model's widths `h` (hidden), `i` (intermediate),
//! `q = heads · head_dim`, `k = kv_heads · head_dim`, `V` (vocabulary). A linear layer from `in` to `out` is
//! `2 · B · in · out` FLOPs (a bias is the sum's first term, not an operation more); its weights are read once.
//!
//! | operator | FLOPs | activations read + written, in units of `B · e` |
//! |---|---|---|
//! | Embed | 0, or `B h` where positions are learned | `h`, and 4 bytes a sequence for its token |
//! | InputNorm, PostNorm, FinalNorm | RMSNorm `4 B h`, LayerNorm `7 B h`; `B h` for the add | `2h + 2h`; first `h + h`; final `2h + h` |
//! | Qkv | `2 B h (q + 2k)` | `h + (q + 2k)` |
//! | Rope | `3 B (q + k)`: four products and two sums a pair | `(q + 2k) + q`; K and V are the KV write |
//! | Append | 0 | `2k`; K and V are the KV write |
//! | Attention | `4 q n B` (scores and weighted sum) | `q + q`; KV read `2 k e n B` |
//! | OutputProjection | `2 B q h` | `q + h` |
//! | GateUp / Up | `2 B h 2i` / `2 B h i` | `h + 2i` / `h + i` |
//! | Activation | per element SiLU 4, ReLU 1, GELU 9; and 1 for the gate's product | `2i + i` / `i + i` |
//! | Down | `2 B i h` | `i + h` |
//! | LmHead | `2 B h V` | `h + V` |
//! | Sample (greedy) | `B V` comparisons | `V`, and 4 bytes a sequence for its token |
//!
//! Softmax (about 5 operations a score against `4 · head_dim`) is left out, as is usual for `4 q n B`.
//! Counts that do not fit 64 bits saturate, and [`OperatorGraph::validate`] refuses them.

mod prefill;

use petgraph::Direction;
use petgraph::algo::toposort;
use petgraph::graph::DiGraph;
pub use petgraph::graph::NodeIndex;
use petgraph::visit::EdgeRef;
use serde::Serialize;

pub use self::prefill::{Chunk, Piece};
use crate::lengths::Lengths;
use crate::model::{ModelConfig, Norm, Positions};
use crate::product;

/// Bytes of a token's number, as Embed reads and Sample writes it.
const TOKEN_BYTES: u64 = 4;

/// One decode step: a new token for each sequence of a batch. All fields are configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct DecodeStep {
    /// Sequences.
    pub batch: u32,
    /// Tokens that attention reads in each sequence, the new one included. For a model with a sliding window pass
    /// [`ModelConfig::attended_tokens`] of the cached tokens. Of sequences of different lengths (see
    /// [`OperatorGraph::decode_lengths`]) those of the longest.
    pub context: u64,
    /// Bytes of an element of weights, activations, keys and values.
    pub dtype_bytes: u32,
}

impl DecodeStep {
    /// The step of sequences of these lengths; where one has no tokens, the context is zero, as there is no such step.
    fn of(lengths: &Lengths, dtype_bytes: u32) -> Self {
        let context = if lengths.shortest() == 0 { 0 } else { lengths.longest() };
        Self { batch: lengths.sequences(), context, dtype_bytes }
    }

    /// Bytes of `elements` for each sequence of the batch.
    fn row_bytes(self, elements: u64) -> u64 {
        product(&[u64::from(self.batch), elements, u64::from(self.dtype_bytes)])
    }

    /// Bytes of `parameters` weights.
    fn weight_bytes(self, parameters: u64) -> u64 {
        product(&[parameters, u64::from(self.dtype_bytes)])
    }
}

/// What a kernel does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorKind {
    /// Look-up of the token's embedding (and position).
    Embed,
    /// Norm in front of attention, with the add of the residual.
    InputNorm,
    /// Q, K and V projections, one matrix product.
    Qkv,
    /// Rotary embedding of Q and K, and the write of the new K and V to the cache.
    Rope,
    /// The write of the new K and V to the cache, in models without rotary positions.
    Append,
    /// Attention of the new token over the cached ones.
    Attention,
    /// Attention's output projection.
    OutputProjection,
    /// Norm in front of the FFN, with the add of the residual.
    PostNorm,
    /// Gate and up projections, one matrix product.
    GateUp,
    /// Up projection of an FFN without a gate.
    Up,
    /// The FFN's non-linearity, and the product with the up projection where there is a gate.
    Activation,
    /// Down projection.
    Down,
    /// Norm in front of the LM head, with the add of the residual.
    FinalNorm,
    /// Scores of the whole vocabulary.
    LmHead,
    /// Choice of the next token.
    Sample,
}

impl OperatorKind {
    /// Name in reports and traces.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embed => "embed",
            Self::InputNorm => "input_norm",
            Self::Qkv => "qkv",
            Self::Rope => "rope",
            Self::Append => "append",
            Self::Attention => "attention",
            Self::OutputProjection => "output_projection",
            Self::PostNorm => "post_norm",
            Self::GateUp => "gate_up",
            Self::Up => "up",
            Self::Activation => "activation",
            Self::Down => "down",
            Self::FinalNorm => "final_norm",
            Self::LmHead => "lm_head",
            Self::Sample => "sample",
        }
    }
}

/// One kernel of the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Operator {
    /// What it does.
    pub kind: OperatorKind,
    /// Its layer, from 0; `None` outside the layers.
    pub layer: Option<u32>,
    /// Floating-point operations.
    pub flops: u64,
    /// Weights read, in bytes.
    pub weight_bytes: u64,
    /// Activations read and written, in bytes.
    pub activation_bytes: u64,
    /// KV cache read, in bytes.
    pub kv_read_bytes: u64,
    /// KV cache written, in bytes.
    pub kv_write_bytes: u64,
}

impl Operator {
    /// An operator that does nothing yet.
    pub fn new(kind: OperatorKind, layer: Option<u32>) -> Self {
        Self { kind, layer, flops: 0, weight_bytes: 0, activation_bytes: 0, kv_read_bytes: 0, kv_write_bytes: 0 }
    }

    /// `layer 3 attention`, `lm_head`.
    pub fn label(&self) -> String {
        match self.layer {
            Some(layer) => format!("layer {layer} {}", self.kind.name()),
            None => self.kind.name().to_owned(),
        }
    }

    /// All bytes that the kernel reads or writes.
    pub fn total_bytes(&self) -> u64 {
        [self.weight_bytes, self.activation_bytes, self.kv_read_bytes, self.kv_write_bytes]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    fn is_saturated(&self) -> bool {
        self.flops == u64::MAX || self.total_bytes() == u64::MAX
    }
}

/// What an edge stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FlowKind {
    /// The producer's result.
    Activation,
    /// The residual stream, past the block between.
    Residual,
    /// No activation: the consumer reads what the producer wrote to the KV cache.
    Order,
}

/// An edge: the consumer needs what the producer made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Flow {
    /// What it stands for.
    pub kind: FlowKind,
    /// Activation bytes that flow, for the whole batch; zero for [`FlowKind::Order`].
    pub bytes: u64,
}

/// Sums over the operators of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Kernels.
    pub operators: u64,
    /// Floating-point operations.
    pub flops: u64,
    /// Weights read, in bytes: equals [`ModelConfig::streamed_weight_bytes`].
    pub weight_bytes: u64,
    /// Activations read and written, in bytes.
    pub activation_bytes: u64,
    /// KV cache read, in bytes.
    pub kv_read_bytes: u64,
    /// KV cache written, in bytes.
    pub kv_write_bytes: u64,
}

/// Why an operator graph cannot be run. The run stops before its start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// The step has nothing to do.
    #[error("the decode step has `{field}` = 0: wanted at least 1")]
    EmptyStep {
        /// Field of [`DecodeStep`].
        field: &'static str,
    },
    /// The graph has no operators.
    #[error("the operator graph has no operators")]
    NoOperators,
    /// An operator depends on itself.
    #[error("{operator} depends on its own result")]
    Cycle {
        /// Label of an operator on the cycle.
        operator: String,
    },
    /// A count does not fit 64 bits.
    #[error("{operator}: its operations or bytes do not fit 64 bits; lower the batch, the context or the element size")]
    Overflow {
        /// Label of the operator, or `the step` for a sum.
        operator: String,
    },
    /// An operator stands apart from the others.
    #[error("{operator} has no {missing}")]
    Disconnected {
        /// Label of the operator.
        operator: String,
        /// `producer` or `consumer`.
        missing: &'static str,
    },
    /// An edge carries no bytes, or an order edge carries some.
    #[error("{from} to {to}: an edge of kind {kind:?} carries {bytes} bytes")]
    BadFlow {
        /// Label of the producer.
        from: String,
        /// Label of the consumer.
        to: String,
        /// Kind of the edge.
        kind: FlowKind,
        /// Its bytes.
        bytes: u64,
    },
    /// An operator touches fewer activation bytes than flow into it.
    #[error("{operator} is given {given} bytes of activations and touches {touched}")]
    LostActivations {
        /// Label of the operator.
        operator: String,
        /// Sum over its incoming edges, in bytes.
        given: u64,
        /// Its `activation_bytes`.
        touched: u64,
    },
}

/// The kernels of one decode step and what flows between them. Acyclic; no two edges join the same pair.
#[derive(Clone, Debug)]
pub struct OperatorGraph {
    step: DecodeStep,
    graph: DiGraph<Operator, Flow>,
    /// Whether the last layer's result may go unused: in a chunk of a prompt that ends no sequence.
    open: bool,
}

impl OperatorGraph {
    /// The graph of one decode step of `model`, layer by layer. Node indices follow the order of launch.
    pub fn decode(model: &ModelConfig, step: DecodeStep) -> Self {
        let tokens = product(&[u64::from(step.batch), step.context]);
        Builder::decode(model, step, tokens).build()
    }

    /// The same for sequences that read these numbers of tokens, the new one of each included.
    pub fn decode_lengths(model: &ModelConfig, lengths: &Lengths, dtype_bytes: u32) -> Self {
        let step = DecodeStep::of(lengths, dtype_bytes);
        Builder::decode(model, step, lengths.total()).build()
    }

    /// A graph built elsewhere. Call [`validate`](Self::validate) before using it.
    pub fn from_graph(step: DecodeStep, graph: DiGraph<Operator, Flow>) -> Self {
        Self { step, graph, open: false }
    }

    /// The step that it was built for.
    pub fn step(&self) -> DecodeStep {
        self.step
    }

    /// The graph itself.
    pub fn graph(&self) -> &DiGraph<Operator, Flow> {
        &self.graph
    }

    /// The operators in the order of their indices.
    pub fn operators(&self) -> impl Iterator<Item = &Operator> {
        self.graph.node_weights()
    }

    /// The operator at an index; `None` for an index of another graph.
    pub fn operator(&self, node: NodeIndex) -> Option<&Operator> {
        self.graph.node_weight(node)
    }

    /// An order in which every operator comes after its producers; the same on every run.
    pub fn topological_order(&self) -> Result<Vec<NodeIndex>, GraphError> {
        toposort(&self.graph, None).map_err(|cycle| GraphError::Cycle { operator: self.label(cycle.node_id()) })
    }

    /// Producers of `node`, with what each passes on; in the order in which they were joined.
    pub fn predecessors(&self, node: NodeIndex) -> impl Iterator<Item = (NodeIndex, Flow)> {
        let mut edges: Vec<_> = self.graph.edges_directed(node, Direction::Incoming).collect();
        edges.sort_by_key(EdgeRef::id);
        edges.into_iter().map(|edge| (edge.source(), *edge.weight()))
    }

    /// Consumers of `node`, with what each is given; in the order in which they were joined.
    pub fn successors(&self, node: NodeIndex) -> impl Iterator<Item = (NodeIndex, Flow)> {
        let mut edges: Vec<_> = self.graph.edges_directed(node, Direction::Outgoing).collect();
        edges.sort_by_key(EdgeRef::id);
        edges.into_iter().map(|edge| (edge.target(), *edge.weight()))
    }

    /// Sums over all operators.
    pub fn totals(&self) -> Totals {
        self.operators().fold(Totals::default(), |sum, operator| Totals {
            operators: sum.operators + 1,
            flops: sum.flops.saturating_add(operator.flops),
            weight_bytes: sum.weight_bytes.saturating_add(operator.weight_bytes),
            activation_bytes: sum.activation_bytes.saturating_add(operator.activation_bytes),
            kv_read_bytes: sum.kv_read_bytes.saturating_add(operator.kv_read_bytes),
            kv_write_bytes: sum.kv_write_bytes.saturating_add(operator.kv_write_bytes),
        })
    }

    /// Checks that the graph can be run: a step with work in it, no cycle, every count within 64 bits, only Embed
    /// without a producer and only Sample without a consumer, and no activation lost.
    pub fn validate(&self) -> Result<(), GraphError> {
        let DecodeStep { batch, context, dtype_bytes } = self.step;
        for (field, empty) in [("batch", batch == 0), ("context", context == 0), ("dtype_bytes", dtype_bytes == 0)] {
            if empty {
                return Err(GraphError::EmptyStep { field });
            }
        }
        if self.graph.node_count() == 0 {
            return Err(GraphError::NoOperators);
        }
        self.topological_order()?;
        for node in self.graph.node_indices() {
            self.validate_operator(node)?;
        }
        for edge in self.graph.edge_references() {
            let Flow { kind, bytes } = *edge.weight();
            if (kind == FlowKind::Order) != (bytes == 0) {
                let (from, to) = (self.label(edge.source()), self.label(edge.target()));
                return Err(GraphError::BadFlow { from, to, kind, bytes });
            }
        }
        let sum = self.totals();
        if [sum.flops, sum.weight_bytes, sum.activation_bytes, sum.kv_read_bytes, sum.kv_write_bytes]
            .contains(&u64::MAX)
        {
            return Err(GraphError::Overflow { operator: "the step".to_owned() });
        }
        Ok(())
    }

    fn validate_operator(&self, node: NodeIndex) -> Result<(), GraphError> {
        let Some(operator) = self.operator(node) else {
            return Ok(());
        };
        if operator.is_saturated() {
            return Err(GraphError::Overflow { operator: operator.label() });
        }
        let mut given = 0_u64;
        let mut producers = 0;
        for (_, flow) in self.predecessors(node) {
            producers += 1;
            given = given.saturating_add(flow.bytes);
        }
        if producers == 0 && operator.kind != OperatorKind::Embed {
            return Err(GraphError::Disconnected { operator: operator.label(), missing: "producer" });
        }
        let last = operator.kind == OperatorKind::Sample
            || self.open && matches!(operator.kind, OperatorKind::PostNorm | OperatorKind::Down);
        if self.successors(node).next().is_none() && !last {
            return Err(GraphError::Disconnected { operator: operator.label(), missing: "consumer" });
        }
        if given > operator.activation_bytes {
            let touched = operator.activation_bytes;
            return Err(GraphError::LostActivations { operator: operator.label(), given, touched });
        }
        Ok(())
    }

    fn label(&self, node: NodeIndex) -> String {
        self.operator(node).map_or_else(|| format!("operator {}", node.index()), Operator::label)
    }
}

/// What one layer's attention needs and gives, for placing it on another device. All bytes are for the whole batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct AttentionShape {
    /// Sequences.
    pub batch: u32,
    /// Key and value heads.
    pub kv_heads: u32,
    /// Query heads that read each of them.
    pub query_heads_per_kv_head: u32,
    /// Elements of a head.
    pub head_dim: u32,
    /// Tokens read in each sequence, or in the longest, the new one included.
    pub context: u64,
    /// Tokens read in all sequences together.
    pub tokens: u64,
    /// Q sent to the device: `batch · heads · head_dim · dtype_bytes`.
    pub q_bytes: u64,
    /// New K and V sent to the device: `batch · 2 · kv_heads · head_dim · dtype_bytes`.
    pub kv_append_bytes: u64,
    /// The result sent back: as many bytes as Q.
    pub output_bytes: u64,
}

impl ModelConfig {
    /// The attention of one layer in one decode step; the same in every layer.
    pub fn attention_shape(&self, step: DecodeStep) -> AttentionShape {
        self.shape(step, product(&[u64::from(step.batch), step.context]))
    }

    /// The same for sequences that read these numbers of tokens.
    pub fn attention_of(&self, lengths: &Lengths, dtype_bytes: u32) -> AttentionShape {
        self.shape(DecodeStep::of(lengths, dtype_bytes), lengths.total())
    }

    fn shape(&self, step: DecodeStep, tokens: u64) -> AttentionShape {
        let q_bytes = step.row_bytes(self.query_elements());
        AttentionShape {
            batch: step.batch,
            kv_heads: self.kv_heads,
            query_heads_per_kv_head: self.query_heads_per_kv_head(),
            head_dim: self.head_dim,
            context: step.context,
            tokens,
            q_bytes,
            kv_append_bytes: step.row_bytes(2 * self.key_elements()),
            output_bytes: q_bytes,
        }
    }
}

/// A tensor of the step: who makes it, and how many elements it has for each sequence.
#[derive(Clone, Copy)]
struct Tensor {
    from: NodeIndex,
    elements: u64,
}

struct Builder<'a> {
    model: &'a ModelConfig,
    step: DecodeStep,
    /// Pairs of a query token and a token that it attends to.
    pairs: u64,
    /// Tokens whose keys and values attention reads.
    read: u64,
    /// Tokens that the LM head is for: all of the step's, but of a chunk of a prompt those that end a sequence.
    sampled: u32,
    graph: DiGraph<Operator, Flow>,
}

impl<'a> Builder<'a> {
    /// A step whose attention reads `tokens` tokens in all sequences together.
    fn decode(model: &'a ModelConfig, step: DecodeStep, tokens: u64) -> Self {
        Self { model, step, pairs: tokens, read: tokens, sampled: step.batch, graph: DiGraph::new() }
    }
}

impl Builder<'_> {
    fn build(mut self) -> OperatorGraph {
        // `block` is the last block's output; `residual` the stream that it is still to be added to.
        let mut block = self.embed();
        let mut residual = None;
        for layer in 0..self.model.layers {
            let embedded = block;
            let normed = self.norm(OperatorKind::InputNorm, Some(layer), block, residual);
            // The first norm leaves the stream as it found it: it is still Embed's result.
            let stream = if residual.is_some() { normed } else { embedded };
            block = self.attention_block(layer, normed);
            let normed = self.norm(OperatorKind::PostNorm, Some(layer), block, Some(stream));
            residual = Some(normed);
            block = self.ffn_block(layer, normed);
        }
        let step = self.step;
        if self.sampled == 0 && step.batch > 0 {
            return OperatorGraph { step, graph: self.graph, open: true };
        }
        self.step.batch = self.sampled;
        let normed = self.norm(OperatorKind::FinalNorm, None, block, residual);
        let vocab = self.model.vocab;
        let logits = self.linear(OperatorKind::LmHead, None, normed, vocab, self.model.head_parameters());
        self.sample(logits);
        OperatorGraph { step, graph: self.graph, open: false }
    }

    fn embed(&mut self) -> Tensor {
        let (step, hidden) = (self.step, self.model.hidden);
        let mut operator = Operator::new(OperatorKind::Embed, None);
        operator.weight_bytes = step.row_bytes(product(&[self.model.looked_up_rows(), hidden]));
        operator.activation_bytes = step.row_bytes(hidden).saturating_add(self.token_bytes());
        if matches!(self.model.positions, Positions::Learned { .. }) {
            operator.flops = product(&[u64::from(step.batch), hidden]);
        }
        Tensor { from: self.graph.add_node(operator), elements: hidden }
    }

    fn attention_block(&mut self, layer: u32, input: Tensor) -> Tensor {
        let (model, step) = (self.model, self.step);
        let (q, k) = (model.query_elements(), model.key_elements());
        let batch = u64::from(step.batch);
        let qkv = self.linear(OperatorKind::Qkv, Some(layer), input, q + 2 * k, model.qkv_parameters());

        let rotary = model.positions == Positions::Rotary;
        let mut append = Operator::new(if rotary { OperatorKind::Rope } else { OperatorKind::Append }, Some(layer));
        append.kv_write_bytes = product(&[batch, model.kv_bytes_per_token_layer(step.dtype_bytes)]);
        // Without rotary Q stays where Qkv left it, and attention takes it from there.
        let passed = if rotary { q + 2 * k } else { 2 * k };
        append.activation_bytes = step.row_bytes(if rotary { passed + q } else { passed });
        append.flops = if rotary { product(&[3, batch, q + k]) } else { 0 };
        let append = self.graph.add_node(append);
        self.join(Tensor { elements: passed, ..qkv }, append, FlowKind::Activation);

        let mut attention = Operator::new(OperatorKind::Attention, Some(layer));
        attention.flops = product(&[4, q, self.pairs]);
        attention.activation_bytes = step.row_bytes(2 * q);
        attention.kv_read_bytes = product(&[self.read, model.kv_bytes_per_token_layer(step.dtype_bytes)]);
        let attention = self.graph.add_node(attention);
        if rotary {
            self.join(Tensor { from: append, elements: q }, attention, FlowKind::Activation);
        } else {
            self.join(Tensor { from: qkv.from, elements: q }, attention, FlowKind::Activation);
            self.join(Tensor { from: append, elements: 0 }, attention, FlowKind::Order);
        }
        let attended = Tensor { from: attention, elements: q };
        self.linear(OperatorKind::OutputProjection, Some(layer), attended, model.hidden, model.output_parameters())
    }

    fn ffn_block(&mut self, layer: u32, input: Tensor) -> Tensor {
        let model = self.model;
        let kind = if model.gated { OperatorKind::GateUp } else { OperatorKind::Up };
        let up = self.linear(kind, Some(layer), input, model.up_elements(), model.up_parameters());

        let mut activation = Operator::new(OperatorKind::Activation, Some(layer));
        let per_element = model.activation.flops_per_element() + u64::from(model.gated);
        activation.flops = product(&[per_element, u64::from(self.step.batch), model.intermediate]);
        activation.activation_bytes = self.step.row_bytes(up.elements + model.intermediate);
        let activation = self.graph.add_node(activation);
        self.join(up, activation, FlowKind::Activation);
        let activated = Tensor { from: activation, elements: model.intermediate };
        self.linear(OperatorKind::Down, Some(layer), activated, model.hidden, model.down_parameters())
    }

    fn sample(&mut self, logits: Tensor) {
        let mut sample = Operator::new(OperatorKind::Sample, None);
        sample.flops = product(&[u64::from(self.step.batch), logits.elements]);
        sample.activation_bytes = self.step.row_bytes(logits.elements).saturating_add(self.token_bytes());
        let sample = self.graph.add_node(sample);
        self.join(logits, sample, FlowKind::Activation);
    }

    fn norm(&mut self, kind: OperatorKind, layer: Option<u32>, input: Tensor, residual: Option<Tensor>) -> Tensor {
        let hidden = self.model.hidden;
        // RMSNorm: square, sum, scale, weight. LayerNorm: sum, subtract, square, sum, scale, weight, bias.
        let per_element = match self.model.norm {
            Norm::Rms => 4,
            Norm::Layer => 7,
        };
        let reads = if residual.is_some() { 2 } else { 1 };
        let writes = if kind == OperatorKind::FinalNorm { 1 } else { reads };
        let mut norm = Operator::new(kind, layer);
        norm.flops = product(&[per_element + u64::from(residual.is_some()), u64::from(self.step.batch), hidden]);
        norm.weight_bytes = self.step.weight_bytes(self.model.norm_parameters());
        norm.activation_bytes = self.step.row_bytes((reads + writes) * hidden);
        let norm = self.graph.add_node(norm);
        self.join(input, norm, FlowKind::Activation);
        if let Some(residual) = residual {
            self.join(residual, norm, FlowKind::Residual);
        }
        Tensor { from: norm, elements: hidden }
    }

    fn linear(
        &mut self,
        kind: OperatorKind,
        layer: Option<u32>,
        input: Tensor,
        outputs: u64,
        parameters: u64,
    ) -> Tensor {
        let mut linear = Operator::new(kind, layer);
        linear.flops = product(&[2, u64::from(self.step.batch), input.elements, outputs]);
        linear.weight_bytes = self.step.weight_bytes(parameters);
        linear.activation_bytes = self.step.row_bytes(input.elements + outputs);
        let linear = self.graph.add_node(linear);
        self.join(input, linear, FlowKind::Activation);
        Tensor { from: linear, elements: outputs }
    }

    fn join(&mut self, tensor: Tensor, to: NodeIndex, kind: FlowKind) {
        let bytes = self.step.row_bytes(tensor.elements);
        self.graph.add_edge(tensor.from, to, Flow { kind, bytes });
    }

    fn token_bytes(&self) -> u64 {
        product(&[u64::from(self.step.batch), TOKEN_BYTES])
    }
}
