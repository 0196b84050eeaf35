//! The pending messages, ordered by a key that says who sent them and when they are due.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::actor::ActorId;
use crate::time::Time;

const COUNTER_BITS: u32 = 36;
const SENDER_BITS: u32 = 20;
const DELTA_BITS: u32 = 8;

/// The sender of the messages that start a run.
pub(crate) const OUTSIDE: ActorId = ActorId::from_index((1 << SENDER_BITS) - 1);
/// How many actors a system may have.
pub(crate) const ACTORS: usize = (1 << SENDER_BITS) - 1;
/// How often a message may follow another without delay.
pub(crate) const DELTAS: u64 = 1 << DELTA_BITS;

/// (time, delta, sender, the sender's counter) in one number, so that a comparison is one comparison. No two messages
/// have the same key: the order of delivery depends on the model alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key(u128);

impl Key {
    pub(crate) fn new(time: Time, delta: u64, sender: ActorId, counter: u64) -> Self {
        let low = delta << (SENDER_BITS + COUNTER_BITS)
            | (sender.index() as u64) << COUNTER_BITS
            | counter & ((1 << COUNTER_BITS) - 1);
        Self(u128::from(time.ps()) << 64 | u128::from(low))
    }

    pub(crate) fn time(self) -> Time {
        Time::from_ps((self.0 >> 64) as u64)
    }

    pub(crate) fn delta(self) -> u64 {
        (self.0 as u64) >> (SENDER_BITS + COUNTER_BITS)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    key: Key,
    slot: u32,
}

impl Ord for Entry {
    /// Reversed: the standard heap gives its greatest entry first, we want the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key.cmp(&self.key)
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The pending-event set. Messages lie in a slab, so moving an entry moves 32 bytes whatever the message.
#[derive(Debug)]
pub(crate) struct Queue<M> {
    heap: BinaryHeap<Entry>,
    slab: Vec<Option<(ActorId, M)>>,
    free: Vec<u32>,
}

impl<M> Queue<M> {
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::new(), slab: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn push(&mut self, key: Key, to: ActorId, message: M) {
        let slot = if let Some(slot) = self.free.pop() {
            self.slab[slot as usize] = Some((to, message));
            slot
        } else {
            self.slab.push(Some((to, message)));
            (self.slab.len() - 1) as u32
        };
        self.heap.push(Entry { key, slot });
    }

    pub(crate) fn pop(&mut self) -> Option<(Key, ActorId, M)> {
        let entry = self.heap.pop()?;
        let (to, message) = self.slab[entry.slot as usize].take()?;
        self.free.push(entry.slot);
        Some((entry.key, to, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::draw;

    #[test]
    fn messages_leave_in_the_order_of_a_sorted_list_of_their_keys() {
        let mut queue = Queue::new();
        let mut expected = Vec::new();
        for i in 0..2_000_u64 {
            let time = Time::from_ps(draw(1, 0, i) % 50);
            let key = Key::new(time, draw(1, 1, i) % 3, ActorId::from_index((draw(1, 2, i) % 7) as usize), i);
            queue.push(key, ActorId::from_index(0), i);
            expected.push((key, i));
            if i % 5 == 4 {
                expected.sort();
                let (key, message) = expected.remove(0);
                assert_eq!(queue.pop(), Some((key, ActorId::from_index(0), message)));
            }
        }
        expected.sort();
        for (key, message) in expected {
            assert_eq!(queue.pop(), Some((key, ActorId::from_index(0), message)));
        }
        assert_eq!(queue.pop(), None);
    }

    #[test]
    fn a_key_gives_back_its_time_and_delta() {
        let key = Key::new(Time::MAX, 255, OUTSIDE, (1 << 36) - 1);
        assert_eq!((key.time(), key.delta()), (Time::MAX, 255));
    }
}
