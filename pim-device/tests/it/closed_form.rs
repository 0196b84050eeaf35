//! Programs whose cycles follow from the timing alone.

use pim_device::{Command, DeviceSpec, Engine, ExecutionMode, GqaPolicy, MultiBankActivation, attention, kv_rows};
use sim_core::Rate;

use crate::common::{attend, device, rows, run, trace, units, without_power_limit};

/// nRCDRD + 31 x nCCDAB + nRTPL + nRP.
const ROW: u64 = 19 + 31 * 6 + 8 + 19;

#[test]
fn a_row_of_32_macs_takes_232_cycles() {
    assert_eq!(ROW, 232);
    assert_eq!(run(&device(), &rows(&device(), 1, 32)).end, ROW);
    assert_eq!(run(&device(), &rows(&device(), 10, 32)).end, 10 * ROW);
    let fast = without_power_limit();
    assert_eq!(run(&fast, &rows(&fast, 10, 32)).end, 10 * (19 + 31 * 4 + 8 + 19));
}

#[test]
fn a_short_row_stays_open_for_tras() {
    // nRCDRD + nRTPL < nRAS.
    assert_eq!(run(&device(), &rows(&device(), 10, 1)).end, 10 * (45 + 19));
}

#[test]
fn refreshes_add_up_over_a_long_program() {
    let (mut now, mut due, mut refreshes) = (0, 5_070, 0);
    for _ in 0..10_000 {
        while due <= now {
            now += 456;
            due += 5_070;
            refreshes += 1;
        }
        now += ROW;
    }
    let execution = run(&device(), &rows(&device(), 10_000, 32));
    assert_eq!(execution.end, now);
    assert_eq!(execution.commands[Command::RefAb], refreshes);
    // 456 of 5070 cycles: a refresh costs 9 % of the time.
    let share = (now - 10_000 * ROW) as f64 / now as f64;
    assert!((share - 456.0 / 5_070.0).abs() < 1e-3, "{share}");
}

#[test]
fn staggered_activation_costs_123_cycles_a_row() {
    let mut staggered = device();
    staggered.multi_bank_activation = MultiBankActivation::Staggered;
    assert_eq!(run(&staggered, &rows(&staggered, 10, 32)).end, 10 * (ROW + 123));
}

/// The tables of AttAcc (one head of dimension 128, bank mode) are for another rule set and another program; the
/// difference is explained here, not tuned away. With the power limit:
/// - 2048 tokens: 16 rows x 232 = 3712 in both. Beside them AttAcc has 98 cycles, we have 753: 286 before the first row
///   (append 211, switch to PIM mode 39, query 36), 29 until the last scores are there, softmax 255, probabilities 134,
///   29 until the output is there, switch back 20. AttAcc has neither append nor switch nor softmax time, and does not
///   wait for scores.
/// - 32768 tokens: 256 rows = 59392 in both. Beside them we have 286 + 29 + 6122 (softmax 4068, probabilities 2054) + 29
///   and 20, and 13 refreshes x 456; a fourteenth falls into softmax and costs nothing. AttAcc has 8867: the probabilities'
///   moves, and refreshes that we infer to cost more than 500 cycles each (two at a time).
#[track_caller]
fn compare(device: &DeviceSpec, tokens: u64, attacc: u64, most: f64) {
    let ours = attend(device, tokens, 1);
    let ratio = ours.end as f64 / attacc as f64;
    println!("{tokens} tokens: {} cycles, AttAcc {attacc}: {ratio:.4}", ours.end);
    assert!((1.0..most).contains(&ratio), "{tokens} tokens: {ratio}");
}

#[test]
fn one_head_is_near_the_table_of_attacc() {
    compare(&device(), 2_048, 3_810, 1.4);
    compare(&device(), 32_768, 68_259, 1.2);
    compare(&without_power_limit(), 2_048, 2_818, 1.4);
    compare(&without_power_limit(), 32_768, 50_178, 1.2);
}

