//! Does the way in which a scenario is written, or the run, change the result?

use std::fs;

use pimscope::run::{keep_nothing, simulate};
use pimscope::scenario::{Format, Loaded, Scenario};

use crate::common::{SMALL, load_text, to_files};

/// Digest and the bytes of summary.json.
fn outcome(loaded: &Loaded) -> (String, String) {
    let report = simulate(loaded, &mut keep_nothing).unwrap();
    (report.scenario_sha256.clone(), reports::summary::to_json(&report))
}

fn as_json(toml: &str) -> String {
    let value: serde_json::Value = toml::from_str(toml).unwrap();
    serde_json::to_string_pretty(&value).unwrap()
}

#[test]
fn are_toml_and_json_the_same_scenario() {
    let toml = outcome(&load_text(SMALL, &[]));
    let json = Scenario::from_text("test.json", &as_json(SMALL), Format::Json, &[]).unwrap();
    assert_eq!(toml, outcome(&json));
}

#[test]
fn are_toml_and_json_files_the_same_scenario() {
    let directory = tempfile::tempdir().unwrap();
    let load = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        Scenario::load(&path, &[]).unwrap()
    };
    let toml = load("a.toml", SMALL);
    // The ending says nothing here, the first character does.
    let json = load("b", &as_json(SMALL));
    assert_eq!(toml.sha256, json.sha256);
    assert_eq!(toml.points, json.points);
}

#[test]
fn is_a_flag_the_same_as_a_line() {
    let line = SMALL.replace("batch = 4", "batch = 3").replace("stacks = 1", "stacks = 2");
    assert_ne!(line, SMALL);
    let line = outcome(&load_text(&line, &[]));
    for flags in [
        ["workload.batch=3", "pim.stacks=2"],
        ["workload.batch=3", "system.attacc.pim.stacks=2"],
        ["system.3.pim.stacks = 2", "workload.batch = 3"],
        ["platform.pim.stacks=2", "workload.batch=3"],
    ] {
        assert_eq!(line, outcome(&load_text(SMALL, &flags)), "{flags:?}");
    }
}

#[test]
fn is_a_default_the_same_written_out() {
    let written = [
        "seed=1",
        "model.dtype=fp16",
        "workload.kind=decode",
        "workload.beyond_trained_length=false",
        "dispatch=graph",
        "kv.codec=fp16",
        "kv.overflow=host",
        "kv.spill_unit=sequences",
        "host.cpu=Xeon-8480+",
        "host.link=PCIe5x16",
    ];
    let (default, written) = (load_text(SMALL, &[]), load_text(SMALL, &written));
    assert_eq!(default.sha256, written.sha256);
}

#[test]
fn does_the_way_to_execute_pim_programs_change_anything() {
    let fast = load_text(SMALL, &["pim.execution=fast"]);
    let commands = load_text(SMALL, &["pim.execution=commands"]);
    assert_ne!(fast.points, commands.points);
    assert_eq!(outcome(&fast), outcome(&commands));
    assert_eq!(outcome(&fast), outcome(&load_text(SMALL, &[])));
}

#[test]
fn does_the_order_of_the_keys_matter() {
    let turned = SMALL.replace("batch = 4\n    context = 1024", "context = 1024\n    batch = 4");
    assert_ne!(turned, SMALL);
    assert_eq!(outcome(&load_text(SMALL, &[])), outcome(&load_text(&turned, &[])));
}

#[test]
fn does_a_value_change_the_digest() {
    let plain = load_text(SMALL, &[]).sha256;
    for set in [
        "seed=2",
        "workload.batch=5",
        "workload.context=1023",
        "kv.prefetch=2",
        "gpu=A100",
        "host.link.raw_bw=60 GB/s",
        "pim.gqa=shared",
    ] {
        assert_ne!(plain, load_text(SMALL, &[set]).sha256, "{set}");
    }
}

#[test]
fn do_two_spellings_of_a_quantity_agree() {
    let digest = |set: &str| load_text(SMALL, &[set]).sha256;
    assert_eq!(digest("host.link.raw_bw=64 GB/s"), digest("host.link.raw_bw=64000 MB/s"));
    assert_eq!(digest("host.flag_latency=0.5 us"), digest("host.flag_latency=500 ns"));
    assert_eq!(digest("gpu.mem_capacity=80 GiB"), digest("gpu.mem_capacity=81920 MiB"));
}

#[test]
fn does_a_sweep_of_one_value_give_what_the_value_gives() {
    let swept = format!("{SMALL}\n[sweep]\n\"workload.context\" = [512, 1024]\n");
    let sweep = simulate(&load_text(&swept, &[]), &mut keep_nothing).unwrap();
    let alone = simulate(&load_text(SMALL, &[]), &mut keep_nothing).unwrap();
    let of = |systems: &[reports::SystemReport]| -> Vec<_> { systems.iter().map(reports::summary::system).collect() };
    assert_eq!(of(&sweep.points[1].systems), of(&alone.systems));
}

#[test]
fn are_two_runs_the_same_to_the_byte() {
    let loaded = load_text(SMALL, &[]);
    let (first, second) = (to_files(&loaded), to_files(&loaded));
    for name in ["summary.json", "spans.csv", "trace.json", "breakdown.svg", "timeline.svg", "report.html"] {
        let read = |directory: &tempfile::TempDir| fs::read(directory.path().join(name)).unwrap();
        assert!(read(&first) == read(&second), "{name} differs");
    }
}
