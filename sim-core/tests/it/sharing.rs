//! Whatever comes and goes, a shared resource serves all of it and never more than its rate.

use proptest::prelude::*;
use sim_core::{FairShare, Rate, Time};

/// (arrival in ps, amount, cap).
type Arrival = (u64, u64, Option<u64>);

fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    let cap = prop::option::of(1_u64..2_000_000_000_000);
    prop::collection::vec((0_u64..50_000, 0_u64..100_000, cap), 1..24)
}

/// Runs the arrivals and gives each one's end, or `None` where a rule was broken on the way.
fn ends(capacity: Rate, mut arrivals: Vec<Arrival>) -> Option<Vec<(usize, Time)>> {
    arrivals.sort_unstable();
    let mut pool = FairShare::new(capacity);
    let mut ends = Vec::new();
    let mut next = 0;
    loop {
        let finish = pool.next_finish();
        let arrival = arrivals.get(next).map(|(at, ..)| Time::from_ps(*at));
        match (arrival, finish) {
            (Some(at), finish) if finish.is_none_or(|finish| at < finish) => {
                let (_, amount, cap) = arrivals[next];
                pool.add(at, next, amount, cap.map(Rate));
                next += 1;
            }
            (_, Some(at)) => ends.extend(pool.take_finished(at).into_iter().map(|key| (key, at))),
            (_, None) => return Some(ends),
        }
        if pool.rates().map(|rate| rate.0).sum::<u64>() > capacity.0 {
            return None;
        }
    }
}

proptest! {
    #[test]
    fn all_is_served_at_no_more_than_the_rate(arrivals in arrivals(), capacity in 1_000_000_000_u64..3_000_000_000_000) {
        let capacity = Rate(capacity);
        let total: u64 = arrivals.iter().map(|(_, amount, _)| amount).sum();
        let count = arrivals.len();
        let ends = ends(capacity, arrivals.clone());
        prop_assert!(ends.is_some(), "the rates were more than the capacity");
        let ends = ends.unwrap_or_default();
        prop_assert_eq!(ends.len(), count);
        // No faster than if the resource had been busy from the first arrival on.
        let first = arrivals.iter().map(|(at, ..)| Time::from_ps(*at)).min().unwrap_or_default();
        let last = ends.iter().map(|(_, at)| *at).max().unwrap_or_default();
        prop_assert!(last + Time::from_ps(1) >= first + capacity.time_for(total), "{} {}", last, first);
    }

    /// Law 7 for the one resource: more capacity ends no job later.
    #[test]
    fn law_7_more_capacity_ends_nothing_later(arrivals in arrivals(), capacity in 1_000_000_000_u64..1_000_000_000_000) {
        let by_key = |capacity| {
            let mut ends = ends(Rate(capacity), arrivals.clone()).unwrap_or_default();
            ends.sort_unstable();
            ends
        };
        for (slow, fast) in by_key(capacity).iter().zip(by_key(2 * capacity)) {
            // Rates are whole units per second: a share is up to one unit less than the exact one, which is seen in
            // the last picosecond of each of the few changes of rate.
            prop_assert!(fast.1 <= slow.1 + Time::from_ps(48), "{:?} {:?}", fast, slow);
        }
    }
}
