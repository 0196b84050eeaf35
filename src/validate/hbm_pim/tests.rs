//! Do the suites find what is wrong, and refuse what they cannot compute?

use std::path::Path;

use pim_device::Parameter;
use pim_device::hbm2_pim::Hbm2Pim;

use super::{golden, kernels};
use crate::validate::golden::{GoldenFile, files};
use crate::validate::table::Table;
use crate::validate::{Outcome, ValidateError};

const TABLE: &str = include_str!("../../../validation/hbm-pim/kernel_cycles.csv");
const TRACE: &str = include_str!("../../../validation/hbm-pim/golden/trace_gemv_64x256_pim.csv");
const TRACE_NAME: &str = "trace_gemv_64x256_pim.csv";
const COLUMNS: [&str; 1] = ["kernel"];

fn table(text: &str) -> Result<Outcome, ValidateError> {
    kernels::validate(&Table::parse("k.csv", text.as_bytes(), &COLUMNS)?, &Hbm2Pim::new())
}

fn trace(name: &str, text: &str) -> Result<Outcome, ValidateError> {
    golden::validate("folder", &[GoldenFile::shipped("folder", name, text)], &Hbm2Pim::new())
}

/// The header and the rows of at most so many cycles.
fn short(most: u64) -> String {
    let is_short =
        |line: &&str| line.split(',').nth(7).is_some_and(|cycles| cycles.parse().is_ok_and(|n: u64| n <= most));
    let head = TABLE.lines().take(1);
    head.chain(TABLE.lines().skip(1).filter(is_short)).flat_map(|line| [line, "\n"]).collect()
}

#[test]
fn are_short_kernels_and_all_traces_equal() {
    let outcome = table(&short(10_000)).unwrap();
    assert!(outcome.passed && outcome.exact() > 40, "{:?}", outcome.notes);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("validation/hbm-pim/golden");
    let outcome = golden::validate("folder", &files(&folder, "csv").unwrap(), &Hbm2Pim::new()).unwrap();
    assert!(outcome.passed, "{:?}", outcome.notes);
    assert_eq!(outcome.exact(), 3_038);
}

#[test]
fn is_every_parameter_of_the_device_pinned_by_a_reference() {
    use Parameter::{Bl, CcdL, CcdS, Cl, Cwl, Ras, RcdRd, RcdWr, Refi, Rfc, Rp, RrdL, RrdS, RtpL, Rtrs, Wr, WtrL};
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("validation/hbm-pim/golden");
    let files = files(&folder, "csv").unwrap();
    let table = Table::parse("k.csv", short(4_700).as_bytes(), &COLUMNS).unwrap();
    let right = Hbm2Pim::new();
    for parameter in [Bl, CcdL, CcdS, Cl, Cwl, Ras, RcdRd, RcdWr, Refi, Rfc, Rp, RrdL, RrdS, RtpL, Rtrs, Wr, WtrL] {
        let value = right.timing.get(parameter);
        let wrong = Hbm2Pim { timing: right.timing.clone().with(parameter, value + 1), ..right.clone() };
        let found = !golden::validate("folder", &files, &wrong).unwrap().passed
            || !kernels::validate(&table, &wrong).unwrap().passed;
        assert!(found, "{} = {}", parameter.name(), value + 1);
    }
    let wrong = Hbm2Pim { command_queue: 32, ..right };
    assert!(!golden::validate("folder", &files, &wrong).unwrap().passed);
}

#[test]
fn is_a_single_wrong_number_found() {
    let one = |from: &str, to: &str| {
        let text = short(1_200).replacen(from, to, 1);
        assert_ne!(text, short(1_200));
        table(&text).unwrap()
    };
    assert!(!one("1138,0,10240,2112", "1139,0,10240,2112").passed);
    assert!(!one("1138,0,10240,2112", "1138,1,10240,2112").passed);
    let outcome = one("1138,0,10240,2112", "1138,0,10241,2112");
    assert!(!outcome.passed && outcome.notes[1].contains("10241"), "{:?}", outcome.notes);
    for (from, to) in [
        ("19,20,20,READ", "20,21,21,READ"),
        ("19,20,20,READ,SB,0,1,4", "19,20,20,READ,SB,0,1,5"),
        ("[1] JUMP 15x", "[1] JUMP 16x"),
        (",GRF_B_ZEROIZE,HAB,", ",GRF_B_ZEROIZE,SB,"),
        ("END_PARK_IN_BAR", "END_PARK_IN_"),
        ("8191,31,,,START_HAB_TO_SB", "8191,30,,,START_HAB_TO_SB"),
    ] {
        let text = TRACE.replacen(from, to, 1);
        if text == TRACE {
            continue;
        }
        assert!(!trace(TRACE_NAME, &text).unwrap().passed, "{from} -> {to}");
    }
    let shorter = TRACE.trim_end().rsplit_once('\n').unwrap().0;
    assert!(!trace(TRACE_NAME, shorter).unwrap().passed);
    assert!(!trace("trace_gemv_64x512_pim.csv", TRACE).unwrap().passed);
}

#[track_caller]
fn refused(result: Result<Outcome, ValidateError>, message: &str) {
    let error = result.map(|outcome| outcome.notes).unwrap_err();
    assert!(error.is_input() && !error.remedy().is_empty(), "{error}");
    assert_eq!(error.to_string(), message);
}

