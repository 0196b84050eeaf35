//! What a GDDR6-AiM device does over whole programs: published cycles, closed forms, what is refused.

use pim_device::aim::block::{AimBlock, BlockShape};
use pim_device::aim::{AimError, AimExecution, AimProgram, AimSpec, Channels, Instruction, Ordered, run};
use pim_device::{Command, Parameter};

const LLAMA_7B: BlockShape = BlockShape { hidden: 4_096, ffn: 11_008, heads: 32, kv_heads: 32, head_dim: 128 };
const LLAMA_13B: BlockShape = BlockShape { hidden: 5_120, ffn: 13_824, heads: 40, kv_heads: 40, head_dim: 128 };
const LLAMA_70B: BlockShape = BlockShape { hidden: 8_192, ffn: 28_672, heads: 64, kv_heads: 8, head_dim: 128 };

fn block(shape: BlockShape, context: u64, channels: u64) -> AimExecution {
    let device = AimSpec::gddr6_aim();
    run(&device, &AimBlock::new(shape, context, channels).program(&device).unwrap()).unwrap()
}

/// `Embedding latency` of the results of CENT's artifact, times 2 GHz.
#[test]
fn are_embedding_and_head_met_to_the_cycle() {
    let device = AimSpec::gddr6_aim();
    let check = |shape, channels, cycles| {
        let program = AimBlock::new(shape, 1, channels).embedding(&device, 32_000).unwrap();
        assert_eq!(run(&device, &program).unwrap().cycles.0, cycles);
    };
    check(LLAMA_7B, 8, 475_496);
    check(LLAMA_13B, 16, 299_963);
    check(LLAMA_70B, 10, 764_776);
}

/// `PIM latency` of the same, times 2 GHz; more rows are in the suite `aim-block`.
#[test]
fn is_a_block_met_to_the_cycle() {
    assert_eq!(block(LLAMA_7B, 512, 8).cycles.0, 456_689);
    assert_eq!(block(LLAMA_70B, 160, 10).cycles.0, 1_336_552);
}

#[test]
fn do_the_parts_of_a_run_add_up() {
    let execution = block(LLAMA_7B, 300, 8);
    let phases: u64 = execution.phases.iter().map(|phase| phase.cycles.0).sum();
    assert_eq!(phases, execution.cycles.0);
    assert_eq!(execution.waited.total() + execution.idle.0, execution.cycles.0);
}

/// Every weight is read once, the banks that a matrix does not fill read zeros; K and V take whole columns.
#[test]
fn reads_a_block_what_it_has_to() {
    let execution = block(LLAMA_7B, 4_096, 8);
    let columns = |input: u64, output: u64| (output.div_ceil(128)) * input.div_ceil(16);
    let weights = 4 * columns(4_096, 4_096) + 2 * columns(4_096, 11_008) + columns(11_008, 4_096);
    // K: 32 tokens a bank, 8 columns for each of 32 heads; V: 4 heads of 8 elements a bank, 256 columns.
    let cache = 32 * 32 * 8 + 4 * 8 * 256;
    // Sums of squares: 64 elements a pair of banks, twice.
    assert_eq!(execution.commands[Command::MacAb], 32 * (weights + cache + 2 * 4));
    // MACs alone, two cycles each, are a lower bound.
    assert!(execution.cycles.0 > 2 * (weights + cache));
}

#[test]
fn costs_a_row_of_macs_its_closed_form() {
    let device = AimSpec::gddr6_aim();
    let cycles = |parameter| u64::from(device.timing.get(parameter));
    let mut program = AimProgram::new();
    let rows = 100;
    for row in 0..rows {
        let channels = Channels { first: 0, count: 32 };
        let mac = Ordered { command: Command::MacAb, columns: 64, column: 0, channels, bank: 0, row };
        program.push(Instruction::Ordered(mac));
    }
    let execution = run(&device, &program).unwrap();
    // Activation to MAC, 63 gaps, read to precharge, precharge.
    let row = cycles(Parameter::RcdMac) + 63 * cycles(Parameter::CcdL) + cycles(Parameter::Rtp) + cycles(Parameter::Rp);
    assert_eq!(row, 226);
    // The first activation is in cycle 1; behind the last MAC come its completion and the barrier.
    let last = 1 + u64::from(rows) * row - cycles(Parameter::Rtp) - cycles(Parameter::Rp);
    assert_eq!(execution.cycles.0, last + 2);
    assert_eq!(execution.commands[Command::ActAb], 32 * u64::from(rows));
}

#[test]
fn grow_blocks_with_context_and_shrink_with_channels() {
    let mut before = 0;
    for context in [1, 100, 128, 129, 1_024, 1_025, 2_000] {
        let cycles = block(LLAMA_7B, context, 8).cycles.0;
        assert!(cycles >= before, "{context}");
        before = cycles;
    }
    assert!(block(LLAMA_7B, 512, 16).cycles < block(LLAMA_7B, 512, 8).cycles);
}

#[track_caller]
fn check_refused(block: AimBlock, message: &str) {
    assert_eq!(block.program(&AimSpec::gddr6_aim()).unwrap_err().to_string(), message);
}

#[test]
fn is_what_the_mapping_cannot_hold_refused() {
    check_refused(AimBlock::new(LLAMA_7B, 0, 8), "the context is 0: wanted 1 to 16777216 tokens");
    check_refused(AimBlock::new(LLAMA_7B, 1, 0), "the number of channels is 0: wanted 1 to 32");
    let shape = BlockShape { kv_heads: 5, ..LLAMA_7B };
    check_refused(AimBlock::new(shape, 1, 8), "the number of KV heads is 5: wanted a divisor of the 32 heads");
    let shape = BlockShape { head_dim: 96, ..LLAMA_7B };
    let message = "the size of a head is 96: wanted a multiple of the 16 banks of a channel that divides the 1024 elements \
                   of a row";
    check_refused(AimBlock::new(shape, 1, 8), message);
    let shape = BlockShape { kv_heads: 4, ..LLAMA_7B };
    let message = "the width of K (KV heads x size of a head) is 512: wanted a multiple of the 1024 elements of a row";
    check_refused(AimBlock::new(shape, 1, 8), message);
    let shape = BlockShape { ffn: 100, ..LLAMA_7B };
    check_refused(AimBlock::new(shape, 1, 8), "the FFN width is 100: wanted 1024 to 4194304");
    let error = AimBlock::new(LLAMA_70B, 1, 2).program(&AimSpec::gddr6_aim()).unwrap_err();
    assert!(matches!(error, AimError::Capacity { rows: 16_384, .. }), "{error}");
}

#[test]
fn is_a_program_that_cannot_be_refused() {
    let device = AimSpec::gddr6_aim();
    let refused = |ordered: Ordered| {
        let mut program = AimProgram::new();
        program.push(Instruction::Ordered(ordered));
        run(&device, &program).unwrap_err().to_string()
    };
    let mac = Ordered {
        command: Command::MacAb,
        columns: 1,
        column: 0,
        channels: Channels { first: 30, count: 2 },
        bank: 0,
        row: 0,
    };
    let beyond = Channels { first: 31, count: 2 };
    assert_eq!(refused(Ordered { channels: beyond, ..mac }), "instruction 0 addresses channel 32, and there are 32");
    assert_eq!(refused(Ordered { bank: 16, ..mac }), "instruction 0 addresses bank 16, and there are 16");
    assert_eq!(
        refused(Ordered { command: Command::Act, ..mac }),
        "instruction 0 is ACT, which is no command of a program"
    );
}
