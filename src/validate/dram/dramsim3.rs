//! Device files of DRAMsim3: what they say, and the channel that it makes of them.

use std::collections::BTreeMap;

use pim_device::dram::BankQueueConfig;
use pim_device::{Organisation, Parameter, Timing};
use sim_core::ClockDomain;

use crate::validate::ValidateError;
use crate::validate::table::Table;

const CONFIGS: &str = include_str!("../../../validation/dram/dramsim3_configs.csv");
const CONFIGS_PATH: &str = "validation/dram/dramsim3_configs.csv";

/// What DRAMsim3 takes where a file says nothing.
const DEFAULTS: [(&str, u32); 22] = [
    ("AL", 0),
    ("CL", 12),
    ("CWL", 12),
    ("tRCD", 12),
    ("tRCDRD", 24),
    ("tRCDWR", 20),
    ("tRP", 12),
    ("tRAS", 24),
    ("tRFC", 74),
    ("tREFI", 7_800),
    ("tRRD_S", 4),
    ("tRRD_L", 4),
    ("tWTR_S", 5),
    ("tWTR_L", 5),
    ("tFAW", 50),
    ("t32AW", 330),
    ("tWR", 10),
    ("tRTP", 5),
    ("tCCD_S", 4),
    ("tCCD_L", 6),
    ("tRTRS", 2),
    ("tPPD", 0),
];

/// All device files, by name.
#[derive(Debug, Default)]
pub(super) struct Devices(BTreeMap<String, BTreeMap<String, String>>);

impl Devices {
    /// The shipped files.
    pub(super) fn shipped() -> Result<Self, ValidateError> {
        let table = Table::parse(CONFIGS_PATH, CONFIGS.as_bytes(), &["config", "section", "param", "value"])?;
        let mut devices: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for row in table.rows() {
            let device = devices.entry(table.text(row, "config").to_owned()).or_default();
            device.insert(table.text(row, "param").to_owned(), table.text(row, "value").to_owned());
        }
        Ok(Self(devices))
    }

    /// The names, longest first, so that none is taken for the beginning of another.
    pub(super) fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.0.keys().map(String::as_str).collect();
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        names
    }

    /// The channel of a device; the error says what of it is not modelled.
    pub(super) fn device(&self, name: &str) -> Result<BankQueueConfig, String> {
        let file = self.0.get(name).ok_or_else(|| format!("there is no device `{name}`"))?;
        let protocol = file.get("protocol").map_or("", String::as_str);
        let (hbm, gddr) = (protocol.starts_with("HBM"), protocol.starts_with("GDDR"));
        if protocol == "HMC" {
            return Err(format!("`{name}` is a Hybrid Memory Cube, which is not modelled"));
        }
        for (key, modelled) in [
            ("queue_structure", "PER_BANK"),
            ("row_buf_policy", "OPEN_PAGE"),
            ("refresh_policy", "RANK_LEVEL_STAGGERED"),
        ] {
            if let Some(other) = file.get(key).filter(|value| *value != modelled) {
                return Err(format!("`{name}` has {key} {other}, and only {modelled} is modelled"));
            }
        }
        let number = |key: &str, default: u32| -> Result<u32, String> {
            let Some(text) = file.get(key) else { return Ok(default) };
            text.parse().map_err(|_| format!("{key} of `{name}` is \"{text}\", which is no whole number"))
        };
        let timing = |key: &str| {
            let default = DEFAULTS.into_iter().find(|(known, _)| *known == key).map_or(0, |(_, value)| value);
            number(key, default)
        };
        let length = number("BL", 8)?;
        let burst = match protocol {
            "GDDR5" => length / 4,
            "GDDR5X" => length / 8,
            "GDDR6" => length / 16,
            _ => length / 2,
        };
        let (mut groups, mut banks) = (number("bankgroups", 2)?, number("banks_per_group", 2)?);
        if file.get("bankgroup_enable").is_some_and(|enabled| enabled == "false") {
            (groups, banks) = (1, banks * groups);
        }
        let columns = number("columns", 1_024)?;
        // Accesses of a row: GDDR's files count them, HBM's count halves of them, the others count pins' transfers.
        let columns = if gddr {
            columns
        } else if hbm {
            columns / 2
        } else {
            columns / length.max(1)
        };
        let organisation = Organisation {
            channels: 1,
            pseudo_channels: 1,
            ranks: 1,
            bank_groups: groups,
            banks,
            rows: number("rows", 1 << 16)?,
            columns,
            granule: number("bus_width", 64)? / 8 * length,
        };
        let (read, write) = (timing("AL")? + timing("CL")?, timing("AL")? + timing("CWL")?);
        let (rcd_read, rcd_write) = if hbm || gddr {
            (timing("tRCDRD")?, timing("tRCDWR")?)
        } else {
            let rcd = timing("tRCD")?.saturating_sub(timing("AL")?);
            (rcd, rcd)
        };
        // Without bank groups the short times hold.
        let grouped = |long: &str, short: &str| timing(if groups == 1 { short } else { long });
        let parameters = [
            (Parameter::Cl, read),
            (Parameter::Cwl, write),
            (Parameter::Bl, burst),
            (Parameter::RcdRd, rcd_read),
            (Parameter::RcdWr, rcd_write),
            (Parameter::Rp, timing("tRP")?),
            (Parameter::Ras, timing("tRAS")?),
            (Parameter::Rc, timing("tRAS")? + timing("tRP")?),
            (Parameter::Wr, timing("tWR")?),
            (Parameter::Rtp, timing("AL")? + timing("tRTP")?),
            (Parameter::CcdS, timing("tCCD_S")?.max(burst)),
            (Parameter::CcdL, grouped("tCCD_L", "tCCD_S")?.max(burst)),
            (Parameter::RrdS, timing("tRRD_S")?),
            (Parameter::RrdL, grouped("tRRD_L", "tRRD_S")?),
            (Parameter::WtrS, timing("tWTR_S")?),
            (Parameter::WtrL, grouped("tWTR_L", "tWTR_S")?),
            (Parameter::Rtw, (read + burst + timing("tRTRS")?).saturating_sub(write)),
            (Parameter::Faw, timing("tFAW")?),
            (Parameter::Act32, if gddr { timing("t32AW")? } else { 0 }),
            (Parameter::Ppd, if gddr || protocol == "LPDDR4" { timing("tPPD")? } else { 0 }),
            (Parameter::Rfc, timing("tRFC")?),
            (Parameter::Refi, timing("tREFI")?),
        ];
        // Times are compared in ticks; the period plays no part.
        let clock = ClockDomain::new(1_000, 1).ok_or("no clock")?;
        Ok(BankQueueConfig {
            organisation,
            timing: Timing::new(name, clock, &parameters),
            two_buses: hbm,
            transactions: number("trans_queue_size", 32)? as usize,
            commands: number("cmd_queue_size", 16)? as usize,
            most_hits: 4,
            idle_writes: 8,
        })
    }
}
