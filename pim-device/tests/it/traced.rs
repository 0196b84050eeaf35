//! The commands of kernels of all devices: are they those of the golden traces, where the layouts say, and no more than are wanted?

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pim_device::aim::block::{AimBlock, AimGemv, BlockShape};
use pim_device::aim::{AimSpec, run};
use pim_device::controller::mixed::{Done, MixedChannel, Precedence};
use pim_device::dram::traffic::Pattern;
use pim_device::dram::{Queues, Request};
use pim_device::hbm2_pim::{Hbm2Pim, Kernel, Mode, Operation};
use pim_device::kernel::gemv::{Gemv, gemv};
use pim_device::kernel::ordinary;
use pim_device::{
    Address, Command, CommandCounts, DeviceKernel, DeviceSpec, Engine, ExecutionMode, Instruction, Issued, Layout,
    Parameter, Program, Token, Traced, Traffic, TrafficError, attention,
};
use sim_core::{Cycles, Rate, Tag};

use crate::common::{device, trace, units};
use crate::hbm2_pim::reference::{TraceRow, kernels, rows};

const NAMED: (&str, Tag) = ("kernel", Tag { step: 1, layer: None });
const ALL: Option<usize> = Some(usize::MAX);

/// Commands of all channels, counted one by one.
fn counted(traced: &Traced) -> BTreeMap<Command, u64> {
    let mut counts = BTreeMap::new();
    for command in &traced.commands {
        *counts.entry(command.issued.command).or_default() += traced.channels[command.channels as usize].len() as u64;
    }
    counts
}

#[track_caller]
fn check_counts(traced: &Traced, expected: &CommandCounts) {
    let expected: BTreeMap<Command, u64> = expected.iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(counted(traced), expected);
    assert_eq!(traced.left_out, 0);
    assert!(traced.commands.is_sorted_by_key(|command| command.issued.cycle));
}

/// A command of a golden trace: cycle, command, rank, mode, address and column, as far as it has them.
type Golden = (u64, Command, u8, Mode, Option<Address>, Option<u16>);

/// What the commands of a kernel say of a row.
fn golden(row: &TraceRow) -> Option<Golden> {
    let command = match row.event.as_str() {
        "ACTIVATE" => Command::Act,
        "PRECHARGE" => Command::Pre,
        "READ" | "BANK_TO_PIM" => Command::Rd,
        "REF" => Command::RefAb,
        // Two that a precharge and an activation bring about.
        "SB mode" | "HAB" => return None,
        _ => Command::Wr,
    };
    let address = row.bank.map(|bank| {
        let line = if command == Command::Pre { 0 } else { row.line.unwrap() };
        Address { rank: row.rank, bank_group: bank / 4, bank: bank % 4, row: line, ..Address::default() }
    });
    let column = row.column.filter(|_| matches!(command, Command::Rd | Command::Wr));
    Some((row.issue_cycle, command, row.rank, row.mode, address, column))
}

/// The first command of a golden trace that a device does not issue so.
fn differs(device: &Hbm2Pim, kernel: &Kernel, rows: &[TraceRow]) -> Option<String> {
    let traced = DeviceKernel::hbm2_pim(device, kernel, ALL, NAMED).unwrap().traced.unwrap();
    assert_eq!(traced.channels, [vec![0]]);
    // An event that a command brings about has a row of its own, in the cycle of the command.
    let mut expected: Vec<_> = rows.iter().filter_map(golden).collect();
    expected.dedup_by_key(|command| command.0);
    if expected.len() != traced.commands.len() {
        return Some(format!("{} commands instead of {}", traced.commands.len(), expected.len()));
    }
    expected.iter().zip(&traced.commands).find_map(|(expected, ours)| {
        let &(cycle, command, rank, mode, address, column) = expected;
        let Issued { address: at, .. } = ours.issued;
        let at = Address { row: if command == Command::Pre { 0 } else { at.row }, ..at };
        let same = (ours.issued.cycle, ours.issued.command, at.rank, ours.mode) == (cycle, command, rank, Some(mode))
            && address.is_none_or(|address| address == at)
            && (column.is_none() || column == ours.issued.column);
        (!same).then(|| format!("{ours:?} instead of {expected:?}"))
    })
}

#[test]
fn are_the_commands_of_hbm_pim_those_of_the_golden_traces() {
    let device = Hbm2Pim::new().with_ranks(1);
    let mut modes = BTreeSet::new();
    for (kernel, rows) in rows() {
        assert_eq!(differs(&device, &kernel, &rows), None, "{kernel}");
        modes.extend(rows.iter().map(|row| row.mode.text()));
    }
    assert_eq!(modes.len(), 3);
}

