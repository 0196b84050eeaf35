//! Where messages wait: a slot each, used again as soon as it is free. No allocation once the slab has its size.

use std::mem;

use crate::actor::ActorId;

use super::SENDER_BITS;

/// Where a pending event that can still be cancelled or re-timed is; see [`crate::Context::wake_cancellable`].
///
/// Says nothing that a model could act on, because slots are handed out differently when a system runs on several
/// threads: a model can only ask whether the event is still pending.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EventHandle {
    slot: u32,
    stamp: u64,
}

impl EventHandle {
    /// A handle of no event.
    pub(crate) const DEAD: Self = Self { slot: u32::MAX, stamp: 0 };
}

impl std::fmt::Debug for EventHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EventHandle")
    }
}

/// Stamps are 44 bits wide: ten million cancellable events a second take 20 days to come back to the same one.
const STAMPS: u64 = 1 << (u64::BITS - SENDER_BITS);

#[derive(Debug)]
struct Slot<M> {
    /// While used: stamp (0 where there is no handle) and receiver. While free: the next free slot.
    tag: u64,
    /// `None` while free, and after a cancellation until the entry comes up.
    message: Option<M>,
}

#[derive(Debug)]
pub(super) struct Slab<M> {
    slots: Vec<Slot<M>>,
    /// First free slot; past the end where there is none.
    free: u32,
    /// Handles given out.
    stamps: u64,
}

impl<M> Slab<M> {
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), free: u32::MAX, stamps: 0 }
    }

    /// Puts a message in a free slot, or gives it back where there is none.
    #[inline]
    pub(super) fn insert(&mut self, to: ActorId, message: M) -> Result<u32, M> {
        let index = self.free;
        let Some(slot) = self.slots.get_mut(index as usize) else { return Err(message) };
        self.free = slot.tag as u32;
        slot.tag = to.index() as u64;
        // A free slot is empty; without `forget` the compiler would look for something to drop.
        mem::forget(slot.message.replace(message));
        Ok(index)
    }

    /// Puts a message in a slot, free or new.
    #[inline]
    pub(super) fn put(&mut self, to: ActorId, message: M) -> u32 {
        self.insert(to, message).unwrap_or_else(|message| self.grow(to, message))
    }

    /// Puts a message in a new slot.
    #[cold]
    #[inline(never)]
    pub(super) fn grow(&mut self, to: ActorId, message: M) -> u32 {
        let index = self.slots.len();
        assert!(index < u32::MAX as usize, "at most {} events can be pending", u32::MAX);
        self.slots.push(Slot { tag: to.index() as u64, message: Some(message) });
        index as u32
    }

    pub(super) fn insert_cancellable(&mut self, to: ActorId, message: M) -> EventHandle {
        let slot = self.put(to, message);
        self.stamps = self.stamps % (STAMPS - 1) + 1;
        let stamp = self.stamps;
        self.slots[slot as usize].tag |= stamp << SENDER_BITS;
        EventHandle { slot, stamp }
    }

    /// Frees a slot whose entry came up. `None` where it was cancelled.
    #[inline]
    pub(super) fn take(&mut self, index: u32) -> Option<(ActorId, M)> {
        let slot = &mut self.slots[index as usize];
        let to = ActorId::from_index((slot.tag % (1 << SENDER_BITS)) as usize);
        slot.tag = u64::from(self.free);
        self.free = index;
        slot.message.take().map(|message| (to, message))
    }

    /// Frees the slot of a pending event that cannot be cancelled; nobody else knows where it was.
    #[inline]
    pub(super) fn lift(&mut self, index: u32) -> Option<(ActorId, M)> {
        if self.slots[index as usize].tag < 1 << SENDER_BITS { self.take(index) } else { None }
    }

    /// Takes the message of a pending event of `owner`; its slot stays used until its entry comes up.
    pub(super) fn cancel(&mut self, owner: ActorId, handle: EventHandle) -> Option<M> {
        let slot = self.slots.get_mut(handle.slot as usize)?;
        // A free slot has a tag too, but no message.
        if slot.tag == handle.stamp << SENDER_BITS | owner.index() as u64 { slot.message.take() } else { None }
    }

    /// Whether no message waits. Looks at every slot.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.iter().all(|slot| slot.message.is_none())
    }

    /// Frees the slot of an entry whose message was cancelled. False where it was not.
    pub(super) fn free_if_cancelled(&mut self, index: u32) -> bool {
        let cancelled = self.slots[index as usize].message.is_none();
        if cancelled {
            self.take(index);
        }
        cancelled
    }
}

impl EventHandle {
    pub(super) const fn slot(self) -> u32 {
        self.slot
    }
}

#[cfg(test)]
impl<M> Slab<M> {
    /// What it takes up, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot<M>>()
    }
}

#[cfg(test)]
pub(super) const fn bytes_per_slot<M>() -> usize {
    size_of::<Slot<M>>()
}
