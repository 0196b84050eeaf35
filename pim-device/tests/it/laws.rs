//! Properties of any program.

use pim_device::{AttentionUnit, Command, Engine, ExecutionMode, Instruction, Issued, Program, attention};
use proptest::prelude::*;

use crate::audit::audit;
use crate::common::{device, rows, trace};

/// The same program twice from the same state, in both modes; the trace of the first run where it is command by command.
fn both(program: &Program, arrival: u64) -> ([pim_device::Execution; 2], [pim_device::Execution; 2], Vec<Issued>) {
    let mut fast = Engine::new(&device());
    let fast = [arrival, arrival].map(|arrival| fast.run(program, arrival).unwrap());
    let mut single = Engine::new(&device()).with_execution(ExecutionMode::CommandByCommand);
    single.record();
    let first = single.run(program, arrival).unwrap();
    let trace = single.take_trace();
    (fast, [first, single.run(program, arrival).unwrap()], trace)
}

/// Rows of several lengths with moves beside them, some so long that refresh breaks in.
pub(crate) fn mixed(lengths: &[(u32, u32)]) -> Program {
    let token = pim_device::Token(0);
    let (mut row_stream, mut move_stream) = (vec![Instruction::Row(0)], Vec::new());
    for &(count, moves) in lengths {
        row_stream.extend([
            Instruction::Open(0),
            Instruction::Mac { set: 0, sets: 1, count, queries: 1 },
            Instruction::Post(token),
            Instruction::Close(0),
        ]);
        move_stream.extend([Instruction::Wait(token), Instruction::Move { command: Command::MvSb, count: moves }]);
    }
    Program::new(&device(), row_stream, move_stream).unwrap()
}

/// A refresh falls due while the row stream waits with its rows closed; then comes a loop that is jumped. The state in which
/// it is jumped forgets when the rows were closed, and the refresh was as late as the jump.
#[test]
fn a_refresh_in_a_wait_before_an_empty_loop_is_on_time() {
    let token = pim_device::Token(0);
    let row_stream = vec![
        Instruction::Row(0),
        Instruction::Open(0),
        Instruction::Mac { set: 0, sets: 1, count: 1, queries: 1 },
        Instruction::Close(0),
        Instruction::Wait(token),
        Instruction::Loop { times: 5, length: 1 },
        Instruction::Row(7),
    ];
    let move_stream = vec![Instruction::Move { command: Command::MvSb, count: 200 }, Instruction::Post(token)];
    let program = Program::new(&device(), row_stream, move_stream).unwrap();
    let (fast, single, trace) = both(&program, 4_700);
    assert_eq!(fast, single);
    let refreshes = trace.iter().filter(|issued| issued.command == Command::RefAb);
    assert_eq!(refreshes.map(|issued| issued.cycle).collect::<Vec<_>>(), [5_070]);
    assert!(fast[0].end > 5_070 + 19 && fast[0].commands[Command::RefAb] == 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_run_of_macs_is_its_macs_one_by_one(
        count in prop_oneof![1..200_u32, 7_000..9_000_u32, 1..40_000_u32],
        repeats in 1..4_u32,
        arrival in 0..60_000_u64,
    ) {
        let (fast, single, trace) = both(&rows(&device(), repeats, count), arrival);
        prop_assert_eq!(fast, single);
        prop_assert_eq!(audit(&device(), &trace), Vec::<String>::new());
    }

    #[test]
    fn moves_find_the_same_slots_beside_a_run(
        lengths in prop::collection::vec((1..12_000_u32, 0..100_u32), 1..6),
        arrival in 0..10_000_u64,
    ) {
        let (fast, single, trace) = both(&mixed(&lengths), arrival);
        prop_assert_eq!(fast, single);
        prop_assert_eq!(audit(&device(), &trace), Vec::<String>::new());
    }

    #[test]
    fn a_program_counts_what_its_execution_issues(
        units in prop::collection::vec((0..3_000_u64, 0..5_u32), 0..4),
        head_dim in prop_oneof![Just(64_u32), Just(80), Just(128), Just(192), Just(256)],
        shared in any::<bool>(),
        arrival in 0..20_000_u64,
    ) {
        let mut device = device();
        if shared {
            device.gqa = pim_device::GqaPolicy::SharedPass;
        }
        let units: Vec<_> = units
            .into_iter()
            .map(|(tokens, query_heads)| AttentionUnit { tokens, query_heads })
            .collect();
        let program = attention(&device, head_dim, &units);
        let checked = Program::new(&device, program.row_stream().to_vec(), program.move_stream().to_vec());
        prop_assert_eq!(checked.as_ref(), Ok(&program));
        let (execution, trace) = trace(&device, &program, arrival);
        let mut executed = execution.commands;
        executed[Command::RefAb] = 0;
        prop_assert_eq!(executed, program.commands());
        prop_assert_eq!(trace.len() as u64, execution.commands.total());
        prop_assert_eq!(program.bytes_read(), program.commands()[Command::MacAb] * 2_048);
        prop_assert_eq!(audit(&device, &trace), Vec::<String>::new());
    }
}
