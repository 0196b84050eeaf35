//! DDR5: one 32-bit sub-channel; activations, reads and writes take two cycles of the command bus.
//!
//! Source of every figure and rule: the device model of Ramulator 2.1 (commit c5b1c3a, MIT licence), extracted as data. Presets
//! are in CK; what depends on the organisation is keyed by data width, density or ranks.

use super::Parameter as P;
use super::standard::{Key, OrganisationPreset, Standard, TimingPreset, Varying};
use crate::command::Command::{Act, Pre, PreA, Rd, RdA, RefAb, Wr, WrA};
use crate::constraint::{Constraint, at, sum};
use crate::organisation::Level::{Bank, BankGroup, Channel, Rank};
use crate::organisation::Organisation;

/// The standard.
pub const STANDARD: Standard = Standard {
    name: "DDR5",
    levels: &[Channel, Rank, BankGroup, Bank],
    commands: &[Act, Pre, PreA, Rd, Wr, RdA, WrA, RefAb],
    prefetch: 16,
    ticks_per_clock: 1,
    lengths: &[(Act, 2), (Rd, 2), (Wr, 2), (RdA, 2), (WrA, 2)],
    two_buses: false,
    read_latency: sum(&[P::Cl, P::Bl]),
    refresh_level: Rank,
    constraints: CONSTRAINTS,
    organisations: ORGANISATIONS,
    parameters: PARAMETERS,
    timings: TIMINGS,
};

#[rustfmt::skip]
const CONSTRAINTS: &[Constraint] = &[
    at(Channel, &[Rd, RdA], &[Rd, RdA], sum(&[P::Bl])),
    at(Channel, &[Wr, WrA], &[Wr, WrA], sum(&[P::Bl])),
    at(Rank, &[Rd, RdA], &[Rd, RdA], sum(&[P::CcdS])),
    at(Rank, &[Wr, WrA], &[Wr, WrA], sum(&[P::CcdSWr])),
    at(Rank, &[Rd, RdA], &[Wr, WrA], sum(&[P::Cl, P::Bl]).less(&[P::Cwl]).plus(4)),
    at(Rank, &[Wr, WrA], &[Rd, RdA], sum(&[P::Cwl, P::Bl, P::WtrS])),
    at(Rank, &[Rd, RdA], &[Rd, RdA, Wr, WrA], sum(&[P::Bl, P::Cs])).siblings(),
    at(Rank, &[Wr, WrA], &[Rd, RdA], sum(&[P::Cwl, P::Bl, P::Cs]).less(&[P::Cl])).siblings(),
    at(Rank, &[Rd], &[PreA], sum(&[P::Rtp])),
    at(Rank, &[Wr], &[PreA], sum(&[P::Cwl, P::Bl, P::Wr])),
    at(Rank, &[Act], &[Act], sum(&[P::RrdS])),
    at(Rank, &[Act], &[Act], sum(&[P::Faw])).window(4),
    at(Rank, &[Act], &[PreA], sum(&[P::Ras])),
    at(Rank, &[PreA], &[Act], sum(&[P::Rp])),
    at(Rank, &[Pre, PreA], &[Pre, PreA], sum(&[P::Ppd])),
    at(Rank, &[Act], &[RefAb], sum(&[P::Rc])),
    at(Rank, &[Pre, PreA], &[RefAb], sum(&[P::Rp])),
    at(Rank, &[RdA], &[RefAb], sum(&[P::Rp, P::Rtp])),
    at(Rank, &[WrA], &[RefAb], sum(&[P::Cwl, P::Bl, P::Wr, P::Rp])),
    at(Rank, &[RefAb], &[Act, PreA], sum(&[P::Rfc])),
    at(BankGroup, &[Rd, RdA], &[Rd, RdA], sum(&[P::CcdL])),
    at(BankGroup, &[Wr, WrA], &[Wr, WrA], sum(&[P::CcdLWr])),
    at(BankGroup, &[Wr, WrA], &[Rd, RdA], sum(&[P::Cwl, P::Bl, P::WtrL])),
    at(BankGroup, &[Act], &[Act], sum(&[P::RrdL])),
    at(Bank, &[Act], &[Act], sum(&[P::Rc])),
    at(Bank, &[Act], &[Rd, RdA, Wr, WrA], sum(&[P::Rcd])),
    at(Bank, &[Act], &[Pre], sum(&[P::Ras])),
    at(Bank, &[Pre], &[Act], sum(&[P::Rp])),
    at(Bank, &[Rd], &[Pre], sum(&[P::Rtp])),
    at(Bank, &[Wr], &[Pre], sum(&[P::Cwl, P::Bl, P::Wr])),
    at(Bank, &[RdA], &[Act], sum(&[P::Rtp, P::Rp])),
    at(Bank, &[WrA], &[Act], sum(&[P::Cwl, P::Bl, P::Wr, P::Rp])),
];

