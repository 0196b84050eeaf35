//! Energy by part, put together for people: what a unit works for, and what it takes all the time.

use crate::analyse::SystemReport;
use crate::figure::palette::Rgb;

/// Parts of the energy that are shown as one.
#[derive(Debug)]
pub struct Group {
    /// What it is called.
    pub label: &'static str,
    /// Names of its parts; one that ends with a dot is of all that begin with it.
    parts: &'static [&'static str],
    /// Whether it is idle power, standby or refresh: taken whatever is done.
    pub idle: bool,
    /// Its colour: a hue for each unit, pale where idle.
    pub colour: Rgb,
}

const fn group(label: &'static str, parts: &'static [&'static str], idle: bool, colour: Rgb) -> Group {
    Group { label, parts, idle, colour }
}

/// All groups, in the order of the bars from below. What belongs to none is in the last one.
pub const GROUPS: [Group; 12] = [
    group("GPU memory", &["gpu.memory"], false, (0x00, 0x72, 0xB2)),
    group("GPU multiply-adds", &["gpu.compute"], false, (0x56, 0xB4, 0xE9)),
    group("GPU active", &["gpu.active"], false, (0x00, 0x4B, 0x76)),
    group("GPU idle", &["gpu.idle", "gpu.memory.standby", "gpu.memory.refresh"], true, (0xBB, 0xDC, 0xEE)),
    group(
        "PIM commands",
        &["pim", "pim.activation", "pim.cell", "pim.bank_group", "pim.global", "pim.tsv", "pim.mac"],
        false,
        (0x00, 0x9E, 0x73),
    ),
    group("PIM idle", &["pim.standby", "pim.refresh"], true, (0xAE, 0xDF, 0xD0)),
    group("host DRAM", &["host.dram"], false, (0xD5, 0x5E, 0x00)),
    group("host DRAM idle", &["host.dram.standby", "host.dram.refresh"], true, (0xF3, 0xC6, 0xA5)),
    group("CPU active", &["host.cpu.active"], false, (0xE6, 0x9F, 0x00)),
    group("CPU idle", &["host.cpu.idle"], true, (0xF7, 0xDD, 0xA0)),
    group("links", &["communication."], false, (0xCC, 0x79, 0xA7)),
    group("other", &[], false, (0x7A, 0x7A, 0x7A)),
];

impl Group {
    fn has(&self, name: &str) -> bool {
        self.parts.iter().any(|part| name == *part || (part.ends_with('.') && name.starts_with(part)))
    }
}

/// Picojoules by group of parts that do not include their total.
fn grouped<'a>(parts: impl Iterator<Item = &'a (String, f64)>) -> [f64; GROUPS.len()] {
    let mut sums = [0.0; GROUPS.len()];
    for (name, energy) in parts {
        let place = GROUPS.iter().position(|group| group.has(name)).unwrap_or(GROUPS.len() - 1);
        sums[place] += energy;
    }
    sums
}

/// Picojoules of a token step by group, in the order of [`GROUPS`]; `None` where [`SystemReport::energy_per_step`] is none, or there
/// is no energy.
pub fn of_step(system: &SystemReport) -> Option<[f64; GROUPS.len()]> {
    system.energy_per_step().filter(|total| *total > 0.0)?;
    Some(grouped(system.energy_pj.iter().skip(1)).map(|energy| energy / f64::from(system.tokens.max(1))))
}

/// The same of attention alone.
pub fn of_attention(system: &SystemReport) -> Option<[f64; GROUPS.len()]> {
    system.attention_energy_per_step().filter(|total| *total > 0.0)?;
    Some(grouped(system.attention_energy_pj.iter().skip(1)).map(|energy| energy / f64::from(system.tokens.max(1))))
}

/// The share of idle power, standby and refresh.
pub fn idle_share(groups: &[f64; GROUPS.len()]) -> f64 {
    let total: f64 = groups.iter().sum();
    let idle: f64 = GROUPS.iter().zip(groups).filter(|(group, _)| group.idle).map(|(_, energy)| energy).sum();
    if total > 0.0 { idle / total } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_each_part_in_one_group() {
        let names = [
            ("gpu.memory", "GPU memory"),
            ("gpu.memory.standby", "GPU idle"),
            ("gpu.idle", "GPU idle"),
            ("pim", "PIM commands"),
            ("pim.tsv", "PIM commands"),
            ("pim.refresh", "PIM idle"),
            ("host.dram", "host DRAM"),
            ("host.dram.refresh", "host DRAM idle"),
            ("host.cpu.idle", "CPU idle"),
            ("communication.cxl", "links"),
            ("anything", "other"),
        ];
        for (name, label) in names {
            let sums = grouped([(name.to_owned(), 2.0)].iter());
            let found: Vec<&str> =
                GROUPS.iter().zip(sums).filter(|(_, sum)| *sum > 0.0).map(|(g, _)| g.label).collect();
            assert_eq!(found, [label], "{name}");
        }
    }

    #[test]
    fn has_each_group_a_colour_of_its_own() {
        let mut colours: Vec<Rgb> = GROUPS.iter().map(|group| group.colour).collect();
        colours.sort_unstable();
        colours.dedup();
        assert_eq!(colours.len(), GROUPS.len());
    }

    #[test]
    fn are_idle_parts_the_idle_share() {
        let parts = [("gpu.memory", 6.0), ("gpu.idle", 1.0), ("host.cpu.idle", 2.0), ("pim.refresh", 1.0)];
        let parts: Vec<(String, f64)> = parts.iter().map(|(name, energy)| ((*name).to_owned(), *energy)).collect();
        assert!((idle_share(&grouped(parts.iter())) - 0.4).abs() < 1e-12);
    }
}
