//! Programs for a product-quantised cache: both ways of execution, the constraint table, a second engine, closed forms.

use pim_device::kernel::pq::{PqError, PqShape, PqUnit, attention, units_per_wave};
use pim_device::{Command, DeviceSpec, Engine, ExecutionMode, GqaPolicy, PqMapping, PqReduction, PqValues, Program};
use proptest::prelude::*;

use crate::audit::audit;
use crate::common::trace;
use crate::random::Draw;

fn aqpim() -> DeviceSpec {
    DeviceSpec::by_name("hbm3-aqpim").unwrap()
}

fn unit(tokens: u64, query_heads: u32) -> PqUnit {
    PqUnit { tokens, query_heads }
}

/// A random shape and device that fit each other.
fn random(draw: &mut Draw) -> (DeviceSpec, PqShape) {
    loop {
        let mut device = aqpim();
        if draw.below(4) == 0 {
            device.gqa = GqaPolicy::SharedPass;
        }
        let pq = device.pq.as_mut().unwrap();
        pq.lookups_per_column = [1, 4, 8, 16, 28][draw.below(5) as usize];
        pq.reduction = [PqReduction::Buffer, PqReduction::BankGroup, PqReduction::InBank][draw.below(3) as usize];
        pq.register_file = [4, 8, 12, 16, 16, 40, 64][draw.below(7) as usize];
        pq.result_registers = draw.between(1, 6);
        pq.value_passes = draw.below(3);
        pq.values = if draw.below(4) == 0 { PqValues::Accumulate } else { PqValues::Reconstruct };
        pq.mapping = if draw.below(4) == 0 { PqMapping::Apart } else { PqMapping::Together };
        pq.broadcast = draw.below(4) > 0;
        let centroids = [2, 16, 100, 256, 512][draw.below(5) as usize];
        let shape = PqShape {
            head_dim: [64, 128][draw.below(2) as usize],
            subvectors: [2, 4, 8, 16, 32, 64][draw.below(6) as usize],
            centroids,
            index_bits: if draw.below(3) == 0 { 16 } else { PqShape::packed_bits(centroids) },
            sinks: draw.below(9),
            window: draw.below(40),
            book_tokens: if draw.below(4) == 0 { draw.between(50, 500) } else { 0 },
        };
        if units_per_wave(&device, &shape).is_ok() {
            return (device, shape);
        }
    }
}

fn random_units(draw: &mut Draw, most: u32) -> Vec<PqUnit> {
    (0..draw.between(1, 5)).map(|_| unit(u64::from(draw.between(9, most)), draw.between(1, 3))).collect()
}

/// Runs it both ways from odd cycles; what the streams say is what is issued, and no constraint is broken.
#[track_caller]
fn check(device: &DeviceSpec, program: &Program) {
    let checked = Program::new(device, program.row_stream().to_vec(), program.move_stream().to_vec());
    assert_eq!(checked.as_ref(), Ok(program));
    let runs = [ExecutionMode::FastForward, ExecutionMode::CommandByCommand].map(|mode| {
        let mut engine = Engine::new(device).with_execution(mode);
        [77, 0, 1_000_003].map(|arrival| engine.run(program, arrival).unwrap())
    });
    assert_eq!(runs[0], runs[1]);
    let (execution, trace) = trace(device, program, 77);
    let mut commands = execution.commands;
    commands[Command::RefAb] = 0;
    // A refresh that can wait no more closes the row and opens it again.
    let again = commands[Command::ActAb] - program.commands()[Command::ActAb];
    commands[Command::ActAb] -= again;
    commands[Command::PreA] -= again;
    assert_eq!(commands, program.commands());
    assert_eq!(execution, runs[1][0]);
    let faults = audit(device, &trace);
    assert!(faults.is_empty(), "{}", faults[..faults.len().min(5)].join("\n"));
}

#[test]
fn attention_of_every_variant_is_the_same_both_ways() {
    for reduction in [PqReduction::Buffer, PqReduction::BankGroup, PqReduction::InBank] {
        for lookups in [1, 16, 28] {
            let mut device = aqpim();
            let pq = device.pq.as_mut().unwrap();
            (pq.reduction, pq.lookups_per_column) = (reduction, lookups);
            let program = attention(&device, &PqShape::aqpim(128), &[unit(4_000, 2), unit(3_000, 2)]).unwrap();
            check(&device, &program);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_attention_is_the_same_both_ways(seed in any::<u64>()) {
        let mut draw = Draw(seed);
        let (device, shape) = random(&mut draw);
        let units = random_units(&mut draw, 1_500);
        check(&device, &attention(&device, &shape, &units).unwrap());
    }

    #[test]
    fn any_attention_is_the_same_cycle_by_cycle(seed in any::<u64>()) {
        let mut draw = Draw(seed);
        let (device, shape) = random(&mut draw);
        let program = attention(&device, &shape, &random_units(&mut draw, 300)).unwrap();
        if program.commands().total() < 8_000 {
            crate::oracle::check(&device, &program);
        }
    }
}
