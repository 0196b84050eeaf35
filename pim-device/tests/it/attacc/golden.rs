//! The golden files, read without the suite.

use std::path::Path;

use pim_device::Command;

use super::oracle::{At, Issued, Line};

pub(super) struct Run {
    pub(super) name: String,
    pub(super) limited: bool,
    pub(super) refresh: bool,
    pub(super) trace: Vec<Line>,
    pub(super) commands: Vec<Issued>,
    pub(super) end: u64,
}

fn text(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../validation/attacc/golden").join(name))
        .unwrap()
}

fn own(word: &str) -> Option<Command> {
    let words = [
        ("LD", "RD"),
        ("ST", "WR"),
        ("PIM_MAC_AB", "MACAB"),
        ("PIM_MAC_SB", "MACSB"),
        ("PIM_MAC_PB", "MACPB"),
        ("PIM_WR_GB", "WRGB"),
        ("PIM_MV_SB", "MVSB"),
        ("PIM_MV_GB", "MVGB"),
        ("PIM_SFM", "SFM"),
        ("PIM_BARRIER", "BARRIER"),
    ];
    command(words.iter().find(|(request, _)| *request == word).unwrap().1)
}

fn command(name: &str) -> Option<Command> {
    let found = Command::ALL.into_iter().find(|command| command.mnemonic() == name);
    assert!(found.is_some() || name == "BARRIER", "{name}");
    found
}

/// Channel 4 bits, pseudo-channel 1, rank 1, bank group 2, bank 2, row 14, column 5, byte 5.
fn at(address: u64) -> At {
    let mut rest = address >> 5;
    let mut at = [0; 7];
    for (field, bits) in at.iter_mut().zip([4, 1, 1, 2, 2, 14, 5]).rev() {
        *field = i64::try_from(rest & ((1 << bits) - 1)).unwrap();
        rest >>= bits;
    }
    at
}

/// The golden runs that end before `limit`.
pub(super) fn runs(limit: u64) -> Vec<Run> {
    let index = text("INDEX.csv");
    let rows = index.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
    let mut runs = Vec::new();
    for row in rows.filter(|row| row[4].parse::<u64>().unwrap() < limit) {
        let (name, variant) = (row[0], row[1]);
        let trace = text(&format!("{name}.trace"));
        let trace = trace.lines().map(|line| {
            let (word, address) = line.split_once(" 0x").unwrap();
            (own(word), at(u64::from_str_radix(address, 16).unwrap()))
        });
        let commands = text(&format!("{name}.{variant}.cmds.csv"));
        let commands = commands.lines().skip(1).map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            let place: Vec<i64> = fields[3..].iter().map(|field| field.parse().unwrap()).collect();
            (fields[0].parse().unwrap(), command(fields[2]), place.try_into().unwrap())
        });
        runs.push(Run {
            name: format!("{name}.{variant}"),
            limited: variant.starts_with("pc"),
            refresh: !variant.ends_with("noref"),
            trace: trace.collect(),
            commands: commands.collect(),
            end: row[4].parse().unwrap(),
        });
    }
    runs
}