#[rustfmt::skip]
const ORGANISATIONS: &[OrganisationPreset] = &[
    OrganisationPreset { name: "DDR5_8Gb_x4", density_mb: 8192, width: 4, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 8, banks: 2, rows: 65_536, columns: 128, granule: 64 } },
    OrganisationPreset { name: "DDR5_8Gb_x8", density_mb: 8192, width: 8, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 8, banks: 2, rows: 65_536, columns: 64, granule: 64 } },
    OrganisationPreset { name: "DDR5_8Gb_x16", density_mb: 8192, width: 16, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 4, banks: 2, rows: 65_536, columns: 64, granule: 64 } },
    OrganisationPreset { name: "DDR5_16Gb_x4", density_mb: 16_384, width: 4, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 8, banks: 4, rows: 65_536, columns: 128, granule: 64 } },
    OrganisationPreset { name: "DDR5_16Gb_x8", density_mb: 16_384, width: 8, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 8, banks: 4, rows: 65_536, columns: 64, granule: 64 } },
    OrganisationPreset { name: "DDR5_16Gb_x16", density_mb: 16_384, width: 16, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 4, banks: 4, rows: 65_536, columns: 64, granule: 64 } },
    OrganisationPreset { name: "DDR5_32Gb_x4", density_mb: 32_768, width: 4, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 8, banks: 4, rows: 131_072, columns: 128, granule: 64 } },
    OrganisationPreset { name: "DDR5_32Gb_x8", density_mb: 32_768, width: 8, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 8, banks: 4, rows: 131_072, columns: 64, granule: 64 } },
    OrganisationPreset { name: "DDR5_32Gb_x16", density_mb: 32_768, width: 16, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 4, banks: 4, rows: 131_072, columns: 64, granule: 64 } },
];

const PARAMETERS: &[P] = &[
    P::Bl,
    P::Cl,
    P::Rcd,
    P::Rp,
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
    P::Cs,
    P::RrdS,
    P::RrdL,
    P::Refi,
];

#[rustfmt::skip]
const TIMINGS: &[TimingPreset] = &[
    TimingPreset {
        name: "DDR5_3200AN", rate: 3200, clock_ps: 625,
        cycles: &[8, 24, 24, 24, 52, 76, 48, 12, 22, 2, 8, 8, 8, 32, 6, 16, 2, 8, 5, 6240],
        varying: &[
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 32), (8, 32), (16, 40)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(8192, 312), (16_384, 472), (32_768, 656)] },
        ],
    },
    TimingPreset {
        name: "DDR5_3200BN", rate: 3200, clock_ps: 625,
        cycles: &[8, 26, 26, 26, 52, 78, 48, 12, 24, 2, 8, 8, 8, 32, 6, 16, 2, 8, 5, 6240],
        varying: &[
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 32), (8, 32), (16, 40)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(8192, 312), (16_384, 472), (32_768, 656)] },
        ],
    },
    TimingPreset {
        name: "DDR5_3200C", rate: 3200, clock_ps: 625,
        cycles: &[8, 28, 28, 28, 52, 80, 48, 12, 26, 2, 8, 8, 8, 32, 6, 16, 2, 8, 5, 6240],
        varying: &[
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 32), (8, 32), (16, 40)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(8192, 312), (16_384, 472), (32_768, 656)] },
        ],
    },
    TimingPreset {
        name: "DDR5_4800AN", rate: 4800, clock_ps: 416,
        cycles: &[8, 34, 34, 34, 77, 111, 72, 18, 32, 2, 8, 12, 8, 48, 6, 24, 2, 8, 12, 9375],
        varying: &[
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 48), (8, 48), (16, 60)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(8192, 469), (16_384, 710), (32_768, 986)] },
        ],
    },
    TimingPreset {
        name: "DDR5_4800BN", rate: 4800, clock_ps: 416,
        cycles: &[8, 36, 36, 36, 77, 113, 72, 18, 34, 2, 8, 12, 8, 48, 6, 24, 2, 8, 12, 9375],
        varying: &[
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 48), (8, 48), (16, 60)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(8192, 469), (16_384, 710), (32_768, 986)] },
        ],
    },
    TimingPreset {
        name: "DDR5_4800C", rate: 4800, clock_ps: 416,
        cycles: &[8, 38, 38, 38, 77, 115, 72, 18, 36, 2, 8, 12, 8, 48, 6, 24, 2, 8, 12, 9375],
        varying: &[
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 48), (8, 48), (16, 60)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(8192, 469), (16_384, 710), (32_768, 986)] },
        ],
    },
    TimingPreset {
        name: "DDR5_5600AN", rate: 5600, clock_ps: 357,
        cycles: &[8, 40, 40, 40, 90, 130, 84, 20, 38, 2, 8, 12, 8, 56, 5, 28, 2, 14, 14, 10_925],
        varying: &[
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 56), (8, 56), (16, 70)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(8192, 547), (16_384, 827), (32_768, 1149)] },
        ],
    },
    TimingPreset {
        name: "DDR5_6400AN", rate: 6400, clock_ps: 312,
        cycles: &[8, 46, 46, 46, 103, 149, 96, 24, 44, 2, 8, 16, 8, 64, 5, 32, 2, 16, 16, 12_500],
        varying: &[
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 64), (8, 64), (16, 80)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(8192, 625), (16_384, 946), (32_768, 1315)] },
        ],
    },
];
