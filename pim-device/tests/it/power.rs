//! A power limit in watts per stack: rules between commands that follow from what each takes.

use pim_device::{
    AttentionUnit, Command, DeviceSpec, Energy, Engine, ExecutionMode, GqaPolicy, Issued, PowerBudget, attention,
};
use proptest::prelude::*;

use crate::audit::audit;
use crate::common::{device, trace, units};
use crate::random::Draw;

fn limited(name: &str, watts: u64) -> DeviceSpec {
    let device = DeviceSpec::by_name(name).unwrap();
    DeviceSpec { power: Some(PowerBudget { stack: watts * 1_000_000, queries: 1 }), ..device }
}

/// Law 4 for power: in any window no stream takes more than its share of the power times the window, and one command.
fn power(device: &DeviceSpec, trace: &[Issued]) -> Vec<String> {
    let budget = device.power.unwrap();
    let (rows, moves) = budget.shares(device);
    let tck = u128::from(device.timing.clock.edge(sim_core::Cycles(1)).ps());
    let is_move = |command| matches!(command, Command::WrGb | Command::MvSb | Command::MvGb);
    let mut faults = Vec::new();
    for (moving, share) in [(false, rows), (true, moves)] {
        let taken: Vec<(u64, Energy)> = trace
            .iter()
            .filter(|issued| is_move(issued.command) == moving)
            .map(|issued| (issued.cycle, budget.of(device, issued.command)))
            .filter(|(_, energy)| *energy > Energy::default())
            .collect();
        for (first, window) in (0..taken.len()).map(|i| (i, &taken[i..taken.len().min(i + 300)])) {
            let mut sum = 0;
            for (place, (cycle, energy)) in window.iter().enumerate() {
                // uW times ps are 0.001 fJ. A cycle is 769 ps and the clock's edges are exact.
                let allowed = u128::from(share) * u128::from(cycle - window[0].0) * tck / 1_000;
                if sum > allowed {
                    faults.push(format!("{sum} fJ in {} cycles: commands {first} to {}", cycle - window[0].0, place));
                }
                sum += energy.0;
            }
        }
    }
    faults
}

#[track_caller]
fn check(device: &DeviceSpec, tokens: u64, query_heads: u32) -> u64 {
    let program = attention(device, 128, &units(&[tokens], query_heads));
    let (execution, trace) = trace(device, &program, 0);
    let mut faults = audit(device, &trace);
    faults.extend(power(device, &trace));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    execution.end
}

#[test]
fn less_power_is_slower_and_never_more_than_allowed() {
    for name in ["hbm3-pim-bank", "hbm3-pim-bg", "hbm3-pim-buffer"] {
        let free = DeviceSpec::by_name(name).unwrap();
        let free_end = trace(&free, &attention(&free, 128, &units(&[2_048], 2)), 0).0.end;
        let ends: Vec<u64> = [500, 60, 30, 12].map(|watts| check(&limited(name, watts), 2_048, 2)).to_vec();
        // Nothing takes 500 W; but commands of one stream that take energy are a cycle apart, where ACTPB and MACPB can be together.
        assert!(ends[0] == free_end || (name == "hbm3-pim-buffer" && ends[0] * 1_000 < free_end * 1_001), "{name}");
        assert!(ends.is_sorted(), "{name}: {ends:?}");
        assert!(ends[3] > ends[0], "{name}: {ends:?}");
    }
}

