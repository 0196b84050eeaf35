//! LPDDR5: split activation (ACT1, ACT2) and a data clock (WCK) that CAS starts.
//!
//! Source of every figure and rule: the device model of Ramulator 2.1 (commit c5b1c3a, MIT licence), extracted as data. Presets
//! are in CK; what depends on the organisation is keyed by data width, density or ranks.

use super::Parameter as P;
use super::standard::{Key, OrganisationPreset, Standard, TimingPreset, Varying};
use crate::command::Command::{Act1, Act2, CasRd, CasWr, Pre, PreA, Rd, RdA, RefAb, RefPb, Wr, WrA};
use crate::constraint::{Constraint, at, sum};
use crate::organisation::Level::{Bank, BankGroup, Channel, Rank};
use crate::organisation::Organisation;

/// The standard.
pub const STANDARD: Standard = Standard {
    name: "LPDDR5",
    levels: &[Channel, Rank, BankGroup, Bank],
    commands: &[Act1, Act2, Pre, PreA, CasRd, CasWr, Rd, Wr, RdA, WrA, RefAb, RefPb],
    prefetch: 16,
    ticks_per_clock: 1,
    lengths: &[],
    two_buses: false,
    read_latency: sum(&[P::Cl, P::BlMin]),
    refresh_level: Rank,
    constraints: CONSTRAINTS,
    organisations: ORGANISATIONS,
    parameters: PARAMETERS,
    timings: TIMINGS,
};

#[rustfmt::skip]
const CONSTRAINTS: &[Constraint] = &[
    at(Channel, &[Rd, RdA], &[Rd, RdA], sum(&[P::BlMin])),
    at(Channel, &[Wr, WrA], &[Wr, WrA], sum(&[P::BlMin])),
    at(Bank, &[CasRd], &[Rd, RdA], sum(&[P::Cas])),
    at(Bank, &[CasWr], &[Wr, WrA], sum(&[P::Cas])),
    at(Rank, &[Rd, RdA], &[Rd, RdA], sum(&[P::CcdS])),
    at(Rank, &[Wr, WrA], &[Wr, WrA], sum(&[P::CcdSWr])),
    at(Rank, &[Rd, RdA], &[Wr, WrA], sum(&[P::Cl, P::BlMin]).less(&[P::Cwl]).plus(2)),
    at(Rank, &[Wr, WrA], &[Rd, RdA], sum(&[P::Cwl, P::BlMin, P::WtrS])),
    at(Rank, &[Rd, RdA], &[Rd, RdA, Wr, WrA], sum(&[P::BlMin, P::Cs])).siblings(),
    at(Rank, &[Wr, WrA], &[Rd, RdA], sum(&[P::Cl, P::BlMin, P::Cs]).less(&[P::Cwl])).siblings(),
    at(Rank, &[Rd], &[PreA], sum(&[P::Rtp])),
    at(Rank, &[Wr], &[PreA], sum(&[P::Cwl, P::BlMin, P::Wr])),
    at(Rank, &[Act1], &[Act1], sum(&[P::RrdS])),
    at(Rank, &[Act1], &[Act1], sum(&[P::Faw])).window(4),
    at(Rank, &[Act1], &[PreA], sum(&[P::Ras])),
    at(Rank, &[PreA], &[Act1], sum(&[P::RpAb])),
    at(Rank, &[Pre, PreA], &[Pre, PreA], sum(&[P::Ppd])),
    at(Rank, &[Act1], &[RefAb], sum(&[P::Rc])),
    at(Rank, &[Pre, PreA], &[RefAb], sum(&[P::Rp])),
    at(Rank, &[RdA], &[RefAb], sum(&[P::Rp, P::Rtp])),
    at(Rank, &[WrA], &[RefAb], sum(&[P::Cwl, P::BlMin, P::Wr, P::Rp])),
    at(Rank, &[RefAb], &[Act1, PreA, RefPb, RefAb], sum(&[P::Rfc])),
    at(Rank, &[RefPb], &[RefPb], sum(&[P::PbrToPbr])),
    at(Rank, &[RefPb], &[RefAb], sum(&[P::RfcPb])),
    at(Rank, &[RefPb], &[Act1], sum(&[P::PbrToAct])),
    at(BankGroup, &[Rd, RdA], &[Rd, RdA], sum(&[P::CcdL])),
    at(BankGroup, &[Wr, WrA], &[Wr, WrA], sum(&[P::CcdLWr])),
    at(BankGroup, &[Wr, WrA], &[Rd, RdA], sum(&[P::Cwl, P::BlMax, P::WtrL])),
    at(BankGroup, &[Act1], &[Act1], sum(&[P::RrdL])),
    at(Bank, &[Act1], &[Act1], sum(&[P::Rc])),
    at(Bank, &[Act1], &[Rd, RdA, Wr, WrA], sum(&[P::Rcd])),
    at(Bank, &[Act1], &[Pre], sum(&[P::Ras])),
    at(Bank, &[Pre], &[Act1], sum(&[P::Rp])),
    at(Bank, &[Rd], &[Pre], sum(&[P::Rtp])),
    at(Bank, &[Wr], &[Pre], sum(&[P::Cwl, P::BlMin, P::Wr])),
    at(Bank, &[RdA], &[Act1], sum(&[P::Rtp, P::Rp])),
    at(Bank, &[WrA], &[Act1], sum(&[P::Cwl, P::BlMin, P::Wr, P::Rp])),
    at(Bank, &[RefPb], &[Act1], sum(&[P::RfcPb])),
    at(Bank, &[Act1], &[RefPb], sum(&[P::Rc])),
    at(Bank, &[Pre], &[RefPb], sum(&[P::Rp])),
];

#[rustfmt::skip]
const ORGANISATIONS: &[OrganisationPreset] = &[
    OrganisationPreset { name: "LPDDR5_8Gb_x16", density_mb: 8192, width: 16, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 4, banks: 4, rows: 32_768, columns: 64, granule: 32 } },
    OrganisationPreset { name: "LPDDR5_16Gb_x16", density_mb: 16_384, width: 16, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 4, banks: 4, rows: 65_536, columns: 64, granule: 32 } },
];

const PARAMETERS: &[P] = &[
    P::BlMin,
    P::BlMax,
    P::Cl,
    P::Rcd,
    P::Rp,
    P::RpAb,
    P::Ras,
    P::Rc,
    P::Wr,
    P::Rtp,
    P::Cwl,
    P::Ppd,
    P::CcdS,
    P::CcdL,
    P::CcdSWr,
    P::CcdLWr,
    P::WtrS,
    P::WtrL,
    P::WckPst,
    P::Cas,
    P::Aad,
    P::Cs,
    P::RrdS,
    P::RrdL,
    P::Faw,
    P::Refi,
    P::RefiPb,
    P::PbrToPbr,
    P::PbrToAct,
];

#[rustfmt::skip]
const TIMINGS: &[TimingPreset] = &[
    TimingPreset {
        name: "LPDDR5_6400", rate: 6400, clock_ps: 1250,
        cycles: &[2, 4, 17, 15, 15, 17, 34, 49, 28, 8, 9, 2, 2, 4, 2, 4, 5, 10, 1, 0, 8, 2, 4, 4, 16, 3125, 391, 72, 6],
        varying: &[
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(8192, 168), (16_384, 224)] },
            Varying { parameter: P::RfcPb, key: Key::Density, cycles: &[(8192, 96), (16_384, 112)] },
        ],
    },
];
