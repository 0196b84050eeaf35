//! The pending messages, ordered by a key that says who sent them and when they are due.
//!
//! A small set is one fused heap, in which entries of a key and a slot move; messages stay in their slots. From
//! `Limits::large` entries on, messages past a horizon lie in radix buckets, and the heap is refilled from the earliest
//! bucket; below `Limits::small` the set becomes one heap again. The order is that of the keys, whatever the
//! structure: no two messages have the same key.

mod heap;
mod radix;
mod slab;
#[cfg(test)]
mod tests;

use crate::actor::ActorId;
use crate::time::Time;

use heap::Heap;
use radix::{Content, Far, Radix};
use slab::Slab;

pub use slab::EventHandle;

const COUNTER_BITS: u32 = 36;
const SENDER_BITS: u32 = 20;
const DELTA_BITS: u32 = 8;

/// The sender of the messages that start a run.
pub(crate) const OUTSIDE: ActorId = ActorId::from_index((1 << SENDER_BITS) - 1);
/// How many actors a system may have.
pub(crate) const ACTORS: usize = (1 << SENDER_BITS) - 1;
/// How often a message may follow another without delay.
pub(crate) const DELTAS: u64 = 1 << DELTA_BITS;

/// What orders the messages of one time: delta, sender and the sender's counter, from the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tie(u64);

impl Tie {
    /// The first message of this sender.
    pub(crate) const fn first(sender: ActorId) -> Self {
        Self((sender.index() as u64) << COUNTER_BITS)
    }

    /// The sender's next message; `None` after 68,719,476,735 of them.
    #[inline]
    pub(crate) const fn next(self) -> Option<Self> {
        let next = self.0 + 1;
        if next.is_multiple_of(1 << COUNTER_BITS) { None } else { Some(Self(next)) }
    }

    pub(crate) const fn with_delta(self, delta: u64) -> Self {
        Self(self.0 | delta << (SENDER_BITS + COUNTER_BITS))
    }

    pub(crate) const fn delta(self) -> u64 {
        self.0 >> (SENDER_BITS + COUNTER_BITS)
    }
}

/// (time, delta, sender, the sender's counter) in one number, so that a comparison is one comparison. No two messages
/// have the same key: the order of delivery depends on the model alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(u128);

impl Key {
    /// Later than every message: a message at the end of time has not the greatest delta.
    pub(crate) const NEVER: Self = Self(u128::MAX);

    #[inline]
    pub(crate) const fn new(at: Time, tie: Tie) -> Self {
        Self((at.ps() as u128) << 64 | tie.0 as u128)
    }

    /// Before every message of the time `at`, and after every earlier one.
    pub(crate) const fn start_of(at: Time) -> Self {
        Self((at.ps() as u128) << 64)
    }

    /// The last time all of whose messages are before this key, the start of a time; the end of time for
    /// [`Self::NEVER`], and `None` where there is no such time.
    pub(crate) fn last_time_before(self) -> Option<Time> {
        debug_assert!(self == Self::NEVER || self == Self::start_of(self.time()));
        if self == Self::NEVER { Some(Time::MAX) } else { self.time().ps().checked_sub(1).map(Time::from_ps) }
    }

    /// The time before this key's; time zero has none and stays.
    #[inline]
    pub(crate) const fn before_it(self) -> Time {
        Time::from_ps(((self.0 >> 64) as u64).saturating_sub(1))
    }

    #[inline]
    pub(crate) const fn time(self) -> Time {
        Time::from_ps((self.0 >> 64) as u64)
    }

    #[inline]
    pub(crate) const fn tie(self) -> Tie {
        Tie(self.0 as u64)
    }

    /// `self < other`; the derived operator goes by way of `Ordering`, which costs more in the heap's inner loop.
    #[inline]
    const fn before(self, other: Self) -> bool {
        self.0 < other.0
    }
}

/// What moves about in place of a message.
#[derive(Clone, Copy, Debug)]
struct Entry {
    key: Key,
    slot: u32,
}

