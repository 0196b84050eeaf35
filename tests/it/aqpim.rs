//! Do the systems of AQPIM's paper do what they are said to do?

use pim_device::device;
use pim_device::kernel::pq::{self, PqShape};
use pimscope::run::RunError;
use pimscope::scenario::{Format, Scenario};
use pimscope::system::SystemError;
use reports::{Category, Span, SystemInput, Time};

use crate::common::{Run, SystemRun, load, load_text, of_kind, shipped, try_run};

/// Mistral-7B on a GPU with four stacks in the place of four of its five.
fn scenario(context: u64, system: &str) -> String {
    format!(
        r#"
        name = "aqpim"
        [model]
        config = "mistral-7b-instruct-v0.2"
        [workload]
        batch = 16
        context = {context}
        beyond_trained_length = true
        [[system]]
        name = "one"
        gpu = "H100-SXM-80GB"
        {system}
        "#
    )
}

const AQPIM: &str = r#"
    pim = { device = "hbm3-aqpim", stacks = 4, placement = "replaces" }
    kv = { codec = "pq", subvectors = 32, centroids = 512, home = "pim" }
"#;
const ATTACC: &str = r#"
    pim = { device = "hbm3-pim-bank", stacks = 4, placement = "replaces" }
    kv = { home = "pim" }
"#;

#[track_caller]
fn run(context: u64, system: &str, sets: &[&str]) -> Run {
    try_run(load_text(&scenario(context, system), sets)).unwrap()
}

fn input(run: &Run) -> &SystemInput {
    &run.systems[0].input
}

// Memory.

#[test]
fn is_the_cache_smaller_by_the_published_factors() {
    for (context, packed, paged) in
        [(4096, "3.65", "3.44"), (8192, "4.82", "4.47"), (16_384, "5.75", "5.49"), (32_768, "6.36", "6.20")]
    {
        let run = run(context, AQPIM, &[]);
        let summary = reports::summary::to_value(&run.report);
        let found = &summary["systems"][0]["memory"]["kv_compression"];
        let of = |key: &str| format!("{:.2}", found[key].as_f64().unwrap());
        assert_eq!((of("packed").as_str(), of("paged").as_str()), (packed, paged), "{context} tokens");
        let table = reports::table::table(&run.report);
        assert!(table.contains(&format!("{packed}x ({paged}x paged)")), "{table}");
        assert!(reports::html::page(&run.report, &reports::html::Figures::default()).contains(packed));
    }
}

#[test]
fn do_the_stacks_hold_codebooks_indices_and_exact_tokens_in_whole_rows() {
    let run = run(32_768, AQPIM, &[]);
    // A bank has of a head: indices of K and of V, 28 to 32 B and 32 x 32 B to a row; a codebook of 4 elements x 512 x 2 B for
    // each; and a row of 40 exact tokens, 2 x 40 x 8 B.
    let indices = 32_728_u64.div_ceil(28).div_ceil(32);
    let rows = 2 * indices + 2 * 4 + 1;
    assert_eq!(rows, 83);
    // 32 of 64 banks, 16 x 8 heads in 32 layers; and in each of 64 channels the rows that all share.
    let shared = pq::buffer_rows(&device::hbm3_aqpim::device(), &PqShape::aqpim(128), 0, 0).unwrap();
    assert!((1..10).contains(&shared), "{shared}");
    let expected = rows * 32 * 1024 * 16 * 8 * 32 + 64 * shared * 64 * 1024;
    assert_eq!(input(&run).memory.pim.unwrap().used.0, expected);
}

#[track_caller]
fn fits(system: &str, sets: &[&str]) -> u64 {
    input(&run(1024, system, sets)).memory.kv_tokens_that_fit
}

#[test]
fn is_a_stack_without_rows_refused() {
    let fails =
        |factor: &str| match try_run(load_text(&scenario(1024, AQPIM), &[&format!("pim.density_factor={factor}")])) {
            Err(RunError::System { source, .. }) => matches!(*source, SystemError::NoRows { .. }),
            Err(other) => panic!("{other}"),
            Ok(_) => false,
        };
    assert!(fails("1e-9"));
    assert!(!fails("0.75"));
}

