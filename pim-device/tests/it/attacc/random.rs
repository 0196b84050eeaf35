//! Is the event-driven controller equal to the oracle on random traces?

use pim_device::controller::fifo_pim::{Fan, FifoPim, Request, Run, Setup, Target};
use pim_device::timing::hbm3::gbps_5_2;
use pim_device::{Address, Command, Organisation, Parameter, PowerLimit, Timing};
use proptest::prelude::*;

use super::oracle::{At, Broken, Issued, Line, Oracle};

const COMMANDS: [Option<Command>; 10] = [
    Some(Command::Rd),
    Some(Command::Wr),
    Some(Command::MacAb),
    Some(Command::MacSb),
    Some(Command::MacPb),
    Some(Command::WrGb),
    Some(Command::MvSb),
    Some(Command::MvGb),
    Some(Command::Sfm),
    None,
];

fn fan((own, at): &Line, more: u8) -> Fan {
    let address = Address {
        pseudo_channel: at[1] as u8,
        rank: at[2] as u8,
        bank_group: at[3] as u8,
        bank: at[4] as u8,
        row: at[5] as u32,
    };
    let request = Request { command: *own, address, column: at[6] as u16 };
    Fan { request, channels: at[0] as u8..=at[0] as u8 + more }
}

fn log(run: &Run) -> Vec<Issued> {
    let mut log = Vec::new();
    for (channel, done) in (0..).zip(&run.channels) {
        log.extend(done.log.iter().map(|issue| {
            let at = match issue.target {
                Target::PseudoChannel(half) => [channel, half.into(), -1, -1, -1, -1, -1],
                Target::Column(at, column) => [
                    channel,
                    at.pseudo_channel.into(),
                    at.rank.into(),
                    at.bank_group.into(),
                    at.bank.into(),
                    at.row.into(),
                    column.into(),
                ],
            };
            (issue.cycle, issue.command, at)
        }));
    }
    log
}

/// Runs a trace on both.
fn check(timing: &Timing, refresh: bool, trace: &[(Line, u8)]) -> Result<(), TestCaseError> {
    let lines: Vec<Line> = trace
        .iter()
        .flat_map(|((own, at), more)| {
            (0..=i64::from(*more)).map(|further| {
                let mut at: At = *at;
                at[0] += further;
                (*own, at)
            })
        })
        .collect();
    let setup = Setup { refresh, log: true, ..Setup::attacc(&Organisation::HBM3_8GB_2R, timing) };
    let run = FifoPim::new(&setup).and_then(|controller| {
        let fans: Vec<Fan> = trace.iter().map(|(line, more)| fan(line, *more)).collect();
        controller.run(fans)
    });
    // Where requests keep each other from being served the controller says so, and the oracle would go on for ever.
    let oracle = Oracle::new(timing, refresh, Broken::Nothing).run(&lines, 6_000);
    let Some((end, commands)) = oracle else { return Ok(()) };
    let run = run.map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert_eq!(run.end, end);
    let ours = log(&run);
    let differs = ours.iter().zip(&commands).position(|(ours, theirs)| ours != theirs);
    prop_assert!(
        differs.is_none(),
        "{:?}: {:?}, here {:?}",
        differs,
        commands[differs.unwrap()],
        ours[differs.unwrap()]
    );
    prop_assert_eq!(ours.len(), commands.len());
    Ok(())
}

