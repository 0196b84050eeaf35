//! PIM devices: everything that tells one from another, as data.
//!
//! A device is a file of this folder and a line of [`DEVICES`].

pub mod hbm3_aqpim;
pub mod hbm3_pim_bank;
pub mod hbm3_pim_bg;
pub mod hbm3_pim_buffer;
mod pe;
mod pq;

pub use pe::{PeCommands, PeLevel};
pub use pq::{PqFigures, PqMapping, PqReduction, PqValues};

pub mod hbm2_pim;

use sim_core::{Bytes, Cycles, Rate};

use crate::constraint::{Constraint, JEDEC};
use crate::energy::{EnergyFigures, PowerBudget};
use crate::organisation::Organisation;
use crate::timing::{Parameter, Timing};

/// A device's name and what makes it.
pub type Entry = (&'static str, fn() -> DeviceSpec);

/// All devices by name.
pub const DEVICES: &[Entry] = &[
    (hbm3_pim_bank::NAME, hbm3_pim_bank::device),
    (hbm3_pim_bg::NAME, hbm3_pim_bg::device),
    (hbm3_pim_buffer::NAME, hbm3_pim_buffer::device),
    (hbm3_aqpim::NAME, hbm3_aqpim::device),
];

/// How the supply of a stack bears the activation of all banks at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MultiBankActivation {
    /// All banks at once; the supply is made for it (assumption of AttAcc, default).
    #[default]
    Provisioned,
    /// At most four banks per rank in any window nFAW, nRRDS apart, as for ordinary activations.
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
    /// Where its PEs are.
    pub pe: PeLevel,
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
    /// The most power of a stack; `None` where only [`Self::timing`] limits it.
    pub power: Option<PowerBudget>,
    /// What its PEs have for a product-quantised KV cache; `None` where they have nothing.
    pub pq: Option<PqFigures>,
}

impl DeviceSpec {
    /// The device of this name, one of [`DEVICES`].
    ///
    /// ```
    /// use pim_device::DeviceSpec;
    /// assert_eq!(DeviceSpec::by_name("hbm3-pim-bg").map(|device| device.lanes), Some(16));
    /// assert_eq!(DeviceSpec::by_name("hbm9-pim"), None);
    /// ```
    pub fn by_name(name: &str) -> Option<Self> {
        DEVICES.iter().find(|(known, _)| *known == name).map(|(_, device)| device())
    }

    /// Bank-level HBM3-PIM, see [`hbm3_pim_bank::device`].
    pub fn hbm3_pim_bank() -> Self {
        hbm3_pim_bank::device()
    }

    /// The same with another timing, for example `hbm3::gbps_5_2(PowerLimit::Off)`.
    pub fn with_timing(self, timing: Timing) -> Self {
        Self { timing, ..self }
    }

    /// The same for elements of `bytes` bytes, with a lane for each element of a granule: FP16 is 2, INT8 is 1.
    pub fn with_element(self, bytes: u32) -> Self {
        let element = bytes.max(1);
        Self { element, lanes: (self.organisation.granule / element).max(1), ..self }
    }

    /// The rules between its commands: the table, and those of its power.
    pub fn constraints(&self) -> Vec<Constraint> {
        let power = self.power.iter().flat_map(|power| power.constraints(self));
        JEDEC.iter().copied().chain(power).collect()
    }

    /// The same with so much of its capacity: rows of every bank, rounded down. PEs take area beside the banks, and a die of
    /// one size then has fewer rows.
    ///
    /// ```
    /// use pim_device::DeviceSpec;
    /// assert_eq!(DeviceSpec::hbm3_pim_bank().with_density(0.75).stack_capacity().0, 12 << 30);
    /// ```
    pub fn with_density(mut self, factor: f64) -> Self {
        self.organisation.rows = (f64::from(self.organisation.rows) * factor.clamp(0.0, 1.0)) as u32;
        self
    }

