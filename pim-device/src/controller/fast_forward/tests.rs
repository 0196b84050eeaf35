//! Fast-forward is command by command, on random programs, timings and refresh intervals; and the test would see it if
//! it were not.

use proptest::prelude::*;

use super::super::engine::{Engine, Execution, ExecutionMode};
use super::{Fault, Learnt};
use crate::command::{Address, Command};
use crate::device::DeviceSpec;
use crate::error::ProgramError;
use crate::kernel::attention::{AttentionUnit, attention};
use crate::program::{Instruction, Program};
use crate::timing::Parameter;

#[path = "../../../tests/it/random.rs"]
mod random;
use random::{Draw, device, nested_program, ordinary_program, program};

/// A random device and program.
fn case(draw: &mut Draw, seed: u64) -> (DeviceSpec, Program) {
    let device = device(draw);
    let program = match seed % 4 {
        0 => ordinary_program(draw, &device),
        1 => nested_program(draw, &device, 100_000),
        _ => program(draw, &device, 20_000),
    };
    (device, program)
}

/// A random device and program, both ways, three times in a row at odd times; the fast way with a fault. Says what
/// differs, and how many iterations of loops were known.
fn compare(seed: u64, fault: Option<Fault>) -> Result<(), [Vec<Result<Execution, ProgramError>>; 2]> {
    let mut draw = Draw(seed);
    let (device, program) = case(&mut draw, seed);
    let arrivals = [u64::from(draw.below(9_000)), 0, u64::from(draw.below(1_000_000))];
    let run = |mode, fault| -> Vec<Result<Execution, ProgramError>> {
        let mut engine = Engine::new(&device).with_execution(mode);
        engine.memo.fault = fault;
        arrivals.iter().map(|&arrival| engine.run(&program, arrival)).collect()
    };
    let (fast, single) = (run(ExecutionMode::FastForward, fault), run(ExecutionMode::CommandByCommand, None));
    if fast == single { Ok(()) } else { Err([fast, single]) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn random_programs_are_the_same_both_ways(seed in any::<u64>()) {
        if let Err([fast, single]) = compare(seed, None) {
            prop_assert_eq!(fast, single);
        }
    }

    #[test]
    fn programs_in_pieces_are_those_in_one(seed in any::<u64>()) {
        let mut draw = Draw(seed);
        let (device, program) = case(&mut draw, seed);
        let arrivals = [0, 7, u64::from(draw.below(1_000_000))];
        let (mut whole, mut pieces) = [(); 2].map(|()| Engine::new(&device).with_execution(ExecutionMode::CommandByCommand)).into();
        let most = draw.between(1, 400);
        for arrival in arrivals {
            let expected = whole.run(&program, arrival);
            let mut course = pieces.begin(&program, arrival);
            let mut paused = 0;
            let execution = loop {
                if let Some(execution) = pieces.go_on(&program, &mut course, u64::from(draw.between(1, most))).transpose() {
                    break execution;
                }
                paused += 1;
            };
            prop_assert_eq!(&execution, &expected);
            if let Ok(Execution { begin, end, commands, .. }) = execution {
                let least = pieces.least(&program);
                prop_assert!(begin + least <= end, "{} cycles at least, and {} to {}", least, begin, end);
                // Long runs of MACs are not divided.
                prop_assert!(commands.total() < 2_000 + 400 || paused > 0, "{} commands without a pause", commands.total());
            }
        }
    }

    #[test]
    fn channels_that_share_what_they_learn_are_the_same_both_ways(seed in any::<u64>()) {
        if let Err([fast, single]) = compare_shared(seed) {
            prop_assert_eq!(fast, single);
        }
    }

    #[test]
    fn attention_is_the_same_both_ways(
        list in prop::collection::vec((1..6_000_u64, 1..4_u32), 1..5),
        head_dim in prop_oneof![Just(64_u32), Just(80), Just(128), Just(192), Just(256)],
        seed in any::<u64>(),
    ) {
        let mut draw = Draw(seed);
        let mut device = device(&mut draw);
        // Rows that stay open long are refreshed too late to be made up for, if refresh is all there is.
        let refresh = device.timing.get(Parameter::Rfc).min(device.timing.get(Parameter::Refi) / 8);
        device.timing = device.timing.clone().with(Parameter::Rfc, refresh);
        let units: Vec<_> = list
            .into_iter()
            .map(|(tokens, query_heads)| AttentionUnit { tokens, query_heads })
            .collect();
        let program = attention(&device, head_dim, &units);
        let [fast, single] = [ExecutionMode::FastForward, ExecutionMode::CommandByCommand].map(|mode| {
            let mut engine = Engine::new(&device).with_execution(mode);
            [3, 0].map(|arrival| engine.run(&program, arrival))
        });
        prop_assert_eq!(fast, single);
    }
}

/// Three channels that share what they learn, programs of one and of the other in turn.
fn compare_shared(seed: u64) -> Result<(), [Vec<Result<Execution, ProgramError>>; 2]> {
    let mut draw = Draw(seed);
    let device = device(&mut draw);
    let programs = [
        ordinary_program(&mut draw, &device),
        nested_program(&mut draw, &device, 100_000),
        program(&mut draw, &device, 20_000),
    ];
    let turns: Vec<(usize, usize, u64)> =
        (0..8).map(|_| (draw.below(3) as usize, draw.below(3) as usize, u64::from(draw.below(400_000)))).collect();
    let run = |mode, learnt: Option<&std::sync::Arc<Learnt>>| -> Vec<Result<Execution, ProgramError>> {
        let mut engines =
            [(); 3].map(|()| learnt.map_or_else(|| Engine::new(&device), Learnt::engine).with_execution(mode));
        turns.iter().map(|&(channel, program, arrival)| engines[channel].run(&programs[program], arrival)).collect()
    };
    let learnt = Learnt::new(&device);
    let (fast, single) = (run(ExecutionMode::FastForward, Some(&learnt)), run(ExecutionMode::CommandByCommand, None));
    if fast == single { Ok(()) } else { Err([fast, single]) }
}

/// What a channel learns speaks of places in the history that others know only when they have needed them. One that jumps over all
/// that it would have needed them for must know them, too.
#[test]
fn channels_know_the_places_of_which_others_have_learnt() {
    let device = DeviceSpec::hbm3_pim_bank();
    let bank = |command, bank| Instruction::Ordinary(command, Address { bank, ..Address::default() });
    let body =
        [Command::Act, Command::Rd, Command::Pre].into_iter().flat_map(|command| [bank(command, 1), bank(command, 2)]);
    let mut code = vec![Instruction::Loop { times: 500, length: 6 }];
    code.extend(body);
    let program = Program::new(&device, code, Vec::new()).unwrap();
    let learnt = Learnt::new(&device);
    let [first, second] = [(); 2].map(|()| {
        let mut engine = learnt.engine();
        let execution = engine.run(&program, 0).unwrap();
        (execution, engine.readiness.bank_places().to_vec())
    });
    assert!(!first.1.is_empty());
    assert_eq!(first, second);
}

/// A fault in the jump is seen within as many cases as the test above has.
#[test]
fn a_broken_jump_is_seen() {
    use Fault::{Count, Cycle, History, Outer, Refresh, Tokens};
    for fault in [Refresh, Cycle, Count, History, Tokens, Outer] {
        // A fault may also make a state that cannot be.
        let broken = |seed: &u64| !matches!(std::panic::catch_unwind(|| compare(*seed, Some(fault))), Ok(Ok(())));
        let seen = (0..96).filter(broken).count();
        println!("{fault:?}: {seen} of 96");
        assert!(seen > 0, "{fault:?}");
    }
}
