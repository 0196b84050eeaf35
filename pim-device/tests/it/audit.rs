//! An independent checker: replays issued commands against the constraint table, the buses, the state of the banks and
//! the rules of refresh. It keeps the whole history of each node and shares no code with the engine but the table.

use std::collections::BTreeMap;

use pim_device::command::Bus;
use pim_device::{Command, DeviceSpec, Issued, Level, Parameter, attention};

use crate::common::{device, rows, trace, units};

/// Every violation, in words.
pub(crate) fn audit(device: &DeviceSpec, trace: &[Issued]) -> Vec<String> {
    let mut faults = constraints(device, trace);
    faults.extend(buses(trace));
    faults.extend(banks(device, trace));
    faults.extend(refreshes(device, trace));
    faults.extend(bandwidth(device, trace));
    faults
}

fn constraints(device: &DeviceSpec, trace: &[Issued]) -> Vec<String> {
    let mut faults = Vec::new();
    for constraint in device.constraints() {
        let least = u64::from(constraint.latency.cycles(|parameter| device.cycles(parameter)));
        let mut history: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        for issued in trace {
            let node = device.organisation.node(constraint.level, issued.address);
            let before = history.entry(node).or_default();
            if constraint.following.contains(&issued.command) {
                let window = usize::from(constraint.window);
                let counted = before.len().checked_sub(window).map(|place| before[place]);
                if let Some(from) = counted.filter(|from| issued.cycle < from + least) {
                    faults.push(format!(
                        "{} at {} is {} after {:?}, not {least}",
                        issued.command,
                        issued.cycle,
                        issued.cycle - from,
                        constraint.preceding
                    ));
                }
            }
            if constraint.preceding.contains(&issued.command) {
                before.push(issued.cycle);
            }
        }
    }
    faults
}

fn buses(trace: &[Issued]) -> Vec<String> {
    let mut faults = Vec::new();
    for bus in [Bus::Row, Bus::Column] {
        let on_bus: Vec<_> = trace.iter().filter(|issued| issued.command.bus() == bus).collect();
        for pair in on_bus.windows(2) {
            if pair[0].cycle >= pair[1].cycle {
                faults.push(format!("{} and {} share cycle {}", pair[0].command, pair[1].command, pair[1].cycle));
            }
        }
    }
    faults
}

fn banks(device: &DeviceSpec, trace: &[Issued]) -> Vec<String> {
    let organisation = &device.organisation;
    let mut open: Vec<Option<u32>> = vec![None; organisation.banks_per_channel() as usize];
    let mut faults = Vec::new();
    for issued in trace {
        let row = Some(issued.address.row);
        let at = issued.address;
        // The banks that a command works on.
        let works_on = |bank: usize| {
            let own = organisation.node(Level::Bank, at) as usize;
            match issued.command {
                Command::Act | Command::Pre | Command::Wr | Command::Rd => bank == own,
                // The bank of one index of every bank group.
                Command::ActSb | Command::MacSb | Command::PreSb => bank % organisation.banks as usize == own,
                // One bank of each pseudo-channel.
                Command::ActPb | Command::MacPb | Command::PrePb => bank % (open.len() / 2) == own,
                _ => true,
            }
        };
        let banks: Vec<usize> = (0..open.len()).filter(|&bank| works_on(bank)).collect();
        let closed = banks.iter().all(|&bank| open[bank].is_none());
        let fits = match issued.command {
            Command::ActAb | Command::ActSb | Command::ActPb | Command::Act | Command::RefAb | Command::SetM => closed,
            Command::MacAb
            | Command::MacSb
            | Command::MacPb
            | Command::Wr
            | Command::Rd
            | Command::Ret
            | Command::RdReg
            | Command::WrReg => banks.iter().all(|&bank| open[bank] == row),
            _ => true,
        };
        if !fits {
            faults.push(format!("{} at {} finds other rows open", issued.command, issued.cycle));
        }
        let after = match issued.command {
            Command::ActAb | Command::ActSb | Command::ActPb | Command::Act => row,
            Command::PreA | Command::PreSb | Command::PrePb | Command::Pre => None,
            _ => continue,
        };
        for bank in banks {
            open[bank] = after;
        }
    }
    faults
}