/// When the structure changes.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// A heap of more entries than this is split.
    large: usize,
    /// A set of fewer entries than this becomes one heap. Far below `large`, so that no set switches to and fro.
    small: usize,
    /// The most that is poured into the heap at once, unless it is of one time.
    pour: usize,
}

impl Limits {
    /// Measured by the hold model of the bench crate.
    const MEASURED: Self = Self { large: 8_192, small: 2_048, pour: 1_024 };
}

/// The pending-event set.
#[derive(Debug)]
pub(crate) struct Queue<M> {
    front: Heap,
    /// The last time, in ps, that belongs to the heap; all of time while the set is small.
    horizon: u64,
    /// The heap's size at which it is split.
    split_at: usize,
    slab: Slab<M>,
    /// Present once the set has been large.
    far: Option<Box<Radix<M>>>,
    /// Cancelled entries that have not come up.
    cancelled: usize,
    limits: Limits,
}

impl<M> Queue<M> {
    pub(crate) const fn new() -> Self {
        Self::with_limits(Limits::MEASURED)
    }

    const fn with_limits(limits: Limits) -> Self {
        Self {
            front: Heap::new(),
            horizon: u64::MAX,
            split_at: limits.large,
            slab: Slab::new(),
            far: None,
            cancelled: 0,
            limits,
        }
    }

    #[allow(clippy::inline_always, reason = "a call would be a twelfth of what an event of a small set costs")]
    #[inline(always)]
    pub(crate) fn push(&mut self, key: Key, to: ActorId, message: M) {
        // The rare cases are tail calls, so that the usual one needs no registers saved.
        if self.front.is_vacant() && key.time().ps() <= self.horizon {
            match self.slab.insert(to, message) {
                Ok(slot) => self.front.replace(Entry { key, slot }),
                Err(message) => self.push_elsewhere(key, to, message),
            }
        } else {
            self.push_elsewhere(key, to, message);
        }
    }

    /// A message past the horizon, below the top or in a new slot.
    #[inline(never)]
    fn push_elsewhere(&mut self, key: Key, to: ActorId, message: M) {
        if key.time().ps() <= self.horizon {
            let slot = self.slab.put(to, message);
            self.insert(Entry { key, slot });
        } else if let Some(far) = &mut self.far {
            far.push(Far::new(key, Content::Message(to, message)));
        }
    }

    /// A message that can be cancelled.
    pub(crate) fn push_cancellable(&mut self, key: Key, to: ActorId, message: M) -> EventHandle {
        let handle = self.slab.insert_cancellable(to, message);
        self.insert_slot(key, handle.slot());
        handle
    }

    /// Takes back a message that `owner` sent to itself, where it is still pending.
    pub(crate) fn cancel(&mut self, owner: ActorId, handle: EventHandle) -> Option<M> {
        let message = self.slab.cancel(owner, handle)?;
        self.cancelled += 1;
        // The entry is left where it is. Too many of those are swept out, at a cost of one step per cancellation.
        if self.cancelled > 64 && self.cancelled * 2 > self.entries() {
            self.sweep();
        }
        Some(message)
    }

    /// The first message, where it is due at `last` or before.
    #[inline]
    pub(crate) fn pop_until(&mut self, last: Time) -> Option<(Key, ActorId, M)> {
        loop {
            let Some(Entry { key, slot }) = self.front.take_until(last) else {
                if self.front.is_empty() && self.horizon < u64::MAX {
                    self.refill();
                    continue;
                }
                return None;
            };
            if let Some((to, message)) = self.slab.take(slot) {
                return Some((key, to, message));
            }
            self.cancelled -= 1;
        }
    }

    /// The key of the first message, or that of a cancelled one before it; [`Key::NEVER`] where nothing is left.
    pub(crate) fn first(&mut self) -> Key {
        while self.front.first() == Key::NEVER && self.horizon < u64::MAX {
            self.refill();
        }
        self.front.first()
    }

    /// The entry of a message that has a slot.
    fn insert_slot(&mut self, key: Key, slot: u32) {
        if key.time().ps() > self.horizon {
            if let Some(far) = &mut self.far {
                far.push(Far::new(key, Content::Slot(slot)));
            }
        } else {
            self.insert(Entry { key, slot });
        }
    }