/// The companion: what is wrong with a trace is noticed.
#[test]
fn is_a_wrong_command_of_hbm_pim_noticed() {
    let device = Hbm2Pim::new().with_ranks(1);
    let later = device.timing.get(Parameter::RcdRd) + 1;
    let slow = Hbm2Pim { timing: device.timing.clone().with(Parameter::RcdRd, later), ..device.clone() };
    let (kernel, rows) = rows().swap_remove(0);
    assert!(differs(&slow, &kernel, &rows).is_some());
    let break_one = |place: usize, wrong: &dyn Fn(&mut TraceRow)| {
        let mut rows = rows.clone();
        wrong(&mut rows[place]);
        assert!(differs(&device, &kernel, &rows).is_some(), "{:?}", rows[place]);
    };
    let read = rows.iter().position(|row| row.event == "READ" && row.mode == Mode::Pim).unwrap();
    break_one(read, &|row| row.column = row.column.map(|column| column ^ 1));
    break_one(read, &|row| row.bank = row.bank.map(|bank| bank ^ 1));
    break_one(read, &|row| row.line = row.line.map(|line| line ^ 1));
    break_one(read, &|row| row.issue_cycle += 1);
    break_one(read, &|row| row.mode = Mode::AllBank);
}

#[test]
fn are_the_commands_of_hbm_pim_as_many_as_the_suite_counts() {
    for (kernel, ranks, cycles, _) in kernels(8_000) {
        let device = Hbm2Pim::new().with_ranks(ranks);
        let done = DeviceKernel::hbm2_pim(&device, &kernel, ALL, NAMED).unwrap();
        let traced = done.traced.clone().unwrap();
        check_counts(&traced, &done.commands);
        let all: Vec<u32> = traced.channels.concat();
        assert_eq!(all, (0..kernel.channels).collect::<Vec<_>>(), "{kernel}");
        assert_eq!(done.duration, device.timing.clock.edge(Cycles(cycles)), "{kernel}");
        // The kernel ends with the data of the last access.
        let accesses = traced.commands.iter().filter(|one| matches!(one.issued.command, Command::Rd | Command::Wr));
        let last = accesses.map(|one| one.issued.cycle).max().unwrap();
        assert!(last < cycles && cycles - last < 64, "{kernel}: {last} of {cycles}");
        assert_eq!(
            DeviceKernel { traced: None, ..done },
            DeviceKernel::hbm2_pim(&device, &kernel, None, NAMED).unwrap()
        );
    }
}

fn block(shape: BlockShape, context: u64, channels: u64) -> (DeviceKernel, Traced) {
    let device = AimSpec::gddr6_aim();
    let program = AimBlock::new(shape, context, channels).program(&device).unwrap();
    let mut done = DeviceKernel::aim(&device, &program, ALL, NAMED).unwrap();
    let traced = done.traced.take().unwrap();
    assert_eq!(done, DeviceKernel::aim(&device, &program, None, NAMED).unwrap());
    assert_eq!(run(&device, &program).unwrap().commands, done.commands);
    (done, traced)
}

/// Llama-2-7B, 512 tokens, 8 channels: a row of the suite `aim-block`.
#[test]
fn are_the_commands_of_a_block_of_aim_as_many_as_the_suite_counts() {
    let shape = BlockShape { hidden: 4_096, ffn: 11_008, heads: 32, kv_heads: 32, head_dim: 128 };
    let (done, traced) = block(shape, 512, 8);
    let cycles = 456_689;
    assert_eq!(done.duration, AimSpec::gddr6_aim().timing.clock.edge(Cycles(cycles)));
    check_counts(&traced, &done.commands);
    let last = traced.commands.last().unwrap().issued.cycle;
    assert!(last < cycles && cycles - last < 200, "{last} of {cycles}");
    // No two commands of a channel share a cycle, and no channel is in two sets of a cycle.
    let mut cycle = (0, BTreeSet::new());
    for one in &traced.commands {
        if one.issued.cycle != cycle.0 {
            cycle = (one.issued.cycle, BTreeSet::new());
        }
        for channel in &traced.channels[one.channels as usize] {
            assert!(cycle.1.insert(*channel), "{one:?}");
        }
    }
    // Channel 0 reads weights, keys and values once.
    let mut read = BTreeMap::<(u32, Option<u16>), u32>::new();
    let of_one = |channels: u32| traced.channels[channels as usize].contains(&0);
    let macs = traced.commands.iter().filter(|one| one.issued.command == Command::MacAb && of_one(one.channels));
    for one in macs {
        *read.entry((one.issued.address.row, one.issued.column)).or_default() += 1;
    }
    assert!(read.values().all(|times| *times == 1) && read.keys().all(|(_, column)| column.unwrap() < 64));
    // The companion: counted for one channel fewer, it is another number.
    let mut fewer = traced;
    fewer.channels[0].pop();
    assert_ne!(counted(&fewer)[&Command::MacAb], done.commands[Command::MacAb]);
}

