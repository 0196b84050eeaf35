//! Does the graph of a decode step hold the operators, counts and edges of the model?

use crate::{MODELS, TINY, TINY_OPT, model, read};
use workloads::{DecodeStep, FlowKind, Lengths, ModelConfig, NodeIndex, Operator, OperatorGraph, OperatorKind};

const STEP: DecodeStep = DecodeStep { batch: 3, context: 7, dtype_bytes: 2 };

fn graph(text: &str) -> OperatorGraph {
    OperatorGraph::decode(&read(text), STEP)
}

/// The operator of a kind in a layer.
#[track_caller]
fn find(graph: &OperatorGraph, kind: OperatorKind, layer: Option<u32>) -> NodeIndex {
    graph
        .graph()
        .node_indices()
        .find(|&node| graph.operator(node).is_some_and(|o| o.kind == kind && o.layer == layer))
        .expect("the operator is in the graph")
}

#[test]
fn operators_come_in_the_order_of_launch() {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let graph = graph(text);
        let order = graph.topological_order().expect("acyclic");
        let names: Vec<_> = order.iter().filter_map(|&n| graph.operator(n)).map(|o| o.kind.name()).collect();
        assert_eq!(names.join(" "), expected);
    }
    let gated = "input_norm qkv rope attention output_projection post_norm gate_up activation down";
    check(TINY, &format!("embed {gated} {gated} final_norm lm_head sample"));
    let plain = "input_norm qkv append attention output_projection post_norm up activation down";
    check(TINY_OPT, &format!("embed {plain} {plain} final_norm lm_head sample"));
}

#[test]
fn counts_equal_the_hand_count() {
    #[track_caller]
    fn check(text: &str, kind: OperatorKind, layer: Option<u32>, expected: [u64; 5]) {
        let graph = graph(text);
        let Operator { flops, weight_bytes, activation_bytes, kv_read_bytes, kv_write_bytes, .. } =
            *graph.operator(find(&graph, kind, layer)).expect("found");
        assert_eq!(
            [flops, weight_bytes, activation_bytes, kv_read_bytes, kv_write_bytes],
            expected,
            "{} {layer:?}",
            kind.name()
        );
    }
    use OperatorKind as K;
    // Batch 3, 2 bytes: 6 bytes an element of the batch. Hidden 8, q 8, k 4, FFN 12, vocabulary 10, context 7.
    check(TINY, K::Embed, None, [0, 6 * 8, 6 * 8 + 12, 0, 0]);
    check(TINY, K::InputNorm, Some(0), [4 * 24, 16, 6 * 16, 0, 0]);
    check(TINY, K::InputNorm, Some(1), [5 * 24, 16, 6 * 32, 0, 0]);
    check(TINY, K::Qkv, Some(0), [2 * 3 * 8 * 16, 2 * 128, 6 * 24, 0, 0]);
    check(TINY, K::Rope, Some(0), [3 * 3 * 12, 0, 6 * 24, 0, 3 * 16]);
    check(TINY, K::Attention, Some(1), [4 * 8 * 7 * 3, 0, 6 * 16, 3 * 7 * 16, 0]);
    check(TINY, K::OutputProjection, Some(0), [2 * 3 * 64, 2 * 64, 6 * 16, 0, 0]);
    check(TINY, K::PostNorm, Some(0), [5 * 24, 16, 6 * 32, 0, 0]);
    check(TINY, K::GateUp, Some(0), [2 * 3 * 8 * 24, 2 * 192, 6 * 32, 0, 0]);
    check(TINY, K::Activation, Some(0), [5 * 36, 0, 6 * 36, 0, 0]);
    check(TINY, K::Down, Some(0), [2 * 3 * 96, 2 * 96, 6 * 20, 0, 0]);
    check(TINY, K::FinalNorm, None, [5 * 24, 16, 6 * 24, 0, 0]);
    check(TINY, K::LmHead, None, [2 * 3 * 80, 160, 6 * 18, 0, 0]);
    check(TINY, K::Sample, None, [30, 0, 60 + 12, 0, 0]);
    // OPT: q = k = 8, biases in the weights, LayerNorm of two vectors, ReLU, no gate.
    check(TINY_OPT, K::Embed, None, [24, 6 * 16, 6 * 8 + 12, 0, 0]);
    check(TINY_OPT, K::InputNorm, Some(0), [7 * 24, 32, 6 * 16, 0, 0]);
    check(TINY_OPT, K::Qkv, Some(0), [2 * 3 * 8 * 24, 2 * (192 + 24), 6 * 32, 0, 0]);
    check(TINY_OPT, K::Append, Some(0), [0, 0, 6 * 16, 0, 3 * 32]);
    check(TINY_OPT, K::Up, Some(0), [2 * 3 * 96, 2 * (96 + 12), 6 * 20, 0, 0]);
    check(TINY_OPT, K::Activation, Some(0), [36, 0, 6 * 24, 0, 0]);
}

#[test]
fn the_residual_goes_round_each_block() {
    #[track_caller]
    fn check(kind: OperatorKind, layer: Option<u32>, expected: &[(&str, FlowKind, u64)]) {
        let graph = graph(TINY);
        let found: Vec<_> = graph
            .predecessors(find(&graph, kind, layer))
            .map(|(node, flow)| (graph.operator(node).expect("found").label(), flow.kind, flow.bytes))
            .collect();
        let expected: Vec<_> = expected.iter().map(|&(label, kind, bytes)| (label.to_owned(), kind, bytes)).collect();
        assert_eq!(found, expected);
    }
    use FlowKind::{Activation, Residual};
    check(OperatorKind::InputNorm, Some(0), &[("embed", Activation, 48)]);
    check(OperatorKind::PostNorm, Some(0), &[("layer 0 output_projection", Activation, 48), ("embed", Residual, 48)]);
    check(OperatorKind::InputNorm, Some(1), &[("layer 0 down", Activation, 48), ("layer 0 post_norm", Residual, 48)]);
    check(
        OperatorKind::PostNorm,
        Some(1),
        &[("layer 1 output_projection", Activation, 48), ("layer 1 input_norm", Residual, 48)],
    );
    check(OperatorKind::FinalNorm, None, &[("layer 1 down", Activation, 48), ("layer 1 post_norm", Residual, 48)]);
    check(OperatorKind::Attention, Some(0), &[("layer 0 rope", Activation, 48)]);
}

