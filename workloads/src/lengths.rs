//! How many tokens each sequence of a batch has.

use serde::Serialize;

/// Sequences next to each other in a batch that have the same number of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Group {
    /// How many sequences.
    pub sequences: u32,
    /// Tokens of each.
    pub tokens: u64,
}

/// Tokens of each sequence of a batch, or of a part of it; the oldest sequence first. What is the same for all
/// sequences costs no more than for one.
///
/// ```
/// use workloads::Lengths;
///
/// let lengths: Lengths = [100, 100, 30].into_iter().collect();
/// assert_eq!((lengths.sequences(), lengths.total(), lengths.longest()), (3, 230, 100));
/// // The oldest sequence; the other two; what each has beyond its oldest 40 tokens.
/// assert_eq!(lengths.first(1), Lengths::equal(1, 100));
/// assert_eq!(lengths.after(1), [100, 30].into_iter().collect());
/// assert_eq!(lengths.beyond(40), Lengths::equal(2, 60));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Lengths {
    /// No two neighbours have the same tokens, and none is without a sequence.
    groups: Vec<Group>,
}

impl Lengths {
    /// Sequences of the same length.
    pub fn equal(sequences: u32, tokens: u64) -> Self {
        [Group { sequences, tokens }].into_iter().collect()
    }

    /// The groups, in order.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The tokens of each sequence, in order.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        self.groups.iter().flat_map(|group| std::iter::repeat_n(group.tokens, group.sequences as usize))
    }

    /// How many sequences; a batch has at most `u32::MAX`.
    pub fn sequences(&self) -> u32 {
        self.groups.iter().fold(0, |sum, group| sum.saturating_add(group.sequences))
    }

    /// Tokens of all sequences together, saturating.
    pub fn total(&self) -> u64 {
        self.sum(|tokens| tokens)
    }

    /// `value(tokens)` of all sequences together, saturating.
    pub fn sum(&self, value: impl Fn(u64) -> u64) -> u64 {
        let of = |group: &Group| u64::from(group.sequences).saturating_mul(value(group.tokens));
        self.groups.iter().fold(0, |sum: u64, group| sum.saturating_add(of(group)))
    }

    /// The most tokens of a sequence; zero where there is none.
    pub fn longest(&self) -> u64 {
        self.groups.iter().map(|group| group.tokens).max().unwrap_or(0)
    }

    /// The fewest tokens of a sequence; zero where there is none.
    pub fn shortest(&self) -> u64 {
        self.groups.iter().map(|group| group.tokens).min().unwrap_or(0)
    }

    /// Whether all sequences have the same length.
    pub fn is_equal(&self) -> bool {
        self.groups.len() <= 1
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.longest() == 0
    }

    /// Every length changed; the order stays.
    pub fn map(&self, change: impl Fn(u64) -> u64) -> Self {
        self.groups.iter().map(|group| Group { tokens: change(group.tokens), ..*group }).collect()
    }

    /// No length above `most`.
    pub fn capped(&self, most: u64) -> Self {
        self.map(|tokens| tokens.min(most))
    }

    /// What each sequence has besides its oldest `tokens` tokens, of those that have more.
    pub fn beyond(&self, tokens: u64) -> Self {
        let longer = self.groups.iter().filter(|group| group.tokens > tokens);
        longer.map(|group| Group { tokens: group.tokens - tokens, ..*group }).collect()
    }

    /// The oldest `sequences` sequences.
    pub fn first(&self, sequences: u32) -> Self {
        let mut left = sequences;
        let mut first = |group: &Group| {
            let sequences = group.sequences.min(left);
            left -= sequences;
            Group { sequences, ..*group }
        };
        self.groups.iter().map(&mut first).collect()
    }

    /// All but the oldest `sequences` sequences.
    pub fn after(&self, sequences: u32) -> Self {
        let mut left = sequences;
        let mut rest = |group: &Group| {
            let gone = group.sequences.min(left);
            left -= gone;
            Group { sequences: group.sequences - gone, ..*group }
        };
        self.groups.iter().map(&mut rest).collect()
    }
}

impl FromIterator<Group> for Lengths {
    fn from_iter<I: IntoIterator<Item = Group>>(groups: I) -> Self {
        let mut lengths = Self::default();
        for group in groups.into_iter().filter(|group| group.sequences > 0) {
            match lengths.groups.last_mut() {
                Some(last) if last.tokens == group.tokens => {
                    last.sequences = last.sequences.saturating_add(group.sequences);
                }
                _ => lengths.groups.push(group),
            }
        }
        lengths
    }
}

impl FromIterator<u64> for Lengths {
    fn from_iter<I: IntoIterator<Item = u64>>(tokens: I) -> Self {
        tokens.into_iter().map(|tokens| Group { sequences: 1, tokens }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Everything agrees with the plain list.
        #[test]
        fn lengths_are_what_the_list_says(list in prop::collection::vec(0_u64..5, 0..12), n in 0_u32..14, cap in 0_u64..6) {
            let lengths: Lengths = list.iter().copied().collect();
            prop_assert!(lengths.groups().windows(2).all(|pair| pair[0].tokens != pair[1].tokens));
            prop_assert_eq!(lengths.iter().collect::<Vec<_>>(), list.clone());
            prop_assert_eq!(lengths.sequences() as usize, list.len());
            prop_assert_eq!(lengths.total(), list.iter().sum::<u64>());
            prop_assert_eq!(lengths.longest(), list.iter().copied().max().unwrap_or(0));
            prop_assert_eq!(lengths.shortest(), list.iter().copied().min().unwrap_or(0));
            prop_assert_eq!(lengths.is_equal(), list.windows(2).all(|pair| pair[0] == pair[1]));
            let of = |part: Lengths| part.iter().collect::<Vec<_>>();
            let cut = list.len().min(n as usize);
            prop_assert_eq!(of(lengths.first(n)), list[..cut].to_vec());
            prop_assert_eq!(of(lengths.after(n)), list[cut..].to_vec());
            prop_assert_eq!(of(lengths.capped(cap)), list.iter().map(|&t| t.min(cap)).collect::<Vec<_>>());
            let beyond: Vec<u64> = list.iter().filter(|&&t| t > cap).map(|t| t - cap).collect();
            prop_assert_eq!(of(lengths.beyond(cap)), beyond);
        }
    }
}