#[test]
fn is_the_wall_where_the_report_says() {
    let density = "pim.density_factor=0.75";
    for (name, system) in [("attacc", ATTACC), ("aqpim", AQPIM)] {
        let (whole, sparse) = (fits(system, &[]), fits(system, &[density]));
        let share = sparse as f64 / whole as f64;
        assert!((0.74..0.76).contains(&share), "{name}: {sparse} of {whole}");
        let refused = |context: u64| {
            let loaded = load_text(&scenario(context, system), &["kv.overflow=refuse", density]);
            match try_run(loaded) {
                Ok(_) => None,
                Err(RunError::System { source, .. }) => match *source {
                    SystemError::KvDoesNotFit { tokens_that_fit, .. } => Some(tokens_that_fit),
                    other => panic!("{other}"),
                },
                Err(other) => panic!("{other}"),
            }
        };
        assert_eq!(refused(sparse), None, "{name}");
        assert_eq!(refused(sparse + 1), Some(sparse), "{name}");
        // Where overflow is allowed the rest goes to the host.
        let over = run(sparse + 64, system, &[density, "kv.prefetch=0"]);
        assert!(input(&over).memory.spilled > 0 && input(&over).memory.host.unwrap().used.0 > 0, "{name}");
        assert!(of_kind(&input(&over).spans, "kv-fetch").count() > 0, "{name}");
    }
    // Batch 16 at 32,768 tokens of 128 KiB is exactly four stacks.
    assert_eq!(fits(ATTACC, &[]), 32_768);
}

// Errors.

#[track_caller]
fn refused(system: &str, place: &str, message: &str) {
    let error = Scenario::from_text("test.toml", &scenario(4096, system), Format::Toml, &[]).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(message), "{text}");
    assert!(text.contains(place), "{text}");
}

#[test]
fn are_codecs_that_a_device_cannot_serve_refused_where_they_stand() {
    let pq = |device: &str, codec: &str| {
        format!("pim = {{ device = \"{device}\", stacks = 4 }}\nkv = {{ {codec}, home = \"pim\" }}\n")
    };
    refused(&pq("hbm3-pim-bank", "codec = \"pq\""), "test.toml:13:", "`hbm3-pim-bank` cannot attend");
    refused(&pq("hbm3-aqpim", "codec = \"int:bits=4\""), "test.toml:13:", "`hbm3-aqpim` cannot attend");
    refused(&pq("hbm3-aqpim", "codec = \"pq:recluster=64\""), "test.toml:13:", "does not cluster again");
    refused(&pq("hbm3-aqpim", "codec = \"pq:k=1024\""), "test.toml:13:", "a table of 1024 centroids takes 2048 B");
    refused(&pq("hbm3-aqpim", "codec = \"pq:m=24\""), "test.toml:13:", "24 sub-vectors do not divide a head of 128");
    refused(&pq("hbm3-aqpim", "codec = \"pq:k=65537\""), "test.toml:13:", "`k` is \"65537\"");
    refused(&pq("hbm3-aqpim", "codec = \"pq:sinks=5000\""), "test.toml:13:", "5000 sinks");
    let values = "`pim.values` puts values together in another way";
    refused(&pq("hbm3-aqpim", "codec = \"pq:values=accumulate\""), "test.toml:13:", values);
    refused(&pq("hbm3-aqpim", "codec = \"pq\", values = \"accumulate\""), "test.toml:13:", values);
    refused(&pq("hbm3-aqpim\", values = \"accumulate", "codec = \"pq:values=reconstruct\""), "test.toml:13:", values);
    // As the device does it, or left to it.
    for (device, codec) in [("hbm3-aqpim", "pq:values=reconstruct"), ("hbm3-aqpim\", values = \"accumulate", "pq")] {
        let text = scenario(4096, &pq(device, &format!("codec = \"{codec}\"")));
        Scenario::from_text("test.toml", &text, Format::Toml, &[]).unwrap();
    }
}

// Energy.

/// Joules of a token step, whole and of attention alone, by system of the shipped scenario.
fn joules(sets: &[&str]) -> impl Fn(&str) -> (f64, f64) {
    let run = try_run(load("aqpim/energy", sets)).unwrap();
    let of = |system: &SystemRun| {
        let report = &system.report;
        let all = report.energy_per_step().unwrap() / 1e12;
        (report.name.clone(), (all, report.attention_energy_per_step().unwrap() / 1e12))
    };
    let found: Vec<(String, (f64, f64))> = run.systems.iter().map(of).collect();
    move |name| found.iter().find(|(system, _)| system == name).unwrap().1
}

