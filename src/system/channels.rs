//! Which PIM channel holds which KV heads.
//!
//! A KV head of a sequence in a layer stays whole in one channel: it is a *unit*. Units of equal length go round the
//! channels, each layer from where the one before stopped. Of units of different lengths the longest goes first, each to
//! the channel that has the fewest tokens of its layer so far (of equals that with the fewest tokens in all, then in
//! the same round), so that the channels of a layer end as closely together as whole units let them. For equal lengths
//! both are the same.
//!
//! A layer is a list of *cells*: sequences that are always worked on together. Where prompts are processed in several groups and a
//! layer of all sequences fills the channels evenly, each layer begins a group's channels further on than the one before
//! ([`Turn`]). Else a group would come to the same channels with every layer and leave the others idle.
//!
//! Where several units lie side by side in a row, each in banks of its own, they are attended together: so many go to a
//! channel as a bundle, and a bundle is as long as its longest unit.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::ops::Range;

use workloads::{Group, Lengths};

/// Units of one channel in one layer that have the same length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Units {
    /// Tokens of each at the end of the run.
    pub tokens: u64,
    /// How many.
    pub count: u32,
}

/// The units of one channel, by layer; in a layer in the order in which they are attended.
pub type Channel = Vec<Vec<Units>>;

/// PIM channels that get the same units in every layer, so that one actor can stand for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelClass {
    /// How many channels.
    pub channels: u32,
    /// Which, numbered over all stacks.
    pub members: Vec<u32>,
    /// (sequence, KV head) units of each channel, by layer.
    pub units: Channel,
}

/// Channels and what one of them holds.
#[derive(Clone, Copy)]
pub struct Channels<'a> {
    /// How many.
    pub count: usize,
    /// All-bank rows of each.
    pub rows: u64,
    /// Units that can lie side by side in a row, each in banks of its own.
    pub side_by_side: u64,
    /// Rows that a unit of so many tokens takes.
    pub unit_rows: &'a dyn Fn(u64) -> u64,
    /// How layers are turned against each other.
    pub turn: Turn,
}

/// By how many channels each layer begins further on than where the one before stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Cells of a layer.
    pub cells: usize,
    /// Channels.
    pub channels: usize,
}

impl Turn {
    /// Where cell number `done` begins, where the one before it stopped at `next`.
    fn begin(self, done: usize, next: usize, channels: usize) -> usize {
        let layer_begins = done > 0 && self.cells > 0 && done.is_multiple_of(self.cells);
        if layer_begins { (next + self.channels) % channels } else { next }
    }
}

impl fmt::Debug for Channels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channels").field("count", &self.count).field("rows", &self.rows).finish_non_exhaustive()
    }
}

/// Deals the units of each layer: of the sequences of `layers`, `heads` each. Nothing where they do not fit.
pub fn deal(layers: &[Lengths], heads: u32, channels: Channels<'_>) -> Option<Vec<Channel>> {
    let longest_first = longest_first(layers);
    let Some(length) = one_length(&longest_first) else { return balance(&longest_first, heads, channels) };
    let counts = counts(&longest_first, heads);
    if !round_fits(length, &counts, channels) {
        return None;
    }
    let mut by_channel = vec![Vec::with_capacity(counts.len()); channels.count];
    spread(&counts, channels, |channel, count| {
        by_channel[channel].push(if count > 0 { vec![Units { tokens: length, count }] } else { Vec::new() });
    });
    Some(by_channel)
}

/// Whether [`deal`] finds room for all units; of equal lengths it is a sum.
pub fn fits(layers: &[Lengths], heads: u32, channels: Channels<'_>) -> bool {
    let longest_first = longest_first(layers);
    match one_length(&longest_first) {
        Some(length) => round_fits(length, &counts(&longest_first, heads), channels),
        None => balance(&longest_first, heads, channels).is_some(),
    }
}

/// The sequences of each layer that have tokens.
fn longest_first(layers: &[Lengths]) -> Vec<Vec<Group>> {
    let sorted = |layer: &Lengths| {
        let mut groups: Vec<Group> = layer.groups().iter().copied().filter(|group| group.tokens > 0).collect();
        groups.sort_by_key(|group| Reverse(group.tokens));
        groups
    };
    layers.iter().map(sorted).collect()
}

