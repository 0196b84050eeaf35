//! Are prompts processed before the first token, do their keys and values come home, and do the laws hold on the way?

use std::num::NonZeroUsize;

use pimscope::control::Control;
use pimscope::run::{Outputs, RunError, run_to_files_within};
use pimscope::scenario::Loaded;
use pimscope::system::Figures;
use reports::{Category, PrefillReport, ReportError, Span, SystemInput, Time, analyse};

use crate::common::{Run, SMALL, SystemRun, check_same, load_text, of_kind, root, try_run};

/// A quantised cache in PIM stacks, and the others.
const AQPIM: &str = r#"
    [[system]]
    name = "aqpim"
    gpu = "H100-SXM-80GB"
    pim = { device = "hbm3-aqpim", stacks = 1 }
    kv = { home = "pim", codec = "pq:m=16,k=64,weights=window" }
"#;

const PROMPTS: [&str; 2] = ["workload.kind=prefill+decode", "workload.context=514"];
/// Layers of the model: enough for buffers to be used again.
const LAYERS: u32 = 4;

/// A scenario on smollm2-135m with few layers.
#[track_caller]
fn few_layers(text: &str, sets: &[&str]) -> Loaded {
    let directory = tempfile::tempdir().unwrap();
    let config = std::fs::read_to_string(root().join("models/smollm2-135m-instruct.json")).unwrap();
    let few = config.replace("\"num_hidden_layers\": 30", &format!("\"num_hidden_layers\": {LAYERS}"));
    assert_ne!(few, config);
    let path = directory.path().join("few.json");
    std::fs::write(&path, few).unwrap();
    let text = text.replace("smollm2-135m-instruct", &path.to_string_lossy());
    load_text(&text, sets)
}

#[track_caller]
fn run(sets: &[&str]) -> Run {
    let all: Vec<&str> = PROMPTS.iter().chain(sets).copied().collect();
    try_run(few_layers(&format!("{SMALL}{AQPIM}"), &all)).unwrap()
}

fn prefill(system: &SystemRun) -> &PrefillReport {
    system.report.prefill.as_ref().unwrap()
}

/// Spans of the prefill.
fn jobs(system: &SystemRun) -> impl Iterator<Item = &Span> {
    system.input.spans.iter().filter(|span| span.tag.step == 0)
}

fn bytes(system: &SystemRun, kind: &str) -> u64 {
    jobs(system).filter(|span| span.kind == kind).map(|span| span.bytes).sum()
}

/// smollm2-135m: 3 KV heads of 64 elements in FP16; K and V of a token in a layer.
const TOKEN_LAYER: u64 = 2 * 3 * 64 * 2;

#[test]
fn does_a_layer_take_what_its_kernels_add_up_to() {
    let text = "[model]\nconfig = 'mistral-7b-instruct-v0.2'\n[workload]\nkind = 'prefill'\ncontext = 4096\n\
                [[system]]\nname = 'gpu'\ngpu = { device = 'H100', gemm_fraction = 0.6 }\n";
    let run = try_run(load_text(text, &[])).unwrap();
    let system = run.system("gpu");
    let figures = Figures::read(&run.loaded.points[0].1.systems[0]).unwrap().0;
    // Matrix products and attention are bound by operations: first-order arithmetic and a start cost each.
    let matrices = ["qkv", "attention", "output_projection", "gate_up", "down"];
    let of_layer = |span: &&Span| span.tag.layer == Some(7);
    let bound: Vec<&Span> = jobs(system).filter(of_layer).filter(|span| matrices.contains(&span.kind)).collect();
    assert_eq!(bound.len(), 5);
    let parameters = 2 * 4096_u64 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 14_336;
    let operations = 2 * parameters * 4096 + 2 * 4096 * 4096 * 4097;
    assert_eq!(bound.iter().map(|span| span.operations).sum::<u64>(), operations);
    let time: Time = bound.iter().map(|span| span.end - span.start).sum();
    let expected = figures.gpu.operations.time_for(operations) + Time::from_ps(5 * figures.gpu.start_cost.ps());
    let off = time.ps().abs_diff(expected.ps());
    assert!(off <= 5, "{time} and {expected}");
    assert_eq!(format!("{:.1}", figures.gpu.operations.time_for(operations).seconds() * 1e3), "3.2");
    // Norms, RoPE and activation are bound by memory and come on top.
    let all: Time = jobs(system).filter(of_layer).map(|span| span.end - span.start).sum();
    assert_eq!(prefill(system).gpu_layers[7], all);
    assert!(all > time && all < Time::from_ps(time.ps() * 11 / 10), "{time} of {all}");
}

