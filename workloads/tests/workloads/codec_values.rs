//! Do the codecs keep what they promise on a model's own keys and values? Layer 10, KV head 1 of SmolLM2-135M, from
//! `validation/kv`; random numbers would prove nothing, because they have no token that draws a third of the attention.

use std::sync::LazyLock;

use workloads::kv::attention::dense;
use workloads::kv::measure::{Exact, Head, Measures, Positions};
use workloads::kv::tensors::KvTensors;
use workloads::kv::{Codec, Prefill, Workspace, codecs, parse, text};

static TENSORS: LazyLock<KvTensors> = LazyLock::new(|| {
    let bytes = include_bytes!("../../../validation/kv/kv_smollm2_L512_small.safetensors");
    KvTensors::parse("small", bytes).unwrap()
});

static EXACT: LazyLock<Exact<'static>> = LazyLock::new(|| Exact::new(head(), 32));

/// 384 tokens, and the queries behind them.
pub(crate) fn head() -> Head<'static> {
    TENSORS.head(1, 512, 384).unwrap()
}

/// The first tokens as a prompt that knows everything.
pub(crate) fn prompt<'a>(_: &Head<'a>, tokens: usize) -> Prefill<'a> {
    EXACT.prompt(tokens)
}

/// The codec on every fourth query position.
fn measured(codec: &str, generated: usize) -> Measures {
    let positions = Positions { observed: 32, step: 4 };
    let codec = parse(codec).unwrap();
    EXACT.evaluate(codec.as_ref(), generated, positions, &mut Workspace::default()).unwrap()
}

fn error(codec: &str) -> f64 {
    measured(codec, 0).error_mean
}

/// The mean error over all four heads of the file: one head may have an opinion of its own.
fn mean_error(codec: &str, generated: usize) -> f64 {
    static ALL: LazyLock<Vec<Exact<'static>>> =
        LazyLock::new(|| (0..4).map(|row| Exact::new(TENSORS.head(row, 512, 384).unwrap(), 0)).collect());
    let positions = Positions { observed: 0, step: 4 };
    let codec = parse(codec).unwrap();
    let mut workspace = Workspace::default();
    let mut of = |exact: &Exact<'_>| exact.evaluate(codec.as_ref(), generated, positions, &mut workspace).unwrap();
    ALL.iter().map(|exact| of(exact).error_mean).sum::<f64>() / 4.0
}

#[test]
fn fp16_is_exact_here() {
    let measures = measured("fp16", 0);
    assert!(measures.error_mean < 1e-6 && measures.key_nmse == Some(0.0), "{measures:?}");
    assert!((measures.bits_per_element - 16.0).abs() < 1e-12);
    assert_eq!(measures.queries, 3 * 8);
}

#[test]
fn more_bits_are_less_error() {
    for [more, fewer] in [
        ["int:bits=8", "int:bits=4"],
        ["kivi:bits=4", "kivi:bits=2"],
        ["wkvquant-like:bits=4", "wkvquant-like:bits=2"],
        ["skvq-like:key_bits=4,value_bits=4", "skvq-like"],
        ["turboquant-like:bits=4", "turboquant-like:bits=2"],
        ["kvquant-like:bits=4", "kvquant-like:bits=2"],
        ["snapkv:keep=0.5", "snapkv:keep=0.125"],
        ["h2o:keep=0.5", "h2o:keep=0.125"],
        ["quest:keep=0.5", "quest:keep=0.125"],
        ["pqcache:keep=0.5", "pqcache:keep=0.1"],
    ] {
        let (low, high) = (error(more), error(fewer));
        assert!(low < high, "{more}: {low}, {fewer}: {high}");
    }
}

