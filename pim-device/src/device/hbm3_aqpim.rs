//! HBM3-PIM for a product-quantised KV cache: AQPIM.

use sim_core::Rate;

use super::{DeviceSpec, PqFigures, PqMapping, PqReduction, PqValues, hbm3_pim_bank};

/// Its name in catalogues.
pub const NAME: &str = "hbm3-aqpim";

/// The stack of [`hbm3_pim_bank`] whose bank PEs can also look values up in the open row ([`crate::Command::Ret`]).
///
/// Source: AQPIM (HPCA 2026, arXiv 2604.18137) for PEs beside the banks that add, multiply and sum, a BufferPE that
/// takes minima, divides, exponentiates and adds, and for the look-up by indices in the register file. The paper gives no
/// figure of [`PqFigures`]: all of them are assumptions.
pub fn device() -> DeviceSpec {
    DeviceSpec {
        name: NAME.to_owned(),
        pq: Some(PqFigures {
            lookups_per_column: 16,
            reduction: PqReduction::BankGroup,
            register_file: 16,
            result_registers: 2,
            value_passes: 0,
            values: PqValues::Reconstruct,
            mapping: PqMapping::Together,
            buffer_operations: Rate(670_400_000_000),
            broadcast: true,
        }),
        ..hbm3_pim_bank::device()
    }
}
