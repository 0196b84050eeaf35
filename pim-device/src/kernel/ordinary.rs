//! Ordinary accesses to whole rows: weights are loaded with writes, results and spilled data are read back with reads.
//!
//! Row after row, each in all banks of the channel. Within a row the banks of one index, one in each bank group, take their columns
//! in turn, so that no bus and no bank group waits; meanwhile the banks of the next index are opened. At the end of a row
//! all banks are closed, so that a refresh that is due can come.

use std::ops::Range;

use super::rows::repeat;
use crate::command::{Address, Command};
use crate::device::DeviceSpec;
use crate::organisation::Level;
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

fn whole_rows(device: &DeviceSpec, rows: Range<u32>, command: Command) -> Program {
    let organisation = &device.organisation;
    let groups = organisation.nodes(Level::BankGroup);
    let mut code = Vec::new();
    for row in rows {
        let ordinary = |command, group, bank| {
            Instruction::Ordinary(command, Address::of_partition(organisation, group, bank, row))
        };
        code.extend((0..groups).map(|group| ordinary(Command::Act, group, 0)));
        for bank in 0..organisation.banks {
            let column: Vec<Instruction> = (0..groups).map(|group| ordinary(command, group, bank)).collect();
            // With the first column the banks of the next index are opened.
            for (group, &access) in (0..groups).zip(&column) {
                code.push(access);
                if bank + 1 < organisation.banks {
                    code.push(ordinary(Command::Act, group, bank + 1));
                }
            }
            repeat(&mut code, u64::from(organisation.columns.saturating_sub(1)), &column);
        }
        code.push(Instruction::CloseAll);
    }
    Program::assembled(device, code, Vec::new())
}
