//! No engine: pop, handle, push.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::model::{Actor, Outbox, System, sum_up};
use crate::{Outcome, cpu_time};

/// 24 bytes. Ordered by time and then by the order of sending, the earliest greatest.
struct Entry<M> {
    time: u64,
    sequence: u64,
    to: u32,
    message: M,
}

impl<M> PartialEq for Entry<M> {
    fn eq(&self, other: &Self) -> bool {
        self.sequence == other.sequence
    }
}

impl<M> Eq for Entry<M> {}

impl<M> Ord for Entry<M> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.time, other.sequence).cmp(&(self.time, self.sequence))
    }
}

impl<M> PartialOrd for Entry<M> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

struct Pending<M> {
    heap: BinaryHeap<Entry<M>>,
    now: u64,
    sequence: u64,
}

impl<M> Outbox<M> for Pending<M> {
    fn send(&mut self, to: u32, delay: u64, message: M) {
        self.heap.push(Entry { time: self.now + delay, sequence: self.sequence, to, message });
        self.sequence += 1;
    }
}

pub(super) fn run<A: Actor>(System { mut actors, starts }: System<A>) -> Outcome {
    const { assert!(size_of::<Entry<A::Message>>() == 24) };
    let mut pending = Pending { heap: BinaryHeap::new(), now: 0, sequence: 0 };
    for (to, at, message) in starts {
        pending.send(to, at, message);
    }
    let begun = cpu_time();
    while let Some(entry) = pending.heap.pop() {
        pending.now = entry.time;
        actors[entry.to as usize].handle(entry.time, entry.message, &mut pending);
    }
    let nanoseconds = cpu_time() - begun;
    let (events, checksum) = sum_up(actors.iter());
    Outcome { events, checksum, nanoseconds }
}
