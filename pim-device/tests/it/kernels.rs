//! Kernels beside attention: matrix times vector, ordinary accesses; elements of one byte.

use pim_device::kernel::attention::{attention_of_parts, split};
use pim_device::kernel::gemv::{Gemv, gemv};
use pim_device::kernel::ordinary;
use pim_device::{AttentionUnit, Command, DeviceSpec, Engine, ExecutionMode, Program, attention, device, kv_rows};

use crate::audit::audit;
use crate::common::{run, trace, units};

fn devices() -> impl Iterator<Item = DeviceSpec> {
    device::DEVICES.iter().map(|(_, device)| device())
}

#[track_caller]
fn sound(device: &DeviceSpec, program: &Program) {
    let (single, issued) = trace(device, program, 0);
    assert_eq!(audit(device, &issued), Vec::<String>::new(), "{}", device.name);
    assert_eq!(Engine::new(device).run(program, 0), Ok(single), "{}", device.name);
    let single = Engine::new(device).with_execution(ExecutionMode::CommandByCommand).run(program, 0);
    assert_eq!(Engine::new(device).run(program, 0), single, "{}", device.name);
}

#[test]
fn a_product_reads_its_matrix_once() {
    for device in devices() {
        for (outputs, inputs) in [(1, 1), (256, 4_096), (300, 1_000), (4_096, 64)] {
            let matrix = Gemv { outputs, inputs, first_row: 3 };
            let program = gemv(&device, &matrix);
            let least = outputs * u64::from(inputs) * 2;
            assert!(program.bytes_read() >= least, "{} {outputs} x {inputs}", device.name);
            sound(&device, &program);
        }
        // No padding: a row of outputs for each partition, the inputs of a whole granule.
        let program = gemv(&device, &Gemv { outputs: 256, inputs: 4_096, first_row: 0 });
        assert_eq!(program.bytes_read(), 256 * 4_096 * 2, "{}", device.name);
        assert_eq!(program.operations(), 256 * 4_096 * 2, "{}", device.name);
    }
}

#[test]
fn channels_share_the_outputs_of_a_matrix() {
    let matrix = Gemv { outputs: 1_003, inputs: 64, first_row: 0 };
    let parts: Vec<u64> = (0..16).map(|channel| matrix.part(channel, 16).outputs).collect();
    assert_eq!(parts.iter().sum::<u64>(), 1_003);
    assert_eq!((parts[0], parts[15]), (63, 62));
}

#[test]
fn a_product_of_banks_takes_its_rows() {
    // 32 rows of 232 cycles, the vector's 256 moves of 4 cycles before them, and less than 200 cycles of switches and results.
    let device = DeviceSpec::hbm3_pim_bank();
    let cycles = run(&device, &gemv(&device, &Gemv { outputs: 256, inputs: 4_096, first_row: 0 })).end;
    let least = 32 * 232 + 256 * 4 + 456;
    assert!((least..least + 200).contains(&cycles), "{cycles} {least}");
}

/// A column in every cycle: both pseudo-channels at the rate of their pins, 64 B in two cycles.
#[test]
fn rows_are_written_and_read_at_the_rate_of_the_pins() {
    let device = DeviceSpec::hbm3_pim_bank();
    for program in [ordinary::write_rows(&device, 0..3), ordinary::read_rows(&device, 7..10)] {
        let (execution, issued) = trace(&device, &program, 0);
        assert_eq!(audit(&device, &issued), Vec::<String>::new());
        let busy = execution.end - execution.commands[Command::RefAb] * 456;
        let share = 3.0 * 2_048.0 / busy as f64;
        assert!((0.94..1.0).contains(&share), "{share}");
    }
}

#[test]
fn long_loads_are_refreshed() {
    let device = DeviceSpec::hbm3_pim_bank();
    let execution = run(&device, &ordinary::write_rows(&device, 0..100));
    let due = execution.end / 5_070;
    assert!((due - 1..=due).contains(&execution.commands[Command::RefAb]), "{execution:?}");
}

/// 32 elements of a byte in a granule: half the commands, and the same operations.
#[test]
fn elements_of_a_byte_take_half_the_time() {
    for wide in devices() {
        let narrow = wide.clone().with_element(1);
        assert_eq!((narrow.lanes, narrow.elements_per_granule()), (32, 32));
        let (two, one) = (attention(&wide, 128, &units(&[8_192], 2)), attention(&narrow, 128, &units(&[8_192], 2)));
        assert_eq!(one.bytes_read() * 2, two.bytes_read(), "{}", wide.name);
        assert_eq!(one.operations(), two.operations(), "{}", wide.name);
        assert_eq!(kv_rows(&narrow, 8_192, 128) * 2, kv_rows(&wide, 8_192, 128), "{}", wide.name);
        let (one, two) = (run(&narrow, &one).end, run(&wide, &two).end);
        assert!((0.45..0.6).contains(&(one as f64 / two as f64)), "{}: {one} {two}", wide.name);
    }
}

/// A head of 32,768 tokens over 16 channels: each reads a sixteenth, and takes little more than a sixteenth of the time.
#[test]
fn a_head_split_over_channels_is_read_once_and_appended_once() {
    for device in devices() {
        let unit = AttentionUnit { tokens: 32_768, query_heads: 4 };
        let parts = split(&device, unit, 16);
        assert_eq!(parts.iter().map(|part| part.unit.tokens).sum::<u64>(), 32_768);
        let whole = attention(&device, 128, &[unit]);
        let programs: Vec<Program> = parts.iter().map(|&part| attention_of_parts(&device, 128, &[part])).collect();
        assert_eq!(programs.iter().map(Program::bytes_read).sum::<u64>(), whole.bytes_read(), "{}", device.name);
        let writes = programs.iter().map(|program| program.commands()[Command::Wr]).sum::<u64>();
        assert_eq!(writes, whole.commands()[Command::Wr], "{}", device.name);
        let slowest = programs.iter().map(|program| run(&device, program).end).max().unwrap();
        let share = slowest as f64 / run(&device, &whole).end as f64;
        assert!((1.0 / 16.0..1.25 / 16.0).contains(&share), "{}: {share}", device.name);
        // Four query heads of 128 FP16 elements, and 8 bytes each.
        assert_eq!(parts[0].output_bytes(&device, 128), 4 * (256 + 8));
        sound(&device, &programs[15]);
    }
}

#[test]
fn few_tokens_make_few_parts() {
    let device = DeviceSpec::hbm3_pim_bank();
    let parts = |tokens| split(&device, AttentionUnit { tokens, query_heads: 1 }, 16);
    assert_eq!(parts(0).len(), 0);
    assert_eq!(parts(16).len(), 1);
    assert_eq!(
        parts(33).iter().map(|part| (part.unit.tokens, part.appends)).collect::<Vec<_>>(),
        [(16, false), (16, false), (1, true)]
    );
}
