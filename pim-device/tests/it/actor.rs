//! The controller as an actor of a system.

use std::sync::Arc;

use pim_device::{
    Command, Controller, DeviceSpec, Engine, ExecutionMode, Instruction, Program, ProgramDone, ProgramTask, attention,
    kernel::attention::AttentionUnit,
};
use sim_core::{Category, Cycles, End, Limits, Signal, Simulation, SimulationError, Tag, Time};

sim_core::system! {
    /// One channel.
    enum Node { Controller(Controller) accepts Signal | ProgramDone }
    /// Its messages.
    enum Message { Signal(Signal), ProgramDone(ProgramDone) }
}

const COPIES: u32 = 16;

fn signal(task: u32) -> Signal {
    Signal { task, cause: None, latency: Time::ZERO }
}

/// A channel with the attention of `programs`, which all become ready at `ready`.
fn system(programs: &[&[AttentionUnit]], ready: Time) -> (Simulation<Node>, DeviceSpec) {
    let device = DeviceSpec::hbm3_pim_bank();
    let programs = programs.iter().map(|units| attention(&device, 128, units)).collect();
    (executing(ExecutionMode::default(), programs, ready), device)
}

/// A channel with programs that are executed so.
fn executing(mode: ExecutionMode, programs: Vec<Program>, ready: Time) -> Simulation<Node> {
    let device = Arc::new(DeviceSpec::hbm3_pim_bank());
    let mut controller = Controller::new(device, COPIES).with_execution(mode);
    let count = programs.len();
    for program in programs {
        let work = ProgramTask { program: Arc::new(program), kind: "attention", tag: Tag::default() };
        let task = controller.board_mut().add(work);
        controller.board_mut().expect(task);
    }
    let mut simulation = Simulation::new(1);
    let key = simulation.add("pim", controller);
    for task in 0..count {
        simulation.start(key.port::<Signal>(Time::ZERO), ready, signal(task as u32));
    }
    simulation
}

const UNIT: AttentionUnit = AttentionUnit { tokens: 2_048, query_heads: 4 };

#[test]
fn two_programs_run_back_to_back() {
    let (mut simulation, device) = system(&[&[UNIT], &[UNIT, UNIT]], Time::from_ns(1_000));
    let end = simulation.run().unwrap();

    let clock = device.timing.clock;
    let mut engine = Engine::new(&device);
    let first_program = attention(&device, 128, &[UNIT]);
    let second_program = attention(&device, 128, &[UNIT, UNIT]);
    let first = engine.run(&first_program, clock.cycle_at_or_after(Time::from_ns(1_000)).0).unwrap();
    let second = engine.run(&second_program, first.end).unwrap();
    assert_eq!(end, clock.edge(Cycles(second.end)));

    let meters = simulation.meters();
    let (name, meter) = &meters[0];
    assert_eq!(name, "pim");
    let bytes = (first_program.bytes_read() + second_program.bytes_read()) * u64::from(COPIES);
    assert_eq!(meter.amount, bytes);
    assert_eq!(meter.busy, end.since(Time::from_ns(1_000)));
    let utilisation = meter.utilisation(meter.busy);
    assert!((0.6..0.8).contains(&utilisation), "{utilisation}");

    let spans = simulation.take_spans().into_sorted();
    assert_eq!(spans.len(), 2);
    assert_eq!(spans[0].category, Category::ComputePim);
    assert_eq!(spans[0].end, spans[1].start);
    assert_eq!((spans[0].held_by, spans[1].held_by), (None, Some(spans[0].id)));
    assert_eq!(spans[1].ready, Time::from_ns(1_000));
    assert_eq!(spans[0].operations, first_program.operations() * u64::from(COPIES));
    // nRP + nMOD into PIM mode and nMOD back.
    assert_eq!(spans[0].launch, clock.edge(Cycles(19 + 20 + 20)));
}

