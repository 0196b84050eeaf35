//! What if the sequences of a batch have different lengths?

use std::collections::BTreeMap;

use pimscope::run::RunError;
use reports::{SystemInput, SystemReport, Time};

use crate::common::{Run, SMALL, check_same, load, load_text, of_kind, to_files, try_run};

/// A run of the four small systems.
#[track_caller]
fn run(lengths: &str, sets: &[&str]) -> Run {
    let context = format!("workload.context={lengths}");
    // Without the batch of the file, which has to fit the list.
    let text = SMALL.replace("batch = 4\n", "");
    assert_ne!(text, SMALL);
    try_run(load_text(&text, &[&[context.as_str()], sets].concat())).unwrap()
}

/// Bytes and operations of all jobs by kind.
fn totals(input: &SystemInput) -> BTreeMap<&'static str, (u64, u64)> {
    let mut totals: BTreeMap<_, (u64, u64)> = BTreeMap::new();
    for span in &input.spans {
        let (bytes, operations) = totals.entry(span.kind).or_default();
        *bytes += span.bytes;
        *operations += span.operations;
    }
    totals
}

#[test]
fn are_equal_lengths_in_a_list_the_same_as_a_number() {
    let number = load_text(SMALL, &[]);
    let list = load_text(SMALL, &["workload.context=[1024, 1024, 1024, 1024]"]);
    assert_eq!(number.sha256, list.sha256);
    check_same(to_files(&number).path(), to_files(&list).path());
    let one = load_text(SMALL, &["workload.batch=1", "workload.context=[77]"]);
    assert_eq!(one.sha256, load_text(SMALL, &["workload.batch=1", "workload.context=77"]).sha256);
}

#[test]
fn does_a_mixed_batch_move_what_its_sequences_move() {
    let lengths = [1_000, 64, 300, 64, 777];
    let mixed = run("[1000, 64, 300, 64, 777]", &[]);
    let alone = lengths.map(|length| run(&length.to_string(), &[]));
    // The kinds that go over the cache, or carry what each sequence needs.
    let kinds =
        ["attention", "attention-fetched", "kv-fetch", "kv-append", "qkv-to-host", "qkv-to-pim", "output-to-gpu"];
    let mut seen = 0;
    for (index, system) in mixed.systems.iter().enumerate() {
        let all = totals(&system.input);
        let singles: Vec<_> = alone.iter().map(|run| totals(&run.systems[index].input)).collect();
        for (kind, &expected) in all.iter().filter(|(kind, _)| kinds.contains(kind)) {
            let sum = singles.iter().map(|totals| totals[kind]).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
            assert_eq!(sum, expected, "{kind} of {}", system.input.name);
            seen += 1;
        }
    }
    assert_eq!(seen, 10, "every kind of every system");
}

#[test]
fn is_attention_on_the_gpu_the_formula() {
    let mixed = run("[1000, 64, 300, 64, 777]", &[]);
    let report = &mixed.system("gpu").report;
    assert_eq!((report.batch, report.context), (5, 1_000));
    assert_eq!(report.lengths, [1_000, 64, 300, 64, 777]);
    // 9 query heads and 3 KV heads of 64 elements of 2 bytes; the first of two steps reads a token less of each.
    for (step, tokens) in [(1, 2_205 - 5), (2, 2_205)] {
        let spans = of_kind(&mixed.system("gpu").input.spans, "attention").filter(|span| span.tag.step == step);
        for span in spans {
            assert_eq!(span.bytes, tokens * 2 * 3 * 64 * 2 + 5 * 2 * 9 * 64 * 2);
            assert_eq!(span.operations, tokens * 4 * 9 * 64);
        }
    }
}

