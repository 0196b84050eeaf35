//! Does the number of threads change anything but the time that a run takes?

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use pimscope::control::{Brake, Control, Standing};
use pimscope::run::{Outputs, run_to_files_within, simulate_within};
use pimscope::scenario::Loaded;
use reports::run_info::Executed;
use reports::{RunReport, SystemInput, Time, Why};
use tempfile::TempDir;

use crate::common::{SMALL, check_same, load, load_text, pimscope, tree};
use crate::limits::check_prefix;

/// Fifteen KV heads on sixteen channels, so that no two channels have the same programs, and enough to do.
const HEADS: &str = r#"
    name = "heads"
    [model]
    config = "smollm2-135m-instruct"
    [workload]
    batch = 5
    context = 4096
    new_tokens = 2
    [[system]]
    name = "pim"
    gpu = "H100-SXM-80GB"
    pim = { device = "hbm3-pim-bank", stacks = 1 }
    kv = { home = "pim" }
"#;

fn threads(threads: usize) -> Control<'static> {
    Control { threads: NonZeroUsize::new(threads), ..Control::default() }
}

fn to_files(loaded: &Loaded, control: &mut Control<'_>) -> (TempDir, Vec<Executed>) {
    let directory = tempfile::tempdir().unwrap();
    let outputs = Outputs { directory: directory.path().to_owned(), trace: true };
    let (_, executed) = run_to_files_within(loaded, &outputs, control, &|_| None).unwrap();
    (directory, executed)
}

fn in_memory(loaded: &Loaded, control: &mut Control<'_>) -> (RunReport, Vec<SystemInput>) {
    let mut inputs = Vec::new();
    let report = simulate_within(loaded, control, &mut |_, input, _| {
        inputs.push(input);
        Ok(())
    });
    (report.unwrap(), inputs)
}

#[test]
fn do_any_threads_leave_the_same_files() {
    for set in ["pim.execution=fast", "pim.execution=commands"] {
        let loaded = load_text(HEADS, &[set]);
        let (one, executed) = to_files(&loaded, &mut Control::default());
        assert_eq!((executed[0].execution.threads.len(), executed[0].execution.windows), (1, 0));
        assert!(tree(one.path()).len() >= 6);
        for count in [2, 3, 8] {
            let (several, executed) = to_files(&loaded, &mut threads(count));
            check_same(one.path(), several.path());
            let [Executed { execution, events, .. }] = executed.as_slice() else { panic!("{executed:?}") };
            assert_eq!((execution.threads.len(), execution.one_thread.as_deref()), (count, None));
            assert!(execution.windows > 0 && execution.lookahead > Some(Time::ZERO));
            assert!(execution.threads.iter().all(|thread| thread.actors > 0 && thread.events > 0), "{execution:?}");
            assert_eq!(execution.threads.iter().map(|thread| thread.events).sum::<u64>(), *events);
        }
    }
}

/// The shipped pool with fewer stacks, sequences and tokens; its classes are as different.
#[test]
fn does_the_pool_leave_the_same_files_on_any_threads() {
    let sets = ["workload.context=[4000, 100, 2222, 3210, 999]", "workload.new_tokens=2", "pim.stacks=5"];
    let loaded = load("pim-pool", &sets);
    let (one, _) = to_files(&loaded, &mut Control::default());
    for count in [2, 3, 8] {
        let (several, executed) = to_files(&loaded, &mut threads(count));
        check_same(one.path(), several.path());
        let execution = &executed[0].execution;
        assert_eq!((execution.threads.len(), execution.one_thread.as_deref()), (count, None));
    }
}

#[test]
fn does_a_time_limit_leave_the_same_files_on_any_threads() {
    let loaded = load_text(HEADS, &[]);
    let (_, whole) = in_memory(&loaded, &mut Control::default());
    let last = whole[0].spans.last().unwrap().end.ps();
    for part in [1, 300, 500, 777] {
        let until = Some(Time::from_ps(last * part / 1_000));
        let (one, _) = to_files(&loaded, &mut Control { until, ..Control::default() });
        assert!(one.path().join("spans-open.csv").exists());
        for count in [2, 3] {
            let (several, executed) = to_files(&loaded, &mut Control { until, ..threads(count) });
            check_same(one.path(), several.path());
            assert_eq!(executed[0].execution.threads.len(), count);
        }
    }
}

#[test]
fn does_a_limit_on_events_fall_back_to_one_thread_and_say_so() {
    let loaded = load_text(HEADS, &[]);
    let max_events = Some(2_000);
    let (one, _) = to_files(&loaded, &mut Control { max_events, ..Control::default() });
    let (several, executed) = to_files(&loaded, &mut Control { max_events, ..threads(4) });
    check_same(one.path(), several.path());
    let why = executed[0].execution.one_thread.as_deref().unwrap();
    assert!(executed[0].execution.threads.len() == 1 && why.contains("--max-events"), "{why}");
}