#[track_caller]
fn ratio(joules: &dyn Fn(&str) -> (f64, f64), over: &str, whole: f64, attention: f64) {
    let (ours, other) = (joules("aqpim"), joules(over));
    let found = (ours.0 / other.0, ours.1 / other.1);
    assert!((found.0 / whole - 1.0).abs() < 0.01, "{over}: whole step {}", found.0);
    assert!((found.1 / attention - 1.0).abs() < 0.05, "{over}: attention {}", found.1);
}

/// The table of docs/AQPIM.md.
#[test]
fn does_the_energy_ratio_move_with_idle_power_as_the_docs_say() {
    let as_it_is = joules(&[]);
    ratio(&as_it_is, "gpu", 1.121, 0.326);
    ratio(&as_it_is, "gpu-blind", 0.324, 0.082);
    ratio(&as_it_is, "gpu-offload", 0.0576, 0.0139);
    ratio(&as_it_is, "attacc", 1.106, 1.077);
    let no_host = joules(&["host.idle_power=0 W", "host.dram_standby=0 W", "host.dram_refresh=0 W"]);
    ratio(&no_host, "gpu", 0.988, 0.213);
    ratio(&no_host, "gpu-offload", 0.1235, 0.0224);
    let twice = joules(&["host.idle_power=210 W", "host.dram_standby=88.8 mW", "host.dram_refresh=23 mW"]);
    ratio(&twice, "gpu", 1.187, 0.381);
    ratio(&twice, "gpu-offload", 0.0472, 0.0126);
    // A GPU whose kernels never rest takes its design power whatever its idle power is.
    let no_gpu = joules(&["gpu.idle_power=0 W"]);
    assert!((no_gpu("gpu").0 / as_it_is("gpu").0 - 1.0).abs() < 0.01);
    assert!(no_gpu("gpu-offload").0 < 0.85 * as_it_is("gpu-offload").0);
}

#[test]
fn is_attention_a_part_of_the_energy_and_the_weights_the_rest() {
    let run = try_run(load("aqpim/energy", &[])).unwrap();
    for SystemRun { report, input, .. } in &run.systems {
        let of = |parts: &[(String, f64)], name: &str| parts.iter().find(|(part, _)| part == name).unwrap().1;
        for (name, energy) in &report.attention_energy_pj {
            assert!(*energy >= 0.0 && *energy <= of(&report.energy_pj, name) * (1.0 + 1e-9), "{} {name}", report.name);
        }
        // What is left of the GPU's memory is what dense kernels read: weights once, for each group those of QKV again.
        let left = of(&report.energy_pj, "gpu.memory") - of(&report.attention_energy_pj, "gpu.memory");
        let again = if report.name == "aqpim" { 32.0 * 50.33e6 } else { 0.0 };
        let bytes = left / 3.59 / 8.0;
        // Their activations come on top, about a hundredth.
        let over = bytes / (14.22e9 + again) - 1.0;
        assert!((0.0..0.02).contains(&over), "{}: {bytes} B", report.name);
        // Of power that is taken all the time the share of the time in which attention is under way.
        let share = of(&report.attention_energy_pj, "gpu.idle") / of(&report.energy_pj, "gpu.idle");
        let time = report.attention.breakdown.total().seconds() / report.latency().seconds();
        assert!((share - time).abs() < 0.01, "{}: {share} of the power, {time} of the time", report.name);
        let lines: f64 = report.attention_energy_pj[1..].iter().map(|(_, energy)| energy).sum();
        assert!((lines / report.attention_energy_pj[0].1 - 1.0).abs() < 1e-9);
        assert_eq!(input.attention_energy_pj.len() + 1, report.attention_energy_pj.len());
    }
}

