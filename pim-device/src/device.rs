//! PIM devices: everything that tells one from another, as data.

pub mod hbm2_pim;

use sim_core::{Bytes, Cycles, Rate};

use crate::energy::EnergyFigures;
use crate::organisation::Organisation;
use crate::timing::hbm3::{self, PowerLimit};
use crate::timing::{Parameter, Timing};

/// How the supply of a stack bears the activation of all banks at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MultiBankActivation {
    /// All banks at once; the supply is made for it (assumption of AttAcc, default).
    #[default]
    Provisioned,
    /// At most four banks per rank in any window nFAW, as for ordinary activations.
    Staggered,
}

/// How the query heads that share a KV head are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GqaPolicy {
    /// One query head after the other over the same K and V (default).
    #[default]
    Serial,
    /// One pass over K and V serves all query heads of the group. The bank PEs then have that many times
    /// [`DeviceSpec::lanes`], see [`DeviceSpec::lanes_needed`].
    SharedPass,
}

/// Configuration: a PIM device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceSpec {
    /// Its name in catalogues.
    pub name: String,
    /// Channels, banks, rows.
    pub organisation: Organisation,
    /// Clock and latencies.
    pub timing: Timing,
    /// What the BufferPEs of one stack process, in bytes per second.
    pub buffer_rate: Rate,
    /// How often softmax goes over its elements.
    pub softmax_passes: u32,
    /// Whether all banks may be activated at once.
    pub multi_bank_activation: MultiBankActivation,
    /// How the query heads of a group are served.
    pub gqa: GqaPolicy,
    /// Multiply-add lanes that a bank PE has for one query: one per element of an access granule.
    pub lanes: u32,
    /// Bytes of an element of K, V, query and score.
    pub element: u32,
    /// Energy per bit and per operation.
    pub energy: EnergyFigures,
}

impl DeviceSpec {
    /// Bank-level HBM3-PIM: 16 FP16 lanes beside each bank, softmax on the buffer die, MAC power limit on.
    ///
    /// Source: AttAcc (ASPLOS 2024) and its simulator: organisation `HBM3_8Gb_2R`, 5.2 Gb/s, BufferPE at the
    /// external bandwidth of 670.4 GB/s per stack. `softmax_passes` 2 is an assumption (maximum and sum in the first,
    /// exponent over sum in the second).
    pub fn hbm3_pim_bank() -> Self {
        Self {
            name: "hbm3-pim-bank".to_owned(),
            organisation: Organisation::HBM3_8GB_2R,
            timing: hbm3::gbps_5_2(PowerLimit::On),
            buffer_rate: Rate(670_400_000_000),
            softmax_passes: 2,
            multi_bank_activation: MultiBankActivation::Provisioned,
            gqa: GqaPolicy::Serial,
            lanes: 16,
            element: 2,
            energy: EnergyFigures::FGDRAM,
        }
    }

    /// The same with another timing, for example `hbm3::gbps_5_2(PowerLimit::Off)`.
    pub fn with_timing(self, timing: Timing) -> Self {
        Self { timing, ..self }
    }

    /// Bytes of one stack.
    pub fn stack_capacity(&self) -> Bytes {
        self.organisation.stack_capacity()
    }

    /// Channels of one stack; each runs its own program.
    pub fn channels_per_stack(&self) -> u32 {
        self.organisation.channels
    }

    /// All-bank rows of one channel.
    pub fn channel_rows(&self) -> u64 {
        u64::from(self.organisation.rows)
    }

    /// Bytes of one all-bank row.
    pub fn row_bytes(&self) -> Bytes {
        self.organisation.all_bank_row()
    }

    /// What a timing parameter is on this device, in cycles.
    pub fn cycles(&self, parameter: Parameter) -> u32 {
        // Four banks of each rank in every window nFAW: the last four begin so many windows after the first.
        let windows = match self.multi_bank_activation {
            MultiBankActivation::Provisioned => 0,
            MultiBankActivation::Staggered => self.organisation.banks_per_rank().div_ceil(4).saturating_sub(1),
        };
        match parameter {
            Parameter::AllBankSpread => windows * self.timing.get(Parameter::Faw),
            Parameter::AllBankWindow if windows > 0 => self.timing.get(Parameter::Faw),
            Parameter::AllBankWindow => 0,
            other => self.timing.get(other),
        }
    }

    /// Elements of one access granule.
    pub fn elements_per_granule(&self) -> u32 {
        (self.organisation.granule / self.element.max(1)).max(1)
    }

    /// Arithmetic operations of one MACAB for one query: every lane of every bank multiplies and adds.
    pub fn operations_per_mac(&self) -> u64 {
        2 * u64::from(self.lanes) * u64::from(self.organisation.banks_per_channel())
    }

    /// The lanes that each bank PE needs to serve groups of `query_heads` under the GQA policy.
    pub fn lanes_needed(&self, query_heads: u32) -> u32 {
        match self.gqa {
            GqaPolicy::Serial => self.lanes,
            GqaPolicy::SharedPass => self.lanes * query_heads.max(1),
        }
    }

    /// Bytes per second that the MACs of one channel can read: a granule per bank every nCCDAB.
    pub fn channel_peak(&self) -> Rate {
        let bytes = self.organisation.all_bank_column().0;
        let gap = self.timing.clock.edge(Cycles(u64::from(self.timing.get(Parameter::CcdAb).max(1))));
        Rate(bytes.saturating_mul(1_000_000_000_000)).scaled(1, gap.ps())
    }

    /// How long a channel's slice of the BufferPE takes for softmax over `elements`, in channel cycles.
    pub fn softmax_cycles(&self, elements: u64) -> Cycles {
        let bytes = elements.saturating_mul(u64::from(self.element)).saturating_mul(u64::from(self.softmax_passes));
        let slice = self.buffer_rate.scaled(1, u64::from(self.organisation.channels));
        self.timing.clock.cycle_at_or_after(slice.time_for(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_staggered_activation_spreads_over_three_windows() {
        let mut device = DeviceSpec::hbm3_pim_bank();
        assert_eq!(device.cycles(Parameter::AllBankSpread), 0);
        device.multi_bank_activation = MultiBankActivation::Staggered;
        assert_eq!(device.cycles(Parameter::AllBankSpread), 117);
    }

    #[test]
    fn the_peak_of_a_stack_is_ten_times_the_external_bandwidth() {
        // The AttAcc simulator's peak: 7.10 TB/s per stack with the power limit.
        let device = DeviceSpec::hbm3_pim_bank();
        assert_eq!(device.channel_peak().0 * 16 / 10_000_000_000, 710);
    }

    #[test]
    fn softmax_takes_two_passes_over_two_bytes() {
        // 32768 x 2 B x 2 / 41.9 GB/s = 3.128 us = 4068 cycles of 769 ps.
        assert_eq!(DeviceSpec::hbm3_pim_bank().softmax_cycles(32_768), Cycles(4_068));
    }
}
