//! `pimscope validate` with the suites of rule set `attacc`: what passes, what fails, what is refused.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::common::{pimscope, root};

const RUN: &str = "bank_L128_dh64_nh1";

/// A golden folder with one run.
fn folder() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let to = directory.path().join("golden");
    fs::create_dir(&to).unwrap();
    let from = root().join("validation/attacc/golden");
    let index = fs::read_to_string(from.join("INDEX.csv")).unwrap();
    let rows = index.lines().enumerate().filter(|(line, row)| *line == 0 || row.starts_with(RUN));
    fs::write(to.join("INDEX.csv"), rows.flat_map(|(_, row)| [row, "\n"]).collect::<String>()).unwrap();
    for name in [format!("{RUN}.trace"), format!("{RUN}.pc.cmds.csv")] {
        fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
    directory
}

/// Changes a text of a file.
#[track_caller]
fn change(directory: &Path, file: &str, old: &str, new: &str) {
    let path = directory.join("golden").join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(old), "{text}");
    fs::write(path, text.replacen(old, new, 1)).unwrap();
}

#[track_caller]
fn golden(directory: &Path, code: i32, wanted: &str) {
    check(directory, &["--suite", "attacc-golden", "--reference", "golden"], code, wanted);
}

/// Runs a suite. What is refused says so on standard error, once, and prints no table.
#[track_caller]
fn check(directory: &Path, arguments: &[&str], code: i32, wanted: &str) {
    let output = pimscope(directory, &[&["validate"], arguments].concat(), None);
    let (table, error) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(code), "{table}{error}");
    let text = if code == 2 { &error } else { &table };
    let unfolded = text.replace("\n  │ ", " ").split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(unfolded.contains(wanted), "`{wanted}` is not in\n{text}");
    assert_eq!(table.is_empty(), code == 2, "{table}");
    assert!(!error.contains("panicked"), "{error}");
}

#[test]
fn is_another_golden_folder_taken() {
    let directory = folder();
    golden(directory.path(), 0, "63 of 63 commands equal in cycle, command and address 1 of 1 files");
}

#[test]
fn is_a_command_that_differs_named() {
    let directory = folder();
    change(directory.path(), &format!("{RUN}.pc.cmds.csv"), "20,0,MACAB", "21,0,MACAB");
    golden(directory.path(), 1, "21 MACAB 0 0 0 0 0 0 0, here 20 MACAB 0 0 0 0 0 0 0");
}

#[test]
fn is_an_end_that_differs_named() {
    let directory = folder();
    change(directory.path(), "INDEX.csv", ",165,", ",166,");
    golden(directory.path(), 1, "the run ends at cycle 166, here 165");
}

#[test]
fn is_a_bad_trace_refused() {
    let trace = format!("{RUN}.trace");
    for (old, new, wanted) in [
        ("PIM_SFM", "PIM_SMF", "there is no request `PIM_SMF`"),
        ("PIM_SFM 0x00000000", "PIM_SFM 0x4g", "`0x4g` is not a hexadecimal address"),
        ("PIM_SFM 0x00000000", "PIM_SFM 0x400000000", "lies behind the last byte of the stack"),
        ("PIM_SFM 0x00000000", "PIM_SFM", "the address of `PIM_SFM` is missing"),
    ] {
        let directory = folder();
        change(directory.path(), &trace, old, new);
        golden(directory.path(), 2, wanted);
        golden(directory.path(), 2, &format!("{trace}:"));
    }
}

#[test]
fn is_a_truncated_list_refused() {
    let directory = folder();
    let path = directory.path().join("golden").join(format!("{RUN}.pc.cmds.csv"));
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.trim_end().rsplit_once(',').unwrap().0).unwrap();
    golden(directory.path(), 2, "9 fields, but the header has 10 columns");
    change(directory.path(), &format!("{RUN}.pc.cmds.csv"), "\n1,", "\none,");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.trim_end().rsplit_once('\n').unwrap().0).unwrap();
    golden(directory.path(), 2, "`cycle` is \"one\", which is not a whole number");
}

#[test]
fn is_an_index_of_missing_files_refused() {
    let directory = folder();
    change(directory.path(), "INDEX.csv", RUN, "nothing");
    golden(directory.path(), 2, "INDEX.csv:2:1: there is no file nothing.trace in golden");
    let directory = folder();
    change(directory.path(), "INDEX.csv", ",pc,", ",npc,");
    golden(directory.path(), 2, &format!("INDEX.csv:2:1: there is no file {RUN}.npc.cmds.csv"));
    let directory = folder();
    change(directory.path(), "INDEX.csv", ",pc,", ",slow,");
    golden(directory.path(), 2, "there is no variant `slow`");
    let directory = folder();
    fs::remove_file(directory.path().join("golden/INDEX.csv")).unwrap();
    golden(directory.path(), 2, "INDEX.csv: there is no such file");
    fs::remove_file(directory.path().join(format!("golden/{RUN}.trace"))).unwrap();
    golden(directory.path(), 2, "there is no .trace file in this folder");
    fs::remove_dir_all(directory.path().join("golden")).unwrap();
    golden(directory.path(), 2, "cannot be read");
}

#[test]
fn is_another_attention_table_taken() {
    let directory = tempfile::tempdir().unwrap();
    let shipped = fs::read_to_string(root().join("validation/attacc/attention_cycles.csv")).unwrap();
    let rows: Vec<&str> = shipped.lines().collect();
    fs::write(directory.path().join("t.csv"), format!("{}\n{}\n", rows[0], rows[1])).unwrap();
    let arguments = ["--suite", "attacc-attention", "--reference", "t.csv"];
    check(directory.path(), &arguments, 0, "1 of 1 rows equal in cycles and in all 19 counts");
    fs::write(directory.path().join("t.csv"), format!("{}\n{}\n", rows[0], rows[1].replace(",165,", ",170,"))).unwrap();
    check(directory.path(), &arguments, 1, "line 2: cycles 170, here 165");
    fs::write(directory.path().join("t.csv"), format!("{}\n{}\n", rows[0], rows[1].replace("bank", "bunk"))).unwrap();
    check(directory.path(), &arguments, 2, "t.csv:2:1: there is no mode `bunk`");
    fs::write(directory.path().join("t.csv"), "mode,cycles\nbank,1\n").unwrap();
    check(directory.path(), &arguments, 2, "column `power_constraint` is missing");
}
