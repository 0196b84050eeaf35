//! GDDR6: one 16-bit channel; its level constraints stand at the channel.
//!
//! Source of every figure and rule: the device model of Ramulator 2.1 (commit c5b1c3a, MIT licence), extracted as data. Presets
//! are in CK; what depends on the organisation is keyed by data width, density or ranks.

use super::Parameter as P;
use super::standard::{OrganisationPreset, Standard, TimingPreset};
use crate::command::Command::{Act, Pre, PreA, Rd, RdA, RefAb, RefPb, Wr, WrA};
use crate::constraint::{Constraint, at, sum};
use crate::organisation::Level::{Bank, BankGroup, Channel};
use crate::organisation::Organisation;

/// The standard.
pub const STANDARD: Standard = Standard {
    name: "GDDR6",
    levels: &[Channel, BankGroup, Bank],
    commands: &[Act, PreA, Pre, Rd, Wr, RdA, WrA, RefAb, RefPb],
    prefetch: 16,
    ticks_per_clock: 1,
    lengths: &[],
    two_buses: false,
    read_latency: sum(&[P::Cl, P::Bl]),
    refresh_level: Channel,
    constraints: CONSTRAINTS,
    organisations: ORGANISATIONS,
    parameters: PARAMETERS,
    timings: TIMINGS,
};

#[rustfmt::skip]
const CONSTRAINTS: &[Constraint] = &[
    at(Channel, &[Rd, RdA], &[Rd, RdA], sum(&[P::Bl])),
    at(Channel, &[Wr, WrA], &[Wr, WrA], sum(&[P::Bl])),
    at(Channel, &[Rd, RdA], &[Rd, RdA], sum(&[P::CcdS])),
    at(Channel, &[Wr, WrA], &[Wr, WrA], sum(&[P::CcdS])),
    at(Channel, &[Rd, RdA], &[Wr, WrA], sum(&[P::Cl]).plus(1)),
    at(Channel, &[Wr, WrA], &[Rd, RdA], sum(&[P::Cwl, P::Bl, P::WtrS])),
    at(Channel, &[Rd], &[PreA], sum(&[P::Rtp])),
    at(Channel, &[Wr], &[PreA], sum(&[P::Cwl, P::Bl, P::Wr])),
    at(Channel, &[Act], &[Act], sum(&[P::RrdS])),
    at(Channel, &[Act], &[Act, RefPb], sum(&[P::Faw])).window(4),
    at(Channel, &[RefPb], &[Act, RefPb], sum(&[P::Faw])).window(4),
    at(Channel, &[Act], &[PreA], sum(&[P::Ras])),
    at(Channel, &[PreA], &[Act], sum(&[P::Rp])),
    at(Channel, &[PreA, Pre], &[PreA, Pre], sum(&[P::Ppd])),
    at(Channel, &[Act], &[RefAb], sum(&[P::Rc])),
    at(Channel, &[PreA], &[RefAb], sum(&[P::Rp])),
    at(Channel, &[RdA], &[RefAb], sum(&[P::Rp, P::Rtp])),
    at(Channel, &[WrA], &[RefAb], sum(&[P::Cwl, P::Bl, P::Wr, P::Rp])),
    at(Channel, &[RefAb], &[Act, PreA, Pre, Rd, Wr, RdA, WrA, RefAb, RefPb], sum(&[P::RfcAb])),
    at(Channel, &[Act], &[RefPb], sum(&[P::RrdS])),
    at(Channel, &[PreA], &[RefPb], sum(&[P::Rp])),
    at(Channel, &[RdA], &[RefPb], sum(&[P::Rp, P::Rtp])),
    at(Channel, &[WrA], &[RefPb], sum(&[P::Cwl, P::Bl, P::Wr, P::Rp])),
    at(Channel, &[RefPb], &[Act], sum(&[P::RrefD])),
    at(Channel, &[RefPb], &[RefPb], sum(&[P::RrefD])),
    at(Channel, &[RefPb], &[RefAb], sum(&[P::RfcPb])),
    at(BankGroup, &[Rd, RdA], &[Rd, RdA], sum(&[P::CcdL])),
    at(BankGroup, &[Wr, WrA], &[Wr, WrA], sum(&[P::CcdL])),
    at(BankGroup, &[Wr, WrA], &[Rd, RdA], sum(&[P::Cwl, P::Bl, P::WtrL])),
    at(BankGroup, &[Act], &[Act, RefPb], sum(&[P::RrdL])),
    at(Bank, &[Act], &[Act], sum(&[P::Rc])),
    at(Bank, &[Act], &[Rd, RdA], sum(&[P::RcdRd])),
    at(Bank, &[Act], &[Wr, WrA], sum(&[P::RcdWr])),
    at(Bank, &[Act], &[Pre], sum(&[P::Ras])),
    at(Bank, &[Pre], &[Act], sum(&[P::Rp])),
    at(Bank, &[Rd], &[Pre], sum(&[P::Rtp])),
    at(Bank, &[Wr], &[Pre], sum(&[P::Cwl, P::Bl, P::Wr])),
    at(Bank, &[RdA], &[Act], sum(&[P::Rtp, P::Rp])),
    at(Bank, &[WrA], &[Act], sum(&[P::Cwl, P::Bl, P::Wr, P::Rp])),
    at(Bank, &[Act], &[RefPb], sum(&[P::Rc])),
    at(Bank, &[Pre], &[RefPb], sum(&[P::Rp])),
    at(Bank, &[RdA], &[RefPb], sum(&[P::Rp, P::Rtp])),
    at(Bank, &[WrA], &[RefPb], sum(&[P::Cwl, P::Bl, P::Wr, P::Rp])),
    at(Bank, &[RefPb], &[Act, RefPb], sum(&[P::RfcPb])),
];

