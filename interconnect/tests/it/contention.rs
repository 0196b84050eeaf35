//! Transfers that meet.

use sim_core::{Rate, Time};

use crate::system::{Bench, Order, RATE};

fn order(engine: usize, to_gpu: bool, bytes: u64) -> Order {
    Order { engine, to_gpu, pull: to_gpu, bytes, copies: 1 }
}

/// Bytes per nanosecond of all orders together.
fn rate(bench: Bench, orders: &[Order]) -> f64 {
    let bytes: u64 = orders.iter().map(|order| order.bytes).sum();
    bytes as f64 * 1_000.0 / bench.run(orders).end.ps() as f64
}

#[track_caller]
fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 0.02 * expected, "{found} instead of {expected}");
}

#[test]
fn two_engines_share_one_direction() {
    let done = Bench::default().run(&[order(0, false, 10_000_000), order(1, false, 10_000_000)]);
    near(done.end.ps() as f64, 20_000_000.0 * 1_000.0);
    // Neither gets ahead of the other by more than what an engine keeps under way.
    let (first, last) = (done.spans[0].1, done.spans[1].1);
    assert!(last.since(first) <= RATE.time_for(Bench::default().window), "{first} {last}");
}

#[test]
fn directions_do_not_disturb_each_other() {
    near(rate(Bench::default(), &[order(0, false, 10_000_000), order(1, true, 10_000_000)]), 2.0);
}

#[test]
fn a_host_port_is_shared_by_both_directions() {
    let bench = Bench { port: Some(Rate(RATE.0 * 3 / 2)), ..Bench::default() };
    near(rate(bench, &[order(0, false, 10_000_000)]), 1.0);
    near(rate(bench, &[order(0, false, 10_000_000), order(1, true, 10_000_000)]), 1.5);
}

#[test]
fn an_engine_does_one_job_after_the_other() {
    let done = Bench::default().run(&[order(0, false, 1_000_000), order(0, false, 1_000_000)]);
    assert_eq!(done.spans[0].1, done.spans[1].0);
}

#[test]
fn law_7_more_bandwidth_never_takes_longer() {
    let orders = [order(0, false, 3_000_000), order(1, true, 2_000_000), order(2, true, 700_000)];
    let mut last = Time::MAX;
    for percent in [100, 110, 130, 170, 250, 400] {
        let mut bench = Bench { port: Some(Rate(RATE.0 * 3 / 2)), ..Bench::default() };
        bench.link.rate = Rate(RATE.0 * percent / 100);
        let end = bench.run(&orders).end;
        assert!(end <= last, "{percent} %: {end} after {last}");
        last = end;
    }
}
