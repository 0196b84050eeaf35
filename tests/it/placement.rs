//! What lies where when memories are full, and what does it cost?

use pimscope::run::RunError;
use pimscope::scenario::Loaded;
use pimscope::system::SystemError;
use reports::{Category, SystemInput, Time};

use crate::common::{Run, load, of_kind, shipped, try_run};

/// The quick start with one of its systems only, for one token.
#[track_caller]
fn alone(system: &str, sets: &[&str]) -> Loaded {
    let mut all = vec!["workload.new_tokens=1"];
    all.extend(sets);
    let mut loaded = load("quickstart", &all);
    loaded.points[0].1.systems.retain(|spec| spec.name == system);
    assert_eq!(loaded.points[0].1.systems.len(), 1);
    loaded
}

fn three_stacks(sets: &[&str]) -> Run {
    let mut all = vec!["system.attacc.pim.stacks=3"];
    all.extend(sets);
    try_run(alone("attacc", &all)).unwrap()
}

/// All KV of the quick start: 16 sequences of 32,000 tokens of 128 KiB.
const ALL: u64 = 16 * 32_000 * 131_072;
/// One sequence in one layer: 250 rows of 64 KiB in each of 8 channels, without padding.
const UNIT: u64 = ALL / (16 * 32);

#[test]
fn does_what_does_not_fit_three_stacks_go_to_the_host() {
    let run = three_stacks(&[]);
    let memory = &run.systems[0].input.memory;
    let (pim, host) = (memory.pim.unwrap(), memory.host.unwrap());
    assert!(memory.spilled > 0);
    assert_eq!(pim.used.0 + memory.spilled, ALL);
    assert_eq!(host.used.0, memory.spilled);
    assert_eq!(pim.capacity.0, 3 << 34);
    assert_eq!(memory.spilled % UNIT, 0, "whole sequences per layer");
    // A channel has 16,384 rows and a head takes 250 of them: 65 heads in each of 48 channels, 8 heads in a unit.
    assert_eq!(pim.used.0, 65 * 48 / 8 * UNIT);
}

#[test]
fn does_the_report_say_how_much_of_whom_and_where_to() {
    let run = three_stacks(&[]);
    // 390 of 512 units stay: 13 sequences in the first 6 layers, 12 in the other 26.
    let expected = "14.89 GiB of the 62.50 GiB of KV cache do not fit the home and go to the host: sequences 14 to 16 \
                    of 16 in layers 0 to 5, and sequences 13 to 16 of 16 in layers 6 to 31.";
    let placement = &run.systems[0].report.memory.placement;
    assert!(placement[0].starts_with("KV home PIM stacks: ") && placement[0].ends_with(expected), "{placement:?}");
    assert!(placement.iter().any(|line| line.contains("host memory: KV cache (pinned) 14.89 GiB")), "{placement:?}");
    let table = reports::table::table(&run.report);
    assert!(table.contains(expected), "{table}");
    let page = reports::html::page(&run.report, &reports::html::Figures::default());
    assert!(page.contains(expected));
    let summary = reports::summary::to_value(&run.report);
    assert!(summary["systems"][0]["memory"]["placement"][0].as_str().unwrap().ends_with(expected));
}

#[test]
fn is_the_spilled_part_fetched_over_pcie() {
    let run = three_stacks(&[]);
    let (input, report) = (&run.systems[0].input, &run.systems[0].report);
    assert!(report.breakdown.get(Category::CommunicationPcie) > Time::ZERO);
    let fetched: Vec<_> = of_kind(&input.spans, "kv-fetch").collect();
    assert_eq!(fetched.len(), 32, "every layer has a part in the host");
    assert!(fetched.iter().all(|span| span.category == Category::CommunicationPcie));
    // The new token's K and V are on the GPU already: 4,096 B for each spilled unit.
    let spilled = input.memory.spilled;
    let appended: u64 = of_kind(&input.spans, "kv-append").map(|span| span.bytes).sum();
    assert_eq!(appended, spilled / UNIT * 4_096);
    assert_eq!(fetched.iter().map(|span| span.bytes).sum::<u64>() + appended, spilled);
    // Whole sequences are in one place each: nothing to merge.
    assert_eq!(of_kind(&input.spans, "merge").count(), 0);
    assert_eq!(of_kind(&input.spans, "attention-fetched").count(), 32);
    // With four stacks nothing is fetched.
    let whole = &shipped("quickstart").system("attacc").input;
    assert_eq!((whole.memory.spilled, of_kind(&whole.spans, "kv-fetch").count()), (0, 0));
}

