//! HBM3-PIM with a PE for each bank group: AttAcc's bank-group mode.

use super::{DeviceSpec, PeLevel, hbm3_pim_bank};

/// Its name in catalogues.
pub const NAME: &str = "hbm3-pim-bg";

/// The stack of [`hbm3_pim_bank`] with a PE of 16 FP16 lanes for each bank group. Its four banks are taken in turn: while
/// one is multiplied the row of the next is opened.
///
/// Source: AttAcc (ASPLOS 2024) and its simulator: commands ACTSB, MACSB, PRESB, nCCDSB 6 cycles with the power limit
/// and 4 without at 5.2 Gb/s.
pub fn device() -> DeviceSpec {
    DeviceSpec { name: NAME.to_owned(), pe: PeLevel::BankGroup, ..hbm3_pim_bank::device() }
}
