//! DDR4: one command bus, banks in groups.
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
    name: "DDR4",
    levels: &[Channel, Rank, BankGroup, Bank],
    commands: &[Act, Pre, PreA, Rd, Wr, RdA, WrA, RefAb],
    prefetch: 8,
    ticks_per_clock: 1,
    lengths: &[],
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
    at(Rank, &[Wr, WrA], &[Wr, WrA], sum(&[P::CcdS])),
    at(Rank, &[Rd, RdA], &[Wr, WrA], sum(&[P::Cl, P::Bl]).less(&[P::Cwl]).plus(2)),
    at(Rank, &[Wr, WrA], &[Rd, RdA], sum(&[P::Cwl, P::Bl, P::WtrS])),
    at(Rank, &[Rd, RdA], &[Rd, RdA, Wr, WrA], sum(&[P::Bl, P::Cs])).siblings(),
    at(Rank, &[Wr, WrA], &[Rd, RdA], sum(&[P::Cwl, P::Bl, P::Cs]).less(&[P::Cl])).siblings(),
    at(Rank, &[Rd], &[PreA], sum(&[P::Rtp])),
    at(Rank, &[Wr], &[PreA], sum(&[P::Cwl, P::Bl, P::Wr])),
    at(Rank, &[Act], &[Act], sum(&[P::RrdS])),
    at(Rank, &[Act], &[Act], sum(&[P::Faw])).window(4),
    at(Rank, &[Act], &[PreA], sum(&[P::Ras])),
    at(Rank, &[PreA], &[Act], sum(&[P::Rp])),
    at(Rank, &[Act], &[RefAb], sum(&[P::Rc])),
    at(Rank, &[Pre, PreA], &[RefAb], sum(&[P::Rp])),
    at(Rank, &[RdA], &[RefAb], sum(&[P::Rp, P::Rtp])),
    at(Rank, &[WrA], &[RefAb], sum(&[P::Cwl, P::Bl, P::Wr, P::Rp])),
    at(Rank, &[RefAb], &[Act, PreA], sum(&[P::Rfc])),
    at(BankGroup, &[Rd, RdA], &[Rd, RdA], sum(&[P::CcdL])),
    at(BankGroup, &[Wr, WrA], &[Wr, WrA], sum(&[P::CcdL])),
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
    OrganisationPreset { name: "DDR4_2Gb_x4", density_mb: 2048, width: 4, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 4, banks: 4, rows: 32_768, columns: 128, granule: 64 } },
    OrganisationPreset { name: "DDR4_2Gb_x8", density_mb: 2048, width: 8, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 4, banks: 4, rows: 16_384, columns: 128, granule: 64 } },
    OrganisationPreset { name: "DDR4_2Gb_x16", density_mb: 2048, width: 16, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 2, banks: 4, rows: 16_384, columns: 128, granule: 64 } },
    OrganisationPreset { name: "DDR4_4Gb_x4", density_mb: 4096, width: 4, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 4, banks: 4, rows: 65_536, columns: 128, granule: 64 } },
    OrganisationPreset { name: "DDR4_4Gb_x8", density_mb: 4096, width: 8, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 4, banks: 4, rows: 32_768, columns: 128, granule: 64 } },
    OrganisationPreset { name: "DDR4_4Gb_x16", density_mb: 4096, width: 16, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 2, banks: 4, rows: 32_768, columns: 128, granule: 64 } },
    OrganisationPreset { name: "DDR4_8Gb_x4", density_mb: 8192, width: 4, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 4, banks: 4, rows: 131_072, columns: 128, granule: 64 } },
    OrganisationPreset { name: "DDR4_8Gb_x8", density_mb: 8192, width: 8, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 4, banks: 4, rows: 65_536, columns: 128, granule: 64 } },
    OrganisationPreset { name: "DDR4_8Gb_x16", density_mb: 8192, width: 16, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 2, banks: 4, rows: 65_536, columns: 128, granule: 64 } },
    OrganisationPreset { name: "DDR4_16Gb_x4", density_mb: 16_384, width: 4, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 4, banks: 4, rows: 262_144, columns: 128, granule: 64 } },
    OrganisationPreset { name: "DDR4_16Gb_x8", density_mb: 16_384, width: 8, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 4, banks: 4, rows: 131_072, columns: 128, granule: 64 } },
    OrganisationPreset { name: "DDR4_16Gb_x16", density_mb: 16_384, width: 16, organisation: Organisation { channels: 1, pseudo_channels: 1, ranks: 1, bank_groups: 2, banks: 4, rows: 131_072, columns: 128, granule: 64 } },
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
    P::CcdS,
    P::CcdL,
    P::WtrS,
    P::WtrL,
    P::Cs,
    P::Refi,
];

