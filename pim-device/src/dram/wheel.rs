//! A timer wheel: which nodes are to be looked at in which tick.

use super::Tick;

/// Ticks that the wheel sees ahead.
const SLOTS: usize = 64;
/// No node.
const NONE: u16 = u16::MAX;

/// State: nodes that wait for a tick. Each of them is in the wheel at most once.
///
/// A node that waits for a tick beyond the wheel is woken at its far end: whoever wakes looks again.
#[derive(Clone, Debug)]
pub(super) struct Wheel<const NODES: usize> {
    /// The first node of each slot, and the one after each node.
    first: [u16; SLOTS],
    after: [u16; NODES],
    /// Slots with nodes, as bits.
    occupied: u64,
    /// The last tick whose nodes were taken.
    now: Tick,
}

impl<const NODES: usize> Wheel<NODES> {
    pub(super) const fn new() -> Self {
        Self { first: [NONE; SLOTS], after: [NONE; NODES], occupied: 0, now: 0 }
    }

    /// Puts a node, which is not in the wheel, where it is woken at `tick`, or before it where that is far.
    #[inline]
    pub(super) fn insert(&mut self, node: usize, tick: Tick) {
        debug_assert!(tick > self.now);
        let slot = tick.min(self.now + SLOTS as Tick) as usize % SLOTS;
        let occupied = 1 << slot;
        // Where the slot is empty its first node is an old one.
        self.after[node % NODES] = if self.occupied & occupied == 0 { NONE } else { self.first[slot] };
        self.first[slot] = node as u16;
        self.occupied |= occupied;
    }

    /// The first tick at which a node is woken.
    #[inline]
    pub(super) fn next(&self) -> Tick {
        if self.occupied == 0 {
            return Tick::MAX;
        }
        let ahead = self.occupied.rotate_right(((self.now + 1) % SLOTS as Tick) as u32);
        self.now + 1 + Tick::from(ahead.trailing_zeros())
    }

    /// Takes the nodes of all ticks up to `tick`.
    #[inline]
    pub(super) fn wake(&mut self, tick: Tick, mut visit: impl FnMut(usize)) {
        while self.next() <= tick {
            let slot = (self.next() % SLOTS as Tick) as usize;
            self.occupied &= !(1 << slot);
            let mut node = self.first[slot];
            while node != NONE {
                visit(usize::from(node));
                node = self.after[usize::from(node) % NODES];
            }
        }
        self.now = self.now.max(tick);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_woken(wheel: &mut Wheel<8>, tick: Tick, expected: &[usize]) {
        let mut woken = Vec::new();
        wheel.wake(tick, |node| woken.push(node));
        woken.sort_unstable();
        assert_eq!(woken, expected, "tick {tick}");
    }

    #[test]
    fn are_nodes_woken_in_their_tick_and_far_ones_before_it() {
        let mut wheel = Wheel::<8>::new();
        assert_eq!(wheel.next(), Tick::MAX);
        for (node, tick) in [(0, 5), (1, 64), (2, 5), (3, 200), (4, 1)] {
            wheel.insert(node, tick);
        }
        assert_eq!(wheel.next(), 1);
        check_woken(&mut wheel, 4, &[4]);
        check_woken(&mut wheel, 4, &[]);
        check_woken(&mut wheel, 5, &[0, 2]);
        assert_eq!(wheel.next(), 64);
        // One round of the wheel further on the slot is another tick's.
        wheel.insert(0, 69);
        check_woken(&mut wheel, 68, &[1, 3]);
        check_woken(&mut wheel, 1_000, &[0]);
        wheel.insert(7, 1_001);
        assert_eq!(wheel.next(), 1_001);
        check_woken(&mut wheel, 1_001, &[7]);
        assert_eq!(wheel.next(), Tick::MAX);
    }
}
