//! Is a sweep whose points are run side by side, stopped, resumed or put together from shards the same as `run`?

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use pimscope::control::Brake;
use pimscope::run::{Outputs, run_to_files};
use pimscope::scenario::Loaded;
use pimscope::sweep::{Choice, Ended, SweepError, merge, sweep};
use reports::Why;

use crate::common::{SMALL, load_text, pimscope, tree};

const WHOLE: Choice = Choice { jobs: 2, shard: (0, 1), resume: false };

/// Five points of four systems, with a prefill: of everything that summary.json can hold.
fn prefills() -> Loaded {
    let swept = format!("{SMALL}\n[sweep]\n\"workload.context\" = [256, 512, 1024, 768, 300]\n");
    load_text(&swept, &["workload.kind=prefill+decode"])
}

fn kernels() -> Loaded {
    load_text(
        r#"
        name = "kernels"
        [workload]
        kind = "pim-kernel"
        kernel = "gemv"
        outputs = 256
        inputs = 256
        [[system]]
        name = "bank"
        pim = { device = "hbm3-pim-bank" }
        [[system]]
        name = "hbm2-pim"
        pim = { device = "hbm2-pim" }
        [sweep]
        "workload.outputs" = [256, 512, 1024]
        "#,
        &[],
    )
}

/// The files below a directory.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = tree(directory).into_iter().filter(|path| path.is_file());
    paths.map(|path| (path.strip_prefix(directory).unwrap().to_owned(), fs::read(&path).unwrap())).collect()
}

/// What `run` writes.
fn by_run(loaded: &Loaded) -> BTreeMap<PathBuf, Vec<u8>> {
    let directory = tempfile::tempdir().unwrap();
    run_to_files(loaded, &Outputs { directory: directory.path().to_owned(), trace: false }).unwrap();
    files(directory.path())
}

#[track_caller]
fn check_same(found: &BTreeMap<PathBuf, Vec<u8>>, expected: &BTreeMap<PathBuf, Vec<u8>>) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (name, bytes) in expected {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(text(&found[name]), text(bytes), "{}", name.display());
    }
}

#[test]
fn does_a_sweep_leave_what_a_run_leaves() {
    for loaded in [prefills(), kernels()] {
        let directory = tempfile::tempdir().unwrap();
        let told = Mutex::new(Vec::new());
        let count = loaded.points.len() + loaded.kernels.len();
        let ended = sweep(&loaded, directory.path(), &WHOLE, &Brake::default(), &|done, all| {
            told.lock().unwrap().push((done, all));
        });
        let Ended::Whole(run) = ended.unwrap() else { panic!("it was not stopped") };
        assert_eq!(run.points.len(), count);
        let mut told = told.into_inner().unwrap();
        told.sort_unstable();
        assert_eq!(told, (0..=count).map(|done| (done, count)).collect::<Vec<_>>());
        let expected = by_run(&loaded);
        assert!(expected.contains_key(Path::new("results.csv")) && expected.contains_key(Path::new("latency.svg")));
        check_same(&files(directory.path()), &expected);
    }
}