#[test]
fn are_interrupted_threads_at_one_time() {
    let loaded = load_text(HEADS, &["pim.execution=commands"]);
    let (_, whole) = in_memory(&loaded, &mut Control::default());
    let all = whole[0].events;
    for events in [0, 1, all / 3, all / 2] {
        let brake = Brake::default();
        let mut watch = |standing: &Standing<'_>| {
            if standing.progress.events >= events {
                brake.pull(Why::Interrupt);
            }
        };
        let mut control = Control { brake: brake.clone(), watch: Some(&mut watch), ..threads(3) };
        let (report, inputs) = in_memory(&loaded, &mut control);
        assert_eq!(report.stopped.unwrap().why, Why::Interrupt);
        check_prefix(&whole[0], &inputs[0]);
        assert!(inputs[0].events >= events && inputs[0].events < whole[0].events);
        assert_eq!(inputs[0].execution.threads.len(), 3);
    }
}

/// Why the last system ran on one thread.
#[track_caller]
fn check_reason(text: &str, sets: &[&str], expected: &str) {
    let (_, inputs) = in_memory(&load_text(text, sets), &mut threads(2));
    let execution = &inputs.last().unwrap().execution;
    let why = execution.one_thread.as_deref().unwrap_or_default();
    assert!(why.contains(expected) && execution.threads.len() == 1 && execution.windows == 0, "{execution:?}");
}

#[test]
fn does_a_run_say_why_it_is_on_one_thread() {
    check_reason(HEADS, &["kv.home=gpu"], "no PIM programs");
    check_reason(SMALL, &["system.3.kv.home=host"], "no PIM programs");
    // 48 heads on 48 channels.
    check_reason(HEADS, &["workload.batch=16", "pim.stacks=3"], "simulated once");
    check_reason(HEADS, &["pim.launch=0 s", "pim.flag=0 s"], "takes no time");
    check_reason(HEADS, &["workload.context=200"], "fewer than");
    // One thread is what was asked for.
    let (_, inputs) = in_memory(&load_text(HEADS, &[]), &mut threads(1));
    assert_eq!(inputs[0].execution.one_thread, None);
}

fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("heads.toml"), HEADS).unwrap();
    fs::write(directory.path().join("small.toml"), SMALL).unwrap();
    directory
}

#[test]
fn does_run_json_say_what_the_threads_did() {
    let directory = directory();
    for (count, expected) in [("1", 1), ("2", 2), ("200", 16)] {
        let output = pimscope(directory.path(), &["run", "heads.toml", "--threads", count], None);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        let text = fs::read_to_string(directory.path().join("out/heads/run.json")).unwrap();
        let info: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(info["threads"].to_string(), count);
        let system = &info["systems"][0];
        let threads = system["threads"].as_array().unwrap();
        assert_eq!((system["name"].as_str(), threads.len()), (Some("pim"), expected));
        // The hand-over of the device, in picoseconds.
        let lookahead = if expected == 1 { serde_json::Value::Null } else { 3_600_000.into() };
        assert_eq!(system["lookahead_ps"], lookahead);
        let cpu = |key: &str| info[key].as_f64();
        let others: f64 = threads.iter().skip(1).filter_map(|thread| thread["cpu_seconds"].as_f64()).sum();
        let all = cpu("first_thread_cpu_seconds").map(|first| first + others);
        assert!(cpu("cpu_seconds").zip(all).is_none_or(|(cpu, all)| (cpu - all).abs() < 1e-6));
        for thread in threads {
            assert!(thread["busy_seconds"].as_f64().unwrap() > 0.0 && thread["blocked_seconds"].is_f64());
            assert_eq!(thread["cpu_seconds"].is_f64(), Path::new("/proc/thread-self/schedstat").exists());
        }
    }
}

#[test]
fn does_a_note_name_the_systems_on_one_thread() {
    let directory = directory();
    let run = |flags: &[&str]| {
        let output = pimscope(directory.path(), &[&["run", "small.toml", "--threads", "2"], flags].concat(), None);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let note = run(&[]);
    assert!(note.starts_with("note: gpu, gpu-offload, cpu-attention on one thread: no PIM programs"), "{note}");
    assert_eq!(run(&["--quiet"]), "");
}

#[test]
fn is_a_number_of_threads_that_is_none_refused() {
    let directory = directory();
    for count in ["0", "-1", "two", "1.5", "+2", "", "257", "99999999999999999999999"] {
        let flag = format!("--threads={count}");
        let output = pimscope(directory.path(), &["run", "heads.toml", &flag], None);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(&format!("--threads {count}: a whole number from 1 to 256")), "{message}");
        assert!(!directory.path().join("out").exists());
    }
}
