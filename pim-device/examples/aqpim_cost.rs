//! What attention over, and clustering of, a product-quantised cache cost on the channels of four stacks: the tables of
//! `docs/AQPIM.md`.
//!
//! ```text
//! cargo run --release -p pim-device --example aqpim_cost
//! ```
//! The model is Mistral-7B: 8 KV heads of dimension 128, each with 4 query heads. Batch 16 is two units for each of 64 channels,
//! batch 32 four.

use pim_device::kernel::pq::{PqShape, PqUnit, attention, clustering};
use pim_device::timing::hbm3::{self, PowerLimit};
use pim_device::{
    AttentionUnit, Command, DeviceSpec, Engine, GqaPolicy, PqFigures, PqMapping, PqReduction, PqValues, Program,
    attention as dense,
};

type Error = Box<dyn std::error::Error>;

fn ms(cycles: u64) -> f64 {
    cycles as f64 * 769e-9
}

fn run(device: &DeviceSpec, program: &Program) -> Result<(f64, pim_device::CommandCounts), Error> {
    let execution = Engine::new(device).run(program, 0)?;
    Ok((ms(execution.end), execution.commands))
}

/// A layer's attention: milliseconds.
fn layer(device: &DeviceSpec, units: usize, tokens: u64) -> Result<(f64, pim_device::CommandCounts), Error> {
    let units = vec![PqUnit { tokens, query_heads: 4 }; units];
    run(device, &attention(device, &PqShape::aqpim(128), &units)?)
}

fn with(change: impl Fn(&mut PqFigures)) -> DeviceSpec {
    let mut device = pim_device::device::hbm3_aqpim::device();
    if let Some(pq) = &mut device.pq {
        change(pq);
    }
    device
}

fn main() -> Result<(), Error> {
    let shared = |device: DeviceSpec| DeviceSpec { gqa: GqaPolicy::SharedPass, ..device };
    println!("A layer's attention in ms: batch 16 of 32768 tokens, batch 32 of 30000");
    let both = |name: &str, device: &DeviceSpec| -> Result<(), Error> {
        let ((a, _), (b, counts)) = (layer(device, 2, 32_768)?, layer(device, 4, 30_000)?);
        let sums = counts[Command::MvSum] + counts[Command::MvSb];
        println!("{name:44} {a:8.3} {b:8.3}   data path of MVSUM and MVSB at batch 32: {:.3}", ms(2 * sums));
        Ok(())
    };
    let plain = DeviceSpec::hbm3_pim_bank();
    let dense = |device: &DeviceSpec, units: usize, tokens| {
        run(device, &dense(device, 128, &vec![AttentionUnit { tokens, query_heads: 4 }; units]))
    };
    for (name, device) in [("dense, serial heads", plain.clone()), ("dense, shared pass", shared(plain))] {
        println!("{name:44} {:8.3} {:8.3}", dense(&device, 2, 32_768)?.0, dense(&device, 4, 30_000)?.0);
    }
    for (word, reduction) in
        [("buffer", PqReduction::Buffer), ("bank-group", PqReduction::BankGroup), ("in-bank", PqReduction::InBank)]
    {
        let device = with(|pq| pq.reduction = reduction);
        both(&format!("reduction {word}"), &device)?;
        both(&format!("reduction {word}, shared pass"), &shared(device))?;
    }
    for lookups in [1, 4, 8, 16, 28] {
        both(&format!("lookups_per_column {lookups}"), &with(|pq| pq.lookups_per_column = lookups))?;
    }
    for registers in [8, 16, 32, 64] {
        both(&format!("register_file {registers}"), &with(|pq| pq.register_file = registers))?;
    }
    for registers in [1, 2, 4, 16] {
        both(&format!("result_registers {registers}"), &with(|pq| pq.result_registers = registers))?;
    }
    for passes in [1, 2, 4] {
        both(&format!("value_passes {passes}"), &with(|pq| pq.value_passes = passes))?;
    }
    both("values accumulate", &with(|pq| pq.values = PqValues::Accumulate))?;
    both("mapping apart", &with(|pq| pq.mapping = PqMapping::Apart))?;
    both("mv_bf_broadcast false", &with(|pq| pq.broadcast = false))?;
    both("power_limit false", &with(|_| ()).with_timing(hbm3::gbps_5_2(PowerLimit::Off)))?;
    let everything = |pq: &mut PqFigures| {
        (pq.lookups_per_column, pq.value_passes, pq.register_file, pq.result_registers) = (28, 1, 64, 64);
    };
    both("28, 64 + 64 registers, 1 pass", &with(everything))?;
    both("the same, shared pass", &shared(with(everything)))?;

    println!("\nClustering, 4 iterations, two units on each channel (16 sequences at once): ms, and for each sequence");
    for mapping in [PqMapping::Together, PqMapping::Apart] {
        let device = with(|pq| pq.mapping = mapping);
        for tokens in [4_096, 8_192, 16_384, 32_768] {
            let units = [PqUnit { tokens, query_heads: 4 }; 2];
            let mut engine = Engine::new(&device);
            let mut sums = std::collections::BTreeMap::new();
            for phase in clustering(&device, &PqShape::aqpim(128), &units, 4)? {
                let execution = engine.run(&phase.program, 0)?;
                *sums.entry(phase.kind).or_insert(0) += execution.end - execution.begin;
            }
            let all: u64 = sums.values().sum();
            let parts: Vec<String> = sums.iter().map(|(kind, cycles)| format!("{kind} {:.2}", ms(*cycles))).collect();
            println!("{mapping:?} {tokens:6}: {:8.2} = {}; each {:.2}", ms(all), parts.join(" + "), ms(all) / 16.0);
        }
    }
    // One sequence alone: 8 units on 8 of 64 channels.
    for mapping in [PqMapping::Together, PqMapping::Apart] {
        let device = with(|pq| pq.mapping = mapping);
        for tokens in [4_096, 32_768] {
            let mut cycles = 0;
            let mut engine = Engine::new(&device);
            for phase in clustering(&device, &PqShape::aqpim(128), &[PqUnit { tokens, query_heads: 4 }], 4)? {
                let execution = engine.run(&phase.program, 0)?;
                cycles += execution.end - execution.begin;
            }
            println!("{mapping:?} {tokens:6}, one sequence alone, a head on each of 8 channels: {:.2}", ms(cycles));
        }
    }
    // Distances alone, nothing to wait for on the data path.
    Ok(())
}
