//! Tests of scenario files: that what is right is understood alike in every form, and what is wrong is said well.

use std::fs;

use miette::{GraphicalReportHandler, GraphicalTheme};
use proptest::prelude::*;
use serde_json::json;
use sim_core::{Bytes, Rate, Time};

use super::*;
use crate::catalogue::{FigureKind, LinkKind};

/// A scenario that uses a bit of everything.
const FULL: &str = r#"name = "offload and AttAcc"
seed = 7

[model]
config = "mistral-7b-instruct-v0.2"
dtype = "fp16"

[workload]
kind = "decode"
batch = 16
context = 32000
new_tokens = 4

[[system]]
name = "gpu-offload"
gpu = { device = "H100-SXM-80GB", count = 1, copy_setup = "3 us" }
host = { cpu = "Xeon-8480+", link = { name = "PCIe5x16", latency = "0.5 us" }, sockets = 1 }
kv = { codec = "fp16", home = "host", prefetch = 1, block = "64 KiB" }

[[system]]
name = "attacc"
dispatch = "stream"
gpu = "H100"
pim = { device = "hbm3-pim-bank", stacks = 4, placement = "replaces", gqa = "shared" }
kv = { home = "pim", overflow = "refuse", spill_unit = "tokens" }
"#;

const FULL_JSON: &str = r#"{
  "seed": 7, "name": "another name",
  "model": { "dtype": "fp16", "config": "models/mistral-7b-instruct-v0.2.json" },
  "workload": { "new_tokens": 4, "context": 32000, "batch": 16 },
  "system": [
    { "name": "gpu-offload",
      "gpu": { "device": "h100", "copy_setup": "3000 ns" },
      "host": { "sockets": 1, "link": { "device": "gen5x16", "latency": "500 ns" } },
      "kv": { "home": "host", "block": "65536 B", "attention": "gpu" } },
    { "name": "attacc", "dispatch": "stream",
      "gpu": { "device": "H100-SXM-80GB", "hbm_stacks": 5 },
      "pim": { "device": "hbm3-pim-bank", "stacks": 4, "placement": "replaces", "gqa": "shared", "switch": false },
      "kv": { "home": "pim", "overflow": "refuse", "spill_unit": "tokens" } }
  ]
}"#;

const SMALL: &str = r#"[model]
config = "llama-2-7b"

[workload]
batch = 1
context = 100

[[system]]
name = "a"
gpu = "A100"
"#;

fn sets(sets: &[&str]) -> Vec<String> {
    sets.iter().map(|&set| set.to_owned()).collect()
}

fn toml(text: &str, flags: &[&str]) -> Result<Loaded, ScenarioError> {
    Scenario::from_text("scenario.toml", text, Format::Toml, &sets(flags))
}

#[track_caller]
fn good(text: &str, flags: &[&str]) -> Loaded {
    toml(text, flags).unwrap_or_else(|error| panic!("{}", render(&error)))
}

#[track_caller]
fn one(text: &str, flags: &[&str]) -> Scenario {
    let loaded = good(text, flags);
    assert_eq!(loaded.points.len(), 1);
    loaded.points[0].1.clone()
}

/// As the command line shows it, without colours.
fn render(error: &ScenarioError) -> String {
    let mut text = String::new();
    GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
        .with_width(120)
        .render_report(&mut text, error)
        .unwrap();
    text
}

