//! HBM3-PIM with PEs on the buffer die: AttAcc's buffer mode.

use super::{DeviceSpec, PeLevel, hbm3_pim_bank};

/// Its name in catalogues.
pub const NAME: &str = "hbm3-pim-buffer";

/// The stack of [`hbm3_pim_bank`] with a PE of 16 FP16 lanes for each pseudo-channel on the buffer die, fed by one bank after
/// another over the pseudo-channel's data path. The power limit has nothing to limit: the MAC gap is nCCDS in any case.
///
/// Source: AttAcc (ASPLOS 2024) and its simulator: commands ACTPB, MACPB, PREPB.
pub fn device() -> DeviceSpec {
    DeviceSpec { name: NAME.to_owned(), pe: PeLevel::BufferDie, ..hbm3_pim_bank::device() }
}
