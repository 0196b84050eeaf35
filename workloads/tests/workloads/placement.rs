//! Does what is placed fit, and is nothing lost? (Law 5.)

use crate::model;
use proptest::prelude::*;
use sim_core::Bytes;
use workloads::kv::{KvDemand, KvPlacement, Overflow, SpillUnit, codec, place, place_with};

/// Three layers, four sequences of 10 tokens, 20 bytes a unit: 240 bytes.
const TINY: KvDemand = KvDemand { layers: 3, sequences: 4, kv_heads: 2, tokens: 10, unit_bytes: 20 };

#[test]
fn whole_sequences_stay_evenly_over_the_layers() {
    #[track_caller]
    fn check(capacity: u64, expected: [u32; 3], spilled: u64) {
        let placement = place(TINY, Bytes(capacity), Overflow::Host, SpillUnit::Sequences).expect("the host has room");
        assert_eq!(placement.resident_sequences, expected);
        assert_eq!((placement.spilled_bytes, placement.split_tokens), (spilled, None));
    }
    check(0, [0, 0, 0], 240);
    check(19, [0, 0, 0], 240);
    check(20, [1, 0, 0], 220);
    check(60, [1, 1, 1], 180);
    check(119, [2, 2, 1], 140);
    check(239, [4, 4, 3], 20);
    check(240, [4, 4, 4], 0);
    check(u64::MAX, [4, 4, 4], 0);
}

#[test]
fn the_oldest_tokens_of_every_sequence_stay() {
    #[track_caller]
    fn check(capacity: u64, split: Option<u64>, resident: u64) {
        let placement = place(TINY, Bytes(capacity), Overflow::Host, SpillUnit::Tokens).expect("the host has room");
        assert_eq!((placement.split_tokens, placement.resident_bytes), (split, resident));
        assert_eq!(placement.merged_sequences(0), if split.is_some() { 4 } else { 0 });
        assert_eq!(placement.resident_tokens(2, 3), split.unwrap_or(if resident == 0 { 0 } else { 10 }));
    }
    check(0, None, 0);
    check(23, None, 0);
    check(24, Some(1), 24);
    check(100, Some(4), 96);
    check(239, Some(9), 216);
    check(240, None, 240);
}

#[test]
fn a_home_with_pages_keeps_what_its_pages_hold() {
    #[track_caller]
    fn check(placement: &KvPlacement, split: Option<u64>, resident: u64) {
        assert_eq!((placement.split_tokens, placement.resident_bytes), (split, resident));
        assert_eq!(placement.resident_bytes + placement.spilled_bytes, 288);
    }
    // Pages of 4 tokens and 8 bytes: 10 tokens take 3 pages, 24 bytes a unit.
    let demand = KvDemand { unit_bytes: 24, ..TINY };
    let pages = |tokens: u64| tokens.div_ceil(4) * 8;
    let place = |capacity| {
        place_with(demand, Bytes(capacity), Overflow::Host, SpillUnit::Tokens, &pages).expect("the host has room")
    };
    check(&place(95), None, 0);
    check(&place(96), Some(4), 96);
    check(&place(191), Some(4), 96);
    check(&place(192), Some(8), 192);
    check(&place(287), Some(8), 192);
    check(&place(288), None, 288);
}

#[test]
fn a_refusal_says_what_would_fit() {
    let error = place(TINY, Bytes(200), Overflow::Refuse, SpillUnit::Sequences).expect_err("too large");
    assert_eq!((error.needed, error.capacity), (Bytes(240), Bytes(200)));
    assert_eq!((error.tokens_that_fit_per_sequence, error.sequences_that_fit), (8, 3));
    assert_eq!(
        error.to_string(),
        "the KV cache needs 240 B (240 B) and its home holds 200 B (200 B): 8 tokens of every sequence would fit, or 3 \
         whole sequences; shorten the context, lower the batch, give the home more memory or let the KV overflow to \
         the host"
    );
    assert!(place(TINY, Bytes(240), Overflow::Refuse, SpillUnit::Sequences).is_ok());
}

#[test]
fn a_cache_beyond_64_bits_is_refused_under_any_policy() {
    let demand = KvDemand { unit_bytes: u64::MAX / 2, ..TINY };
    for overflow in [Overflow::Host, Overflow::Refuse] {
        let error = place(demand, Bytes(u64::MAX), overflow, SpillUnit::Tokens).expect_err("too large");
        assert_eq!(error.needed, Bytes(u64::MAX));
        assert_eq!((error.tokens_that_fit_per_sequence, error.sequences_that_fit), (1, 0));
    }
}

