//! HBM3 timing presets as data.
//!
//! Source: the presets of the AttAcc simulator (ASPLOS 2024), whose authors took them in ns from DRAMSim3's HBM2 file
//! because HBM3's are not public.

use sim_core::ClockDomain;

use super::Parameter as P;
use super::Timing;

/// Whether the gap between all-bank MACs is stretched to keep within the stack's power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PowerLimit {
    /// MACs as far apart as activation and read power demand (default).
    On,
    /// MACs as fast as the column path.
    Off,
}

/// nCCDAB and nCCDSB without the power limit, at every rate.
const CCD_MAC_UNLIMITED: u32 = 4;

/// SETM to any other command. Assumption: AttAcc gives SETM no time; 20 cycles (15 ns) is the order of a mode
/// register set of DRAM.
const MOD: u32 = 20;

/// All-bank refresh time of an 8 Gb channel, in ns.
const RFC_NS_8GB: u64 = 350;

/// All-bank refresh time by density of a channel in Gb, in ns.
const RFC_NS: [(u32, u64); 8] =
    [(2, 160), (4, 260), (6, 310), (8, RFC_NS_8GB), (12, 410), (16, 450), (24, 610), (32, 650)];

/// A clock period; evaluated when compiling, so that a zero cannot be reached by a run.
const fn period(ps: u64) -> (u64, ClockDomain) {
    match ClockDomain::new(ps, 1) {
        Some(clock) => (ps, clock),
        None => panic!("a preset has no period"),
    }
}

/// One line of the preset table, in cycles but for the period.
struct Preset {
    name: &'static str,
    /// int(1e6 / (rate in Mb/s / 4)), quad data rate, in ps.
    tck: (u64, ClockDomain),
    /// nCL = nRCDRD = nRCDWR = nRP in all presets.
    cl: u32,
    ras: u32,
    rc: u32,
    wr: u32,
    rtp_s: u32,
    rtp_l: u32,
    cwl: u32,
    /// With the power limit.
    ccd_ab: u32,
    /// With the power limit.
    ccd_sb: u32,
    wtr_s: u32,
    wtr_l: u32,
    faw: u32,
    refi: u32,
    rref_d: u32,
}

#[rustfmt::skip]
const PRESETS: [Preset; 5] = [
    Preset { name: "HBM3_4.8Gbps", tck: period(833), cl: 17, ras: 41, rc: 58, wr: 20, rtp_s: 5, rtp_l: 8, cwl: 5, ccd_ab: 6, ccd_sb: 6, wtr_s: 8, wtr_l: 10, faw: 36, refi: 4680, rref_d: 10 },
    GBPS_5_2,
    Preset { name: "HBM3_5.6Gbps", tck: period(714), cl: 20, ras: 48, rc: 68, wr: 23, rtp_s: 6, rtp_l: 9, cwl: 6, ccd_ab: 6, ccd_sb: 7, wtr_s: 9, wtr_l: 12, faw: 42, refi: 5460, rref_d: 12 },
    Preset { name: "HBM3_6.0Gbps", tck: period(666), cl: 21, ras: 51, rc: 72, wr: 24, rtp_s: 6, rtp_l: 9, cwl: 6, ccd_ab: 6, ccd_sb: 7, wtr_s: 9, wtr_l: 12, faw: 45, refi: 5850, rref_d: 12 },
    Preset { name: "HBM3_6.4Gbps", tck: period(625), cl: 23, ras: 55, rc: 77, wr: 26, rtp_s: 7, rtp_l: 10, cwl: 7, ccd_ab: 7, ccd_sb: 8, wtr_s: 10, wtr_l: 13, faw: 48, refi: 6240, rref_d: 13 },
];

#[rustfmt::skip]
const GBPS_5_2: Preset =
    Preset { name: "HBM3_5.2Gbps", tck: period(769), cl: 19, ras: 45, rc: 63, wr: 21, rtp_s: 6, rtp_l: 8, cwl: 6, ccd_ab: 6, ccd_sb: 6, wtr_s: 8, wtr_l: 11, faw: 39, refi: 5070, rref_d: 11 };

/// The names of the presets.
pub fn names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|preset| preset.name)
}

/// The preset of this name for channels of `density_gb` Gb; `None` where there is no such preset or density.
pub fn preset(name: &str, density_gb: u32, power: PowerLimit) -> Option<Timing> {
    let preset = PRESETS.iter().find(|preset| preset.name == name)?;
    let (_, rfc_ns) = RFC_NS.into_iter().find(|(density, _)| *density == density_gb)?;
    Some(timing(preset, rfc_ns, power))
}

/// The 5.2 Gb/s preset for channels of 8 Gb: 1.3 GHz, tCK 769 ps.
pub fn gbps_5_2(power: PowerLimit) -> Timing {
    timing(&GBPS_5_2, RFC_NS_8GB, power)
}

fn timing(preset: &Preset, rfc_ns: u64, power: PowerLimit) -> Timing {
    let (tck_ps, clock) = preset.tck;
    let (all_bank, same_bank) = match power {
        PowerLimit::On => (preset.ccd_ab, preset.ccd_sb),
        PowerLimit::Off => (CCD_MAC_UNLIMITED, CCD_MAC_UNLIMITED),
    };
    let parameters = [
        (P::Bl, 2),
        (P::Cl, preset.cl),
        (P::Cwl, preset.cwl),
        (P::RcdRd, preset.cl),
        (P::RcdWr, preset.cl),
        (P::Rp, preset.cl),
        (P::Ras, preset.ras),
        (P::Rc, preset.rc),
        (P::Wr, preset.wr),
        (P::RtpS, preset.rtp_s),
        (P::RtpL, preset.rtp_l),
        (P::CcdS, 2),
        (P::CcdL, 4),
        (P::CcdAb, all_bank),
        (P::CcdSb, same_bank),
        (P::RrdS, 2),
        (P::RrdL, 4),
        (P::WtrS, preset.wtr_s),
        (P::WtrL, preset.wtr_l),
        (P::Rtw, 3),
        (P::Faw, preset.faw),
        (P::Rfc, jedec_cycles(rfc_ns, tck_ps)),
        (P::Refi, preset.refi),
        (P::RrefD, preset.rref_d),
        (P::Mod, MOD),
    ];
    Timing::new(preset.name, clock, &parameters)
}

/// JEDEC's rounding of a time to cycles: up, but for a remainder below 2.6 % of a cycle.
const fn jedec_cycles(ns: u64, tck_ps: u64) -> u32 {
    ((ns * 1_000 * 1_000 / tck_ps + 974) / 1_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refresh_takes_456_cycles_at_5_2_gbps() {
        assert_eq!(gbps_5_2(PowerLimit::On).get(P::Rfc), 456);
        assert_eq!(preset("HBM3_5.2Gbps", 8, PowerLimit::On), Some(gbps_5_2(PowerLimit::On)));
    }

    #[test]
    fn only_the_mac_gap_knows_the_power_limit() {
        for name in names() {
            let on = preset(name, 8, PowerLimit::On).unwrap();
            let off = preset(name, 8, PowerLimit::Off).unwrap();
            assert_eq!(on.with(P::CcdAb, 4).with(P::CcdSb, 4), off);
        }
    }

    #[test]
    fn an_unknown_preset_or_density_is_refused() {
        assert_eq!(preset("HBM3_5.3Gbps", 8, PowerLimit::On), None);
        assert_eq!(preset("HBM3_5.2Gbps", 7, PowerLimit::On), None);
    }
}
