//! commands.csv of kernels on every PIM device: the same run, every command with its time and place, and units that add up.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::common::{check_run_refused, pimscope};

/// A row of a table by the names of its columns.
type Row = BTreeMap<String, String>;

/// The rows of a CSV file without quotes.
fn table(path: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        assert_eq!(cells.len(), names.len(), "{line}");
        names.iter().zip(cells).map(|(name, cell)| ((*name).to_owned(), cell.to_owned())).collect()
    };
    lines.map(row).collect()
}

fn number(row: &Row, name: &str) -> u64 {
    row[name].parse().unwrap_or_else(|_| panic!("`{name}` of {row:?}"))
}

/// How many channels a row is about.
fn channels(row: &Row) -> u64 {
    let of = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        last.parse::<u64>().unwrap() - first.parse::<u64>().unwrap() + 1
    };
    row["channels"].split(' ').map(of).sum()
}

/// Runs a scenario with and without `--trace-commands`, which must leave the same files, and gives its commands by system, with
/// the end of the kernel in picoseconds.
#[track_caller]
fn commands(text: &str) -> BTreeMap<String, (Vec<Row>, u64)> {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    std::fs::write(directory.join("k.toml"), text).unwrap();
    for (out, more) in [("plain", None), ("traced", Some("--trace-commands"))] {
        let arguments: Vec<&str> = ["run", "k.toml", "--out", out].into_iter().chain(more).collect();
        let output = pimscope(directory, &arguments, None);
        assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    for file in ["summary.json", "spans.csv", "breakdown.svg"] {
        let read = |out: &str| std::fs::read(directory.join(out).join(file)).unwrap();
        assert!(read("plain") == read("traced"), "{file} differs");
    }
    assert!(!directory.join("plain/commands.csv").exists());
    let mut jobs = BTreeMap::new();
    for span in table(&directory.join("traced/spans.csv")) {
        let key = ["system", "actor", "actor_index", "number"].map(|name| span[name].clone());
        jobs.insert(key, number(&span, "end_ps"));
    }
    let mut systems: BTreeMap<String, (Vec<Row>, u64)> = BTreeMap::new();
    for row in table(&directory.join("traced/commands.csv")) {
        let end = jobs[&["system", "actor", "actor_index", "number"].map(|name| row[name].clone())];
        assert!(number(&row, "time_ps") < end, "{row:?} ends at {end}");
        let (rows, last) = systems.entry(row["system"].clone()).or_default();
        *last = end.max(*last);
        rows.push(row);
    }
    for (rows, _) in systems.values() {
        assert!(rows.is_sorted_by_key(|row| (number(row, "actor_index"), number(row, "cycle"))));
    }
    systems
}

fn counts(rows: &[Row]) -> BTreeMap<&str, u64> {
    let mut counts = BTreeMap::new();
    for row in rows {
        *counts.entry(row["command"].as_str()).or_default() += channels(row);
    }
    counts
}

/// Which columns the rows of a command fill beside those that all have.
fn filled<'a>(rows: &'a [Row], command: &str) -> BTreeSet<&'a str> {
    let places = ["pseudo_channel", "rank", "bank_group", "bank", "row", "column", "mode"];
    let of = |row: &'a Row| row.iter().filter(|(name, cell)| places.contains(&name.as_str()) && !cell.is_empty());
    rows.iter().filter(|row| row["command"] == command).flat_map(of).map(|(name, _)| name.as_str()).collect()
}

#[track_caller]
fn check_filled(rows: &[Row], command: &str, wanted: &[&str]) {
    assert_eq!(filled(rows, command), wanted.iter().copied().collect(), "{command}");
}

#[test]
fn does_every_device_write_the_commands_of_a_product() {
    let text = "[workload]\nkind = \"pim-kernel\"\nkernel = \"gemv\"\noutputs = 1024\ninputs = 1024\n".to_owned();
    let system = |device: &str| {
        let stacks = if device == "hbm2-pim" { 4 } else { 1 };
        format!("[[system]]\nname = \"{device}\"\npim = {{ device = \"{device}\", stacks = {stacks} }}\n")
    };
    let devices = ["hbm3-pim-bank", "hbm3-pim-bg", "hbm3-pim-buffer", "hbm2-pim", "gddr6-aim"];
    let systems = commands(&(text + &devices.map(system).concat()));
    assert_eq!(systems.len(), 5);
    let of = |device: &str| (&systems[device].0[..], systems[device].1);

    // Every weight is read once: 2 B x 1024 x 1024 in granules of 32 B of so many banks.
    let granules = 2 * 1_024 * 1_024 / 32;
    let (rows, _) = of("hbm3-pim-bank");
    assert_eq!(counts(rows)["MACAB"], granules / 64);
    check_filled(rows, "MACAB", &["row", "column"]);
    check_filled(rows, "MVSB", &["rank", "bank_group"]);
    check_filled(rows, "WRGB", &[]);
    let (rows, _) = of("hbm3-pim-bg");
    assert_eq!(counts(rows)["MACSB"], granules / 16);
    check_filled(rows, "MACSB", &["bank", "row", "column"]);
    check_filled(rows, "PRESB", &["bank"]);
    let (rows, _) = of("hbm3-pim-buffer");
    assert_eq!(counts(rows)["MACPB"], granules / 2);
    check_filled(rows, "MACPB", &["rank", "bank_group", "bank", "row", "column"]);
    let (rows, _) = of("gddr6-aim");
    assert_eq!(counts(rows)["MACAB"], granules / 16);
    check_filled(rows, "MACAB", &["row", "column"]);
    check_filled(rows, "WRGB", &["column"]);
    check_filled(rows, "RDMAC", &[]);
    assert!(rows.iter().all(|row| row["channels"] == "0-31"));

    // A row of validation/hbm-pim/kernel_cycles.csv: 64 channels, cycles of 1 ns.
    let (rows, end) = of("hbm2-pim");
    assert_eq!((end, counts(rows)["RD"], counts(rows)["WR"]), (3_662_000, 34_816, 5_184));
    check_filled(rows, "RD", &["rank", "bank_group", "bank", "row", "column", "mode"]);
    check_filled(rows, "ACT", &["rank", "bank_group", "bank", "row", "mode"]);
    check_filled(rows, "PRE", &["rank", "bank_group", "bank", "mode"]);
    check_filled(rows, "REFab", &["rank", "mode"]);
    for row in rows {
        // Banks 0 and 1 stand for all of their parity; other rows are those of mode switches.
        let memory = ["ACT", "RD", "WR"].contains(&row["command"].as_str()) && number(row, "row") < 4_096;
        if memory && row["mode"] != "SB" {
            assert!(row["bank_group"] == "0" && ["0", "1"].contains(&row["bank"].as_str()), "{row:?}");
        }
        assert_eq!(row["channels"], "0-63");
        assert_eq!(number(row, "time_ps"), 1_000 * number(row, "cycle"));
    }
}

