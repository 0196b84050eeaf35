//! Random transfers: what goes in comes out, and no wire carries more than its rate.

use proptest::prelude::*;
use sim_core::{Rate, Time};

use crate::system::{Bench, Order, RATE};

fn orders() -> impl Strategy<Value = Vec<Order>> {
    let order = (0_usize..3, any::<bool>(), any::<bool>(), 0_u64..3_000_000, 1_u32..5);
    let order = order.prop_map(|(engine, to_gpu, pull, bytes, copies)| Order { engine, to_gpu, pull, bytes, copies });
    prop::collection::vec(order, 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn law_4_bytes_are_kept_and_rates_are_not_exceeded(
        orders in orders(),
        port in prop::option::of(1_u64..4),
        memory in prop::option::of(1_u64..6),
        window in 1_u64..(4 << 20),
    ) {
        let bench = Bench {
            port: port.map(|half| Rate(half * RATE.0 / 2)),
            memory: memory.map(|times| Rate(times * RATE.0)),
            window,
            ..Bench::default()
        };
        let done = bench.run(&orders);
        prop_assert_eq!(done.spans.len(), orders.len());
        let sum = |to_gpu| orders.iter().filter(|order| order.to_gpu == to_gpu).map(|order| order.bytes).sum::<u64>();
        for (name, meter) in &done.meters {
            // A plain link has no headers, so its wire carries what was ordered.
            let expected = match name.as_str() {
                "port->gpu" | "host->gpu" => sum(true),
                "gpu->port" | "gpu->host" => sum(false),
                _ => sum(true) + sum(false),
            };
            prop_assert_eq!(meter.amount, expected, "{}", name);
            prop_assert!(meter.busy <= done.end && meter.peak.time_for(meter.amount) <= meter.busy + Time::from_us(1));
        }
    }
}
