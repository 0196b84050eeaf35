//! What does a newcomer see who makes a mistake?
//!
//! Always the same: exit code 2, one message on standard error with the place, the value and the remedy, nothing on
//! standard output, and nothing left behind. The messages themselves are in `snapshots/`.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::common::{SMALL, pimscope, tree};

/// A directory with the small scenario and whatever else a test needs. The binary runs in it with relative paths, so
/// that no message holds a name that changes.
fn directory(files: &[(&str, &[u8])]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("good.toml"), SMALL).unwrap();
    for (name, bytes) in files {
        fs::write(directory.path().join(name), bytes).unwrap();
    }
    directory
}

/// Runs the binary, which must refuse: see the top. Gives the message.
#[track_caller]
fn refused(directory: &Path, arguments: &[&str], wanted: &[&str]) -> String {
    let before = tree(directory);
    let output = pimscope(directory, arguments, None);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    for word in ["panicked", "RUST_BACKTRACE", "backtrace", "unwrap", "Error {"] {
        assert!(!text.contains(word), "{text}");
    }
    // Lines are folded to the width of a terminal; what is looked for is not.
    let unfolded = text.replace("\n  │ ", " ").split_whitespace().collect::<Vec<_>>().join(" ");
    for word in wanted {
        assert!(unfolded.contains(word), "`{word}` is not in\n{text}");
    }
    assert_eq!(tree(directory), before, "something was left behind");
    text
}

