//! A kernel and ordinary requests on the same channels: `DeviceKernel::hbm3_beside`.

use pim_device::controller::mixed::Precedence;
use pim_device::dram::traffic::Pattern;
use pim_device::kernel::gemv::{Gemv, gemv};
use pim_device::{Command, DeviceKernel, DeviceSpec, ExecutionMode, Program, Served, Traffic};
use sim_core::{Rate, Tag};

const NAMED: (&str, Tag) = ("gemv", Tag { step: 1, layer: None });

fn product(device: &DeviceSpec) -> Program {
    gemv(device, &Gemv { outputs: 256, inputs: 1_024, first_row: 0 })
}

fn beside(device: &DeviceSpec, times: usize, rate: u64, precedence: Precedence) -> (DeviceKernel, [Served; 2]) {
    let program = product(device);
    let traffic = Traffic { pattern: Pattern::Random, rate: Rate(rate), precedence, seed: 7 };
    let mode = ExecutionMode::FastForward;
    DeviceKernel::hbm3_beside(device, &vec![&program; times], 16, (mode, None), &traffic, NAMED).unwrap()
}

fn alone(device: &DeviceSpec, times: usize) -> DeviceKernel {
    let program = product(device);
    DeviceKernel::hbm3(device, &vec![&program; times], 16, (ExecutionMode::FastForward, None), NAMED).unwrap()
}

#[test]
fn a_kernel_that_goes_first_takes_as_long_as_alone() {
    let device = DeviceSpec::hbm3_pim_bank();
    let alone = alone(&device, 20);
    for rate in [1_000_000, 10_000_000_000] {
        let (kernel, [served, without]) = beside(&device, 20, rate, Precedence::Program);
        assert!(kernel.duration.ps().abs_diff(alone.duration.ps()) <= 2 * 769, "{kernel:?} {alone:?}");
        assert_eq!(kernel.operations, alone.operations);
        assert_eq!(kernel.commands[Command::MacAb], alone.commands[Command::MacAb]);
        assert_eq!(kernel.commands[Command::Rd], 16 * served.requests);
        // One for each 32 B of the rate, the first at the begin.
        let expected = u128::from(kernel.duration.ps()) * u128::from(rate) / 32 / 1_000_000_000_000;
        assert!(u128::from(served.requests).abs_diff(expected) <= 1, "{served:?} {expected}");
        assert_eq!(served.in_time, 0);
        assert_eq!(without.requests, served.requests);
        assert!(without.longest < served.mean && served.mean <= served.most && served.most <= served.longest);
    }
}

#[test]
fn requests_that_go_first_hold_up_the_kernel_between_its_programs() {
    let device = DeviceSpec::hbm3_pim_bank();
    let (rate, times) = (10_000_000_000, 20);
    let (last, _) = beside(&device, times, rate, Precedence::Program);
    let mut before = last.duration;
    for most in [1, 8, 32] {
        let (kernel, [served, _]) = beside(&device, times, rate, Precedence::Requests { most: Some(most) });
        assert!(kernel.duration > before, "{most}: {} {before}", kernel.duration);
        // So many before each program, as long as there are any.
        assert!(served.in_time <= u64::from(most) * times as u64, "{served:?}");
        assert!(served.in_time >= u64::from(most) * (times as u64 - 1) / 2, "{served:?}");
        before = kernel.duration;
    }
}

#[test]
fn more_than_the_channel_can_serve_waits_longer_and_longer() {
    let device = DeviceSpec::hbm3_pim_bank();
    let (_, [_, fast]) = beside(&device, 20, 10_000_000_000, Precedence::Program);
    let (_, [_, flooded]) = beside(&device, 20, 100_000_000_000, Precedence::Program);
    assert!(flooded.longest.ps() > 20 * fast.longest.ps(), "{flooded:?} {fast:?}");
}

/// The commands of both are kept, and are as many as are counted.
#[test]
fn commands_of_both_are_kept() {
    let device = DeviceSpec::hbm3_pim_bank();
    let program = product(&device);
    let traffic =
        Traffic { pattern: Pattern::MixRandom, rate: Rate(1_000_000_000), precedence: Precedence::requests(), seed: 7 };
    let of = |kept| {
        let mode = (ExecutionMode::FastForward, kept);
        DeviceKernel::hbm3_beside(&device, &[&program; 4], 1, mode, &traffic, NAMED).unwrap().0
    };
    let (kept, plain) = (of(Some(usize::MAX)), of(None));
    assert_eq!(DeviceKernel { traced: None, ..kept.clone() }, plain);
    let traced = kept.traced.unwrap();
    assert_eq!((&traced.channels[..], traced.left_out), (&[vec![0]][..], 0));
    for command in [Command::Rd, Command::Wr, Command::Act, Command::MacAb, Command::ActAb] {
        let issued = traced.commands.iter().filter(|traced| traced.issued.command == command).count() as u64;
        assert!(issued > 0 && issued == kept.commands[command], "{command}");
    }
}
