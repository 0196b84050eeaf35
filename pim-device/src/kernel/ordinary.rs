//! Ordinary accesses to whole rows: weights are loaded with writes, results and spilled data are read back with reads.
//!
//! Row after row, each in all banks of the channel. Within a row the banks of one index, one in each bank group, take their columns
//! in turn, so that no bus and no bank group waits; meanwhile the banks of the next index are opened. At the end of a row
//! all banks are closed, so that a refresh that is due can come.

use std::ops::Range;

use super::rows::repeat;
use crate::command::{Address, Command};
use crate::device::DeviceSpec;
use crate::organisation::{Level, Organisation};
use crate::program::{Instruction, Program};

/// Writes every column of `rows` in every bank of the channel.
///
/// ```
/// use pim_device::{Command, DeviceSpec, kernel::ordinary};
/// let program = ordinary::write_rows(&DeviceSpec::hbm3_pim_bank(), 0..2);
/// assert_eq!(program.commands()[Command::Wr] * 32, 2 * 64 * 1024);
/// ```
pub fn write_rows(device: &DeviceSpec, rows: Range<u32>) -> Program {
    whole_rows(device, rows, Command::Wr)
}

/// Reads every column of `rows` in every bank of the channel.
pub fn read_rows(device: &DeviceSpec, rows: Range<u32>) -> Program {
    whole_rows(device, rows, Command::Rd)
}

/// Reads or writes `granules` granules of a channel, in rows from `row` on: what the GPU's loads and stores of one kernel come to.
///
/// Banks are filled as by [`write_rows`], the columns of one index of bank after the columns of the other. No granule is the empty
/// program.
///
/// ```
/// use pim_device::{Command, DeviceSpec, kernel::ordinary};
/// let device = DeviceSpec::hbm3_pim_bank();
/// let program = ordinary::access(&device, Command::Rd, 0, 40);
/// // 40 granules lie in the first bank of each of the 16 bank groups.
/// assert_eq!((program.commands()[Command::Act], program.commands()[Command::Rd]), (16, 40));
/// assert!(ordinary::is_access(&program));
/// ```
pub fn access(device: &DeviceSpec, command: Command, row: u32, granules: u64) -> Program {
    let organisation = &device.organisation;
    let groups = u64::from(organisation.nodes(Level::BankGroup)).max(1);
    let of_a_bank = groups * u64::from(organisation.columns.max(1));
    let of_a_row = of_a_bank * u64::from(organisation.banks.max(1));
    let mut code = Vec::new();
    let whole = granules / of_a_row;
    let all: Vec<u32> = (0..groups as u32).collect();
    self::rows(organisation, &all, command, (row, whole), u64::from(organisation.columns.max(1)), &mut code);
    let here = granules - whole * of_a_row;
    let row = row.wrapping_add(whole as u32);
    if here > 0 {
        let at = |bank: u64| here.saturating_sub(bank * of_a_bank).min(of_a_bank);
        let ordinary = |command, group: u64, bank: u64| {
            Instruction::Ordinary(command, Address::of_partition(organisation, group as u32, bank as u32, row))
        };
        code.extend((0..at(0).min(groups)).map(|group| ordinary(Command::Act, group, 0)));
        for bank in 0..here.div_ceil(of_a_bank) {
            let next = at(bank + 1).min(groups);
            // With the first column the banks of the next index are opened.
            for group in 0..at(bank).min(groups) {
                code.push(ordinary(command, group, bank));
                if group < next {
                    code.push(ordinary(Command::Act, group, bank + 1));
                }
            }
            let column: Vec<Instruction> = (0..groups).map(|group| ordinary(command, group, bank)).collect();
            let more = at(bank).saturating_sub(groups);
            repeat(&mut code, more / groups, &column);
            code.extend(&column[..(more % groups) as usize]);
        }
        code.push(Instruction::CloseAll);
    }
    Program::assembled(device, code, Vec::new())
}

/// Accesses the first `columns` columns of `count` rows from `first` on in all banks of some bank groups: while those of one
/// index take their columns in turn, the next are opened.
///
/// Rows are the iterations of a loop, each from closed banks to closed banks, so that execution can jump them.
pub(crate) fn rows(
    organisation: &Organisation,
    groups: &[u32],
    command: Command,
    (first, count): (u32, u64),
    columns: u64,
    code: &mut Vec<Instruction>,
) {
    if columns == 0 || count == 0 {
        return;
    }
    let ordinary =
        |command, group, bank| Instruction::OrdinaryInRow(command, Address::of_partition(organisation, group, bank, 0));
    let mut row: Vec<Instruction> = groups.iter().map(|&group| ordinary(Command::Act, group, 0)).collect();
    for bank in 0..organisation.banks {
        let column: Vec<Instruction> = groups.iter().map(|&group| ordinary(command, group, bank)).collect();
        for (&group, &access) in groups.iter().zip(&column) {
            row.push(access);
            if bank + 1 < organisation.banks {
                row.push(ordinary(Command::Act, group, bank + 1));
            }
        }
        // Written out: only innermost loops are jumped.
        row.extend(std::iter::repeat_n(&column, columns as usize - 1).flatten());
    }
    row.extend([Instruction::CloseAll, Instruction::Step(1)]);
    code.push(Instruction::Row(first));
    repeat(code, count, &row);
}

/// Whether a program does nothing but access a channel as a memory: it has accesses and leaves the mode alone.
pub fn is_access(program: &Program) -> bool {
    let commands = program.commands();
    commands[Command::Rd] + commands[Command::Wr] > 0 && commands[Command::SetM] == 0
}

fn whole_rows(device: &DeviceSpec, rows: Range<u32>, command: Command) -> Program {
    let granules = u64::from(device.organisation.columns) * u64::from(device.organisation.banks_per_channel());
    access(device, command, rows.start, u64::from(rows.end.saturating_sub(rows.start)) * granules)
}
