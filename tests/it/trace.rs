//! Do the log and `pimscope trace` tell the same story as the files?

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::common::{SMALL, pimscope};

/// A run of the small scenario through the binary: its directory, and what RUST_LOG wrote.
fn run() -> &'static (TempDir, String) {
    static RUN: OnceLock<(TempDir, String)> = OnceLock::new();
    RUN.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("small.toml"), SMALL).unwrap();
        let output = pimscope(directory.path(), &["run", "small.toml", "--out", "run", "-q"], Some("debug"));
        assert!(output.status.success(), "{output:?}");
        assert!(output.stdout.is_empty());
        (directory, String::from_utf8(output.stderr).unwrap())
    })
}

#[track_caller]
fn trace_in(directory: &Path, arguments: &[&str]) -> Vec<String> {
    let mut all = vec!["trace", "run"];
    all.extend(arguments);
    let output = pimscope(directory, &all, None);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[track_caller]
fn trace(arguments: &[&str]) -> Vec<String> {
    trace_in(run().0.path(), arguments)
}

/// A span as a line tells it: every column as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    start: String,
    end: String,
    actor: String,
    id: String,
    kind: String,
    category: String,
    bytes: String,
    cause: String,
    /// What follows, in picoseconds; only with --critical-path.
    contributed: Option<u64>,
}

/// `1.5 us` in picoseconds, rounded as it is shown.
fn ps(text: &str) -> u64 {
    let (number, unit) = text.split_once(' ').unwrap();
    let factor = match unit {
        "ps" => 1.0,
        "ns" => 1e3,
        "us" => 1e6,
        "ms" => 1e9,
        "s" => 1e12,
        other => panic!("unit {other}"),
    };
    (number.parse::<f64>().unwrap() * factor).round() as u64
}

/// The spans of `pimscope trace` by system.
fn parse(lines: &[String]) -> Vec<(String, Vec<Line>)> {
    let mut systems: Vec<(String, Vec<Line>)> = Vec::new();
    for line in lines {
        if let Some(name) = line.strip_prefix("# ") {
            systems.push((name.to_owned(), Vec::new()));
            continue;
        }
        // Columns are two spaces apart at least, and no cell holds two.
        let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        if cells[0] == "start" {
            continue;
        }
        let (actor, id) = cells[2].rsplit_once(' ').unwrap();
        systems.last_mut().unwrap().1.push(Line {
            start: cells[0].to_owned(),
            end: cells[1].to_owned(),
            actor: actor.to_owned(),
            id: id.to_owned(),
            kind: cells[3].to_owned(),
            category: cells[4].to_owned(),
            bytes: cells[5].to_owned(),
            cause: cells[6].to_owned(),
            contributed: cells.get(7).map(|time| ps(time)),
        });
    }
    systems
}

/// The field `key=` of a log line, up to the next key.
#[track_caller]
fn field(line: &str, key: &str, next: &str) -> String {
    let from = line.find(&format!(" {key}=")).unwrap_or_else(|| panic!("no {key} in {line}")) + key.len() + 2;
    let length = line[from..].find(&format!(" {next}=")).unwrap_or(line.len() - from);
    line[from..from + length].trim_matches('"').to_owned()
}

/// The spans of the log under a target.
fn logged(log: &str, target: &str) -> Vec<Line> {
    let spans = log.lines().filter(|line| line.trim_start().starts_with(&format!("DEBUG {target}")));
    spans
        .filter(|line| line.contains(" span="))
        .map(|line| Line {
            start: field(line, "start", "end"),
            end: field(line, "end", "actor"),
            actor: field(line, "actor", "kind"),
            id: field(line, "span", "cause"),
            kind: field(line, "kind", "category"),
            category: field(line, "category", "at"),
            bytes: field(line, "bytes", "operations"),
            cause: field(line, "cause", "none").replace("start", "-"),
            contributed: None,
        })
        .collect()
}

#[test]
fn does_the_log_of_pim_devices_hold_the_spans_of_the_trace() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("small.toml"), SMALL).unwrap();
    let run = ["run", "small.toml", "--out", "run", "-q"];
    let output = pimscope(directory.path(), &run, Some("pim_device=debug"));
    let log = String::from_utf8(output.stderr).unwrap();
    // One line per span and nothing of other crates.
    let spans = logged(&log, "pim_device");
    assert_eq!(spans.len(), log.lines().count());
    let shown = parse(&trace_in(directory.path(), &["--actor", "pim.channels*"]));
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].0, "attacc");
    assert_eq!(spans.len() % (2 * 30), 0, "two tokens of 30 layers");
    assert!(!spans.is_empty());
    let sorted = |mut lines: Vec<Line>| {
        lines.sort();
        lines
    };
    assert_eq!(sorted(spans), sorted(shown[0].1.clone()));
}

