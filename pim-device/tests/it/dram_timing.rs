//! Is a command not ready at t - 1 and ready at t, for each line of each standard's table?

use pim_device::dram::{CommandBus, Place, RuleTable, TimingState};
use pim_device::timing::standard::{STANDARDS, Standard};
use pim_device::{Address, Command, Level, Organisation, Parameter, Timing};

const NOW: u64 = 10_000;

/// Ticks from `before` at `from` to `after` at `to`, read off the table line by line.
fn expected(
    standard: &Standard,
    organisation: &Organisation,
    timing: &Timing,
    (before, from): (Command, Address),
    (after, to): (Command, Address),
) -> i64 {
    let ticks = |parameter| timing.get(parameter) * standard.ticks_per_clock;
    let length = |command| i64::from(standard.length(command));
    let mut gap = 0;
    if length(before) > 1 && (!standard.two_buses || before.bus() == after.bus()) {
        gap = length(before);
    }
    for line in standard.constraints.iter().filter(|line| line.window == 1) {
        let same = |level| organisation.node(level, from) == organisation.node(level, to);
        let holds = if line.sibling {
            let above = Level::ALL[line.level as usize - 1];
            same(above) && !same(line.level)
        } else {
            same(line.level)
        };
        if holds && line.preceding.contains(&before) && line.following.contains(&after) {
            gap = gap.max(line.latency.signed_cycles(ticks) + length(before) - length(after));
        }
    }
    gap
}

fn state(standard: &Standard, organisation: &Organisation, timing: &Timing) -> TimingState {
    TimingState::new(RuleTable::of_standard(standard, organisation, timing, standard.commands))
}

/// Addresses that share less and less with the first.
const ADDRESSES: [Address; 5] = {
    let here = Address { pseudo_channel: 0, rank: 0, bank_group: 0, bank: 0, row: 0 };
    [
        here,
        Address { bank: 1, ..here },
        Address { bank_group: 1, ..here },
        Address { rank: 1, bank_group: 1, ..here },
        Address { pseudo_channel: 1, rank: 1, ..here },
    ]
};

#[test]
fn does_every_pair_of_commands_wait_as_its_lines_say() {
    let mut waits = 0;
    for standard in STANDARDS {
        for preset in standard.organisations {
            // Two ranks and pseudo-channels, so that every relation is there.
            let mut organisation = preset.organisation;
            organisation.pseudo_channels = 2;
            organisation.ranks = organisation.ranks.max(2);
            for timing in standard.timings {
                let timing = standard.timing(timing.name, preset).unwrap();
                for (before, after) in standard
                    .commands
                    .iter()
                    .flat_map(|before| standard.commands.iter().map(move |after| (before, after)))
                {
                    let mut state = state(standard, &organisation, &timing);
                    let from = state.rules().bank(ADDRESSES[0]);
                    state.issue(*before, &from, NOW);
                    for to in ADDRESSES {
                        let gap = expected(standard, &organisation, &timing, (*before, ADDRESSES[0]), (*after, to));
                        let ready = state.ready_at(*after, &state.rules().bank(to));
                        let wanted = if gap > 0 { NOW + gap.unsigned_abs() } else { 0 };
                        assert_eq!(ready, wanted, "{} {before} to {after} at {to:?}", timing.name);
                        waits += usize::from(gap > 0);
                    }
                }
            }
        }
    }
    assert!(waits > 10_000, "{waits}");
}

#[track_caller]
fn check(names: (&str, &str, &str), before: Command, after: Command, to: Address, ticks: u64) {
    let standard = Standard::named(names.0).unwrap();
    let organisation = standard.organisation(names.1).unwrap();
    let timing = standard.timing(names.2, organisation).unwrap();
    let mut state = state(standard, &organisation.organisation, &timing);
    let (from, to) = (state.rules().bank(Address::default()), state.rules().bank(to));
    state.issue(before, &from, NOW);
    assert_eq!(state.ready_at(after, &to) - NOW, ticks, "{before} to {after}");
}

/// Numbers worked out by hand from the data sheet's figures.
#[test]
fn are_lengths_of_commands_and_half_cycles_counted() {
    use Command::{Act, Pre, Rd, Wr};
    let here = Address::default();
    let hbm3 = ("HBM3", "HBM3_16Gb_8hi", "HBM3_6400Mbps");
    check(hbm3, Act, Rd, here, 2 * 31 + 3 - 2);
    check(hbm3, Pre, Act, here, 2 * 26 + 1 - 3);
    check(hbm3, Act, Pre, here, 2 * 45 + 3 - 1);
    check(hbm3, Rd, Rd, Address { rank: 1, ..here }, 2 * 3); // nCCDR
    let ddr5 = ("DDR5", "DDR5_16Gb_x8", "DDR5_4800BN");
    check(ddr5, Act, Rd, here, 36);
    check(ddr5, Rd, Pre, here, 18 + 2 - 1);
    check(ddr5, Pre, Act, here, 36 + 1 - 2);
    check(ddr5, Act, Act, Address { bank_group: 1, ..here }, 8);
    check(ddr5, Act, Rd, Address { bank_group: 1, ..here }, 2); // The bus.
    check(ddr5, Wr, Wr, Address { bank: 1, ..here }, 48); // nCCDL_WR
    let hbm2 = ("HBM2", "HBM2_4Gb", "HBM2_2000Mbps");
    check(hbm2, Act, Act, Address { pseudo_channel: 1, ..here }, 2); // The bus of both pseudo-channels.
    check(hbm2, Act, Rd, here, 14 + 2 - 1);
}

