//! Does the quick start leave every file of a run, and does its summary hold what it promises?

use std::fs;

use reports::Category;
use serde_json::Value;

use crate::common::{quickstart_files, shipped};

const CATEGORIES: [&str; 9] = [
    "compute.gpu",
    "compute.cpu",
    "compute.pim",
    "communication.pcie",
    "communication.cxl",
    "communication.nvlink",
    "communication.hbm",
    "launch",
    "queue",
];
const SYSTEMS: [&str; 4] = ["gpu", "gpu-offload", "cpu-attention", "attacc"];

fn read(name: &str) -> String {
    fs::read_to_string(quickstart_files().join(name)).unwrap()
}

fn summary() -> Value {
    serde_json::from_str(&read("summary.json")).unwrap()
}

/// The keys of an object, in the order of the file.
#[track_caller]
fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The categories of a `breakdown_ps`, which must be those of the schema, added up.
#[track_caller]
fn add_up(breakdown: &Value) -> u64 {
    assert_eq!(keys(breakdown), CATEGORIES);
    CATEGORIES.iter().map(|&category| breakdown[category].as_u64().unwrap()).sum()
}

#[test]
fn are_all_files_there() {
    let mut names: Vec<String> = fs::read_dir(quickstart_files())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    // run.json holds wall time and comes from the command line.
    let expected =
        ["breakdown.svg", "energy.svg", "report.html", "spans.csv", "summary.json", "timeline.svg", "trace.json"];
    assert_eq!(names, expected);
}

#[test]
fn are_the_files_what_they_are_called() {
    for name in ["breakdown.svg", "timeline.svg"] {
        let svg = read(name);
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{name}");
        for system in SYSTEMS {
            assert!(svg.contains(system), "{name} does not show {system}");
        }
    }
    let page = read("report.html");
    assert!(page.starts_with("<!DOCTYPE html>") && page.trim_end().ends_with("</html>"));
    for outside in ["<script src", "<link ", "<img src=\"http", "@import"] {
        assert!(!page.contains(outside), "report.html is not self-contained: {outside}");
    }
    let trace: Value = serde_json::from_str(&read("trace.json")).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let spans = shipped("quickstart").systems.iter().map(|run| run.input.spans.len()).sum::<usize>();
    let complete = events.iter().filter(|event| event["ph"] == "X").count();
    assert!(complete >= spans, "{complete} slices for {spans} spans");
    assert_eq!(read("spans.csv").lines().count(), spans + 1);
}

#[test]
fn has_the_summary_the_keys_of_the_schema() {
    let summary = summary();
    let top = ["schema", "scenario", "scenario_sha256", "seed", "assumptions", "systems", "points"];
    assert_eq!(keys(&summary), top);
    assert_eq!(summary["schema"], "pimscope/summary/1");
    assert_eq!(summary["seed"], 1);
    assert_eq!(summary["scenario_sha256"].as_str().unwrap().len(), 64);
    assert_eq!(summary["points"].as_array().unwrap().len(), 0);
    for assumption in summary["assumptions"].as_array().unwrap() {
        assert_eq!(keys(assumption), ["key", "value", "why"]);
        assert!(!assumption["why"].as_str().unwrap().is_empty(), "{assumption}");
    }
    for system in summary["systems"].as_array().unwrap() {
        let name = system["name"].as_str().unwrap();
        for key in ["name", "decode", "prefill", "memory", "energy_pj", "utilisation"] {
            assert!(system.get(key).is_some(), "{name}: {key}");
        }
        assert!(system["prefill"].is_null());
        for key in [
            "batch",
            "context",
            "tokens",
            "latency_ps",
            "step_latency_ps",
            "tokens_per_s",
            "breakdown_ps",
            "communication_share",
            "host_communication_share",
            "busy_ps",
        ] {
            assert!(system["decode"].get(key).is_some(), "{name}: decode.{key}");
        }
        for key in ["gpu", "pim", "host"] {
            assert_eq!(keys(&system["memory"][key]), ["used", "capacity"], "{name}: memory.{key}");
        }
        assert!(system["memory"]["spilled"].is_u64());
        assert!(system["energy_pj"]["total"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn are_the_four_systems_there_in_order() {
    let summary = summary();
    let names: Vec<&str> =
        summary["systems"].as_array().unwrap().iter().map(|system| system["name"].as_str().unwrap()).collect();
    assert_eq!(names, SYSTEMS);
    for system in summary["systems"].as_array().unwrap() {
        let decode = &system["decode"];
        assert_eq!((&decode["batch"], &decode["context"], &decode["tokens"]), (&16.into(), &32_000.into(), &4.into()));
    }
}

#[test]
fn does_a_cached_token_of_mistral_take_128_kib() {
    for system in summary()["systems"].as_array().unwrap() {
        // 2 (K and V) x 8 KV heads x 128 elements x 32 layers x 2 B.
        assert_eq!(system["memory"]["kv_bytes_per_token"], 131_072, "{}", system["name"]);
    }
}

#[test]
fn does_the_breakdown_add_up_to_the_latency_to_the_picosecond() {
    for system in summary()["systems"].as_array().unwrap() {
        let decode = &system["decode"];
        let latency = decode["latency_ps"].as_u64().unwrap();
        assert_eq!(add_up(&decode["breakdown_ps"]), latency, "{}", system["name"]);
        let steps = decode["step_latency_ps"].as_array().unwrap();
        assert_eq!(steps.len(), 4);
        assert_eq!(steps.iter().map(|step| step.as_u64().unwrap()).sum::<u64>(), latency);
        let by_step = decode["step_breakdown_ps"].as_array().unwrap();
        assert_eq!(by_step.len(), steps.len());
        for (breakdown, step) in by_step.iter().zip(steps) {
            assert_eq!(add_up(breakdown), step.as_u64().unwrap(), "{}", system["name"]);
        }
        for category in CATEGORIES {
            let sum: u64 = by_step.iter().map(|step| step[category].as_u64().unwrap()).sum();
            assert_eq!(sum, decode["breakdown_ps"][category].as_u64().unwrap(), "{category}");
        }
    }
}

#[test]
fn are_the_shares_those_of_the_breakdown() {
    for system in summary()["systems"].as_array().unwrap() {
        let decode = &system["decode"];
        let of = |categories: &[&str]| -> f64 {
            let sum: u64 = categories.iter().map(|&category| decode["breakdown_ps"][category].as_u64().unwrap()).sum();
            sum as f64 / decode["latency_ps"].as_f64().unwrap()
        };
        let communication: Vec<&str> =
            Category::ALL.into_iter().filter(|c| c.is_communication()).map(Category::key).collect();
        let check = |key: &str, expected: f64| {
            assert!((decode[key].as_f64().unwrap() - expected).abs() < 1e-12, "{} {key}", system["name"]);
        };
        check("communication_share", of(&communication));
        check("host_communication_share", of(&["communication.pcie", "communication.cxl"]));
        let latency = decode["latency_ps"].as_f64().unwrap();
        check("tokens_per_s", 16.0 * 4.0 / (latency * 1e-12));
    }
}

#[test]
fn is_each_systems_time_spent_where_its_kind_spends_it() {
    let summary = summary();
    let largest = |system: &Value| -> String {
        let breakdown = &system["decode"]["breakdown_ps"];
        CATEGORIES.into_iter().max_by_key(|&category| breakdown[category].as_u64().unwrap()).unwrap().to_owned()
    };
    let largest: Vec<String> = summary["systems"].as_array().unwrap().iter().map(largest).collect();
    assert_eq!(largest, ["compute.gpu", "communication.pcie", "compute.cpu", "compute.pim"]);
}
