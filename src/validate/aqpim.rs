//! Suite `aqpim-golden`: every command of small attentions over a product-quantised cache.
//!
//! The reference is our own, read through by hand: docs/AQPIM.md walks through it. A file passes where every command is equal.

use std::path::Path;

use pim_device::kernel::pq::{PqShape, PqUnit, attention};
use pim_device::{Command, DeviceSpec, Engine, PqReduction, Program};

use super::error::ValidateError;
use super::golden::{self, Asked, GoldenFile, Issued};
use super::outcome::Outcome;
use super::table::{Row, Table};
use super::{Options, Suite};

/// The files that are shipped, and their folder in the repository.
const FOLDER: &str = "validation/aqpim/golden";
const FILES: &[(&str, &str)] = &[
    (INDEX, include_str!("../../validation/aqpim/golden/INDEX.csv")),
    ("bank_group.csv", include_str!("../../validation/aqpim/golden/bank_group.csv")),
    ("buffer.csv", include_str!("../../validation/aqpim/golden/buffer.csv")),
    ("in_bank.csv", include_str!("../../validation/aqpim/golden/in_bank.csv")),
];

const INDEX: &str = "INDEX.csv";
const INDEX_COLUMNS: [&str; 10] = [
    "file",
    "reduction",
    "head_dim",
    "subvectors",
    "centroids",
    "index_bits",
    "sinks",
    "window",
    "tokens",
    "query_heads",
];
const COMMAND_COLUMNS: [&str; 7] = ["cycle", "command", "pch", "rank", "bg", "bank", "row"];

/// More tokens than this are not a small case any more.
const MOST_TOKENS: u32 = 1 << 20;

/// The suite.
#[derive(Clone, Copy, Debug)]
pub struct AqpimGolden;

impl Suite for AqpimGolden {
    fn name(&self) -> &'static str {
        "aqpim-golden"
    }

    fn about(&self) -> &'static str {
        "attention over a product-quantised cache on hbm3-aqpim, command by command (our own, read through by hand)"
    }

    fn run(&self, options: &Options) -> Result<Outcome, ValidateError> {
        let (name, files) = read(options.reference.as_deref())?;
        let index = files.iter().find(|file| file.name == INDEX).ok_or_else(|| {
            let file = GoldenFile { name: INDEX.to_owned(), path: format!("{name}/{INDEX}"), bytes: Vec::new() };
            file.wrong("there is no such file", "--reference takes a folder with INDEX.csv and lists of commands")
        })?;
        let table = index.table(&INDEX_COLUMNS)?;
        let tasks: Result<Vec<_>, _> = table.rows().iter().map(|row| task(&name, &files, &table, row)).collect();
        let runs: Result<Vec<_>, _> = tasks?.iter().map(compare).collect();
        Ok(golden::outcome(self.name(), &name, &runs?))
    }
}

fn read(path: Option<&Path>) -> Result<(String, Vec<GoldenFile>), ValidateError> {
    if let Some(path) = path {
        return Ok((path.display().to_string(), golden::files(path, "csv")?));
    }
    let file = |(name, text): &(&str, &str)| GoldenFile::shipped(FOLDER, name, text);
    Ok((FOLDER.to_owned(), FILES.iter().map(file).collect()))
}

/// One file, understood.
#[derive(Debug)]
struct Task<'f> {
    file: &'f GoldenFile,
    device: DeviceSpec,
    program: Program,
    reference: Vec<Issued>,
}

fn task<'f>(folder: &str, files: &'f [GoldenFile], table: &Table, row: &Row) -> Result<Task<'f>, ValidateError> {
    let name = table.text(row, "file");
    let file = files.iter().find(|file| file.name == name).ok_or_else(|| {
        let problem = format!("there is no file {name} in {folder}");
        table.wrong(row, "file", 0, problem, "add the file or take the row away")
    })?;
    let number = |column: &str| {
        let text = table.text(row, column);
        text.parse().ok().filter(|number: &u32| *number <= MOST_TOKENS).ok_or_else(|| {
            let problem = format!("`{column}` is \"{text}\"");
            table.wrong(row, column, 0, problem, format!("a whole number of at most {MOST_TOKENS}"))
        })
    };
    let reduction = match table.text(row, "reduction") {
        "bank-group" => PqReduction::BankGroup,
        "buffer" => PqReduction::Buffer,
        "in-bank" => PqReduction::InBank,
        other => {
            let problem = format!("there is no reduction `{other}`");
            return Err(table.wrong(row, "reduction", 0, problem, "there are: buffer, bank-group, in-bank"));
        }
    };
    let shape = PqShape {
        head_dim: number("head_dim")?,
        subvectors: number("subvectors")?,
        centroids: number("centroids")?,
        index_bits: number("index_bits")?,
        sinks: number("sinks")?,
        window: number("window")?,
        book_tokens: 0,
    };
    let unit = PqUnit { tokens: u64::from(number("tokens")?), query_heads: number("query_heads")? };
    let mut device = pim_device::device::hbm3_aqpim::device();
    if let Some(pq) = &mut device.pq {
        pq.reduction = reduction;
    }
    let program = attention(&device, &shape, &[unit]).map_err(|error| {
        table.wrong(row, "head_dim", 0, error.to_string(), "see docs/AQPIM.md for what is possible")
    })?;
    Ok(Task { file, device, program, reference: reference(file)? })
}

