//! Sets of banks of a channel, as bits.

use std::ops::{BitAnd, BitAndAssign};

const WORDS: usize = 2;

/// A set of banks of a channel, by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BankSet([u64; WORDS]);

impl BankSet {
    /// As many banks as a set can hold: the largest organisations (HBM of 16 dies) have so many in a channel.
    pub(super) const CAPACITY: u32 = 64 * WORDS as u32;

    pub(super) fn range(banks: std::ops::Range<usize>) -> Self {
        let mut set = Self::default();
        for bank in banks {
            set.insert(bank);
        }
        set
    }

    /// One bank.
    #[inline]
    pub(super) fn of(bank: usize) -> Self {
        let mut set = Self::default();
        set.insert(bank);
        set
    }

    #[inline]
    pub(super) fn insert(&mut self, bank: usize) {
        self.0[bank / 64] |= 1 << (bank % 64);
    }

    #[inline]
    pub(super) fn remove(&mut self, bank: usize) {
        self.0[bank / 64] &= !(1 << (bank % 64));
    }

    #[inline]
    pub(super) fn contains(self, bank: usize) -> bool {
        self.0[bank / 64] >> (bank % 64) & 1 == 1
    }

    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.0[0] | self.0[1] == 0
    }

    /// Those that are not in `other`.
    #[inline]
    pub(super) fn without(self, other: Self) -> Self {
        Self([self.0[0] & !other.0[0], self.0[1] & !other.0[1]])
    }

    /// The lowest.
    #[inline]
    pub(super) fn first(self) -> Option<usize> {
        if self.0[0] != 0 {
            Some(self.0[0].trailing_zeros() as usize)
        } else if self.0[1] != 0 {
            Some(64 + self.0[1].trailing_zeros() as usize)
        } else {
            None
        }
    }

    /// Calls `visit` for each bank, lowest first.
    #[inline]
    pub(super) fn for_each(self, mut visit: impl FnMut(usize)) {
        let (mut word, mut first) = (self.0[0], 0);
        loop {
            while word != 0 {
                visit(first + word.trailing_zeros() as usize);
                word &= word - 1;
            }
            if first > 0 || self.0[1] == 0 {
                return;
            }
            (word, first) = (self.0[1], 64);
        }
    }
}

impl BitAnd for BankSet {
    type Output = Self;
    #[inline]
    fn bitand(self, other: Self) -> Self {
        Self([self.0[0] & other.0[0], self.0[1] & other.0[1]])
    }
}

impl BitAndAssign for BankSet {
    #[inline]
    fn bitand_assign(&mut self, other: Self) {
        *self = *self & other;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_banks_of_both_words_kept() {
        let mut set = BankSet::range(62..66);
        set.remove(63);
        set.insert(127);
        let mut seen = Vec::new();
        set.for_each(|bank| seen.push(bank));
        assert_eq!(seen, [62, 64, 65, 127]);
        assert!(set.contains(64) && !set.contains(63));
        assert!((set & BankSet::range(0..62)).is_empty());
        assert!(set.without(BankSet::range(0..128)).is_empty());
        set &= BankSet::range(100..128);
        assert_eq!(set, BankSet::range(127..128));
    }
}
