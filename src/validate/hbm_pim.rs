//! Suites `hbm-pim-golden` and `hbm-pim-kernels`: Samsung's HBM-PIM, command by command and kernel by kernel.
//!
//! The reference are outputs of the maker's public simulator of the device. Both suites ask for equality: every row of
//! every trace, and every cycle and transaction of every kernel.

mod golden;
mod kernels;
#[cfg(test)]
mod tests;

pub use golden::HbmPimGolden;
pub use kernels::HbmPimKernels;

use pim_device::hbm2_pim::{Kernel, Operation};

/// What may stand for "in the PIM blocks" and "without them".
const MODES: [(&str, bool); 2] = [("pim", true), ("nopim", false)];

fn operation(name: &str) -> Option<Operation> {
    Operation::from_name(name)
}

fn known_operations() -> String {
    Operation::ALL.map(Operation::name).join(", ")
}

fn mode(name: &str) -> Option<bool> {
    MODES.iter().find(|(known, _)| *known == name).map(|(_, pim)| *pim)
}

/// One kernel over one vector on one channel.
const fn on_one_channel(operation: Operation, pim: bool, outputs: u64, inputs: u64) -> Kernel {
    Kernel { operation, pim, outputs, inputs, batch: 1, channels: 1 }
}
