//! Sets of banks of a channel, as bits.

use std::fmt::Debug;
use std::ops::{BitAnd, BitAndAssign, BitOr, BitOrAssign, Not, Range};

/// As many banks as a set can hold: the largest organisations (HBM of 16 dies) have so many in a channel.
pub(super) const CAPACITY: usize = 128;

/// A set of banks of a channel, by number: 64 bits where they are enough, which is what nearly all channels need.
pub(super) trait BankSet:
    Copy + Debug + Eq + BitAnd<Output = Self> + BitOr<Output = Self> + Not<Output = Self> + BitAndAssign + BitOrAssign
{
    /// No bank.
    const EMPTY: Self;
    /// One bank.
    fn of(bank: usize) -> Self;
    /// The lowest of a set that is not empty.
    fn first(self) -> usize;
    /// A set that is not empty without its lowest.
    fn without_first(self) -> Self;

    /// These banks.
    fn range(banks: Range<usize>) -> Self {
        let mut set = Self::EMPTY;
        for bank in banks {
            set.insert(bank);
        }
        set
    }

    #[inline]
    fn insert(&mut self, bank: usize) {
        *self |= Self::of(bank);
    }

    #[inline]
    fn remove(&mut self, bank: usize) {
        *self &= !Self::of(bank);
    }

    #[inline]
    fn contains(self, bank: usize) -> bool {
        !(self & Self::of(bank)).is_empty()
    }

    #[inline]
    fn is_empty(self) -> bool {
        self == Self::EMPTY
    }

    /// Those that are not in `other`.
    #[inline]
    fn without(self, other: Self) -> Self {
        self & !other
    }
}

macro_rules! bank_set {
    ($($bits:ty)+) => {$(
        impl BankSet for $bits {
            const EMPTY: Self = 0;
            #[inline]
            fn of(bank: usize) -> Self {
                // The remainder is the bank itself: sets are as large as the channel.
                1 << (bank % Self::BITS as usize)
            }
            #[inline]
            fn first(self) -> usize {
                self.trailing_zeros() as usize
            }
            #[inline]
            fn without_first(self) -> Self {
                self & self.wrapping_sub(1)
            }
        }
    )+};
}

bank_set!(u64 u128);

#[cfg(test)]
mod tests {
    use super::*;

    fn check<S: BankSet>(banks: Range<usize>) {
        let mut set = S::range(banks.clone());
        let second = banks.start + 1;
        assert!(set.contains(second) && set.first() == banks.start);
        set.remove(second);
        assert!(!set.contains(second) && set.contains(banks.end - 1) && !set.contains(banks.end));
        assert_eq!(set.without_first().first(), banks.start + 2);
        assert!((set & S::range(0..banks.start)).is_empty());
        assert!(set.without(S::range(banks)).is_empty());
    }

    #[test]
    fn are_banks_of_both_sizes_kept() {
        check::<u64>(58..63);
        check::<u128>(62..66);
    }
}