#[test]
fn without_rotary_attention_waits_for_the_append_and_takes_q_from_the_projection() {
    let graph = graph(TINY_OPT);
    let attention = find(&graph, OperatorKind::Attention, Some(0));
    let found: Vec<_> = graph
        .predecessors(attention)
        .map(|(node, flow)| (graph.operator(node).expect("found").kind.name(), flow.kind, flow.bytes))
        .collect();
    assert_eq!(found, [("qkv", FlowKind::Activation, 48), ("append", FlowKind::Order, 0)]);
    let qkv = find(&graph, OperatorKind::Qkv, Some(0));
    let consumers: Vec<_> = graph.successors(qkv).filter_map(|(n, _)| graph.operator(n)).map(|o| o.kind).collect();
    assert_eq!(consumers, [OperatorKind::Append, OperatorKind::Attention]);
}

#[test]
fn every_shipped_model_has_a_valid_graph_whose_sums_are_the_models() {
    for (name, text) in MODELS {
        let model = ModelConfig::from_json(text).expect("shipped");
        let step = DecodeStep { batch: 16, context: 2048, dtype_bytes: 2 };
        let graph = OperatorGraph::decode(&model, step);
        graph.validate().unwrap_or_else(|error| panic!("{name}: {error}"));
        let sums = graph.totals();
        assert_eq!(sums.operators, 9 * u64::from(model.layers) + 4, "{name}");
        assert_eq!(sums.weight_bytes, model.streamed_weight_bytes(16, 2), "{name}");
        assert_eq!(sums.kv_read_bytes, 16 * 2048 * model.kv_bytes_per_token(2), "{name}");
        assert_eq!(sums.kv_write_bytes, 16 * model.kv_bytes_per_token(2), "{name}");
        // Each streamed weight is one multiplication and one addition for each sequence; norms and biases are few.
        let linear = 2 * 16 * (model.streamed_weight_bytes(0, 2) / 2);
        let attention = 4 * model.query_elements() * 2048 * 16 * u64::from(model.layers);
        let ratio = sums.flops as f64 / (linear + attention) as f64;
        assert!((0.999..1.01).contains(&ratio), "{name}: {ratio}");
    }
}

#[test]
fn a_model_without_layers_is_still_a_chain() {
    // Not reachable from a file (at least one layer), but the builder must not lean on it.
    let graph = OperatorGraph::decode(&ModelConfig { layers: 0, ..read(TINY) }, STEP);
    assert_eq!(graph.validate(), Ok(()));
    assert_eq!(graph.totals().operators, 4);
}

#[test]
fn attention_elsewhere_exchanges_q_new_kv_and_output() {
    let shape = model("mistral-7b").attention_shape(DecodeStep { batch: 16, context: 32_768, dtype_bytes: 2 });
    assert_eq!((shape.batch, shape.kv_heads, shape.query_heads_per_kv_head, shape.head_dim), (16, 8, 4, 128));
    assert_eq!(shape.context, 32_768);
    assert_eq!(shape.q_bytes, 16 * 4096 * 2);
    assert_eq!(shape.kv_append_bytes, 16 * 4096);
    assert_eq!(shape.output_bytes, shape.q_bytes);
}

/// The sum over the attention operators: (FLOPs, KV bytes read).
fn attention(graph: &OperatorGraph) -> (u64, u64) {
    let operators = graph.operators().filter(|operator| operator.kind == OperatorKind::Attention);
    operators.fold((0, 0), |(flops, bytes), operator| (flops + operator.flops, bytes + operator.kv_read_bytes))
}

#[test]
fn attention_of_different_lengths_is_the_sum_of_its_sequences() {
    let model = model("mistral-7b");
    let lengths = [700, 32_000, 700, 1];
    let mixed = OperatorGraph::decode_lengths(&model, &lengths.into_iter().collect(), 2);
    assert_eq!(mixed.validate(), Ok(()));
    let alone = lengths
        .map(|context| attention(&OperatorGraph::decode(&model, DecodeStep { batch: 1, context, dtype_bytes: 2 })));
    assert_eq!(attention(&mixed), alone.into_iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1)));
    let shape = model.attention_of(&lengths.into_iter().collect(), 2);
    assert_eq!((shape.batch, shape.context, shape.tokens), (4, 32_000, 33_401));
    // Everything else does not know how long a sequence is.
    let step = DecodeStep { batch: 4, context: 32_000, dtype_bytes: 2 };
    let equal = OperatorGraph::decode(&model, step);
    for (one, other) in mixed.operators().zip(equal.operators()) {
        assert_eq!(one == other, one.kind != OperatorKind::Attention, "{}", one.label());
    }
    let same = OperatorGraph::decode_lengths(&model, &Lengths::equal(4, 32_000), 2);
    assert!(same.operators().eq(equal.operators()) && same.step() == step);
    let empty = OperatorGraph::decode_lengths(&model, &[5, 0].into_iter().collect(), 2);
    assert!(empty.validate().is_err());
}