#[test]
fn does_the_longest_sequence_bound_attention_in_the_stacks() {
    // Each of 5 x 3 heads has a channel of its own.
    let mixed = run("[1000, 64, 300, 64, 8000]", &[]);
    let input = &mixed.system("attacc").input;
    let longest = run("8000", &[]);
    let longest = &longest.system("attacc").input;
    for layer in 0..30 {
        let of = |input: &SystemInput| -> Vec<reports::Span> {
            let tag = |span: &&reports::Span| span.tag.layer == Some(layer) && span.tag.step == 2;
            let actor = |span: &&reports::Span| input.actors[span.id.actor.index()].starts_with("pim.channels");
            of_kind(&input.spans, "attention").filter(tag).filter(actor).cloned().collect()
        };
        let (spans, alone) = (of(input), of(longest));
        let last = spans.last().unwrap();
        assert!(spans.iter().all(|span| span.bytes <= last.bytes && span.end <= last.end));
        let by_bytes: Vec<_> = spans.iter().map(|span| (span.bytes, span.end - span.start)).collect();
        let mut sorted = by_bytes.clone();
        sorted.sort_by_key(|&(bytes, _)| bytes);
        // More bytes, more time; programs that are alike take the same, for they begin in the same instant.
        assert!(sorted.windows(2).all(|pair| (pair[0].0 < pair[1].0) == (pair[0].1 < pair[1].1)), "{sorted:?}");
        // Of one length the programs are the same but for when refreshes fall due.
        let refresh = Time::from_ns(700);
        let (here, there) = (last.end - last.start, alone[0].end - alone[0].start);
        assert!(here.max(there) - here.min(there) <= refresh, "{here} and {there}");
        assert!(here > spans[0].end - spans[0].start + refresh);
    }
}

/// The quick start's PIM system, one stack, one token.
#[track_caller]
fn one_stack(lengths: &str, sets: &[&str]) -> Result<Run, RunError> {
    let context = format!("workload.context={lengths}");
    let common = ["workload.new_tokens=1", "workload.batch=6", "system.attacc.pim.stacks=1", &context];
    let mut loaded = load("quickstart", &[&common[..], sets].concat());
    loaded.points[0].1.systems.retain(|spec| spec.name == "attacc");
    try_run(loaded)
}

/// Rows of a head in a channel of 65,536 bytes each: 128 tokens share a row, K and V have their own.
fn unit(tokens: u64) -> u64 {
    2 * tokens.div_ceil(128 * 2) * 65_536
}

const SPILLING: &str = "[32000, 30000, 12345, 32000, 31999, 10000]";

#[test]
fn do_the_newest_of_different_sequences_spill() {
    let run = one_stack(SPILLING, &[]).unwrap();
    let (input, report) = (&run.systems[0].input, &run.systems[0].report);
    let memory = &input.memory;
    let (pim, host) = (memory.pim.unwrap(), memory.host.unwrap());
    assert!(pim.used <= pim.capacity);
    let fetched: Vec<_> = of_kind(&input.spans, "kv-fetch").collect();
    assert_eq!(fetched.len(), 32);
    // 4,096 B of a token in a layer. The newest sequence is out in every layer, the one before it in some.
    let [few, many] = [10_000 - 1, 10_000 - 1 + 31_999 - 1].map(|tokens: u64| tokens * 4_096);
    let out = fetched.iter().filter(|span| span.bytes == many).count();
    assert!(out > 0 && fetched.iter().all(|span| span.bytes == few || span.bytes == many));
    let placement = &report.memory.placement[0];
    assert!(
        placement.contains("sequence 6 of 6 in layers 0 to") && placement.contains("sequences 5 to 6 of 6"),
        "{placement}"
    );
    // What is in the stacks and what is not is everything, with the padding of each.
    let all: u64 = [32_000, 30_000, 12_345, 32_000, 31_999, 10_000].iter().map(|&tokens| unit(tokens) * 8 * 32).sum();
    assert_eq!(pim.used.0 + memory.spilled, all);
    assert_eq!(host.used.0, fetched.iter().map(|span| span.bytes).sum::<u64>() + (32 + out as u64) * 4_096);
    // One more unit would not have fitted: its 8 heads of 250 rows find no channel.
    assert!(pim.capacity.0 - pim.used.0 < unit(31_999) * 8 + 16 * unit(31_999));
    assert_eq!(of_kind(&input.spans, "merge").count(), 0);
}