#[test]
fn are_sequences_cut_by_tokens_and_merged() {
    let run = three_stacks(&["kv.spill_unit=tokens"]);
    let (input, memory) = (&run.systems[0].input, &run.systems[0].input.memory);
    let (pim, host) = (memory.pim.unwrap(), memory.host.unwrap());
    assert!(memory.spilled > 0);
    assert_eq!(pim.used.0 + memory.spilled, ALL);
    // 128 tokens share a row, so the home is padded to whole rows and the host's part is not smaller.
    let kept: u64 = 24_320;
    assert_eq!(host.used.0, (32_000 - kept) * 16 * 131_072);
    assert!(host.used.0 >= memory.spilled);
    let said = &memory.placement[0];
    assert!(said.contains("tokens 24321 to 32000 of every sequence (1 to 16) in layers 0 to 31"), "{said}");
    assert!(said.contains("merged"), "{said}");
    // Every layer: a part in the stacks, a part on the GPU, and one merge that waits for both.
    for kind in ["attention-fetched", "kv-fetch", "merge"] {
        assert_eq!(of_kind(&input.spans, kind).count(), 32, "{kind}");
    }
    for merge in of_kind(&input.spans, "merge") {
        let same_layer = |kind| of_kind(&input.spans, kind).filter(|span| span.tag == merge.tag);
        assert!(same_layer("attention-fetched").all(|span| span.end <= merge.ready));
        assert_eq!(same_layer("output-to-gpu").count(), 3);
        assert!(same_layer("output-to-gpu").all(|span| span.end <= merge.ready));
        assert!(same_layer("output_projection").all(|span| span.start >= merge.end));
    }
}

#[test]
fn are_the_gpus_sequences_cut_by_tokens_and_merged() {
    let sets = ["workload.batch=20", "kv.spill_unit=tokens"];
    let run = try_run(alone("gpu", &sets)).unwrap();
    let (input, memory) = (&run.systems[0].input, &run.systems[0].input.memory);
    assert!(memory.spilled > 0);
    for kind in ["attention", "attention-fetched", "merge"] {
        assert_eq!(of_kind(&input.spans, kind).count(), 32, "{kind}");
    }
    let all = 20 * 32_000 * 131_072;
    let gpu = memory.gpu.unwrap();
    assert!(gpu.used <= gpu.capacity);
    assert_eq!(memory.host.unwrap().used.0, memory.spilled);
    let read = |kind| of_kind(&input.spans, kind).map(|span| span.bytes).sum::<u64>();
    // Both kernels read their part and the same few activations.
    let read = read("attention") + read("attention-fetched");
    assert!(read >= all && read < all + all / 1000, "{read} bytes read of {all}");
}

/// What a refusal says: its text, and the tokens that fit.
#[track_caller]
fn refused(loaded: Loaded) -> (String, u64) {
    match try_run(loaded) {
        Err(RunError::System { source, remedy, .. }) => match *source {
            SystemError::KvDoesNotFit { tokens_that_fit, .. } => {
                assert!(remedy.unwrap().contains(&format!("lower workload.context to {tokens_that_fit}")));
                (source.to_string(), tokens_that_fit)
            }
            other => panic!("{other}"),
        },
        other => panic!("it should be refused: {other:?}"),
    }
}

/// Refuses `sets`, and looks whether as many tokens as the refusal names fit, and not one more.
#[track_caller]
fn check_refusal(system: &str, sets: &[&str], home: &str) {
    let with = |context: Option<u64>| {
        let context = context.map(|context| format!("workload.context={context}"));
        let mut all = vec!["kv.overflow=refuse", "workload.beyond_trained_length=true"];
        all.extend(sets);
        all.extend(context.as_deref());
        alone(system, &all)
    };
    let (text, fit) = refused(with(None));
    assert!(text.contains(home), "{text}");
    assert!(text.contains(&format!("{fit} tokens of each sequence would fit")), "{text}");
    assert!(fit > 0);
    let run = try_run(with(Some(fit))).unwrap_or_else(|error| panic!("{fit} tokens do not fit: {error}"));
    assert_eq!(run.systems[0].input.memory.spilled, 0);
    let (_, again) = refused(with(Some(fit + 1)));
    assert_eq!(again, fit, "one token more is told the same");
}

