//! Programs for a product-quantised cache: both ways of execution, the constraint table, a second engine, closed forms.

use pim_device::energy;
use pim_device::kernel::pq::{
    PqError, PqShape, PqUnit, attention, buffer_rows, clustering, rows, units_per_wave, wave_rows,
};
use pim_device::{
    Command, DeviceSpec, Engine, ExecutionMode, GqaPolicy, Instruction, PqMapping, PqReduction, PqValues, Program,
};
use proptest::prelude::*;

#[path = "../../examples/aqpim_walk.rs"]
#[allow(dead_code)]
mod walk;

use crate::audit::audit;
use crate::common::{run, trace};
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
    #![proptest_config(ProptestConfig::with_cases(12))]

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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn any_clustering_is_the_same_both_ways(seed in any::<u64>()) {
        let mut draw = Draw(seed);
        let (device, shape) = random(&mut draw);
        let mut units = random_units(&mut draw, 200);
        units.truncate(2);
        match clustering(&device, &shape, &units, 2) {
            Ok(phases) => for phase in phases {
                if phase.program.commands().total() < 60_000 {
                    check(&device, &phase.program);
                }
            },
            Err(error) => prop_assert!(matches!(error, PqError::Figure { .. }), "{}", error),
        }
    }
}

/// The golden files of the root package, what decided each cycle included, and by the second engine.
#[test]
fn the_golden_files_say_what_happens_and_why() {
    let files = [
        (PqReduction::BankGroup, include_str!("../../../validation/aqpim/golden/bank_group.csv")),
        (PqReduction::Buffer, include_str!("../../../validation/aqpim/golden/buffer.csv")),
        (PqReduction::InBank, include_str!("../../../validation/aqpim/golden/in_bank.csv")),
    ];
    for (reduction, golden) in files {
        let lines = walk::walk(reduction).unwrap();
        assert_eq!(lines, golden.lines().collect::<Vec<_>>());
        // Every cycle has a reason, and its arithmetic is right.
        for line in &lines[1..] {
            let fields: Vec<&str> = line.splitn(8, ',').collect();
            let (cycle, why): (u64, _) = (fields[0].parse().unwrap(), fields[7]);
            if let Some((_, rest)) = why.split_once(" at ") {
                let numbers = rest.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse::<u64>().ok());
                let sum = match why {
                    _ if why.contains("is done") => numbers.skip(1).sum(),
                    _ if why.contains("free") || why.contains("in order") => numbers.sum::<u64>() + 1,
                    _ => numbers.sum::<u64>(),
                };
                assert_eq!(sum, cycle, "{line}");
            } else {
                assert_eq!((cycle, why), (0, "begin"));
            }
        }
        let mut device = aqpim();
        device.pq.as_mut().unwrap().reduction = reduction;
        crate::oracle::check(&device, &attention(&device, &walk::SHAPE, &[walk::UNIT]).unwrap());
    }
}

/// A row of indices into the registers and as many look-ups as they allow, over and over.
fn row_cycles(lookups: u32) -> u64 {
    let device = aqpim();
    let column = |command, count| Instruction::Column { command, count, queries: 0 };
    let program = |times| {
        let code = vec![
            Instruction::Loop { times, length: 6 },
            Instruction::OpenAt(0),
            column(Command::RdReg, 16),
            Instruction::Close(0),
            Instruction::OpenAt(1),
            column(Command::Ret, 448 / lookups),
            Instruction::Close(0),
        ];
        Program::new(&device, code, Vec::new()).unwrap()
    };
    // No refresh within so short a time.
    run(&device, &program(10)).end / 10
}

