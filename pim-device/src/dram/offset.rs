//! Ticks counted from a base that moves on: short, so that eight of them are one word of the processor.

#![allow(clippy::inline_always, reason = "asked for each kind of command at every look")]

use std::fmt::Debug;

use super::Tick;

/// A tick, counted from a base.
pub(super) trait Offset: Copy + Debug + Ord {
    /// How far from the base a command may be issued, and how long a rule may be.
    const REACH: Tick;
    /// The base.
    const ZERO: Self;
    /// What is added to a tick where no rule says anything: it ends before the base.
    const NOTHING: Self;
    /// After everything.
    const NEVER: Self;
    /// The tick so far behind the base; up to twice [`Self::REACH`].
    fn of(ticks: Tick) -> Self;
    /// How far behind the base this is.
    fn ticks(self) -> Tick;
    /// So much later.
    fn plus(self, latency: Self) -> Self;
    /// The same tick from a base that is so much later, or that base.
    fn rebased(self, later: Tick) -> Self;
}

macro_rules! offset {
    ($($bits:ty: $reach:expr;)+) => {$(
        impl Offset for $bits {
            const REACH: Tick = $reach;
            const ZERO: Self = 0;
            const NOTHING: Self = Self::MIN;
            const NEVER: Self = Self::MAX;
            #[inline]
            #[allow(clippy::cast_possible_wrap, reason = "up to twice the reach")]
            fn of(ticks: Tick) -> Self {
                ticks as Self
            }
            #[inline]
            fn ticks(self) -> Tick {
                self as Tick
            }
            #[inline]
            fn plus(self, latency: Self) -> Self {
                self.wrapping_add(latency)
            }
            #[inline]
            #[allow(clippy::cast_possible_wrap, reason = "not more than the largest")]
            fn rebased(self, later: Tick) -> Self {
                self.saturating_sub(later.min(Self::MAX as Tick) as Self).max(0)
            }
        }
    )+};
}

// Twice the reach is less than what never comes.
offset! {
    i16: (1 << 14) - 1;
    i64: (1 << 61) - 1;
}

/// State: the tick from which offsets are counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Base(Tick);

impl Base {
    /// The beginning.
    pub(super) const fn new() -> Self {
        Self(0)
    }

    /// The last tick that can be gone to before [`Self::move_to`].
    #[inline(always)]
    pub(super) fn horizon<T: Offset>(self) -> Tick {
        self.0 + T::REACH
    }

    /// The offset of a tick that can be gone to.
    #[inline(always)]
    pub(super) fn offset<T: Offset>(self, tick: Tick) -> T {
        T::of(tick - self.0)
    }

    /// The tick of an offset that is not never.
    #[inline(always)]
    pub(super) fn tick<T: Offset>(self, offset: T) -> Tick {
        self.0 + offset.ticks()
    }

    /// Counts from a later tick on, and has these offsets stay the ticks that they are: all that are kept.
    #[inline(always)]
    pub(super) fn move_to<'a, T: Offset + 'a>(&mut self, tick: Tick, offsets: impl Iterator<Item = &'a mut [T]>) {
        let later = tick - self.0;
        self.0 = tick;
        for offsets in offsets {
            // Eight are read before any is written, so that it is done for all of them at once.
            let (words, rest) = offsets.as_chunks_mut::<8>();
            for word in words {
                *word = word.map(|offset| offset.rebased(later));
            }
            for offset in rest {
                *offset = offset.rebased(later);
            }
        }
    }
}
