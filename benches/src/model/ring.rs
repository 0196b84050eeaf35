//! Tokens that go round a ring: what a hop costs.

use super::{Actor, Outbox, System};

/// Ticks per hop.
pub(super) const HOP: u64 = 1_000;
/// How many actors the ring has.
const ACTORS: u32 = 1_000;

/// An actor of the ring.
#[derive(Debug)]
pub struct Ring {
    next: u32,
    events: u64,
    seen: u64,
    end: u64,
}

impl Ring {
    /// The ring with tokens that start side by side, until `end`.
    pub fn system(tokens: u32, end: u64) -> System<Self> {
        let actors = (0..ACTORS).map(|i| Self { next: (i + 1) % ACTORS, events: 0, seen: 0, end }).collect();
        System { actors, starts: (0..tokens).map(|i| (i % ACTORS, 1, i)).collect() }
    }
}

impl Ring {
    /// The number of the actor to which tokens go.
    pub fn next(&self) -> u32 {
        self.next
    }
}

impl Actor for Ring {
    /// The token's hops so far, from its number.
    type Message = u32;

    #[inline(always)]
    fn handle(&mut self, now: u64, token: u32, outbox: &mut impl Outbox<u32>) {
        if now >= self.end {
            return;
        }
        self.events += 1;
        self.seen = self.seen.wrapping_mul(31).wrapping_add(u64::from(token));
        outbox.send(self.next, HOP, token.wrapping_add(1));
    }

    fn events(&self) -> u64 {
        self.events
    }

    fn digest(&self) -> u64 {
        self.seen
    }
}
