//! Does the controller issue, command by command, what the cycle-by-cycle oracle issues?

use pim_device::hbm2_pim::request::{Label, Payload, Place, Run};
use pim_device::hbm2_pim::{Channel, Control, Hbm2Pim, Hbm2PimError, Kernel, Operation, Requests};
use proptest::prelude::*;

use super::oracle::{Line, Oracle, Rules, line};

#[track_caller]
fn check(ranks: u32, phases: &[Requests]) {
    let device = Hbm2Pim::new().with_ranks(ranks);
    let mut channel = Channel::new(&device);
    let mut oracle = Oracle::new(ranks as usize, Rules::ALL);
    let mut issued = Vec::new();
    for requests in phases {
        let expected = oracle.run(requests);
        match channel.run(&device, requests, &mut issued) {
            Ok(end) => assert_eq!(Some(end), expected),
            Err(error) => {
                assert!(matches!(error, Hbm2PimError::Stuck { .. }), "{error}");
                assert_eq!(expected, None);
                return;
            }
        }
    }
    let ours: Vec<Line> = issued.iter().map(line).collect();
    assert_eq!(ours, oracle.lines);
    check_unseen(ranks, phases);
}

/// Runs lists of requests with somebody who looks at each command, and with nobody, where many are issued in one step.
#[track_caller]
fn check_unseen(ranks: u32, phases: &[Requests]) {
    let device = Hbm2Pim::new().with_ranks(ranks);
    let (mut seen, mut unseen) = (Channel::new(&device), Channel::new(&device));
    for requests in phases {
        let expected = seen.run(&device, requests, &mut Vec::new());
        assert_eq!(unseen.run(&device, requests, &mut ()), expected);
        assert_eq!((unseen.now(), unseen.counts()), (seen.now(), seen.counts()));
        if expected.is_err() {
            return;
        }
    }
}

fn run(bank: u8, row: u16, column: u64, count: u64, write: bool) -> Run {
    let place = Place::Columns { bank, row, column };
    Run { rank: 0, place, count, write, barrier: false, payload: Payload::Data, label: Label::None }
}

/// Any requests to a few rows, so that there are hits, conflicts and repeated addresses.
fn any_run(ranks: u8) -> impl Strategy<Value = Run> {
    let place = (0..ranks, prop_oneof![0..16_u8, 0..3_u8], 0..3_u16, 0..4_u64);
    (place, 1..6_u64, any::<bool>(), any::<bool>()).prop_map(|((rank, bank, row, column), count, write, barrier)| Run {
        rank,
        barrier,
        ..run(bank, row, column, count, write)
    })
}

/// Long runs: of neighbouring bursts over all banks, or of columns of a bank, now and then to a control register.
fn any_long_run() -> impl Strategy<Value = Run> {
    let linear = (0..2_000_u64, 1..1_500_u64).prop_map(|(first, count)| (Place::Linear(first), count));
    let row = prop_oneof![4 => 0..3_u16, 1 => Just(0x3fff_u16)];
    let columns = (0..16_u8, row, 0..32_u64, 1..120_u64)
        .prop_map(|(bank, row, column, count)| (Place::Columns { bank, row, column }, count))
        .prop_filter(
            "the last row has an end",
            |(place, count)| !matches!(place, Place::Columns { row: 0x3fff, column, .. } if column + count > 32),
        );
    let payload = prop_oneof![9 => Just(Payload::Data), 1 => Just(Payload::Control(Control::default()))];
    (prop_oneof![linear, columns], any::<bool>(), proptest::bool::weighted(0.3), payload).prop_map(
        |((place, count), write, barrier, payload)| Run {
            rank: 0,
            place,
            count,
            write,
            barrier,
            payload,
            label: Label::None,
        },
    )
}

/// What all-bank modes allow: banks 0 and 1, memory and registers.
fn all_bank_run() -> impl Strategy<Value = Run> {
    let row = prop_oneof![4 => 0..3_u16, 1 => Just(0x3fff_u16), 1 => Just(0x1000_u16)];
    (0..2_u8, row, 8..12_u64, 1..9_u64, any::<bool>(), any::<bool>())
        .prop_map(|(bank, row, column, count, write, barrier)| Run { barrier, ..run(bank, row, column, count, write) })
}

/// To the all-bank mode, runs there, sometimes as a program, and back.
fn session() -> impl Strategy<Value = Vec<Run>> {
    (proptest::collection::vec(all_bank_run(), 0..12), any::<bool>()).prop_map(|(inner, pim)| {
        let mut runs: Vec<Run> = [0, 1, 8, 9].map(|bank| run(bank, 0x17ff, 0x1f, 1, true)).to_vec();
        runs[3].barrier = true;
        let control = |pim| Run {
            payload: Payload::Control(Control { pim, ..Control::default() }),
            barrier: true,
            ..run(0, 0x3fff, 0, 1, true)
        };
        runs.extend(pim.then(|| control(true)));
        runs.extend(inner);
        runs.last_mut().unwrap().barrier = true;
        runs.extend(pim.then(|| control(false)));
        runs.extend([0, 1].map(|bank| run(bank, 0x1fff, 0x1f, 1, true)));
        runs.last_mut().unwrap().barrier = true;
        runs
    })
}

