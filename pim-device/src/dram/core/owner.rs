//! Banks that were opened for a request which is not served yet.

#![allow(clippy::inline_always, reason = "asked for each kind of command at every look")]

use crate::dram::Tick;
use crate::dram::bank_set::CAPACITY;
use crate::dram::entries::{Key, NONE};

/// When an owner was offered, and below that when its bank was activated: the order in which owners are served.
type Age = u128;

/// The request for which a bank was activated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) key: Key,
    pub(super) age: Age,
}

impl Owner {
    pub(super) const NOBODY: Self = Self { key: NONE, age: 0 };

    #[inline(always)]
    pub(super) fn new(key: Key, arrived: Tick, activated: Tick) -> Self {
        Self { key, age: Age::from(arrived) << 64 | Age::from(activated) }
    }
}

/// State: banks whose rows have been opened for owners of one kind, as long as none of them can be served.
///
/// From an activation to the access there is a time that is the same for all banks, so they are in the order of
/// their ticks.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    /// Ticks, and below them banks. Each bank is in here once at most.
    ring: Box<[u64; RING]>,
    first: u8,
    end: u8,
    /// The tick of the first.
    pub(super) next: Tick,
}

/// Places for all banks, and as many as there are of what counts them.
const RING: usize = 256;
const _: () = assert!(RING > CAPACITY && RING == u8::MAX as usize + 1);

impl Opening {
    pub(super) fn new() -> Self {
        Self { ring: Box::new([0; RING]), first: 0, end: 0, next: Tick::MAX }
    }

    #[inline(always)]
    pub(super) fn push(&mut self, bank: usize, tick: Tick) {
        self.ring[usize::from(self.end)] = tick << 8 | bank as u64;
        self.end = self.end.wrapping_add(1);
        self.next = self.next.min(tick);
    }

    /// Takes the bank whose tick is next.
    #[inline(always)]
    pub(super) fn pop(&mut self) -> usize {
        let bank = self.ring[usize::from(self.first)] as u8;
        self.first = self.first.wrapping_add(1);
        self.next = if self.first == self.end { Tick::MAX } else { self.ring[usize::from(self.first)] >> 8 };
        bank.into()
    }
}
