//! What does a run leave that is stopped before its end?
//!
//! Everything that had happened by then and nothing else, in files that are whole and say so.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use pimscope::control::{Brake, Control};
use pimscope::run::{Outputs, RunError, run_to_files_within, simulate_within};
use pimscope::scenario::Loaded;
use reports::{Breakdown, RunReport, Span, Stopped, SystemInput, Time, Why};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{SMALL, load_text, pimscope, shipped, to_files, tree, try_run};

/// Every file of a run without a sweep, but for run.json.
const FILES: [&str; 6] = ["breakdown.svg", "report.html", "spans.csv", "summary.json", "timeline.svg", "trace.json"];

/// A limit, anew for every run.
type Limit = fn() -> Control<'static>;

/// A run within limits, in memory.
fn stopped(loaded: &Loaded, control: &mut Control<'_>) -> (RunReport, Vec<SystemInput>) {
    let mut inputs = Vec::new();
    let report = simulate_within(loaded, control, &mut |_, input, _| {
        inputs.push(input);
        Ok(())
    });
    (report.unwrap(), inputs)
}

fn until(ps: u64) -> Control<'static> {
    Control { until: Some(Time::from_ps(ps)), ..Control::default() }
}

fn max_events(events: u64) -> Control<'static> {
    Control { max_events: Some(events), ..Control::default() }
}

fn to_files_within(loaded: &Loaded, control: &mut Control<'_>) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let outputs = Outputs { directory: directory.path().to_owned(), trace: true };
    run_to_files_within(loaded, &outputs, control, &|_| None).unwrap();
    directory
}

