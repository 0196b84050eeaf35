//! Do the kernels compute what they are for?

use pim_device::hbm2_pim::request::Label;
use pim_device::hbm2_pim::values::{Burst, Values};
use pim_device::hbm2_pim::{Channel, Hbm2Pim, Kernel, Operation, fp16};

/// Small whole numbers and halves, so that every sum is exact in FP16.
fn number(seed: u64) -> f64 {
    let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    (mixed % 9) as f64 / 2.0 - 2.0
}

fn weight(output: u64, input: u64) -> f64 {
    number(output * 1_000 + input)
}

fn input(index: u64) -> f64 {
    number(777_777 + index)
}

fn burst(numbers: impl Fn(u64) -> f64) -> Burst {
    std::array::from_fn(|lane| fp16::bits(numbers(lane as u64)))
}

/// Runs a GEMV on one channel and compares every output, its 16 lanes (and partial results) added.
fn check_gemv(operation: Operation, outputs: u64, inputs: u64) {
    let device = Hbm2Pim::new().with_ranks(1);
    let kernel = Kernel { operation, pim: true, outputs, inputs, batch: 1, channels: 1 };
    let requests = &kernel.classes(&device).unwrap()[0].phases[0];
    let (output_tiles, input_tiles) = (outputs.div_ceil(64), inputs.div_ceil(128));
    let mut values = Values::new(&device);
    for j in 0..output_tiles {
        for i in 0..input_tiles {
            for p in 0..8_u64 {
                for (a, o) in (0..64).map(|index| (index / 8, index % 8)) {
                    let column = 64 * (i / 2 + j * input_tiles / 2) + 8 * a + o;
                    let data = burst(|lane| weight(64 * j + 8 * p + o, 128 * i + 16 * a + lane));
                    let bank = (2 * p + i % 2) as u8;
                    values.store(bank, (column / 32) as u16, (column % 32) as u8, data);
                }
            }
        }
    }
    // The order in which the kernel sends the tiles of the input.
    let tiles: Vec<u64> = match operation {
        Operation::GemvTree => (0..input_tiles).collect(),
        _ => (0..input_tiles).step_by(2).chain((1..input_tiles).step_by(2)).collect(),
    };
    let vectors = requests.runs.iter().enumerate().filter(|(_, run)| run.label == Label::Vector);
    for ((run, _), tile) in vectors.zip(tiles.iter().cycle()) {
        let bursts = (0..8).map(|a| burst(|lane| input(128 * tile + 16 * a + lane))).collect();
        values.provide(run as u32, bursts);
    }
    Channel::new(&device).run(&device, requests, &mut values).unwrap();
    let parts = if operation == Operation::GemvTree { input_tiles } else { 1 };
    for output in 0..outputs {
        let (j, p, o) = (output / 64, output % 64 / 8, output % 8);
        let ours: f64 = (0..parts)
            .map(|part| {
                let column = 64 * (output_tiles * input_tiles / 2) + 8 * (j + part) + o;
                let lanes = values.load((2 * p + 1) as u8, (column / 32) as u16, (column % 32) as u8);
                lanes.map(fp16::value).iter().sum::<f64>()
            })
            .sum();
        let expected: f64 = (0..inputs).map(|index| weight(output, index) * input(index)).sum();
        assert!((ours - expected).abs() < 1e-9, "{operation:?} output {output}: {ours}, not {expected}");
    }
}

#[test]
fn does_gemv_multiply() {
    check_gemv(Operation::Gemv, 64, 256);
    check_gemv(Operation::Gemv, 128, 512);
}

#[test]
fn does_gemvtree_leave_partial_results() {
    check_gemv(Operation::GemvTree, 64, 256);
    check_gemv(Operation::GemvTree, 64, 512);
}

#[track_caller]
fn check_elementwise(operation: Operation, expected: impl Fn(f64, f64) -> f64) {
    let device = Hbm2Pim::new().with_ranks(1);
    let tiles = 3;
    let kernel = Kernel { operation, pim: true, outputs: 2_048 * tiles, inputs: 0, batch: 1, channels: 1 };
    let mut values = Values::new(&device);
    let seed = |bank: u8, column: u64, lane: u64, operand: u64| {
        number(u64::from(bank) * 10_007 + column * 101 + lane + 1_000_003 * operand)
    };
    for bank in 0..16 {
        for column in 0..8 * tiles {
            for (operand, row) in [(0, 0), (1, 128)] {
                values.store(bank, row, column as u8, burst(|lane| seed(bank, column, lane, operand)));
            }
        }
    }
    let requests = &kernel.classes(&device).unwrap()[0].phases[0];
    Channel::new(&device).run(&device, requests, &mut values).unwrap();
    for bank in 0..16 {
        for column in 0..8 * tiles {
            let ours = values.load(bank, 256, column as u8);
            let right = burst(|lane| expected(seed(bank, column, lane, 0), seed(bank, column, lane, 1)));
            // Of the zeros the sign does not count.
            let positive = |bits: u16| if bits == 0x8000 { 0 } else { bits };
            assert_eq!(ours.map(positive), right.map(positive), "{operation:?} bank {bank} column {column}");
        }
    }
}

#[test]
fn do_elementwise_kernels_compute() {
    check_elementwise(Operation::Add, |a, b| a + b);
    check_elementwise(Operation::Mul, |a, b| a * b);
    check_elementwise(Operation::Relu, |a, _| a.max(0.0));
}