#[test]
fn is_every_idle_power_marked_as_an_assumption_wherever_energy_is_shown() {
    let run = try_run(load("aqpim/energy", &[])).unwrap();
    let keys = [
        "gpu.idle_power",
        "gpu.mem_standby",
        "gpu.mem_refresh",
        "host.idle_power",
        "host.dram_standby",
        "host.dram_refresh",
        "pim.standby_open",
        "pim.standby_closed",
        "pim.energy_refresh",
    ];
    let figure = reports::figure::energy::svg(&run.report.systems).unwrap().unwrap();
    for words in ["GPU idle", "CPU idle", "host DRAM idle", "PIM idle", "PIM commands", "its attention alone"] {
        assert!(figure.contains(words), "{words}");
    }
    let page = reports::html::page(&run.report, &reports::html::Figures::default());
    let marked = page.split("Idle power that is an assumption").nth(1).unwrap().split("</p>").next().unwrap();
    for key in keys {
        assert!(run.report.assumptions.iter().any(|assumption| assumption.key == key), "{key}");
        assert!(marked.contains(&format!("<code>{key}</code>")), "{key}");
    }
    let table = reports::table::table(&run.report);
    assert!(table.contains("idle, standby, refresh") && table.contains("energy of its attention"), "{table}");
    // It comes back from the file as it was written.
    let text = reports::summary::to_json(&run.report);
    let back = reports::summary::read(&text).unwrap();
    for (back, system) in back.systems.iter().zip(&run.report.systems) {
        assert_eq!(back.attention_energy_per_step(), system.attention_energy_per_step());
    }
    // None of it where a part of the run's energy went into prompts.
    let mixed = load_text(&scenario(1024, AQPIM), &["workload.kind=prefill+decode", "model.layers=1"]);
    let mixed = try_run(mixed).unwrap();
    assert!(input(&mixed).attention_energy_pj.is_empty());
    assert_eq!(reports::figure::energy::svg(&mixed.report.systems).unwrap(), None);
}

// Groups of sequences.

fn spans<'a>(input: &'a SystemInput, kind: &'a str, layer: u32) -> Vec<&'a Span> {
    of_kind(&input.spans, kind).filter(|span| span.tag.layer == Some(layer)).collect()
}

#[test]
fn are_weights_read_once_for_each_group_and_nothing_else_twice() {
    for system in [ATTACC, AQPIM] {
        let with = |group: u32, pipeline: &str| {
            let (group, pipeline) = (format!("pipeline_group={group}"), format!("pipeline={pipeline}"));
            run(4096, system, &[&group, &pipeline])
        };
        let whole = with(16, "qkv");
        let bytes = |run: &Run, kind: &str| spans(input(run), kind, 3).iter().map(|span| span.bytes).sum::<u64>();
        // 4096 x (4096 + 2 x 1024) x 2 B.
        let weights = 50_331_648;
        for group in [1, 2, 3, 5, 8, 15, 16, 40] {
            let run = with(group, "qkv");
            let groups = 16_u64.div_ceil(u64::from(group));
            assert_eq!(spans(input(&run), "qkv", 3).len() as u64, groups);
            assert_eq!(bytes(&run, "qkv"), bytes(&whole, "qkv") + (groups - 1) * weights, "groups of {group}");
            // A norm has 4096 weights of its own.
            assert_eq!(bytes(&run, "input_norm"), bytes(&whole, "input_norm") + (groups - 1) * 8192);
            for kind in ["rope", "output_projection", "gate_up", "down", "qkv-to-pim", "output-to-gpu"] {
                assert_eq!(bytes(&run, kind), bytes(&whole, kind), "groups of {group}: {kind}");
            }
            assert_eq!(spans(input(&run), "output_projection", 3).len(), 1);
        }
        let layers = with(8, "layer");
        for kind in ["output_projection", "gate_up", "down"] {
            assert_eq!(spans(input(&layers), kind, 3).len(), 2, "{kind}");
            assert!(bytes(&layers, kind) > bytes(&whole, kind));
        }
        assert_eq!(of_kind(&input(&layers).spans, "lm_head").count(), 1);
    }
}

#[test]
fn does_the_gpu_go_on_with_the_next_group_while_the_stacks_attend() {
    for (system, pipeline) in [(ATTACC, "qkv"), (AQPIM, "qkv"), (ATTACC, "layer"), (AQPIM, "layer")] {
        let sets = ["pipeline_group=8", &format!("pipeline={pipeline}")];
        let run = run(16_384, system, &sets);
        for layer in [0, 17, 31] {
            let (qkv, attention) = (spans(input(&run), "qkv", layer), spans(input(&run), "attention", layer));
            let first = attention.iter().min_by_key(|span| span.start).unwrap();
            let second = qkv.iter().max_by_key(|span| span.start).unwrap();
            // The first group's attention is under way before the second group's queries are made.
            assert!(first.start < second.end, "{pipeline}, layer {layer}");
            // No group is attended to before its own queries are there.
            assert!(first.start > qkv.iter().map(|span| span.end).min().unwrap());
            let last = attention.iter().max_by_key(|span| span.start).unwrap();
            assert!(last.start > second.end, "{pipeline}, layer {layer}");
            // The output is projected when all groups, or its own, have been attended to.
            let projections = spans(input(&run), "output_projection", layer);
            let end = attention.iter().map(|span| span.end).max().unwrap();
            assert!(projections.iter().map(|span| span.start).max().unwrap() > end);
        }
    }
}