fn read(directory: &Path, name: &str) -> String {
    fs::read_to_string(directory.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn summary(directory: &Path) -> Value {
    serde_json::from_str(&read(directory, "summary.json")).unwrap()
}

/// Each file is what its name says.
#[track_caller]
fn check_files(directory: &Path, names: &[&str]) {
    for &name in names {
        let text = read(directory, name);
        match name.rsplit_once('.').unwrap().1 {
            "json" => drop(serde_json::from_str::<Value>(&text).unwrap_or_else(|error| panic!("{name}: {error}"))),
            "csv" => {
                let mut rows = csv::Reader::from_reader(text.as_bytes());
                for row in rows.records() {
                    row.unwrap();
                }
                assert!(text.ends_with('\n'), "{name} is cut off");
            }
            "svg" => assert!(text.trim_end().ends_with("</svg>") && !text.contains("NaN"), "{name} is cut off"),
            _ => assert!(text.trim_end().ends_with("</html>"), "{name} is cut off"),
        }
    }
}

/// Nothing temporary is left.
#[track_caller]
fn check_clean(directory: &Path) {
    for path in tree(directory) {
        assert!(!path.to_string_lossy().contains(".part"), "{} was left behind", path.display());
    }
}

/// `part` was stopped at `at`: the first spans of `whole`, and the others that had begun.
#[track_caller]
pub(crate) fn check_prefix(whole: &SystemInput, part: &SystemInput) {
    let at = part.stopped.expect("it was stopped");
    assert_eq!(part.spans, whole.spans[..part.spans.len()]);
    assert!(part.spans.iter().all(|span| span.end < at));
    assert!(whole.spans[part.spans.len()..].iter().all(|span| span.end >= at));
    let mut open: Vec<Span> = whole.spans.iter().filter(|s| s.start < at && s.end >= at).cloned().collect();
    open.sort_by_key(|span| span.id);
    // What is known only at its end aside.
    let launches = part.open.iter().map(|span| span.launch);
    for (span, launch) in open.iter_mut().zip(launches) {
        assert!(launch <= span.launch);
        (span.end, span.launch) = (Time::MAX, launch);
    }
    assert_eq!(part.open, open);
    for ((name, meter), (_, all)) in part.meters.iter().zip(&whole.meters) {
        assert!(meter.amount <= all.amount && meter.busy <= at, "{name}: {meter:?} of {all:?} at {at}");
        assert!(meter.utilisation(at) <= 1.000_001, "{name}: {meter:?} at {at}");
    }
    for ((name, energy), (_, all)) in part.energy_pj.iter().zip(&whole.energy_pj) {
        assert!(energy <= all, "{name}: {energy} pJ of {all} pJ");
    }
}

#[test]
fn is_a_stopped_run_the_beginning_of_the_full_one() {
    let whole = try_run(load_text(SMALL, &[])).unwrap();
    for system in &whole.systems {
        // Each system alone, because a run that is stopped does not begin the next one.
        let sets = format!("name={}", system.input.name);
        let text = {
            let mut value: toml::Value = toml::from_str(SMALL).unwrap();
            let systems = value["system"].as_array_mut().unwrap();
            systems.retain(|table| table["name"].as_str() == Some(&system.input.name));
            toml::to_string(&value).unwrap()
        };
        let loaded = load_text(&text, &[&sets]);
        let last = system.input.spans.last().unwrap().end.ps();
        let first_token = system.report.step_latency[0].ps();
        let times = (1..20).map(|part| last * part / 20);
        for ps in times.chain([1, first_token, first_token + 1, last - 1, last]) {
            let (report, inputs) = stopped(&loaded, &mut until(ps));
            check_prefix(&system.input, &inputs[0]);
            let tokens = u32::from(ps > first_token);
            assert_eq!(report.systems[0].tokens, tokens, "at {ps} ps of {last} ps");
            assert_eq!(
                report.systems[0].breakdown,
                if tokens == 0 { Breakdown::default() } else { system.report.step_breakdown[0] }
            );
            assert_eq!(report.stopped.unwrap().at, Time::from_ps(ps));
        }
        // Nothing is left to stop.
        let (report, inputs) = stopped(&loaded, &mut until(last + 1));
        assert_eq!((report.stopped, inputs[0].stopped), (None, None));
        assert_eq!(inputs[0].spans, system.input.spans);
    }
}

#[test]
fn does_a_limit_on_events_stop_at_the_end_of_an_instant() {
    let whole = shipped("quickstart");
    let first = whole.systems[0].input.events;
    for events in [1, 2, 1_000, 5_000, first - 1] {
        let (report, inputs) = stopped(&whole.loaded, &mut max_events(events));
        let Some(Stopped { why: Why::MaxEvents, at, not_run, .. }) = report.stopped else { panic!("{report:?}") };
        check_prefix(&whole.systems[0].input, &inputs[0]);
        assert_eq!(inputs.len() + not_run.len(), whole.systems.len());
        assert!(inputs[0].events >= events, "{} of {events}", inputs[0].events);
        // The same as a limit on the time.
        let (_, same) = stopped(&whole.loaded, &mut until(at.ps()));
        assert_eq!(
            (same[0].events, &same[0].spans, &same[0].open),
            (inputs[0].events, &inputs[0].spans, &inputs[0].open)
        );
    }
    // The events of all systems count, as in run.json.
    let (report, inputs) = stopped(&whole.loaded, &mut max_events(first + 10));
    assert_eq!(report.stopped.unwrap().system, whole.systems[1].input.name);
    assert_eq!(inputs[0].stopped, None);
    check_prefix(&whole.systems[1].input, &inputs[1]);
    let all = whole.systems.iter().map(|system| system.input.events).sum();
    assert_eq!(stopped(&whole.loaded, &mut max_events(all)).0.stopped, None);
}

#[test]
fn are_the_files_of_a_stopped_run_whole_and_the_same_every_time() {
    let loaded = load_text(SMALL, &[]);
    let whole = to_files(&loaded);
    assert!(!whole.path().join("spans-open.csv").exists());
    let full = summary(whole.path());
    assert!(full.get("partial").is_none() && full.get("stopped").is_none());
    let limits: [(Limit, &str); 2] = [(|| until(900_000_000), "until"), (|| max_events(5_000), "max-events")];
    for (limit, why) in limits {
        let directory = to_files_within(&loaded, &mut limit());
        check_files(directory.path(), &FILES);
        check_files(directory.path(), &["spans-open.csv"]);
        check_clean(directory.path());
        let again = to_files_within(&loaded, &mut limit());
        for name in FILES.iter().chain(&["spans-open.csv"]) {
            assert!(read(directory.path(), name) == read(again.path(), name), "{name} differs");
        }
        let summary = summary(directory.path());
        assert_eq!(summary["partial"], true);
        let stopped = &summary["stopped"];
        assert_eq!(stopped["why"], why);
        assert_eq!(stopped["point"], Value::Null);
        let systems = summary["systems"].as_array().unwrap();
        assert_eq!(stopped["system"], systems.last().unwrap()["name"]);
        assert_eq!(systems.len() + stopped["not_run"].as_array().unwrap().len(), 4);
        // The systems before it are as if nothing had happened.
        for (one, same) in systems.iter().zip(full["systems"].as_array().unwrap()).take(systems.len() - 1) {
            assert_eq!(one, same);
        }
        let read_back = reports::summary::read(&read(directory.path(), "summary.json")).unwrap();
        assert_eq!(reports::summary::to_json(&read_back), read(directory.path(), "summary.json"));

        // spans.csv: the first rows of each system that ran. spans-open.csv: other jobs, without an end.
        let rows = read(directory.path(), "spans.csv");
        let all = read(whole.path(), "spans.csv");
        for system in systems {
            let of = |text: &str| -> Vec<String> {
                let name = format!(",{},", system["name"].as_str().unwrap());
                text.lines().filter(|line| line.starts_with(&name)).map(str::to_owned).collect()
            };
            let (part, whole) = (of(&rows), of(&all));
            assert_eq!(part, whole[..part.len()]);
        }
        let open = read(directory.path(), "spans-open.csv");
        assert_eq!(open.lines().next(), rows.lines().next());
        assert!(open.lines().count() > 1);
        for row in csv::Reader::from_reader(open.as_bytes()).records() {
            let row = row.unwrap();
            assert_eq!((&row[1], &row[11]), (stopped["system"].as_str().unwrap(), ""));
        }

        // People see it too.
        let name = stopped["system"].as_str().unwrap();
        for file in ["report.html", "breakdown.svg", "timeline.svg", "trace.json"] {
            assert!(read(directory.path(), file).contains(&format!("partial: {name} was stopped at ")), "{file}");
            assert!(!read(whole.path(), file).contains("partial"), "{file}");
        }
        // A whole run in the same place takes away what does not belong to it.
        let outputs = Outputs { directory: directory.path().to_owned(), trace: true };
        pimscope::run::run_to_files(&loaded, &outputs).unwrap();
        for name in FILES {
            assert!(read(directory.path(), name) == read(whole.path(), name), "{name} differs");
        }
        assert!(!directory.path().join("spans-open.csv").exists());
    }
}

#[test]
fn does_a_run_without_a_token_have_all_files() {
    for events in [1, 700] {
        let directory = to_files_within(&load_text(SMALL, &[]), &mut max_events(events));
        check_files(directory.path(), &FILES);
        let summary = summary(directory.path());
        let decode = &summary["systems"][0]["decode"];
        assert_eq!((&decode["tokens"], &decode["latency_ps"]), (&0.into(), &0.into()));
        assert_eq!(decode["tokens_per_s"], 0.0);
        assert_eq!(decode["communication_share"], 0.0);
        let breakdown = decode["breakdown_ps"].as_object().unwrap();
        assert!(breakdown.len() == 9 && breakdown.values().all(|time| time == 0));
        assert_eq!(decode["step_latency_ps"], Value::Array(Vec::new()));
    }
}

#[test]
fn does_a_brake_stop_a_run_and_say_why() {
    let loaded = load_text(SMALL, &[]);
    let brake = Brake::default();
    brake.pull(Why::MaxWall);
    brake.pull(Why::Interrupt);
    let (report, inputs) = stopped(&loaded, &mut Control { brake, ..Control::default() });
    let Some(Stopped { why, at, not_run, system, .. }) = report.stopped else { panic!("it was not stopped") };
    assert_eq!((why, at, system.as_str()), (Why::MaxWall, Time::ZERO, "gpu"), "the first who pulls it");
    assert_eq!(not_run, ["gpu-offload", "cpu-attention", "attacc"]);
    assert_eq!((inputs[0].spans.len(), inputs[0].open.len(), inputs[0].events), (0, 0, 0));

    // From within, as another thread would: it hears of every system, and of long ones more often.
    let (brake, heard) = (Brake::default(), RefCell::new(Vec::new()));
    let mut watch = |standing: &pimscope::control::Standing<'_>| {
        heard.borrow_mut().push((standing.place, standing.progress.events, standing.tasks));
        if standing.place.0 == 2 && standing.progress.events > 0 {
            brake.pull(Why::Interrupt);
        }
    };
    let quickstart = shipped("quickstart");
    let mut control = Control { brake: brake.clone(), watch: Some(&mut watch), ..Control::default() };
    let (report, inputs) = stopped(&quickstart.loaded, &mut control);
    assert_eq!(report.stopped.unwrap().why, Why::Interrupt);
    let (offload, whole) = (inputs.last().unwrap(), &quickstart.systems[inputs.len() - 1].input);
    check_prefix(whole, offload);
    assert!(offload.events < whole.events);
    let heard = heard.into_inner();
    assert_eq!(
        heard.iter().map(|(place, events, _)| (place.0, *events)).collect::<Vec<_>>(),
        [(1, 0), (2, 0), (2, 65_536)]
    );
    // Every task leaves one span.
    assert_eq!(heard[0].2, quickstart.systems[0].input.spans.len() as u64);
    assert_eq!(heard[1].2, quickstart.systems[1].input.spans.len() as u64);
}

#[test]
fn are_the_finished_points_of_a_sweep_kept() {
    let swept = format!("{SMALL}\n[sweep]\n\"workload.context\" = [512, 1024, 2048]\n");
    let loaded = load_text(&swept, &[]);
    let whole = try_run(load_text(&swept, &[])).unwrap();
    // Into the second system of the second point.
    let events = whole.systems[..5].iter().map(|system| system.input.events).sum::<u64>() + 100;
    let directory = to_files_within(&loaded, &mut max_events(events));
    check_files(directory.path(), &["report.html", "share.svg", "spans.csv", "spans-open.csv", "summary.json"]);
    let summary = summary(directory.path());
    let points = summary["points"].as_array().unwrap();
    assert_eq!(points.len(), 2);
    assert_eq!(points[0], reports::summary::point(&whole.report.points[0]));
    assert_eq!(points[1]["systems"].as_array().unwrap().len(), 2);
    assert_eq!(points[1]["systems"][0], reports::summary::system(&whole.report.points[1].systems[0]));
    let stopped = &summary["stopped"];
    assert_eq!((&stopped["system"], &stopped["point"]), (&"gpu-offload".into(), &"workload.context=1024".into()));
    let not_run = stopped["not_run"].as_array().unwrap();
    assert_eq!(not_run.len(), 6);
    assert_eq!(
        (&not_run[0], &not_run[5]),
        (&"cpu-attention workload.context=1024".into(), &"attacc workload.context=2048".into())
    );
    assert!(read(directory.path(), "share.svg").contains("partial: gpu-offload"));
    let read_back = reports::summary::read(&read(directory.path(), "summary.json")).unwrap();
    assert_eq!(reports::summary::to_json(&read_back), read(directory.path(), "summary.json"));
}

#[test]
fn does_a_run_that_fails_leave_no_temporaries() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("a/b");
    let loaded = load_text(SMALL, &["kv.overflow=refuse", "gpu.mem_capacity=300 MiB"]);
    let outputs = Outputs { directory: out, trace: false };
    let failed = run_to_files_within(&loaded, &outputs, &mut until(1), &|_| None);
    assert!(matches!(failed, Err(RunError::System { .. })));
    assert!(tree(directory.path()).is_empty());
}