fn requests(runs: Vec<Run>) -> Requests {
    Requests { runs, crf: Vec::new() }
}

proptest! {
    // A fixed seed: the oracle gives up on a rare list after fewer cycles than the controller.
    #![proptest_config(ProptestConfig {
        cases: 96,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_requests_to_one_rank(runs in proptest::collection::vec(any_run(1), 1..60), ranks in 1..3_u32) {
        check(ranks, &[requests(runs)]);
    }

    #[test]
    fn any_requests_to_two_ranks_in_two_phases(
        first in proptest::collection::vec(any_run(2), 1..40),
        second in proptest::collection::vec(any_run(2), 1..20),
    ) {
        check(2, &[requests(first), requests(second)]);
    }

    #[test]
    fn sessions_in_all_bank_modes(
        parts in proptest::collection::vec((proptest::collection::vec(any_run(1), 0..6), session()), 1..4),
        ranks in 1..3_u32,
    ) {
        let mut runs = Vec::new();
        for (mut before, session) in parts {
            if let Some(last) = before.last_mut() {
                last.barrier = true;
            }
            runs.extend(before);
            runs.extend(session);
        }
        check(ranks, &[requests(runs)]);
    }

    #[test]
    fn long_runs_that_nobody_looks_at(
        phases in proptest::collection::vec(proptest::collection::vec(any_long_run(), 1..12), 1..3),
        ranks in 1..3_u32,
    ) {
        let phases: Vec<Requests> = phases.into_iter().map(requests).collect();
        check_unseen(ranks, &phases);
    }

    #[test]
    fn kernels_that_nobody_looks_at(
        operation in proptest::sample::select(Operation::ALL.to_vec()),
        pim: bool,
        (outputs, inputs, batch) in (1..64_u64, 1..96_u64, 1..3_u64),
        (channels, ranks) in (1..3_u32, 1..3_u32),
    ) {
        let batch = if operation.is_gemv() { batch } else { 1 };
        let outputs = if operation.is_gemv() { 16 * outputs } else { 2_048 * u64::from(channels) * (outputs % 8 + 1) };
        let kernel = Kernel { operation, pim, outputs, inputs: 16 * inputs, batch, channels };
        for class in kernel.classes(&Hbm2Pim::new()).unwrap() {
            check_unseen(ranks, &class.phases);
        }
    }

    #[test]
    fn kernels_of_any_size(
        operation in proptest::sample::select(Operation::ALL.to_vec()),
        pim: bool,
        (outputs, inputs, batch) in (1..12_u64, 1..24_u64, 1..3_u64),
        (channels, ranks) in (1..3_u32, 1..3_u32),
    ) {
        let batch = if operation.is_gemv() { batch } else { 1 };
        let outputs = if operation.is_gemv() { 16 * outputs } else { 2_048 * u64::from(channels) * outputs };
        let kernel = Kernel { operation, pim, outputs, inputs: 16 * inputs, batch, channels };
        for class in kernel.classes(&Hbm2Pim::new()).unwrap() {
            check(ranks, &class.phases);
        }
    }
}

#[test]
fn is_a_request_that_cannot_be_served_found() {
    let mut runs: Vec<Run> = [0, 1, 8, 9].map(|bank| run(bank, 0x17ff, 0x1f, 1, true)).to_vec();
    runs[3].barrier = true;
    runs.push(run(5, 0, 0, 2, false));
    let device = Hbm2Pim::new();
    let error = Channel::new(&device).run(&device, &requests(runs), &mut ()).unwrap_err();
    assert!(matches!(error, Hbm2PimError::Stuck { requests: 2, .. }), "{error}");
}

#[test]
fn are_requests_outside_of_the_channel_refused() {
    let device = Hbm2Pim::new();
    let refused = |bad: Run| Channel::new(&device).run(&device, &requests(vec![bad]), &mut ()).unwrap_err().to_string();
    assert!(refused(run(16, 0, 0, 1, false)).contains("bank 16"));
    assert!(refused(run(0, 16_383, 32, 1, false)).contains("row 16384"));
    assert!(refused(run(0, 0, u64::MAX, 1, false)).contains("row"));
    assert!(refused(Run { rank: 2, ..run(0, 0, 0, 1, false) }).contains("rank 2"));
    let linear = Run { place: Place::Linear(16_384 * 512), ..run(0, 0, 0, 1, false) };
    assert!(refused(linear).contains("row 16384"));
}