#[test]
fn nothing_to_place_always_fits() {
    for demand in [
        KvDemand { layers: 0, ..TINY },
        KvDemand { sequences: 0, ..TINY },
        KvDemand { tokens: 0, unit_bytes: 0, ..TINY },
    ] {
        for unit in [SpillUnit::Sequences, SpillUnit::Tokens] {
            let placement = place(demand, Bytes(0), Overflow::Refuse, unit).expect("no bytes");
            assert!(placement.is_whole());
        }
    }
}

#[test]
fn the_paper_set_up_fills_four_stacks_and_has_no_room_for_decode() {
    // Batch 16 at 32768 tokens is exactly 64 GiB; four tokens more take 8 MiB.
    let demand = |tokens| KvDemand::new(&model("mistral-7b"), codec("fp16").expect("listed"), 16, tokens);
    assert_eq!(demand(32_768).total_bytes(), 64 << 30);
    let stacks = Bytes(64 << 30);
    assert!(place(demand(32_768), stacks, Overflow::Refuse, SpillUnit::Sequences).is_ok());
    let longer = demand(32_772);
    assert_eq!(longer.total_bytes() - stacks.0, 8 << 20);
    let placement = place(longer, stacks, Overflow::Host, SpillUnit::Sequences).expect("the host has room");
    assert_eq!(placement.spilled_sequences(0), 16..16);
    assert_eq!(placement.spilled_sequences(31), 15..16);
    let cut = place(longer, stacks, Overflow::Host, SpillUnit::Tokens).expect("the host has room");
    assert_eq!((cut.split_tokens, cut.spilled_bytes), (Some(32_768), 8 << 20));
}

#[test]
fn placements_are_described_in_sentences() {
    #[track_caller]
    fn check(capacity: u64, unit: SpillUnit, expected: &str) {
        let demand = KvDemand { layers: 32, sequences: 16, kv_heads: 8, tokens: 100, unit_bytes: 1 << 20 };
        let placement = place(demand, Bytes(capacity << 20), Overflow::Host, unit).expect("the host has room");
        assert_eq!(placement.describe(), expected);
    }
    let sequences = SpillUnit::Sequences;
    check(512, sequences, "The home holds the whole KV cache, 512.00 MiB.");
    check(
        384,
        sequences,
        "128.00 MiB of the 512.00 MiB of KV cache do not fit the home and go to the host: sequences 13 to 16 of 16 in \
         layers 0 to 31.",
    );
    check(
        390,
        sequences,
        "122.00 MiB of the 512.00 MiB of KV cache do not fit the home and go to the host: sequences 14 to 16 of 16 in \
         layers 0 to 5, and sequences 13 to 16 of 16 in layers 6 to 31.",
    );
    check(
        511,
        sequences,
        "1.00 MiB of the 512.00 MiB of KV cache do not fit the home and go to the host: sequence 16 of 16 in layer 31.",
    );
    check(
        256,
        SpillUnit::Tokens,
        "256.00 MiB of the 512.00 MiB of KV cache do not fit the home and go to the host: tokens 51 to 100 of every \
         sequence (1 to 16) in layers 0 to 31. The oldest 50 tokens of each stay, and the two partial softmaxes of \
         each sequence are merged.",
    );
}

/// Law 5 and conservation, counted from the placement's own units and not from its sums.
fn law(placement: &KvPlacement, capacity: u64, unit_bytes_at: &dyn Fn(u64) -> u64) -> Result<(), String> {
    let demand = placement.demand;
    let mut resident = 0;
    for layer in 0..demand.layers {
        for sequence in 0..demand.sequences {
            resident += match placement.resident_tokens(layer, sequence) {
                0 => 0,
                tokens if tokens == demand.tokens => demand.unit_bytes,
                tokens => unit_bytes_at(tokens),
            };
        }
    }
    if resident > capacity {
        return Err(format!("{resident} bytes in a home of {capacity}"));
    }
    if resident != placement.resident_bytes || resident + placement.spilled_bytes != demand.total_bytes() {
        return Err(format!("{resident} counted, {} claimed", placement.resident_bytes));
    }
    Ok(())
}

fn demands() -> impl Strategy<Value = KvDemand> {
    (1_u32..6, 1_u32..8, 1_u64..200, 1_u64..50).prop_map(|(layers, sequences, tokens, per_token)| KvDemand {
        layers,
        sequences,
        kv_heads: 1,
        tokens,
        unit_bytes: per_token * tokens,
    })
}