/// One message: it begins once.
#[track_caller]
fn message(directory: &Path, arguments: &[&str], wanted: &[&str]) -> String {
    let text = refused(directory, arguments, wanted);
    assert_eq!(text.matches("  × ").count(), 1, "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    text
}

/// A mistake in a scenario: the small scenario with one text in the place of another.
#[track_caller]
fn scenario(old: &str, new: &str, wanted: &[&str]) -> String {
    let text = SMALL.replacen(old, new, 1);
    assert_ne!(text, SMALL);
    let directory = directory(&[("bad.toml", text.as_bytes())]);
    message(directory.path(), &["run", "bad.toml", "--out", "out"], wanted)
}

/// A mistake in a file.
#[track_caller]
fn file(name: &str, bytes: &[u8], wanted: &[&str]) -> String {
    let directory = directory(&[(name, bytes)]);
    message(directory.path(), &["run", name], wanted)
}

/// A mistake in the arguments.
#[track_caller]
fn arguments(arguments: &[&str], wanted: &[&str]) -> String {
    message(directory(&[]).path(), arguments, wanted)
}

#[test]
fn a_missing_file() {
    insta::assert_snapshot!(arguments(&["run", "nowhere.toml"], &["nowhere.toml", "no such file", "check the path"]));
}

#[test]
fn a_folder_for_a_file() {
    insta::assert_snapshot!(arguments(&["run", "."], &["folder", "name the file"]));
}

#[test]
fn a_syntax_error() {
    insta::assert_snapshot!(scenario("batch = 4", "batch = ", &["bad.toml:6:13", "not TOML"]));
}

#[test]
fn a_text_without_its_end() {
    insta::assert_snapshot!(scenario("\"small\"", "\"small", &["bad.toml:2:18", "not TOML", "in quotes"]));
}

#[test]
fn a_syntax_error_in_json() {
    insta::assert_snapshot!(file("bad.json", b"{ \"model\": \n { \"config\" } }", &["bad.json:2:13", "not JSON"]));
}

#[test]
fn an_unknown_key() {
    let wanted = ["bad.toml:6:5", "`btach`", "did you mean `batch`?"];
    insta::assert_snapshot!(scenario("batch = 4", "btach = 4", &wanted));
}

#[test]
fn an_amount_of_memory_for_a_bandwidth() {
    let new = "gpu = { device = \"H100\", mem_bw_peak = \"64 GB\" }";
    let wanted = ["bad.toml:11:44", "\"64 GB\"", "a bandwidth is wanted", "\"64 GB/s\""];
    insta::assert_snapshot!(scenario("gpu = \"H100-SXM-80GB\"", new, &wanted));
}

#[test]
fn an_amount_of_memory_for_a_bandwidth_on_the_command_line() {
    let wanted = ["--set host.link.raw_bw=64 GB", "a bandwidth is wanted", "\"64 GB/s\""];
    insta::assert_snapshot!(arguments(&["run", "good.toml", "--set", "host.link.raw_bw=64 GB"], &wanted));
}

#[test]
fn a_batch_of_nothing() {
    insta::assert_snapshot!(scenario(
        "batch = 4",
        "batch = 0",
        &["bad.toml:6:13", "`workload.batch` is 0", "from 1 to 4096"]
    ));
}

#[test]
fn less_power_than_a_stack_takes_without_working() {
    insta::assert_snapshot!(scenario(
        "stacks = 1 }",
        "stacks = 1, power = \"2 W\" }",
        &["bad.toml:", "cannot be kept to 2 W", "standby and refresh take"]
    ));
    arguments(&["run", "good.toml", "--set", "system.attacc.pim.power=0 W"], &["must be more than zero"]);
    arguments(&["run", "good.toml", "--set", "system.attacc.pim.power=60 GB/s"], &["a power is wanted"]);
}

#[test]
fn a_flit_that_carries_more_than_it_has_bytes() {
    let card = ["run", "good.toml", "--set", "system.attacc.pim.link=CXL2x16", "--set"];
    let with = |set| [card.as_slice(), &[set]].concat();
    let wanted = ["a flit of `CXL2x16` is 68 B and would carry 100 B", "flit_payload is at most flit_bytes"];
    arguments(&with("system.attacc.pim.link.flit_payload=100 B"), &wanted);
    arguments(&with("system.attacc.pim.link.flit_bytes=32 B"), &["is 32 B and would carry 64 B"]);
}

#[test]
fn a_batch_below_nothing() {
    let wanted = ["bad.toml:6:13", "`workload.batch` is -4", "from 1 to 4096"];
    insta::assert_snapshot!(scenario("batch = 4", "batch = -4", &wanted));
    arguments(&["run", "good.toml", "--set", "workload.batch=-4"], &["--set workload.batch=-4", "from 1 to 4096"]);
}

#[test]
fn a_context_beyond_the_trained_length() {
    let wanted = ["bad.toml:7:15", "9000", "8192", "beyond_trained_length = true"];
    insta::assert_snapshot!(scenario("context = 1024", "context = 9000", &wanted));
}

#[test]
fn a_context_beyond_the_trained_length_on_purpose() {
    let directory = directory(&[]);
    let sets = ["--set", "workload.context=9000", "--set", "workload.beyond_trained_length=true"];
    let mut arguments = vec!["run", "good.toml", "-q"];
    arguments.extend(sets);
    let output = pimscope(directory.path(), &arguments, None);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert!(directory.path().join("out/good/summary.json").exists());
    assert!(directory.path().join("out/good/run.json").exists());
}

#[test]
fn a_configuration_without_a_field() {
    let config = br#"{ "model_type": "llama", "hidden_size": 576, "intermediate_size": 1536,
                       "num_attention_heads": 9, "vocab_size": 49152 }"#;
    let directory = directory(&[("config.json", config)]);
    let arguments = ["run", "good.toml", "--set", "model.config=config.json"];
    let wanted = ["config.json", "`num_hidden_layers` is missing", "a whole number from 1"];
    insta::assert_snapshot!(message(directory.path(), &arguments, &wanted));
}

#[test]
fn a_configuration_that_is_no_configuration() {
    let directory = directory(&[("config.json", b"[1, 2")]);
    let arguments = ["run", "good.toml", "--set", "model.config=config.json"];
    insta::assert_snapshot!(message(directory.path(), &arguments, &["config.json", "not JSON"]));
}

#[test]
fn a_model_that_is_not_there() {
    let wanted = ["bad.toml:4:14", "`smollm-135m`", "smollm2-135m-instruct"];
    insta::assert_snapshot!(scenario("smollm2-135m-instruct", "smollm-135m", &wanted));
}

#[test]
fn a_device_with_a_typing_error() {
    let wanted = ["bad.toml:11:11", "`H10O-SXM-80GB`", "did you mean `H100-SXM-80GB`?"];
    insta::assert_snapshot!(scenario("H100-SXM-80GB", "H10O-SXM-80GB", &wanted));
}

#[test]
fn an_unknown_key_on_the_command_line() {
    let wanted = ["--set kv.prefech=1", "`kv.prefech`", "did you mean `kv.prefetch`?"];
    insta::assert_snapshot!(arguments(&["run", "good.toml", "--set", "kv.prefech=1"], &wanted));
}