#[test]
fn do_as_many_tokens_fit_three_stacks_as_a_refusal_says() {
    check_refusal("attacc", &["system.attacc.pim.stacks=3"], "3 PIM stacks");
}

#[test]
fn do_as_many_tokens_fit_one_stack_as_a_refusal_says() {
    check_refusal("attacc", &["system.attacc.pim.stacks=1", "workload.batch=7"], "1 PIM stack");
}

#[test]
fn do_as_many_tokens_fit_the_gpu_as_a_refusal_says() {
    check_refusal("gpu", &["workload.batch=20"], "the GPU");
}

#[test]
fn do_as_many_tokens_fit_a_smaller_gpu_as_a_refusal_says() {
    check_refusal("gpu", &["gpu.mem_capacity=20 GiB", "workload.batch=3"], "the GPU");
}

#[test]
fn do_as_many_tokens_fit_the_host_as_a_refusal_says() {
    check_refusal("gpu-offload", &["system.gpu-offload.host.mem_capacity=60 GiB"], "the host");
}

/// The time of the kernels that stream weights, for the first token.
fn dense(input: &SystemInput) -> f64 {
    let kinds = ["qkv", "output_projection", "gate_up", "down", "lm_head"];
    let first = input.spans.iter().filter(|span| span.tag.step == 1 && kinds.contains(&span.kind));
    let spans: Vec<_> = first.collect();
    assert_eq!(spans.len(), 4 * 32 + 1);
    spans.iter().map(|span| (span.end - span.start).seconds()).sum()
}

#[test]
fn do_dense_layers_pay_for_the_stacks_that_are_replaced() {
    let run = shipped("replaces");
    let of = |name| dense(&run.system(name).input);
    // Every token reads 7.11 billion parameters of 2 B, at the 670 GB/s of the one stack that is left.
    let peak: f64 = 14.22e9 / 670e9;
    assert!((of("replaces-at-peak") / peak - 1.0).abs() < 0.03, "{}", of("replaces-at-peak"));
    // Streaming kernels reach 2900 of 3350 GB/s.
    let reached = peak * 3350.0 / 2900.0;
    assert!((reached - 24.5e-3).abs() < 0.1e-3);
    assert!((of("replaces") / reached - 1.0).abs() < 0.03, "{}", of("replaces"));
    // All five stacks.
    assert!(of("adds") < 5.5e-3 && of("gpu") < 5.5e-3, "{} {}", of("adds"), of("gpu"));
    for name in ["replaces", "replaces-at-peak"] {
        let system = run.system(name);
        assert_eq!(system.input.memory.gpu.unwrap().capacity.0, 16 << 30);
        assert_eq!(system.input.memory.pim.unwrap().capacity.0, 64 << 30);
        let notes = system.report.notes.join("\n");
        assert!(notes.contains("21.226 ms at 670 GB/s peak") || notes.contains("(21.226 ms at 670"), "{notes}");
    }
}

#[test]
fn does_attention_in_the_banks_take_what_its_commands_take() {
    // 128 units (16 sequences x 8 KV heads) on 64 channels: 2 units a channel, 4 query heads each, one after the other.
    // K and V of a unit are 2 x 32,000 x 128 x 2 B = 16.4 MB, 250 all-bank rows of 64 banks x 1 KiB. A row takes 32
    // MACAB, one in 6 cycles, and closing it and opening the next one: 32 x 6 + tRP 19 + tRCD 19 + some 2 = 232 cycles
    // of 0.769 ns. Refresh takes 350 ns out of every 5070 cycles (3.9 us).
    let rows: f64 = 2.0 * 4.0 * 250.0;
    let layer = rows * 232.0 * 0.769e-9;
    let refresh = 1.0 - 350.0 / (5070.0 * 0.769);
    let expected: f64 = 32.0 * layer / refresh;
    assert!((expected - 12.5e-3).abs() < 0.1e-3, "{expected}");
    let report = &shipped("quickstart").system("attacc").report;
    for step in &report.step_breakdown {
        let pim = step.get(Category::ComputePim).seconds();
        assert!((pim / expected - 1.0).abs() < 0.15, "{pim} s, by hand {expected} s");
    }
}
