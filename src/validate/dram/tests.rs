//! Are the references read as they are written, and is what is wrong with one said?

use super::golden::{DramGolden, validate as golden};
use super::totals::{DramTotals, validate as totals};
use crate::validate::golden::GoldenFile;
use crate::validate::table::Table;
use crate::validate::{Options, Outcome, Suite, ValidateError};

/// A shipped file of the golden folder.
fn shipped(name: &str) -> GoldenFile {
    let text = std::fs::read_to_string(format!("{}/validation/dram/golden/{name}", env!("CARGO_MANIFEST_DIR")));
    GoldenFile::shipped("folder", name, &text.unwrap())
}

fn altered(name: &str, alter: impl Fn(&str) -> String) -> Result<Outcome, ValidateError> {
    let mut file = shipped(name);
    file.bytes = alter(std::str::from_utf8(&file.bytes).unwrap()).into_bytes();
    golden("folder", &[file])
}

const STREAM: &str = "DDR4_DDR4_3200AA_stream_row_200_norefresh.csv";
const DRAMSIM: &str = "dramsim3_DDR4_8Gb_x8_3200_conflict_200.csv";

#[test]
fn are_the_shipped_golden_files_exact() {
    let outcome = DramGolden.run(&Options::default()).unwrap();
    assert!(outcome.passed, "{:#?}", outcome.notes);
    assert_eq!(outcome.exact_cases(), outcome.cases.len());
    assert_eq!(outcome.parts.map(|parts| parts.equal), Some(outcome.exact()));
    assert_eq!(outcome.cases.len(), 50);
}

#[test]
fn is_a_wrong_command_found() {
    let late = altered(STREAM, |text| text.replacen("\n23,RD", "\n24,RD", 1)).unwrap();
    assert!(!late.passed && late.exact() + 1 == late.parts.unwrap().total, "{:#?}", late.notes);
    let other = altered(STREAM, |text| text.replacen("\n23,RD", "\n23,WR", 1)).unwrap();
    assert!(!other.passed);
    // A line less at the end, and one more.
    let cut = altered(STREAM, |text| text.trim_end().rsplit_once('\n').unwrap().0.to_owned()).unwrap();
    assert!(!cut.passed);
    // DRAMsim3's runs are judged by their ends.
    let dramsim = altered(DRAMSIM, |text| text.replacen("\n1,activate", "\n2,activate", 1)).unwrap();
    assert!(dramsim.passed && dramsim.exact_cases() == 0);
    let ends = altered(DRAMSIM, |text| {
        text.trim_end().rsplit_once("\n15309").unwrap().0.to_owned() + "\n17000,read,0,0,0,0,0x0,0x0"
    })
    .unwrap();
    assert!(!ends.passed);
}

#[track_caller]
fn check_file(name: &str, alter: impl Fn(&str) -> String, message: &str) {
    let error = altered(name, alter).unwrap_err();
    assert!(error.to_string().contains(message), "{error}");
    assert!(error.is_input() && !error.remedy().is_empty());
}

#[test]
fn is_a_malformed_golden_file_refused_where_it_is_wrong() {
    check_file(STREAM, |text| text.replacen(",RD,", ",READ,", 1), "norefresh.csv:3:4: there is no command `READ` here");
    check_file(STREAM, |text| text.replacen("\n23,", "\n2x3,", 1), ":3:1: `clock` is \"2x3\"");
    check_file(STREAM, |text| text.replacen("\n23,RD,0,0,0,0,0", "\n23,RD,0,0,0,9,0", 1), ":3:13: `Bank` is \"9\"");
    check_file(STREAM, |text| text.replacen("\n23,RD,0,0,0,0,0", "\n23,RD,0,0,0,0,99999", 1), "`Row` is \"99999\"");
    check_file(STREAM, |text| text[..text.len() - 8].to_owned(), "fields, but the header has 10 columns");
    check_file(STREAM, |text| text.replacen("Rank", "Sid", 1), ":1:1: column `Rank` is missing");
    check_file(STREAM, |_| String::new(), ":1:1: the table is empty");
    check_file(DRAMSIM, |text| text.replacen("0x1,", "0xzz,", 1), "`row_hex` is \"0xzz\"");
    check_file(DRAMSIM, |text| text.replacen(",precharge,", ",PRE,", 1), "there is no command `PRE` here");
}

#[test]
fn is_every_name_read_that_the_tables_could_have() {
    let text = String::from_utf8(shipped(STREAM).bytes).unwrap();
    // Other patterns, presets, numbers and refresh: read, and then different.
    for name in [
        "DDR4_DDR4_2400R_stream_bgi_wr_1_refresh.csv",
        "DDR4_DDR4_1600J_mix_stream_7_norefresh_R2C2.csv",
        "DDR4_DDR4_3200AA_random_33_refresh_R4C8.csv",
    ] {
        let file = GoldenFile::shipped("folder", name, &text);
        assert!(golden("folder", &[file]).is_ok(), "{name}");
    }
    let refused = |name: &str, message: &str| {
        let error = golden("folder", &[GoldenFile::shipped("folder", name, &text)]).unwrap_err();
        assert!(error.to_string().starts_with(&format!("folder/{name}: ")), "{error}");
        assert!(error.to_string().contains(message), "{error}");
    };
    refused("DDR9_DDR9_1_random_2_refresh.csv", "the name begins with none of the standards DDR4, DDR5");
    refused("DDR4_DDR4_3200ZZ_random_2_refresh.csv", "none of the timing presets");
    refused("DDR4_DDR4_3200AA_zigzag_2_refresh.csv", "none of the patterns");
    refused("DDR4_DDR4_3200AA_random_x_refresh.csv", "no number of requests");
    refused("DDR4_DDR4_3200AA_random_0_refresh.csv", "no number of requests");
    refused("DDR4_DDR4_3200AA_random_2_sometimes.csv", "neither `refresh` nor `norefresh`");
    refused("DDR4_DDR4_3200AA_random_2_refresh_R0C2.csv", "no limit of rows and columns");
    refused("DDR4_DDR4_3200AA_random_2_refresh_R2C2_x.csv", "the name goes on");
    refused("dramsim3_DDR9_random_2.csv", "no device of dramsim3_configs.csv");
    refused("dramsim3_DDR4_8Gb_x8_3200_zigzag_2.csv", "none of the patterns");
    refused("dramsim3_HMC_2GB_4Lx16_random_2.csv", "which is not modelled");
}

