//! What makes up a DRAM standard, as data, and the list of standards.

use sim_core::ClockDomain;

use super::{Parameter, Timing};
use crate::command::Command;
use crate::constraint::{Constraint, Latency};
use crate::organisation::{Level, Organisation};

/// All standards, in the order in which they are listed.
pub const STANDARDS: &[&Standard] = &[
    &super::ddr4::STANDARD,
    &super::ddr5::STANDARD,
    &super::lpddr5::STANDARD,
    &super::gddr6::STANDARD,
    &super::hbm2::STANDARD,
    &super::hbm3_jedec::STANDARD,
    &super::hbm4::STANDARD,
];

/// Configuration: a DRAM standard. Times of constraints and presets are in CK.
#[derive(Debug)]
pub struct Standard {
    /// Its name, such as `DDR5`.
    pub name: &'static str,
    /// The levels of its hierarchy, widest first. Stack IDs are [`Level::Rank`].
    pub levels: &'static [Level],
    /// The commands that it knows. [`Command::PreA`] and the all-bank refreshes work on one node of
    /// [`Self::refresh_level`].
    pub commands: &'static [Command],
    /// Columns of the data sheet that one access transfers.
    pub prefetch: u32,
    /// Ticks of the controller in one CK: 2 where commands may begin on either edge.
    pub ticks_per_clock: u32,
    /// How long a command occupies its bus, in ticks; one tick where it is not named.
    pub lengths: &'static [(Command, u32)],
    /// Whether row and column commands have buses of their own, see [`Command::bus`].
    pub two_buses: bool,
    /// From a read to the end of its data.
    pub read_latency: Latency,
    /// The level at which all-bank refresh works.
    pub refresh_level: Level,
    /// The rules between commands, from last cycle to last cycle of the commands.
    pub constraints: &'static [Constraint],
    /// Organisations of one channel.
    pub organisations: &'static [OrganisationPreset],
    /// What the columns of [`TimingPreset::cycles`] are.
    pub parameters: &'static [Parameter],
    /// Timing presets.
    pub timings: &'static [TimingPreset],
}

/// Configuration: one channel of a standard.
#[derive(Debug)]
pub struct OrganisationPreset {
    /// Its name, such as `DDR5_16Gb_x8`.
    pub name: &'static str,
    /// Capacity of a device (of a channel for HBM), in Mb.
    pub density_mb: u32,
    /// Data pins of a device.
    pub width: u32,
    /// The counts. A column is one access.
    pub organisation: Organisation,
}

/// Configuration: the timing of one speed bin.
#[derive(Debug)]
pub struct TimingPreset {
    /// Its name, such as `DDR5_4800BN`.
    pub name: &'static str,
    /// Transfers per pin, in Mb/s.
    pub rate: u32,
    /// Period of CK in ps.
    pub clock_ps: u64,
    /// By parameter of [`Standard::parameters`], in CK.
    pub cycles: &'static [u32],
    /// What depends on the organisation.
    pub varying: &'static [Varying],
}

/// Configuration: a parameter that depends on the organisation.
#[derive(Debug)]
pub struct Varying {
    /// Which.
    pub parameter: Parameter,
    /// On what of the organisation.
    pub key: Key,
    /// The key's value and the cycles, in CK.
    pub cycles: &'static [(u32, u32)],
}

/// A property of an organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// [`OrganisationPreset::width`].
    Width,
    /// [`OrganisationPreset::density_mb`].
    Density,
    /// Ranks or stack IDs.
    Ranks,
    /// Density over ranks.
    RankDensity,
}

impl Standard {
    /// The standard of this name.
    ///
    /// ```
    /// use pim_device::timing::standard::Standard;
    /// let ddr5 = Standard::named("DDR5").unwrap();
    /// let organisation = ddr5.organisation("DDR5_16Gb_x8").unwrap();
    /// let timing = ddr5.timing("DDR5_4800BN", organisation).unwrap();
    /// assert_eq!(timing.get(pim_device::Parameter::Rfc), 710);
    /// ```
    pub fn named(name: &str) -> Option<&'static Self> {
        STANDARDS.iter().copied().find(|standard| standard.name == name)
    }

    /// The organisation of this name.
    pub fn organisation(&self, name: &str) -> Option<&'static OrganisationPreset> {
        self.organisations.iter().find(|preset| preset.name == name)
    }

    /// The timing preset of this name for an organisation; `None` where there is no such preset, or it says nothing
    /// about an organisation like this.
    pub fn timing(&self, name: &str, organisation: &OrganisationPreset) -> Option<Timing> {
        let preset = self.timings.iter().find(|preset| preset.name == name)?;
        let clock = ClockDomain::new(preset.clock_ps, u64::from(self.ticks_per_clock))?;
        let fixed: Vec<(Parameter, u32)> = self.parameters.iter().copied().zip(preset.cycles.iter().copied()).collect();
        let mut timing = Timing::new(preset.name, clock, &fixed);
        for varying in preset.varying {
            let key = organisation.key(varying.key);
            let (_, cycles) = varying.cycles.iter().find(|(value, _)| *value == key)?;
            timing = timing.with(varying.parameter, *cycles);
        }
        Some(timing)
    }

    /// How long a command occupies its bus, in ticks.
    pub fn length(&self, command: Command) -> u32 {
        self.lengths.iter().find(|(named, _)| *named == command).map_or(1, |(_, ticks)| *ticks)
    }
}

impl OrganisationPreset {
    fn key(&self, key: Key) -> u32 {
        match key {
            Key::Width => self.width,
            Key::Density => self.density_mb,
            Key::Ranks => self.organisation.ranks,
            Key::RankDensity => self.density_mb / self.organisation.ranks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_every_preset_every_figure_for_every_organisation() {
        let mut pairs = 0;
        for standard in STANDARDS {
            for preset in standard.timings {
                assert_eq!(preset.cycles.len(), standard.parameters.len(), "{}", preset.name);
                for organisation in standard.organisations {
                    let timing = standard.timing(preset.name, organisation).unwrap();
                    let used = standard.constraints.iter().flat_map(|line| line.latency.parameters);
                    for &parameter in used {
                        let zero = timing.get(parameter) == 0;
                        assert!(!zero || parameter == Parameter::Cas, "{}: {}", preset.name, parameter.name());
                    }
                    pairs += 1;
                }
            }
        }
        assert_eq!(pairs, 12 * 24 + 9 * 8 + 2 + 6 * 4 + 4 * 3 + 5 + 3 * 2);
    }

    #[test]
    fn are_names_unique_and_levels_in_order() {
        for standard in STANDARDS {
            assert!(standard.levels.is_sorted(), "{}", standard.name);
            assert!(standard.levels.contains(&standard.refresh_level));
            for line in standard.constraints {
                assert!(standard.levels.contains(&line.level), "{}: {line:?}", standard.name);
                for command in line.preceding.iter().chain(line.following) {
                    assert!(standard.commands.contains(command), "{}: {line:?}", standard.name);
                }
            }
            for (index, preset) in standard.timings.iter().enumerate() {
                assert!(standard.timings[..index].iter().all(|other| other.name != preset.name));
            }
        }
    }
}