#[test]
fn every_field_arrives() {
    let scenario = one(FULL, &[]);
    assert_eq!((scenario.name.as_str(), scenario.seed), ("offload and AttAcc", 7));
    assert_eq!(scenario.model.path_shown, "built-in models/mistral-7b-instruct-v0.2.json");
    assert_eq!(scenario.dtype.bytes(), 2);
    assert_eq!((scenario.workload.batch, scenario.workload.new_tokens), (16, 4));
    let [offload, attacc] = scenario.systems.as_slice() else {
        panic!("two systems");
    };
    assert_eq!(offload.dispatch, Dispatch::Graph);
    assert_eq!(offload.gpu.entry.time("copy_setup"), Ok(Time::from_us(3)));
    assert_eq!(offload.gpu.entry.get("copy_setup").unwrap().kind, FigureKind::Scenario);
    assert_eq!(offload.gpu.hbm_stacks, 5);
    assert_eq!(offload.host.cpu.integer("sockets"), Ok(1));
    assert_eq!(offload.host.link.time("latency"), Ok(Time::from_ns(500)));
    assert_eq!(offload.pim, None);
    assert_eq!(offload.kv.block, Some(Bytes(65_536)));
    assert_eq!((offload.kv.home, offload.kv.attention), (Home::Host, Attention::Gpu));
    let pim = attacc.pim.as_ref().unwrap();
    assert_eq!((pim.stacks, pim.placement, pim.switch), (4, Placement::Replaces, false));
    assert_eq!(pim.entry.text("gqa"), Ok("shared"));
    assert_eq!(pim.link.link_kind(), Some(LinkKind::OnPackage));
    assert_eq!(pim.link.bandwidth("raw_bw"), Ok(Rate(670_400_000_000)));
    assert_eq!((attacc.kv.home, attacc.kv.attention), (Home::Pim, Attention::Pim));
    assert_eq!((attacc.kv.overflow, attacc.kv.spill_unit), (Overflow::Refuse, SpillUnit::Tokens));
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let scenario = one(SMALL, &[]);
    assert_eq!((scenario.name.as_str(), scenario.seed), ("scenario", 1));
    assert_eq!(scenario.workload.new_tokens, 1);
    let system = &scenario.systems[0];
    assert_eq!((system.gpu.hbm_stacks, system.gpu.count), (5, 1));
    assert_eq!(system.host.cpu.name, "Xeon-8480+");
    assert_eq!(system.host.link.name, "PCIe4x16");
    assert_eq!(
        system.kv,
        KvChoice {
            codec: CodecChoice::default(),
            home: Home::Gpu,
            attention: Attention::Gpu,
            prefetch: 1,
            overflow: Overflow::Host,
            spill_unit: SpillUnit::Sequences,
            block: None,
            gather: Gather::Loads,
            gqa_blind: false,
        }
    );
}

#[test]
fn a_context_is_a_number_or_a_list() {
    let lengths = |text: &str, sets: &[&str]| {
        let workload = one(text, sets).workload;
        assert_eq!((workload.batch, workload.context), (workload.lengths.sequences(), workload.lengths.longest()));
        workload.lengths.iter().collect::<Vec<_>>()
    };
    assert_eq!(lengths(SMALL, &[]), [100]);
    assert_eq!(lengths(SMALL, &["workload.batch=3"]), [100, 100, 100]);
    let list = "workload.context=[5, 70, 5]";
    let text = SMALL.replace("batch = 1\n", "");
    assert_eq!(lengths(&text, &[list]), [5, 70, 5]);
    assert_eq!(lengths(SMALL, &[list, "workload.batch=3"]), [5, 70, 5]);
    // Who is older is part of what is run.
    assert_ne!(one(&text, &[list]).sha256, one(&text, &["workload.context=[70, 5, 5]"]).sha256);
    assert_eq!(one(&text, &[list]).sha256, one(SMALL, &[list, "workload.batch=3"]).sha256);
}

#[test]
fn toml_json_and_flags_agree() {
    let from_toml = good(FULL, &[]);
    let from_json = Scenario::from_text("other.json", FULL_JSON, Format::Json, &[]).unwrap();
    assert_eq!(from_toml.sha256, from_json.sha256);
    let flags = [
        "seed=7",
        "model.config=mistral-7b-instruct-v0.2",
        "workload.batch=16",
        "workload.context=32000",
        "workload.new_tokens=4",
        r#"system=[{name="gpu-offload",gpu="H100"},{name="attacc",gpu="H100"}]"#,
        "system.gpu-offload.gpu.copy_setup=3 us",
        "system.0.host.sockets=1",
        "system.0.host.link=PCIe5x16",
        "system.0.host.link.latency=0.5us",
        "system.0.kv.home=host",
        "system.0.kv.block=64 KiB",
        "system.attacc.dispatch=stream",
        r#"system.1.pim={device="hbm3-pim-bank",stacks=4}"#,
        "pim.placement=replaces",
        "platform.pim.gqa=shared",
        "system.1.kv.home=pim",
        "system.1.kv.overflow=refuse",
        "system.1.kv.spill_unit=tokens",
    ];
    assert_eq!(good(SMALL, &flags).sha256, from_toml.sha256);
}