const RAMULATOR_HEAD: &str = "simulator,standard,org_preset,timing_preset,refresh,pattern,seed,n_requests,total_ticks,\
                              avg_read_latency_ticks,ACT,RD,WR,PREpb,PREab,REFab\n";
const ROW: &str = "ramulator2.1,GDDR6,GDDR6_16Gb_x16,GDDR6_14000_1350mV_double,none,conflict,42,3,";

fn table(text: &str) -> Result<Outcome, ValidateError> {
    totals(&[Table::parse("t.csv", text.as_bytes(), &["simulator"])?], 1)
}

#[test]
fn are_rows_compared_in_every_number() {
    // ACT in tick 1, nRCDRD 27, nCL + nBL 26; nRAS 53 and nRP 27 for each row before. The three are offered before tick 1.
    let last = 1 + 2 * (53 + 27) + 27 + 26;
    let mean = f64::from((last - 160) + (last - 80) + last) / 3.0;
    let outcome = table(&format!("{RAMULATOR_HEAD}{ROW}{last},{mean:.2},3,3,0,2,0,0\n")).unwrap();
    assert!(outcome.passed, "{:?}", outcome.notes);
    let case = &outcome.cases[0];
    let text = format!("{RAMULATOR_HEAD}{ROW}{},{}\n", case.ours, case.extra.join(","));
    assert!(table(&text).unwrap().passed, "{text}");
    for (number, ours) in case.extra.iter().enumerate() {
        let mut wrong = case.extra.clone();
        wrong[number] = (ours.parse::<f64>().unwrap() + 1.0).to_string();
        let text = format!("{RAMULATOR_HEAD}{ROW}{},{}\n", case.ours, wrong.join(","));
        assert!(!table(&text).unwrap().passed, "{text}");
    }
}

#[track_caller]
fn check_row(text: &str, message: &str) {
    let error = table(text).unwrap_err();
    assert!(error.to_string().contains(message), "{error}");
    assert!(error.is_input() && !error.remedy().is_empty());
}

#[test]
fn is_a_malformed_row_refused_where_it_is_wrong() {
    let row = |from: &str, to: &str| format!("{RAMULATOR_HEAD}{ROW}1,1,1,1,1,1,1,1\n").replacen(from, to, 1);
    check_row(&row(",GDDR6,", ",GDDR8,"), "t.csv:2:14: there is no standard `GDDR8`");
    check_row(&row("GDDR6_16Gb_x16", "GDDR6_17Gb"), "t.csv:2:20: there is no organisation `GDDR6_17Gb`");
    check_row(&row("1350mV_double", "1mV"), "there is no timing preset `GDDR6_14000_1mV`");
    check_row(&row(",none,", ",PerBank,"), "there is no refresh `PerBank`");
    check_row(&row("conflict", "zigzag"), "there is no pattern `zigzag`");
    check_row(&row(",42,3,", ",42,-3,"), "`n_requests` is \"-3\"");
    check_row(&row(",42,3,1,1,", ",42,3,x,1,"), "`total_ticks` is \"x\"");
    check_row(&row(",42,3,1,1,1,", ",42,3,1,1,many,"), "`ACT` is \"many\"");
    check_row(&row("ramulator2.1", "gem5"), "there is no simulator `gem5`");
    check_row(&row(",REFab\n", ",REF\n"), "column `REFab` is missing");
    check_row("simulator,pattern,seed,n_requests,total_ticks\ndramsim3,random,42,1,1\n", "column `config` is missing");
}

#[test]
fn are_some_rows_of_both_tables_exact() {
    // All of them are a matter of `pimscope validate`; here the cheap ones.
    let conflict = |path: &str| {
        let path = format!("{}/validation/dram/{path}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let rows = text.lines().enumerate().filter(|(line, row)| *line == 0 || row.contains(",conflict,"));
        let text: Vec<&str> = rows.map(|(_, row)| row).collect();
        table(&(text.join("\n") + "\n")).unwrap()
    };
    for path in ["ramulator2_totals.csv", "dramsim3_totals.csv"] {
        let outcome = conflict(path);
        assert!(outcome.passed, "{:#?}", outcome.notes);
        assert!(outcome.cases.len() > 3 && outcome.exact() == outcome.cases.len(), "{path}");
    }
    let missing = Options { reference: Some("no/such/table.csv".into()), ..Options::default() };
    assert!(DramTotals.run(&missing).is_err_and(|error| error.is_input()));
    assert!(DramGolden.run(&missing).is_err_and(|error| error.is_input()));
}