#[test]
fn a_set_without_a_value() {
    let wanted = ["--set workload.batch", "there is no `=`", "--set KEY=VALUE"];
    insta::assert_snapshot!(arguments(&["run", "good.toml", "--set", "workload.batch"], &wanted));
}

#[test]
fn a_system_that_is_not_there() {
    let wanted = ["--set system.atacc.pim.stacks=3", "`atacc`", "gpu, gpu-offload, cpu-attention, attacc"];
    insta::assert_snapshot!(arguments(&["run", "good.toml", "--set", "system.atacc.pim.stacks=3"], &wanted));
}

#[test]
fn an_output_directory_below_a_file() {
    let wanted = ["good.toml/out", "cannot write", "--out DIR"];
    insta::assert_snapshot!(arguments(&["run", "good.toml", "--out", "good.toml/out"], &wanted));
}

#[test]
fn an_output_directory_that_is_a_file() {
    insta::assert_snapshot!(arguments(&["run", "good.toml", "--out", "good.toml"], &["good.toml", "--out DIR"]));
}

#[test]
fn random_bytes() {
    // The same bytes on every run, none of them text.
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let bytes: Vec<u8> = (0..4096).map(|_| next()).collect();
    insta::assert_snapshot!(file("bytes.toml", &bytes, &["bytes.toml", "not text", "TOML or JSON"]));
    // With any ending, and as a model.
    file("bytes", &bytes, &["bytes", "not text"]);
    file("bytes.json", &bytes, &["bytes.json", "not text"]);
    let directory = directory(&[("config.json", &bytes)]);
    message(directory.path(), &["run", "good.toml", "--set", "model.config=config.json"], &["config.json", "not text"]);
}

#[test]
fn random_characters() {
    let mut state = 7_u64;
    for _ in 0..40 {
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from((state >> 57) as u8)
        };
        // Escapes have a test of their own.
        let mut next = || Some(next()).filter(|c| !c.is_control() || *c == '\n').unwrap_or(' ');
        let text: String = (0..300).map(|_| next()).collect();
        file("text.toml", text.as_bytes(), &["text.toml"]);
    }
}

/// A file from elsewhere must not be able to rewrite the terminal of whom it is shown to.
#[test]
fn escapes_of_a_terminal() {
    for text in ["# \u{1b}[2Jhello\nname = ", "name = 1 # \u{1b}]0;title\u{7}", "\u{1b}[31m = 1"] {
        let directory = directory(&[("escape.toml", text.as_bytes())]);
        let shown = refused(directory.path(), &["run", "escape.toml"], &["escape.toml"]);
        assert!(shown.chars().all(|c| !c.is_control() || c == '\n'), "{shown:?}");
    }
}

#[test]
fn an_empty_file() {
    insta::assert_snapshot!(file("empty.toml", b"", &["empty.toml", "`model` is missing", "[model]"]));
    file("empty.json", b"", &["empty.json", "not JSON"]);
    file("empty", b"", &["empty"]);
}

#[test]
fn a_file_that_is_cut_off() {
    for length in (0..SMALL.len() - 1).step_by(41) {
        let directory = directory(&[("cut.toml", &SMALL.as_bytes()[..length])]);
        // A scenario that ends after a system is one; all others are refused with their place.
        let output = pimscope(directory.path(), &["run", "cut.toml", "-q"], None);
        match output.status.code() {
            Some(0) => {}
            Some(2) => drop(message(directory.path(), &["run", "cut.toml", "-q"], &["cut.toml"])),
            other => panic!("{other:?} after {length} bytes: {output:?}"),
        }
    }
}

#[test]
fn no_arguments() {
    let text = refused(directory(&[]).path(), &[], &["Usage: pimscope", "run"]);
    insta::assert_snapshot!(text);
}

#[test]
fn an_unknown_command() {
    let text = refused(directory(&[]).path(), &["rnu"], &["'rnu'", "Usage: pimscope", "--help"]);
    insta::assert_snapshot!(text);
}

#[test]
fn a_run_of_nothing() {
    insta::assert_snapshot!(refused(directory(&[]).path(), &["run"], &["<FILE>", "Usage: pimscope run"]));
}

#[test]
fn a_trace_of_a_directory_that_is_no_run() {
    insta::assert_snapshot!(arguments(&["trace", "."], &["spans.csv", "pimscope run"]));
    insta::assert_snapshot!(arguments(&["trace", "nowhere"], &["nowhere"]));
}