/// MAC number i is where `Layout` says, see its table.
#[test]
fn are_the_columns_of_macs_those_of_the_layout() {
    for name in ["hbm3-pim-bank", "hbm3-pim-bg", "hbm3-pim-buffer"] {
        let device = DeviceSpec::by_name(name).unwrap();
        for (outputs, inputs) in [(16, 64), (700, 1_024), (5_000, 640)] {
            let layout = Layout::new(&device, outputs, inputs);
            let program = gemv(&device, &Gemv { outputs, inputs, first_row: 3 });
            let (_, commands) = trace(&device, &program, 0);
            let mac = device.pe.commands().mac;
            let macs: Vec<Issued> = commands.into_iter().filter(|issued| issued.command == mac).collect();
            assert_eq!(macs.len() as u64, layout.macs());
            let sets = device.pe.sets(&device.organisation);
            for (number, issued) in (0..).zip(macs) {
                let spot = layout.spot(number);
                let row = 3 + spot.row as u32;
                let in_turn = u64::from(layout.in_turn) == 1;
                let column = if in_turn { number / u64::from(layout.sets) } else { number } % u64::from(layout.columns);
                assert_eq!(issued.address, Address { row, ..sets[spot.set as usize] }, "{name} {number}");
                assert_eq!(issued.column, Some(column as u16), "{name} {number}");
            }
        }
    }
}

/// A refresh that cannot wait closes the row in the middle; MACs go on where they were.
#[test]
fn do_columns_go_on_behind_a_forced_refresh() {
    let slow = DeviceSpec { buffer_rate: Rate(1_000_000), ..device() };
    let mac = Instruction::Mac { set: 0, sets: 1, count: 10, queries: 1 };
    let (made, soft) = (Token(0), Token(1));
    let (post, wait) = (Instruction::Post(made), Instruction::Wait(soft));
    let code = vec![Instruction::Row(7), Instruction::Open(0), mac, post, wait, mac, Instruction::Close(0)];
    let moves = vec![Instruction::Wait(made), Instruction::Softmax { elements: 50 }, Instruction::Post(soft)];
    let (_, commands) = trace(&slow, &Program::new(&slow, code, moves).unwrap(), 0);
    let of = |command| commands.iter().filter(move |issued| issued.command == command);
    assert!(of(Command::ActAb).count() > 1 && of(Command::RefAb).count() > 8);
    let columns: Vec<u16> = of(Command::MacAb).map(|issued| issued.column.unwrap()).collect();
    assert_eq!(columns, (0..20).collect::<Vec<_>>());
}

#[test]
fn is_every_column_of_rows_that_are_read_named_once() {
    let device = device();
    let (_, commands) = trace(&device, &ordinary::read_rows(&device, 2..4), 0);
    let places = commands.iter().filter(|issued| issued.command == Command::Rd);
    let places: Vec<_> = places.map(|issued| (issued.address, issued.column.unwrap())).collect();
    let columns = device.organisation.columns;
    let mut distinct: Vec<_> = places.iter().map(|(address, column)| (format!("{address:?}"), *column)).collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len() as u32, 2 * columns * device.organisation.banks_per_channel());
    assert!(distinct.len() == places.len() && places.iter().all(|(_, column)| u32::from(*column) < columns));
    // The writes of a token that is appended are at columns that the program does not name.
    let (_, commands) = trace(&device, &attention(&device, 128, &units(&[500], 1)), 0);
    let mut writes = commands.iter().filter(|issued| issued.command == Command::Wr).peekable();
    assert!(writes.peek().is_some() && writes.all(|issued| issued.column.is_none()));
}