#[test]
fn the_digest_covers_what_is_simulated_and_no_names_of_files() {
    let base = one(SMALL, &[]).sha256;
    assert_eq!(base.len(), 64);
    assert_eq!(one(SMALL, &["name=other"]).sha256, base);
    assert_eq!(one(SMALL, &["model.config=models/llama-2-7b.json"]).sha256, base);
    assert_eq!(one(SMALL, &["kv.prefetch=1"]).sha256, base);
    for change in [
        "seed=2",
        "workload.batch=2",
        "kv.prefetch=2",
        "gpu.copy_engines=1",
        "system.0.name=b",
        "model.config=llama-2-13b",
        "model.dtype=bf16",
    ] {
        assert_ne!(one(SMALL, &[change]).sha256, base, "{change}");
    }
}

#[test]
fn a_sweep_makes_points_the_first_key_slowest() {
    let text = format!("{SMALL}\n[sweep]\n\"workload.context\" = [100, 200]\nkv.prefetch = [0, 1, 2]\n");
    let loaded = good(&text, &[]);
    assert_eq!(loaded.points.len(), 6);
    assert_eq!(
        loaded.sweep,
        [
            ("workload.context".to_owned(), vec![json!(100), json!(200)]),
            ("kv.prefetch".to_owned(), vec![json!(0), json!(1), json!(2)])
        ]
    );
    let order: Vec<_> =
        loaded.points.iter().map(|(_, point)| (point.workload.context, point.systems[0].kv.prefetch)).collect();
    assert_eq!(order, [(100, 0), (100, 1), (100, 2), (200, 0), (200, 1), (200, 2)]);
    let keys = &loaded.points[4].0;
    assert_eq!(keys, &[("workload.context".to_owned(), json!(200)), ("kv.prefetch".to_owned(), json!(1))]);
    assert_ne!(loaded.sha256, loaded.points[0].1.sha256);
    // A flag holds the key that it sets.
    let held = good(&text, &["workload.context=150"]);
    assert_eq!(held.points.len(), 3);
    assert!(held.points.iter().all(|(_, point)| point.workload.context == 150));
    // And may bring a sweep along.
    let brought = good(SMALL, &["sweep.workload.batch=[1, 2]"]);
    let batches: Vec<_> = brought.points.iter().map(|(_, point)| point.workload.batch).collect();
    assert_eq!(batches, [1, 2]);
}

#[test]
fn a_sweep_may_name_models_devices_and_one_system() {
    let text = format!(
        "{FULL}\n[sweep]\n\"model.config\" = [\"mistral-7b-instruct-v0.2\", \"llama-3.1-8b\"]\n\
         \"system.attacc.pim.stacks\" = [2, 3]\n\"host.link\" = [\"PCIe4x16\", {{ name = \"PCIe5x16\", latency = \"1 us\" }}]\n"
    );
    let loaded = good(&text, &[]);
    assert_eq!(loaded.points.len(), 8);
    let (_, last) = &loaded.points[7];
    assert!(last.model.path_shown.contains("llama-3.1-8b"));
    assert_eq!(last.systems[1].pim.as_ref().unwrap().stacks, 3);
    for system in &last.systems {
        assert_eq!(system.host.link.time("latency"), Ok(Time::from_us(1)));
    }
}

#[test]
fn a_key_without_a_system_reaches_those_that_have_the_section() {
    let scenario = one(FULL, &["pim.stacks=2"]);
    assert_eq!(scenario.systems[0].pim, None);
    assert_eq!(scenario.systems[1].pim.as_ref().unwrap().stacks, 2);
    let scenario = one(FULL, &["host.link.raw_bw=32 GB/s"]);
    for system in &scenario.systems {
        assert_eq!(system.host.link.bandwidth("raw_bw"), Ok(Rate(32_000_000_000)));
    }
}

