//! Scenarios of kind `pim-kernel`: does each device do its kernels as its own model says, and is the rest refused?

use pim_device::kernel::gemv::{Gemv, gemv};
use pim_device::{DeviceSpec, Engine};
use pimscope::scenario::{Format, Scenario};
use sim_core::{Category, Cycles, Time};

use crate::common::{Run, check_run_refused, check_same, load_text, of_kind, pimscope, to_files, try_run};

/// A scenario with one system on `device`.
fn text(workload: &str, device: &str) -> String {
    format!("[workload]\nkind = \"pim-kernel\"\n{workload}\n[[system]]\nname = \"s\"\npim = {device}\n")
}

#[track_caller]
fn run(workload: &str, device: &str) -> Run {
    try_run(load_text(&text(workload, device), &[])).unwrap()
}

/// How long a kernel takes.
#[track_caller]
fn latency(workload: &str, device: &str) -> Time {
    run(workload, device).system("s").report.latency()
}

#[test]
fn takes_a_kernel_of_hbm2_pim_the_cycles_of_the_maker() {
    // 64 channels are four stacks; a cycle is 1 ns. The figures are those of validation/hbm-pim/kernel_cycles.csv.
    let four = "{ device = \"hbm2-pim\", stacks = 4 }";
    for (workload, cycles) in [
        ("kernel = \"gemv\"\noutputs = 4096\ninputs = 4096", 13_166),
        ("kernel = \"gemv\"\noutputs = 1024\ninputs = 1024", 3_662),
        ("kernel = \"add\"\nelements = 1048576", 3_349),
        ("kernel = \"mul\"\nelements = 1048576", 3_349),
        ("kernel = \"relu\"\nelements = 1048576", 2_042),
    ] {
        assert_eq!(latency(workload, four), Time::from_ps(cycles * 1_000), "{workload}");
    }
}

#[test]
fn does_a_gemv_of_hbm2_pim_read_and_multiply_every_weight() {
    let run = run("kernel = \"gemv\"\noutputs = 4096\ninputs = 4096", "{ device = \"hbm2-pim\", stacks = 4 }");
    let span = of_kind(&run.system("s").input.spans, "gemv").next().unwrap();
    assert_eq!(span.category, Category::ComputePim);
    assert_eq!(span.operations, 2 * 4096 * 4096);
    // Weights, and results of 16 lanes; parking and mode switches go to registers.
    let results = 4096 * 16 * 2;
    assert_eq!(span.bytes, 2 * 4096 * 4096 + results);
}

#[test]
fn takes_a_gemv_of_hbm3_as_long_as_the_longest_program() {
    for name in ["hbm3-pim-bank", "hbm3-pim-bg", "hbm3-pim-buffer"] {
        let device = DeviceSpec::by_name(name).unwrap();
        let matrix = Gemv { outputs: 1000, inputs: 2048, first_row: 0 };
        let program = gemv(&device, &matrix.part(0, 16));
        let execution = Engine::new(&device).run(&program, 0).unwrap();
        let expected = device.timing.clock.edge(Cycles(execution.end));
        let run = run("kernel = \"gemv\"\noutputs = 1000\ninputs = 2048", &format!("\"{name}\""));
        assert_eq!(run.system("s").report.latency(), expected, "{name}");
        // 1000 outputs over 16 channels: 8 have one more.
        let kernels = of_kind(&run.system("s").input.spans, "gemv").count();
        assert_eq!(kernels, 2, "{name}");
    }
}

#[test]
fn is_a_batch_one_vector_after_the_other() {
    let of = |batch: u32| {
        latency(&format!("kernel = \"gemv\"\noutputs = 512\ninputs = 1024\nbatch = {batch}"), "\"hbm3-pim-bank\"").ps()
    };
    assert!(of(4) > 3 * of(1) && of(4) <= 4 * of(1) + 500_000);
}

