//! Refresh: on time while idle, postponed while a row is open, forced after eight intervals.

use pim_device::{Command, Engine, ExecutionMode, Instruction, Program};

use crate::audit::audit;
use crate::common::{device, rows, trace};

const REFI: u64 = 5_070;
const RFC: u64 = 456;

#[track_caller]
fn check_begin(arrival: u64, first_command: u64) {
    let (_, trace) = trace(&device(), &rows(&device(), 1, 32), arrival);
    let first = trace.iter().find(|issued| issued.command == Command::ActAb);
    assert_eq!(first.map(|issued| issued.cycle), Some(first_command));
}

#[test]
fn a_program_that_arrives_during_a_refresh_waits() {
    check_begin(REFI - 1, REFI - 1);
    check_begin(REFI, REFI + RFC);
    check_begin(REFI + RFC - 1, REFI + RFC);
    check_begin(REFI + RFC, REFI + RFC);
    check_begin(100 * REFI + 1, 100 * REFI + RFC);
}

#[test]
fn an_idle_channel_refreshes_on_time_and_counts_it() {
    let program = rows(&device(), 1, 32);
    let mut engine = Engine::new(&device());
    let execution = engine.run(&program, 1_000 * REFI + 2_000).unwrap();
    assert_eq!(execution.commands[Command::RefAb], 1_000);
    // The same, command by command.
    let (recorded, trace) = trace(&device(), &program, 1_000 * REFI + 2_000);
    assert_eq!(recorded, execution);
    let late = trace.iter().filter(|issued| issued.command == Command::RefAb && issued.cycle % REFI != 0);
    assert_eq!(late.count(), 0);
}

#[test]
fn a_row_that_stays_open_is_closed_after_eight_intervals() {
    let program = rows(&device(), 1, 20_000);
    let (execution, trace) = trace(&device(), &program, 0);
    // Due at nREFI, postponed eight intervals; then PREA, which may wait nRTPL for the last MAC, nRP and REFab.
    let first = trace.iter().find(|issued| issued.command == Command::RefAb).unwrap();
    assert!((9 * REFI + 19..=9 * REFI + 8 + 19).contains(&first.cycle), "{first:?}");
    assert!(execution.commands[Command::ActAb] > 1);
    assert_eq!(audit(&device(), &trace), Vec::<String>::new());
}

#[test]
fn a_row_that_waits_for_a_move_is_closed_too() {
    use Instruction::{Close, Mac, Move, Open, Post, Row, Softmax, Wait};
    let token = pim_device::Token;
    let row_stream = vec![
        Row(0),
        Open(0),
        Mac { set: 0, sets: 1, count: 1, queries: 1 },
        Post(token(0)),
        Wait(token(1)),
        Mac { set: 0, sets: 1, count: 1, queries: 1 },
        Close(0),
    ];
    let brought = Move { command: Command::MvGb, count: 8 };
    // Softmax over a million elements: 125,000 cycles.
    let move_stream =
        vec![Wait(token(0)), Softmax { elements: 1 << 20 }, Post(token(2)), Wait(token(2)), brought, Post(token(1))];
    let program = Program::new(&device(), row_stream, move_stream).unwrap();
    let (execution, trace) = trace(&device(), &program, 0);
    // Nine are made up for at each deadline, 9 and 18 nREFI; the rest when the channel is idle.
    assert_eq!(execution.commands[Command::RefAb], 18);
    assert_eq!(audit(&device(), &trace), Vec::<String>::new());
}

#[test]
fn phases_of_refresh_continue_between_programs() {
    // Two programs back to back are one of twice the rows.
    let device = device();
    let mut engine = Engine::new(&device).with_execution(ExecutionMode::FastForward);
    let half = rows(&device, 500, 32);
    let first = engine.run(&half, 0).unwrap();
    let second = engine.run(&half, first.end).unwrap();
    let whole = Engine::new(&device).run(&rows(&device, 1_000, 32), 0).unwrap();
    assert_eq!(second.end, whole.end);
    let refreshes = first.commands[Command::RefAb] + second.commands[Command::RefAb];
    assert_eq!(refreshes, whole.commands[Command::RefAb]);
}