/// A directory with the small scenario, for the binary.
fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("good.toml"), SMALL).unwrap();
    directory
}

/// The binary with a limit that stops it.
#[track_caller]
fn check_limit(flags: &[&str], why: &str) -> Value {
    let directory = directory();
    let output = pimscope(directory.path(), &[&["run", "good.toml"], flags].concat(), None);
    let (table, note) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(0), "{note}");
    assert!(note.starts_with(&format!("note: stopped by --{why} at ")), "{note}");
    assert_eq!(note.lines().count(), 1, "no progress line in a pipe: {note}");
    assert!(table.contains("\npartial: ") && table.contains(&format!("by --{why}")), "{table}");
    let out = directory.path().join("out/good");
    check_files(&out, &["summary.json", "run.json", "spans.csv", "spans-open.csv", "report.html", "breakdown.svg"]);
    check_clean(directory.path());
    let summary = summary(&out);
    assert_eq!((&summary["partial"], &summary["stopped"]["why"]), (&true.into(), &why.into()));
    // What a stopped run left can be read like any other.
    let trace = pimscope(directory.path(), &["trace", "out/good", "--critical-path"], None);
    assert!(trace.status.success(), "{trace:?}");
    summary
}

#[test]
fn does_each_flag_stop_the_run() {
    assert_eq!(check_limit(&["--until", "0.9 ms"], "until")["stopped"]["simulated_ps"], 900_000_000_u64);
    check_limit(&["--max-events", "5_000"], "max-events");
    check_limit(&["--max-events=300", "--until=1 s"], "max-events");
    let set = "workload.new_tokens=100";
    check_limit(&["--set", set, "--max-wall", "1 us"], "max-wall");
    check_limit(&["--set", set, "--max-wall", "10 ms"], "max-wall");
}

