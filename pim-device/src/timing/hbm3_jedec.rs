//! HBM3 as JEDEC organises it: commands in half cycles of CK, stack IDs (SID) as ranks.
//!
//! [`super::hbm3`] holds the presets of the AttAcc simulator, which are another reading of HBM3.
//!
//! Source of every figure and rule: the device model of Ramulator 2.1 (commit c5b1c3a, MIT licence), extracted as data. Presets
//! are in CK; what depends on the organisation is keyed by data width, density or ranks.

use super::Parameter as P;
use super::standard::{Key, OrganisationPreset, Standard, TimingPreset, Varying};
use crate::command::Command::{Act, Pre, PreA, Rd, RdA, RefAb, RefPb, RfmAb, RfmPb, Wr, WrA};
use crate::constraint::{Constraint, at, sum};
use crate::organisation::Level::{Bank, BankGroup, Channel, PseudoChannel, Rank};
use crate::organisation::Organisation;

/// The standard.
pub const STANDARD: Standard = Standard {
    name: "HBM3",
    levels: &[Channel, PseudoChannel, Rank, BankGroup, Bank],
    commands: &[Act, Pre, PreA, Rd, Wr, RdA, WrA, RefAb, RefPb, RfmAb, RfmPb],
    prefetch: 8,
    ticks_per_clock: 2,
    lengths: &[(Act, 3), (Rd, 2), (Wr, 2), (RdA, 2), (WrA, 2)],
    two_buses: true,
    read_latency: sum(&[P::Cl, P::Bl]),
    refresh_level: PseudoChannel,
    constraints: CONSTRAINTS,
    organisations: ORGANISATIONS,
    parameters: PARAMETERS,
    timings: TIMINGS,
};

#[rustfmt::skip]
const CONSTRAINTS: &[Constraint] = &[
    at(PseudoChannel, &[Rd, RdA], &[Rd, RdA], sum(&[P::Bl])),
    at(PseudoChannel, &[Wr, WrA], &[Wr, WrA], sum(&[P::Bl])),
    at(PseudoChannel, &[Rd, RdA], &[Wr, WrA], sum(&[P::Rtw])),
    at(PseudoChannel, &[Wr, WrA], &[Rd, RdA], sum(&[P::Cwl, P::Bl, P::WtrS])),
    at(PseudoChannel, &[Rd], &[PreA], sum(&[P::Rtp])),
    at(PseudoChannel, &[Wr], &[PreA], sum(&[P::Cwl, P::Bl, P::Wr])),
    at(PseudoChannel, &[Act], &[Act], sum(&[P::RrdS])),
    at(PseudoChannel, &[Act], &[Act], sum(&[P::Faw])).window(4),
    at(PseudoChannel, &[Act], &[PreA], sum(&[P::Ras])),
    at(PseudoChannel, &[PreA], &[Act], sum(&[P::Rp])),
    at(PseudoChannel, &[Pre, PreA], &[Pre, PreA], sum(&[P::Ppd])),
    at(PseudoChannel, &[Act], &[RefAb], sum(&[P::Rc])),
    at(PseudoChannel, &[Pre, PreA], &[RefAb], sum(&[P::Rp])),
    at(PseudoChannel, &[RdA], &[RefAb], sum(&[P::Rp, P::Rtp])),
    at(PseudoChannel, &[WrA], &[RefAb], sum(&[P::Cwl, P::Bl, P::Wr, P::Rp])),
    at(PseudoChannel, &[RefAb], &[Act, PreA], sum(&[P::Rfc])),
    at(PseudoChannel, &[RefPb], &[RefPb], sum(&[P::RrefD])),
    at(PseudoChannel, &[RefPb], &[Act], sum(&[P::RrefD])),
    at(PseudoChannel, &[Act], &[RefPb], sum(&[P::RrdS])),
    at(PseudoChannel, &[Act], &[RfmAb], sum(&[P::Rc])),
    at(PseudoChannel, &[Pre, PreA], &[RfmAb], sum(&[P::Rp])),
    at(PseudoChannel, &[RdA], &[RfmAb], sum(&[P::Rp, P::Rtp])),
    at(PseudoChannel, &[WrA], &[RfmAb], sum(&[P::Cwl, P::Bl, P::Wr, P::Rp])),
    at(PseudoChannel, &[RfmAb], &[Act, PreA], sum(&[P::RfmAb])),
    at(PseudoChannel, &[RfmPb], &[Act], sum(&[P::RrefD])),
    at(PseudoChannel, &[Act], &[RfmPb], sum(&[P::RrdS])),
    at(Rank, &[Rd, RdA], &[Rd, RdA], sum(&[P::CcdS])),
    at(Rank, &[Wr, WrA], &[Wr, WrA], sum(&[P::CcdS])),
    at(Rank, &[Rd, RdA], &[Rd, RdA], sum(&[P::CcdR])).siblings(),
    at(BankGroup, &[Rd, RdA], &[Rd, RdA], sum(&[P::CcdL])),
    at(BankGroup, &[Wr, WrA], &[Wr, WrA], sum(&[P::CcdL])),
    at(BankGroup, &[Wr, WrA], &[Rd, RdA], sum(&[P::Cwl, P::Bl, P::WtrL])),
    at(BankGroup, &[Act], &[Act], sum(&[P::RrdL])),
    at(Bank, &[Act], &[Act], sum(&[P::Rc])),
    at(Bank, &[Act], &[Rd, RdA], sum(&[P::RcdRd])),
    at(Bank, &[Act], &[Wr, WrA], sum(&[P::RcdWr])),
    at(Bank, &[Act], &[Pre], sum(&[P::Ras])),
    at(Bank, &[Pre], &[Act], sum(&[P::Rp])),
    at(Bank, &[Rd], &[Pre], sum(&[P::Rtp])),
    at(Bank, &[Wr], &[Pre], sum(&[P::Cwl, P::Bl, P::Wr])),
    at(Bank, &[RdA], &[Act], sum(&[P::Rtp, P::Rp])),
    at(Bank, &[WrA], &[Act], sum(&[P::Cwl, P::Bl, P::Wr, P::Rp])),
    at(Bank, &[RefPb], &[Act], sum(&[P::RfcPb])),
    at(Bank, &[Act], &[RefPb], sum(&[P::Rc])),
    at(Bank, &[Pre], &[RefPb], sum(&[P::Rp])),
    at(Bank, &[RfmPb], &[Act], sum(&[P::RfmPb])),
    at(Bank, &[Act], &[RfmPb], sum(&[P::Rc])),
    at(Bank, &[Pre], &[RfmPb], sum(&[P::Rp])),
];

