//! Suite `hbm-pim-golden`: every row of the traces of one channel.

use pim_device::hbm2_pim::trace::{COLUMNS, EVENTS};
use pim_device::hbm2_pim::{Hbm2Pim, Kernel, Mode, Requests, TraceRow, trace};

use super::{known_operations, mode, on_one_channel, operation};
use crate::validate::error::ValidateError;
use crate::validate::golden::{Asked, GoldenFile, Issued, Run, files, outcome};
use crate::validate::outcome::Outcome;
use crate::validate::table::{Row, Table};
use crate::validate::{Options, Suite};

/// The folder that is shipped, and its path in the repository.
const SHIPPED_PATH: &str = "validation/hbm-pim/golden";
const SHIPPED: [(&str, &str); 5] = [
    ("trace_add_16384x16384_pim.csv", include_str!("../../../validation/hbm-pim/golden/trace_add_16384x16384_pim.csv")),
    ("trace_gemv_64x256_nopim.csv", include_str!("../../../validation/hbm-pim/golden/trace_gemv_64x256_nopim.csv")),
    ("trace_gemv_64x256_pim.csv", include_str!("../../../validation/hbm-pim/golden/trace_gemv_64x256_pim.csv")),
    ("trace_gemv_64x512_pim.csv", include_str!("../../../validation/hbm-pim/golden/trace_gemv_64x512_pim.csv")),
    ("trace_gemvtree_64x256_pim.csv", include_str!("../../../validation/hbm-pim/golden/trace_gemvtree_64x256_pim.csv")),
];

/// The most requests of a kernel that is traced: more than a file has room for.
const MOST_REQUESTS: u64 = 1 << 20;

/// The suite.
#[derive(Clone, Copy, Debug)]
pub struct HbmPimGolden;

impl Suite for HbmPimGolden {
    fn name(&self) -> &'static str {
        "hbm-pim-golden"
    }

    fn about(&self) -> &'static str {
        "every command of HBM-PIM traces, with its cycle, address, mode and PIM instruction, all equal"
    }

    fn run(&self, options: &Options) -> Result<Outcome, ValidateError> {
        let (folder, files) = if let Some(folder) = &options.reference {
            (folder.display().to_string(), files(folder, "csv")?)
        } else {
            let shipped = SHIPPED.map(|(name, text)| GoldenFile::shipped(SHIPPED_PATH, name, text));
            (SHIPPED_PATH.to_owned(), shipped.to_vec())
        };
        validate(&folder, &files, &Hbm2Pim::new())
    }
}

/// Reads every file, then traces every kernel. The device is the shipped one but in tests, which break it.
pub(super) fn validate(folder: &str, files: &[GoldenFile], device: &Hbm2Pim) -> Result<Outcome, ValidateError> {
    let mut asked = Vec::new();
    for file in files {
        let table = file.table(&COLUMNS)?;
        let reference = table.rows().iter().map(|row| issued(&table, row)).collect::<Result<Vec<_>, _>>()?;
        asked.push((file, kernel(file)?, reference));
    }
    let device = device.clone().with_ranks(1);
    let mut runs = Vec::new();
    for (file, kernel, reference) in asked {
        let wrong = |problem: String| file.wrong(problem, "give dimensions that the kernel can have on one channel");
        let classes = kernel.classes(&device).map_err(|error| wrong(error.to_string()))?;
        let requests = classes.iter().flat_map(|class| &class.phases).map(Requests::totals);
        let requests: u64 = requests.map(|(reads, writes)| reads + writes).sum();
        if requests > MOST_REQUESTS {
            return Err(wrong(format!("{requests} requests are more than are traced, {MOST_REQUESTS}")));
        }
        let trace = trace(&device, &kernel).map_err(|error| wrong(error.to_string()))?;
        let ours: Vec<Issued> = trace.rows.iter().map(|row| ours(row, &device)).collect();
        runs.push(Run::compare(file, Asked::Exact, &reference, &ours));
    }
    Ok(outcome(HbmPimGolden.name(), folder, &runs))
}