#[test]
fn does_a_group_of_heads_fill_the_banks_side_by_side() {
    // 8 sequences x 8 heads, two of them in the banks of a channel: 32 channels for each group, so that both groups are
    // attended to side by side.
    let run = run(4096, AQPIM, &["pipeline_group=8"]);
    let classes: Vec<&String> = input(&run).actors.iter().filter(|name| name.starts_with("pim.channels")).collect();
    assert_eq!(classes, ["pim.channels0x32", "pim.channels1x32"]);
    // The whole batch at once fills all 64.
    let whole = self::run(4096, AQPIM, &["pipeline_group=16"]);
    assert!(input(&whole).actors.iter().any(|name| name == "pim.channels0x64"));
    let of = |run: &Run| spans(input(run), "attention", 5).iter().map(|span| span.end - span.start).max().unwrap();
    // The same program; only the refreshes fall elsewhere.
    let ratio = of(&run).seconds() / of(&whole).seconds();
    assert!((ratio - 1.0).abs() < 0.02, "{ratio}");
}

#[test]
fn is_half_of_the_batch_a_group_where_codes_are_in_the_stacks_and_all_of_it_otherwise() {
    let group = |system: &str, batch: u32| {
        let loaded = load_text(&scenario(4096, system), &[&format!("workload.batch={batch}")]);
        loaded.points[0].1.systems[0].pipeline_group
    };
    assert_eq!((group(AQPIM, 16), group(AQPIM, 7), group(AQPIM, 1)), (8, 4, 1));
    assert_eq!((group(ATTACC, 16), group("", 16)), (16, 16));
}

/// What half of the batch a group costs, and why: the time of attention stays, QKV's weights are read once more.
#[test]
fn do_two_groups_cost_the_weights_of_qkv_where_half_of_the_batch_leaves_channels_idle() {
    let of = |batch: u32, context: u64, groups: u32| {
        let sets = [format!("workload.batch={batch}"), format!("pipeline_group={}", batch / groups)];
        let run = run(context, AQPIM, &sets.iter().map(String::as_str).collect::<Vec<_>>());
        let report = &run.systems[0].report;
        (report.latency().seconds(), report.breakdown.get(Category::ComputePim).seconds())
    };
    let again = 32.0 * 50_331_648.0 / (2.9e12 / 5.0);
    // 16 sequences are one wave of every channel, 8 of them one of every other channel: attention takes as long.
    let (one, two) = (of(16, 4096, 1), of(16, 4096, 2));
    assert!((two.1 / one.1 - 1.0).abs() < 0.02, "{one:?} {two:?}");
    assert!(((two.0 - one.0) / again - 1.0).abs() < 0.1, "{one:?} {two:?}, {again}");
    // Where each group fills all channels, and its attention outlasts the weights, the second QKV hides behind the first group's attention: neither gain nor loss.
    let (one, two) = (of(32, 32_768, 1), of(32, 32_768, 2));
    assert!((two.0 - one.0).abs() < 0.1 * again, "{one:?} {two:?}, {again}");
}

// The shipped scenarios.