#[test]
fn does_a_stopped_sweep_go_on_where_it_was() {
    let loaded = prefills();
    let directory = tempfile::tempdir().unwrap();
    let brake = Brake::default();
    let one = Choice { jobs: 1, ..WHOLE };
    let stopped = sweep(&loaded, directory.path(), &one, &brake, &|done, _| {
        if done == 2 {
            brake.pull(Why::Interrupt);
        }
    });
    assert!(matches!(stopped.unwrap(), Ended::Stopped(Why::Interrupt, 2, 5)));
    let left = files(directory.path());
    let names: Vec<_> = left.keys().map(|path| path.to_str().unwrap()).collect();
    let of = |point| [format!("points/{point}/spans.csv"), format!("points/{point}/summary.json")];
    assert_eq!(names, [&of("00000")[..], &of("00001")[..], &["sweep.json".to_owned()]].concat());

    // Not by accident, and not with another scenario.
    let begin = |loaded: &Loaded, choice: &Choice| {
        sweep(loaded, directory.path(), choice, &Brake::default(), &|_, _| ()).unwrap_err()
    };
    assert!(matches!(begin(&loaded, &one), SweepError::Unfinished { .. }));
    let resume = Choice { resume: true, ..WHOLE };
    let other = load_text(&format!("{SMALL}\n[sweep]\n\"workload.context\" = [256, 512]\n"), &[]);
    assert!(matches!(begin(&other, &resume), SweepError::Other { .. }));
    assert!(matches!(begin(&loaded, &Choice { shard: (0, 2), ..resume.clone() }), SweepError::Other { .. }));
    check_same(&files(directory.path()), &left);

    let least = Mutex::new(usize::MAX);
    let tell = |done: usize, _| {
        let mut least = least.lock().unwrap();
        *least = done.min(*least);
    };
    let ended = sweep(&loaded, directory.path(), &resume, &Brake::default(), &tell).unwrap();
    assert!(matches!(ended, Ended::Whole(_)));
    assert_eq!(*least.lock().unwrap(), 2, "two points were there");
    check_same(&files(directory.path()), &by_run(&loaded));
    // Nothing is left to do; the files stay as they are.
    let again = sweep(&loaded, directory.path(), &resume, &Brake::default(), &|_, _| panic!("nothing is run"));
    assert!(matches!(again.unwrap(), Ended::Whole(_)));
}

#[test]
fn are_shards_together_the_whole_sweep() {
    let loaded = prefills();
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for part in 0..2 {
        let choice = Choice { shard: (part, 2), ..WHOLE };
        let ended = sweep(&loaded, &path(&part.to_string()), &choice, &Brake::default(), &|_, _| ()).unwrap();
        assert!(matches!(ended, Ended::Shard(points) if points == 3 - part));
    }
    let missing = merge(&[path("1")], &path("all")).unwrap_err().to_string();
    assert!(missing.ends_with("3 of 5 points are missing: 00000, 00002, 00004"), "{missing}");
    let other = load_text(&format!("{SMALL}\n[sweep]\n\"workload.context\" = [256, 512]\n"), &[]);
    sweep(&other, &path("other"), &Choice { shard: (0, 2), ..WHOLE }, &Brake::default(), &|_, _| ()).unwrap();
    assert!(matches!(merge(&[path("0"), path("other")], &path("all")), Err(SweepError::Other { .. })));
    assert!(!path("all").exists());
    merge(&[path("1"), path("0")], &path("all")).unwrap();
    check_same(&files(&path("all")), &by_run(&loaded));
}

#[test]
fn is_a_shard_refused_that_is_cut_off() {
    for (loaded, system) in [(prefills(), "attacc"), (kernels(), "hbm2-pim")] {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let shards = ["0", "1"].map(path);
        for (part, shard) in shards.iter().enumerate() {
            let choice = Choice { shard: (part, 2), ..WHOLE };
            sweep(&loaded, shard, &choice, &Brake::default(), &|_, _| ()).unwrap();
        }
        let file = shards[0].join("points/00002/spans.csv");
        let whole = fs::read_to_string(&file).unwrap();
        let lines = whole.lines().count();
        let begin = |line: usize| whole.match_indices('\n').nth(line - 2).unwrap().0 + 1;
        let second = begin(2);
        let cut = &whole[..begin(lines - 1)];
        let found = cut.lines().filter(|row| row.contains(&format!(",{system},")) && row.contains(",token,")).count();
        let other = whole.replacen(&format!(",{system},"), ",nobody,", 1);
        let refused = |what: &str| format!("{}: {what}", file.display());
        for (text, message) in [
            // Cut off in the last row, before its end, in a row before, after the header, between two rows, in the header, at once.
            (&whole[..begin(lines) + 9], refused(&format!("line {lines}: it has"))),
            (&whole[..whole.len() - 1], refused(&format!("line {lines}: it has no end; the file is cut off"))),
            (&whole[..begin(lines - 2) + 9], refused(&format!("line {}: it has", lines - 2))),
            (&whole[..second], refused("it has 0 spans `token` of `")),
            (cut, refused(&format!("it has {found} spans `token` of `{system}`"))),
            (&whole[..second - 3], refused("line 1: the column `held_by` was expected, `held_` was found")),
            ("", refused("line 1: the column `point` is missing")),
            (&other, refused("it has spans of `nobody`, summary.json has not")),
        ] {
            fs::write(&file, text).unwrap();
            let error = merge(&shards, &path("all")).unwrap_err();
            assert!(error.is_input() && error.to_string().starts_with(&message), "{error}\n{message}");
            assert!(!path("all").exists());
        }
        fs::remove_file(&file).unwrap();
        let error = merge(&shards, &path("all")).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot read {}: ", file.display())) && !path("all").exists(), "{error}");
        fs::write(&file, &whole).unwrap();
        merge(&shards, &path("all")).unwrap();
        check_same(&files(&path("all")), &by_run(&loaded));
    }
}