/// The kernel that a file's name tells: `trace_KERNEL_OUTxIN_MODE.csv`.
fn kernel(file: &GoldenFile) -> Result<Kernel, ValidateError> {
    let wrong = |problem: String| {
        let remedy = "name it trace_KERNEL_OUTxIN_MODE.csv, such as trace_gemv_64x256_pim.csv";
        file.wrong(problem, format!("{remedy}; kernels: {}; modes: pim, nopim", known_operations()))
    };
    let name = file.name.strip_suffix(".csv").unwrap_or(&file.name);
    let parts: Vec<&str> = name.split('_').collect();
    let &["trace", kernel, dimensions, pim] = parts.as_slice() else {
        return Err(wrong("the name does not say which kernel this is".to_owned()));
    };
    let operation = operation(kernel).ok_or_else(|| wrong(format!("there is no kernel \"{kernel}\"")))?;
    let pim = mode(pim).ok_or_else(|| wrong(format!("there is no mode \"{pim}\"")))?;
    let dimensions = dimensions.split_once('x').and_then(|(out, into)| Some((out.parse().ok()?, into.parse().ok()?)));
    let (outputs, inputs) = dimensions.ok_or_else(|| wrong("the name has no dimensions OUTxIN".to_owned()))?;
    Ok(on_one_channel(operation, pim, outputs, inputs))
}

/// A row of a file. Of the tag only its end counts, which says whether a row was opened for the last request of a
/// group; the rest is a label.
fn issued(table: &Table, row: &Row) -> Result<Issued, ValidateError> {
    let number = |column: &str| -> Result<i64, ValidateError> {
        let text = table.text(row, column);
        // Cycles are the largest: more than a day of them.
        text.parse().ok().filter(|number| (0..1 << 48).contains(number)).ok_or_else(|| {
            let problem = format!("`{column}` is \"{text}\", which is not a whole number below 2^48");
            table.wrong(row, column, 0, problem, "write digits only, such as 16383")
        })
    };
    let maybe = |column| if table.text(row, column).is_empty() { Ok(NOTHING) } else { number(column) };
    let one_of = |column: &str, known: &[&str]| {
        let text = table.text(row, column);
        if known.contains(&text) {
            return Ok(text.to_owned());
        }
        let problem = format!("there is no {column} \"{text}\"");
        Err(table.wrong(row, column, 0, problem, format!("write one of: {}", known.join(", "))))
    };
    let event = one_of("event", &EVENTS)?;
    let mode = one_of("mode_before", &[Mode::SingleBank, Mode::AllBank, Mode::Pim].map(Mode::text))?;
    let barrier = i64::from(table.text(row, "tag").ends_with("BAR"));
    let [issue, cycle, printed] = ["issue_cycle", "rank_cycle", "printed_cycle"].map(number);
    let [bank_group, bank, line, column, index] = ["bankgroup", "bank", "row", "col", "reg_or_crf_idx"].map(maybe);
    Ok(Issued {
        cycle: cycle?.unsigned_abs(),
        command: command(&event, &mode, table.text(row, "pim_instruction")),
        address: vec![number("rank")?, bank_group?, bank?, line?, column?, index?, issue?, printed?, barrier],
    })
}

/// What an empty field is.
const NOTHING: i64 = -1;

/// What is compared beside numbers. Of the instruction, letters and digits count: the maker prints operands and flags
/// with signs of his own.
fn command(event: &str, mode: &str, instruction: &str) -> String {
    let mut text = format!("{event} ({mode})");
    let letters = instruction.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase());
    if !instruction.is_empty() {
        text.push(' ');
        text.extend(letters);
    }
    text
}

fn ours(row: &TraceRow, device: &Hbm2Pim) -> Issued {
    let bank_group = row.bank.map(|bank| u32::from(bank) / device.organisation.banks);
    let maybe = |number: Option<i64>| number.unwrap_or(NOTHING);
    Issued {
        cycle: row.rank_cycle,
        command: command(row.event, row.mode.text(), &row.instruction),
        address: vec![
            i64::from(row.rank),
            maybe(bank_group.map(i64::from)),
            maybe(row.bank.map(i64::from)),
            maybe(row.row.map(i64::from)),
            maybe(row.column.map(i64::from)),
            maybe(row.index.map(i64::from)),
            row.issue_cycle.cast_signed(),
            row.printed_cycle.cast_signed(),
            i64::from(row.tag.ends_with("BAR")),
        ],
    }
}
