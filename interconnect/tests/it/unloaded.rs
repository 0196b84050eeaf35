//! One transfer alone: fixed cost + latency + size over bandwidth, nothing else.

use interconnect::{Framing, LinkSpec, protocol::pcie::Packets};
use sim_core::{Rate, Time};

use crate::system::{Bench, Order, RATE};

const PUSH: Order = Order { engine: 0, to_gpu: false, pull: false, bytes: 100_000, copies: 1 };

#[track_caller]
fn check(bench: Bench, order: Order, expected_ns: u64) {
    assert_eq!(bench.run(&[order]).end, Time::from_ns(expected_ns));
}

#[test]
fn a_push_takes_its_set_up_the_latency_and_its_bytes() {
    check(Bench::default(), PUSH, 2_000 + 500 + 100_000);
    check(Bench::default(), Order { bytes: 1, ..PUSH }, 2_000 + 500 + 1);
    check(Bench::default(), Order { bytes: 0, ..PUSH }, 2_000);
}

#[test]
fn a_pull_takes_the_latency_twice() {
    check(Bench::default(), Order { to_gpu: true, pull: true, ..PUSH }, 2_000 + 500 + 500 + 100_000);
}

#[test]
fn chunks_cut_through_a_second_stage() {
    // The host port at twice the rate passes each chunk on as it comes: no time is added but that of nothing.
    let bench = Bench { port: Some(Rate(2 * RATE.0)), ..Bench::default() };
    check(bench, PUSH, 2_000 + 500 + 100_000);
}

#[test]
fn a_slower_second_stage_sets_the_pace() {
    let bench = Bench { port: Some(Rate(RATE.0 / 2)), ..Bench::default() };
    check(bench, PUSH, 2_000 + 500 + 200_000);
}

#[test]
fn memories_add_one_chunk_at_each_end() {
    // At ten times the link's rate: the first chunk is read and the last one written while the link stands still.
    let bench = Bench { memory: Some(Rate(10 * RATE.0)), chunk: 10_000, ..Bench::default() };
    check(bench, PUSH, 2_000 + 1_000 + 500 + 100_000 + 1_000);
}

#[test]
fn headers_take_their_share_of_the_wire() {
    let link = LinkSpec { framing: Framing::Pcie(Packets::USUAL), ..Bench::default().link };
    let bench = Bench { link, ..Bench::default() };
    check(bench, Order { bytes: 256_000, ..PUSH }, 2_000 + 500 + 256_000 + 1_000 * 24);
}

#[test]
fn each_copy_of_a_job_pays_its_set_up() {
    // The next copy is set up as soon as the one before has sent its last chunk, so of four set-ups only the first
    // and those parts that the link does not hide are seen: a copy of 100 ns is sent within a set-up.
    check(Bench::default(), Order { bytes: 400, copies: 4, ..PUSH }, 4 * 2_000 + 500 + 100);
    let one = Bench::default().run(&[Order { bytes: 4_000_000, copies: 1, ..PUSH }]).end;
    let four = Bench::default().run(&[Order { bytes: 4_000_000, copies: 4, ..PUSH }]).end;
    assert!(one <= four && four <= one + Time::from_us(6), "{one} {four}");
}

#[test]
fn a_window_of_one_chunk_waits_for_every_chunk() {
    // 62 chunks of at most 16 KiB, each read by request: two latencies and its bytes before the next is asked for.
    let bench = Bench { window: 1, chunk: 50_000, ..Bench::default() };
    check(bench, Order { to_gpu: true, pull: true, bytes: 1_000_000, ..PUSH }, 2_000 + 62 * 1_000 + 1_000_000);
}

#[test]
fn a_stream_reaches_the_peak_and_never_more() {
    let done = Bench::default().run(&[Order { bytes: 50_000_000, ..PUSH }]);
    let (_, meter) = done.meters.iter().find(|(name, _)| name == "gpu->host").unwrap();
    assert_eq!(meter.amount, 50_000_000);
    assert_eq!(meter.busy, Time::from_ns(50_000_000));
    let utilisation = meter.utilisation(done.end);
    assert!(utilisation > 0.9999 && utilisation <= 1.0, "{utilisation}");
}