#[test]
fn softmax_delays_a_single_head_by_its_time() {
    let normal = attend(&device(), 2_048, 1);
    let mut slow = device();
    slow.softmax_passes = 4;
    let more = slow.softmax_cycles(2_048).0 - device().softmax_cycles(2_048).0;
    assert_eq!(attend(&slow, 2_048, 1).end, normal.end + more);
}

#[test]
fn softmax_hides_behind_the_next_head() {
    // Sixteen heads in a row: all but the last softmax are hidden.
    let alone = attend(&device(), 2_048, 1).end;
    let heads = attend(&device(), 2_048, 16).end;
    let mut instant = device();
    instant.softmax_passes = 0;
    let hidden = attend(&instant, 2_048, 16).end;
    assert!(heads < 16 * alone, "{heads} {alone}");
    let exposed = heads - hidden;
    assert!(exposed <= 2 * device().softmax_cycles(2_048).0, "{exposed}");
}

#[test]
fn a_shared_pass_reads_once_and_multiplies_as_often() {
    let serial = device();
    let mut shared = device();
    shared.gqa = GqaPolicy::SharedPass;
    let unit = units(&[4_096], 4);
    let (serial_program, shared_program) = (attention(&serial, 128, &unit), attention(&shared, 128, &unit));
    assert_eq!(serial_program.bytes_read(), 4 * shared_program.bytes_read());
    assert_eq!(serial_program.operations(), shared_program.operations());
    assert_eq!(shared.lanes_needed(4), 64);
    let (serial, shared) = (run(&serial, &serial_program), run(&shared, &shared_program));
    // Less than a quarter of the time is not reached: the softmax of all four stands alone at the end.
    assert!(shared.end < serial.end * 2 / 5, "{} {}", shared.end, serial.end);
}

#[test]
fn the_rows_of_a_unit_are_those_of_its_capacity() {
    let device = device();
    for (tokens, head_dim) in [(1, 128), (31, 64), (2_048, 128), (4_097, 256), (1_000, 96)] {
        let unit = units(&[tokens], 1);
        let program = attention(&device, head_dim, &unit);
        assert_eq!(program.commands()[Command::ActAb], kv_rows(&device, tokens, head_dim), "{tokens} x {head_dim}");
    }
}

#[test]
fn nothing_to_attend_to_takes_no_time() {
    let program = attention(&device(), 128, &units(&[0], 4));
    assert_eq!(program.commands().total(), 0);
    assert_eq!(run(&device(), &program).end, 0);
}

/// Softmax over thousands of refresh intervals: these are counted in one step, and done one by one where each is recorded.
#[test]
fn the_refreshes_of_a_long_wait_are_those_that_a_trace_has() {
    let slow = DeviceSpec { buffer_rate: Rate(1_000_000), ..device() };
    let program = attention(&slow, 128, &units(&[1_500, 700], 2));
    let (traced, commands) = trace(&slow, &program, 0);
    assert!(traced.commands[Command::RefAb] > 70_000, "{traced:?}");
    for mode in [ExecutionMode::FastForward, ExecutionMode::CommandByCommand] {
        assert_eq!(Engine::new(&slow).with_execution(mode).run(&program, 0).unwrap(), traced);
    }
    // Of a trace that is wanted in part, that part is the same, and the rest is counted.
    for most in [1, 30, 100, 5_000] {
        let mut engine = Engine::new(&slow);
        engine.record_most(most);
        assert_eq!(engine.run(&program, 0).unwrap(), traced);
        let part = engine.take_trace();
        assert_eq!(part[..most], commands[..most]);
        assert_eq!(part.len() as u64 + engine.left_out(), commands.len() as u64, "{most}");
        assert!(part.len() < 20_000, "{most}: {}", part.len());
    }
    // So slow that no clock of a simulation has its end: nothing overflows before that is said.
    let stopped = DeviceSpec { buffer_rate: Rate(1), ..device() };
    let program = attention(&stopped, 128, &units(&[1_000; 500], 4));
    assert!(run(&stopped, &program).end > u64::MAX / 769);
}
