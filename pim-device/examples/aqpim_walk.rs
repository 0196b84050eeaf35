//! Every command of one small attention over a product-quantised cache, with what decided its cycle.
//!
//! ```text
//! cargo run --release -p pim-device --example aqpim_walk -- bank-group > validation/aqpim/golden/bank_group.csv
//! ```
//! The case: 4 sub-vectors of 4 elements, 16 centroids, 64 quantised tokens and 8 exact ones, one query head. The argument is
//! `bank-group`, `buffer` or `in-bank`; nothing else is read.

use std::process::ExitCode;

use pim_device::constraint::{JEDEC, RESULTS};
use pim_device::kernel::pq::{PqShape, PqUnit, attention};
use pim_device::{Command, DeviceSpec, Engine, Instruction, Issued, PqReduction};

pub(crate) const SHAPE: PqShape =
    PqShape { head_dim: 16, subvectors: 4, centroids: 16, index_bits: 4, sinks: 4, window: 4, book_tokens: 0 };
pub(crate) const UNIT: PqUnit = PqUnit { tokens: 72, query_heads: 1 };

fn main() -> ExitCode {
    let reduction = match std::env::args().nth(1).as_deref() {
        None | Some("bank-group") => PqReduction::BankGroup,
        Some("buffer") => PqReduction::Buffer,
        Some("in-bank") => PqReduction::InBank,
        Some(other) => {
            eprintln!("`{other}` is not bank-group, buffer or in-bank");
            return ExitCode::from(2);
        }
    };
    match walk(reduction) {
        Ok(lines) => {
            println!("{}", lines.join("\n"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// A heading and a line for each command.
pub(crate) fn walk(reduction: PqReduction) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut device = pim_device::device::hbm3_aqpim::device();
    if let Some(pq) = &mut device.pq {
        pq.reduction = reduction;
    }
    let program = attention(&device, &SHAPE, &[UNIT])?;
    let mut engine = Engine::new(&device);
    engine.record();
    engine.run(&program, 0)?;
    let trace = engine.take_trace();
    let operations = operations(program.move_stream());
    let mut lines = vec!["cycle,command,pch,rank,bg,bank,row,why".to_owned()];
    for (place, &Issued { cycle, command, address: at, .. }) in trace.iter().enumerate() {
        let row = if has_row(command) { at.row.to_string() } else { String::new() };
        let why = why(&device, &operations, &trace, place);
        let (pseudo_channel, rank, bank_group, bank) = (at.pseudo_channel, at.rank, at.bank_group, at.bank);
        lines.push(format!("{cycle},{command},{pseudo_channel},{rank},{bank_group},{bank},{row},{why}"));
    }
    Ok(lines)
}

/// Whether its row says something.
fn has_row(command: Command) -> bool {
    matches!(command, Command::ActAb | Command::MacAb | Command::Ret | Command::RdReg | Command::WrReg)
}

/// What a command waited for to the cycle: a constraint of the table, a result of the other stream, a register or buffer
/// that the other stream gave back, the command bus.
fn why(device: &DeviceSpec, operations: &[u64], trace: &[Issued], place: usize) -> String {
    let Issued { cycle, command, address, .. } = trace[place];
    let before = &trace[..place];
    let organisation = &device.organisation;
    for constraint in JEDEC.iter().filter(|constraint| constraint.following.contains(&command)) {
        let node = |issued: &Issued| organisation.node(constraint.level, issued.address);
        let here = organisation.node(constraint.level, address);
        let mut counted =
            before.iter().rev().filter(|issued| constraint.preceding.contains(&issued.command) && node(issued) == here);
        let Some(counted) = counted.nth(usize::from(constraint.window) - 1) else { continue };
        let latency = u64::from(constraint.latency.cycles(|parameter| device.cycles(parameter)));
        if latency > 0 && counted.cycle + latency == cycle {
            return format!("{} at {} + {}", counted.command, counted.cycle, sum(device, &constraint.latency));
        }
    }
    // The move stream is in order and sends one command in a cycle; the row stream has the bus first.
    let moves = |command: &Command| {
        use Command::{Bpe, MvBc, MvGb, MvSb, MvSum, Sfm, WrGb};
        [Bpe, MvBc, MvGb, MvSb, MvSum, Sfm, WrGb].contains(command)
    };
    let just_before = before.iter().rev().find(|issued| issued.cycle + 1 == cycle && moves(&issued.command));
    if let Some(issued) = just_before.filter(|_| moves(&command)) {
        return format!("in order behind {} at {}", issued.command, issued.cycle);
    }
    if let Some((at, (begun, done))) = buffer_done(device, operations, before).filter(|(_, (_, done))| *done == cycle) {
        return format!("{} at {} is done: begun at {begun} + {}", at.command, at.cycle, done - begun);
    }
    // A column command of the row stream right behind a move: a register that this has emptied.
    let row_stream = [Command::Ret, Command::RdReg, Command::MacAb].contains(&command);
    if let Some(issued) = just_before.filter(|_| row_stream) {
        return format!("a register is free: {} at {}", issued.command, issued.cycle);
    }
    for issued in before.iter().rev() {
        let line = RESULTS.iter().find(|(commands, _)| commands.contains(&issued.command));
        let Some((_, latency)) = line else { continue };
        if issued.cycle + u64::from(latency.cycles(|parameter| device.cycles(parameter))) == cycle {
            return format!("result of {} at {}: {}", issued.command, issued.cycle, sum(device, latency));
        }
    }
    let other = before.iter().rev().find(|issued| issued.cycle + 1 == cycle && moves(&command));
    match other {
        Some(issued) => format!("the column bus and a buffer are free: {} at {}", issued.command, issued.cycle),
        None if cycle == 0 => "begin".to_owned(),
        None => "?".to_owned(),
    }
}

/// What each operation of the BufferPE works on, in the order of the stream.
fn operations(code: &[Instruction]) -> Vec<u64> {
    let (mut all, mut place) = (Vec::new(), 0);
    while place < code.len() {
        match code[place] {
            Instruction::Loop { times, length } => {
                let end = place + 1 + length as usize;
                let body = operations(&code[place + 1..end]);
                all.extend((0..times).flat_map(|_| body.iter().copied()));
                place = end;
            }
            Instruction::Buffer { operations } => {
                all.push(operations);
                place += 1;
            }
            _ => place += 1,
        }
    }
    all
}

/// The last operation of the BufferPE, and when it began and was done: it begins when what was moved before has arrived and
/// the operation before is done.
fn buffer_done<'t>(device: &DeviceSpec, operations: &[u64], trace: &'t [Issued]) -> Option<(&'t Issued, (u64, u64))> {
    let (mut last, mut done) = (None, 0);
    let (mut arrived, mut operations) = (0, operations.iter());
    for issued in trace {
        let cycles = match issued.command {
            Command::MvSb | Command::MvSum => {
                let line = RESULTS.iter().find(|(commands, _)| commands.contains(&issued.command));
                let latency = line.map_or(0, |(_, latency)| latency.cycles(|parameter| device.cycles(parameter)));
                arrived = issued.cycle + u64::from(latency);
                continue;
            }
            Command::Bpe => device.buffer_cycles(operations.next().copied().unwrap_or(0)).0,
            Command::Sfm => device.softmax_cycles(UNIT.tokens).0,
            _ => continue,
        };
        let operands = if issued.command == Command::Bpe { arrived } else { 0 };
        let begun = issued.cycle.max(done).max(operands);
        done = begun + cycles.max(1);
        last = Some((issued, (begun, done)));
    }
    last
}

/// The parameters of a latency with their values.
fn sum(device: &DeviceSpec, latency: &pim_device::constraint::Latency) -> String {
    let mut parts: Vec<String> = latency
        .parameters
        .iter()
        .filter(|&&parameter| device.cycles(parameter) > 0)
        .map(|&parameter| format!("{} {}", parameter.name(), device.cycles(parameter)))
        .collect();
    if latency.cycles > 0 {
        parts.push(latency.cycles.to_string());
    }
    parts.join(" + ")
}
