//! Do the shipped scenarios run, and does each show what it simulates?

use std::collections::BTreeSet;
use std::fs;

use pimscope::scenario::SHIPPED_SCENARIOS;

use crate::common::{root, scenario_names, shipped};

#[test]
fn does_every_scenario_run() {
    for name in scenario_names() {
        let run = shipped(&name);
        assert!(!run.systems.is_empty(), "{name}");
        for system in &run.systems {
            let report = &system.report;
            assert!(report.latency().ps() > 0, "{name}: {} {}", report.name, system.point);
            assert!(report.tokens_per_second() > 0.0, "{name}: {} {}", report.name, system.point);
        }
        let points = run.loaded.sweep.iter().map(|(_, values)| values.len()).product::<usize>();
        let systems = match (run.loaded.points.first(), run.loaded.kernels.first()) {
            (Some((_, scenario)), _) => scenario.systems.len(),
            (None, kernels) => kernels.unwrap().1.systems.len(),
        };
        assert_eq!(run.systems.len(), points * systems, "{name}");
    }
}

#[test]
fn is_every_scenario_built_in() {
    let built_in: Vec<&str> = SHIPPED_SCENARIOS.iter().map(|(name, _)| *name).collect();
    assert_eq!(scenario_names(), built_in);
}

/// The comment at the top of a file, without its marks.
fn heading(text: &str) -> Vec<&str> {
    text.lines().map_while(|line| line.strip_prefix('#')).collect()
}

#[test]
fn does_every_scenario_begin_with_a_picture() {
    for name in scenario_names() {
        let text = fs::read_to_string(root().join(format!("scenarios/{name}.toml"))).unwrap();
        let heading = heading(&text);
        assert!(heading.iter().all(|line| line.is_ascii()), "{name}: the picture is ASCII");
        // A picture is an indented line in which a wire joins two boxes.
        let wire = |line: &&str| line.starts_with("   ") && (line.contains("==") || line.contains("--"));
        let drawn: Vec<&str> = heading.iter().copied().filter(wire).collect();
        assert!(!drawn.is_empty(), "{name} begins with no picture:\n{}", heading.join("\n"));
        assert!(drawn.iter().all(|line| line.len() <= 120), "{name}");
    }
}

#[test]
fn does_every_picture_show_every_system() {
    for name in scenario_names() {
        let text = fs::read_to_string(root().join(format!("scenarios/{name}.toml"))).unwrap();
        let heading = heading(&text).join("\n").to_lowercase();
        let names: BTreeSet<&String> = shipped(&name).systems.iter().map(|system| &system.input.name).collect();
        for system in names.iter().filter(|_| names.len() > 1) {
            assert!(heading.contains(&system.to_lowercase()), "{name}: `{system}` is not in the heading");
        }
    }
}