proptest! {
    #[test]
    fn a_placement_never_exceeds_its_home_and_loses_nothing(
        demand in demands(), permille in 0_u64..1100, tokens in any::<bool>(), page in 1_u64..40,
    ) {
        let capacity = demand.total_bytes() * permille / 1000;
        let unit = if tokens { SpillUnit::Tokens } else { SpillUnit::Sequences };
        let per_token = demand.unit_bytes / demand.tokens;
        let pages = move |tokens: u64| tokens.div_ceil(page) * page * per_token;
        let demand = KvDemand { unit_bytes: pages(demand.tokens), ..demand };
        let placement =
            place_with(demand, Bytes(capacity), Overflow::Host, unit, &pages).expect("the host has room");
        prop_assert_eq!(law(&placement, capacity, &pages), Ok(()));
        // Newest first, evenly, the first layers the one more.
        let per_layer = &placement.resident_sequences;
        prop_assert!(per_layer.is_sorted_by(|a, b| a >= b) && per_layer[0] - per_layer[per_layer.len() - 1] <= 1);
        // As much as fits stays: one unit, or one token of each, would be too much.
        if !placement.is_whole() {
            let more = match unit {
                SpillUnit::Sequences => placement.resident_bytes + demand.unit_bytes,
                SpillUnit::Tokens => {
                    demand.units() * pages(placement.resident_tokens(0, 0) + 1)
                }
            };
            prop_assert!(more > capacity);
        }
    }

    /// The companion: a placement that keeps one sequence too many is caught by the same law.
    #[test]
    fn one_unit_too_many_breaks_the_law(demand in demands(), permille in 0_u64..1000) {
        let capacity = demand.total_bytes() * permille / 1000;
        let mut placement =
            place(demand, Bytes(capacity), Overflow::Host, SpillUnit::Sequences).expect("the host has room");
        let last = placement.resident_sequences.iter().rposition(|&n| n < demand.sequences).expect("one spilled");
        placement.resident_sequences[last] += 1;
        prop_assert!(law(&placement, capacity, &|_| 0).is_err_and(|error| error.contains("in a home of")));
    }

    #[test]
    fn more_capacity_never_keeps_less(
        demand in demands(), permille in 0_u64..1100, more in 0_u64..500, tokens in any::<bool>(),
    ) {
        let unit = if tokens { SpillUnit::Tokens } else { SpillUnit::Sequences };
        let capacity = demand.total_bytes() * permille / 1000;
        let [small, large] = [capacity, capacity + more]
            .map(|bytes| place(demand, Bytes(bytes), Overflow::Host, unit).expect("the host has room"));
        prop_assert!(small.resident_bytes <= large.resident_bytes && small.spilled_bytes >= large.spilled_bytes);
        for layer in 0..demand.layers {
            for sequence in 0..demand.sequences {
                prop_assert!(small.resident_tokens(layer, sequence) <= large.resident_tokens(layer, sequence));
            }
        }
    }

    #[test]
    fn what_a_refusal_says_would_fit_does(demand in demands(), permille in 0_u64..1000) {
        let capacity = Bytes(demand.total_bytes() * permille / 1000);
        let error = place(demand, capacity, Overflow::Refuse, SpillUnit::Sequences).expect_err("too large");
        let per_token = demand.unit_bytes / demand.tokens;
        let shorter = |tokens| KvDemand { tokens, unit_bytes: per_token * tokens, ..demand }.total_bytes();
        let tokens = error.tokens_that_fit_per_sequence;
        prop_assert!(shorter(tokens) <= capacity.0 && shorter(tokens + 1) > capacity.0);
        let fewer = |sequences| KvDemand { sequences, ..demand }.total_bytes();
        prop_assert!(fewer(error.sequences_that_fit) <= capacity.0 && fewer(error.sequences_that_fit + 1) > capacity.0);
    }

    #[test]
    fn any_demand_is_placed_or_refused(
        layers in 0_u32..5, sequences: u32, tokens: u64, unit_bytes: u64, capacity: u64, cut: bool, host: bool,
    ) {
        let demand = KvDemand { layers, sequences, kv_heads: 1, tokens, unit_bytes };
        let unit = if cut { SpillUnit::Tokens } else { SpillUnit::Sequences };
        let overflow = if host { Overflow::Host } else { Overflow::Refuse };
        if let Ok(placement) = place(demand, Bytes(capacity), overflow, unit) {
            prop_assert!(placement.resident_bytes <= capacity);
            prop_assert_eq!(placement.resident_bytes + placement.spilled_bytes, demand.total_bytes());
            prop_assert!(!placement.describe().is_empty());
        }
    }
}
