//! A second memory controller: every tick, plain lists, the table read line by line. Does the one that jumps from
//! command to command do the same, and does it show when a rule is broken?

mod bank_queues;
mod controller;

use controller::{Broken, Log, Oracle};
use pim_device::dram::{
    Access, ChannelConfig, Completion, DramChannel, Observer, Offered, Queues, Refresh, Request, Target,
};
use pim_device::timing::standard::{STANDARDS, Standard};
use pim_device::{Address, Command, Level, Parameter};
use proptest::prelude::*;

/// What the channel itself says.
#[derive(Default)]
struct Listener {
    log: Log,
    done: Vec<(u64, u64)>,
    banks: Option<pim_device::Organisation>,
}

impl Observer for Listener {
    fn issued(&mut self, tick: u64, command: Command, target: Target<'_>) {
        let (tag, node) = match target {
            Target::Request(request) => {
                let organisation = self.banks.as_ref().unwrap();
                (Some(request.tag), organisation.node(Level::Bank, request.address))
            }
            Target::Refresh(place) => (None, place.node()),
        };
        self.log.push((tick, command, tag, node));
    }

    fn completed(&mut self, completion: &Completion) {
        self.done.push((completion.request.tag, completion.done));
    }
}

/// Small numbers from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % count
    }

    fn between(&mut self, least: u32, most: u32) -> u32 {
        least + self.below(u64::from(most - least) + 1) as u32
    }

    fn chance(&mut self, in_100: u64) -> bool {
        self.below(100) < in_100
    }
}

/// A channel of a standard with other counts, times and queues.
fn channel(standard: &'static Standard, refresh: Refresh, dice: &mut Dice) -> ChannelConfig {
    let organisation = &standard.organisations[dice.below(standard.organisations.len() as u64) as usize];
    let timing = &standard.timings[dice.below(standard.timings.len() as u64) as usize];
    let mut config = ChannelConfig::preset(standard.name, organisation.name, timing.name).unwrap();
    if standard.levels.contains(&Level::Rank) {
        config.organisation.ranks = dice.between(1, 2);
    }
    config.organisation.rows = dice.between(1, 4);
    config.organisation.columns = dice.between(1, 4);
    if dice.chance(70) {
        for &parameter in Parameter::ALL {
            let cycles = config.timing.get(parameter);
            if cycles > 0 && dice.chance(60) {
                config.timing = config.timing.with(parameter, dice.between(1, cycles.min(60)));
            }
        }
        if standard.name == "LPDDR5" {
            config.timing = config.timing.with(Parameter::Cas, dice.between(0, 2));
        }
    }
    // Refreshes often, and with time between them.
    for parameter in [Parameter::Rfc, Parameter::RfcAb, Parameter::RfcPb, Parameter::RfmAb, Parameter::RfmPb] {
        if config.timing.get(parameter) > 0 {
            config.timing = config.timing.with(parameter, dice.between(5, 40));
        }
    }
    config.timing = config.timing.with(Parameter::Refi, dice.between(300, 900));
    config.refresh = refresh;
    if dice.chance(4) {
        // Longer than what the channel counts ticks with in short.
        config.timing = config.timing.with(Parameter::Ras, 16_400);
    }
    if dice.chance(50) {
        let (read, write) = (dice.between(1, 12), dice.between(2, 12));
        let write_high = dice.between(1, write);
        config.queues = Queues { read, write, write_high, write_low: dice.between(0, write_high - 1) };
    }
    config
}

fn request(config: &ChannelConfig, dice: &mut Dice, writes: u64, spread: u64, tag: u64) -> Request {
    let organisation = &config.organisation;
    // Few banks make conflicts, many make parallel work.
    let mut part = |count: u32| if dice.chance(spread) { dice.below(count.into()) as u8 } else { 0 };
    let address = Address {
        pseudo_channel: part(organisation.pseudo_channels),
        rank: part(organisation.ranks),
        bank_group: part(organisation.bank_groups),
        bank: part(organisation.banks),
        row: 0,
    };
    let address = Address { row: dice.below(organisation.rows.into()) as u32, ..address };
    let access = if dice.chance(writes) { Access::Write } else { Access::Read };
    Request { access, address, column: dice.below(organisation.columns.into()) as u32, tag }
}