/// The length of all sequences, where it is one; 0 of none.
fn one_length(layers: &[Vec<Group>]) -> Option<u64> {
    let mut groups = layers.iter().flatten();
    let length = groups.next().map_or(0, |group| group.tokens);
    groups.all(|group| group.tokens == length).then_some(length)
}

/// Units of each layer.
fn counts(layers: &[Vec<Group>], heads: u32) -> Vec<u64> {
    let sequences = |groups: &Vec<Group>| groups.iter().map(|group| u64::from(group.sequences)).sum::<u64>();
    layers.iter().map(|groups| u64::from(heads) * sequences(groups)).collect()
}

/// Whether units of one length have room where they come to lie when each layer goes round.
fn round_fits(length: u64, counts: &[u64], channels: Channels<'_>) -> bool {
    most_units(counts, channels).div_ceil(channels.side_by_side.max(1)) * (channels.unit_rows)(length) <= channels.rows
}

/// How a layer goes round the channels.
#[derive(Clone, Copy)]
struct Round {
    /// The channel with which it begins.
    first: usize,
    /// Bundles that every channel gets, and how many, from the first one on, get one more.
    each: u64,
    more: usize,
    /// The channel, counted from the first one, with the last bundle, and units that are missing in that.
    last: usize,
    missing: u64,
}

/// Each layer goes round the channels in bundles from where the one before stopped.
fn rounds(units: &[u64], by: Channels<'_>) -> impl Iterator<Item = Round> {
    let (channels, bundle) = (by.count, by.side_by_side.max(1));
    let mut next = 0;
    units.iter().enumerate().map(move |(done, &count)| {
        let first = by.turn.begin(done, next, channels);
        let bundles = count.div_ceil(bundle);
        let (each, more) = (bundles / channels as u64, (bundles % channels as u64) as usize);
        let last = if more > 0 { more - 1 } else { channels - 1 };
        next = (first + more) % channels;
        Round { first, each, more, last, missing: bundles * bundle - count }
    })
}

/// Tells how many units each channel gets, layer by layer.
fn spread(units: &[u64], by: Channels<'_>, mut give: impl FnMut(usize, u32)) {
    let (channels, bundle) = (by.count, by.side_by_side.max(1));
    for Round { first, each, more, last, missing } in rounds(units, by) {
        for place in 0..channels {
            let full = (each + u64::from(place < more)) * bundle;
            let channel = if first + place < channels { first + place } else { first + place - channels };
            give(channel, (full - if place == last { missing } else { 0 }) as u32);
        }
    }
}

/// The most units that [`spread`] gives to one channel. It takes as long as there are layers and channels, not their
/// product, because the search for the longest context asks for it at every step.
fn most_units(units: &[u64], by: Channels<'_>) -> u64 {
    let (channels, bundle) = (by.count, by.side_by_side.max(1));
    // Of each channel, how many units more it has than the one before.
    let mut steps = vec![0_i128; channels + 1];
    let mut give = |from: usize, to: usize, count: i128| {
        steps[from] += count;
        steps[to] -= count;
    };
    for Round { first, each, more, last, missing } in rounds(units, by) {
        give(0, channels, i128::from(each) * i128::from(bundle));
        let end = first + more;
        give(first, end.min(channels), i128::from(bundle));
        give(0, end.saturating_sub(channels), i128::from(bundle));
        let short = (first + last) % channels;
        give(short, short + 1, -i128::from(missing));
    }
    let mut units = 0;
    let most = steps[..channels].iter().map(|step| {
        units += step;
        units
    });
    u64::try_from(most.max().unwrap_or(0)).unwrap_or(u64::MAX)
}

/// The units of a layer, the longest first, in bundles of so many.
fn bundles(groups: &[Group], heads: u32, bundle: u64) -> Vec<Vec<Units>> {
    let mut bundles: Vec<Vec<Units>> = Vec::new();
    let mut room = 0;
    for group in groups {
        let mut left = u64::from(group.sequences) * u64::from(heads);
        while left > 0 {
            if room == 0 {
                bundles.push(Vec::new());
                room = bundle;
            }
            let count = left.min(room);
            if let Some(last) = bundles.last_mut() {
                last.push(Units { tokens: group.tokens, count: count as u32 });
            }
            left -= count;
            room -= count;
        }
    }
    bundles
}