/// Of a trace that is wanted in part, that part is the same, and the rest is counted.
#[test]
fn are_the_first_commands_those_of_the_whole() {
    let compare = |of: &dyn Fn(Option<usize>) -> DeviceKernel| {
        let whole = of(ALL);
        let traced = whole.traced.clone().unwrap();
        for most in [0, 1, 700, traced.commands.len() - 1] {
            let part = of(Some(most));
            assert_eq!(DeviceKernel { traced: None, ..part.clone() }, DeviceKernel { traced: None, ..whole.clone() });
            let part = part.traced.unwrap();
            assert_eq!(part.commands.len(), most);
            for (ours, expected) in part.commands.iter().zip(&traced.commands) {
                assert_eq!((ours.issued, ours.mode), (expected.issued, expected.mode));
                assert_eq!(part.channels[ours.channels as usize], traced.channels[expected.channels as usize]);
            }
            assert_eq!(part.left_out, (traced.commands.len() - most) as u64);
        }
    };
    let hbm3 = device();
    let program = gemv(&hbm3, &Gemv { outputs: 256, inputs: 1_024, first_row: 0 });
    let mode = ExecutionMode::FastForward;
    compare(&|most| DeviceKernel::hbm3(&hbm3, &[&program; 30], 4, (mode, most), NAMED).unwrap());
    let traffic =
        Traffic { pattern: Pattern::MixRandom, rate: Rate(2_000_000_000), precedence: Precedence::requests(), seed: 3 };
    compare(&|most| DeviceKernel::hbm3_beside(&hbm3, &[&program; 30], 4, (mode, most), &traffic, NAMED).unwrap().0);
    // Without PIM: two classes of channels.
    let hbm2 = Hbm2Pim::new();
    let plain = Kernel { operation: Operation::Gemv, pim: false, outputs: 48, inputs: 1_040, batch: 1, channels: 7 };
    compare(&|most| DeviceKernel::hbm2_pim(&hbm2, &plain, most, NAMED).unwrap());
    let aim = AimSpec::gddr6_aim();
    let program = AimGemv { outputs: 3_000, inputs: 2_000, batch: 6 }.program(&aim).unwrap();
    compare(&|most| DeviceKernel::aim(&aim, &program, most, NAMED).unwrap());
}

/// Refreshes of a long wait between requests: counted in one step, as one by one.
#[test]
fn is_an_idle_channel_refreshed_as_it_is_cycle_by_cycle() {
    let device = device();
    let program = gemv(&device, &Gemv { outputs: 64, inputs: 256, first_row: 0 });
    let end = 60 * u64::from(device.cycles(Parameter::Refi)) + 77;
    let run = |step: u64| {
        let mut channel = MixedChannel::new(&device, Queues::default(), Precedence::Program).unwrap();
        channel.record();
        let mut done: Vec<Done> = Vec::new();
        channel.submit(Arc::new(program.clone()), 0);
        for at in [40, end / 3, end / 2] {
            while channel.now() < at {
                channel.advance(at.min(channel.now() + step), &mut |what| done.push(what)).unwrap();
            }
            channel.offer(&Request::read(Address::default(), 5), &mut |what| done.push(what)).unwrap();
        }
        while channel.now() < end {
            channel.advance(end.min(channel.now() + step), &mut |what| done.push(what)).unwrap();
        }
        (done, channel.command_counts(), channel.take_trace())
    };
    let (fine, coarse) = (run(100), run(u64::MAX / 8));
    assert!(coarse.1[Command::RefAb] > 50);
    assert_eq!(coarse, fine);
}

/// A kernel that ends beyond the time of a simulation, and one that would meet more requests than are simulated.
#[test]
fn are_kernels_that_practically_never_end_refused_beside_requests() {
    let refused = |buffer: u64, rate: u64, kept: Option<usize>| {
        let slow = DeviceSpec { buffer_rate: Rate(buffer), ..device() };
        let program = attention(&slow, 128, &units(&[4_000; 20], 4));
        let traffic =
            Traffic { pattern: Pattern::Random, rate: Rate(rate), precedence: Precedence::requests(), seed: 1 };
        let mode = ExecutionMode::FastForward;
        DeviceKernel::hbm3_beside(&slow, &[&program], 16, (mode, kept), &traffic, NAMED)
            .map(|(kernel, _)| kernel.duration)
    };
    for kept in [None, Some(1_000)] {
        for rate in [1, 1_000_000_000] {
            assert_eq!(refused(1, rate, kept), Err(TrafficError::Endless));
        }
        let Err(TrafficError::TooMany { requests, most }) = refused(10_000, 1_000_000_000, kept) else { panic!() };
        assert!(requests > most);
        // Few requests over a long time are done.
        assert!(refused(10_000, 1, kept).unwrap().ps() > 1_000_000_000_000);
    }
    // A trace of long waits has no more refreshes than are wanted, and the run is as fast as without.
    let slow = DeviceSpec { buffer_rate: Rate(1), ..device() };
    let program = attention(&slow, 128, &units(&[1_000; 500], 4));
    let mut engine = Engine::new(&slow);
    engine.record_most(1_000);
    assert_eq!(engine.run(&program, 0).unwrap(), Engine::new(&slow).run(&program, 0).unwrap());
    assert!(engine.take_trace().len() < 10_000);
}