/// Every 448 look-ups cost two changes of rows and 16 reads: (19 + 15 x 6 + 8 + 19) + (19 + 27 x 6 + 8 + 19) cycles.
/// A first estimate has 356 and 284 cycles, with a whole gap of 6 behind the last column of a row.
#[test]
fn row_changes_halve_the_rate_of_look_ups() {
    assert_eq!(row_cycles(16), 136 + 208);
    assert_eq!(row_cycles(28), 136 + 136);
    let per_slot = |lookups| 448.0 * 6.0 / row_cycles(lookups) as f64;
    println!("{:.2} of 16, {:.2} of 28 for each column slot", per_slot(16), per_slot(28));
    assert!((per_slot(16) / 7.6 - 1.0).abs() < 0.05 && (per_slot(28) / 9.5 - 1.0).abs() < 0.05);
}

/// Four units of 30,000 tokens and 4 query heads on a channel are batch 32 of Mistral-7B on 64 channels. What is summed up
/// takes the data path for 0.74, 0.185 and 0.023 ms: 1.97 GB of values, a quarter and a 32nd, at four times 670 GB/s.
#[test]
fn sums_take_the_data_path_for_as_long_as_arithmetic_says() {
    let units = [unit(30_000, 4); 4];
    let counts = |reduction| {
        let mut device = aqpim();
        device.pq.as_mut().unwrap().reduction = reduction;
        attention(&device, &PqShape::aqpim(128), &units).unwrap().commands()
    };
    // A move every two cycles of 769 ps.
    let ms = |moves: u64| (moves * 2 * 769) as f64 / 1e9;
    let [group, buffer, bank] = [PqReduction::BankGroup, PqReduction::Buffer, PqReduction::InBank].map(counts);
    // Of the same programs: 32 moves for the output of each head of a wave, and distances of the new token.
    let others = group[Command::MvSb];
    assert_eq!(others, 8 * 32 + 2 * 2 * 32 * 32);
    // With tokens split over banks the output is 8 granules of every bank, and 32 of each table are gathered.
    let gathered = 8 * 32 * (8 + 32) + 2 * 2 * 32 * 32;
    let all = [ms(buffer[Command::MvSb] - others), ms(group[Command::MvSum]), ms(bank[Command::MvSb] - gathered)];
    println!("{all:?} ms");
    // Exact tokens and the last part of a block are on top.
    for (ours, arithmetic) in all.into_iter().zip([0.738, 0.1845, 0.0231]) {
        assert!((0.0..0.06).contains(&(ours / arithmetic - 1.0)), "{ours} {arithmetic}");
    }
}

#[test]
fn memory_is_codebooks_indices_in_pages_and_exact_tokens() {
    let (device, shape) = (aqpim(), PqShape::aqpim(128));
    assert_eq!(units_per_wave(&device, &shape), Ok(2));
    // K and V: 4 rows of codebook each; 32728 indices in 1169 granules, 37 rows each; 20 columns of exact tokens.
    let wave = wave_rows(&device, &shape, 32_768).unwrap();
    assert_eq!((wave.codebook, wave.indices, wave.exact), (8, 74, 1));
    assert_eq!(rows(&device, &shape, 3, 32_768), Ok(2 * 83));
    // Against 32 Ki x 2 x 256 B of a unit uncompressed: 6.2 with pages.
    let ratio: f64 = 2.0 * 32_768.0 * 512.0 / (83.0 * 65_536.0);
    assert!((ratio / 6.20 - 1.0).abs() < 0.01, "{ratio}");
    // A prompt of one layer: 56 tokens in 14 columns, two such blocks in a row; weights of 512 tokens in a row.
    let part = |tokens: u64| tokens.div_ceil(112);
    let side = part(32_728) + part(40);
    assert_eq!(buffer_rows(&device, &shape, 2, 32_768), Ok(9 + 2 * side + 64));
    // A window of its own for every 10000 tokens.
    let windows = PqShape { book_tokens: 10_000, ..shape };
    assert_eq!(wave_rows(&device, &windows, 32_768).unwrap().codebook, 4 * 8);
}