#[test]
fn takes_int8_less_time_than_fp16() {
    let of = |dtype: &str| {
        let workload = format!("kernel = \"gemv\"\noutputs = 4096\ninputs = 4096\ndtype = \"{dtype}\"");
        latency(&workload, "\"hbm3-pim-bank\"")
    };
    let (fp16, int8) = (of("fp16").ps(), of("int8").ps());
    assert!(int8 * 2 > fp16 * 9 / 10 && int8 * 10 < fp16 * 6, "{fp16} {int8}");
}

#[test]
fn is_one_head_faster_where_its_tokens_are_split() {
    let of = |split: &str| {
        let workload =
            format!("kernel = \"attention\"\ncontext = 8192\nhead_dim = 128\nheads = 1\nsplit = \"{split}\"");
        let run = run(&workload, "\"hbm3-pim-bank\"");
        let spans = &run.system("s").input.spans;
        let operations: u64 = of_kind(spans, "attention").map(|span| span.operations).sum();
        (run.system("s").report.latency().ps(), operations)
    };
    let (whole, all) = of("channels");
    let (parts, same) = of("tokens");
    assert!(parts * 8 < whole, "{parts} {whole}");
    // A multiply-add for the score and one for the context of each element.
    assert_eq!((all, same), (4 * 8192 * 128, 4 * 8192 * 128));
}

#[test]
fn are_writes_and_reads_those_of_the_external_interface() {
    for kernel in ["write", "read"] {
        let run = run(&format!("kernel = \"{kernel}\"\nbytes = \"64 MiB\""), "\"hbm3-pim-bank\"");
        let seconds = run.system("s").report.latency().seconds();
        let rate = (64_u64 << 20) as f64 / seconds;
        // 665.8 GB/s without refresh and opening of rows.
        assert!((5.0e11..6.66e11).contains(&rate), "{kernel} {rate}");
        let moved: u64 = of_kind(&run.system("s").input.spans, kernel).map(|span| span.bytes).sum();
        assert_eq!(moved, 64 << 20);
    }
}

#[test]
fn does_a_block_of_aim_take_the_time_of_its_suite() {
    use pim_device::aim::block::{AimBlock, BlockShape};
    use pim_device::aim::{AimSpec, run as execute};
    let device = AimSpec::gddr6_aim();
    let shape = BlockShape { hidden: 4_096, ffn: 11_008, heads: 32, kv_heads: 32, head_dim: 128 };
    let program = AimBlock::new(shape, 512, 8).program(&device).unwrap();
    let expected = execute(&device, &program).unwrap().time;
    let workload = "kernel = \"block\"\nhidden = 4096\nffn = 11008\nheads = 32\nhead_dim = 128\ncontext = 512\n\
                    block_channels = 8";
    assert_eq!(latency(workload, "\"gddr6-aim\""), expected);
}

#[test]
fn does_execution_change_nothing_but_the_time_it_takes() {
    let of = |execution: &str| {
        let pim = format!("{{ device = \"hbm3-pim-bank\", execution = \"{execution}\" }}");
        let loaded = load_text(&text("kernel = \"gemv\"\noutputs = 1024\ninputs = 1024", &pim), &[]);
        let digest = loaded.sha256.clone();
        let run = try_run(loaded).unwrap();
        (digest, reports::summary::to_json(&run.report))
    };
    assert_eq!(of("fast"), of("commands"));
}

#[test]
fn are_toml_and_json_and_set_the_same() {
    let toml = text("kernel = \"gemv\"\noutputs = 64\ninputs = 128", "{ device = \"aim\" }");
    let json = r#"{"workload": {"kind": "pim-kernel", "kernel": "gemv", "outputs": 64, "inputs": 128},
        "system": [{"name": "s", "pim": "gddr6-aim"}]}"#;
    let toml = Scenario::from_text("t.toml", &toml, Format::Toml, &[]).unwrap();
    let json = Scenario::from_text("t.json", json, Format::Json, &[]).unwrap();
    assert_eq!(toml.sha256, json.sha256);
    let other = text("kernel = \"gemv\"\noutputs = 32\ninputs = 128", "{ device = \"aim\" }");
    let set = ["workload.outputs=64".to_owned()];
    assert_eq!(Scenario::from_text("t.toml", &other, Format::Toml, &set).unwrap().sha256, toml.sha256);
}