#[test]
fn does_the_share_of_offloading_follow_the_closed_form_where_transfers_and_kernels_take_turns() {
    let run = shipped("aqpim/communication-share");
    // Bytes of weights that a step reads, achieved rates of PCIe 5 and of HBM, and what a token costs.
    let (weights, link, hbm) = (14.22e9, 55.6e9, 2.9e12);
    let mut shares = Vec::new();
    for ((_, scenario), systems) in run.loaded.points.iter().zip(run.systems.chunks(4)) {
        if scenario.systems[0].kv.prefetch > 0 {
            continue;
        }
        let tokens = (scenario.workload.context * 32) as f64;
        let kv = tokens * 131_072.0;
        for system in systems {
            let report = &system.report;
            // Read by kernels besides the weights, and moved over the link.
            let (read, moved) = match report.name.as_str() {
                "gpu-offload" => (kv, kv),
                "pqcache" => (0.2 * kv, 0.2 * kv),
                "pqcache-union" => (0.8 * kv, 0.8 * kv),
                _ => continue,
            };
            let closed = 1.0 / (1.0 + link / hbm * (weights + read) / moved);
            let share = report.breakdown.communication_share();
            assert!(share < closed + 0.005, "{} at {tokens} tokens: {share:.4}, closed form {closed:.4}", report.name);
            // Launches and look-ups come on top of the closed form where little is moved.
            if report.name == "gpu-offload" {
                assert!((share - closed).abs() < 0.03, "{tokens} tokens: {share:.4}, closed form {closed:.4}");
                shares.push(share);
            }
        }
    }
    assert!(shares.windows(2).all(|pair| pair[0] < pair[1]), "{shares:?}");
    assert!(shares[0] < 0.93 && shares[4] > 0.97, "{shares:?}");
}

#[test]
fn does_a_layer_of_the_fetching_system_take_what_is_published() {
    let run = shipped("aqpim/communication-share");
    // At 30,000 tokens and 55.6 GB/s a fifth of 32 sequences takes 14.1 ms a layer; the published 11.385 ms is that of 27.8 k
    // tokens at 64 GB/s, or 24 k at what the link reaches.
    let last = run.systems.iter().rfind(|system| system.report.name == "pqcache").unwrap();
    let view = &last.report.attention;
    let pcie = view.breakdown.get(Category::CommunicationPcie).seconds() / view.layers as f64;
    let by_hand = 0.2 * 30_000.0 * 32.0 * 4096.0 / 55.6e9;
    assert!((pcie / by_hand - 1.0).abs() < 0.02, "{pcie} {by_hand}");
}

#[test]
fn is_what_the_scenarios_say_of_the_variants_so() {
    let run = shipped("aqpim/decode-latency");
    let last = &run.systems[run.systems.len() - 14..];
    let of = |name: &str| &last.iter().find(|system| system.report.name == name).unwrap().report;
    let attention = |name: &str| of(name).attention.per_layer().seconds();
    // Attention at 0.5 instead of 0.83 of the peak, four times the bytes, and both.
    assert!((attention("gpu-half") / attention("gpu") - 0.83 / 0.5).abs() < 0.05, "{}", attention("gpu-half"));
    assert!((attention("gpu-blind") / attention("gpu") - 4.0).abs() < 0.1);
    assert!((attention("gpu-blind-half") / attention("gpu") - 4.0 * 0.83 / 0.5).abs() < 0.2);
    assert!(attention("attacc-shared") < attention("attacc") && attention("aqpim-shared") < attention("aqpim"));
    assert!(of("attacc-overflow").breakdown.communication_share() > 0.5);
    assert!(of("aqpim-adds").latency() < of("aqpim").latency());
    // Everything resident, a step on GPU and PIM cannot be faster than its weights: no 8.33x whatever attention takes.
    let bound = (14.22 + 68.7) / 14.22;
    assert!(of("gpu").latency().seconds() / of("aqpim-adds").latency().seconds() < bound);
}

#[test]
fn does_a_look_up_rate_never_cost_time_and_decide_less_and_less() {
    let run = shipped("aqpim/lookup-rate");
    let mut compared = 0;
    for (points, systems) in run.loaded.points.chunks(5).zip(run.systems.chunks(5)) {
        let latency: Vec<Time> = systems.iter().map(|system| system.report.attention.breakdown.total()).collect();
        for (pair, (keys, _)) in latency.windows(2).zip(points) {
            assert!(pair[1] < pair[0], "{keys:?}: {latency:?}");
            compared += 1;
        }
        assert!(latency[0] - latency[1] > latency[3] - latency[4], "{latency:?}");
    }
    assert_eq!(compared, 12 * 4);
}

#[test]
fn does_a_scenario_in_a_folder_answer_to_its_name() {
    let names = ["aqpim/decode-latency", "aqpim/decode-latency.toml", "scenarios/aqpim/decode-latency.toml"];
    let digests = names.map(|name| Scenario::load(std::path::Path::new(name), &[]).unwrap().sha256);
    assert!(digests.iter().all(|digest| *digest == load("aqpim/decode-latency", &[]).sha256));
}
