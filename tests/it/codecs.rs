//! Do a codec's bytes, work and transfers decide what a scenario costs?

use std::collections::BTreeSet;

use pimscope::scenario::{Format, Loaded, Scenario};
use reports::{Category, Span, SystemInput, Time};
use workloads::kv::{self, HeadShape};

use crate::common::{Run, SystemRun, load_text, of_kind, shipped, try_run};

/// Mistral-7B's heads: 8 KV heads of 128 elements, 4 query heads each, 32 layers.
const HEAD: HeadShape = HeadShape { head_dim: 128, query_heads: 4 };
const KV_HEADS: u64 = 8;
const LAYERS: u64 = 32;

/// One system on Mistral-7B, 16 sequences of 16,384 tokens.
fn scenario(kv: &str, pim: &str) -> String {
    format!(
        r#"
        name = "codecs"
        [model]
        config = "mistral-7b-instruct-v0.2"
        [workload]
        batch = 16
        context = 16384
        [[system]]
        name = "one"
        gpu = "H100-SXM-80GB"
        {pim}
        kv = {{ {kv} }}
        "#
    )
}

#[track_caller]
fn run_with(kv: &str, pim: &str, sets: &[&str]) -> Run {
    try_run(load_text(&scenario(kv, pim), sets)).unwrap()
}

#[track_caller]
fn run(kv: &str) -> Run {
    run_with(kv, "", &[])
}

fn input(run: &Run) -> &SystemInput {
    &run.systems[0].input
}

fn only<'a>(input: &'a SystemInput, kind: &'a str, layer: u32) -> &'a Span {
    let mut found = of_kind(&input.spans, kind).filter(|span| span.tag.layer == Some(layer));
    let first = found.next().unwrap_or_else(|| panic!("no {kind} in layer {layer}"));
    assert!(found.next().is_none(), "more than one {kind} in layer {layer}");
    first
}

