//! The reference tables that the pim suites of `pimscope validate` use, for tests of single rules.

use std::path::Path;

use pim_device::hbm2_pim::{Kernel, Mode, Operation};

fn text(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../validation/hbm-pim");
    std::fs::read_to_string(folder.join(file)).unwrap()
}

/// Kernels of at most so many cycles, with their ranks, cycles and cycles of the first phase. The shortest first.
pub(crate) fn kernels(most: u64) -> Vec<(Kernel, u32, u64, u64)> {
    let table = text("kernel_cycles.csv");
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |field: usize| fields[field].parse::<u64>().unwrap();
        let kernel = Kernel {
            operation: Operation::from_name(fields[0]).unwrap(),
            pim: fields[1] == "pim",
            outputs: number(2),
            inputs: number(3),
            batch: number(4),
            channels: number(5) as u32,
        };
        (kernel, number(6) as u32, number(7), number(8))
    };
    let mut kernels: Vec<_> = table.lines().skip(1).map(row).filter(|(_, _, cycles, _)| *cycles <= most).collect();
    kernels.sort_by_key(|(_, _, cycles, _)| *cycles);
    kernels
}

/// A trace: rank_cycle, event, bank, and row of ACT, RD and WR, where the row is a command that shows its address.
pub(crate) type Trace = Vec<(u64, String, u8, Option<u16>)>;

/// A row of a trace: a command, or an event that one brings about.
#[derive(Clone, Debug)]
pub(crate) struct TraceRow {
    pub(crate) issue_cycle: u64,
    pub(crate) event: String,
    pub(crate) mode: Mode,
    pub(crate) rank: u8,
    pub(crate) bank: Option<u8>,
    pub(crate) line: Option<u32>,
    pub(crate) column: Option<u16>,
}

/// The kernels of the traces with their commands.
pub(crate) fn traces() -> Vec<(Kernel, Trace)> {
    files().into_iter().map(|(kernel, table)| (kernel, table.lines().skip(1).filter_map(command).collect())).collect()
}

/// The kernels of the traces with all rows.
pub(crate) fn rows() -> Vec<(Kernel, Vec<TraceRow>)> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.splitn(13, ',').collect();
        let modes = [Mode::SingleBank, Mode::AllBank, Mode::Pim];
        TraceRow {
            issue_cycle: fields[0].parse().unwrap(),
            event: fields[3].to_owned(),
            mode: modes.into_iter().find(|mode| mode.text() == fields[4]).unwrap(),
            rank: fields[5].parse().unwrap(),
            bank: fields[7].parse().ok(),
            line: fields[8].parse().ok(),
            column: fields[9].parse().ok(),
        }
    };
    files().into_iter().map(|(kernel, table)| (kernel, table.lines().skip(1).map(row).collect())).collect()
}

fn files() -> Vec<(Kernel, String)> {
    let traces = [
        (Operation::Gemv, true, 64, 256),
        (Operation::Gemv, true, 64, 512),
        (Operation::Gemv, false, 64, 256),
        (Operation::GemvTree, true, 64, 256),
        (Operation::Add, true, 16_384, 16_384),
    ];
    let read = |(operation, pim, outputs, inputs): (Operation, bool, u64, u64)| {
        let mode = if pim { "pim" } else { "nopim" };
        let table = text(&format!("golden/trace_{}_{outputs}x{inputs}_{mode}.csv", operation.name()));
        (Kernel { operation, pim, outputs, inputs, batch: 1, channels: 1 }, table)
    };
    traces.into_iter().map(read).collect()
}

fn command(line: &str) -> Option<(u64, String, u8, Option<u16>)> {
    let fields: Vec<&str> = line.splitn(13, ',').collect();
    let is_command = matches!(fields[3], "ACTIVATE" | "PRECHARGE" | "READ" | "WRITE") && !fields[11].contains("JUMP");
    is_command.then(|| {
        let row = (fields[3] != "PRECHARGE").then(|| fields[8].parse().unwrap());
        (fields[1].parse().unwrap(), fields[3].to_owned(), fields[7].parse().unwrap(), row)
    })
}