#[test]
fn a_trace_from_a_time_that_is_none() {
    insta::assert_snapshot!(arguments(
        &["trace", ".", "--from", "soon"],
        &["--from soon", "a time is wanted", "'1.5 ms'"]
    ));
    arguments(&["trace", ".", "--to", "5 GB"], &["--to 5 GB", "'1.5 ms'"]);
    arguments(
        &["trace", ".", "--from", "2 ms", "--to", "1999 us"],
        &["--from 2.000 ms is after --to 1.999 ms", "--from is the earlier"],
    );
}

#[test]
fn a_trace_of_a_file_that_is_cut_off() {
    let directory = directory(&[]);
    assert!(pimscope(directory.path(), &["run", "good.toml", "--out", "run", "-q"], None).status.success());
    let path = directory.path().join("run/spans.csv");
    let text = fs::read_to_string(&path).unwrap();
    let line = text.lines().count();
    let end = text.trim_end().rfind(',').unwrap();
    fs::write(&path, &text[..end]).unwrap();
    let output = pimscope(directory.path(), &["trace", "run", "--critical-path"], None);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains(&format!("spans.csv:{line}")) && error.contains("cut off"), "{error}");
}

#[test]
fn a_time_below_nothing() {
    let negative = "a time cannot be negative";
    for flag in ["--until", "--max-wall"] {
        arguments(&["run", "good.toml", flag, "-1 ms"], &[&format!("{flag} -1 ms: {negative}"), "'1.5 ms'"]);
    }
    for flag in ["--from", "--to"] {
        arguments(&["trace", ".", flag, "-1 ms"], &[&format!("{flag} -1 ms: {negative}")]);
    }
    for flag in ["--max-events", "--threads"] {
        arguments(&["run", "good.toml", flag, "-1"], &[&format!("{flag} -1: a whole number from 1 to")]);
    }
    arguments(&["sweep", "good.toml", "--jobs", "-1"], &["--jobs -1: a whole number from 1 to"]);
}

#[test]
fn a_time_without_an_end() {
    let wanted = ["--set pim.flag=99999999 s", "a time is at most 18446744 s"];
    arguments(&["run", "good.toml", "--set", "pim.flag=99999999 s"], &wanted);
}

#[test]
fn tensors_that_are_not_there() {
    let wanted = ["--set accuracy.tensors=nope: nope: there is no such file", "kv_smollm2_L2048_2heads"];
    arguments(&["run", "good.toml", "--set", "accuracy.tensors=nope"], &wanted);
    let new = "[accuracy]\n    tensors = \"nope\"\n    [workload]";
    scenario("[workload]", new, &["bad.toml:6:15: nope: there is no such file"]);
}

/// Time that no clock of the simulation has: refused at once, although a channel refreshes trillions of times in it.
#[test]
fn a_softmax_that_never_ends() {
    for execution in ["fast", "commands"] {
        let new = format!("stacks = 1, buffer_rate = \"1 B/s\", execution = \"{execution}\" }}");
        scenario(
            "stacks = 1 }",
            &new,
            &["bad.toml: system `attacc`", "overflows 64 bits of picoseconds", "raise a bandwidth"],
        );
    }
    let text = SMALL.replacen("stacks = 1 }", "stacks = 1, buffer_rate = \"1 B/s\" }", 1);
    let directory = directory(&[("bad.toml", text.as_bytes())]);
    message(directory.path(), &["run", "bad.toml", "--trace-commands"], &["overflows 64 bits of picoseconds"]);
}

#[test]
fn a_cache_that_does_not_fit_and_may_not_overflow() {
    let sets =
        ["run", "good.toml", "--set", "kv.overflow=refuse", "--set", "gpu.mem_capacity=300 MiB", "--out", "a/b/c"];
    let wanted = ["good.toml", "system `gpu`", "tokens of each sequence would fit", "lower workload.context to"];
    insta::assert_snapshot!(arguments(&sets, &wanted));
}

#[test]
fn two_scenarios_for_one_directory() {
    let directory = directory(&[]);
    fs::create_dir(directory.path().join("other")).unwrap();
    fs::write(directory.path().join("other/good.toml"), SMALL).unwrap();
    let arguments = ["run", "good.toml", "other/good.toml"];
    insta::assert_snapshot!(message(directory.path(), &arguments, &["out/good", "--out"]));
}

#[test]
fn a_second_scenario_that_is_wrong() {
    // Everything is checked before anything is run.
    let directory = directory(&[("bad.toml", b"name = 1")]);
    message(directory.path(), &["run", "good.toml", "bad.toml"], &["bad.toml:1:8", "`name`"]);
}