/// The shapes of AQPIM's ablation: error falls with m and K, and weights, sinks and recent tokens lower it.
#[test]
fn product_quantisation_has_the_shape_of_the_paper() {
    let plain = "weights=none,sinks=0,recent=0";
    let of_m = [4, 8, 16, 32].map(|m| mean_error(&format!("pq:m={m},k=64,weights=attention,sinks=0,recent=0"), 0));
    assert!(of_m.is_sorted_by(|a, b| a > b), "m: {of_m:?}");
    let of_k = [8, 32, 128].map(|k| mean_error(&format!("pq:m=16,k={k},weights=attention,sinks=0,recent=0"), 0));
    assert!(of_k.is_sorted_by(|a, b| a > b), "K: {of_k:?}");
    let without = mean_error(&format!("pq:m=16,k=64,{plain}"), 0);
    let weighted = mean_error("pq:m=16,k=64,weights=attention,sinks=0,recent=0", 0);
    let exact = mean_error("pq:m=16,k=64,weights=none,sinks=4,recent=32", 0);
    let both = mean_error("pq:m=16,k=64,weights=attention,sinks=4,recent=32", 0);
    assert!(weighted < 0.5 * without && exact < 0.5 * without, "{without} {weighted} {exact}");
    assert!(both < exact, "{both} {exact}");
}

#[test]
fn look_ups_give_what_the_decoded_rows_give() {
    let head = head();
    let d = head.head_dim;
    let mut workspace = Workspace::default();
    for text in [
        "pq:m=16,k=64",
        "pq:m=8,k=64,values=reconstruct",
        "pq:m=4,k=32,window=100,sort=cosine",
        "pq:m=2,k=64,sort=cosine-pairs,sinks=0,recent=0",
        "pq:m=64,k=8,init=sample,seed=9",
    ] {
        let encoded = parse(text).unwrap().encode(&prompt(&head, 384)).unwrap();
        let (mut keys, mut values) = (vec![0.0; 384 * d], vec![0.0; 384 * d]);
        encoded.decode(&mut keys, &mut values);
        let queries = &head.queries[..5 * d];
        let (mut exact, mut probabilities) = (vec![0.0; 5 * d], vec![0.0; 5 * 384]);
        dense(queries, &keys, &values, d, head.scale, &mut probabilities, &mut exact);
        let mut ours = vec![0.0; 5 * d];
        encoded.attend(queries, head.scale, &mut workspace, &mut ours);
        let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4;
        assert!(ours.iter().zip(&exact).all(near), "{text}");
        assert!(workspace.probabilities().unwrap().iter().zip(&probabilities).all(near), "{text}");
    }
}

/// Tokens that come one by one are stored like those of a prompt where nothing was learned from the prompt.
#[test]
fn appended_tokens_are_stored_like_those_of_a_prompt() {
    let head = head();
    let d = head.head_dim;
    for text in [
        "fp16",
        "int:bits=4,group=16",
        "kivi:bits=2,group=32,residual=64",
        "kivi:bits=4,group=32,residual=0",
        "turboquant-like",
        "quest",
        "pqcache:keep=1,newest=100",
    ] {
        let codec = parse(text).unwrap();
        let whole = codec.encode(&prompt(&head, 384)).unwrap();
        let mut grown = codec.encode(&prompt(&head, 100)).unwrap();
        EXACT.append(grown.as_mut(), 284);
        assert_eq!((grown.tokens(), grown.stored_bits()), (384, whole.stored_bits()), "{text}");
        let rows = |encoded: &dyn workloads::kv::EncodedHead| {
            let (mut keys, mut values) = (vec![0.0; 384 * d], vec![0.0; 384 * d]);
            encoded.decode(&mut keys, &mut values);
            (keys, values)
        };
        assert_eq!(rows(whole.as_ref()), rows(grown.as_ref()), "{text}");
    }
}

#[test]
fn every_codec_takes_tokens_that_are_generated() {
    let head = head();
    let mut workspace = Workspace::default();
    let mut all: Vec<String> = codecs().map(text).map(|text| text.replace("k=512", "k=64")).collect();
    let more = ["pq:m=8,k=64,recluster=50", "pq:m=8,k=64,window=100", "pq:m=8,k=64,window=100,recluster=60"];
    all.extend(more.map(str::to_owned));
    all.push("pq:m=8,k=300,weights=none,sinks=0,recent=0,recluster=40".to_owned());
    all.push("pq:m=8,k=64,weights=none,sinks=8,recent=0".to_owned());
    for text in all {
        let codec = parse(&text).unwrap();
        let mut encoded = codec.encode(&prompt(&head, 200)).unwrap();
        let mut out = vec![0.0; head.queries.len()];
        for token in 200..384 {
            let row = |rows: &[f32]| rows[token * head.head_dim..][..head.head_dim].to_vec();
            encoded.append(&row(head.keys), &row(head.values));
            encoded.attend(&head.queries[..head.head_dim], head.scale, &mut workspace, &mut out[..head.head_dim]);
            encoded.observe(&workspace);
        }
        assert_eq!(encoded.tokens(), 384, "{text}");
        assert!(out.iter().all(|element| element.is_finite()), "{text}");
        assert!(encoded.kept().is_sorted_by(|a, b| a < b), "{text}");
        let charged = codec.stored_bytes(workloads::kv::HeadShape { head_dim: 64, query_heads: 3 }, 384);
        if text.starts_with("pq:") {
            assert!(encoded.stored_bits().div_ceil(8) <= charged, "{text}: {} {charged}", encoded.stored_bits() / 8);
        }
    }
}