#[test]
fn does_a_sweep_make_a_point_of_each_value() {
    let sweep = "[sweep]\n\"workload.inputs\" = [1024, 2048, 4096]\n";
    let scenario = text("kernel = \"gemv\"\noutputs = 1024\ninputs = 1", "\"hbm3-pim-bank\"") + sweep;
    let run = try_run(load_text(&scenario, &[])).unwrap();
    let times: Vec<u64> = run.report.points.iter().map(|point| point.systems[0].latency().ps()).collect();
    assert!(times.len() == 3 && times.is_sorted(), "{times:?}");
}

#[test]
fn comes_the_summary_back_as_it_was() {
    let directory = to_files(&load_text(&text("kernel = \"relu\"\nelements = 32768", "\"hbm2-pim\""), &[]));
    let text = std::fs::read_to_string(directory.path().join("summary.json")).unwrap();
    let read = reports::summary::read(&text).unwrap();
    assert_eq!(reports::summary::to_json(&read), text);
    assert_eq!(read.systems[0].kernel.as_deref(), Some("relu 32768, fp16"));
    for name in ["breakdown.svg", "timeline.svg", "report.html", "spans.csv", "trace.json"] {
        assert!(directory.path().join(name).exists(), "{name}");
    }
}

#[test]
fn does_no_kernel_outrun_its_banks() {
    for system in &crate::common::shipped("pim-kernels").systems {
        for span in system.input.spans.iter().filter(|span| span.category == Category::ComputePim) {
            let actor = &system.input.actors[span.id.actor.index()];
            let (_, meter) = system.input.meters.iter().find(|(name, _)| name == actor).unwrap();
            let most = u128::from(meter.peak.0) * u128::from((span.end - span.start).ps()) / 1_000_000_000_000;
            assert!(span.bytes > 0 && u128::from(span.bytes) <= most, "{actor} {span:?} {meter:?}");
        }
    }
}

#[test]
fn are_files_the_same_on_any_number_of_threads() {
    let directory = tempfile::tempdir().unwrap();
    for threads in ["1", "2"] {
        let arguments = ["run", "pim-kernels", "--quiet", "--trace", "--threads", threads, "--out", threads];
        let output = pimscope(directory.path(), &arguments, None);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::remove_file(directory.path().join(threads).join("run.json")).unwrap();
    }
    check_same(&directory.path().join("1"), &directory.path().join("2"));
}

/// Beside requests a kernel takes as long as alone where it goes first, and longer by what it lets through between its programs.
#[test]
fn do_a_kernel_and_requests_wait_for_each_other() {
    let run = crate::common::shipped("pim-traffic");
    let latency = |name| run.system(name).report.latency();
    let (alone, first, last) = (latency("alone"), latency("kernel-first"), latency("requests-first"));
    // The channel's clock may be a cycle off where the kernel begins.
    assert!(first.ps().abs_diff(alone.ps()) <= 2 * 769, "{alone} {first}");
    // 63 times 32 random reads on two pseudo-channels, which take two cycles of the bus each at least.
    let bus = 63 * 32 / 2 * 2 * 769;
    assert!(last.ps() > alone.ps() + bus && last.ps() < alone.ps() + 20 * bus, "{alone} {last}");
    let told = |name| run.system(name).report.notes.join(" ");
    assert!(told("alone").is_empty());
    assert!(told("kernel-first").contains(" 0 of them were done by then"), "{}", told("kernel-first"));
    assert!(told("requests-first").contains(" 2017 of them were done by then"), "{}", told("requests-first"));
    // What requests cost is in the energy.
    assert!(run.system("kernel-first").report.energy_pj[0].1 > run.system("alone").report.energy_pj[0].1);
}