#[test]
fn does_a_fifth_activation_wait_for_the_window() {
    for (standard, organisation, preset, act) in [
        ("DDR4", "DDR4_8Gb_x8", "DDR4_3200AA", Command::Act),
        ("GDDR6", "GDDR6_16Gb_x16", "GDDR6_14000_1250mV_double", Command::Act),
        ("LPDDR5", "LPDDR5_16Gb_x16", "LPDDR5_6400", Command::Act1),
    ] {
        let standard = Standard::named(standard).unwrap();
        let organisation = standard.organisation(organisation).unwrap();
        let timing = standard.timing(preset, organisation).unwrap();
        // Without the other rules, so that the window is what is seen.
        let lines: Vec<_> = standard.constraints.iter().copied().filter(|line| line.window == 4).collect();
        let bus = CommandBus { lengths: &[], two_buses: false };
        let ticks = |parameter| timing.get(parameter);
        let rules = RuleTable::new(&organisation.organisation, &lines, standard.commands, bus, ticks);
        let mut state = TimingState::new(rules);
        let bank = |group| state.rules().bank(Address { bank_group: group, ..Address::default() });
        let banks: Vec<Place> = (0..4).map(bank).collect();
        for (number, tick) in [100, 101, 110, 111, 150, 160, 161, 170].into_iter().enumerate() {
            let place = &banks[number % 4];
            let window = u64::from(timing.get(Parameter::Faw));
            let ready = state.ready_at(act, place);
            let fourth = [0, 0, 0, 0, 100, 101, 110, 111][number];
            assert_eq!(ready, if fourth == 0 { 0 } else { fourth + window }, "{preset} {number}");
            state.issue(act, place, tick);
        }
    }
}

#[test]
fn does_a_command_to_a_rank_touch_every_bank_below_it_and_no_other() {
    let standard = Standard::named("DDR4").unwrap();
    let preset = standard.organisation("DDR4_8Gb_x8").unwrap();
    let timing = standard.timing("DDR4_3200AA", preset).unwrap();
    let organisation = Organisation { ranks: 2, ..preset.organisation };
    let mut state = state(standard, &organisation, &timing);
    let rank = state.rules().node(Level::Rank, 0);
    let bank = |state: &TimingState, rank, bank_group, bank| {
        state.rules().bank(Address { rank, bank_group, bank, ..Address::default() })
    };
    state.issue(Command::RefAb, &rank, NOW);
    let rfc = u64::from(timing.get(Parameter::Rfc));
    assert_eq!(state.ready_at(Command::Act, &bank(&state, 0, 3, 2)), NOW + rfc);
    assert_eq!(state.ready_at(Command::Act, &bank(&state, 1, 3, 2)), 0);
    // The refresh of a rank waits for each bank's precharge.
    let other = state.rules().node(Level::Rank, 1);
    let last = bank(&state, 1, 3, 3);
    state.issue(Command::Pre, &last, NOW);
    assert_eq!(state.ready_at(Command::RefAb, &other), NOW + u64::from(timing.get(Parameter::Rp)));
    // A rule of the banks, asked for the whole rank, and only as far down as the rank.
    let act = bank(&state, 1, 0, 0);
    state.issue(Command::Act, &act, NOW + 1_000);
    let ras = u64::from(timing.get(Parameter::Ras));
    assert_eq!(state.ready_at(Command::Pre, &other), NOW + 1_000 + ras);
    assert_eq!(state.ready_down_to(Command::Pre, &other, Level::Rank), 0);
    assert_eq!(state.ready_down_to(Command::Pre, &act, Level::BankGroup), 0);
}

#[test]
fn can_a_node_be_held_by_hand() {
    let standard = Standard::named("HBM3").unwrap();
    let preset = standard.organisation("HBM3_16Gb_8hi").unwrap();
    let timing = standard.timing("HBM3_6400Mbps", preset).unwrap();
    let mut state = state(standard, &preset.organisation, &timing);
    let (held, free) = (state.rules().bank(Address::default()), state.rules().bank(ADDRESSES[1]));
    state.issue(Command::Act, &held, NOW);
    let before = state.ready_at(Command::Pre, &held);
    state.hold(Level::Bank, 0, Command::Pre, before + 7);
    assert_eq!(state.ready_at(Command::Pre, &held), before + 7);
    assert!(state.ready_at(Command::Pre, &free) < before);
    state.hold(Level::Bank, 0, Command::Pre, 1);
    assert_eq!(state.ready_at(Command::Pre, &held), before + 7);
}