#[test]
fn a_model_is_found_near_the_scenario() {
    let folder = tempfile::tempdir().unwrap();
    let scenarios = folder.path().join("scenarios");
    fs::create_dir_all(scenarios.join("own")).unwrap();
    fs::create_dir_all(folder.path().join("models")).unwrap();
    let file = scenarios.join("s.toml");
    fs::write(&file, SMALL).unwrap();
    let set = |config: &str| sets(&[&format!("model.config={config}")]);
    fs::write(scenarios.join("own/config.json"), r#"{"max_position_embeddings": 100}"#).unwrap();
    fs::write(folder.path().join("models/up.json"), r#"{"max_position_embeddings": 101}"#).unwrap();
    for (config, end) in [
        ("own", "scenarios/own/config.json"),
        ("own/config.json", "scenarios/own/config.json"),
        ("models/up.json", "models/up.json"),
    ] {
        let loaded = Scenario::load(&file, &set(config)).unwrap();
        assert!(loaded.points[0].1.model.path_shown.ends_with(end), "{config}");
        assert_eq!(loaded.name, "s");
    }
    let trained = Scenario::load(&file, &sets(&["model.config=own", "workload.context=101"])).unwrap_err();
    assert_eq!(*trained.problem(), Problem::BeyondTrainedLength { context: 101, trained: 100 });
}

#[test]
fn every_shipped_scenario_is_built_in_and_loads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut names = Vec::new();
    let mut folders = vec![folder.clone()];
    while let Some(below) = folders.pop() {
        for file in below.read_dir().unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "toml") {
                if let Err(error) = Scenario::load(&path, &[]) {
                    panic!("{}", render(&error));
                }
                names.push(path.strip_prefix(&folder).unwrap().with_extension("").to_string_lossy().into_owned());
            }
        }
    }
    names.sort();
    let embedded: Vec<_> = SHIPPED_SCENARIOS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, embedded, "list them in `shipped!` of src/scenario.rs");
    for (_, text) in SHIPPED_SCENARIOS {
        assert!(!title(text).is_empty());
    }
    // The tests run in the folder of the package: `scenarios/` is there, these are not.
    for name in ["quickstart", "quickstart.toml"] {
        assert_eq!(Scenario::load(Path::new(name), &[]).unwrap().points.len(), 1);
    }
}

#[test]
fn a_wide_sweep_stays_quick() {
    let values: Vec<_> = (1..=400).map(|value| value.to_string()).collect();
    let text = format!("{SMALL}\n[sweep]\nseed = [{0}]\nworkload.batch = [{0}]\n", values[..50].join(","));
    assert_eq!(good(&text, &[]).points.len(), 2500);
}