#[test]
fn is_a_codec_the_same_however_it_is_written() {
    let of = |kv: &str, sets: &[&str]| load_text(&scenario(kv, ""), sets).sha256;
    let text = of(r#"codec = "pq:m=16,k=256,sinks=4""#, &[]);
    for (kv, sets) in [
        (r#"codec = "pq", subvectors = 16, centroids = 256, sinks = 4"#, &[][..]),
        (r#"codec = "pq", k = 256, sinks = 4, m = 16"#, &[]),
        (r#"codec = "pq:sinks=4", subvectors = 16, centroids = 256"#, &[]),
        (r#"codec = "pq", subvectors = 32, sinks = 4"#, &["kv.centroids=256", "kv.m=16"]),
        ("", &["kv.codec=pq:m=16,k=256,sinks=4"]),
        // A codec of the command line takes the place of the file's with its parameters, and not of those of other flags.
        (r#"codec = "pq", m = 32, centroids = 64, seed = 7"#, &["kv.codec=pq:m=16,k=256,sinks=4"]),
        (r#"codec = "pq", m = 32"#, &["system.one.kv.k=256", "kv.codec=pq:sinks=4", "kv.subvectors=16"]),
    ] {
        assert_eq!(of(kv, sets), text, "{kv} {sets:?}");
    }
    assert_ne!(of(r#"codec = "pq:m=16,k=256""#, &[]), text);
    assert_eq!(of(r#"codec = "pq", m = 32, k = 64"#, &["kv.codec=fp16"]), of("", &[]));
    // What another flag gives is not dropped in silence.
    let refused = Scenario::from_text(
        "x.toml",
        &scenario(r#"codec = "pq""#, ""),
        Format::Toml,
        &["kv.m=16".to_owned(), "kv.codec=fp16".to_owned()],
    );
    assert!(refused.unwrap_err().to_string().contains("`fp16` has no parameter `m`"));
    let json = r#"{ "name": "x", "model": { "config": "mistral-7b-instruct-v0.2" },
        "workload": { "batch": 16, "context": 16384 },
        "system": [{ "name": "one", "gpu": "H100-SXM-80GB",
                     "kv": { "codec": "pq", "subvectors": 16, "centroids": 256, "sinks": 4 } }] }"#;
    let loaded: Loaded = Scenario::from_text("x.json", json, Format::Json, &[]).unwrap();
    assert_eq!(loaded.sha256, text);
    // All parameters with their defaults are the codec without any.
    assert_eq!(of(r#"codec = "int:bits=4,group=0""#, &[]), of(r#"codec = "int""#, &[]));
}

#[test]
fn does_every_codec_run_on_the_gpu_and_from_the_host() {
    for codec in kv::codecs() {
        let name = codec.name();
        for home in ["gpu", "host"] {
            let run = run_with(&format!(r#"codec = "{name}", home = "{home}", prefetch = 0"#), "", &[]);
            let input = input(&run);
            let stored = 16 * LAYERS * KV_HEADS * codec.stored_bytes(HEAD, 16_384);
            let aside = 16 * LAYERS * KV_HEADS * codec.host_bytes(HEAD, 16_384);
            let host = input.memory.host.unwrap().used.0;
            assert_eq!(host, aside + if home == "host" { stored } else { 0 }, "{name} {home}");
            assert_eq!(input.memory.spilled, 0, "{name} {home}");
            assert!(input.memory.gpu.unwrap().used.0 >= if home == "gpu" { stored } else { 0 }, "{name} {home}");
        }
    }
}

#[test]
fn does_the_attention_kernel_read_what_the_codec_stores() {
    // The activations of the kernel: queries and outputs of 32 heads.
    let activations = 16 * 2 * 32 * 128 * 2;
    for (text, bits) in [("fp16", 16.0), ("int:bits=8", 8.25), ("int:bits=4", 4.25), ("int:bits=2", 2.25)] {
        let run = run(&format!(r#"codec = "{text}""#));
        let kernel = only(input(&run), "attention", 5);
        // 32 bits of scale and zero for each key and value of 128 elements are a quarter of a bit an element.
        let by_hand = (16.0 * 16_384.0 * 8.0 * 2.0 * 128.0 * bits / 8.0) as u64;
        assert_eq!(kernel.bytes, by_hand + activations, "{text}");
    }
    let run = run(r#"codec = "pq""#);
    let kernel = only(input(&run), "attention", 5);
    // 64 indices of 9 bits for each of 16,344 tokens, codebooks of 2 x 512 x 128 x 2 B, 40 exact tokens of 512 B.
    let head = (16_344 * 64 * 9_u64).div_ceil(8) + 2 * 512 * 128 * 2 + 40 * 512;
    assert_eq!(kernel.bytes, 16 * 8 * head + activations);
}

#[test]
fn do_look_ups_take_the_cores_as_long_as_their_rate_says() {
    let run = run(r#"codec = "pq""#);
    let kernel = only(input(&run), "attention", 5);
    // 2 x 4 query heads x 16,344 tokens x 32 sub-vectors, in each of 16 x 8 heads, at 7.727e12 a second.
    let lookups = (128 * 2 * 4 * 16_344 * 32_u64) as f64;
    let rate = 989e12 * 0.803_336_703_741_152_6;
    let seconds = kernel.operations as f64 / rate;
    assert!((seconds / (lookups / 7.727e12) - 1.0).abs() < 0.05, "{seconds}");
    // So they and not the bytes decide: 0.069 ms against 0.064 ms at 2.9 TB/s.
    assert!((kernel.end - kernel.start).seconds() > seconds);
    assert!(kernel.bytes as f64 / 2.9e12 < seconds);
}

#[test]
fn does_a_selection_leave_only_what_it_keeps() {
    let plain = run("");
    let kept = run(r#"codec = "snapkv", keep = 0.125"#);
    let cache = |run: &Run| input(run).memory.kv_bytes.packed;
    assert_eq!(cache(&plain), 8 * cache(&kept));
    assert!(kept.systems[0].report.latency() < plain.systems[0].report.latency());
    let (of_plain, of_kept) = (only(input(&plain), "attention", 0).bytes, only(input(&kept), "attention", 0).bytes);
    let activations = 16 * 2 * 32 * 128 * 2;
    assert_eq!(of_plain - activations, 8 * (of_kept - activations));
}

#[test]
fn is_a_compressed_cache_fetched_compressed() {
    let plain = run(r#"home = "host", prefetch = 0"#);
    for (text, ratio) in [("int:bits=4", 4.25 / 16.0), ("int:bits=8", 8.25 / 16.0)] {
        let packed = run(&format!(r#"codec = "{text}", home = "host", prefetch = 0"#));
        let bytes = |run: &Run, kind: &'static str| -> u64 { of_kind(&input(run).spans, kind).map(|s| s.bytes).sum() };
        for kind in ["kv-fetch", "kv-append"] {
            let found = bytes(&packed, kind) as f64 / bytes(&plain, kind) as f64;
            assert!((found - ratio).abs() < 1e-3, "{text} {kind}: {found}");
        }
        let pcie = |run: &Run| run.systems[0].report.breakdown.get(Category::CommunicationPcie).seconds();
        assert!((pcie(&packed) / pcie(&plain) / ratio - 1.0).abs() < 0.02, "{text}");
    }
}

#[test]
fn does_the_cpu_attend_to_codes_without_look_ups() {
    let (plain, packed) =
        (run(r#"home = "host", attention = "cpu""#), run(r#"codec = "int:bits=4", home = "host", attention = "cpu""#));
    let bytes = |run: &Run| of_kind(&input(run).spans, "attention").map(|span| span.bytes).sum::<u64>() as f64;
    assert!((bytes(&packed) / bytes(&plain) - 4.25 / 16.0).abs() < 0.01);
}

// PQCache.

const FIFTH: &str = r#"codec = "pqcache", keep = 0.2, newest = 0"#;

#[test]
fn is_a_fifth_of_the_tokens_fetched_after_a_search_and_before_attention() {
    let run = run(&format!(r#"{FIFTH}, home = "gpu""#));
    let input = input(&run);
    // Of all but 32 sinks a fifth, 512 B for each KV head.
    let chosen = 16 * 8 * ((16_384 - 32) / 5) * 512_u64;
    for layer in 0..32 {
        let (search, gather) = (only(input, "search", layer), only(input, "kv-gather", layer));
        let attention = only(input, "attention", layer);
        assert_eq!(gather.bytes, chosen);
        assert!(search.end <= gather.start && gather.end <= attention.start);
        assert_eq!(gather.category, Category::CommunicationPcie);
        // Codes of 12 bits and the codebook, queries beside them; not keys.
        let codes = 16 * 8 * (((16_384 - 32) * 12_u64).div_ceil(8) + 2 * 64 * 128) + 16 * 32 * 128 * 2;
        assert_eq!(search.bytes, codes);
    }
    let memory = &input.memory;
    assert_eq!(memory.host.unwrap().used.0, 16 * 16_384 * 131_072);
    // Codes, codebooks, sinks, and the room for one layer's chosen tokens.
    let head = 16_384 * 12 / 8 + 2 * 64 * 128 + 32 * 512;
    let weights = memory.placement.iter().any(|line| line.contains("buffers for fetched KV"));
    assert!(weights);
    assert_eq!(memory.kv_bytes.packed, LAYERS * KV_HEADS * (head + 16_384 * 512));
}

#[test]
fn is_the_union_of_a_group_at_most_as_many_times_as_large() {
    let bytes = |select: &str| {
        let run = run(&format!(r#"{FIFTH}, select = "{select}""#));
        of_kind(&input(&run).spans, "kv-gather").map(|span| span.bytes).sum::<u64>()
    };
    assert_eq!(bytes("union"), 4 * bytes("sum"));
}

#[test]
fn are_codes_in_the_host_fetched_too_and_ahead_of_the_search() {
    let with = |prefetch: u32| run(&format!(r#"{FIFTH}, home = "host", prefetch = {prefetch}"#));
    let (serial, ahead) = (with(0), with(1));
    for run in [&serial, &ahead] {
        let input = input(run);
        for layer in [0, 31] {
            let (codes, search) = (only(input, "kv-fetch", layer), only(input, "search", layer));
            assert!(codes.end <= search.start);
            // 12 bits a token, codebook, 32 sinks in FP16; of the tokens before the new one.
            let head = (16_383 * 12_u64).div_ceil(8) + 2 * 64 * 128 + 32 * 512;
            assert_eq!(codes.bytes, 16 * 8 * head);
        }
    }
    let before = |run: &Run| only(input(run), "kv-fetch", 9).start < only(input(run), "qkv", 9).end;
    assert!(!before(&serial) && before(&ahead));
    assert!(ahead.systems[0].report.latency() < serial.systems[0].report.latency());
    // The choice depends on the queries: it is fetched after them in both.
    for run in [&serial, &ahead] {
        assert!(only(input(run), "kv-gather", 9).start > only(input(run), "qkv", 9).end);
    }
}

#[test]
fn do_other_ways_to_gather_cost_what_they_have_to_do_more() {
    let gather = |how: &str| run_with(&format!(r#"{FIFTH}, gather = "{how}""#), "", &["workload.context=512"]);
    let (loads, cpu, copies) = (gather("loads"), gather("cpu"), gather("copies"));
    let all = [&loads, &cpu, &copies].map(|run| of_kind(&input(run).spans, "kv-gather").map(|s| s.bytes).sum::<u64>());
    assert!(all[0] == all[1] && all[1] == all[2]);
    // The host's cores read and write every chosen byte once.
    let moved: u64 = of_kind(&input(&cpu).spans, "gather").map(|span| span.bytes).sum();
    assert_eq!(moved, 2 * all[0]);
    // Four bytes tell which 512 B are meant.
    let told: u64 = of_kind(&input(&cpu).spans, "indices-to-host").map(|span| span.bytes).sum();
    assert_eq!(told, all[0] / 512 * 4);
    // 2.5 us of set-up for each of 16 x 8 x 96 pieces in every layer.
    let latency = |run: &Run| run.systems[0].report.latency();
    let set_up = Time::from_ps(2_500_000 * 16 * 8 * 96 * 32);
    assert!(latency(&copies) > set_up, "{} {set_up}", latency(&copies));
    assert!(latency(&loads) < latency(&cpu) && latency(&cpu) < latency(&copies));
}

// Blind to GQA.

#[test]
fn does_a_system_that_is_blind_to_gqa_read_the_cache_once_for_each_query_head() {
    let activations = 16 * 2 * 32 * 128 * 2;
    for (kv, kind) in [(r#"home = "gpu""#, "attention"), (r#"home = "host", prefetch = 0"#, "attention-fetched")] {
        let (sees, blind) = (run(kv), run(&format!("{kv}, gqa_blind = true")));
        let bytes = |run: &Run, kind: &str| only(input(run), kind, 3).bytes;
        assert_eq!(bytes(&blind, kind) - activations, 4 * (bytes(&sees, kind) - activations));
        // It stores the cache once.
        assert_eq!(input(&blind).memory.kv_bytes, input(&sees).memory.kv_bytes);
        assert_eq!(only(input(&blind), kind, 3).operations, only(input(&sees), kind, 3).operations);
    }
    let pim = r#"pim = { device = "hbm3-pim-bank", stacks = 4, gqa = "shared" }"#;
    let latency = |kv: &str| run_with(kv, pim, &[]).systems[0].report.latency();
    assert!(latency(r#"home = "pim", gqa_blind = true"#) > latency(r#"home = "pim""#));
}

// Attention alone.

/// A layer's window by the spans: the end of its last QKV projection, and when the output projection has all it needs.
fn windows(run: &SystemRun) -> Vec<(Time, Time)> {
    let input = &run.input;
    let layers: BTreeSet<_> = input.spans.iter().filter_map(|s| Some((s.tag.step, s.tag.layer?))).collect();
    let of = |kind: &str, tag: (u32, u32)| -> Vec<&Span> {
        let same = |span: &&Span| span.kind == kind && (span.tag.step, span.tag.layer) == (tag.0, Some(tag.1));
        input.spans.iter().filter(same).collect()
    };
    let window = |tag| {
        let from = of("qkv", tag).iter().map(|span| span.end).max().unwrap();
        (from, of("output_projection", tag).iter().map(|span| span.ready).max().unwrap())
    };
    layers.into_iter().map(window).collect()
}

#[test]
fn is_the_view_of_one_layer_the_time_between_its_queries_and_its_output() {
    for scenario in ["quickstart", "replaces"] {
        for system in &shipped(scenario).systems {
            let windows = windows(system);
            let view = &system.report.attention;
            assert_eq!(view.layers as usize, windows.len());
            let total: Time = windows.iter().map(|(from, to)| *to - *from).sum();
            assert_eq!(view.breakdown.total(), total, "{scenario} {}", system.report.name);
            // Inside the whole step, category by category.
            for (category, time) in view.breakdown.iter() {
                assert!(time <= system.report.breakdown.get(category), "{scenario} {} {category}", system.report.name);
            }
        }
    }
    let summary = reports::summary::to_value(&shipped("quickstart").report);
    let attention = &summary["systems"][3]["decode"]["attention"];
    assert_eq!(attention["layers"], 4 * 32);
    let parts: u64 = attention["breakdown_ps"].as_object().unwrap().values().map(|v| v.as_u64().unwrap()).sum();
    assert_eq!(attention["latency_ps"], parts);
    assert_eq!(attention["layer_ps"], parts / 128);
}

#[test]
fn is_a_layer_of_offloading_all_link_and_one_on_the_gpu_all_gpu() {
    let run = shipped("quickstart");
    let share = |name: &str, category| run.system(name).report.attention.breakdown.share(category);
    assert!(share("gpu", Category::ComputeGpu) > 0.99);
    assert!(share("gpu-offload", Category::CommunicationPcie) > 0.95);
    assert!(share("attacc", Category::ComputePim) > 0.95);
    assert!(share("cpu-attention", Category::ComputeCpu) > 0.95);
}
