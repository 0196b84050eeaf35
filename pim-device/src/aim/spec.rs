//! The device as data.

use std::sync::Arc;

use sim_core::{ClockDomain, Cycles, Rate};

use super::constraint::{AIM, COMMANDS};
use crate::dram::{CommandBus, RuleTable};
use crate::organisation::Organisation;
use crate::timing::{Parameter as P, Timing};

/// Period of the command clock in ps; evaluated when compiling.
const CLOCK: ClockDomain = match ClockDomain::new(500, 1) {
    Some(clock) => clock,
    None => panic!("the preset has no period"),
};

/// Configuration: an AiM device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AimSpec {
    /// Its name in catalogues.
    pub name: String,
    /// Channels, banks, rows.
    pub organisation: Organisation,
    /// Clock and latencies.
    pub timing: Timing,
    /// Accumulators beside each bank: how many outputs may be under way between two reads of them.
    pub accumulators: u32,
    /// Commands or accesses that wait in a queue of a channel's controller.
    pub queue: u32,
    /// Bytes of an element.
    pub element: u32,
}

impl AimSpec {
    /// SK hynix GDDR6-AiM: 32 channels of 4 x 4 banks, 16384 rows of 2 KB, accesses of 32 B, a global buffer of one row.
    ///
    /// Source: organisation `GDDR6_AiM_org` and timing `GDDR6_AiM_timing` of the AiM simulator
    /// (github.com/arkhadem/aim_simulator, MIT licence). Its nRRDS and nRRDL are those that it sets for a 16-bit channel,
    /// not the 11 of the preset. `queue` is its buffers' 32 entries (those of Ramulator 2.0; later versions have 64) and
    /// one. `accumulators` is what the traces of CENT (ASPLOS 2025) use of a bank between two mode switches.
    pub fn gddr6_aim() -> Self {
        #[rustfmt::skip]
        let parameters = [
            (P::Bl, 2), (P::Cl, 50), (P::Cwl, 6),
            (P::RcdRd, 36), (P::RcdMac, 56), (P::RcdEwMul, 25), (P::RcdAf, 86), (P::RcdRdCp, 66),
            (P::RcdWr, 28), (P::RcdWrCp, 48), (P::Rp, 32), (P::Ras, 54), (P::Wr, 33), (P::Rtp, 12),
            (P::CcdS, 2), (P::CcdL, 2), (P::RrdS, 5), (P::RrdL, 6), (P::WtrS, 9), (P::WtrL, 11),
            (P::ClReg, 0), (P::CwlReg, 1), (P::CwlGb, 1), (P::WPre, 1), (P::Mod, 32),
        ];
        Self {
            name: "gddr6-aim".to_owned(),
            organisation: Organisation {
                channels: 32,
                pseudo_channels: 1,
                ranks: 1,
                bank_groups: 4,
                banks: 4,
                rows: 16_384,
                columns: 64,
                granule: 32,
            },
            timing: Timing::new("GDDR6_AiM_timing", CLOCK, &parameters),
            accumulators: 32,
            queue: 33,
            element: 2,
        }
    }

    /// The constraint table of one channel.
    pub fn rules(&self) -> Arc<RuleTable> {
        let bus = CommandBus { lengths: &[], two_buses: false };
        Arc::new(RuleTable::new(&self.organisation, AIM, COMMANDS, bus, |parameter| self.timing.get(parameter)))
    }

    /// Elements of one access.
    pub const fn elements_per_granule(&self) -> u32 {
        self.organisation.granule / self.element
    }

    /// Elements of one row of a bank, and of the global buffer.
    pub const fn elements_per_row(&self) -> u32 {
        self.organisation.columns * self.elements_per_granule()
    }

    /// Bytes per second that the MACs of one channel read from its banks.
    pub fn channel_peak(&self) -> Rate {
        let bytes = self.organisation.all_bank_column().0;
        let gap = self.timing.clock.edge(Cycles(u64::from(self.timing.get(P::CcdL).max(1))));
        Rate(bytes.saturating_mul(1_000_000_000_000)).scaled(1, gap.ps())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::Bytes;

    #[test]
    fn has_the_device_the_published_sizes() {
        let device = AimSpec::gddr6_aim();
        assert_eq!(device.channel_peak(), Rate(512_000_000_000));
        assert_eq!(device.organisation.page(), Bytes(2 << 10));
        assert_eq!(device.organisation.channel_capacity(), Bytes(512 << 20));
        assert_eq!(device.organisation.stack_capacity(), Bytes(16 << 30));
        assert_eq!(device.elements_per_row(), 1_024);
    }
}