/// Runs both on the same traffic; whether they do the same.
fn same(config: &ChannelConfig, broken: Broken, seed: u64, ticks: u64) -> Result<(), String> {
    let mut dice = Dice(seed ^ 0x5DEE_CE66);
    let mut oracle = Oracle::new(config, broken);
    let mut channel = DramChannel::new(config).unwrap();
    let mut listener = Listener { banks: Some(config.organisation), ..Listener::default() };
    let (writes, spread) = (dice.below(101), 20 + dice.below(81));
    let (mut head, mut tag) = (None, 0);
    // Some begin shortly before the channel has to count its ticks anew.
    let begin = if seed.is_multiple_of(5) { 15_800 } else { 0 };
    while oracle.now < begin {
        oracle.tick();
    }
    channel.advance(begin, &mut listener);
    while oracle.now < begin + ticks {
        let burst = dice.below(5);
        for _ in 0..burst {
            let request = head.take().unwrap_or_else(|| {
                tag += 1;
                request(config, &mut dice, writes, spread, tag)
            });
            let taken = oracle.offer(&request);
            let offered = channel.offer(&request, &mut listener).unwrap();
            if taken != (offered != Offered::Refused) {
                return Err(format!("offer in tick {}: {taken} {offered:?}", oracle.now));
            }
            if !taken {
                head = Some(request);
                break;
            }
        }
        let gap = if dice.chance(10) { 1 + dice.below(120) } else { 1 };
        for _ in 0..gap {
            oracle.tick();
        }
        channel.advance(oracle.now, &mut listener);
        if oracle.log != listener.log {
            let at = oracle.log.iter().zip(&listener.log).position(|(a, b)| a != b);
            let at = at.unwrap_or(oracle.log.len().min(listener.log.len()));
            let from =
                |log: &Log| log[log.len().min(at.saturating_sub(3))..].iter().take(6).copied().collect::<Vec<_>>();
            return Err(format!(
                "command {at} of\n  {:?}\n  channel\n  {:?}\n",
                from(&oracle.log),
                from(&listener.log)
            ));
        }
        oracle.log.clear();
        listener.log.clear();
    }
    if oracle.done == listener.done { Ok(()) } else { Err("completions differ".to_owned()) }
}

fn refreshes(standard: &Standard) -> Vec<Refresh> {
    let mut all = vec![Refresh::None, Refresh::AllBank];
    if standard.commands.contains(&Command::RefPb) {
        all.push(Refresh::PerBank);
    }
    all
}

/// Few: each runs every standard with every refresh. `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn does_the_channel_do_what_a_tick_by_tick_one_does(seed in any::<u64>()) {
        let mut dice = Dice(seed);
        for standard in STANDARDS {
            for refresh in refreshes(standard) {
                let config = channel(standard, refresh, &mut dice);
                let result = same(&config, Broken::Nothing, seed, 1_500);
                prop_assert!(result.is_ok(), "{} {refresh:?}: {} {config:?}", standard.name, result.unwrap_err());
            }
        }
    }
}

/// Whether any of some runs shows that the rule is broken.
#[track_caller]
fn check_seen(broken: Broken, standards: &[&str], refresh: Refresh) {
    check_seen_at(broken, standards, refresh, &[]);
}

/// The same where some parameters are 0.
#[track_caller]
fn check_seen_at(broken: Broken, standards: &[&str], refresh: Refresh, none: &[Parameter]) {
    let mut dice = Dice(1);
    for seed in 0..400 {
        let name = standards[seed as usize % standards.len()];
        let mut config = channel(Standard::named(name).unwrap(), refresh, &mut dice);
        for &parameter in none {
            config.timing = config.timing.with(parameter, 0);
        }
        if same(&config, broken, seed, 1_500).is_err() {
            return;
        }
    }
    panic!("nobody notices {broken:?}");
}

#[test]
fn is_every_broken_rule_seen() {
    let all = ["DDR4", "DDR5", "LPDDR5", "GDDR6", "HBM2", "HBM3", "HBM4"];
    for broken in [
        Broken::NoWindow,
        Broken::HighMark,
        Broken::LowMark,
        Broken::EmptyReadQueueStartsNothing,
        Broken::NoCloseProtection,
        Broken::ActiveByPosition,
        Broken::RowHitsFirst,
        Broken::NoForwarding,
        Broken::EntryKeptAfterActivation,
    ] {
        check_seen(broken, &all, Refresh::None);
    }
    check_seen(Broken::SiblingsAtTheNodeItself, &["DDR4", "HBM3"], Refresh::None);
    check_seen(Broken::BusNotOccupied, &["DDR5", "HBM2", "HBM3"], Refresh::None);
    check_seen(Broken::LengthsNotCounted, &["DDR5", "HBM2", "HBM3"], Refresh::None);
    check_seen(Broken::RowSlotFirst, &["HBM2"], Refresh::None);
    check_seen(Broken::NothingOnFallingEdges, &["HBM3"], Refresh::None);
    // No preset has a bank that could be closed a CK and a half after its activation.
    let none = [Parameter::Ras, Parameter::RcdRd, Parameter::RcdWr, Parameter::Rtp];
    check_seen_at(Broken::NoPairing, &["HBM3", "HBM4"], Refresh::None, &none);
    for broken in [
        Broken::SecondHalfAtOnce,
        Broken::SecondHalfAtTheDeadline,
        Broken::TwoHalves,
        Broken::ClockWithoutPostamble,
        Broken::NoGuardBeforeCas,
    ] {
        check_seen(broken, &["LPDDR5"], Refresh::None);
    }
    for broken in [Broken::QueueServedDuringRefresh, Broken::RefreshLate] {
        check_seen(broken, &all, Refresh::AllBank);
    }
    check_seen(Broken::OneRefreshPerChannel, &["HBM2", "HBM3", "DDR4"], Refresh::AllBank);
    check_seen(Broken::RefreshBeforeActive, &["HBM2", "DDR4", "LPDDR5"], Refresh::AllBank);
}
