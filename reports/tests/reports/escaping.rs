//! Can a name break out of a figure, the page or a trace? Are figures well formed for any number of systems?

use reports::{Assumption, Category, PointReport, RunReport, SystemInput, analyse, figure, html, perfetto};
use serde_json::{Value, json};

use crate::made_up::{offload, pim};

const NASTY: &str = "<script>alert('&')</script>\"]]>\u{1b}[31m\u{0} 長い名前 ééé";

fn nasty() -> SystemInput {
    let mut input = offload(NASTY, 1, 2, Category::CommunicationPcie, 100);
    for name in &mut input.actors {
        name.push_str(NASTY);
    }
    input.notes.push(NASTY.to_owned());
    input.memory.placement.push(NASTY.to_owned());
    input
}

/// Checks that tags are balanced and that text holds nothing that XML forbids.
#[track_caller]
fn check_markup(text: &str, void: &[&str]) {
    let mut open: Vec<&str> = Vec::new();
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "control characters");
    for part in text.split('<').skip(1) {
        let (tag, rest) = part.split_once('>').expect("a tag that ends");
        assert!(!rest.contains('>'), "a loose > in {rest:?}");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') && !tag.starts_with('!') {
            let name = tag.split_whitespace().next().unwrap();
            if !void.contains(&name) {
                open.push(name);
            }
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn can_a_name_break_out_of_a_figure_or_the_page() {
    let input = nasty();
    let report = analyse(&input).unwrap();
    let points = vec![PointReport { keys: vec![(NASTY.to_owned(), json!(NASTY))], systems: vec![report.clone()] }];
    let breakdown = figure::breakdown::svg(std::slice::from_ref(&report)).unwrap();
    let timeline = figure::timeline::svg(&[(&input, &report)]).unwrap();
    let share = figure::share::svg(&points).unwrap().unwrap();
    let latency = figure::latency::svg(&points).unwrap().unwrap();
    for svg in [&breakdown, &timeline, &share, &latency] {
        check_markup(svg, &[]);
    }
    let run = RunReport {
        scenario: NASTY.to_owned(),
        scenario_sha256: NASTY.to_owned(),
        assumptions: vec![Assumption { key: NASTY.to_owned(), value: json!({ NASTY: NASTY }), why: NASTY.to_owned() }],
        systems: vec![report],
        points,
        ..RunReport::default()
    };
    let figures = html::Figures {
        breakdown: Some(&breakdown),
        timeline: Some(&timeline),
        share: Some(&share),
        latency: Some(&latency),
        ..html::Figures::default()
    };
    let page = html::page(&run, &figures);
    check_markup(&page, &["meta"]);
    assert!(!page.contains("<script"));
    assert!(
        !page.contains("http:") || page.matches("http:").count() == page.matches("http://www.w3.org/2000/svg").count()
    );
}

#[test]
fn is_a_figure_drawn_for_any_number_of_systems_and_points() {
    for count in [0, 1, 5, 6, 40] {
        let inputs: Vec<SystemInput> = (0..count).map(|i| pim(&format!("system {i}"), 1, 1, 2, 14 + i)).collect();
        let systems: Vec<_> = inputs.iter().map(|input| analyse(input).unwrap()).collect();
        check_markup(&figure::breakdown::svg(&systems).unwrap(), &[]);
        let pairs: Vec<_> = inputs.iter().zip(&systems).collect();
        check_markup(&figure::timeline::svg(&pairs).unwrap(), &[]);
        let points: Vec<PointReport> = systems
            .into_iter()
            .map(|system| PointReport { keys: vec![("x".to_owned(), json!(system.name))], systems: vec![system] })
            .collect();
        for svg in [figure::share::svg(&points).unwrap(), figure::latency::svg(&points).unwrap()] {
            assert_eq!(svg.is_some(), count > 0);
            check_markup(&svg.unwrap_or_else(|| "<svg></svg>".to_owned()), &[]);
        }
    }
}

#[test]
fn is_a_system_without_time_still_drawn() {
    let report = reports::SystemReport::default();
    let input = SystemInput::default();
    check_markup(&figure::breakdown::svg(std::slice::from_ref(&report)).unwrap(), &[]);
    check_markup(&figure::timeline::svg(&[(&input, &report)]).unwrap(), &[]);
}

#[test]
fn is_a_long_token_shown_in_part() {
    let input = pim("aqpim", 1, 12, 40, 14);
    let report = analyse(&input).unwrap();
    let svg = figure::timeline::svg(&[(&input, &report)]).unwrap();
    assert!(svg.contains("the first 3 of 12 layers"));
    assert!(svg.contains("more actors are not shown"));
}

#[test]
fn is_the_trace_json_with_all_spans_and_arrows() {
    let input = nasty();
    let report = analyse(&input).unwrap();
    let mut out = Vec::new();
    perfetto::write(&mut out, &[(&input, &report)]).unwrap();
    let trace: Value = serde_json::from_slice(&out).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let count = |phase: &str| events.iter().filter(|event| event["ph"] == phase).count();
    assert_eq!(count("X"), input.spans.len());
    assert_eq!(count("s"), count("f"));
    assert!(count("s") > 5);
    assert_eq!(events[0]["args"]["name"], NASTY);
    // Slices of one thread must not overlap.
    let mut slices: Vec<(u64, f64, f64)> = events
        .iter()
        .filter(|event| event["ph"] == "X")
        .map(|e| (e["tid"].as_u64().unwrap(), e["ts"].as_f64().unwrap(), e["dur"].as_f64().unwrap()))
        .collect();
    slices.sort_by(|a, b| a.partial_cmp(b).unwrap());
    for pair in slices.windows(2) {
        assert!(pair[0].0 != pair[1].0 || pair[0].1 + pair[0].2 <= pair[1].1 + 1e-6, "{pair:?}");
    }
}