#[test]
fn units_fill_the_banks_of_a_channel() {
    let check = |subvectors, mapping, expected| {
        let mut device = aqpim();
        device.pq.as_mut().unwrap().mapping = mapping;
        let shape = PqShape { subvectors, ..PqShape::aqpim(128) };
        assert_eq!(units_per_wave(&device, &shape), expected, "{subvectors} {mapping:?}");
    };
    for (subvectors, units) in [(2, 32), (4, 16), (8, 8), (16, 4), (32, 2), (64, 1)] {
        check(subvectors, PqMapping::Together, Ok(units));
    }
    for (subvectors, units) in [(4, 8), (32, 1)] {
        check(subvectors, PqMapping::Apart, Ok(units));
    }
    check(128, PqMapping::Together, Err(PqError::Banks { subvectors: 128, banks: 64 }));
    check(64, PqMapping::Apart, Err(PqError::Banks { subvectors: 64, banks: 32 }));
}

#[test]
fn what_does_not_fit_is_refused() {
    let shape = PqShape::aqpim(128);
    let refused = |shape: &PqShape| attention(&aqpim(), shape, &[unit(1_000, 1)]).unwrap_err().to_string();
    let say = |shape: PqShape, message: &str| assert_eq!(refused(&shape), message);
    say(PqShape { subvectors: 3, ..shape }, "3 sub-vectors do not divide a head dimension of 128");
    say(PqShape { subvectors: 0, ..shape }, "0 sub-vectors do not divide a head dimension of 128");
    say(PqShape { centroids: 1, ..shape }, "1 centroids: 2 to 65536 are possible");
    say(PqShape { centroids: 65_537, ..shape }, "65537 centroids: 2 to 65536 are possible");
    say(PqShape { index_bits: 8, ..shape }, "an index of 8 bits does not fit 512 centroids: 9 to 16 bits are possible");
    say(
        PqShape { centroids: 1_024, index_bits: 10, ..shape },
        "a table of 1024 centroids takes 2048 B, more than a row of 1024 B",
    );
    say(PqShape { sinks: 1_001, ..shape }, "a sequence of 1000 tokens is shorter than its 1001 sinks");
    say(
        PqShape { head_dim: 96, subvectors: 16, ..shape },
        "sub-vectors of 6 elements do not fit the 16 lanes of a bank PE",
    );
    let all = attention(&aqpim(), &shape, &[unit(100_000_000, 1)]).unwrap_err();
    assert!(matches!(all, PqError::Rows { most: 16_384, .. }), "{all}");
    let plain = DeviceSpec::hbm3_pim_bank();
    let none = attention(&plain, &shape, &[]).unwrap_err().to_string();
    assert_eq!(none, "hbm3-pim-bank has no look-up in its bank PEs");
    let mut device = aqpim();
    let pq = device.pq.as_mut().unwrap();
    (pq.reduction, pq.values) = (PqReduction::InBank, PqValues::Accumulate);
    assert_eq!(attention(&device, &shape, &[]), Err(PqError::InBank));
    device.pq.as_mut().unwrap().lookups_per_column = 0;
    assert!(matches!(attention(&device, &shape, &[]), Err(PqError::Figure { figure: "lookups_per_column", .. })));
}

/// A sequence no longer than its sinks and window has no indices: the exact tokens are all there is.
#[test]
fn short_sequences_are_exact() {
    let device = aqpim();
    let program = attention(&device, &PqShape::aqpim(128), &[unit(40, 1), unit(0, 1), unit(9, 1)]).unwrap();
    assert_eq!(program.commands()[Command::Ret], 0);
    // 40 tokens of 4 elements are 10 columns of K and of V.
    assert_eq!(program.commands()[Command::MacAb], 20);
    check(&device, &program);
    assert_eq!(attention(&device, &PqShape::aqpim(128), &[unit(0, 4)]), Ok(Program::default()));
}