#[test]
fn are_the_points_kept_that_a_failing_one_does_not_concern() {
    // 400 sequences need 17.6 GiB of 16.
    let text = r#"
        name = "full"
        [model]
        config = "smollm2-135m-instruct"
        [workload]
        context = 2048
        [[system]]
        name = "attacc"
        gpu = "H100-SXM-80GB"
        pim = { device = "hbm3-pim-bank", stacks = 1 }
        kv = { home = "pim", overflow = "refuse" }
        [sweep]
        "workload.batch" = [1, 400]
    "#;
    let loaded = load_text(text, &[]);
    let directory = tempfile::tempdir().unwrap();
    let failed = sweep(&loaded, directory.path(), &WHOLE, &Brake::default(), &|_, _| ()).unwrap_err();
    let SweepError::Points { failed, all, .. } = &failed else { panic!("{failed}") };
    assert_eq!((*failed, *all), (1, 2));
    assert!(directory.path().join("points/00000/summary.json").exists());
    assert!(!directory.path().join("points/00001").exists() && !directory.path().join("summary.json").exists());
}

#[test]
fn what_does_the_command_line_say() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("one.toml"), SMALL).unwrap();
    fs::write(directory.path().join("two.toml"), format!("{SMALL}\n[sweep]\n\"workload.batch\" = [1, 2]\n")).unwrap();
    let run = |flags: &[&str]| {
        let output = pimscope(directory.path(), flags, None);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    for (flags, message) in [
        (&["one.toml"][..], "one.toml: there is no [sweep]"),
        (&["two.toml", "--jobs", "0"], "--jobs 0: a whole number from 1 to 256 is wanted"),
        (&["two.toml", "--shard", "3/2"], "--shard 3/2: a part and the number of parts are wanted"),
        (&["none.toml"], "none.toml"),
    ] {
        let (code, out, error) = run(&[&["sweep"], flags].concat());
        assert!(code == Some(2) && out.is_empty() && error.contains(message), "{flags:?}: {code:?} {error}");
    }
    assert!(!directory.path().join("out").exists());
    let (code, out, error) = run(&["sweep", "two.toml"]);
    assert!(code == Some(0) && error.is_empty(), "{error}");
    assert!(out.contains("Reports are in out/two: open report.html; results.csv has a row for each."), "{out}");
    let rows = fs::read_to_string(directory.path().join("out/two/results.csv")).unwrap();
    let first: Vec<&str> = rows.lines().map(|row| row.split(',').take(2).last().unwrap()).collect();
    assert_eq!(
        first,
        ["system", "gpu", "gpu-offload", "cpu-attention", "attacc", "gpu", "gpu-offload", "cpu-attention", "attacc"]
    );
    for part in ["1/2", "2/2"] {
        let (code, out, _) = run(&["sweep", "two.toml", "--shard", part, "--out", &part.replace('/', "of")]);
        assert!(code == Some(0) && out.contains(&format!("1 points of shard {part}")), "{out}");
    }
    let (code, _, error) = run(&["merge", "1of2", "out/two", "--out", "all"]);
    assert!(code == Some(2) && error.contains("cannot read out/two/sweep.json"), "{error}");
    let (code, _, error) = run(&["merge", "1of2", "2of2", "--out", "all"]);
    assert!(code == Some(0) && error.is_empty(), "{error}");
    let summary = |folder: &str| fs::read(directory.path().join(folder).join("summary.json")).unwrap();
    assert_eq!(summary("all"), summary("out/two"));
}
