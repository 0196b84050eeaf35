//! Fast-forward is command by command, on random programs, timings and refresh intervals; and the test would see it if
//! it were not.

use proptest::prelude::*;

use super::super::engine::{Engine, Execution, ExecutionMode};
use super::Fault;
use crate::error::ProgramError;
use crate::kernel::attention::{AttentionUnit, attention};
use crate::timing::Parameter;

#[path = "../../../tests/it/random.rs"]
mod random;
use random::{Draw, device, nested_program, ordinary_program, program};

/// A random device and program, both ways, three times in a row at odd times; the fast way with a fault. Says what
/// differs, and how many iterations of loops were known.
fn compare(seed: u64, fault: Option<Fault>) -> Result<(), [Vec<Result<Execution, ProgramError>>; 2]> {
    let mut draw = Draw(seed);
    let device = device(&mut draw);
    let program = match seed % 4 {
        0 => ordinary_program(&mut draw, &device),
        1 => nested_program(&mut draw, &device, 100_000),
        _ => program(&mut draw, &device, 20_000),
    };
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