#[test]
fn does_the_whole_log_hold_the_whole_trace() {
    let (_, log) = run();
    let sorted = |mut lines: Vec<Line>| {
        lines.sort();
        lines
    };
    let shown: Vec<Line> = parse(&trace(&[])).into_iter().flat_map(|(_, lines)| lines).collect();
    assert_eq!(sorted(logged(log, "")), sorted(shown));
}

#[test]
fn does_a_log_line_carry_time_actor_kind_bytes_and_cause() {
    let (_, log) = run();
    for (target, actor) in [
        ("host_gpu::gpu::stream", "gpu0.stream"),
        ("host_gpu::cpu::worker", "host.worker"),
        ("host_gpu::cpu::driver", "host.driver"),
        ("interconnect::dma", "gpu0.copy-in"),
        ("pim_device::controller", "pim.channels"),
    ] {
        let lines = logged(log, target);
        let line = lines.iter().find(|line| line.actor.starts_with(actor));
        let line = line.unwrap_or_else(|| panic!("{target} logs nothing of {actor}"));
        assert!(ps(&line.start) <= ps(&line.end), "{line:?}");
        assert!(!line.kind.is_empty());
        line.bytes.parse::<u64>().unwrap();
        assert!(line.cause == "-" || line.cause.contains(':'), "{line:?}");
    }
}

#[test]
fn is_the_log_off_by_default() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("small.toml"), SMALL).unwrap();
    let output = pimscope(directory.path(), &["run", "small.toml", "-q"], None);
    assert!(output.status.success() && output.stderr.is_empty() && output.stdout.is_empty(), "{output:?}");
}

#[test]
fn do_the_filters_let_through_what_fits() {
    let all = parse(&trace(&[]));
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["gpu", "gpu-offload", "cpu-attention", "attacc"]);
    let expect = |keep: &dyn Fn(&Line) -> bool| -> Vec<(String, Vec<Line>)> {
        let kept = all.iter().map(|(name, lines)| (name.clone(), lines.iter().filter(|l| keep(l)).cloned().collect()));
        kept.filter(|(_, lines): &(_, Vec<Line>)| !lines.is_empty()).collect()
    };
    let check = |arguments: &[&str], keep: &dyn Fn(&Line) -> bool| {
        let expected = expect(keep);
        assert!(!expected.is_empty(), "{arguments:?}");
        assert_eq!(parse(&trace(arguments)), expected, "{arguments:?}");
    };
    check(&["--actor", "gpu0.copy-*"], &|line| line.actor.starts_with("gpu0.copy-"));
    check(&["--kind", "kv-fetch"], &|line| line.kind == "kv-fetch");
    check(&["--kind", "*proj*"], &|line| line.kind.contains("proj"));
    check(&["--actor", "host.driver", "--kind", "token"], &|line| line.actor == "host.driver" && line.kind == "token");
    // A quarter of a millisecond in: spans that end or begin at a rounded edge are not decided by what is shown.
    let (from, to) = (250_000_000, 300_000_000);
    check(&["--from", "250 us"], &|line| ps(&line.end) >= from);
    check(&["--to", "0.3 ms"], &|line| ps(&line.start) <= to);
    check(&["--from", "250 us", "--to", "300 us"], &|line| ps(&line.end) >= from && ps(&line.start) <= to);
}

#[test]
fn is_it_said_where_nothing_fits() {
    assert_eq!(trace(&["--kind", "no-such-kind"]), ["no span fits"]);
    assert_eq!(trace(&["--from", "1000 s"]), ["no span fits"]);
}

