//! Does what is placed fit, and is nothing lost? (Law 5.)

use crate::model;
use proptest::prelude::*;
use sim_core::Bytes;
use workloads::Lengths;
use workloads::kv::{KvDemand, KvPlacement, Overflow, SpillUnit, codec, place, place_with};

/// Three layers, four sequences of 10 tokens, 20 bytes a unit: 240 bytes.
fn tiny() -> KvDemand {
    equal(3, 4, 10, 20)
}

/// Sequences of the same length.
fn equal(layers: u32, sequences: u32, tokens: u64, unit_bytes: u64) -> KvDemand {
    KvDemand::with(layers, 2, &Lengths::equal(sequences, tokens), &|_| unit_bytes)
}

#[test]
fn whole_sequences_stay_evenly_over_the_layers() {
    #[track_caller]
    fn check(capacity: u64, expected: [u32; 3], spilled: u64) {
        let placement =
            place(tiny(), Bytes(capacity), Overflow::Host, SpillUnit::Sequences).expect("the host has room");
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
        let placement = place(tiny(), Bytes(capacity), Overflow::Host, SpillUnit::Tokens).expect("the host has room");
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
    let demand = equal(3, 4, 10, 24);
    let pages = |tokens: u64| tokens.div_ceil(4) * 8;
    let place = |capacity| {
        place_with(demand.clone(), Bytes(capacity), Overflow::Host, SpillUnit::Tokens, &pages)
            .expect("the host has room")
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
    let error = place(tiny(), Bytes(200), Overflow::Refuse, SpillUnit::Sequences).expect_err("too large");
    assert_eq!((error.needed, error.capacity), (Bytes(240), Bytes(200)));
    assert_eq!((error.tokens_that_fit_per_sequence, error.sequences_that_fit), (8, 3));
    assert_eq!(
        error.to_string(),
        "the KV cache needs 240 B (240 B) and its home holds 200 B (200 B): 8 tokens of every sequence would fit, or 3 \
         whole sequences; shorten the context, lower the batch, give the home more memory or let the KV overflow to \
         the host"
    );
    assert!(place(tiny(), Bytes(240), Overflow::Refuse, SpillUnit::Sequences).is_ok());
}

#[test]
fn a_cache_beyond_64_bits_is_refused_under_any_policy() {
    let demand = equal(3, 4, 10, u64::MAX / 2);
    for overflow in [Overflow::Host, Overflow::Refuse] {
        let error = place(demand.clone(), Bytes(u64::MAX), overflow, SpillUnit::Tokens).expect_err("too large");
        assert_eq!(error.needed, Bytes(u64::MAX));
        assert_eq!((error.tokens_that_fit_per_sequence, error.sequences_that_fit), (1, 0));
    }
}

#[test]
fn nothing_to_place_always_fits() {
    for demand in [equal(0, 4, 10, 20), equal(3, 0, 10, 20), equal(3, 4, 0, 0)] {
        for unit in [SpillUnit::Sequences, SpillUnit::Tokens] {
            let placement = place(demand.clone(), Bytes(0), Overflow::Refuse, unit).expect("no bytes");
            assert!(placement.is_whole());
        }
    }
}

#[test]
fn the_paper_set_up_fills_four_stacks_and_has_no_room_for_decode() {
    // Batch 16 at 32768 tokens is exactly 64 GiB; four tokens more take 8 MiB.
    let demand =
        |tokens| KvDemand::new(&model("mistral-7b"), codec("fp16").expect("listed"), &Lengths::equal(16, tokens));
    assert_eq!(demand(32_768).total_bytes(), 64 << 30);
    let stacks = Bytes(64 << 30);
    assert!(place(demand(32_768), stacks, Overflow::Refuse, SpillUnit::Sequences).is_ok());
    let longer = demand(32_772);
    assert_eq!(longer.total_bytes() - stacks.0, 8 << 20);
    let placement = place(longer.clone(), stacks, Overflow::Host, SpillUnit::Sequences).expect("the host has room");
    assert_eq!(placement.spilled_sequences(0), 16..16);
    assert_eq!(placement.spilled_sequences(31), 15..16);
    let cut = place(longer, stacks, Overflow::Host, SpillUnit::Tokens).expect("the host has room");
    assert_eq!((cut.split_tokens, cut.spilled_bytes), (Some(32_768), 8 << 20));
}

#[test]
fn placements_are_described_in_sentences() {
    #[track_caller]
    fn check(capacity: u64, unit: SpillUnit, expected: &str) {
        let demand = equal(32, 16, 100, 1 << 20);
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

/// The bytes of a sequence's unit in the demand.
fn unit_bytes(demand: &KvDemand, sequence: u32) -> u64 {
    let groups = demand.lengths.groups().iter().zip(&demand.unit_bytes);
    let mut all = groups.flat_map(|(group, &bytes)| std::iter::repeat_n(bytes, group.sequences as usize));
    all.nth(sequence as usize).expect("a sequence of the demand")
}

/// Law 5 and conservation, counted from the placement's own units and not from its sums.
fn law(placement: &KvPlacement, capacity: u64, unit_bytes_at: &dyn Fn(u64) -> u64) -> Result<(), String> {
    let demand = &placement.demand;
    let mut resident = 0;
    for layer in 0..demand.layers {
        for (sequence, all) in (0..).zip(demand.lengths.iter()) {
            resident += match placement.resident_tokens(layer, sequence) {
                0 => 0,
                tokens if tokens == all => unit_bytes(demand, sequence),
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

/// What a test needs to make demands: layers, lengths, bytes of a token.
type Parts = (u32, Lengths, u64);

/// Lengths of which some are equal.
fn parts() -> impl Strategy<Value = Parts> {
    let lengths = prop::collection::vec(1_u64..200, 1..4).prop_flat_map(|few| {
        prop::collection::vec(prop::sample::select(few), 1..8).prop_map(|all| all.into_iter().collect::<Lengths>())
    });
    (1_u32..6, lengths, 1_u64..50)
}

fn demand((layers, lengths, per_token): &Parts, pages: u64) -> KvDemand {
    KvDemand::with(*layers, 1, lengths, &|tokens| tokens.div_ceil(pages) * pages * per_token)
}

proptest! {
    #[test]
    fn a_placement_never_exceeds_its_home_and_loses_nothing(
        parts in parts(), permille in 0_u64..1100, tokens in any::<bool>(), page in 1_u64..40,
    ) {
        let capacity = demand(&parts, 1).total_bytes() * permille / 1000;
        let unit = if tokens { SpillUnit::Tokens } else { SpillUnit::Sequences };
        let per_token = parts.2;
        let pages = move |tokens: u64| tokens.div_ceil(page) * page * per_token;
        let demand = demand(&parts, page);
        let placement =
            place_with(demand.clone(), Bytes(capacity), Overflow::Host, unit, &pages).expect("the host has room");
        prop_assert_eq!(law(&placement, capacity, &pages), Ok(()));
        // Newest first, evenly, the first layers the one more.
        let per_layer = &placement.resident_sequences;
        prop_assert!(per_layer.is_sorted_by(|a, b| a >= b) && per_layer[0] - per_layer[per_layer.len() - 1] <= 1);
        // As much as fits stays: one unit, or one token of each, would be too much.
        if !placement.is_whole() {
            let more = match unit {
                SpillUnit::Sequences => {
                    placement.resident_bytes + unit_bytes(&demand, per_layer[per_layer.len() - 1])
                }
                SpillUnit::Tokens => {
                    let kept = placement.split_tokens.unwrap_or(0);
                    u64::from(demand.layers) * demand.lengths.sum(|tokens| pages(tokens.min(kept + 1)))
                }
            };
            prop_assert!(more > capacity);
        }
    }

    /// The companion: a placement that keeps one sequence too many is caught by the same law.
    #[test]
    fn one_unit_too_many_breaks_the_law(parts in parts(), permille in 0_u64..1000) {
        let demand = demand(&parts, 1);
        let capacity = demand.total_bytes() * permille / 1000;
        let mut placement =
            place(demand.clone(), Bytes(capacity), Overflow::Host, SpillUnit::Sequences).expect("the host has room");
        let last = placement.resident_sequences.iter().rposition(|&n| n < demand.sequences()).expect("one spilled");
        let fewest = placement.resident_sequences.last().copied().unwrap_or(0);
        // The unit that would have come next.
        let next = placement.resident_sequences.iter().position(|&n| n == fewest).unwrap_or(last);
        placement.resident_sequences[next] += 1;
        prop_assert!(law(&placement, capacity, &|_| 0).is_err_and(|error| error.contains("in a home of")));
    }

    #[test]
    fn more_capacity_never_keeps_less(
        parts in parts(), permille in 0_u64..1100, more in 0_u64..500, tokens in any::<bool>(),
    ) {
        let demand = demand(&parts, 1);
        let unit = if tokens { SpillUnit::Tokens } else { SpillUnit::Sequences };
        let capacity = demand.total_bytes() * permille / 1000;
        let [small, large] = [capacity, capacity + more]
            .map(|bytes| place(demand.clone(), Bytes(bytes), Overflow::Host, unit).expect("the host has room"));
        prop_assert!(small.resident_bytes <= large.resident_bytes && small.spilled_bytes >= large.spilled_bytes);
        for layer in 0..demand.layers {
            for sequence in 0..demand.sequences() {
                prop_assert!(small.resident_tokens(layer, sequence) <= large.resident_tokens(layer, sequence));
            }
        }
    }

    #[test]
    fn what_a_refusal_says_would_fit_does(parts in parts(), permille in 0_u64..1000) {
        let all = demand(&parts, 1);
        let capacity = Bytes(all.total_bytes() * permille / 1000);
        let error = place(all, capacity, Overflow::Refuse, SpillUnit::Sequences).expect_err("too large");
        let (layers, lengths, per_token) = &parts;
        let bytes = |lengths: Lengths| demand(&(*layers, lengths, *per_token), 1).total_bytes();
        let tokens = error.tokens_that_fit_per_sequence;
        prop_assert!(bytes(lengths.capped(tokens)) <= capacity.0 && bytes(lengths.capped(tokens + 1)) > capacity.0);
        let sequences = error.sequences_that_fit;
        prop_assert!(bytes(lengths.first(sequences)) <= capacity.0 && bytes(lengths.first(sequences + 1)) > capacity.0);
    }

    /// A mixed batch takes what its sequences take one by one.
    #[test]
    fn a_mixed_batch_is_the_sum_of_its_sequences(parts in parts(), page in 1_u64..40) {
        let (layers, lengths, per_token) = &parts;
        let alone = |tokens| demand(&(*layers, Lengths::equal(1, tokens), *per_token), page).total_bytes();
        prop_assert_eq!(demand(&parts, page).total_bytes(), lengths.iter().map(alone).sum::<u64>());
    }

    #[test]
    fn any_demand_is_placed_or_refused(
        layers in 0_u32..5, groups in prop::collection::vec((any::<u32>(), any::<u64>(), any::<u64>()), 0..3),
        capacity: u64, cut: bool, host: bool,
    ) {
        // Together no more than 32 bits of sequences.
        let groups: Vec<_> = groups.iter().map(|&(sequences, tokens, bytes)| (sequences / 3, tokens, bytes)).collect();
        let lengths: Lengths =
            groups.iter().map(|&(sequences, tokens, _)| workloads::Group { sequences, tokens }).collect();
        let bytes = |tokens| groups.iter().find(|group| group.1 == tokens).map_or(0, |group| group.2);
        let demand = KvDemand::with(layers, 1, &lengths, &bytes);
        let unit = if cut { SpillUnit::Tokens } else { SpillUnit::Sequences };
        let overflow = if host { Overflow::Host } else { Overflow::Refuse };
        if let Ok(placement) = place(demand.clone(), Bytes(capacity), overflow, unit) {
            prop_assert!(placement.resident_bytes <= capacity);
            prop_assert_eq!(placement.resident_bytes + placement.spilled_bytes, demand.total_bytes());
            prop_assert!(!placement.describe().is_empty());
        }
    }
}

#[test]
fn the_newest_of_different_sequences_spill_first() {
    #[track_caller]
    fn check(demand: &KvDemand, capacity: u64, unit: SpillUnit, expected: [u32; 2], resident: u64, split: Option<u64>) {
        let placement = place(demand.clone(), Bytes(capacity), Overflow::Host, unit).expect("the host has room");
        assert_eq!(placement.resident_sequences, expected);
        assert_eq!((placement.resident_bytes, placement.split_tokens), (resident, split));
    }
    // Units of 100, 40 and 10 bytes in two layers: 300 bytes.
    let lengths: Lengths = [100, 40, 10].into_iter().collect();
    let demand = KvDemand::with(2, 1, &lengths, &|tokens| tokens);
    let whole = SpillUnit::Sequences;
    check(&demand, 300, whole, [3, 3], 300, None);
    check(&demand, 299, whole, [3, 2], 290, None);
    check(&demand, 289, whole, [2, 2], 280, None);
    check(&demand, 279, whole, [2, 1], 240, None);
    check(&demand, 239, whole, [1, 1], 200, None);
    check(&demand, 199, whole, [1, 0], 100, None);
    // A short sequence does not slip into the room that a longer and older one has left.
    check(&demand, 99, whole, [0, 0], 0, None);
    check(&demand, 299, SpillUnit::Tokens, [3, 3], 298, Some(99));
    check(&demand, 180, SpillUnit::Tokens, [3, 3], 180, Some(40));
    check(&demand, 179, SpillUnit::Tokens, [3, 3], 176, Some(39));
    check(&demand, 60, SpillUnit::Tokens, [3, 3], 60, Some(10));
    let cut = place(demand, Bytes(179), Overflow::Host, SpillUnit::Tokens).expect("the host has room");
    assert_eq!(cut.merged_sequences(1), 2);
    assert_eq!(cut.split(0, &lengths), ([39, 39, 10].into_iter().collect(), [61, 1].into_iter().collect()));
    assert_eq!(
        cut.describe(),
        "124 B of the 300 B of KV cache do not fit the home and go to the host: all but the oldest 39 tokens of the 2 \
         sequences of 3 that have more, in layers 0 to 1. The two partial softmaxes of each of those are merged."
    );
}