fn refreshes(device: &DeviceSpec, trace: &[Issued]) -> Vec<String> {
    let interval = u64::from(device.timing.get(Parameter::Refi));
    let mut faults = Vec::new();
    let mut due = interval;
    for issued in trace {
        match issued.command {
            Command::RefAb if issued.cycle < due => {
                faults.push(format!("a refresh at {} was due only at {due}", issued.cycle));
            }
            Command::RefAb => due += interval,
            Command::PreA | Command::Pre | Command::PreSb | Command::PrePb => {}
            other if issued.cycle >= due + 8 * interval => {
                faults.push(format!("{other} at {} while a refresh was due at {due}", issued.cycle));
            }
            _ => {}
        }
    }
    faults
}

/// Law 4: in any window of n gaps no more than n MACs, or look-ups and reads into registers, are issued.
fn bandwidth(device: &DeviceSpec, trace: &[Issued]) -> Vec<String> {
    let commands = device.pe.commands();
    let gap = u64::from(device.timing.get(commands.gap));
    let reading = [commands.mac, Command::Ret, Command::RdReg];
    let macs: Vec<u64> =
        trace.iter().filter(|issued| reading.contains(&issued.command)).map(|issued| issued.cycle).collect();
    let mut faults = Vec::new();
    for gaps in [1, 2, 32, 1_000] {
        for window in macs.windows(gaps + 1) {
            if window[gaps] - window[0] < gaps as u64 * gap {
                faults.push(format!("{} MACs within {gaps} gaps from {}", gaps + 1, window[0]));
            }
        }
    }
    faults
}

#[track_caller]
fn check(device: &DeviceSpec, tokens: &[u64], query_heads: u32, head_dim: u32, arrival: u64) {
    let program = attention(device, head_dim, &units(tokens, query_heads));
    let (_, trace) = trace(device, &program, arrival);
    let faults = audit(device, &trace);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn attention_keeps_every_constraint() {
    let mut devices = vec![device(), crate::common::without_power_limit()];
    let mut staggered = device();
    staggered.multi_bank_activation = pim_device::MultiBankActivation::Staggered;
    let mut shared = device();
    shared.gqa = pim_device::GqaPolicy::SharedPass;
    devices.extend([staggered, shared]);
    for name in ["hbm3-pim-bg", "hbm3-pim-buffer"] {
        let mut staggered = DeviceSpec::by_name(name).unwrap();
        devices.push(staggered.clone());
        staggered.multi_bank_activation = pim_device::MultiBankActivation::Staggered;
        devices.push(staggered);
    }
    for device in &devices {
        check(device, &[2_048], 1, 128, 0);
        check(device, &[1, 17, 4_097], 4, 128, 4_000);
        check(device, &[1_000, 300], 2, 64, 5_070 + 100);
        check(device, &[500], 3, 192, 12_345);
        check(device, &[300, 40], 8, 256, 77);
    }
}

#[test]
fn the_checker_sees_a_command_that_comes_a_cycle_early() {
    let program = attention(&device(), 128, &units(&[2_048], 2));
    let (_, sound) = trace(&device(), &program, 0);
    let mut seen = 0;
    for command in Command::ALL {
        // A command that stands right behind what it waits for: its first issue that is caught.
        let caught = (0..sound.len()).filter(|&i| sound[i].command == command).any(|i| {
            let mut trace = sound.clone();
            trace[i].cycle = trace[i].cycle.saturating_sub(1);
            trace.sort_by_key(|issued| (issued.cycle, issued.command.bus() == Bus::Column));
            !audit(&device(), &trace).is_empty()
        });
        seen += usize::from(caught);
    }
    // ACTAB MACAB PREA MVSB MVGB SFM WRGB SETM ACT WR PRE REFab.
    assert_eq!(seen, 12);
}

#[test]
fn the_checker_sees_a_missing_activation() {
    let (_, mut trace) = trace(&device(), &rows(&device(), 4, 32), 0);
    let place = trace.iter().rposition(|issued| issued.command == Command::ActAb);
    trace.remove(place.unwrap());
    assert!(!audit(&device(), &trace).is_empty());
}