/// Energy of a kernel by part: standby and refresh are in it, and what is not known is no zero.
#[test]
fn what_does_a_kernel_take() {
    let run = crate::common::shipped("pim-kernels");
    for name in ["bank", "bank-group", "buffer"] {
        let report = &run.system(name).report;
        let of = |part: &str| report.energy_pj.iter().find(|(name, _)| name == part).unwrap().1;
        let sum: f64 = report.energy_pj[1..].iter().map(|(_, energy)| energy).sum();
        assert!((of("total") / sum - 1.0).abs() < 1e-12, "{name}");
        // 16 channels of two ranks, whose rows are open all the time: 66 mW each. Each channel runs for as long as the kernel.
        let standby = 16.0 * 2.0 * 66e-3 * report.latency().ps() as f64;
        assert!((of("pim.standby") / standby - 1.0).abs() < 1e-6, "{name}: {} {standby}", of("pim.standby"));
        // A refresh every 3.9 us: 81.9 nJ for each rank.
        let least = (report.latency().ps() / 3_900_000).max(1) as f64 * 32.0 * 81.9e3;
        assert!(of("pim.refresh") >= 0.9 * least, "{name}: {} {least}", of("pim.refresh"));
        let groups = reports::energy::of_step(report).unwrap();
        let idle = (of("pim.standby") + of("pim.refresh")) / of("total");
        assert!((reports::energy::idle_share(&groups) - idle).abs() < 1e-12 && idle > 0.05, "{name}: {idle}");
    }
    for name in ["hbm2-pim", "aim"] {
        let report = &run.system(name).report;
        assert!(report.energy_pj.is_empty() && report.energy_per_step().is_none(), "{name}");
        assert!(report.notes.iter().any(|note| note.contains("its energy is not counted")), "{name}");
    }
    let all = reports::summary::to_json(&run.report);
    assert!(!all.contains("-0.0"));
    let value: serde_json::Value = serde_json::from_str(&all).unwrap();
    let of = |index: usize| &value["systems"][index]["energy_pj"];
    assert!(of(0)["pim.standby"].as_f64().unwrap() > 0.0 && of(3).is_null() && of(4).is_null());
    // The file is read back as it was.
    let read = reports::summary::read(&all).unwrap();
    assert_eq!(read.systems[3].energy_pj, run.report.systems[3].energy_pj);
    let table = reports::table::table(&run.report);
    let energy = table.lines().find(|line| line.starts_with(" energy")).unwrap();
    assert!(energy.ends_with(" -"), "{energy}");
}

