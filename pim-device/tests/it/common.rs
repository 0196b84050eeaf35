//! Devices and programs that several tests use.

use pim_device::timing::hbm3;
use pim_device::{AttentionUnit, DeviceSpec, Engine, Execution, Instruction, Issued, PowerLimit, Program, attention};

pub(crate) fn device() -> DeviceSpec {
    DeviceSpec::hbm3_pim_bank()
}

pub(crate) fn without_power_limit() -> DeviceSpec {
    device().with_timing(hbm3::gbps_5_2(PowerLimit::Off))
}

pub(crate) fn units(tokens: &[u64], query_heads: u32) -> Vec<AttentionUnit> {
    let unit = |&tokens| AttentionUnit { tokens, query_heads };
    tokens.iter().map(unit).collect()
}

/// `rows` rows of `macs` MACs.
pub(crate) fn rows(device: &DeviceSpec, rows: u32, macs: u32) -> Program {
    let body = [
        Instruction::Row(0),
        Instruction::Loop { times: rows, length: 3 },
        Instruction::Open(0),
        Instruction::Mac { set: 0, sets: 1, count: macs, queries: 1 },
        Instruction::Close(0),
    ];
    Program::new(device, body.to_vec(), Vec::new()).unwrap()
}

pub(crate) fn run(device: &DeviceSpec, program: &Program) -> Execution {
    Engine::new(device).run(program, 0).unwrap()
}

pub(crate) fn trace(device: &DeviceSpec, program: &Program, arrival: u64) -> (Execution, Vec<Issued>) {
    let mut engine = Engine::new(device);
    engine.record();
    let execution = engine.run(program, arrival).unwrap();
    (execution, engine.take_trace())
}

pub(crate) fn attend(device: &DeviceSpec, tokens: u64, query_heads: u32) -> Execution {
    run(device, &attention(device, 128, &units(&[tokens], query_heads)))
}