#[test]
fn are_bad_kernels_refused_with_their_place() {
    let row = |row: &str| table(&format!("{}\n{row}\n", TABLE.lines().next().unwrap()));
    refused(row("gemm,pim,64,256,1,1,1,1138,0,160,33,0"), "k.csv:2:1: there is no kernel \"gemm\"");
    refused(row("gemv,on,64,256,1,1,1,1138,0,160,33,0"), "k.csv:2:6: there is no mode \"on\"");
    refused(
        row("gemv,pim,6x4,256,1,1,1,1138,0,160,33,0"),
        "k.csv:2:10: `out_dim` is \"6x4\", which is not a whole number below 2^64",
    );
    refused(
        row("gemv,pim,64,-256,1,1,1,1138,0,160,33,0"),
        "k.csv:2:13: `in_dim` is \"-256\", which is not a whole number below 2^64",
    );
    refused(
        row("gemv,pim,64,99999999999999999999,1,1,1,1138,0,160,33,0"),
        "k.csv:2:13: `in_dim` is \"99999999999999999999\", which is not a whole number below 2^64",
    );
    refused(row("gemv,pim,0,256,1,1,1,1,0,1,1,0"), "k.csv:2:10: out_dim = 0: must be at least 1");
    refused(
        row("gemv,pim,64,250,1,1,1,1,0,1,1,0"),
        "k.csv:2:13: in_dim = 250: must be a multiple of 16, a burst of FP16",
    );
    refused(row("gemv,pim,64,256,0,1,1,1,0,1,1,0"), "k.csv:2:17: batch = 0: must be at least 1");
    refused(
        row("add,pim,16384,16384,2,1,1,1,0,1,1,0"),
        "k.csv:2:21: batch = 2: element-wise kernels have no batch: must be 1",
    );
    refused(row("gemv,pim,64,256,1,0,1,1,0,1,1,0"), "k.csv:2:19: `channels` is 0");
    refused(row("gemv,pim,64,256,1,65537,1,1,0,1,1,0"), "k.csv:2:19: `channels` is 65537, and the most is 65536");
    refused(row("gemv,pim,64,256,1,1,17,1,0,1,1,0"), "k.csv:2:21: `ranks_per_channel` is 17, and the most is 16");
    refused(
        row("relu,pim,64,64,1,1,1,1,0,1,1,0"),
        "k.csv:2:10: out_dim = 64: must be at least 2048: a tile is 128 bursts in each channel",
    );
    for kernel in ["gemv", "gemvtree", "add", "relu"] {
        for mode in ["pim", "nopim"] {
            for most in ["18446744073709551600", "1099511627776"] {
                let batch = if kernel.starts_with("gemv") { most } else { "1" };
                let line = format!("{kernel},{mode},{most},{most},{batch},1,1,1,0,1,1,0");
                let error = row(&line).map(|outcome| outcome.notes).unwrap_err().to_string();
                assert!(error.contains("requests to a channel, more than"), "{line}: {error}");
            }
        }
    }
    let large = row("gemv,pim,65536,65536,1,16,1,1,0,1,1,0").map(|outcome| outcome.notes).unwrap_err().to_string();
    assert!(large.contains("more than the 4096 rows that a bank has"), "{large}");
    refused(row("gemv,pim,64"), "k.csv:2:1: 3 fields, but the header has 12 columns");
}

#[test]
fn are_bad_traces_refused_with_their_place() {
    let head = TRACE.lines().next().unwrap();
    let row = |row: &str| trace(TRACE_NAME, &format!("{head}\n{row}\n"));
    let name = |name: &str| trace(name, TRACE);
    refused(row("1,2,2,OPEN,SB,0,0,0,4096,0,,,"), "folder/trace_gemv_64x256_pim.csv:2:7: there is no event \"OPEN\"");
    refused(
        row("1,2,2,READ,XX,0,0,0,4096,0,,,"),
        "folder/trace_gemv_64x256_pim.csv:2:12: there is no mode_before \"XX\"",
    );
    refused(
        row("1,x,2,READ,SB,0,0,0,4096,0,,,"),
        "folder/trace_gemv_64x256_pim.csv:2:3: `rank_cycle` is \"x\", which is not a whole number below 2^48",
    );
    refused(
        row("1,2,2,READ,SB,0,0,0,-1,0,,,"),
        "folder/trace_gemv_64x256_pim.csv:2:21: `row` is \"-1\", which is not a whole number below 2^48",
    );
    refused(row("1,2,2,READ"), "folder/trace_gemv_64x256_pim.csv:2:1: 4 fields, but the header has 13 columns");
    refused(name("trace_gemm_64x256_pim.csv"), "folder/trace_gemm_64x256_pim.csv: there is no kernel \"gemm\"");
    refused(name("trace_gemv_64x256_on.csv"), "folder/trace_gemv_64x256_on.csv: there is no mode \"on\"");
    refused(name("trace_gemv_64_pim.csv"), "folder/trace_gemv_64_pim.csv: the name has no dimensions OUTxIN");
    refused(name("gemv.csv"), "folder/gemv.csv: the name does not say which kernel this is");
    refused(name("trace_gemv_0x256_pim.csv"), "folder/trace_gemv_0x256_pim.csv: out_dim = 0: must be at least 1");
    let error = name("trace_gemv_4096x16384_nopim.csv").map(|outcome| outcome.notes).unwrap_err().to_string();
    assert!(error.contains("requests are more than are traced"), "{error}");
}
