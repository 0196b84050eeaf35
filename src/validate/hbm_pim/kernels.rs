//! Suite `hbm-pim-kernels`: cycles and transactions of whole kernels.

use pim_device::hbm2_pim::{Hbm2Pim, Hbm2PimError, Kernel, KernelRun, run};

use super::{known_operations, mode, operation};
use crate::validate::error::ValidateError;
use crate::validate::outcome::{Case, Outcome};
use crate::validate::table::{Row, Table};
use crate::validate::{Options, Suite};

/// The table that is shipped, and its path in the repository.
const SHIPPED: &str = include_str!("../../../validation/hbm-pim/kernel_cycles.csv");
const SHIPPED_PATH: &str = "validation/hbm-pim/kernel_cycles.csv";

const COLUMNS: [&str; 11] = [
    "kernel",
    "mode",
    "out_dim",
    "in_dim",
    "batch",
    "channels",
    "ranks_per_channel",
    "cycles",
    "cycles_read_phase",
    "total_reads",
    "total_writes",
];

/// Ranks that a channel may have: its address has four bits for them at most.
const MOST_RANKS: u64 = 16;
/// Rows with a difference that the notes name.
const NAMED: usize = 10;

/// The suite.
#[derive(Clone, Copy, Debug)]
pub struct HbmPimKernels;

impl Suite for HbmPimKernels {
    fn name(&self) -> &'static str {
        "hbm-pim-kernels"
    }

    fn about(&self) -> &'static str {
        "cycles and transactions of HBM-PIM kernels against the maker's simulator, all equal"
    }

    fn run(&self, options: &Options) -> Result<Outcome, ValidateError> {
        let table = match &options.reference {
            Some(path) => Table::read(path, &COLUMNS)?,
            None => Table::parse(SHIPPED_PATH, SHIPPED.as_bytes(), &COLUMNS)?,
        };
        validate(&table, &Hbm2Pim::new())
    }
}

/// One row, understood.
struct Asked {
    kernel: Kernel,
    ranks: u32,
    /// Cycles, cycles of the first phase, reads, writes.
    reference: [u64; 4],
}

fn whole(table: &Table, row: &Row, column: &str) -> Result<u64, ValidateError> {
    let text = table.text(row, column);
    text.parse().map_err(|_| {
        let problem = format!("`{column}` is \"{text}\", which is not a whole number below 2^64");
        table.wrong(row, column, 0, problem, "write digits only, such as 4096")
    })
}

fn read(table: &Table, row: &Row) -> Result<Asked, ValidateError> {
    let whole = |column: &str| whole(table, row, column);
    let unknown = |column: &str, what: &str, known: String| {
        let problem = format!("there is no {what} \"{}\"", table.text(row, column));
        table.wrong(row, column, 0, problem, format!("write one of: {known}"))
    };
    let at_most = |column: &str, most: u64| match whole(column)? {
        0 => Err(table.wrong(row, column, 0, format!("`{column}` is 0"), "write at least 1")),
        number if number > most => {
            let problem = format!("`{column}` is {number}, and the most is {most}");
            Err(table.wrong(row, column, 0, problem, "write a smaller number"))
        }
        number => Ok(number as u32),
    };
    Ok(Asked {
        kernel: Kernel {
            operation: operation(table.text(row, "kernel"))
                .ok_or_else(|| unknown("kernel", "kernel", known_operations()))?,
            pim: mode(table.text(row, "mode")).ok_or_else(|| unknown("mode", "mode", "pim, nopim".to_owned()))?,
            outputs: whole("out_dim")?,
            inputs: whole("in_dim")?,
            batch: whole("batch")?,
            channels: at_most("channels", u64::from(Kernel::MOST_CHANNELS))?,
        },
        ranks: at_most("ranks_per_channel", MOST_RANKS)?,
        reference: [whole("cycles")?, whole("cycles_read_phase")?, whole("total_reads")?, whole("total_writes")?],
    })
}

/// Reads every row, then runs every kernel. The device is the shipped one but in tests, which break it.
pub(super) fn validate(table: &Table, device: &Hbm2Pim) -> Result<Outcome, ValidateError> {
    let asked = table.rows().iter().map(|row| read(table, row)).collect::<Result<Vec<_>, _>>()?;
    let mut cases = Vec::new();
    let mut notes = Vec::new();
    let mut equal = 0;
    for (row, Asked { kernel, ranks, reference }) in table.rows().iter().zip(asked) {
        let ours = run(&device.clone().with_ranks(ranks), &kernel).map_err(|error| {
            let column = match &error {
                Hbm2PimError::Dimension { dimension, .. } => dimension,
                _ => "kernel",
            };
            table.wrong(row, column, 0, error.to_string(), "give dimensions that the kernel can have on this device")
        })?;
        let KernelRun { cycles, first_phase, reads, writes, .. } = ours;
        let ours = [cycles, first_phase, reads, writes];
        let exact = ours == reference;
        equal += usize::from(exact);
        if !exact && notes.len() < NAMED {
            notes.push(format!(
                "{}:{}: {kernel}: cycles, read phase, reads, writes are {ours:?} here, {reference:?} in the table",
                table.name(),
                row.line(),
            ));
        }
        cases.push(Case {
            line: row.line(),
            row: row.fields(),
            reference: reference[0] as f64,
            ours: cycles as f64,
            exact,
            extra: vec![first_phase.to_string(), reads.to_string(), writes.to_string()],
        });
    }
    let total = cases.len();
    notes.insert(0, format!("{equal} of {total} kernels equal in cycles of both phases, reads and writes"));
    Ok(Outcome {
        suite: HbmPimKernels.name().to_owned(),
        reference: table.name().to_owned(),
        columns: table.columns().to_vec(),
        extra_columns: ["our_read_phase", "our_reads", "our_writes"].map(str::to_owned).to_vec(),
        cases,
        bound: vec![("equal_kernels".to_owned(), total as f64)],
        found: vec![("equal_kernels".to_owned(), equal as f64)],
        notes,
        passed: equal == total,
        ..Outcome::default()
    })
}