/// The commands of a file.
fn reference(file: &GoldenFile) -> Result<Vec<Issued>, ValidateError> {
    let table = file.table(&COMMAND_COLUMNS)?;
    let whole = |row: &Row, column: &str| {
        let text = table.text(row, column);
        let number = if text.is_empty() { Some(-1) } else { text.parse().ok().filter(|number: &i64| *number >= 0) };
        number.ok_or_else(|| {
            let problem = format!("`{column}` is \"{text}\", which is not a whole number");
            table.wrong(row, column, 0, problem, "write a whole number, or nothing for a row that says nothing")
        })
    };
    let rows = table.rows().iter().map(|row| {
        let address: Result<_, _> = COMMAND_COLUMNS[2..].iter().map(|column| whole(row, column)).collect();
        let command = table.text(row, "command").to_owned();
        Ok(Issued { cycle: whole(row, "cycle")?.max(0).unsigned_abs(), command, address: address? })
    });
    rows.collect()
}

fn compare(task: &Task<'_>) -> Result<golden::Run, ValidateError> {
    let mut engine = Engine::new(&task.device);
    engine.record();
    let run = engine.run(&task.program, 0);
    run.map_err(|error| task.file.wrong(error.to_string(), "this is a defect of pimscope, please report it"))?;
    let ours: Vec<Issued> = engine.take_trace().iter().map(issued).collect();
    Ok(golden::Run::compare(task.file, Asked::Exact, &task.reference, &ours))
}

fn issued(issued: &pim_device::controller::engine::Issued) -> Issued {
    let at = issued.address;
    let has_row =
        matches!(issued.command, Command::ActAb | Command::MacAb | Command::Ret | Command::RdReg | Command::WrReg);
    let row = if has_row { i64::from(at.row) } else { -1 };
    let parts = [at.pseudo_channel, at.rank, at.bank_group, at.bank].map(i64::from);
    Issued {
        cycle: issued.cycle,
        command: issued.command.to_string(),
        address: parts.into_iter().chain([row]).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_every_command_of_the_shipped_files_issued() {
        let outcome = AqpimGolden.run(&Options::default()).unwrap();
        assert!(outcome.passed, "{:?}", outcome.notes);
        assert_eq!((outcome.cases.len(), outcome.exact_cases()), (3, 3));
    }

    #[track_caller]
    fn check(index: &str, list: &str, message: &str) {
        let directory = tempfile::tempdir().unwrap();
        let header = INDEX_COLUMNS.join(",");
        std::fs::write(directory.path().join(INDEX), format!("{header}\n{index}\n")).unwrap();
        let text = format!("cycle,command,pch,rank,bg,bank,row\n{list}\n");
        std::fs::write(directory.path().join("a.csv"), text).unwrap();
        let options = Options { reference: Some(directory.path().to_owned()), ..Options::default() };
        let result = AqpimGolden.run(&options);
        match result {
            Ok(outcome) => assert!(outcome.notes.iter().any(|note| note.contains(message)), "{:?}", outcome.notes),
            Err(error) => assert!(error.to_string().contains(message) && error.is_input(), "{error}"),
        }
    }

    #[test]
    fn is_a_wrong_reference_refused_or_seen() {
        let list = "0,PREA,0,0,0,0,";
        check("a.csv,middle,16,4,16,4,4,4,72,1", list, "there is no reduction `middle`");
        check("b.csv,buffer,16,4,16,4,4,4,72,1", list, "there is no file b.csv");
        check("a.csv,buffer,16,3,16,4,4,4,72,1", list, "3 sub-vectors do not divide a head dimension of 16");
        check("a.csv,buffer,16,4,16,4,99,4,72,1", list, "shorter than its 99 sinks");
        check("a.csv,buffer,16,4,x,4,4,4,72,1", list, "`centroids` is \"x\"");
        check("a.csv,buffer,16,4,16,4,4,4,72,1", "zero,PREA,0,0,0,0,", "`cycle` is \"zero\"");
        check("a.csv,buffer,16,4,16,4,4,4,72,1", "1,PREA,0,0,0,0,", "command 1: 1 PREA 0 0 0 0 -1, here 0 PREA");
    }
}