#[test]
fn does_the_first_token_come_before_the_second() {
    let run = run(&[]);
    for system in &run.systems {
        let name = &system.input.name;
        let marks: Vec<&Span> = of_kind(&system.input.spans, "token").collect();
        assert_eq!(marks.iter().map(|span| span.tag.step).collect::<Vec<_>>(), [0, 1, 2], "{name}");
        assert_eq!(prefill(system).latency(), marks[0].end, "{name}");
        assert_eq!(system.report.latency(), marks[2].end - marks[0].end, "{name}");
        assert_eq!(system.report.tokens, 2);
        let shape = prefill(system).shape;
        assert_eq!((shape.tokens, shape.longest), (4 * 512, 512));
        // The prompts alone take as long to the first token.
        let alone = &["workload.kind=prefill", "workload.context=512"];
        let text = format!("{SMALL}{AQPIM}").replace("new_tokens = 2", "");
        let alone = try_run(few_layers(&text, alone)).unwrap();
        let alone = alone.system(name);
        assert_eq!(prefill(alone).latency(), prefill(system).latency(), "{name}");
        assert_eq!((alone.report.tokens, alone.report.latency()), (0, Time::ZERO));
        assert!(prefill(alone).done >= prefill(alone).latency());
    }
}

#[test]
fn law_1_do_the_categories_add_up_to_the_first_token() {
    for sets in [&[][..], &["workload.prefill_chunk=100"], &["workload.prefill_batch=1"], &["dispatch=stream"]] {
        let run = run(sets);
        for system in &run.systems {
            let report = prefill(system);
            let mark = of_kind(&system.input.spans, "token").next().unwrap().end;
            assert_eq!(report.breakdown.total(), mark, "{}", system.input.name);
            let path = &report.critical_path;
            assert_eq!((path[0].from, path[path.len() - 1].to), (Time::ZERO, mark));
            assert!(path.windows(2).all(|pair| pair[0].to == pair[1].from));
            // The next token goes on from there.
            assert_eq!(system.report.critical_path[0][0].from, mark);
        }
    }
}

#[test]
fn law_1_is_a_damaged_prefill_noticed() {
    let run = run(&[]);
    let damaged = |name: &str, kind: &str, damage: &dyn Fn(&mut Span)| {
        let mut input: SystemInput = run.system(name).input.clone();
        damage(input.spans.iter_mut().find(|span| span.kind == kind && span.tag.step == 0).unwrap());
        analyse(&input)
    };
    let broken = |result: Result<_, ReportError>| matches!(result, Err(ReportError::LawBroken { law: 1, .. }));
    for system in &run.systems {
        let name = system.input.name.as_str();
        assert!(damaged(name, "qkv", &|_| ()).is_ok());
        assert!(broken(damaged(name, "qkv", &|span| span.ready = span.ready - Time::from_ps(1))), "{name}");
        assert!(broken(damaged(name, "lm_head", &|span| span.cause = None)), "{name}");
        // Two marks of one token, and none of the prefill.
        assert!(broken(damaged(name, "token", &|span| span.tag.step = 1)), "{name}");
    }
    assert!(broken(damaged("aqpim", "dc", &|span| span.end = span.start - Time::from_ps(1))));
    assert!(broken(damaged("gpu-offload", "kv-store", &|span| span.ready += Time::from_ps(1))));
}