#[rustfmt::skip]
const ORGANISATIONS: &[OrganisationPreset] = &[
    OrganisationPreset { name: "HBM3_4Gb", density_mb: 4096, width: 32, organisation: Organisation { channels: 1, pseudo_channels: 2, ranks: 1, bank_groups: 4, banks: 4, rows: 16_384, columns: 32, granule: 32 } },
    OrganisationPreset { name: "HBM3_8Gb_8hi", density_mb: 8192, width: 32, organisation: Organisation { channels: 1, pseudo_channels: 2, ranks: 2, bank_groups: 4, banks: 4, rows: 8192, columns: 32, granule: 32 } },
    OrganisationPreset { name: "HBM3_16Gb_8hi", density_mb: 16_384, width: 32, organisation: Organisation { channels: 1, pseudo_channels: 2, ranks: 2, bank_groups: 4, banks: 4, rows: 16_384, columns: 32, granule: 32 } },
    OrganisationPreset { name: "HBM3_32Gb_8hi", density_mb: 32_768, width: 32, organisation: Organisation { channels: 1, pseudo_channels: 2, ranks: 2, bank_groups: 4, banks: 4, rows: 32_768, columns: 32, granule: 32 } },
    OrganisationPreset { name: "HBM3_32Gb_16hi", density_mb: 32_768, width: 32, organisation: Organisation { channels: 1, pseudo_channels: 2, ranks: 4, bank_groups: 4, banks: 4, rows: 32_768, columns: 32, granule: 32 } },
];

const PARAMETERS: &[P] = &[
    P::Bl,
    P::Cl,
    P::RcdRd,
    P::RcdWr,
    P::Rp,
    P::Ras,
    P::Rc,
    P::Wr,
    P::Rtp,
    P::Cwl,
    P::CcdS,
    P::CcdL,
    P::CcdR,
    P::RrdS,
    P::RrdL,
    P::Faw,
    P::WtrS,
    P::WtrL,
    P::Rtw,
    P::RfcPb,
    P::RrefD,
    P::Refi,
    P::Ppd,
    P::RfmPb,
];

#[rustfmt::skip]
const TIMINGS: &[TimingPreset] = &[
    TimingPreset {
        name: "HBM3_6400Mbps", rate: 6400, clock_ps: 625,
        cycles: &[2, 20, 31, 15, 26, 45, 72, 33, 9, 10, 2, 4, 3, 4, 5, 24, 7, 10, 20, 320, 8, 6240, 2, 320],
        varying: &[
            Varying { parameter: P::Rfc, key: Key::RankDensity, cycles: &[(4096, 416), (8192, 560), (16_384, 720)] },
            Varying { parameter: P::RfmAb, key: Key::RankDensity, cycles: &[(4096, 416), (8192, 560), (16_384, 720)] },
            Varying { parameter: P::RefiPb, key: Key::Ranks, cycles: &[(1, 390), (2, 195), (4, 98)] },
        ],
    },
];