/// Every query head does what one does; in a shared pass the indices are read once for all.
#[test]
fn query_heads_cost_what_they_look_up() {
    let shape = PqShape::aqpim(128);
    let counts = |device: &DeviceSpec, heads| attention(device, &shape, &[unit(5_000, heads)]).unwrap().commands();
    let (serial, mut shared) = (aqpim(), aqpim());
    shared.gqa = GqaPolicy::SharedPass;
    let (one, four, together) = (counts(&serial, 1), counts(&serial, 4), counts(&shared, 4));
    assert_eq!(four[Command::Ret], 4 * one[Command::Ret]);
    // Tables are looked up one after the other, values for all queries at once, by four times as many lanes.
    let (keys, values) = (4_960_u64.div_ceil(16), 4 * 4_960_u64.div_ceil(16));
    assert_eq!(one[Command::Ret], keys + values);
    assert_eq!(together[Command::Ret], 4 * keys + values);
    assert!(together[Command::RdReg] < one[Command::RdReg] + 8);
    // The same is multiplied.
    assert_eq!(together.mac_queries, four.mac_queries);
}

/// K of 512 centroids: 128 MACs and 32 writes for each query head; 4 passes over the values.
#[test]
fn a_query_makes_its_table_and_goes_over_its_values() {
    let shape = PqShape { sinks: 0, window: 0, ..PqShape::aqpim(128) };
    let counts = |heads| attention(&aqpim(), &shape, &[unit(448, heads)]).unwrap().commands();
    let (one, two) = (counts(1), counts(2));
    let each = |command| two[command] - one[command];
    assert_eq!((each(Command::MacAb), each(Command::WrReg)), (128, 32));
    assert_eq!((each(Command::Ret), each(Command::RdReg)), (5 * 28, 32));
    // 28 sums of each of 4 bank groups in both pseudo-channels; 28 granules of probabilities; output of 16 banks in both.
    assert_eq!((each(Command::MvSum), each(Command::MvBc), each(Command::MvSb)), (28 * 4, 28, 16));
}

/// Distances of a token: 128 MACs for K and for V, 32 granules of every bank, 4 times.
#[test]
fn clustering_moves_every_distance() {
    let (device, shape) = (aqpim(), PqShape::aqpim(128));
    let phases = clustering(&device, &shape, &[unit(152, 4); 2], 4).unwrap();
    let kinds: Vec<&str> = phases.iter().map(|phase| phase.kind).collect();
    assert_eq!(kinds, ["kv-write", "init", "dc", "weights", "cc", "dc", "cc", "dc", "cc", "dc", "cc"]);
    let distances = phases[2].program.commands();
    assert_eq!(distances[Command::MacAb], 2 * 112 * 128);
    assert_eq!(distances[Command::MvSb], 2 * 112 * 32 * 32);
    // Indices of a block of 56 tokens: 2 granules to each of 32 banks, both pseudo-channels at once.
    assert_eq!(distances[Command::MvGb], 2 * 2 * 2 * 32);
    // 4 elements of a sub-vector, 4 tokens in a column: 28 columns of 112 tokens and 10 of 40, of K and V in 64 banks.
    assert_eq!(phases[0].program.commands()[Command::Wr], 2 * 38 * 64);
    // Each token visits 4 rows of sums and one of weights; sums and weights begin at zero, and new centroids are written.
    assert_eq!(phases[4].program.commands()[Command::WrReg], 2 * (5 * 112 + 128 + 32 + 128));
    let nothing = clustering(&device, &shape, &[], 4).unwrap();
    assert_eq!(nothing, []);
}

#[test]
fn sums_of_a_bank_group_cost_four_ways_to_it() {
    let device = aqpim();
    let of = |command| energy::command_energy(&device, command).0;
    // 64 banks x 256 bit x 0.44 pJ.
    assert_eq!(of(Command::Ret), 64 * 256 * 440);
    assert_eq!([of(Command::RdReg), of(Command::WrReg)], [of(Command::MacAb); 2]);
    assert_eq!(of(Command::MvSum), 2 * (256 * (4 * 1_010 + 1_230 + 500) + 3 * 16 * 320));
    assert_eq!(of(Command::MvBc), 2 * 256 * (1_230 + 500) + 16 * 256 * 1_010);
    assert_eq!(of(Command::Bpe), 0);
}