#[test]
fn are_only_the_longer_sequences_cut_and_merged() {
    let run = one_stack(SPILLING, &["kv.spill_unit=tokens"]).unwrap();
    let input = &run.systems[0].input;
    let memory = &input.memory;
    assert!(memory.pim.unwrap().used <= memory.pim.unwrap().capacity);
    let placement = &memory.placement[0];
    let said =
        "tokens of the 4 sequences of 6 that have more, in layers 0 to 31. The two partial softmaxes of each of those";
    assert!(placement.contains(said), "{placement}");
    let kept: u64 = {
        let from = placement.find("all but the oldest ").unwrap() + "all but the oldest ".len();
        placement[from..].split(' ').next().unwrap().parse().unwrap()
    };
    assert!((12_345..30_000).contains(&kept), "{kept}");
    let beyond: u64 = [32_000, 30_000, 32_000, 31_999].iter().map(|tokens| tokens - kept).sum();
    for fetch in of_kind(&input.spans, "kv-fetch") {
        assert_eq!(fetch.bytes, (beyond - 4) * 4_096);
    }
    // Three outputs of 4 sequences of 4,096 elements of 2 bytes, and the maxima and sums of 32 heads.
    for merge in of_kind(&input.spans, "merge") {
        assert_eq!(merge.bytes, 3 * 4 * 4_096 * 2 + 2 * 8 * 4 * 32);
    }
    assert_eq!(of_kind(&input.spans, "merge").count(), 32);
}

#[test]
fn does_a_refusal_name_the_span_of_the_lengths() {
    let refused = one_stack(SPILLING, &["kv.overflow=refuse"]).unwrap_err();
    let RunError::System { source, remedy, .. } = &refused else { panic!("{refused}") };
    let message = source.to_string();
    assert!(message.contains("6 sequences of 10000 to 32000 tokens"), "{message}");
    let remedy = remedy.as_deref().unwrap();
    assert!(remedy.contains("lower the longer ones of workload.context to "), "{remedy}");
    // What it says would fit does, and one token more does not.
    let fit: u64 = remedy.split("context to ").nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
    let capped = |most: u64| -> String {
        format!("{:?}", [32_000, 30_000, 12_345, 32_000, 31_999, 10_000].map(|tokens: u64| tokens.min(most)))
    };
    assert!(one_stack(&capped(fit), &["kv.overflow=refuse"]).is_ok(), "{fit}");
    assert!(one_stack(&capped(fit + 1), &["kv.overflow=refuse"]).is_err(), "{fit}");
}

#[test]
fn do_the_reports_show_different_lengths() {
    let run = run("[1000, 64, 300]", &[]);
    let summary = reports::summary::to_value(&run.report);
    assert_eq!(summary["systems"][0]["decode"]["context"], serde_json::json!([1_000, 64, 300]));
    assert_eq!(summary["systems"][0]["decode"]["batch"], 3);
    let text = reports::summary::to_json(&run.report);
    let back = reports::summary::read(&text).unwrap();
    assert_eq!(back.systems.iter().map(SystemReport::shape).collect::<Vec<_>>(), ["3, 64 to 1000, 2"; 4]);
    assert_eq!(reports::summary::to_json(&back), text);
    assert!(reports::table::table(&run.report).contains("3, 64 to 1000, 2"));
    assert!(reports::html::page(&run.report, &reports::html::Figures::default()).contains("3, 64 to 1000, 2"));
}

#[test]
fn can_a_sweep_go_over_lists() {
    let swept =
        format!("{}\n[sweep]\n\"workload.context\" = [[100, 200], 150]\n", SMALL.replace("batch = 4\n", "batch = 2\n"));
    let run = try_run(load_text(&swept, &[])).unwrap();
    let [list, number] = run.report.points.as_slice() else { panic!("two points") };
    assert_eq!(list.keys, [("workload.context".to_owned(), serde_json::json!([100, 200]))]);
    assert_eq!((list.systems[0].lengths.as_slice(), number.systems[0].context), (&[100, 200][..], 150));
    // As many tokens in all: on the GPU the same bytes take the same time.
    assert_eq!(list.systems[0].latency(), number.systems[0].latency());
    let directory = to_files(&run.loaded);
    for file in ["share.svg", "report.html", "spans.csv"] {
        assert!(directory.path().join(file).exists());
    }
}
