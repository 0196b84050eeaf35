//! Is a graph that cannot be run refused, with the operator's name?

use crate::{TINY, read};
use workloads::{DecodeStep, Flow, FlowKind, NodeIndex, Operator, OperatorGraph, OperatorKind};

const STEP: DecodeStep = DecodeStep { batch: 3, context: 7, dtype_bytes: 2 };

#[track_caller]
fn check(graph: &OperatorGraph, expected: &str) {
    assert_eq!(graph.validate().expect_err("a bad graph").to_string(), expected);
}

/// The tiny model's graph with one change.
fn changed(change: impl FnOnce(&mut OperatorParts)) -> OperatorGraph {
    let mut parts = OperatorGraph::decode(&read(TINY), STEP).graph().clone();
    change(&mut parts);
    OperatorGraph::from_graph(STEP, parts)
}

type OperatorParts = petgraph::graph::DiGraph<Operator, Flow>;

#[test]
fn an_empty_step_is_refused() {
    let decode = |step| OperatorGraph::decode(&read(TINY), step);
    check(&decode(DecodeStep { batch: 0, ..STEP }), "the decode step has `batch` = 0: wanted at least 1");
    check(&decode(DecodeStep { context: 0, ..STEP }), "the decode step has `context` = 0: wanted at least 1");
    check(&decode(DecodeStep { dtype_bytes: 0, ..STEP }), "the decode step has `dtype_bytes` = 0: wanted at least 1");
    check(&OperatorGraph::from_graph(STEP, OperatorParts::new()), "the operator graph has no operators");
}

#[test]
fn counts_beyond_64_bits_are_refused_and_never_wrap() {
    let graph = OperatorGraph::decode(&read(TINY), DecodeStep { context: 1 << 62, ..STEP });
    check(
        &graph,
        "layer 0 attention: its operations or bytes do not fit 64 bits; lower the batch, the context or the element size",
    );
}

#[test]
fn sums_beyond_64_bits_are_refused() {
    // Each operator's count fits, their sum does not.
    check(
        &changed(|parts| {
            parts[NodeIndex::new(1)].flops = u64::MAX / 2;
            parts[NodeIndex::new(2)].flops = u64::MAX / 2 + 1;
        }),
        "the step: its operations or bytes do not fit 64 bits; lower the batch, the context or the element size",
    );
}

#[test]
fn a_cycle_is_refused() {
    let graph = changed(|parts| {
        parts.add_edge(NodeIndex::new(5), NodeIndex::new(2), Flow { kind: FlowKind::Activation, bytes: 1 });
    });
    let error = graph.validate().expect_err("a cycle").to_string();
    assert!(error.ends_with("depends on its own result"), "{error}");
}

#[test]
fn an_operator_that_stands_apart_is_refused() {
    check(
        &changed(|parts| {
            parts.add_node(Operator::new(OperatorKind::Rope, Some(9)));
        }),
        "layer 9 rope has no producer",
    );
    check(
        &changed(|parts| {
            let apart = parts.add_node(Operator::new(OperatorKind::Rope, Some(9)));
            parts.add_edge(NodeIndex::new(0), apart, Flow { kind: FlowKind::Order, bytes: 0 });
        }),
        "layer 9 rope has no consumer",
    );
}

#[test]
fn lost_activations_are_refused() {
    check(
        &changed(|parts| parts[NodeIndex::new(2)].activation_bytes = 47),
        "layer 0 qkv is given 48 bytes of activations and touches 47",
    );
    check(
        &changed(|parts| {
            let edge = parts.find_edge(NodeIndex::new(1), NodeIndex::new(2)).expect("joined");
            parts[edge].bytes = 0;
        }),
        "layer 0 input_norm to layer 0 qkv: an edge of kind Activation carries 0 bytes",
    );
}