#[test]
fn is_a_limit_that_is_not_reached_as_good_as_none() {
    let directory = directory();
    let flags = ["--until", "10 s", "--max-events", "1000000000", "--max-wall", "1000 s"];
    for (out, flags) in [("limited", &flags[..]), ("free", &[])] {
        let output = pimscope(directory.path(), &[&["run", "good.toml", "--out", out], flags].concat(), None);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
    for name in ["summary.json", "spans.csv", "report.html"] {
        let of = |out: &str| read(&directory.path().join(out), name);
        assert!(of("limited") == of("free"), "{name} differs");
    }
}

#[test]
fn does_a_limit_skip_the_scenarios_after_it() {
    let directory = directory();
    fs::write(directory.path().join("next.toml"), SMALL).unwrap();
    let output = pimscope(directory.path(), &["run", "good.toml", "next.toml", "-q", "--until", "1 us"], None);
    let note = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && output.stdout.is_empty(), "{note}");
    assert!(note.contains("stopped by --until") && note.contains("not run: next.toml"), "{note}");
    assert!(directory.path().join("out/good/summary.json").exists());
    assert!(!directory.path().join("out/next").exists());
}

#[test]
fn is_a_limit_that_is_none_refused_with_its_place() {
    for (flag, value, wanted) in [
        ("--until", "soon", "a time is wanted"),
        ("--until", "5 GB", "a time is wanted"),
        ("--until", "0 s", "more than zero"),
        ("--until", "0.5 ps", "ps"),
        ("--max-wall", "10", "a time is wanted"),
        ("--max-wall", "0 ms", "more than zero"),
        ("--max-events", "0", "a whole number from 1"),
        ("--max-events", "many", "a whole number from 1"),
        ("--max-events", "1.5", "a whole number from 1"),
        ("--max-events", "99999999999999999999", "a whole number from 1"),
    ] {
        let directory = directory();
        let output = pimscope(directory.path(), &["run", "good.toml", flag, value], None);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(&format!("{flag} {value}")) && message.contains(wanted), "{message}");
        assert_eq!(message.matches("  × ").count(), 1, "{message}");
        assert_eq!(tree(directory.path()).len(), 1, "something was left behind");
    }
}