    /// How long a channel's slice of the BufferPE takes for `operations` additions, minima or reciprocals, in channel cycles.
    pub fn buffer_cycles(&self, operations: u64) -> Cycles {
        let Some(pq) = &self.pq else { return Cycles(0) };
        let slice = pq.buffer_operations.scaled(1, u64::from(self.organisation.channels));
        self.timing.clock.cycle_at_or_after(slice.time_for(operations))
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
        let staggered = self.multi_bank_activation == MultiBankActivation::Staggered;
        let rank = match parameter {
            _ if !staggered => 0,
            Parameter::AllBankSpread | Parameter::AllBankWindow => self.organisation.banks_per_rank(),
            Parameter::SameBankSpread | Parameter::SameBankWindow => self.organisation.bank_groups,
            _ => 0,
        };
        // Of so many banks of a rank, four in every window nFAW and nRRDS apart: the last window begins so much later.
        let windows = rank.div_ceil(4).saturating_sub(1);
        let faw = self.timing.get(Parameter::Faw);
        match parameter {
            Parameter::AllBankSpread | Parameter::SameBankSpread if rank > 0 => {
                windows * faw + (rank - 4 * windows - 1) * self.timing.get(Parameter::RrdS)
            }
            Parameter::AllBankWindow | Parameter::SameBankWindow if rank > 0 => (windows + 1) * faw,
            other => self.timing.get(other),
        }
    }

    /// Elements of one access granule.
    pub fn elements_per_granule(&self) -> u32 {
        (self.organisation.granule / self.element.max(1)).max(1)
    }

    /// Arithmetic operations of one MAC command for one query: every lane of every PE multiplies and adds.
    pub fn operations_per_mac(&self) -> u64 {
        2 * u64::from(self.lanes) * u64::from(self.pe.banks(&self.organisation))
    }

    /// Bytes that one MAC command reads in a channel: a granule from each bank that it works on.
    pub fn mac_bytes(&self) -> Bytes {
        Bytes(u64::from(self.organisation.granule) * u64::from(self.pe.banks(&self.organisation)))
    }

    /// The lanes that each bank PE needs to serve groups of `query_heads` under the GQA policy.
    pub fn lanes_needed(&self, query_heads: u32) -> u32 {
        match self.gqa {
            GqaPolicy::Serial => self.lanes,
            GqaPolicy::SharedPass => self.lanes * query_heads.max(1),
        }
    }

    /// Bytes per second that the MACs of one channel can read: those of a command every nCCDAB, nCCDSB or nCCDS.
    pub fn channel_peak(&self) -> Rate {
        let bytes = self.mac_bytes().0;
        let gap = self.timing.get(self.pe.commands().gap).max(1);
        let gap = self.timing.clock.edge(Cycles(u64::from(gap)));
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
        assert_eq!(device.cycles(Parameter::AllBankSpread), 3 * 39 + 3 * 2);
        assert_eq!(device.cycles(Parameter::AllBankWindow), 4 * 39);
        // A bank of each of four bank groups: one window.
        assert_eq!(device.cycles(Parameter::SameBankSpread), 3 * 2);
        assert_eq!(device.cycles(Parameter::SameBankWindow), 39);
    }

    #[test]
    fn every_device_has_the_name_of_its_line() {
        for (name, device) in DEVICES {
            assert_eq!(device().name, *name);
        }
    }

    #[test]
    fn peaks_are_those_of_the_attacc_modes() {
        // Per stack, GB/s: 2 KiB, 512 B and 64 B for each channel every 6, 6 and 2 cycles of 769 ps.
        let peak = |name| DeviceSpec::by_name(name).unwrap().channel_peak().0 * 16 / 1_000_000_000;
        assert_eq!([peak("hbm3-pim-bank"), peak("hbm3-pim-bg"), peak("hbm3-pim-buffer")], [7_101, 1_775, 665]);
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