/// Commands of a kernel and of requests beside it, one by one: the same run, and each command has its place.
#[test]
fn are_the_commands_of_kernels_written() {
    let directory = tempfile::tempdir().unwrap();
    let device = "\"hbm3-pim-bank\"\ntraffic = { rate = \"50 GB/s\", first = \"requests\" }";
    let workload = "kernel = \"gemv\"\noutputs = 512\ninputs = 512\nbatch = 4";
    std::fs::write(directory.path().join("k.toml"), text(workload, device)).unwrap();
    for (out, more) in [("plain", None), ("commands", Some("--trace-commands"))] {
        let arguments = ["run", "k.toml", "-q", "--out", out].into_iter().chain(more).collect::<Vec<_>>();
        let output = pimscope(directory.path(), &arguments, None);
        assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let read = |file: &str| std::fs::read_to_string(directory.path().join(file)).unwrap();
    assert_eq!(read("plain/summary.json"), read("commands/summary.json"));
    assert_eq!(read("plain/spans.csv"), read("commands/spans.csv"));
    let commands = read("commands/commands.csv");
    let of = |name: &str| commands.lines().filter(|line| line.contains(name)).count();
    // 512 x 512 over 16 channels is 32 rows of 1 KiB in each, 16 MACs of 64 banks, four times.
    assert_eq!((of(",MACAB,"), of(",SETM,")), (4 * 16, 4 * 2));
    assert!(of(",RD,") > 10 && of(",ACT,") > 10);
    let cycles: Vec<u64> =
        commands.lines().skip(1).map(|line| line.split(',').nth(5).unwrap().parse().unwrap()).collect();
    assert!(cycles.is_sorted());
}

#[test]
fn is_traffic_to_a_device_without_a_model_of_it_refused() {
    let wanted = &["k.toml:8", "`hbm2-pim` has no model of ordinary requests", "an HBM3 device"];
    check_refused("kernel = \"relu\"\nelements = 1024", "\"hbm2-pim\"\ntraffic = { rate = \"1 GB/s\" }", wanted);
}

#[track_caller]
fn check_refused(workload: &str, device: &str, wanted: &[&str]) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("k.toml"), text(workload, device)).unwrap();
    check_run_refused(directory.path(), &["run", "k.toml", "--out", "out"], wanted);
}

#[test]
fn is_what_a_device_cannot_do_refused_with_its_place() {
    let gemv = "kernel = \"gemv\"\noutputs = 1024\ninputs = 1024";
    check_refused(
        "kernel = \"relu\"\nelements = 1024",
        "\"hbm3-pim-bank\"",
        &[
            "k.toml:7:",
            "`hbm3-pim-bank` has no kernel `relu`",
            "its kernels: gemv, attention, write, read",
            "`hbm2-pim`",
        ],
    );
    check_refused(
        &format!("{gemv}\ndtype = \"int8\""),
        "\"hbm2-pim\"",
        &["k.toml:6:", "does not compute in int8", "fp16"],
    );
    check_refused("kernel = \"gemv\"\noutputs = 1024", "\"hbm2-pim\"", &["`inputs` is missing", "k.toml:1:"]);
    check_refused(&format!("{gemv}\ncontext = 4"), "\"hbm2-pim\"", &["`workload.context` means nothing", "k.toml:6:"]);
    check_refused(
        "kernel = \"gemv\"\noutputs = 64\ninputs = 100",
        "\"hbm2-pim\"",
        &["`inputs` is 100", "multiple of 16"],
    );
    check_refused("kernel = \"gemw\"", "\"hbm2-pim\"", &["gemw", "gemv"]);
    check_refused(gemv, "\"hbm9-pim\"", &["hbm9-pim", "k.toml:8:"]);
    check_refused(gemv, "{ device = \"gddr6-aim\", stacks = 2 }", &["`stacks` is 2"]);
    check_refused(gemv, "{ device = \"hbm2-pim\", power_limit = false }", &["pim.power_limit", "means nothing"]);
    check_refused(gemv, "{ device = \"hbm2-pim\", gpu = 1 }", &["unknown key `gpu`"]);
    check_refused("kernel = \"write\"\nbytes = \"17 GiB\"", "\"hbm3-pim-bank\"", &["rows of all banks", "more stacks"]);
    check_refused(
        "kernel = \"attention\"\ncontext = 16777216\nhead_dim = 128\nheads = 64",
        "\"hbm3-pim-bank\"",
        &["rows of all banks"],
    );
    check_refused(
        "kernel = \"block\"\nhidden = 4096\nffn = 11008\nheads = 32\nkv_heads = 5\nhead_dim = 128\ncontext = 1",
        "\"gddr6-aim\"",
        &["`kv_heads` is 5", "does not divide"],
    );
    check_refused(
        "kernel = \"block\"\nhidden = 4096\nffn = 11008\nheads = 32\nhead_dim = 100\ncontext = 1",
        "\"gddr6-aim\"",
        &["the size of a head is 100"],
    );
}