#[test]
fn what_is_wrong_in_a_file_is_shown_in_its_place() {
    let replaced = |from: &str, to: &str| FULL.replacen(from, to, 1);
    let many = (1..=400).map(|value| value.to_string()).collect::<Vec<_>>().join(",");
    let cases = [
        ("syntax", replaced("batch = 16", "batch 16")),
        ("unknown_key", replaced("prefetch = 1", "prefech = 1")),
        ("unknown_section", format!("{FULL}\n[workloads]\nbatch = 1\n")),
        ("memory_for_bandwidth", replaced("copy_setup = \"3 us\"", "mem_bw_peak = \"64 GB\"")),
        ("no_unit", replaced("\"3 us\"", "3")),
        ("unknown_unit", replaced("\"64 KiB\"", "\"64 kib\"")),
        ("zero_bandwidth", replaced("copy_setup = \"3 us\"", "mem_bw_peak = \"0 GB/s\"")),
        ("batch_zero", replaced("batch = 16", "batch = 0")),
        ("batch_negative", replaced("batch = 16", "batch = -4")),
        ("batch_fraction", replaced("batch = 16", "batch = 1.5")),
        ("batch_text", replaced("batch = 16", "batch = \"16\"")),
        ("batch_huge", replaced("batch = 16", "batch = 99999999999999999999999999999999999999999999")),
        ("two_gpus", replaced("count = 1", "count = 2")),
        ("beyond_trained_length", replaced("context = 32000", "context = 32769")),
        ("lengths_none", replaced("context = 32000", "context = []")),
        ("lengths_zero", replaced("batch = 16\ncontext = 32000", "context = [9, 0]")),
        ("lengths_text", replaced("batch = 16\ncontext = 32000", "context = [9, \"10\"]")),
        ("lengths_nested", replaced("batch = 16\ncontext = 32000", "context = [9, [10]]")),
        ("lengths_count", replaced("context = 32000", "context = [9, 10, 11]")),
        ("lengths_trained", replaced("batch = 16\ncontext = 32000", "context = [9, 40000, 50000]")),
        ("lengths_new_tokens", replaced("batch = 16\ncontext = 32000", "context = [9, 3, 5]")),
        ("too_many_new_tokens", replaced("new_tokens = 4", "new_tokens = 32001")),
        ("device_typo", replaced("H100-SXM-80GB", "H100-SMX-80GB")),
        ("not_simulated", replaced("Xeon-8480+", "Grace")),
        ("pim_not_simulated", replaced("hbm3-pim-bank", "hbm2-pim")),
        ("word_typo", replaced("home = \"host\"", "home = \"hots\"")),
        ("later", replaced("\"decode\"", "\"requests\"")),
        ("codec_typo", replaced("codec = \"fp16\"", "codec = \"kivy\"")),
        ("codec_parameter_typo", replaced("codec = \"fp16\"", "codec = \"pq:m=32,iteration=4\"")),
        ("codec_parameter_out_of_range", replaced("codec = \"fp16\"", "codec = \"pq\", centroids = 65537")),
        ("codec_does_not_divide", replaced("codec = \"fp16\"", "codec = \"pq\", subvectors = 24")),
        ("codec_more_sinks_than_tokens", replaced("codec = \"fp16\"", "codec = \"pq:k=64,sinks=200000\"")),
        ("codec_parameter_of_another", replaced("codec = \"fp16\"", "codec = \"int\", m = 2")),
        ("codec_parameter_twice", replaced("codec = \"fp16\"", "codec = \"pq:m=32\", subvectors = 32")),
        ("codec_parameter_is_a_list", replaced("codec = \"fp16\"", "codec = \"pq\", subvectors = [32]")),
        ("codec_on_the_cpu", replaced("codec = \"fp16\"", "codec = \"pq\", attention = \"cpu\"")),
        ("codec_cut_by_tokens", replaced("codec = \"fp16\"", "codec = \"kivi\", spill_unit = \"tokens\"")),
        ("no_model", replaced("[model]\nconfig = \"mistral-7b-instruct-v0.2\"\ndtype = \"fp16\"\n", "")),
        ("no_config", replaced("config = \"mistral-7b-instruct-v0.2\"\n", "")),
        ("unknown_model", replaced("mistral-7b-instruct-v0.2", "models/mistral-7b-instruct.json")),
        ("no_gpu", replaced("gpu = \"H100\"\n", "")),
        ("one_system_as_a_table", SMALL.replace("[[system]]", "[system]")),
        ("empty_systems", "system = []\n".to_owned() + &SMALL[..SMALL.find("[[").unwrap()]),
        ("duplicate_names", replaced("\"attacc\"", "\"gpu-offload\"")),
        ("name_with_a_slash", replaced("\"attacc\"", "\"../attacc\"")),
        ("pim_home_without_pim", replaced("home = \"host\"", "home = \"pim\"")),
        ("attention_out_of_reach", replaced("home = \"host\"", "home = \"host\", attention = \"pim\"")),
        ("replaces_all_stacks", replaced("stacks = 4", "stacks = 5")),
        ("switch_without_cxl", replaced("stacks = 4", "stacks = 4, switch = true")),
        ("figure_of_another_link", replaced("latency = \"0.5 us\"", "flit_payload = \"64 B\"")),
        ("link_twice", replaced("name = \"PCIe5x16\"", "name = \"PCIe5x16\", device = \"PCIe4x16\"")),
        (
            "on_package_host",
            replaced("link = { name = \"PCIe5x16\", latency = \"0.5 us\" }", "link = \"HBM-interface\""),
        ),
        ("kv_is_a_text", replaced("{ home = \"pim\", overflow = \"refuse\", spill_unit = \"tokens\" }", "\"pim\"")),
        ("empty_sweep", format!("{FULL}\n[sweep]\n\"workload.batch\" = []\n")),
        ("sweep_value_twice", format!("{FULL}\n[sweep]\n\"workload.batch\" = [1, 2, 4, 2]\n")),
        ("sweep_not_a_list", format!("{FULL}\n[sweep]\n\"workload.batch\" = 3\n")),
        ("sweep_unknown_key", format!("{FULL}\n[sweep]\n\"workload.bacth\" = [1]\n")),
        ("sweep_bad_value", format!("{FULL}\n[sweep]\n\"workload.batch\" = [1, 2, 0]\n")),
        ("sweep_too_large", format!("{FULL}\n[sweep]\nseed = [{many}]\nworkload.batch = [{many}]\n")),
        ("deep_nesting", format!("x = {}1{}", "[".repeat(2000), "]".repeat(2000))),
        ("deep_key", format!("{}x = 1", "a.".repeat(50_000))),
        ("after_wide_characters", replaced("\"3 us\"", "\"3 \u{1f980}s\"")),
    ];
    for (name, text) in cases {
        let error = toml(&text, &[]).expect_err(name);
        insta::assert_snapshot!(format!("file_{name}"), render(&error));
    }
}

