//! Do the codecs' costs equal the table of the specification, and does every listed codec keep the rules?

use crate::model;
use workloads::DecodeStep;
use workloads::kv::{Codec, CodecCost, HeadShape, Work, codec, codecs};

#[test]
fn fp16_costs_equal_the_table() {
    #[track_caller]
    fn check(head_dim: u32, query_heads: u32, tokens: u64, stored: u64, flops: u64) {
        let fp16 = codec("fp16").expect("listed");
        let head = HeadShape { head_dim, query_heads };
        assert_eq!(fp16.stored_bytes(head, tokens), stored);
        let write_bytes = fp16.stored_bytes(head, 1);
        let expected = CodecCost { flops, read_bytes: stored, write_bytes, ..CodecCost::default() };
        assert_eq!(fp16.decode(head, tokens), Work::near(expected));
        let written = CodecCost { write_bytes: stored, ..CodecCost::default() };
        assert_eq!(fp16.prefill(head, tokens), Work::near(written));
    }
    check(128, 4, 1, 512, 2048);
    check(128, 4, 1000, 512_000, 2_048_000);
    check(64, 3, 10, 2560, 7680);
    check(1, 1, u64::MAX, u64::MAX, u64::MAX);
}

#[test]
fn fp16_agrees_with_the_model_and_the_graph() {
    let model = model("mistral-7b");
    let fp16 = codec("fp16").expect("listed");
    let head = HeadShape { head_dim: 128, query_heads: 4 };
    assert_eq!(8 * fp16.stored_bytes(head, 1), model.kv_bytes_per_token_layer(2));
    let step = DecodeStep { batch: 16, context: 1000, dtype_bytes: 2 };
    let sums = workloads::OperatorGraph::decode(&model, step).totals();
    let units = 16 * 8 * 32;
    assert_eq!(units * fp16.decode(head, 1000).near.read_bytes, sums.kv_read_bytes);
    assert_eq!(units * fp16.decode(head, 1000).near.write_bytes, sums.kv_write_bytes);
}

#[test]
fn every_codec_is_found_by_its_own_name_and_never_shrinks() {
    for listed in codecs() {
        assert_eq!(codec(listed.name()).map(Codec::summary), Some(listed.summary()));
        let head = HeadShape { head_dim: 128, query_heads: 4 };
        let sizes: Vec<_> = (0..5000).map(|tokens| listed.stored_bytes(head, tokens)).collect();
        assert!(sizes.is_sorted(), "{}", listed.name());
    }
    assert!(codec("fp17").is_none());
}
