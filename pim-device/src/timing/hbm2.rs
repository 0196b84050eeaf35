//! HBM2: two pseudo-channels share a row and a column command bus.
//!
//! Source of every figure and rule: the device model of Ramulator 2.1 (commit c5b1c3a, MIT licence), extracted as data. Presets
//! are in CK; what depends on the organisation is keyed by data width, density or ranks.

use super::Parameter as P;
use super::standard::{Key, OrganisationPreset, Standard, TimingPreset, Varying};
use crate::command::Command::{Act, Pre, PreA, Rd, RdA, RefAb, RefPb, Wr, WrA};
use crate::constraint::{Constraint, at, sum};
use crate::organisation::Level::{Bank, BankGroup, Channel, PseudoChannel};
use crate::organisation::Organisation;

/// The standard.
pub const STANDARD: Standard = Standard {
    name: "HBM2",
    levels: &[Channel, PseudoChannel, BankGroup, Bank],
    commands: &[Act, Pre, PreA, Rd, Wr, RdA, WrA, RefAb, RefPb],
    prefetch: 4,
    ticks_per_clock: 1,
    lengths: &[(Act, 2)],
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
    at(PseudoChannel, &[Rd, RdA], &[Rd, RdA], sum(&[P::CcdS])),
    at(PseudoChannel, &[Wr, WrA], &[Wr, WrA], sum(&[P::CcdS])),
    at(PseudoChannel, &[Rd, RdA], &[Wr, WrA], sum(&[P::Cl, P::Bl]).less(&[P::Cwl]).plus(2)),
    at(PseudoChannel, &[Wr, WrA], &[Rd, RdA], sum(&[P::Cwl, P::Bl, P::WtrS])),
    at(PseudoChannel, &[Rd], &[PreA], sum(&[P::RtpL])),
    at(PseudoChannel, &[Wr], &[PreA], sum(&[P::Cwl, P::Bl, P::Wr])),
    at(PseudoChannel, &[Act], &[Act], sum(&[P::RrdS])),
    at(PseudoChannel, &[Act], &[Act], sum(&[P::Faw])).window(4),
    at(PseudoChannel, &[Act], &[PreA], sum(&[P::Ras])),
    at(PseudoChannel, &[PreA], &[Act], sum(&[P::Rp])),
    at(PseudoChannel, &[Act], &[RefAb], sum(&[P::Rc])),
    at(PseudoChannel, &[Pre, PreA], &[RefAb], sum(&[P::Rp])),
    at(PseudoChannel, &[RdA], &[RefAb], sum(&[P::Rp, P::RtpL])),
    at(PseudoChannel, &[WrA], &[RefAb], sum(&[P::Cwl, P::Bl, P::Wr, P::Rp])),
    at(PseudoChannel, &[RefAb], &[Act, PreA], sum(&[P::Rfc])),
    at(PseudoChannel, &[RefPb], &[Act], sum(&[P::RrefD])),
    at(PseudoChannel, &[Act], &[RefPb], sum(&[P::RrdS])),
    at(BankGroup, &[Rd, RdA], &[Rd, RdA], sum(&[P::CcdL])),
    at(BankGroup, &[Wr, WrA], &[Wr, WrA], sum(&[P::CcdL])),
    at(BankGroup, &[Wr, WrA], &[Rd, RdA], sum(&[P::Cwl, P::Bl, P::WtrL])),
    at(BankGroup, &[Act], &[Act], sum(&[P::RrdL])),
    at(Bank, &[Act], &[Act], sum(&[P::Rc])),
    at(Bank, &[Act], &[Rd, RdA], sum(&[P::RcdRd])),
    at(Bank, &[Act], &[Wr, WrA], sum(&[P::RcdWr])),
    at(Bank, &[Act], &[Pre], sum(&[P::Ras])),
    at(Bank, &[Pre], &[Act], sum(&[P::Rp])),
    at(Bank, &[Rd], &[Pre], sum(&[P::RtpL])),
    at(Bank, &[Wr], &[Pre], sum(&[P::Cwl, P::Bl, P::Wr])),
    at(Bank, &[RdA], &[Act], sum(&[P::RtpL, P::Rp])),
    at(Bank, &[WrA], &[Act], sum(&[P::Cwl, P::Bl, P::Wr, P::Rp])),
    at(Bank, &[RefPb], &[Act], sum(&[P::RfcPb])),
    at(Bank, &[Act], &[RefPb], sum(&[P::Rc])),
    at(Bank, &[Pre], &[RefPb], sum(&[P::Rp])),
];

#[rustfmt::skip]
const ORGANISATIONS: &[OrganisationPreset] = &[
    OrganisationPreset { name: "HBM2_1Gb", density_mb: 1024, width: 64, organisation: Organisation { channels: 1, pseudo_channels: 2, ranks: 1, bank_groups: 4, banks: 4, rows: 8192, columns: 32, granule: 32 } },
    OrganisationPreset { name: "HBM2_2Gb", density_mb: 2048, width: 64, organisation: Organisation { channels: 1, pseudo_channels: 2, ranks: 1, bank_groups: 4, banks: 4, rows: 16_384, columns: 32, granule: 32 } },
    OrganisationPreset { name: "HBM2_4Gb", density_mb: 4096, width: 64, organisation: Organisation { channels: 1, pseudo_channels: 2, ranks: 1, bank_groups: 4, banks: 4, rows: 32_768, columns: 32, granule: 32 } },
    OrganisationPreset { name: "HBM2_8Gb", density_mb: 8192, width: 64, organisation: Organisation { channels: 1, pseudo_channels: 2, ranks: 1, bank_groups: 4, banks: 4, rows: 65_536, columns: 32, granule: 32 } },
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
    P::RtpL,
    P::Cwl,
    P::CcdS,
    P::CcdL,
    P::WtrS,
    P::WtrL,
    P::RrdS,
    P::RrdL,
    P::Faw,
    P::RfcPb,
    P::RrefD,
    P::Refi,
    P::RefiPb,
];

#[rustfmt::skip]
const TIMINGS: &[TimingPreset] = &[
    TimingPreset {
        name: "HBM2_1600Mbps", rate: 1600, clock_ps: 1250,
        cycles: &[2, 10, 10, 8, 10, 24, 34, 12, 4, 4, 2, 4, 5, 6, 4, 4, 12, 128, 7, 3120, 98],
        varying: &[
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(1024, 88), (2048, 128), (4096, 208), (8192, 280)] },
        ],
    },
    TimingPreset {
        name: "HBM2_2000Mbps", rate: 2000, clock_ps: 1000,
        cycles: &[2, 14, 14, 12, 14, 34, 48, 16, 5, 5, 2, 4, 6, 8, 4, 4, 15, 160, 8, 3900, 122],
        varying: &[
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(1024, 110), (2048, 160), (4096, 260), (8192, 350)] },
        ],
    },
    TimingPreset {
        name: "HBM2_2400Mbps", rate: 2400, clock_ps: 833,
        cycles: &[2, 17, 17, 14, 17, 40, 57, 19, 6, 6, 2, 4, 8, 10, 5, 5, 19, 193, 10, 4682, 147],
        varying: &[
            Varying { parameter: P::Rfc, key: Key::Density, cycles: &[(1024, 133), (2048, 193), (4096, 313), (8192, 421)] },
        ],
    },
];