#[test]
fn what_is_wrong_in_json_is_shown_by_its_key_path() {
    let replaced = |from: &str, to: &str| FULL_JSON.replacen(from, to, 1);
    let cases = [
        ("syntax", replaced("\"batch\": 16", "\"batch\" 16")),
        ("cut_off", FULL_JSON[..200].to_owned()),
        ("unknown_key", replaced("\"overflow\"", "\"overflw\"")),
        ("wrong_unit", replaced("3000 ns", "3000 B")),
        ("twice", replaced("\"seed\": 7", "\"seed\": 7, \"seed\": 8")),
        ("float", replaced("\"batch\": 16", "\"batch\": 16.0")),
        ("huge", replaced("\"batch\": 16", "\"batch\": 1e30")),
        ("null", replaced("\"batch\": 16", "\"batch\": null")),
        ("a_list", "[1, 2]".to_owned()),
        ("lengths", replaced("32000", "[7, -1]")),
        ("deep_nesting", format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000))),
        ("sweep", replaced("\"seed\": 7", "\"sweep\": {\"kv.prefetch\": [1, \"2\"]}")),
    ];
    for (name, text) in cases {
        let error = Scenario::from_text("scenario.json", &text, Format::Json, &[]).expect_err(name);
        insta::assert_snapshot!(format!("json_{name}"), render(&error));
    }
}

#[test]
fn what_is_wrong_in_a_flag_is_shown_with_the_flag() {
    let cases = [
        ("unknown_key", "kv.prefech=2"),
        ("unknown_root", "workloads.batch=2"),
        ("unknown_figure", "gpu.mem_bw=2 TB/s"),
        ("no_equals", "workload.batch"),
        ("no_key", "=3"),
        ("empty_part", "workload..batch=3"),
        ("open_quote", "system.\"a.kv.home=host"),
        ("wrong_type", "workload.batch=many"),
        ("wrong_unit", "host.link.latency=3 GB"),
        ("no_unit", "host.link.latency=3"),
        ("unknown_system", "system.attack.kv.home=gpu"),
        ("system_out_of_range", "system.2.kv.home=gpu"),
        ("unknown_key_of_a_system", "system.attacc.kv.hme=gpu"),
        ("field_in_a_field", "workload.batch.size=3"),
        ("lengths", "workload.context=[7, 0]"),
        ("lengths_count", "workload.context=[7, 8]"),
        ("bad_list", "sweep.workload.batch=[1, 2"),
        ("section_by_text", "workload=3"),
        ("control_characters", "name=a\u{1b}[31mred"),
        ("platform_alone", "platform=3"),
        ("system_alone", "system=3"),
    ];
    for (name, flag) in cases {
        let error = toml(FULL, &[flag]).expect_err(name);
        insta::assert_snapshot!(format!("flag_{name}"), render(&error));
    }
    let nobody = toml(SMALL, &["pim.stacks=2"]).unwrap_err();
    insta::assert_snapshot!("flag_no_system_has_it", render(&nobody));
}

#[test]
fn files_that_are_no_scenarios_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let bad_model = write("bad-model.json", b"{ no }");
    let model_list = write("list.json", b"[]");
    let with_model = |path: &Path| SMALL.replace("llama-2-7b", &path.display().to_string());
    let cases = [
        ("missing", folder.path().join("nowhere.toml")),
        ("folder", folder.path().to_owned()),
        ("random_bytes", write("random.toml", &[0x7f, b'E', b'L', b'F', 0xff, 0xfe, 0])),
        ("empty", write("empty.toml", b"")),
        ("blank", write("blank.toml", b"\n\n")),
        ("empty_json", write("empty.json", b"")),
        ("large", write("large.toml", &vec![b'#'; 10 << 20])),
        ("one_long_line", write("long.toml", format!("name = \"{}", "x".repeat(100_000)).as_bytes())),
        ("bad_model", write("a.toml", with_model(&bad_model).as_bytes())),
        ("model_is_a_list", write("b.toml", with_model(&model_list).as_bytes())),
        ("windows_lines", write("crlf.toml", SMALL.replace("batch = 1", "batch = 0").replace('\n', "\r\n").as_bytes())),
    ];
    for (name, path) in cases {
        let error = Scenario::load(&path, &[]).expect_err(name);
        let text = render(&error).replace(&folder.path().display().to_string(), "DIR");
        insta::assert_snapshot!(format!("read_{name}"), text);
    }
    let marked = write("bom.toml", format!("\u{feff}{SMALL}").as_bytes());
    assert!(Scenario::load(&marked, &[]).is_ok());
    let unnamed = write("scenario", FULL_JSON.as_bytes());
    assert!(Scenario::load(&unnamed, &[]).is_ok());
}

