//! Kernels against closed forms.

use host_gpu::{Driver, HostJob, JobDone, Kernel, Ports, Shared, Started, Stream, Tick, Worker};
use sim_core::{Rate, Request, Served, Signal, Simulation, Span, Tag, Time};

sim_core::system! {
    enum Node {
        Stream(Stream) accepts Signal | Started | Served,
        Worker(Worker) accepts Signal | Started | Served,
        Driver(Driver) accepts Signal | JobDone,
        Shared(Shared) accepts Request | Tick,
    }
    enum Message { Signal(Signal), Started(Started), Served(Served), Request(Request), Tick(Tick), JobDone(JobDone) }
}

/// One GB/s and 1 TFLOP/s: a byte a nanosecond, an operation a picosecond.
const MEMORY: Rate = Rate(1_000_000_000);
const CORES: Rate = Rate(1_000_000_000_000);
const START: Time = Time::from_us(1);

fn kernel(kind: &'static str, bytes: u64, operations: u64) -> Kernel {
    Kernel { kind, tag: Tag::default(), bytes, operations, bandwidth_cap: None }
}

/// Runs the kernels of each stream one after the other, the streams side by side, and gives (kind, start, end).
fn run(streams: Vec<Vec<Kernel>>) -> Vec<(&'static str, Time, Time)> {
    let mut simulation = Simulation::<Node>::new(1);
    let memory = simulation.add("memory", Shared::new(MEMORY));
    let cores = simulation.add("cores", Shared::new(CORES));
    for (index, kernels) in streams.into_iter().enumerate() {
        let key = simulation.reserve::<Stream>(format!("stream{index}"));
        let ports =
            Ports { memory: memory.port(Time::ZERO), cores: cores.port(Time::ZERO), reply: key.port(Time::ZERO) };
        let mut stream = Stream::new(START, ports);
        for (task, kernel) in kernels.into_iter().enumerate() {
            stream.board_mut().add(kernel);
            stream.board_mut().expect(task as u32);
            if task > 0 {
                stream.board_mut().tell(task as u32 - 1, key.port(Time::ZERO), task as u32);
            }
        }
        simulation.place(key, stream);
        let first = Signal { task: 0, cause: None, latency: Time::ZERO };
        simulation.start(key.port(Time::ZERO), Time::ZERO, first);
    }
    simulation.run().unwrap();
    let spans = simulation.take_spans().into_sorted();
    spans.iter().map(|span: &Span| (span.kind, span.start, span.end)).collect()
}

#[test]
fn a_kernel_takes_its_start_cost_and_the_longer_of_bytes_and_operations() {
    let us = Time::from_us;
    assert_eq!(run(vec![vec![kernel("bytes", 5_000, 3_000_000)]]), [("bytes", us(0), us(6))]);
    assert_eq!(run(vec![vec![kernel("operations", 2_000, 3_000_000)]]), [("operations", us(0), us(4))]);
    assert_eq!(run(vec![vec![kernel("nothing", 0, 0)]]), [("nothing", us(0), us(1))]);
}

#[test]
fn kernels_of_one_stream_run_one_after_the_other() {
    let us = Time::from_us;
    let spans = run(vec![vec![kernel("first", 5_000, 0), kernel("second", 2_000, 0)]]);
    assert_eq!(spans, [("first", us(0), us(6)), ("second", us(6), us(9))]);
}

#[test]
fn kernels_of_two_streams_share_the_memory() {
    let us = Time::from_us;
    let spans = run(vec![vec![kernel("long", 5_000, 0)], vec![kernel("short", 2_000, 0)]]);
    // Both at half the rate until the short one is done at 1 + 4 us; the long one then has 3 us left.
    assert_eq!(spans, [("short", us(0), us(5)), ("long", us(0), us(8))]);
}

#[test]
fn a_capped_kernel_reads_no_faster_than_its_cap() {
    let capped = Kernel { bandwidth_cap: Some(Rate(500_000_000)), ..kernel("attention", 2_000, 0) };
    assert_eq!(run(vec![vec![capped]]), [("attention", Time::ZERO, Time::from_us(5))]);
}

#[test]
fn a_driver_does_one_job_after_the_other() {
    let mut simulation = Simulation::<Node>::new(1);
    let key = simulation.reserve::<Driver>("driver");
    let mut driver = Driver::default();
    for kind in ["launch", "launch", "token"] {
        let duration = if kind == "token" { Time::ZERO } else { Time::from_us(2) };
        let task = driver.board_mut().add(HostJob { kind, tag: Tag::default(), duration });
        driver.board_mut().expect(task);
        let signal = Signal { task, cause: None, latency: Time::ZERO };
        simulation.start(key.port(Time::ZERO), Time::ZERO, signal);
    }
    simulation.place(key, driver);
    assert_eq!(simulation.run(), Ok(Time::from_us(4)));
    let spans = simulation.take_spans().into_sorted();
    let seen: Vec<_> = spans.iter().map(|span| (span.kind, span.end, span.held_by.map(|id| id.number))).collect();
    let us = Time::from_us;
    assert_eq!(seen, [("launch", us(2), None), ("launch", us(4), Some(0)), ("token", us(4), Some(1))]);
}