#[rustfmt::skip]
const ORGANISATIONS: &[OrganisationPreset] = &[
    OrganisationPreset { name: "GDDR6_8Gb_x8", density_mb: 8192, width: 8, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 4, banks: 4, rows: 16_384, columns: 128, granule: 32 } },
    OrganisationPreset { name: "GDDR6_8Gb_x16", density_mb: 8192, width: 16, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 4, banks: 4, rows: 16_384, columns: 64, granule: 32 } },
    OrganisationPreset { name: "GDDR6_16Gb_x8", density_mb: 16_384, width: 8, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 4, banks: 4, rows: 32_768, columns: 128, granule: 32 } },
    OrganisationPreset { name: "GDDR6_16Gb_x16", density_mb: 16_384, width: 16, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 4, banks: 4, rows: 16_384, columns: 128, granule: 32 } },
    OrganisationPreset { name: "GDDR6_32Gb_x8", density_mb: 32_768, width: 8, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 4, banks: 4, rows: 65_536, columns: 128, granule: 32 } },
    OrganisationPreset { name: "GDDR6_32Gb_x16", density_mb: 32_768, width: 16, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 4, banks: 4, rows: 32_768, columns: 128, granule: 32 } },
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
    P::RrdS,
    P::RrdL,
    P::WtrS,
    P::WtrL,
    P::Faw,
    P::RfcPb,
    P::RrefD,
    P::Refi,
    P::RfcAb,
    P::Ppd,
];

#[rustfmt::skip]
const TIMINGS: &[TimingPreset] = &[
    TimingPreset {
        name: "GDDR6_14000_1350mV_double", rate: 14_000, clock_ps: 570,
        cycles: &[2, 24, 27, 16, 27, 53, 79, 27, 4, 6, 2, 4, 8, 8, 9, 11, 29, 106, 15, 3333, 211, 1],
        varying: &[],
    },
    TimingPreset {
        name: "GDDR6_14000_1250mV_double", rate: 14_000, clock_ps: 570,
        cycles: &[2, 24, 30, 20, 30, 60, 90, 30, 4, 6, 2, 4, 11, 11, 9, 11, 43, 106, 22, 3333, 211, 2],
        varying: &[],
    },
    TimingPreset {
        name: "GDDR6_14000_1350mV_quad", rate: 14_000, clock_ps: 570,
        cycles: &[2, 24, 27, 16, 27, 53, 79, 27, 4, 6, 2, 4, 8, 8, 9, 11, 29, 106, 15, 3333, 211, 1],
        varying: &[],
    },
    TimingPreset {
        name: "GDDR6_14000_1250mV_quad", rate: 14_000, clock_ps: 570,
        cycles: &[2, 24, 30, 20, 30, 60, 90, 30, 4, 6, 2, 4, 11, 11, 9, 11, 43, 106, 22, 3333, 211, 2],
        varying: &[],
    },
];
