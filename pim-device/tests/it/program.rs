//! Programs that cannot be run are refused with what is wrong.

use pim_device::{Address, Command, Engine, Instruction, Program, ProgramError, Token};

use crate::common::device;

#[track_caller]
fn check_new(row_stream: &[Instruction], move_stream: &[Instruction], expected: &str) {
    let program = Program::new(&device(), row_stream.to_vec(), move_stream.to_vec());
    assert_eq!(program.unwrap_err().to_string(), expected);
}

#[track_caller]
fn check_run(row_stream: &[Instruction], move_stream: &[Instruction], expected: &ProgramError) {
    let program = Program::new(&device(), row_stream.to_vec(), move_stream.to_vec()).unwrap();
    assert_eq!(&Engine::new(&device()).run(&program, 0).unwrap_err(), expected);
}

#[test]
fn what_no_stream_can_do_is_refused() {
    let long = Instruction::Loop { times: 2, length: 2 };
    check_new(&[long, Instruction::Open(0)], &[], "the loop at instruction 0 of the row stream goes past its end");
    check_new(&[], &[Instruction::Open(0)], "instruction 0 of the move stream is not allowed there: Open(0)");
    check_new(
        &[Instruction::Post(Token(9))],
        &[],
        "instruction 0 of the row stream is not allowed there: Post(Token(9))",
    );
    check_new(&[Instruction::Wait(Token(1))], &[], "token 1 is not posted as often as it is waited for");
    check_new(
        &[Instruction::Ordinary(Command::RefAb, Address::default())],
        &[],
        &format!(
            "instruction 0 of the row stream is not allowed there: {:?}",
            Instruction::Ordinary(Command::RefAb, Address::default())
        ),
    );
}

#[test]
fn loops_nest_so_deep_and_no_deeper() {
    let nested = |depth: u32| -> Vec<Instruction> {
        let around = (1..=depth).rev().map(|length| Instruction::Loop { times: 2, length });
        around.chain([Instruction::Row(0)]).collect()
    };
    let deepest = Program::new(&device(), nested(8), Vec::new()).unwrap();
    Engine::new(&device()).run(&deepest, 0).unwrap();
    assert!(Program::new(&device(), nested(9), Vec::new()).is_err());
}

#[test]
fn streams_that_wait_for_each_other_are_a_deadlock() {
    let (a, b) = (Token(0), Token(1));
    check_run(
        &[Instruction::Wait(a), Instruction::Post(b)],
        &[Instruction::Wait(b), Instruction::Post(a)],
        &ProgramError::Deadlock { row: Some(0), moves: Some(1) },
    );
}

#[test]
fn commands_have_to_fit_the_banks() {
    let mac = Instruction::Mac { set: 0, sets: 1, count: 1, queries: 1 };
    let bank_state = |command, cycle| ProgramError::BankState { command, cycle };
    check_run(&[mac], &[], &bank_state(Command::MacAb, 0));
    check_run(&[Instruction::Open(0), Instruction::Open(0)], &[], &bank_state(Command::ActAb, 63));
    check_run(&[Instruction::Ordinary(Command::Wr, Address::default())], &[], &bank_state(Command::Wr, 0));
    check_run(&[Instruction::Open(0)], &[], &ProgramError::RowLeftOpen);
}
