//! Does the graph of a chunk of prompts hold the operators and counts of the prompts that it is cut from?

use proptest::prelude::*;
use workloads::{Chunk, DecodeStep, Lengths, ModelConfig, Operator, OperatorGraph, OperatorKind, Piece};

use crate::{MODELS, TINY, TINY_OPT, model, read};

fn find(graph: &OperatorGraph, kind: OperatorKind) -> Option<Operator> {
    graph.operators().find(|operator| operator.kind == kind && operator.layer.is_none_or(|layer| layer == 0)).copied()
}

fn graphs(model: &ModelConfig, prompts: &Lengths, tokens: u64) -> Vec<OperatorGraph> {
    Chunk::cut(prompts, tokens).iter().map(|chunk| OperatorGraph::prefill(model, chunk, 2)).collect()
}

/// Floating-point operations of the matrix products and the attention of the first layer.
fn layer_flops(graphs: &[OperatorGraph]) -> u64 {
    use OperatorKind::{Attention, Down, GateUp, OutputProjection, Qkv};
    let counts =
        |o: &&Operator| o.layer == Some(0) && [Qkv, Attention, OutputProjection, GateUp, Down].contains(&o.kind);
    graphs.iter().flat_map(OperatorGraph::operators).filter(counts).map(|operator| operator.flops).sum()
}

#[test]
fn a_layer_of_mistral_takes_as_long_as_first_order_arithmetic_says() {
    #[track_caller]
    fn check(tokens: u64, milliseconds: [&str; 2]) {
        let graphs = graphs(&model("mistral-7b"), &Lengths::equal(1, tokens), tokens);
        let at = |part: f64| format!("{:.1}", layer_flops(&graphs) as f64 / (989.4e12 * part) * 1e3);
        assert_eq!([at(0.6), at(0.8)], milliseconds, "{tokens} tokens");
    }
    // H100 SXM, 989.4 TFLOP/s, at 60 and 80 % of peak: 2 FLOPs a weight and token, and 2 q n^2 for causal attention.
    check(4096, ["3.2", "2.4"]);
    check(8192, ["6.9", "5.2"]);
    check(16_384, ["15.7", "11.8"]);
    check(32_768, ["38.9", "29.2"]);
}

#[test]
fn counts_equal_the_hand_count() {
    // Width 8, q 8, k 4, FFN 12, vocabulary 10. Two prompts of 5 and 3 tokens; the second chunk has token 5 of the
    // first (1 x 5 pairs) and all of the second (1 + 2 + 3 pairs), and ends both.
    let graphs = graphs(&read(TINY), &[5, 3].into_iter().collect(), 4);
    let second = &graphs[1];
    let of = |kind| find(second, kind).expect("it is there");
    assert_eq!(of(OperatorKind::Qkv).flops, 2 * 4 * 8 * 16);
    assert_eq!(of(OperatorKind::Attention).flops, 4 * 8 * 11);
    assert_eq!(of(OperatorKind::Attention).kv_read_bytes, (5 + 3) * 2 * 4 * 2);
    assert_eq!(of(OperatorKind::Rope).kv_write_bytes, 4 * 2 * 4 * 2);
    assert_eq!(of(OperatorKind::GateUp).activation_bytes, 4 * (8 + 24) * 2);
    assert_eq!(of(OperatorKind::LmHead).flops, 2 * 2 * 8 * 10);
    assert_eq!(of(OperatorKind::FinalNorm).activation_bytes, 2 * 3 * 8 * 2);
    assert_eq!(of(OperatorKind::Sample).activation_bytes, 2 * (10 * 2 + 4));
    // The first one ends no sequence.
    assert_eq!(find(&graphs[0], OperatorKind::LmHead), None);
    assert_eq!(find(&graphs[0], OperatorKind::Attention).map(|o| o.flops), Some(4 * 8 * 10));
}

#[test]
fn one_token_at_a_time_is_the_decode_step() {
    for text in [TINY, TINY_OPT] {
        let model = read(text);
        let chunk = Chunk { pieces: vec![Piece { sequence: 0, from: 4, to: 5 }], ends: 1 };
        let step = DecodeStep { batch: 1, context: 5, dtype_bytes: 2 };
        assert_eq!(OperatorGraph::prefill(&model, &chunk, 2).totals(), OperatorGraph::decode(&model, step).totals());
    }
}

#[test]
fn the_graphs_of_all_models_can_be_run() {
    for (name, text) in MODELS {
        let prompts = [700, 300].into_iter().collect();
        for graph in graphs(&read(text), &prompts, 256) {
            graph.validate().unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
    // A prompt that leaves its last layer unused where it ends is not one.
    let chunk = Chunk { pieces: vec![Piece { sequence: 0, from: 0, to: 4 }], ends: 0 };
    let open = OperatorGraph::prefill(&read(TINY), &chunk, 2);
    assert!(open.validate().is_ok());
    let closed = OperatorGraph::from_graph(open.step(), open.graph().clone());
    assert!(closed.validate().is_err());
}

#[test]
fn absurd_prompts_are_refused_and_not_small() {
    let prompts = Lengths::equal(1, 1 << 31);
    let graph = graphs(&model("gpt3-175b"), &prompts, u64::MAX).remove(0);
    assert!(graph.validate().is_err(), "{:?}", graph.totals());
}

proptest! {
    /// However prompts are cut, nothing is lost and nothing is done twice but what each chunk has to read again.
    #[test]
    fn chunks_do_what_the_whole_does(
        list in prop::collection::vec(1_u64..40, 1..6), tokens in 1_u64..50, opt in any::<bool>(),
    ) {
        let model = read(if opt { TINY_OPT } else { TINY });
        let prompts: Lengths = list.iter().copied().collect();
        let cut = graphs(&model, &prompts, tokens);
        let whole = graphs(&model, &prompts, prompts.total());
        prop_assert_eq!(whole.len(), 1);
        prop_assert_eq!(cut.len() as u64, prompts.total().div_ceil(tokens));
        let sum = |graphs: &[OperatorGraph], of: fn(&Operator) -> u64| -> u64 {
            graphs.iter().flat_map(OperatorGraph::operators).map(of).sum()
        };
        prop_assert_eq!(sum(&cut, |o| o.flops), sum(&whole, |o| o.flops));
        prop_assert_eq!(sum(&cut, |o| o.kv_write_bytes), sum(&whole, |o| o.kv_write_bytes));
        prop_assert_eq!(sum(&cut, |o| o.activation_bytes), sum(&whole, |o| o.activation_bytes));
        prop_assert!(sum(&cut, |o| o.kv_read_bytes) >= sum(&whole, |o| o.kv_read_bytes));
        let layers = |o: &Operator| if o.layer.is_some() { o.weight_bytes } else { 0 };
        prop_assert_eq!(sum(&cut, layers), cut.len() as u64 * sum(&whole, layers));
        // The LM head is for the last token of each sequence.
        let head = 2 * list.len() as u64 * model.hidden * model.vocab;
        prop_assert_eq!(sum(&cut, |o| if o.kind == OperatorKind::LmHead { o.flops } else { 0 }), head);
        for graph in &cut {
            prop_assert!(graph.validate().is_ok());
        }
    }
}
