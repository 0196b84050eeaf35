//! `hbm2-pim`: Samsung's HBM-PIM. HBM2 stacks in which one PIM block stands between each pair of banks.
//!
//! Source of all figures: the maker's public simulator of the device, as described in `docs/HBM-PIM.md`. A channel here
//! is an HBM2 pseudo-channel: 64 data pins, burst of 4, 32 B per column command, with a controller of its own.

use sim_core::{ClockDomain, Cycles, Rate};

use crate::command::Command::{Act, Pre, Rd, RefAb, Wr};
use crate::constraint::{Constraint, at, sum};
use crate::organisation::Level::{Bank, BankGroup, Rank};
use crate::organisation::Organisation;
use crate::timing::Parameter as P;
use crate::timing::Timing;

/// Configuration: an HBM-PIM device and its channel controller.
#[derive(Clone, Debug, PartialEq)]
pub struct Hbm2Pim {
    /// Its name in catalogues.
    pub name: String,
    /// Ranks, banks, rows. One "channel" is a pseudo-channel; `channels` are those of a stack.
    pub organisation: Organisation,
    /// Clock and latencies.
    pub timing: Timing,
    /// The timing constraints between commands.
    pub constraints: &'static [Constraint],
    /// Requests that the command queue of a rank holds.
    pub command_queue: u32,
    /// 16-bit lanes of a PIM block.
    pub lanes: u32,
}

/// 1 ns: two transfers per cycle at 2 Gb/s per pin.
const CLOCK: ClockDomain = match ClockDomain::new(1_000, 1) {
    Some(clock) => clock,
    None => panic!("a period of zero"),
};

impl Hbm2Pim {
    /// The device: 16 channels of 256 MiB per rank, 1 ns clock, 16 GB/s per channel.
    ///
    /// The simulator's four-activate window (tXAW) is left out because it is never enforced there, and with
    /// 4 x tRRDS = 16 = tXAW it could not act.
    pub fn new() -> Self {
        let parameters = [
            (P::Bl, 2),
            (P::Cl, 20),
            (P::Cwl, 8),
            (P::RcdRd, 14),
            (P::RcdWr, 10),
            (P::Ras, 33),
            (P::Rc, 47),
            (P::Rp, 14),
            (P::RrdS, 4),
            (P::RrdL, 6),
            (P::CcdS, 2),
            (P::CcdL, 4),
            (P::RtpL, 5),
            (P::Rtrs, 1),
            (P::Wr, 16),
            (P::WtrL, 9),
            (P::Refi, 3_900),
            (P::Rfc, 350),
        ];
        Self {
            name: "hbm2-pim".to_owned(),
            organisation: ORGANISATION,
            timing: Timing::new("HBM2-PIM 2 Gb/s", CLOCK, &parameters),
            constraints: CONSTRAINTS,
            command_queue: 64,
            lanes: 16,
        }
    }

    /// The same with so many ranks in each channel; only what is addressed and what is refreshed depends on it.
    pub fn with_ranks(mut self, ranks: u32) -> Self {
        self.organisation.ranks = ranks;
        self
    }

    /// PIM blocks of one channel and rank: one for two banks.
    pub const fn blocks(&self) -> u32 {
        self.organisation.banks_per_rank() / 2
    }

    /// Bytes per second that the banks of one channel give or take: a burst at each PIM block every tCCDL.
    pub fn channel_peak(&self) -> Rate {
        let bytes = u64::from(self.organisation.granule) * u64::from(self.blocks());
        let gap = self.timing.clock.edge(Cycles(u64::from(self.timing.get(P::CcdL).max(1))));
        Rate(bytes.saturating_mul(1_000_000_000_000)).scaled(1, gap.ps())
    }

    /// Cycles after which the data of a read are complete: the way to the rank, latency and burst.
    pub fn read_done(&self) -> u64 {
        u64::from(COMMAND_CYCLES + self.timing.get(P::Cl) + self.timing.get(P::Bl))
    }

    /// Cycles after which a write is complete.
    pub fn write_done(&self) -> u64 {
        u64::from(self.timing.get(P::Cwl) + self.timing.get(P::Bl))
    }
}

impl Default for Hbm2Pim {
    fn default() -> Self {
        Self::new()
    }
}

/// From the controller's decision to the command's arrival at the rank (tCMD).
pub const COMMAND_CYCLES: u32 = 1;

/// 16 pseudo-channels of a stack, 2 ranks of 4 bank groups of 4 banks, 16,384 rows of 32 bursts of 32 B.
const ORGANISATION: Organisation = Organisation {
    channels: 16,
    pseudo_channels: 1,
    ranks: 2,
    bank_groups: 4,
    banks: 4,
    rows: 16_384,
    columns: 32,
    granule: 32,
};

/// The timing constraints, the same in every mode: in the all-bank modes the controller works with banks 0 and 1 only,
/// which are of one bank group. tRTPL is not below tCCDL, so that a precharge may follow a read after
/// burst + max(tRTPL, tCCDL) - tCCDL = burst + tRTPL - tCCDL.
///
/// The write-to-read gap is that of one bank group (tWTRL) for all banks of the rank: the device has no shorter one.
#[rustfmt::skip]
const CONSTRAINTS: &[Constraint] = &[
    at(Bank, &[Act], &[Rd], sum(&[P::RcdRd])),
    at(Bank, &[Act], &[Wr], sum(&[P::RcdWr])),
    at(Bank, &[Act], &[Pre], sum(&[P::Ras])),
    at(Bank, &[Act], &[Act], sum(&[P::Rc])),
    at(BankGroup, &[Act], &[Act], sum(&[P::RrdL])),
    at(Rank, &[Act], &[Act], sum(&[P::RrdS])),
    at(Bank, &[Pre], &[Act], sum(&[P::Rp])),
    at(Bank, &[Rd], &[Pre], sum(&[P::Bl, P::RtpL]).less(&[P::CcdL])),
    at(BankGroup, &[Rd], &[Rd], sum(&[P::CcdL])),
    at(Rank, &[Rd], &[Rd], sum(&[P::CcdS])),
    at(Rank, &[Rd], &[Wr], sum(&[P::Cl, P::Bl, P::Rtrs]).less(&[P::Cwl])),
    at(Bank, &[Wr], &[Pre], sum(&[P::Cwl, P::Bl, P::Wr])),
    at(BankGroup, &[Wr], &[Wr], sum(&[P::CcdL])),
    at(Rank, &[Wr], &[Wr], sum(&[P::CcdS])),
    at(Rank, &[Wr], &[Rd], sum(&[P::Cwl, P::Bl, P::WtrL])),
    at(Rank, &[RefAb], &[Act], sum(&[P::Rfc])),
    // Between ranks only the data bus counts; no reference run sends requests to a second rank. A read may follow a
    // write of another rank at once: its data come later by more than the burst.
    at(Rank, &[Rd], &[Rd], sum(&[P::Bl, P::Rtrs])).siblings(),
    at(Rank, &[Rd], &[Wr], sum(&[P::Cl, P::Bl, P::Rtrs]).less(&[P::Cwl])).siblings(),
    at(Rank, &[Wr], &[Wr], sum(&[P::Bl, P::Rtrs])).siblings(),
];

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::Bytes;

    #[test]
    fn has_the_device_the_published_sizes() {
        let device = Hbm2Pim::new();
        assert_eq!(device.organisation.page(), Bytes(1 << 10));
        assert_eq!(device.organisation.channel_capacity(), Bytes(512 << 20));
        assert_eq!(device.blocks(), 8);
        assert_eq!((device.read_done(), device.write_done()), (23, 10));
    }
}
