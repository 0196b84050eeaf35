use super::*;
use crate::timing::standard::STANDARDS;

/// Random commands at random banks, at once and after long pauses, against the state that answers for any command.
fn check<S: BankSet, T: Offset>(table: &RuleTable, banks: u64, seed: u64) {
    let mut asked = TimingState::new(table.clone());
    let mut times = Times::<S, T>::new(table.clone(), |_, _| 0);
    let mut dice = seed;
    let mut below = |count: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % count
    };
    let mut tick = 1;
    for _ in 0..400 {
        let pause = [1, 4, 40, 20_000][below(40).min(3) as usize];
        tick += below(pause);
        if tick > times.horizon() {
            times.rebase(tick);
        }
        let (number, bank) = (below(7) as usize, below(banks) as usize);
        let command = times.sent[number];
        let place = *times.place(bank);
        if table.has(command) {
            times.issue(number, bank, tick);
            asked.issue(command, &place, tick);
        }
        if below(60) == 0 && table.has(Command::RefAb) {
            let rank = table.node(Level::Rank, below(table.organisation().nodes(Level::Rank).into()) as u32);
            times.issue_at(Command::RefAb, &rank, tick);
            asked.issue(Command::RefAb, &rank, tick);
        }
        for (number, command) in times.commands.into_iter().enumerate() {
            for bank in 0..banks as usize {
                let ready = asked.ready_at(command, times.place(bank));
                assert_eq!(times.ready(number, bank).max(tick), ready.max(tick), "{command} {bank} {tick}");
                assert!(times.floor(number) <= ready.max(tick));
            }
        }
    }
}

#[test]
fn is_what_is_worked_out_at_once_what_is_asked() {
    for (seed, standard) in STANDARDS.iter().enumerate() {
        for ranks in [1, 2] {
            let preset = &standard.organisations[0];
            let timing = standard.timing(standard.timings[0].name, preset).unwrap();
            let organisation = Organisation { ranks, ..preset.organisation };
            let table = RuleTable::of_standard(standard, &organisation, &timing, standard.commands);
            let banks = u64::from(organisation.nodes(Level::Bank));
            assert!(Tick::from(table.longest()) <= i16::REACH);
            check::<u128, i16>(&table, banks, seed as u64);
            check::<u128, i64>(&table, banks, 100 + seed as u64);
        }
    }
}

/// What refresh asks for is the same whether it was worked out at once or later: banks are activated, accessed and
/// precharged at random, and now and then somebody asks.
#[test]
fn is_what_refresh_asks_for_what_was_issued() {
    for (seed, standard) in STANDARDS.iter().enumerate() {
        let preset = &standard.organisations[0];
        let timing = standard.timing(standard.timings[0].name, preset).unwrap();
        let unused = [Command::RefPb, Command::RfmAb, Command::RfmPb];
        let commands: Vec<Command> =
            standard.commands.iter().copied().filter(|command| !unused.contains(command)).collect();
        let table = RuleTable::of_standard(standard, &preset.organisation, &timing, &commands);
        let mut asked = TimingState::new(table.clone());
        let mut times = Times::<u128, i64>::new(table.clone(), |_, _| 0);
        assert!(times.noted == Noted::Later, "{}", standard.name);
        let banks = table.organisation().nodes(Level::Bank) as usize;
        let mut open = vec![false; banks];
        let (mut dice, mut tick, mut answers) = (seed as u64, 1, 0);
        for _ in 0..4_000 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            tick += dice >> 33 & 7;
            let bank = (dice >> 36) as usize % banks.min(6);
            let number = match (open[bank], dice >> 50 & 3) {
                (false, _) => ACT,
                (true, 0) => PRE,
                (true, access) => RD + (access & 1) as usize,
            };
            open[bank] = number != PRE;
            times.issue(number, bank, tick);
            asked.issue(times.sent[number], &times.places[bank], tick);
            if (dice >> 56).is_multiple_of(8) {
                answers += 1;
                for command in [Command::PreA, Command::RefAb] {
                    let place = table.node(standard.refresh_level, 0);
                    let ready = times.ready_for_other(command, &place);
                    assert_eq!(ready.max(tick), asked.ready_at(command, &place).max(tick), "{command} {tick}");
                }
            }
        }
        assert!(answers > 300);
    }
}

/// The least ticks between two commands at one bank are those of the rules.
#[test]
fn is_a_bank_open_after_trcd() {
    let standard = crate::timing::standard::Standard::named("DDR4").unwrap();
    let preset = standard.organisation("DDR4_8Gb_x8").unwrap();
    let timing = standard.timing("DDR4_3200AA", preset).unwrap();
    let table = RuleTable::of_standard(standard, &preset.organisation, &timing, standard.commands);
    let times = Times::<u64, i16>::new(table, |_, _| 1);
    assert_eq!([RD, WR, PRE].map(|command| times.least(ACT, command)), [22, 22, 52]);
    assert_eq!(times.least(RD, ACT), 0);
}