#[test]
fn do_the_durations_of_the_critical_path_add_up_to_the_latency() {
    let (directory, _) = run();
    let summary = std::fs::read_to_string(directory.path().join("run/summary.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    let shown = parse(&trace(&["--critical-path"]));
    for system in summary["systems"].as_array().unwrap() {
        let (name, lines) = shown.iter().find(|(name, _)| system["name"] == **name).unwrap();
        // Times are shown with three decimals and cut off after them, so each line may lack one of the last digit.
        let digit = |line: &Line| match line.contributed.unwrap() {
            0..1_000 => 0,
            1_000..1_000_000 => 1,
            1_000_000..1_000_000_000 => 1_000,
            _ => 1_000_000,
        };
        let sum: u64 = lines.iter().map(|line| line.contributed.unwrap()).sum();
        let off: u64 = lines.iter().map(digit).sum();
        let latency = system["decode"]["latency_ps"].as_u64().unwrap();
        assert!(
            sum <= latency && latency <= sum + off,
            "{name}: {sum} ps, the latency is {latency} ps, rounding makes {off}"
        );
        // The mark of the first token splits the path into the tokens.
        let steps = system["decode"]["step_latency_ps"].as_array().unwrap();
        let first: u64 = steps[0].as_u64().unwrap();
        let before = lines.iter().filter(|line| ps(&line.end) <= first + 1_000_000);
        let sum: u64 = before.map(|line| line.contributed.unwrap()).sum();
        assert!(sum <= first && first <= sum + off, "{name}: {sum} ps, the first token takes {first} ps");
    }
}

#[test]
fn is_the_critical_path_of_a_gpu_alone_its_stream() {
    let shown = parse(&trace(&["--critical-path", "--actor", "gpu0.stream"]));
    let (_, lines) = &shown[0];
    let all = parse(&trace(&["--actor", "gpu0.stream"]));
    // Without transfers every kernel is on the path.
    assert_eq!(lines.len(), all[0].1.len());
}

#[test]
fn are_the_commands_those_that_the_summary_counts() {
    let (directory, _) = run();
    let directory = directory.path();
    let output = pimscope(directory, &["run", "small.toml", "--trace-commands", "--out", "commands", "-q"], None);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let read = |file: &str| std::fs::read_to_string(directory.join(file)).unwrap();
    // Executed one by one it is the same run.
    assert_eq!(read("commands/summary.json"), read("run/summary.json"));
    assert_eq!(read("commands/spans.csv"), read("run/spans.csv"));

    let spans = read("run/spans.csv");
    let mut jobs = BTreeMap::new();
    for row in spans.lines().skip(1) {
        let cells: Vec<&str> = row.split(',').collect();
        let time = |column: usize| cells[column].parse::<u64>().unwrap();
        jobs.insert((cells[1], cells[3], cells[4]), (cells[6], time(10), time(11)));
    }
    let commands = read("commands/commands.csv");
    let mut counts = BTreeMap::<&str, u64>::new();
    let mut programs = BTreeSet::new();
    for row in commands.lines().skip(1) {
        let cells: Vec<&str> = row.split(',').collect();
        let (system, actor, number, command) = (cells[1], cells[3], cells[4], cells[7]);
        let (category, start, end) = jobs[&(system, actor, number)];
        assert!(category == "compute.pim" || category == "communication.hbm", "{row}");
        // A refresh of idle time before the program belongs to it.
        let time: u64 = cells[6].parse().unwrap();
        assert!(time < end && (time >= start || command == "REFab"), "{row}: {start} to {end}");
        // The actor stands for as many channels as its name says.
        let copies: u64 = cells[2].rsplit_once('x').unwrap().1.parse().unwrap();
        let named = cells[8].split(' ').map(|range| range.split_once('-').unwrap_or((range, range)));
        let named = named.map(|(first, last)| last.parse::<u64>().unwrap() - first.parse::<u64>().unwrap() + 1);
        assert_eq!(named.sum::<u64>(), copies, "{row}");
        *counts.entry(command).or_default() += copies;
        programs.insert((actor, number));
    }
    assert!(programs.len() > 60, "30 layers of two tokens");
    let summary: serde_json::Value = serde_json::from_str(&read("run/summary.json")).unwrap();
    let counted = summary["systems"][3]["pim_commands"].as_object().unwrap();
    for (name, entry) in counted.iter().filter(|(name, _)| *name != "REFab") {
        assert_eq!(counts.get(name.as_str()).copied(), entry["count"].as_u64(), "{name}");
    }
    let issued: BTreeSet<&str> = counts.keys().copied().filter(|name| *name != "REFab").collect();
    assert!(issued.iter().all(|name| counted.contains_key(*name)), "{issued:?}");
}
