//! HBM3-PIM with a PE beside each bank: AttAcc's bank mode.

use sim_core::Rate;

use super::{DeviceSpec, GqaPolicy, MultiBankActivation, PeLevel};
use crate::energy::EnergyFigures;
use crate::organisation::Organisation;
use crate::timing::hbm3::{self, PowerLimit};

/// Its name in catalogues.
pub const NAME: &str = "hbm3-pim-bank";

/// Bank-level HBM3-PIM: 16 FP16 lanes beside each bank, softmax on the buffer die, MAC power limit on.
///
/// Source: AttAcc (ASPLOS 2024) and its simulator: organisation `HBM3_8Gb_2R`, 5.2 Gb/s, BufferPE at the
/// external bandwidth of 670.4 GB/s per stack. `softmax_passes` 2 is an assumption (maximum and sum in the first,
/// exponent over sum in the second).
pub fn device() -> DeviceSpec {
    DeviceSpec {
        name: NAME.to_owned(),
        organisation: Organisation::HBM3_8GB_2R,
        timing: hbm3::gbps_5_2(PowerLimit::On),
        pe: PeLevel::Bank,
        buffer_rate: Rate(670_400_000_000),
        softmax_passes: 2,
        multi_bank_activation: MultiBankActivation::Provisioned,
        gqa: GqaPolicy::Serial,
        lanes: 16,
        element: 2,
        energy: EnergyFigures::FGDRAM,
        power: None,
        pq: None,
    }
}
