//! Is summary.json what its schema says, and the same every time?

use reports::run_info::{Executed, Execution, Thread};
use reports::{Assumption, Category, PointReport, RunInfo, RunReport, Time, analyse, run_info, summary};
use serde_json::{Value, json};

use crate::made_up::{offload, pim};

fn run() -> RunReport {
    let system = analyse(&offload("gpu-offload", 2, 1, Category::CommunicationPcie, 2_000)).unwrap();
    RunReport {
        scenario: "quick start".to_owned(),
        scenario_sha256: "00ff".to_owned(),
        seed: 1,
        assumptions: vec![Assumption {
            key: "pim.lookups_per_column".to_owned(),
            value: json!(16),
            why: "the paper does not say".to_owned(),
        }],
        systems: vec![system],
        points: Vec::new(),
        stopped: None,
    }
}

#[test]
fn what_is_in_summary_json() {
    insta::assert_snapshot!(summary::to_json(&run()));
}

#[test]
fn does_the_breakdown_add_up_to_the_latency_in_the_file() {
    let value = summary::to_value(&run());
    let decode = &value["systems"][0]["decode"];
    let sum = |value: &Value| -> u64 { value.as_object().unwrap().values().map(|v| v.as_u64().unwrap()).sum() };
    assert_eq!(sum(&decode["breakdown_ps"]), decode["latency_ps"].as_u64().unwrap());
    let steps = decode["step_latency_ps"].as_array().unwrap();
    assert_eq!(steps.iter().map(|v| v.as_u64().unwrap()).sum::<u64>(), decode["latency_ps"].as_u64().unwrap());
    for (step, breakdown) in steps.iter().zip(decode["step_breakdown_ps"].as_array().unwrap()) {
        assert_eq!(sum(breakdown), step.as_u64().unwrap());
    }
    assert_eq!(decode["breakdown_ps"].as_object().unwrap().len(), 9);
}

#[test]
fn are_the_points_of_a_sweep_kept_with_their_keys() {
    let mut run = run();
    run.points.push(PointReport {
        keys: vec![("workload.context".to_owned(), json!(4096)), ("a".to_owned(), json!("b"))],
        systems: vec![analyse(&pim("attacc", 1, 1, 2, 60)).unwrap()],
    });
    let value = summary::to_value(&run);
    assert_eq!(value["points"][0]["keys"].to_string(), r#"{"workload.context":4096,"a":"b"}"#);
    assert_eq!(value["points"][0]["systems"][0]["name"], "attacc");
}

#[test]
fn is_the_summary_read_back_the_same() {
    let mut run = run();
    run.points.push(PointReport {
        keys: vec![("workload.context".to_owned(), json!(4096))],
        systems: vec![analyse(&pim("attacc", 2, 2, 2, 60)).unwrap()],
    });
    let text = summary::to_json(&run);
    assert_eq!(summary::to_json(&summary::read(&text).unwrap()), text);
}

#[track_caller]
fn check(change: impl Fn(&mut Value), expected: &str) {
    let mut value = summary::to_value(&run());
    change(&mut value);
    assert_eq!(summary::read(&value.to_string()).unwrap_err().to_string(), expected);
}

#[test]
fn does_an_error_name_the_key() {
    check(|v| v["schema"] = json!("other/2"), "schema: it is \"other/2\", `pimscope/summary/1` was expected");
    check(|v| v["seed"] = json!(-1), "seed: it is -1, a whole number was expected");
    check(
        |v| v["systems"][0]["decode"]["step_breakdown_ps"][1]["queue"] = json!(null),
        "systems[0].decode.step_breakdown_ps[1].queue: it is null, a whole number was expected",
    );
    check(
        |v| v["systems"][0]["decode"]["latency_ps"] = json!(1),
        "systems[0].decode.latency_ps: it is 1, but the steps add up to 4603200000",
    );
    let error = summary::read("{").unwrap_err().to_string();
    assert!(error.starts_with("line 1"), "{error}");
}

#[test]
fn what_is_in_run_json() {
    let info = RunInfo {
        version: "0.1.0".to_owned(),
        host: "machine".to_owned(),
        threads: 2,
        wall_seconds: 0.5,
        cpu_seconds: Some(0.5),
        first_thread_cpu_seconds: Some(0.25),
        events: 1_000,
        peak_memory_bytes: None,
        systems: vec![
            Executed {
                commands_left_out: 0,
                system: "attacc".to_owned(),
                point: "kv.prefetch=1".to_owned(),
                events: 900,
                execution: Execution {
                    lookahead: Some(Time::from_ns(3)),
                    windows: 7,
                    threads: vec![
                        Thread { actors: 9, events: 500, busy_seconds: 0.125, blocked_seconds: 0.5, cpu_seconds: None },
                        Thread {
                            actors: 2,
                            events: 400,
                            busy_seconds: 0.25,
                            cpu_seconds: Some(0.25),
                            ..Thread::default()
                        },
                    ],
                    one_thread: None,
                },
            },
            Executed {
                commands_left_out: 0,
                system: "gpu".to_owned(),
                point: String::new(),
                events: 100,
                execution: Execution { one_thread: Some("why".to_owned()), ..Execution::default() },
            },
        ],
        extra: vec![("argv".to_owned(), json!(["run", "x.toml"]))],
    };
    insta::assert_snapshot!(run_info::to_json(&info));
}