#[test]
fn do_other_kernels_write_their_commands() {
    let hbm2 = |kernel: &str, elements: u64| {
        let text = format!("[workload]\nkind = \"pim-kernel\"\nkernel = \"{kernel}\"\nelements = {elements}\n");
        let systems = commands(&(text + "[[system]]\nname = \"s\"\npim = { device = \"hbm2-pim\", stacks = 4 }\n"));
        let (rows, end) = &systems["s"];
        (*end, counts(rows)["RD"], counts(rows)["WR"])
    };
    // Rows of validation/hbm-pim/kernel_cycles.csv.
    assert_eq!(hbm2("add", 1_048_576), (3_349_000, 18_432, 8_768));
    assert_eq!(hbm2("relu", 1_048_576), (2_042_000, 10_240, 8_768));

    let block = "[workload]\nkind = \"pim-kernel\"\nkernel = \"block\"\nhidden = 4096\nffn = 11008\nheads = 32\nkv_heads = 32\n\
                 head_dim = 128\ncontext = 512\nblock_channels = 8\n[[system]]\nname = \"s\"\npim = \"gddr6-aim\"\n";
    let systems = commands(block);
    let (rows, end) = &systems["s"];
    // A row of the suite `aim-block`: cycles of 0.5 ns. The final barrier takes the last cycles.
    assert_eq!(*end, 456_689 * 500);
    let last = rows.iter().map(|row| number(row, "time_ps")).max().unwrap();
    assert!(last + 100_000 > *end, "{last}");
    // Ordinary accesses go to one channel after the other.
    check_filled(rows, "WR", &["bank_group", "bank", "row", "column"]);
    check_filled(rows, "ACT", &["bank_group", "bank", "row"]);
    assert!(rows.iter().any(|row| row["channels"] == "0-31") && rows.iter().any(|row| row["channels"] == "9"));
}

/// Attention over heads that do not divide: two classes of channels, which are named.
#[test]
fn are_the_channels_of_classes_named() {
    let text = "[workload]\nkind = \"pim-kernel\"\nkernel = \"attention\"\nbatch = 3\ncontext = 600\nheads = 8\nkv_heads = 8\n\
                head_dim = 128\n[[system]]\nname = \"s\"\npim = \"hbm3-pim-bank\"\n";
    let systems = commands(text);
    let named: BTreeSet<(&str, &str)> =
        systems["s"].0.iter().map(|row| (row["actor"].as_str(), row["channels"].as_str())).collect();
    assert_eq!(named, [("pim.channels0x8", "0-7"), ("pim.channels1x8", "8-15")].into());
}

/// A PIM buffer of 1 B/s: refused at once, with or without requests beside the kernel, traced or not.
#[test]
fn are_kernels_that_practically_never_end_refused() {
    let directory = tempfile::tempdir().unwrap();
    let workload = "[workload]\nkind = \"pim-kernel\"\nkernel = \"attention\"\nbatch = 4\ncontext = 4096\nheads = 32\nkv_heads = 8\n\
                    head_dim = 128\n";
    let check = |buffer: &str, traffic: &str, wanted: &[&str]| {
        let pim = format!("{{ device = \"hbm3-pim-bank\", buffer_rate = \"{buffer}\" }}");
        let text = format!("{workload}[[system]]\nname = \"s\"\npim = {pim}\n{traffic}");
        std::fs::write(directory.path().join("k.toml"), text).unwrap();
        for more in [None, Some("--trace-commands")] {
            let arguments: Vec<&str> = ["run", "k.toml", "--out", "out"].into_iter().chain(more).collect();
            check_run_refused(directory.path(), &arguments, wanted);
        }
    };
    let endless = ["system `s`", "overflows 64 bits of picoseconds (213 days)", "raise a bandwidth"];
    check("1 B/s", "", &endless);
    for first in ["kernel", "requests"] {
        check("1 B/s", &format!("traffic = {{ rate = \"50 GB/s\", first = \"{first}\" }}\n"), &endless);
    }
    let many =
        ["requests would come to each channel before the kernel's end", "16777216 are the most", "lower the rate"];
    check("1 kB/s", "traffic = { rate = \"50 GB/s\" }\n", &many);
}
