//! Instructions and their order.

use pim_device::hbm2_pim::Hbm2PimError;
use pim_device::hbm2_pim::isa::{Arithmetic, CRF_BURST, Instruction, Operand, Register};
use pim_device::hbm2_pim::sequencer::Sequencer;
use proptest::prelude::*;

#[track_caller]
fn check(instruction: Instruction, word: u32, text: &str) {
    assert_eq!(instruction.encode(), word, "{text}");
    assert_eq!(Instruction::decode(word), Ok(instruction), "{text}");
    assert_eq!(instruction.to_string(), text);
}

#[test]
fn are_words_and_texts_as_described() {
    use Operand::{EvenBank, GrfA, GrfB, OddBank, SrfA, SrfM};
    check(Instruction::nop(8), 7, "NOP 8x");
    check(Instruction::jump(8, 2), 14 << 28 | 7 << 11 | 2, "JUMP 7x [PC - 2]");
    check(Instruction::jump(0, 2), 14 << 28 | 131_071 << 11 | 2, "JUMP 131071x [PC - 2]");
    check(Instruction::Exit, 15 << 28, "EXIT");
    let mac = Instruction::auto(Arithmetic::Mac, GrfB, GrfA, EvenBank);
    check(mac, 3 << 28 | 5 << 25 | 4 << 22 | 2 << 19 | 1 << 15, "MAC GRF_B[0], GRF_A[0], EVEN_BANK, auto");
    let add = Instruction::auto(Arithmetic::Add, GrfA, GrfA, EvenBank);
    check(add, 1 << 28 | 4 << 25 | 4 << 22 | 2 << 19 | 1 << 15, "ADD GRF_A[0], GRF_A[0], EVEN_BANK, auto");
    check(Instruction::fill(GrfB, OddBank, false), 9 << 28 | 5 << 25 | 3 << 22, "FILL GRF_B[0], ODD_BANK");
    let relu = Instruction::fill(GrfA, EvenBank, true);
    check(relu, 9 << 28 | 4 << 25 | 2 << 22 | 1 << 12, "FILL GRF_A[0], EVEN_BANK, relu");
    let register = |operand, number| Register { operand, number };
    let mad = Instruction::Compute {
        operation: Arithmetic::Mad,
        dst: register(GrfA, 1),
        src0: register(GrfB, 2),
        src1: register(SrfM, 3),
        src2: SrfA,
        auto: false,
    };
    let word = 4 << 28 | 4 << 25 | 5 << 22 | 6 << 19 | 7 << 16 | 1 << 8 | 2 << 4 | 3;
    check(mad, word, "MAD GRF_A[1], GRF_B[2], SRF_M[3], SRF_A[3]");
    assert!(Instruction::decode(5 << 28).unwrap_err().to_string().contains("opcode 5"));
}

proptest! {
    #[test]
    fn every_word_is_an_instruction_or_refused(word: u32) {
        match Instruction::decode(word) {
            // Bits that mean nothing are lost, and nothing else.
            Ok(instruction) => prop_assert_eq!(Instruction::decode(instruction.encode()), Ok(instruction)),
            Err(error) => prop_assert!([5, 6, 7, 10, 11, 12, 13].contains(&(error.word >> 28))),
        }
    }

    #[test]
    fn no_program_goes_on_for_ever(words in proptest::collection::vec(any::<u32>(), 32)) {
        let mut sequencer = Sequencer::default();
        for (burst, words) in words.chunks(CRF_BURST).enumerate() {
            if sequencer.write(burst, words.try_into().unwrap()).is_err() {
                return Ok(());
            }
        }
        for _ in 0..64 {
            if sequencer.step(&mut Vec::new()).is_err() {
                break;
            }
        }
    }
}

fn sequencer(program: &[Instruction]) -> Sequencer {
    let mut sequencer = Sequencer::default();
    for (burst, instructions) in program.chunks(CRF_BURST).enumerate() {
        let mut words = [0; CRF_BURST];
        for (word, instruction) in words.iter_mut().zip(instructions) {
            *word = instruction.encode();
        }
        sequencer.write(burst, &words).unwrap();
    }
    sequencer.restart();
    sequencer
}

/// The places of the instructions that so many column commands execute, with how often each in a row; and the JUMPs met.
fn places(program: &[Instruction], commands: usize) -> (Vec<(usize, usize)>, usize) {
    let mut sequencer = sequencer(program);
    let (mut places, mut jumps) = (Vec::<(usize, usize)>::new(), Vec::new());
    for _ in 0..commands {
        let Some((place, _)) = sequencer.step(&mut jumps).unwrap() else { break };
        match places.last_mut() {
            Some((last, times)) if *last == place => *times += 1,
            _ => places.push((place, 1)),
        }
    }
    (places, jumps.len())
}

fn mac() -> Instruction {
    Instruction::auto(Arithmetic::Mac, Operand::GrfB, Operand::GrfA, Operand::EvenBank)
}

#[test]
fn does_a_jump_load_its_count_and_fall_through() {
    let program = [mac(), Instruction::jump(4, 2), Instruction::nop(2), Instruction::Exit];
    // The MAC takes 8 commands, four times; then NOP two, and EXIT.
    assert_eq!(places(&program, 100), (vec![(0, 32), (2, 2)], 4));
}

#[test]
fn does_a_jump_that_is_met_again_fall_through_at_once() {
    // Both loops in sequence have a count each; an outer jump around them reloads every time.
    let inner = [mac(), Instruction::jump(2, 2), mac(), Instruction::jump(2, 2), Instruction::jump(2, 5)];
    let (places, _) = places(&inner, 96);
    assert_eq!(places, vec![(0, 16), (2, 16), (0, 16), (2, 16), (0, 16), (2, 16)]);
    // With none in between it is not loaded again.
    let alone = [Instruction::nop(1), Instruction::jump(2, 2), Instruction::nop(1), Instruction::Exit];
    let mut sequencer = sequencer(&alone);
    let mut run = || std::iter::from_fn(|| sequencer.step(&mut Vec::new()).unwrap()).count();
    assert_eq!(run(), 3);
}

#[test]
fn does_a_count_of_minus_one_run_the_loop_131_072_times() {
    let program = [Instruction::nop(1), Instruction::jump(0, 2), Instruction::Exit];
    assert_eq!(places(&program, 200_000), (vec![(0, 131_072)], 131_072));
}

#[test]
fn is_exit_seen_before_the_next_command() {
    let mut sequencer = sequencer(&[Instruction::nop(1), Instruction::Exit]);
    assert!(!sequencer.has_exited());
    assert!(sequencer.step(&mut Vec::new()).unwrap().is_some());
    assert!(sequencer.has_exited());
    assert_eq!(sequencer.step(&mut Vec::new()), Ok(None));
    sequencer.restart();
    assert!(!sequencer.has_exited());
}

#[test]
fn are_jumps_to_nowhere_refused() {
    let before = sequencer(&[Instruction::jump(2, 2)]).step(&mut Vec::new());
    assert_eq!(before, Err(Hbm2PimError::Jump { place: 0 }));
    // Two JUMPs that lead to each other load their counts in turn, and never end.
    let endless = [Instruction::jump(3, 0), Instruction::jump(3, 2)];
    assert!(sequencer(&endless).step(&mut Vec::new()).is_err());
}