    /// An entry that is not past the horizon.
    #[inline]
    fn insert(&mut self, entry: Entry) {
        if self.front.is_vacant() {
            self.front.replace(entry);
        } else {
            self.insert_below(entry);
        }
    }

    #[inline(never)]
    fn insert_below(&mut self, entry: Entry) {
        self.front.push(entry);
        if self.front.len() > self.split_at {
            self.split();
        }
    }

    /// Moves all but the earliest entries of a heap that has grown too large to the buckets.
    #[cold]
    fn split(&mut self) {
        let entries = self.front.drain();
        let far = self.far.get_or_insert_with(|| Box::new(Radix::new()));
        let earliest = entries.iter().map(|entry| entry.key.time().ps()).min().unwrap_or(0);
        if self.horizon == u64::MAX {
            far.set_current(earliest);
        } else {
            far.set_current(earliest.max(far.current()));
        }
        for entry in entries {
            // Earlier than the present are only messages that were started from outside after a run.
            if entry.key.time().ps() < far.current() {
                self.front.insert(entry);
            } else {
                far.push(lifted(&mut self.slab, entry));
            }
        }
        self.pour();
    }

    /// Fills the empty heap from the buckets.
    #[cold]
    fn refill(&mut self) {
        let Some(far) = self.far.as_mut().filter(|far| far.len() >= self.limits.small) else {
            self.unite();
            return;
        };
        debug_assert!(far.len() > 0, "`small` is at least 1");
        self.pour();
    }

    fn pour(&mut self) {
        if let Some(far) = &mut self.far {
            let (first, last) = far.pour(self.limits.pour, |far| self.front.pour(landed(&mut self.slab, far)));
            self.front.settle(first, last);
            self.horizon = last;
            // Entries of one time cannot be split further; then the heap may grow.
            self.split_at = self.limits.large.max(self.front.len() * 2);
        }
    }

    /// Makes one heap of the set.
    fn unite(&mut self) {
        self.horizon = u64::MAX;
        self.split_at = self.limits.large;
        for far in self.far.as_mut().map_or_else(Vec::new, |far| far.drain()) {
            self.front.insert(landed(&mut self.slab, far));
        }
    }

    /// Takes out the cancelled entries.
    #[cold]
    fn sweep(&mut self) {
        let near = self.front.drain();
        let far = self.far.as_mut().map_or_else(Vec::new, |far| far.drain());
        self.unite();
        for entry in near {
            if !self.slab.free_if_cancelled(entry.slot) {
                self.insert_slot(entry.key, entry.slot);
            }
        }
        for far in far {
            match far.open() {
                (key, Content::Message(to, message)) => self.push(key, to, message),
                (key, Content::Slot(slot)) if !self.slab.free_if_cancelled(slot) => self.insert_slot(key, slot),
                (_, Content::Slot(_)) => {}
            }
        }
        self.cancelled = 0;
    }

    /// Whether nothing is pending. Looks at every slot: for the end of a run.
    pub(crate) fn is_empty(&self) -> bool {
        self.slab.is_empty() && self.far.as_ref().is_none_or(|far| far.iter().all(Far::is_slot))
    }

    /// How many entries there are, cancelled ones included.
    fn entries(&self) -> usize {
        self.front.len() + self.far.as_ref().map_or(0, |far| far.len())
    }
}

/// What goes to the buckets for an entry of the heap.
fn lifted<M>(slab: &mut Slab<M>, Entry { key, slot }: Entry) -> Far<M> {
    let content = slab.lift(slot).map_or(Content::Slot(slot), |(to, message)| Content::Message(to, message));
    Far::new(key, content)
}

/// The entry in the heap for what was in a bucket.
#[inline]
fn landed<M>(slab: &mut Slab<M>, far: Far<M>) -> Entry {
    let (key, content) = far.open();
    let slot = match content {
        Content::Message(to, message) => slab.put(to, message),
        Content::Slot(slot) => slot,
    };
    Entry { key, slot }
}