#[rustfmt::skip]
const TIMINGS: &[TimingPreset] = &[
    TimingPreset {
        name: "DDR4_1600J", rate: 1600, clock_ps: 1250,
        cycles: &[4, 10, 10, 10, 28, 38, 12, 6, 9, 4, 5, 2, 6, 2, 6240],
        varying: &[
            Varying { parameter: P::RrdS, key: Key::Width, cycles: &[(4, 4), (8, 4), (16, 5)] },
            Varying { parameter: P::RrdL, key: Key::Width, cycles: &[(4, 5), (8, 5), (16, 6)] },
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 16), (8, 20), (16, 28)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(2048, 128), (4096, 208), (8192, 288), (16_384, 440)] },
        ],
    },
    TimingPreset {
        name: "DDR4_1600K", rate: 1600, clock_ps: 1250,
        cycles: &[4, 11, 11, 11, 28, 39, 12, 6, 9, 4, 5, 2, 6, 2, 6240],
        varying: &[
            Varying { parameter: P::RrdS, key: Key::Width, cycles: &[(4, 4), (8, 4), (16, 5)] },
            Varying { parameter: P::RrdL, key: Key::Width, cycles: &[(4, 5), (8, 5), (16, 6)] },
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 16), (8, 20), (16, 28)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(2048, 128), (4096, 208), (8192, 288), (16_384, 440)] },
        ],
    },
    TimingPreset {
        name: "DDR4_1600L", rate: 1600, clock_ps: 1250,
        cycles: &[4, 12, 12, 12, 28, 40, 12, 6, 9, 4, 5, 2, 6, 2, 6240],
        varying: &[
            Varying { parameter: P::RrdS, key: Key::Width, cycles: &[(4, 4), (8, 4), (16, 5)] },
            Varying { parameter: P::RrdL, key: Key::Width, cycles: &[(4, 5), (8, 5), (16, 6)] },
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 16), (8, 20), (16, 28)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(2048, 128), (4096, 208), (8192, 288), (16_384, 440)] },
        ],
    },
    TimingPreset {
        name: "DDR4_1866L", rate: 1866, clock_ps: 1071,
        cycles: &[4, 12, 12, 12, 32, 44, 14, 7, 10, 4, 5, 3, 7, 2, 7283],
        varying: &[
            Varying { parameter: P::RrdS, key: Key::Width, cycles: &[(4, 4), (8, 4), (16, 5)] },
            Varying { parameter: P::RrdL, key: Key::Width, cycles: &[(4, 5), (8, 5), (16, 6)] },
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 16), (8, 22), (16, 28)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(2048, 150), (4096, 243), (8192, 337), (16_384, 514)] },
        ],
    },
    TimingPreset {
        name: "DDR4_1866M", rate: 1866, clock_ps: 1071,
        cycles: &[4, 13, 13, 13, 32, 45, 14, 7, 10, 4, 5, 3, 7, 2, 7283],
        varying: &[
            Varying { parameter: P::RrdS, key: Key::Width, cycles: &[(4, 4), (8, 4), (16, 5)] },
            Varying { parameter: P::RrdL, key: Key::Width, cycles: &[(4, 5), (8, 5), (16, 6)] },
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 16), (8, 22), (16, 28)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(2048, 150), (4096, 243), (8192, 337), (16_384, 514)] },
        ],
    },
    TimingPreset {
        name: "DDR4_1866N", rate: 1866, clock_ps: 1071,
        cycles: &[4, 14, 14, 14, 32, 46, 14, 7, 10, 4, 5, 3, 7, 2, 7283],
        varying: &[
            Varying { parameter: P::RrdS, key: Key::Width, cycles: &[(4, 4), (8, 4), (16, 5)] },
            Varying { parameter: P::RrdL, key: Key::Width, cycles: &[(4, 5), (8, 5), (16, 6)] },
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 16), (8, 22), (16, 28)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(2048, 150), (4096, 243), (8192, 337), (16_384, 514)] },
        ],
    },
    TimingPreset {
        name: "DDR4_2133N", rate: 2133, clock_ps: 937,
        cycles: &[4, 14, 14, 14, 36, 50, 16, 8, 11, 4, 6, 3, 8, 2, 8325],
        varying: &[
            Varying { parameter: P::RrdS, key: Key::Width, cycles: &[(4, 4), (8, 4), (16, 6)] },
            Varying { parameter: P::RrdL, key: Key::Width, cycles: &[(4, 6), (8, 6), (16, 7)] },
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 16), (8, 23), (16, 32)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(2048, 171), (4096, 278), (8192, 385), (16_384, 587)] },
        ],
    },
    TimingPreset {
        name: "DDR4_2133P", rate: 2133, clock_ps: 937,
        cycles: &[4, 15, 15, 15, 36, 51, 16, 8, 11, 4, 6, 3, 8, 2, 8325],
        varying: &[
            Varying { parameter: P::RrdS, key: Key::Width, cycles: &[(4, 4), (8, 4), (16, 6)] },
            Varying { parameter: P::RrdL, key: Key::Width, cycles: &[(4, 6), (8, 6), (16, 7)] },
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 16), (8, 23), (16, 32)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(2048, 171), (4096, 278), (8192, 385), (16_384, 587)] },
        ],
    },
    TimingPreset {
        name: "DDR4_2133R", rate: 2133, clock_ps: 937,
        cycles: &[4, 16, 16, 16, 36, 52, 16, 8, 11, 4, 6, 3, 8, 2, 8325],
        varying: &[
            Varying { parameter: P::RrdS, key: Key::Width, cycles: &[(4, 4), (8, 4), (16, 6)] },
            Varying { parameter: P::RrdL, key: Key::Width, cycles: &[(4, 6), (8, 6), (16, 7)] },
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 16), (8, 23), (16, 32)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(2048, 171), (4096, 278), (8192, 385), (16_384, 587)] },
        ],
    },
    TimingPreset {
        name: "DDR4_2400P", rate: 2400, clock_ps: 833,
        cycles: &[4, 15, 15, 15, 39, 54, 18, 9, 12, 4, 6, 3, 9, 2, 9364],
        varying: &[
            Varying { parameter: P::RrdS, key: Key::Width, cycles: &[(4, 4), (8, 4), (16, 7)] },
            Varying { parameter: P::RrdL, key: Key::Width, cycles: &[(4, 6), (8, 6), (16, 8)] },
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 16), (8, 26), (16, 36)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(2048, 193), (4096, 313), (8192, 433), (16_384, 661)] },
        ],
    },
    TimingPreset {
        name: "DDR4_2400R", rate: 2400, clock_ps: 833,
        cycles: &[4, 16, 16, 16, 39, 55, 18, 9, 12, 4, 6, 3, 9, 2, 9364],
        varying: &[
            Varying { parameter: P::RrdS, key: Key::Width, cycles: &[(4, 4), (8, 4), (16, 7)] },
            Varying { parameter: P::RrdL, key: Key::Width, cycles: &[(4, 6), (8, 6), (16, 8)] },
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 16), (8, 26), (16, 36)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(2048, 193), (4096, 313), (8192, 433), (16_384, 661)] },
        ],
    },
    TimingPreset {
        name: "DDR4_2400U", rate: 2400, clock_ps: 833,
        cycles: &[4, 17, 17, 17, 39, 56, 18, 9, 12, 4, 6, 3, 9, 2, 9364],
        varying: &[
            Varying { parameter: P::RrdS, key: Key::Width, cycles: &[(4, 4), (8, 4), (16, 7)] },
            Varying { parameter: P::RrdL, key: Key::Width, cycles: &[(4, 6), (8, 6), (16, 8)] },
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 16), (8, 26), (16, 36)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(2048, 193), (4096, 313), (8192, 433), (16_384, 661)] },
        ],
    },
    TimingPreset {
        name: "DDR4_2400T", rate: 2400, clock_ps: 833,
        cycles: &[4, 18, 18, 18, 39, 57, 18, 9, 12, 4, 6, 3, 9, 2, 9364],
        varying: &[
            Varying { parameter: P::RrdS, key: Key::Width, cycles: &[(4, 4), (8, 4), (16, 7)] },
            Varying { parameter: P::RrdL, key: Key::Width, cycles: &[(4, 6), (8, 6), (16, 8)] },
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 16), (8, 26), (16, 36)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(2048, 193), (4096, 313), (8192, 433), (16_384, 661)] },
        ],
    },
    TimingPreset {
        name: "DDR4_2666T", rate: 2666, clock_ps: 750,
        cycles: &[4, 17, 17, 17, 43, 60, 20, 10, 14, 4, 7, 4, 10, 2, 10_400],
        varying: &[
            Varying { parameter: P::RrdS, key: Key::Width, cycles: &[(4, 4), (8, 4), (16, 8)] },
            Varying { parameter: P::RrdL, key: Key::Width, cycles: &[(4, 7), (8, 7), (16, 9)] },
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 16), (8, 28), (16, 40)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(2048, 214), (4096, 347), (8192, 480), (16_384, 734)] },
        ],
    },
    TimingPreset {
        name: "DDR4_2666U", rate: 2666, clock_ps: 750,
        cycles: &[4, 18, 18, 18, 43, 61, 20, 10, 14, 4, 7, 4, 10, 2, 10_400],
        varying: &[
            Varying { parameter: P::RrdS, key: Key::Width, cycles: &[(4, 4), (8, 4), (16, 8)] },
            Varying { parameter: P::RrdL, key: Key::Width, cycles: &[(4, 7), (8, 7), (16, 9)] },
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 16), (8, 28), (16, 40)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(2048, 214), (4096, 347), (8192, 480), (16_384, 734)] },
        ],
    },
    TimingPreset {
        name: "DDR4_2666V", rate: 2666, clock_ps: 750,
        cycles: &[4, 19, 19, 19, 43, 62, 20, 10, 14, 4, 7, 4, 10, 2, 10_400],
        varying: &[
            Varying { parameter: P::RrdS, key: Key::Width, cycles: &[(4, 4), (8, 4), (16, 8)] },
            Varying { parameter: P::RrdL, key: Key::Width, cycles: &[(4, 7), (8, 7), (16, 9)] },
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 16), (8, 28), (16, 40)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(2048, 214), (4096, 347), (8192, 480), (16_384, 734)] },
        ],
    },
    TimingPreset {
        name: "DDR4_2666W", rate: 2666, clock_ps: 750,
        cycles: &[4, 20, 20, 20, 43, 63, 20, 10, 14, 4, 7, 4, 10, 2, 10_400],
        varying: &[
            Varying { parameter: P::RrdS, key: Key::Width, cycles: &[(4, 4), (8, 4), (16, 8)] },
            Varying { parameter: P::RrdL, key: Key::Width, cycles: &[(4, 7), (8, 7), (16, 9)] },
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 16), (8, 28), (16, 40)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(2048, 214), (4096, 347), (8192, 480), (16_384, 734)] },
        ],
    },
    TimingPreset {
        name: "DDR4_2933V", rate: 2933, clock_ps: 682,
        cycles: &[4, 19, 19, 19, 47, 66, 22, 11, 16, 4, 8, 4, 11, 2, 11_437],
        varying: &[
            Varying { parameter: P::RrdS, key: Key::Width, cycles: &[(4, 4), (8, 4), (16, 8)] },
            Varying { parameter: P::RrdL, key: Key::Width, cycles: &[(4, 8), (8, 8), (16, 10)] },
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 16), (8, 31), (16, 44)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(2048, 235), (4096, 382), (8192, 528), (16_384, 807)] },
        ],
    },
    TimingPreset {
        name: "DDR4_2933W", rate: 2933, clock_ps: 682,
        cycles: &[4, 20, 20, 20, 47, 67, 22, 11, 16, 4, 8, 4, 11, 2, 11_437],
        varying: &[
            Varying { parameter: P::RrdS, key: Key::Width, cycles: &[(4, 4), (8, 4), (16, 8)] },
            Varying { parameter: P::RrdL, key: Key::Width, cycles: &[(4, 8), (8, 8), (16, 10)] },
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 16), (8, 31), (16, 44)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(2048, 235), (4096, 382), (8192, 528), (16_384, 807)] },
        ],
    },
    TimingPreset {
        name: "DDR4_2933Y", rate: 2933, clock_ps: 682,
        cycles: &[4, 21, 21, 21, 47, 68, 22, 11, 16, 4, 8, 4, 11, 2, 11_437],
        varying: &[
            Varying { parameter: P::RrdS, key: Key::Width, cycles: &[(4, 4), (8, 4), (16, 8)] },
            Varying { parameter: P::RrdL, key: Key::Width, cycles: &[(4, 8), (8, 8), (16, 10)] },
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 16), (8, 31), (16, 44)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(2048, 235), (4096, 382), (8192, 528), (16_384, 807)] },
        ],
    },
    TimingPreset {
        name: "DDR4_2933AA", rate: 2933, clock_ps: 682,
        cycles: &[4, 22, 22, 22, 47, 69, 22, 11, 16, 4, 8, 4, 11, 2, 11_437],
        varying: &[
            Varying { parameter: P::RrdS, key: Key::Width, cycles: &[(4, 4), (8, 4), (16, 8)] },
            Varying { parameter: P::RrdL, key: Key::Width, cycles: &[(4, 8), (8, 8), (16, 10)] },
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 16), (8, 31), (16, 44)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(2048, 235), (4096, 382), (8192, 528), (16_384, 807)] },
        ],
    },
    TimingPreset {
        name: "DDR4_3200W", rate: 3200, clock_ps: 625,
        cycles: &[4, 20, 20, 20, 52, 72, 24, 12, 16, 4, 8, 4, 12, 2, 12_480],
        varying: &[
            Varying { parameter: P::RrdS, key: Key::Width, cycles: &[(4, 4), (8, 4), (16, 9)] },
            Varying { parameter: P::RrdL, key: Key::Width, cycles: &[(4, 8), (8, 8), (16, 11)] },
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 16), (8, 34), (16, 48)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(2048, 256), (4096, 416), (8192, 576), (16_384, 880)] },
        ],
    },
    TimingPreset {
        name: "DDR4_3200AA", rate: 3200, clock_ps: 625,
        cycles: &[4, 22, 22, 22, 52, 74, 24, 12, 16, 4, 8, 4, 12, 2, 12_480],
        varying: &[
            Varying { parameter: P::RrdS, key: Key::Width, cycles: &[(4, 4), (8, 4), (16, 9)] },
            Varying { parameter: P::RrdL, key: Key::Width, cycles: &[(4, 8), (8, 8), (16, 11)] },
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 16), (8, 34), (16, 48)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(2048, 256), (4096, 416), (8192, 576), (16_384, 880)] },
        ],
    },
    TimingPreset {
        name: "DDR4_3200AC", rate: 3200, clock_ps: 625,
        cycles: &[4, 24, 24, 24, 52, 76, 24, 12, 16, 4, 8, 4, 12, 2, 12_480],
        varying: &[
            Varying { parameter: P::RrdS, key: Key::Width, cycles: &[(4, 4), (8, 4), (16, 9)] },
            Varying { parameter: P::RrdL, key: Key::Width, cycles: &[(4, 8), (8, 8), (16, 11)] },
            Varying { parameter: P::Faw, key: Key::Width, cycles: &[(4, 16), (8, 34), (16, 48)] },
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(2048, 256), (4096, 416), (8192, 576), (16_384, 880)] },
        ],
    },
];
