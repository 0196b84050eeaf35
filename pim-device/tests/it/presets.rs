//! Are organisations and timings by name what the simulator has under these names that they were taken from?
//!
//! `tests/data/presets.csv` holds every pair as that simulator resolves it; ours are resolved from shorter tables.

use pim_device::Parameter;
use pim_device::dram::ChannelConfig;
use pim_device::timing::standard::Standard;

const PRESETS: &str = include_str!("../data/presets.csv");

/// `name=value` pairs.
fn values(text: &str) -> impl Iterator<Item = (&str, u64)> {
    text.split(' ').map(|pair| {
        let (name, value) = pair.split_once('=').unwrap();
        (name, value.parse().unwrap())
    })
}

/// Our organisation's and preset's value of that name; `None` where we have none.
fn ours(config: &ChannelConfig, organisation: &str, timing: &str, name: &str) -> Option<u64> {
    let standard = config.standard;
    let preset = standard.organisation(organisation).unwrap();
    let speed = standard.timings.iter().find(|known| known.name == timing).unwrap();
    let counts = &config.organisation;
    Some(match name {
        "density" => preset.density_mb.into(),
        "dq" => preset.width.into(),
        // A channel is as many devices as it has data pins for; the granule says how many.
        "channel_width" => u64::from(counts.granule) * 8 / u64::from(standard.prefetch),
        "rank" | "sid" => counts.ranks.into(),
        "pseudochannel" => counts.pseudo_channels.into(),
        "bankgroup" => counts.bank_groups.into(),
        "bank" => counts.banks.into(),
        "row" => counts.rows.into(),
        "column" => u64::from(counts.columns) * u64::from(standard.prefetch),
        "rate" => speed.rate.into(),
        "tCK_ps" => speed.clock_ps,
        name => {
            let parameter = Parameter::from_name(name)?;
            (standard.parameters.contains(&parameter) || speed.varying.iter().any(|v| v.parameter == parameter))
                .then(|| config.timing.get(parameter).into())?
        }
    })
}

#[test]
fn are_all_presets_those_of_their_source() {
    let mut rows = 0;
    for row in PRESETS.lines().skip(1) {
        let cells: Vec<&str> = row.split(',').collect();
        let [standard, organisation, timing, counts, times] = cells[..] else { panic!("{row}") };
        let config = ChannelConfig::preset(standard, organisation, timing).unwrap();
        for (name, value) in values(counts).chain(values(times)) {
            let own = ours(&config, organisation, timing, name);
            assert_eq!(own, Some(value), "{standard} {organisation} {timing}: {name}");
        }
        rows += 1;
    }
    assert_eq!(rows, 409);
}

/// And the other way round: nothing of ours is without a source.
#[test]
fn is_every_preset_in_the_table() {
    let pairs: std::collections::BTreeSet<(&str, &str, &str)> = PRESETS
        .lines()
        .skip(1)
        .map(|row| {
            let mut cells = row.split(',');
            (cells.next().unwrap(), cells.next().unwrap(), cells.next().unwrap())
        })
        .collect();
    for standard in
        ["DDR4", "DDR5", "LPDDR5", "GDDR6", "HBM2", "HBM3", "HBM4"].map(|name| Standard::named(name).unwrap())
    {
        for organisation in standard.organisations {
            for timing in standard.timings {
                let resolved = standard.timing(timing.name, organisation).is_some();
                let known = pairs.contains(&(standard.name, organisation.name, timing.name));
                assert!(!resolved || known, "{} {} {}", standard.name, organisation.name, timing.name);
            }
        }
    }
}