/// Each unit to the channel with the fewest tokens that has room for it.
fn balance(layers: &[Vec<Group>], heads: u32, channels: Channels<'_>) -> Option<Vec<Channel>> {
    let Channels { count, rows, side_by_side, unit_rows, turn } = channels;
    let mut by_channel: Vec<Channel> = vec![Vec::with_capacity(layers.len()); count];
    let mut tokens = vec![0_u64; count];
    let mut free = vec![rows; count];
    let mut next = 0;
    for (done, groups) in layers.iter().enumerate() {
        next = turn.begin(done, next, count);
        let place = |channel: usize| (channel + count - next) % count;
        // (tokens of this layer, tokens of all layers so far, place in the round, channel)
        let mut open: BinaryHeap<Reverse<(u64, u64, usize, usize)>> =
            (0..count).map(|channel| Reverse((0, tokens[channel], place(channel), channel))).collect();
        for channel in &mut by_channel {
            channel.push(Vec::new());
        }
        let mut dealt = 0;
        let mut full = Vec::new();
        let mut longest = 0;
        for bundle in bundles(groups, heads, side_by_side.max(1)) {
            let tokens_of = bundle.first().map_or(0, |units| units.tokens);
            if tokens_of < longest {
                // A shorter unit may find room there.
                open.extend(std::mem::take(&mut full));
            }
            longest = tokens_of;
            let need = unit_rows(longest);
            let Reverse((here, all, place, channel)) = loop {
                let candidate = open.pop()?;
                if free[candidate.0.3] >= need {
                    break candidate;
                }
                full.push(candidate);
            };
            free[channel] -= need;
            tokens[channel] += longest;
            open.push(Reverse((here + longest, all + longest, place, channel)));
            let list = by_channel[channel].last_mut()?;
            for units in bundle {
                match list.last_mut() {
                    Some(same) if same.tokens == units.tokens => same.count += units.count,
                    _ => list.push(units),
                }
            }
            dealt += 1;
        }
        next = (next + dealt) % count;
    }
    Some(by_channel)
}

/// Channels with the same units in every layer, together; in the order of their first channel.
pub fn classes(by_channel: Vec<Channel>) -> Vec<ChannelClass> {
    let mut classes: Vec<ChannelClass> = Vec::new();
    let mut known: BTreeMap<Channel, usize> = BTreeMap::new();
    for (channel, units) in (0..).zip(by_channel) {
        if let Some(&class) = known.get(&units) {
            classes[class].channels += 1;
            classes[class].members.push(channel);
        } else {
            known.insert(units.clone(), classes.len());
            classes.push(ChannelClass { channels: 1, members: vec![channel], units });
        }
    }
    classes
}

/// How many units each stack has, by layer. Channel c is a channel of stack c mod stacks, so that a few heads more do not
/// fall on one stack.
pub fn by_stack(by_channel: &[Channel], layers: usize, stacks: usize) -> Vec<Vec<u32>> {
    let mut units = vec![vec![0; layers]; stacks];
    for (channel, list) in by_channel.iter().enumerate() {
        for (sum, layer) in units[channel % stacks.max(1)].iter_mut().zip(list) {
            *sum += layer.iter().map(|units| units.count).sum::<u32>();
        }
    }
    units
}

/// Tokens of the units of each stack, by layer.
pub fn lengths_by_stack(by_channel: &[Channel], layers: usize, stacks: usize) -> Vec<Vec<Lengths>> {
    let group = |units: &Units| Group { sequences: units.count, tokens: units.tokens };
    let of = |stack: usize| {
        let channels = || by_channel.iter().skip(stack).step_by(stacks.max(1));
        (0..layers).map(|layer| channels().filter_map(|c| c.get(layer)).flatten().map(group).collect()).collect()
    };
    (0..stacks).map(of).collect()
}