#[test]
fn a_run_that_fails_leaves_what_was_there() {
    let directory = directory(&[]);
    let out = directory.path().join("out/good");
    fs::create_dir_all(&out).unwrap();
    fs::write(out.join("summary.json"), "of yesterday").unwrap();
    let sets = ["run", "good.toml", "--set", "kv.overflow=refuse", "--set", "gpu.mem_capacity=300 MiB"];
    message(directory.path(), &sets, &["would fit"]);
    assert_eq!(fs::read_to_string(out.join("summary.json")).unwrap(), "of yesterday");
}

/// A reference of the HBM-PIM suites that cannot be computed.
#[track_caller]
fn hbm_pim(suite: &str, name: &str, text: &str, wanted: &[&str]) -> String {
    let directory = directory(&[(name, text.as_bytes())]);
    let reference = if suite == "hbm-pim-golden" { "." } else { name };
    message(directory.path(), &["validate", "--suite", suite, "--reference", reference, "--out", "out"], wanted)
}

#[test]
fn kernels_of_hbm_pim_that_cannot_be() {
    let head =
        "kernel,mode,out_dim,in_dim,batch,channels,ranks_per_channel,cycles,cycles_read_phase,total_reads,total_writes";
    let table = |row: &str| format!("{head}\n{row}\n");
    let refused = |row: &str, wanted: &[&str]| hbm_pim("hbm-pim-kernels", "k.csv", &table(row), wanted);
    insta::assert_snapshot!(refused("gemm,pim,64,256,1,1,1,1138,0,160,33", &["k.csv:2:1", "gemm", "gemvtree"]));
    refused("gemv,pim,64,many,1,1,1,1138,0,160,33", &["k.csv:2:13", "many", "whole number"]);
    refused("gemv,pim,64,256,1,1,1,1138", &["k.csv:2:1", "8 fields"]);
    refused("gemv,pim,0,256,1,1,1,1138,0,160,33", &["k.csv:2:10", "out_dim = 0"]);
    let huge = "18446744073709551600";
    refused(&format!("gemv,pim,{huge},{huge},{huge},1,1,1138,0,160,33"), &["k.csv:2:10", "requests to a channel"]);
}

#[test]
fn traces_of_hbm_pim_that_cannot_be() {
    let head = "issue_cycle,rank_cycle,printed_cycle,event,mode_before,rank,bankgroup,bank,row,col,reg_or_crf_idx,pim_instruction,tag";
    let name = "trace_gemv_64x256_pim.csv";
    let refused = |row: &str, wanted: &[&str]| hbm_pim("hbm-pim-golden", name, &format!("{head}\n{row}\n"), wanted);
    insta::assert_snapshot!(refused("1,2,2,OPEN,SB,0,0,0,4096,0,,,", &["trace_gemv_64x256_pim.csv:2:7", "OPEN"]));
    refused("1,two,2,READ,SB,0,0,0,4096,0,,,", &["2:3", "two"]);
    refused("1,2,2,READ,SB,0", &["2:1", "6 fields"]);
    let text = format!("{head}\n1,2,2,READ,SB,0,0,0,4096,0,,,\n");
    hbm_pim("hbm-pim-golden", "trace_gemm_64x256_pim.csv", &text, &["gemm", "gemvtree"]);
    hbm_pim("hbm-pim-golden", "trace_gemv_64x0_pim.csv", &text, &["in_dim = 0"]);
}

#[test]
fn a_host_without_room_for_a_single_token() {
    let sets = ["--set", "kv.home=host", "--set", "kv.attention=gpu", "--set", "host.mem_capacity=1 B"];
    let sets = [&["run", "good.toml", "--set", "system.attacc.kv.home=host"][..], &sets].concat();
    arguments(&sets, &["0 tokens of each sequence would fit", "give it more memory, lower workload.batch"]);
}

#[test]
fn a_cache_in_pieces_so_small_that_the_run_would_not_end() {
    let sets =
        ["--set", "workload.context=8192", "--set", "workload.batch=16", "--set", "system.gpu-offload.kv.block=1 B"];
    let wanted = ["system `gpu-offload`", "kv.block", "100638720 copies, and 16777216 are the most", "raise kv.block"];
    arguments(&[&["run", "good.toml"][..], &sets].concat(), &wanted);
}
