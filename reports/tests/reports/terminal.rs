//! What does a person see on the terminal?

use reports::{Category, PointReport, RunReport, analyse, table};
use serde_json::json;

use crate::made_up::{offload, pim};

fn four() -> Vec<reports::SystemReport> {
    let inputs = [
        offload("gpu-offload", 2, 2, Category::CommunicationPcie, 2_000),
        offload("gpu-offload-cxl", 2, 2, Category::CommunicationCxl, 300),
        pim("attacc", 2, 2, 4, 60),
        pim("a system with a very long name indeed, longer than its column", 2, 2, 4, 14),
    ];
    inputs.iter().map(|input| analyse(input).unwrap()).collect()
}

#[test]
fn where_does_the_time_of_a_token_go() {
    insta::assert_snapshot!(table::systems(&four()));
}

#[test]
fn do_four_systems_fit_in_120_columns() {
    let text = table::systems(&four());
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(120), "{widest:?}");
}

#[test]
fn does_a_fifth_system_get_a_table_below() {
    let mut systems = four();
    systems.push(systems[0].clone());
    assert_eq!(table::systems(&systems).matches("latency per token").count(), 2);
}

#[test]
fn what_changes_over_a_sweep() {
    let point = |context: u64| PointReport {
        keys: vec![("kv.codec".to_owned(), json!("fp16")), ("workload.context".to_owned(), json!(context))],
        systems: vec![analyse(&offload("gpu-offload", 1, 1, Category::CommunicationPcie, context / 20)).unwrap()],
    };
    let run = RunReport { points: vec![point(2048), point(65_536)], ..RunReport::default() };
    insta::assert_snapshot!(table::table(&run));
}

#[test]
fn are_cells_broken_at_separators() {
    let long = |key: &str, value: &str| (format!("system.{key}"), json!(value));
    let mut system =
        analyse(&offload("gpu-offload-of-the-whole-cache", 1, 1, Category::CommunicationPcie, 100)).unwrap();
    system.attention.layers = 1;
    let point = PointReport {
        keys: vec![
            ("workload.model".to_owned(), json!("models/llama-2-7b.json")),
            long("a_long_name_of_a_key", "nothing-but-words/and_separators.toml"),
            long("other", "1.25e-05 and words, too"),
            long("more", "hbm3-pim-bank/gpu-resident.parts"),
        ],
        systems: vec![system],
    };
    let run = RunReport { points: vec![point], ..RunReport::default() };
    let text = table::table(&run);
    assert!(!text.contains('\u{200b}') && text.lines().all(|line| line.chars().count() <= 120), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn does_a_run_of_nothing_say_so() {
    assert_eq!(table::table(&RunReport::default()), "no system to show\n");
}