#[test]
fn does_every_byte_of_the_prompts_come_home() {
    let all = 4 * 512 * u64::from(LAYERS) * TOKEN_LAYER;
    for sets in [&[][..], &["workload.prefill_chunk=100"], &["workload.prefill_batch=3"]] {
        let run = run(sets);
        for (name, stored) in
            [("gpu", 0), ("gpu-offload", all), ("cpu-attention", all), ("attacc", all), ("aqpim", all)]
        {
            assert_eq!(bytes(run.system(name), "kv-store"), stored, "{name} {sets:?}");
        }
        // RoPE writes K and V once, and reads and writes the rest.
        let rope = |name| bytes(run.system(name), "rope");
        assert_eq!(rope("gpu"), 4 * 512 * u64::from(LAYERS) * ((9 * 64 + 6 * 64 + 9 * 64) * 2 + TOKEN_LAYER));
        assert_eq!(rope("gpu"), rope("attacc"));
        // A weight of two bytes for each token and KV head.
        assert_eq!(bytes(run.system("aqpim"), "weights-to-pim"), 4 * 512 * u64::from(LAYERS) * 3 * 2);
    }
    // What does not fit the stacks goes to the host: a part of each layer, in whole sequences or in tokens.
    for unit in ["sequences", "tokens"] {
        let unit = format!("kv.spill_unit={unit}");
        let text = SMALL.replace("stacks = 1", "stacks = 1, density_factor = 0.002");
        let run = try_run(few_layers(&text, &[PROMPTS[0], "workload.context=8002", &unit])).unwrap();
        let system = run.system("attacc");
        let to_host = jobs(system).filter(|s| s.kind == "kv-store" && s.category == Category::CommunicationPcie);
        let spilled: u64 = to_host.map(|span| span.bytes).sum();
        let all = 4 * 8000 * u64::from(LAYERS) * TOKEN_LAYER;
        assert!(spilled > 0 && spilled < all, "{spilled} of {all}");
        assert_eq!(bytes(system, "kv-store"), all, "{unit}");
    }
}

#[test]
fn does_a_token_wait_for_the_prompt_to_be_at_home() {
    let run = run(&[]);
    for name in ["gpu-offload", "cpu-attention", "attacc", "aqpim"] {
        let system = run.system(name);
        for layer in 0..LAYERS {
            let of_layer = |span: &&Span| span.tag.layer == Some(layer);
            let homing = |span: &&Span| span.kind == "kv-store" || span.category == Category::ComputePim;
            let home = jobs(system).filter(of_layer).filter(homing).map(|span| span.end).max().unwrap();
            let attends = |span: &&Span| span.kind.starts_with("attention") && span.tag.step == 1;
            let first = system.input.spans.iter().filter(of_layer).filter(attends).map(|span| span.start).min();
            assert!(home <= first.unwrap(), "{name}, layer {layer}: {home} and {first:?}");
        }
    }
}

#[test]
fn are_chunks_slower_by_the_weights_that_they_read_again() {
    let first = |sets: &[&str]| prefill(run(sets).system("gpu")).clone();
    let (whole, cut) = (first(&[]), first(&["workload.prefill_chunk=512"]));
    assert_eq!((whole.shape.chunks, cut.shape.chunks, cut.shape.groups), (1, 4, 1));
    assert!(cut.latency() > whole.latency());
    let alone = first(&["workload.prefill_batch=1"]);
    assert_eq!((alone.shape.groups, alone.shape.chunks), (4, 4));
    // The same chunks in another order; only the launches of three more groups can be seen.
    let difference = alone.latency().ps().abs_diff(cut.latency().ps());
    assert!(difference < Time::from_us(20).ps(), "{} and {}", alone.latency(), cut.latency());
}