/// A program that is executed while it runs is stopped as one that is executed before.
#[test]
fn however_a_program_is_executed_a_stopped_run_is_the_same() {
    let ready = Time::from_ns(1_000);
    let begun = |mode| {
        let device = DeviceSpec::hbm3_pim_bank();
        executing(mode, [&[UNIT][..], &[UNIT, UNIT]].map(|units| attention(&device, 128, units)).into(), ready)
    };
    let end = begun(ExecutionMode::default()).run().unwrap();
    let stopped = |mode, at| {
        let mut simulation = begun(mode);
        let ended = simulation.run_with(&Limits { until: Some(at), ..Limits::default() }, &mut |_| ()).unwrap();
        assert!(matches!(ended, End::Stopped { .. }), "{ended:?}");
        let [Node::Controller(controller)] = simulation.nodes().collect::<Vec<_>>()[..] else { panic!() };
        let counts = controller.command_counts_until(at);
        let meters = simulation.meters_at(at);
        // It can go on.
        assert_eq!(simulation.run(), Ok(end));
        let spans = simulation.take_spans();
        (counts, format!("{meters:?}"), spans.into_sorted())
    };
    for part in 0..40 {
        let at = ready + Time::from_ps((end - ready).ps() * part / 40);
        let [fast, single] =
            [ExecutionMode::FastForward, ExecutionMode::CommandByCommand].map(|mode| stopped(mode, at));
        assert_eq!(fast, single, "until {at}");
    }
}

/// The open span of a stopped run knows its launch.
#[test]
fn an_open_span_has_its_launch() {
    let device = DeviceSpec::hbm3_pim_bank();
    let open = |mode| {
        let mut simulation = executing(mode, vec![attention(&device, 128, &[UNIT])], Time::ZERO);
        simulation.run_with(&Limits { until: Some(Time::from_ns(50)), ..Limits::default() }, &mut |_| ()).unwrap();
        simulation.take_spans().unfinished().to_vec()
    };
    let [fast, single] = [ExecutionMode::FastForward, ExecutionMode::CommandByCommand].map(open);
    assert_eq!(fast, single);
    assert!(single[0].launch > Time::ZERO, "{single:?}");
}

#[test]
fn law_4_a_program_that_leaves_a_row_open_stops_the_run_however_it_is_executed() {
    let device = DeviceSpec::hbm3_pim_bank();
    let mac = Instruction::Mac { set: 0, sets: 1, count: 2_000, queries: 1 };
    let program = Program::new(&device, vec![Instruction::Mode, Instruction::OpenAt(7), mac], Vec::new()).unwrap();
    for mode in [ExecutionMode::FastForward, ExecutionMode::CommandByCommand] {
        let mut simulation = executing(mode, vec![program.clone()], Time::ZERO);
        // A stop in its midst does not hide it.
        let limits = Limits { until: Some(Time::from_ns(50)), ..Limits::default() };
        let error = simulation.run_with(&limits, &mut |_| ()).and_then(|_| simulation.run()).unwrap_err();
        assert!(matches!(error, SimulationError::LawBroken { law: 4, .. }), "{error}");
        assert!(error.to_string().contains("cannot be run"), "{error}");
    }
}

#[test]
fn an_empty_program_takes_no_time() {
    let (mut simulation, _) = system(&[&[]], Time::from_ps(1_001));
    assert_eq!(simulation.run().unwrap(), Time::from_ps(1_001));
}

#[test]
fn the_energy_of_a_stack_is_the_sum_of_its_parts() {
    let device = DeviceSpec::hbm3_pim_bank();
    let program = attention(&device, 128, &[UNIT]);
    let counts = program.commands();
    let energy = pim_device::energy::energy(&device, &counts);
    // By hand, in pJ: 64 pages of 8192 bit, 64 granules of 256 bit, moves of two granules; see energy.rs.
    let moved = 256.0 * (1.01 + 1.23 + 0.5);
    let count = |command| counts[command] as f64;
    let expected = count(Command::ActAb) * 64.0 * 8_192.0 * 0.11
        + count(Command::Act) * 8_192.0 * 0.11
        + count(Command::MacAb) * 64.0 * (256.0 * 0.44 + 16.0 * 0.32)
        + count(Command::Wr) * (moved + 256.0 * 0.44)
        + (count(Command::WrGb) + count(Command::MvSb) + count(Command::MvGb)) * 2.0 * moved;
    assert!((energy.pj() / expected - 1.0).abs() < 1e-9, "{energy} {expected}");
}