/// A run of minutes.
fn long_run(directory: &Path, flags: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pimscope"));
    command.current_dir(directory).args(["run", "quickstart", "--trace"]).args(flags);
    command.args(["--set", "workload.new_tokens=2000"]);
    command.env_clear().env("LANG", "C.UTF-8").env("NO_COLOR", "1");
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

/// Waits until `done`, at most a minute.
#[track_caller]
fn wait_until(mut done: impl FnMut() -> bool) {
    for _ in 0..1_200 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("it does not come");
}

/// The child has made its output directory and is at work.
fn begun(out: &Path) -> bool {
    out.is_dir() && fs::read_dir(out).unwrap().next().is_some()
}

#[track_caller]
fn ended(child: &mut Child) -> ExitStatus {
    let mut status = None;
    wait_until(|| {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}

#[cfg(unix)]
#[test]
fn does_ctrl_c_keep_what_was_finished() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out/quickstart");
    let child = long_run(directory.path(), &["--set", "workload.context=4000"]);
    wait_until(|| begun(&out));
    std::thread::sleep(Duration::from_secs(1));
    interrupt(&child);
    // Drained by the test itself: the pipe of a long table would otherwise fill up.
    let output = child.wait_with_output().unwrap();
    let note = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{note}");
    assert!(note.starts_with("note: interrupted at ") && !note.contains('\u{1b}'), "{note}");
    assert!(String::from_utf8(output.stdout).unwrap().contains("by an interrupt"));
    check_files(&out, &FILES);
    check_files(&out, &["run.json", "spans-open.csv"]);
    check_clean(directory.path());
    let summary = summary(&out);
    assert_eq!((&summary["partial"], &summary["stopped"]["why"]), (&true.into(), &"interrupt".into()));
}

#[cfg(unix)]
#[test]
fn does_a_second_ctrl_c_leave_nothing_half_written() {
    // In a new directory nothing is left, in one with the files of an earlier run those.
    for earlier in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("out/quickstart");
        if earlier {
            fs::create_dir_all(&out).unwrap();
            fs::write(out.join("summary.json"), "of yesterday").unwrap();
        }
        // A context at which it takes a while to write the files.
        let mut child = long_run(directory.path(), &["--set", "workload.context=4000", "-q"]);
        wait_until(|| out.is_dir() && fs::read_dir(&out).unwrap().count() > usize::from(earlier));
        std::thread::sleep(Duration::from_millis(700));
        interrupt(&child);
        interrupt(&child);
        // Signals that come at once are one: a third makes sure of the second.
        std::thread::sleep(Duration::from_millis(1));
        let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).stderr(Stdio::null()).status();
        assert_eq!(ended(&mut child).code(), Some(3));
        check_clean(directory.path());
        if out.join("spans.csv").exists() {
            // It was fast enough to put its files in place, all of them.
            check_files(&out, &FILES);
        } else if earlier {
            assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
            assert_eq!(read(&out, "summary.json"), "of yesterday");
        } else {
            assert!(tree(directory.path()).is_empty(), "{:?}", tree(directory.path()));
        }
    }
}