/// Tokens that are generated against old codebooks are a visible choice: clustering again costs and helps.
#[test]
fn clustering_again_helps_generated_tokens() {
    let of = |recluster: u32| {
        let codec = format!("pq:m=16,k=64,sinks=4,recent=16,recluster={recluster}");
        mean_error(&codec, 284)
    };
    let (never, often) = (of(0), of(64));
    assert!(often < 0.9 * never, "never {never}, every 64 tokens {often}");
    let shape = workloads::kv::HeadShape { head_dim: 64, query_heads: 3 };
    let flops = |text: &str| parse(text).unwrap().append(shape, 384).near.flops;
    assert!(flops("pq:m=16,k=64,recluster=64") > 10 * flops("pq:m=16,k=64"));
}

#[test]
fn sums_in_fp16_cost_a_little_and_widths_nothing() {
    let wide = error("pq:m=16,k=64");
    let half = error("pq:m=16,k=64,sums=f16");
    assert!(half > wide && half < 1.5 * wide, "{wide} {half}");
    let rounded = |text: &str| (error(text) / wide - 1.0).abs();
    assert!(rounded("pq:m=16,k=64,indices=u16") < 1e-12, "the width of an index changes no value");
    assert!(rounded("pq:m=16,k=64,codebook=unrounded") < 0.01, "FP16 centroids are near enough");
    assert!(rounded("pq:m=16,k=64,values=reconstruct") < 1e-6, "the order of multiplication changes no value");
}

#[test]
fn a_seed_decides_and_nothing_else() {
    let sampled = |seed: u32| error(&format!("pq:m=16,k=64,init=sample,seed={seed}"));
    assert_eq!(sampled(1).to_bits(), sampled(1).to_bits());
    assert_ne!(sampled(1).to_bits(), sampled(2).to_bits());
    let stride = error("pq:m=16,k=64");
    assert!((sampled(1) / stride - 1.0).abs() < 0.5, "{} {stride}", sampled(1));
}

#[test]
fn what_does_not_go_together_is_refused() {
    #[track_caller]
    fn check(text: &str, message: &str) {
        let codec: Box<dyn Codec> = parse(text).unwrap();
        let error = codec.check(384, 64).unwrap_err();
        assert!(error.to_string().ends_with(message), "{error}");
        assert!(!error.remedy().is_empty());
    }
    check("pq:m=24", "24 sub-vectors do not divide a head of 64 elements");
    check("pq:m=32,k=385", "385 centroids for 384 tokens");
    check("pq:m=32,k=256,sinks=300,recent=85", "300 sinks and 85 newest tokens are more than 384 tokens");
    check("pq:m=64,k=16,sort=cosine-pairs", "sub-vectors of 1 elements cannot hold pairs");
    check("int:group=48", "groups of 48 elements do not divide a head of 64");
    check("streaming-llm:sinks=40,keep=0.1", "40 sinks of 38 tokens that are kept of 384");
    check("skvq-like:window=400", "405 exact tokens (sinks and window) of 384");
    check("pqcache:sinks=380", "380 sinks and 64 centroids for 384 tokens");
    // Nobody says what tokens drew.
    let head = Head { accumulated: None, ..head() };
    let exact = Exact::new(head, 0);
    for (text, needs) in [("pq:k=64", "each token drew"), ("h2o", "each token drew"), ("snapkv", "the last queries")] {
        let error = parse(text).unwrap().encode(&exact.prompt(384)).unwrap_err().to_string();
        assert!(error.contains(needs), "{error}");
    }
}