#[test]
fn the_gap_of_macs_is_their_energy_over_the_power() {
    // A MAC of the banks: 64 x 256 bit x 0.44 pJ and 1024 x 0.32 pJ are 7.5366 nJ. 20 W a stack leave 1.25 - 0.132 W a channel, 7/8
    // of that for rows: 0.97825 W. 7.704 ns are 10.02 cycles.
    let device = limited("hbm3-pim-bank", 20);
    let budget = device.power.unwrap();
    assert_eq!(budget.of(&device, Command::MacAb), Energy(7_536_640));
    assert_eq!(budget.shares(&device), (978_250, 139_750));
    let (_, trace) = trace(&device, &crate::common::rows(&device, 1, 32), 0);
    let macs: Vec<u64> = trace.iter().filter(|i| i.command == Command::MacAb).map(|i| i.cycle).collect();
    assert!(macs.windows(2).all(|pair| pair[1] - pair[0] == 11), "{macs:?}");
    // ACTAB: 64 x 8192 bit x 0.11 pJ are 57.67 nJ, 58.95 ns, 77 cycles.
    let opened = trace.iter().find(|i| i.command == Command::ActAb).unwrap().cycle;
    assert_eq!(macs[0] - opened, 77);
    // Four queries of a shared pass take four times the multiply-adds.
    let shared = DeviceSpec { gqa: GqaPolicy::SharedPass, power: Some(PowerBudget { queries: 4, ..budget }), ..device };
    assert_eq!(shared.power.unwrap().of(&shared, Command::MacAb), Energy(7_536_640 + 3 * 327_680));
}

#[test]
fn the_checker_sees_a_command_that_comes_too_early() {
    let device = limited("hbm3-pim-bank", 30);
    let program = attention(&device, 128, &units(&[2_048], 1));
    let (_, sound) = trace(&device, &program, 0);
    assert_eq!(power(&device, &sound), [""; 0]);
    for command in [Command::MacAb, Command::MvSb] {
        let caught = (0..sound.len()).filter(|&i| sound[i].command == command).any(|i| {
            let mut trace = sound.clone();
            trace[i].cycle -= 2;
            !power(&device, &trace).is_empty()
        });
        assert!(caught, "{command}");
    }
    // And a device without the limit breaks it.
    let free = DeviceSpec { power: None, ..device.clone() };
    assert!(!power(&device, &trace(&free, &program, 0).1).is_empty());
}

#[test]
fn the_least_power_still_refreshes_and_comes_to_an_end() {
    for name in ["hbm3-pim-bank", "hbm3-pim-bg", "hbm3-pim-buffer"] {
        let mut device = DeviceSpec::by_name(name).unwrap();
        let least = PowerBudget::least(&device);
        // Standby alone is 16 x 2 x 66 mW.
        assert!((2_112_000..6_000_000).contains(&least), "{name}: {least}");
        device.power = Some(PowerBudget { stack: least, queries: 1 });
        let _ = check(&device, 64, 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Law 3 under a limit; [`crate::oracle`] and [`crate::laws`] have random limits too.
    #[test]
    fn both_modes_of_execution_give_the_same(seed in any::<u64>()) {
        let mut draw = Draw(seed);
        let mut device = crate::random::device(&mut draw);
        let stack = PowerBudget::least(&device) + u64::from(draw.below(60_000)) * 1_000;
        device.power = Some(PowerBudget { stack, queries: draw.between(1, 4) });
        let list: Vec<AttentionUnit> = (0..draw.between(1, 3))
            .map(|_| AttentionUnit { tokens: u64::from(draw.between(1, 900)), query_heads: draw.between(1, 4) })
            .collect();
        let programs = [attention(&device, 128, &list), crate::random::program(&mut draw, &device, 2_000)];
        for program in &programs {
            let mut slow = Engine::new(&device).with_execution(ExecutionMode::CommandByCommand);
            let mut fast = Engine::new(&device);
            for arrival in [0, 7_000] {
                prop_assert_eq!(slow.run(program, arrival).unwrap(), fast.run(program, arrival).unwrap());
            }
        }
    }

    #[test]
    fn no_window_takes_more_than_its_power(seed in any::<u64>()) {
        let mut draw = Draw(seed);
        let mut device = device();
        device.pe = [pim_device::PeLevel::Bank, pim_device::PeLevel::BankGroup, pim_device::PeLevel::BufferDie][draw.below(3) as usize];
        // MACs of random programs serve up to three queries.
        let stack = PowerBudget::least(&device) + u64::from(draw.below(60_000)) * 1_000;
        device.power = Some(PowerBudget { stack, queries: 3 });
        let program = crate::random::program(&mut draw, &device, 1_500);
        let faults = power(&device, &trace(&device, &program, 0).1);
        prop_assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
}