prop_compose! {
    /// Requests that meet: few channels, banks and rows, long stretches of one kind.
    fn traces()(
        pool in prop::collection::vec(0..COMMANDS.len(), 1..6),
        spread in (1_i64..=2, 1_i64..=2, 1_i64..=4, 1_i64..=3, 1_i64..=3, 1_i64..=4, 1_i64..=3),
    )(
        trace in prop::collection::vec(
            (
                (0..pool.len()),
                (0..spread.5, 0..spread.0, 0..spread.1, 0..spread.2, 0..spread.3, 0..spread.4, 0_i64..spread.6 * 4),
                0_u8..=2,
                1_i64..12,
            ),
            1..24,
        ),
        pool in Just(pool),
    ) -> Vec<(Line, u8)> {
        let mut requests = Vec::new();
        for (which, (channel, half, rank, group, bank, row, column), more, count) in trace {
            for further in 0..count {
                let at = [channel, half, rank, group, bank, row, (column + further) % 32];
                requests.push(((COMMANDS[pool[which]], at), more));
            }
        }
        requests
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn is_every_command_that_of_the_oracle(
        trace in traces(),
        limited in any::<bool>(),
        refresh in prop::option::weighted(0.9, 400_u32..1_200),
    ) {
        let timing = gbps_5_2(if limited { PowerLimit::On } else { PowerLimit::Off });
        let timing = timing.with(Parameter::Refi, refresh.unwrap_or(5_070)).with(Parameter::Rfc, 120);
        check(&timing, refresh.is_some(), &trace)?;
    }
}

/// Runs a stream with a list of commands, where every request is looked at, and without, where segments that were run
/// before are taken over. Both come to the same.
fn check_segments(timing: &Timing, refresh: bool, stream: &[Fan]) -> Result<(), TestCaseError> {
    let run = |log: bool| {
        let setup = Setup { refresh, log, ..Setup::attacc(&Organisation::HBM3_8GB_2R, timing) };
        FifoPim::new(&setup).and_then(|controller| controller.run(stream.iter().cloned()))
    };
    // Where requests keep each other from being served both say so.
    let listed = run(true);
    let counted = run(false);
    prop_assert_eq!(listed.is_err(), counted.is_err());
    let (Ok(listed), Ok(counted)) = (listed, counted) else { return Ok(()) };
    prop_assert_eq!(counted.end, listed.end);
    prop_assert_eq!((counted.simulated, counted.simulated_commands), (listed.simulated, listed.simulated_commands));
    for (counted, listed) in counted.channels.iter().zip(&listed.channels) {
        prop_assert_eq!(counted.commands, listed.commands);
        prop_assert_eq!(counted.barriers, listed.barriers);
    }
    Ok(())
}

prop_compose! {
    /// Loops: bodies of few kinds of requests that come again with other rows, and whatever comes between.
    fn loops()(
        parts in prop::collection::vec((traces(), 1_usize..24, prop::sample::select(vec![0_u32, 0, 1, 1, 3])), 1..4),
        reads in prop::bool::weighted(0.2),
        lengths in prop::collection::vec(1_usize..40, 4),
    ) -> Vec<Fan> {
        let mut stream = Vec::new();
        for ((body, times, step), length) in parts.iter().zip(&lengths) {
            for turn in 0..*times {
                for ((own, at), more) in body.iter().take(*length) {
                    if !reads && matches!(own, Some(Command::Rd | Command::Wr)) {
                        continue;
                    }
                    let mut fan = fan(&(*own, *at), *more);
                    fan.request.address.row += step * turn as u32;
                    stream.push(fan);
                }
            }
        }
        stream
    }
}

/// MACs of an attention kernel: rows one after the other, barriers, moves beside them.
fn attention(mode: Command, macs: u32, barrier: u32, heads: u8) -> Vec<Fan> {
    let mut stream = Vec::new();
    for number in 0..macs {
        let row_of = |row: u32, rank: u32, bank_group: u32, bank: u32| Address {
            row,
            rank: rank as u8,
            bank_group: bank_group as u8,
            bank: bank as u8,
            ..Address::default()
        };
        let (address, column) = match mode {
            Command::MacAb => (row_of(number / 32, 0, 0, 0), number % 32),
            Command::MacSb => (row_of(number / 128, 0, 0, number / 32 % 4), number % 32),
            _ => (row_of(number / 256, number / 4 % 2, number % 4, number / 8 % 4), number / 32 % 32),
        };
        let request = Request { command: Some(mode), address, column: column as u16 };
        stream.push(Fan { request, channels: 0..=heads });
        if number % barrier == barrier - 1 {
            for bank_group in 0..4 {
                let address = Address { bank_group, row: 7, ..Address::default() };
                let request = Request { command: Some(Command::MvSb), address, column: 0 };
                stream.push(Fan { request, channels: 0..=heads });
            }
            let request = Request { command: None, address: Address::default(), column: 0 };
            stream.push(Fan { request, channels: 0..=15 });
        }
    }
    stream
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn do_known_segments_come_to_the_same(
        stream in loops(),
        limited in any::<bool>(),
        refresh in 400_u32..3_000,
    ) {
        let timing = gbps_5_2(if limited { PowerLimit::On } else { PowerLimit::Off });
        let timing = timing.with(Parameter::Refi, refresh).with(Parameter::Rfc, 120);
        check_segments(&timing, true, &stream)?;
    }

    #[test]
    fn do_known_segments_of_kernels_come_to_the_same(
        mode in prop::sample::select(vec![Command::MacAb, Command::MacSb, Command::MacPb]),
        (macs, barrier, heads) in (1_u32..4_000, prop::sample::select(vec![16_u32, 32, 100, 128, 5_000]), 0_u8..16),
        limited in any::<bool>(),
        refresh in prop::option::weighted(0.9, 1_000_u32..5_071),
    ) {
        let timing = gbps_5_2(if limited { PowerLimit::On } else { PowerLimit::Off });
        let timing = timing.with(Parameter::Refi, refresh.unwrap_or(5_070));
        check_segments(&timing, refresh.is_some(), &attention(mode, macs, barrier, heads))?;
    }
}

/// Equal channels are simulated once, and only where a fan never ends between them.
#[test]
fn are_equal_channels_simulated_once() {
    let timing = gbps_5_2(PowerLimit::On);
    let mac = |channel: i64, row: i64, column: i64| (Some(Command::MacAb), [channel, 0, 0, 0, 0, row, column]);
    let mut trace: Vec<(Line, u8)> = (0..96).map(|i| (mac(0, i / 32, i % 32), 15)).collect();
    let simulated = |trace: &[(Line, u8)]| {
        let controller = FifoPim::new(&Setup::attacc(&Organisation::HBM3_8GB_2R, &timing)).unwrap();
        let fans: Vec<Fan> = trace.iter().map(|(line, more)| fan(line, *more)).collect();
        controller.run(fans).unwrap().simulated
    };
    assert_eq!(simulated(&trace), 1);
    check(&timing, true, &trace).unwrap();
    // The same request, but the first five channels have it before the others: these block the stream.
    trace.push((mac(0, 9, 0), 4));
    trace.push((mac(5, 9, 0), 10));
    assert_eq!(simulated(&trace), 2);
    check(&timing, true, &trace).unwrap();
}

#[test]
fn is_a_trace_that_never_ends_found() {
    // Without refresh nothing closes bank group 0, which keeps the MACs of bank group 1 from their row.
    let timing = gbps_5_2(PowerLimit::On);
    let setup = Setup { refresh: false, ..Setup::attacc(&Organisation::HBM3_8GB_2R, &timing) };
    let mac = |group: i64, row: i64| fan(&(Some(Command::MacSb), [0, 0, 0, group, 0, row, 0]), 0);
    let error = FifoPim::new(&setup).unwrap().run([mac(0, 1), mac(1, 2)]).unwrap_err();
    assert!(error.to_string().contains("no request has been served for 1048576 cycles"), "{error}");
}