#[test]
fn law_5_are_prompts_cut_until_they_fit() {
    let text = &SMALL[..SMALL.find("[[system]]\n    name = \"gpu-offload\"").unwrap()];
    let at = |mib: u64| {
        let capacity = format!("gpu.mem_capacity={mib} MiB");
        try_run(few_layers(text, &[PROMPTS[0], "workload.context=8192", &capacity]))
    };
    // 81 MiB of weights and 96 MiB of cache.
    let mut chunks = Vec::new();
    for mib in [280, 320, 400, 4_000] {
        let run = at(mib).unwrap();
        let system = run.system("gpu");
        let gpu = system.input.memory.gpu.unwrap();
        assert!(gpu.used <= gpu.capacity);
        chunks.push((prefill(system).shape.groups, prefill(system).shape.chunks));
    }
    assert!(chunks.windows(2).all(|pair| pair[0] >= pair[1]), "{chunks:?}");
    assert!(chunks[0].1 > 4, "{chunks:?}");
    assert_eq!(chunks[3], (1, 1));
    // A cut that the scenario gives is refused where it does not fit, and says what to do.
    let sets = [PROMPTS[0], "workload.context=8192", "gpu.mem_capacity=280 MiB", "workload.prefill_batch=4"];
    match try_run(few_layers(text, &[&sets[..], &["workload.prefill_chunk=32768"]].concat())) {
        Err(RunError::System { source, .. }) => {
            assert!(source.to_string().contains("activations"), "{source}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn is_clustering_hidden_where_the_gpu_is_slow_and_exposed_where_it_is_fast() {
    let cluster = |sets: &[&str]| {
        let run = run(sets);
        let report = prefill(run.system("aqpim")).clone();
        (report.latency(), report.clustering.unwrap())
    };
    let (fast_latency, fast) = cluster(&["workload.batch=64"]);
    let (_, slow) = cluster(&["workload.batch=64", "gpu.fp16_dense=0.5 TFLOP/s"]);
    assert!(!fast.hidden() && fast.margin() < 0, "{fast:?}");
    assert!(slow.hidden() && slow.margin() > 0, "{slow:?}");
    // Held up by the channels, the first token is later than the GPU alone could have it.
    let gpu: Time = fast.gpu_layers.iter().copied().sum();
    assert!(fast_latency > Time::from_ps(gpu.ps() * 3 / 2), "{fast_latency} and {gpu}");
    // The phases are what a layer's clustering consists of; each is of the channel that takes longest, not always the same.
    for report in [&fast, &slow] {
        let programs =
            report.phases.iter().filter(|(kind, _)| !["kv-store", "weights-to-pim", "ca"].contains(&kind.as_str()));
        let sum: Time = programs.map(|(_, time)| *time).sum();
        let layer = report.layer().ps();
        assert!(sum.ps() + 10 >= layer && sum.ps() <= layer + layer / 1000, "{report:?}");
        assert_eq!(report.layers.len(), LAYERS as usize);
        // Assignment goes on while distances arrive.
        let phase = |name: &str| report.phases.iter().find(|(kind, _)| kind == name).unwrap().1;
        assert!(phase("ca") > Time::ZERO && phase("ca") < phase("dc"), "{report:?}");
        // All channels have a part of every layer.
        assert_eq!(report.again, Some(1));
        assert_eq!(report.hidden(), report.margin_again().unwrap() > 0);
    }
    // On a slow GPU the channels wait for the importance weights, on a fast one less.
    assert!(slow.waiting > fast.waiting);
}

#[test]
fn do_centroids_wait_for_the_importance_of_the_tokens() {
    let run = run(&["gpu.fp16_dense=1 TFLOP/s"]);
    let system = run.system("aqpim");
    let hand_over = Figures::read(&run.loaded.points[0].1.systems[4]).unwrap().0.pim.unwrap().hand_over;
    for layer in 0..LAYERS {
        let of = |kind: &'static str| jobs(system).filter(move |s| s.kind == kind && s.tag.layer == Some(layer));
        let sent = of("weights-to-pim").map(|span| span.end).max().unwrap();
        assert!(of("importance").all(|span| span.end <= sent));
        assert!(of("weights").all(|span| span.ready >= sent + hand_over));
        // Each channel by itself: others may be ahead of it.
        for weights in of("weights") {
            let first = of("cc").filter(|span| span.id.actor == weights.id.actor).map(|span| span.start).min().unwrap();
            assert!(weights.end <= first, "{weights:?}");
        }
        // K and V went before, right behind RoPE.
        assert!(of("kv-store").all(|span| span.end <= of("attention").next().unwrap().end));
    }
}

#[test]
fn do_any_threads_leave_the_same_files() {
    let sets = [PROMPTS[0], "workload.context=[514, 200, 902]", "workload.batch=3"];
    let loaded = few_layers(&format!("{SMALL}{AQPIM}"), &sets);
    let files = |threads| {
        let directory = tempfile::tempdir().unwrap();
        let outputs = Outputs { directory: directory.path().to_owned(), trace: true };
        let mut control = Control { threads: NonZeroUsize::new(threads), ..Control::default() };
        run_to_files_within(&loaded, &outputs, &mut control, &|_| None).unwrap();
        directory
    };
    let one = files(1);
    assert!(one.path().join("prefill.svg").is_file() && one.path().join("prefill-timeline.svg").is_file());
    for threads in [1, 2, 3] {
        check_same(one.path(), files(threads).path());
    }
    // What was written can be read again.
    let text = std::fs::read_to_string(one.path().join("summary.json")).unwrap();
    let read = reports::summary::read(&text).unwrap();
    assert_eq!(reports::summary::to_json(&read), text);
}

#[test]
fn do_both_ways_of_execution_give_the_same_prefill() {
    let of = |execution: &str| {
        let set = format!("pim.execution={execution}");
        let run = run(&["workload.batch=2", &set]);
        ["attacc", "aqpim"].map(|name| run.system(name).input.spans.clone())
    };
    assert!(of("fast") == of("commands"));
}