impl ChannelClass {
    /// Its units of some layers next to each other, in order.
    pub fn units_of(&self, layers: Range<usize>) -> Vec<Units> {
        let mut all: Vec<Units> = Vec::new();
        for units in self.units.get(layers).unwrap_or_default().iter().flatten() {
            match all.last_mut() {
                Some(last) if last.tokens == units.tokens => last.count += units.count,
                _ => all.push(*units),
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Channels of ten rows; a row holds ten tokens.
    fn small(count: usize) -> Channels<'static> {
        Channels { count, rows: 10, side_by_side: 1, unit_rows: &|tokens| tokens.div_ceil(10), turn: Turn::default() }
    }

    fn lengths(list: &[u64]) -> Lengths {
        list.iter().copied().collect()
    }

    #[test]
    fn heads_are_spread_evenly_over_the_channels() {
        let mut by_channel = vec![Vec::new(); 4];
        spread(&[5, 5, 5], small(4), |channel, units| by_channel[channel].push(units));
        let sums: Vec<u32> = by_channel.iter().map(|units| units.iter().sum()).collect();
        assert_eq!(sums, [4, 4, 4, 3]);
        assert_eq!(by_channel[0], [2, 1, 1]);
        assert_eq!(by_channel[1], [1, 2, 1]);
    }

    /// Two groups of two heads on four channels: without a turn each would meet the same two in every layer.
    #[test]
    fn layers_are_turned_by_a_group() {
        let cells = vec![Lengths::equal(1, 9); 4];
        let of = |turn| {
            let dealt = deal(&cells, 2, Channels { turn, ..small(4) }).unwrap();
            dealt.iter().map(|channel| channel.iter().map(Vec::len).collect()).collect::<Vec<Vec<usize>>>()
        };
        assert_eq!(of(Turn::default()), [[1, 0, 1, 0], [1, 0, 1, 0], [0, 1, 0, 1], [0, 1, 0, 1]]);
        assert_eq!(of(Turn { cells: 2, channels: 2 }), [[1, 0, 0, 1], [1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 1, 0]]);
    }

    #[test]
    fn channels_with_equal_heads_are_one_class() {
        let channels = Channels { rows: u64::MAX, unit_rows: &|_| 1, ..small(64) };
        let layers = vec![Lengths::equal(16, 9); 2];
        let classes = classes(deal(&layers, 8, channels).unwrap());
        let units = vec![vec![Units { tokens: 9, count: 2 }]; 2];
        assert_eq!(classes, [ChannelClass { channels: 64, members: (0..64).collect(), units }]);
    }

    #[test]
    fn the_longest_goes_first_and_the_next_where_the_fewest_tokens_are() {
        let dealt = deal(&[lengths(&[10, 40, 30, 20])], 1, small(2)).unwrap();
        let of = |tokens| Units { tokens, count: 1 };
        assert_eq!(dealt, [vec![vec![of(40), of(10)]], vec![vec![of(30), of(20)]]]);
        // The heads of a sequence are alike; a stack has every other channel.
        let dealt = deal(&[lengths(&[10, 40])], 2, small(4)).unwrap();
        assert_eq!(classes(dealt.clone()).iter().map(|class| class.channels).collect::<Vec<_>>(), [2, 2]);
        assert_eq!(by_stack(&dealt, 1, 2), [[2], [2]]);
    }

    #[test]
    fn a_unit_goes_on_to_a_channel_with_room() {
        // 90 and 80 leave one row and two; 20 has room in the second only, 10 then in the first.
        let dealt = deal(&[lengths(&[90, 80, 20, 10])], 1, small(2)).unwrap();
        let tokens: Vec<Vec<u64>> =
            dealt.iter().map(|channel| channel[0].iter().map(|units| units.tokens).collect()).collect();
        assert_eq!(tokens, [vec![90, 10], vec![80, 20]]);
        assert_eq!(deal(&[lengths(&[90, 80, 20, 11])], 1, small(2)), None);
        assert_eq!(deal(&[Lengths::equal(4, 51)], 1, small(3)), None);
    }

    #[test]
    fn units_share_a_row_by_their_banks() {
        // Units of three rows: two side by side, three pairs above each other in ten rows, the tenth row is a rest.
        let channels = Channels { side_by_side: 2, ..small(1) };
        assert!(deal(&[Lengths::equal(6, 30)], 1, channels).is_some());
        assert!(deal(&[Lengths::equal(7, 30)], 1, channels).is_none());
        // Of different lengths a pair takes what its longer one takes: 3 + 3 + 2 rows, and 2 more.
        assert!(deal(&[lengths(&[30, 30, 30, 20, 20, 10, 20])], 1, channels).is_some());
        assert!(deal(&[lengths(&[30, 30, 30, 20, 20, 20, 20, 20, 20])], 1, channels).is_none());
        // Pairs go together, so that others have whole channels: three of four channels.
        let pairs = deal(&[Lengths::equal(5, 30)], 1, Channels { side_by_side: 2, ..small(4) }).unwrap();
        let counts: Vec<u32> = pairs.iter().map(|channel| channel[0].iter().map(|units| units.count).sum()).collect();
        assert_eq!(counts, [2, 2, 1, 0]);
    }

    proptest! {
        /// What the search for the longest context asks is what the spread comes to.
        #[test]
        fn the_most_units_are_those_of_the_fullest_channel(
            counts in prop::collection::vec(0_u64..40, 0..9), count in 1_usize..12, side_by_side in 1_u64..5,
            cells in 0_usize..4, channels in 0_usize..12,
        ) {
            let by = Channels { side_by_side, turn: Turn { cells, channels }, ..small(count) };
            let mut units = vec![0_u64; count];
            spread(&counts, by, |channel, more| units[channel] += u64::from(more));
            prop_assert_eq!(most_units(&counts, by), units.into_iter().max().unwrap_or(0));
        }

        /// For equal lengths the two ways are one.
        #[test]
        fn equal_lengths_go_round(
            sequences in prop::collection::vec(0_u32..9, 1..6), heads in 1_u32..5, tokens in 1_u64..100, count in 1_usize..9,
            side_by_side in 1_u64..4,
        ) {
            let layers: Vec<Lengths> = sequences.iter().map(|&sequences| Lengths::equal(sequences, tokens)).collect();
            let groups: Vec<Vec<Group>> = layers.iter().map(|layer| layer.groups().to_vec()).collect();
            // Of partly filled rows only equal lengths know that units of other layers may lie beside.
            let rows = if side_by_side == 1 { 40 } else { 4000 };
            let channels = Channels { rows, side_by_side, ..small(count) };
            prop_assert_eq!(deal(&layers, heads, channels), balance(&groups, heads, channels));
            for rows in 0..40 {
                let channels = Channels { rows, ..channels };
                prop_assert_eq!(fits(&layers, heads, channels), deal(&layers, heads, channels).is_some());
            }
        }

        /// And where layers that fill the channels evenly are turned; each channel has as much of every layer as without.
        #[test]
        fn turned_layers_go_round(
            cells in prop::collection::vec(1_u32..4, 1..4), layers in 1_usize..6, rounds in 1_usize..3, channels in 0_usize..9,
        ) {
            let all = cells.iter().sum::<u32>() as usize;
            let count = if all.is_multiple_of(rounds) { all / rounds } else { all };
            let list = cells.repeat(layers);
            let lengths: Vec<Lengths> = list.iter().map(|&sequences| Lengths::equal(sequences, 7)).collect();
            let groups: Vec<Vec<Group>> = lengths.iter().map(|layer| layer.groups().to_vec()).collect();
            let turn = Turn { cells: cells.len(), channels };
            let by = Channels { rows: 4000, turn, ..small(count) };
            let dealt = deal(&lengths, 1, by);
            prop_assert_eq!(&dealt, &balance(&groups, 1, by));
            for channel in dealt.unwrap() {
                for layer in channel.chunks(cells.len()) {
                    let units: u32 = layer.iter().flatten().map(|units| units.count).sum();
                    prop_assert_eq!(units as usize, all / count);
                }
            }
        }

        /// Every unit is somewhere, no channel is too full, and in a layer no channel is ahead of another by more than
        /// its last unit.
        #[test]
        fn all_units_are_dealt_evenly(
            list in prop::collection::vec(1_u64..100, 1..9), layers in 1_usize..5, heads in 1_u32..4, count in 1_usize..9,
        ) {
            let channels = Channels { rows: 10_000, ..small(count) };
            let dealt = deal(&vec![lengths(&list); layers], heads, channels).unwrap();
            for layer in 0..layers {
                let mut units: Vec<u64> = dealt.iter().flat_map(|channel| &channel[layer])
                    .flat_map(|units| std::iter::repeat_n(units.tokens, units.count as usize)).collect();
                let mut expected: Vec<u64> =
                    list.iter().flat_map(|&tokens| std::iter::repeat_n(tokens, heads as usize)).collect();
                units.sort_unstable();
                expected.sort_unstable();
                prop_assert_eq!(units, expected);
                let sum = |channel: &Channel| -> u64 {
                    channel[layer].iter().map(|units| units.tokens * u64::from(units.count)).sum()
                };
                let fewest = dealt.iter().map(sum).min().unwrap_or(0);
                for channel in &dealt {
                    let last = channel[layer].last().map_or(0, |units| units.tokens);
                    prop_assert!(sum(channel) <= fewest + last);
                }
            }
        }
    }
}