/// A validation of minutes, past setting its handler.
#[cfg(unix)]
fn long_validation(directory: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pimscope"));
    command.current_dir(directory).args(["validate", "--suite", "queueing", "--out", "a/validation"]);
    command.env_clear().env("LANG", "C.UTF-8").stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    if Path::new("/proc/self/status").exists() {
        // The signals that it catches, as bits; SIGINT is the second.
        wait_until(|| {
            let text = fs::read_to_string(&status).unwrap_or_default();
            let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).map(str::trim);
            caught.and_then(|bits| u64::from_str_radix(bits, 16).ok()).is_some_and(|bits| bits & 2 != 0)
        });
    } else {
        std::thread::sleep(Duration::from_secs(2));
    }
    child
}

#[cfg(unix)]
#[test]
fn does_ctrl_c_end_a_validation_with_nothing_half_written() {
    let directory = tempfile::tempdir().unwrap();
    let child = long_validation(directory.path());
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    let note = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), note.as_str()), (Some(3), "note: interrupted: nothing was written\n"));
    assert!(output.stdout.is_empty() && tree(directory.path()).is_empty());
}

#[cfg(unix)]
#[test]
fn does_the_next_run_clean_up_after_a_killed_one() {
    let directory = directory();
    let out = directory.path().join("out/quickstart");
    let mut child = long_run(directory.path(), &[]);
    wait_until(|| begun(&out));
    std::thread::sleep(Duration::from_millis(300));
    child.kill().unwrap();
    child.wait().unwrap();
    let left = || tree(directory.path()).iter().filter(|path| path.to_string_lossy().ends_with(".part")).count();
    assert_eq!(left(), 1, "a killed process cannot clean up");
    // A run that goes on in the same place keeps its own.
    let mut other = long_run(directory.path(), &[]);
    wait_until(|| left() == 1 && begun(&out));
    let output = pimscope(directory.path(), &["run", "good.toml", "-q", "--out", "out/quickstart"], None);
    assert!(output.status.success(), "{output:?}");
    assert!(other.try_wait().unwrap().is_none(), "it runs for minutes");
    assert_eq!(left(), 1);
    interrupt(&other);
    assert_eq!(other.wait_with_output().unwrap().status.code(), Some(3));
    check_clean(directory.path());
    check_files(&out, &FILES);
}