#[test]
fn the_place_is_there_for_programs_too() {
    let error = toml(&SMALL.replace("batch = 1", "batch = 0"), &[]).unwrap_err();
    assert_eq!(error.to_string(), "scenario.toml:5:9: `workload.batch` is 0; a whole number from 1 to 4096 is wanted");
    let error = ScenarioError::in_model("models/x.json", "`hidden_size` is missing");
    assert_eq!(error.to_string(), "models/x.json: `hidden_size` is missing");
}

#[test]
fn the_json_schema_names_every_key_and_refuses_others() {
    let schema = json_schema();
    insta::assert_snapshot!("json_schema", serde_json::to_string_pretty(&schema).unwrap());
    let mut keys = Vec::new();
    schema::ROOT.dotted("", true, &mut keys);
    let text = schema.to_string();
    for key in keys {
        let last = key.rsplit('.').next().unwrap_or_default();
        assert!(text.contains(&format!("\"{last}\":")), "{key}");
    }
}

#[test]
fn defaults_of_the_schema_pass_its_own_check() {
    fn walk(section: &'static schema::Section) {
        for field in section.fields {
            if let (schema::Takes::Word(words), schema::Fallback::Text(text)) = (field.takes, field.fallback) {
                assert!(words.iter().any(|word| word.ready && word.word == text), "{}", field.key);
            }
        }
        for inner in section.sections {
            walk(inner);
        }
    }
    walk(schema::ROOT);
}

/// Whatever it says, it says it without a panic.
fn survive(text: &str, flags: &[String]) {
    for format in [Format::Toml, Format::Json] {
        if let Err(error) = Scenario::from_text("scenario", text, format, flags) {
            assert!(!render(&error).is_empty());
        }
    }
}

proptest! {
    #[test]
    fn random_text_never_panics(text in "\\PC{0,200}", lines in "([a-z\\[\\]{}=\"., 0-9\n]{0,20}\n){0,12}") {
        survive(&text, &[]);
        survive(&lines, &[]);
    }

    #[test]
    fn a_damaged_scenario_never_panics(at in 0..FULL.len(), length in 0_usize..30, put in "[\\PC\n]{0,6}") {
        for text in [FULL, FULL_JSON] {
            let at = text.floor_char_boundary(at.min(text.len()));
            let end = text.floor_char_boundary((at + length).min(text.len()));
            survive(&format!("{}{put}{}", &text[..at], &text[end..]), &[]);
        }
    }

    #[test]
    fn a_line_in_the_wrong_place_never_panics(from in 0..FULL.lines().count(), to in 0..FULL.lines().count()) {
        let mut lines: Vec<_> = FULL.lines().collect();
        let line = lines[from];
        lines.insert(to, line);
        survive(&lines.join("\n"), &[]);
        lines.remove(from.max(to));
        survive(&lines.join("\n"), &[]);
    }

    #[test]
    fn a_random_flag_never_panics(flag in "\\PC{0,40}", key in "[a-z0-9_.\"]{0,30}", value in "\\PC{0,20}") {
        survive(FULL, &[flag]);
        survive(FULL, &[format!("{key}={value}")]);
    }

    #[test]
    fn any_value_for_any_key_is_taken_or_refused(index in 0_usize..200, value in "(-?[0-9]{1,25}(\\.[0-9]{1,3})?|true|[a-z]{1,6}|\\[\\]|\\{\\}|[0-9]{1,3} (GB/s|us|B|%))") {
        let mut keys = Vec::new();
        schema::ROOT.dotted("", true, &mut keys);
        let key = &keys[index % keys.len()];
        survive(FULL, &[format!("{key}={value}")]);
        survive(FULL, &[format!("sweep.{key}=[{value}]")]);
        survive(FULL, &[format!("system.attacc.{key}={value}")]);
    }
}
