//! HBM4: commands in half cycles of CK, stack IDs (SID) as ranks.
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
    name: "HBM4",
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
    at(PseudoChannel, &[Act], &[RefAb], sum(&[P::Rc])),
    at(PseudoChannel, &[Pre, PreA], &[RefAb], sum(&[P::Rp])),
    at(PseudoChannel, &[Pre, PreA], &[Pre, PreA], sum(&[P::Ppd])),
    at(PseudoChannel, &[RdA], &[RefAb], sum(&[P::Rp, P::Rtp])),
    at(PseudoChannel, &[WrA], &[RefAb], sum(&[P::Cwl, P::Bl, P::Wr, P::Rp])),
    at(PseudoChannel, &[RefAb], &[Act, PreA, RefPb], sum(&[P::Rfc])),
    at(PseudoChannel, &[RefPb], &[RefPb], sum(&[P::RrefD])),
    at(PseudoChannel, &[RefPb], &[Act], sum(&[P::RrefD])),
    at(PseudoChannel, &[Act], &[RefPb], sum(&[P::RrdS])),
    at(PseudoChannel, &[Act], &[RfmAb], sum(&[P::Rc])),
    at(PseudoChannel, &[Pre, PreA], &[RfmAb], sum(&[P::Rp])),
    at(PseudoChannel, &[RdA], &[RfmAb], sum(&[P::Rp, P::Rtp])),
    at(PseudoChannel, &[WrA], &[RfmAb], sum(&[P::Cwl, P::Bl, P::Wr, P::Rp])),
    at(PseudoChannel, &[RfmAb], &[Act, PreA, RfmPb], sum(&[P::RfmAb])),
    at(PseudoChannel, &[RfmPb], &[RfmPb], sum(&[P::RrefD])),
    at(PseudoChannel, &[RfmPb], &[Act], sum(&[P::RrefD])),
    at(PseudoChannel, &[Act], &[RfmPb], sum(&[P::RrdS])),
    at(Rank, &[Rd, RdA], &[Rd, RdA], sum(&[P::CcdS])),
    at(Rank, &[Wr, WrA], &[Wr, WrA], sum(&[P::CcdS])),
    at(Rank, &[Rd, RdA], &[Rd, RdA], sum(&[P::CcdR])).siblings(),
    at(BankGroup, &[Rd, RdA], &[Rd, RdA], sum(&[P::CcdL])),
    at(BankGroup, &[Wr, WrA], &[Wr, WrA], sum(&[P::CcdL])),
    at(BankGroup, &[Wr, WrA], &[Rd, RdA], sum(&[P::Cwl, P::Bl, P::WtrL])),
    at(BankGroup, &[Act], &[Act], sum(&[P::RrdL])),
    at(BankGroup, &[Act], &[RefPb, RfmPb], sum(&[P::RrdL])),
    at(BankGroup, &[RefPb, RfmPb], &[Act], sum(&[P::RrdL])),
    at(Bank, &[Act], &[Act], sum(&[P::Rc])),
    at(Bank, &[Act], &[Rd, RdA], sum(&[P::RcdRd])),
    at(Bank, &[Act], &[Wr, WrA], sum(&[P::RcdWr])),
    at(Bank, &[Act], &[Pre], sum(&[P::Ras])),
    at(Bank, &[Pre], &[Act], sum(&[P::Rp])),
    at(Bank, &[Rd], &[Pre], sum(&[P::Rtp])),
    at(Bank, &[Wr], &[Pre], sum(&[P::Cwl, P::Bl, P::Wr])),
    at(Bank, &[RdA], &[Act, RefPb, RfmPb], sum(&[P::Rtp, P::Rp])),
    at(Bank, &[WrA], &[Act, RefPb, RfmPb], sum(&[P::Cwl, P::Bl, P::Wr, P::Rp])),
    at(Bank, &[RefPb], &[Act], sum(&[P::RfcPb])),
    at(Bank, &[Act], &[RefPb], sum(&[P::Rc])),
    at(Bank, &[Pre], &[RefPb], sum(&[P::Rp])),
    at(Bank, &[RfmPb], &[Act], sum(&[P::RfmPb])),
    at(Bank, &[Act], &[RfmPb], sum(&[P::Rc])),
    at(Bank, &[Pre], &[RfmPb], sum(&[P::Rp])),
];

#[rustfmt::skip]
const ORGANISATIONS: &[OrganisationPreset] = &[
    OrganisationPreset { name: "HBM4_32Gb_4Hi", density_mb: 32_768, width: 32, organisation: Organisation { channels: 1, pseudo_channels: 2, ranks: 1, bank_groups: 2, banks: 8, rows: 16_384, columns: 32, granule: 32 } },
    OrganisationPreset { name: "HBM4_32Gb_8Hi", density_mb: 32_768, width: 32, organisation: Organisation { channels: 1, pseudo_channels: 2, ranks: 2, bank_groups: 2, banks: 8, rows: 16_384, columns: 32, granule: 32 } },
    OrganisationPreset { name: "HBM4_32Gb_16Hi", density_mb: 32_768, width: 32, organisation: Organisation { channels: 1, pseudo_channels: 2, ranks: 4, bank_groups: 2, banks: 8, rows: 16_384, columns: 32, granule: 32 } },
];

const PARAMETERS: &[P] = &[
    P::Bl,
    P::Cl,
    P::Cwl,
    P::Rc,
    P::Ras,
    P::Rp,
    P::RcdRd,
    P::RcdWr,
    P::RrdL,
    P::RrdS,
    P::Faw,
    P::Rtp,
    P::Wr,
    P::CcdL,
    P::CcdS,
    P::CcdR,
    P::WtrL,
    P::WtrS,
    P::Rtw,
    P::Ppd,
    P::RfcPb,
    P::RrefD,
    P::RfmPb,
    P::Refi,
];

#[rustfmt::skip]
const TIMINGS: &[TimingPreset] = &[
    TimingPreset {
        name: "HBM4_8000Mbps", rate: 8000, clock_ps: 500,
        cycles: &[2, 20, 10, 90, 57, 33, 39, 19, 7, 5, 30, 12, 42, 4, 2, 2, 13, 9, 25, 2, 560, 16, 560, 7800],
        varying: &[
            Varying { parameter: P::Rfc, key: Key::Ranks, cycles: &[(1, 800), (2, 900), (4, 1060)] },
            Varying { parameter: P::RfmAb, key: Key::Ranks, cycles: &[(1, 800), (2, 900), (4, 1060)] },
            Varying { parameter: P::RefiPb, key: Key::Ranks, cycles: &[(1, 488), (2, 244), (4, 122)] },
        ],
    },
    TimingPreset {
        name: "HBM4_16000Mbps", rate: 16_000, clock_ps: 250,
        cycles: &[2, 40, 20, 180, 114, 66, 78, 38, 14, 10, 60, 24, 84, 4, 2, 2, 26, 18, 50, 2, 1120, 32, 1120, 15_600],
        varying: &[
            Varying { parameter: P::Rfc, key: Key::Ranks, cycles: &[(1, 1600), (2, 1800), (4, 2120)] },
            Varying { parameter: P::RfmAb, key: Key::Ranks, cycles: &[(1, 1600), (2, 1800), (4, 2120)] },
            Varying { parameter: P::RefiPb, key: Key::Ranks, cycles: &[(1, 975), (2, 488), (4, 244)] },
        ],
    },
];
