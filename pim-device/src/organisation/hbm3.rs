//! HBM3 organisation presets as data.
//!
//! Source: the AttAcc simulator (ASPLOS 2024): two pseudo-channels, four bank groups of four banks, rows of 32 columns
//! of 32 B, one to four ranks (stack IDs). The density is that of a channel.

use super::Organisation;

/// (density of a channel in Gb, ranks, rows of a bank).
#[rustfmt::skip]
const PRESETS: [(u32, u32, u32); 12] = [
    (2, 1, 1 << 13), (4, 1, 1 << 14), (8, 1, 1 << 15),
    (4, 2, 1 << 13), (8, 2, 1 << 14), (16, 2, 1 << 15),
    (6, 3, 1 << 13), (12, 3, 1 << 14), (24, 3, 1 << 15),
    (8, 4, 1 << 13), (16, 4, 1 << 14), (32, 4, 1 << 15),
];

/// The preset of this name, such as `HBM3_8Gb_2R`, in a stack of 16 channels; `None` where there is none.
///
/// ```
/// use pim_device::Organisation;
/// use pim_device::organisation::hbm3;
/// assert_eq!(hbm3::preset("HBM3_8Gb_2R"), Some(Organisation::HBM3_8GB_2R));
/// assert_eq!(hbm3::preset("HBM3_7Gb_2R"), None);
/// ```
pub fn preset(name: &str) -> Option<Organisation> {
    let (density, ranks) = name.strip_prefix("HBM3_")?.strip_suffix('R')?.split_once("Gb_")?;
    let (density, ranks) = (density.parse::<u32>().ok()?, ranks.parse::<u32>().ok()?);
    let &(_, ranks, rows) = PRESETS.iter().find(|preset| (preset.0, preset.1) == (density, ranks))?;
    Some(Organisation { ranks, rows, ..Organisation::HBM3_8GB_2R })
}

/// The names of the presets.
pub fn names() -> impl Iterator<Item = String> {
    PRESETS.iter().map(|(density, ranks, _)| format!("HBM3_{density}Gb_{ranks}R"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_has_the_density_of_its_name() {
        for (name, (density, ranks, rows)) in names().zip(PRESETS) {
            let organisation = preset(&name).unwrap();
            assert_eq!(organisation.density_gb(), density, "{name}");
            assert_eq!((organisation.ranks, organisation.rows), (ranks, rows));
        }
    }
}
