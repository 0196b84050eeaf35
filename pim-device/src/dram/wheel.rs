//! A timer wheel: which nodes are to be looked at in which tick.

use super::Tick;
use super::bank_set::BankSet;

/// Ticks that the wheel sees ahead: what a bank waits for is seldom longer.
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
    /// The first tick at which a node is woken.
    next: Tick,
}

impl<const NODES: usize> Wheel<NODES> {
    pub(super) const fn new() -> Self {
        Self { first: [NONE; SLOTS], after: [NONE; NODES], occupied: 0, now: 0, next: Tick::MAX }
    }

    /// Puts a node, which is not in the wheel, where it is woken at `tick`, or before it where that is far.
    #[inline]
    pub(super) fn insert(&mut self, node: usize, tick: Tick) {
        debug_assert!(tick > self.now);
        let tick = tick.min(self.now + SLOTS as Tick);
        self.next = self.next.min(tick);
        let slot = tick as usize % SLOTS;
        self.occupied |= 1 << slot;
        self.after[node % NODES] = self.first[slot];
        self.first[slot] = node as u16;
    }

    /// The first tick at which a node is woken.
    #[inline]
    pub(super) const fn next(&self) -> Tick {
        self.next
    }

    /// Takes the nodes of all ticks up to `tick`.
    #[inline]
    pub(super) fn wake(&mut self, tick: Tick, mut visit: impl FnMut(usize)) {
        while self.next <= tick {
            let slot = self.next as usize % SLOTS;
            self.occupied &= !(1 << slot);
            let mut node = std::mem::replace(&mut self.first[slot], NONE);
            while node != NONE {
                visit(usize::from(node));
                node = self.after[usize::from(node) % NODES];
            }
            let ahead = self.occupied.rotate_right(slot as u32);
            self.next = if ahead == 0 { Tick::MAX } else { self.next + Tick::from(ahead.trailing_zeros()) };
        }
        self.now = tick;
    }
}

/// State: the same for banks as a set for each tick, where a bank may wait for several ticks.
#[derive(Clone, Debug)]
pub(super) struct SetWheel<S> {
    slots: [S; SLOTS],
    occupied: u64,
    now: Tick,
    next: Tick,
}

impl<S: BankSet> SetWheel<S> {
    pub(super) const fn new() -> Self {
        Self { slots: [S::EMPTY; SLOTS], occupied: 0, now: 0, next: Tick::MAX }
    }

    /// Has a bank woken at `tick`, or before it where that is far.
    #[inline]
    pub(super) fn insert(&mut self, bank: usize, tick: Tick) {
        debug_assert!(tick > self.now);
        let tick = tick.min(self.now + SLOTS as Tick);
        self.next = self.next.min(tick);
        let slot = tick as usize % SLOTS;
        self.slots[slot].insert(bank);
        self.occupied |= 1 << slot;
    }

    /// The first tick at which a bank is woken.
    #[inline]
    pub(super) const fn next(&self) -> Tick {
        self.next
    }

    /// Takes the banks of all ticks up to `tick`.
    #[inline]
    pub(super) fn wake(&mut self, tick: Tick) -> S {
        let mut woken = S::EMPTY;
        while self.next <= tick {
            let slot = self.next as usize % SLOTS;
            self.occupied &= !(1 << slot);
            woken |= std::mem::replace(&mut self.slots[slot], S::EMPTY);
            let ahead = self.occupied.rotate_right(slot as u32);
            self.next = if ahead == 0 { Tick::MAX } else { self.next + Tick::from(ahead.trailing_zeros()) };
        }
        self.now = tick;
        woken
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

    #[test]
    fn is_a_bank_woken_at_each_of_its_ticks() {
        let mut wheel = SetWheel::<u64>::new();
        for (bank, tick) in [(3, 7), (3, 9), (5, 7), (6, 100)] {
            wheel.insert(bank, tick);
        }
        assert_eq!((wheel.next(), wheel.wake(6)), (7, 0));
        assert_eq!((wheel.wake(8), wheel.next()), (1 << 3 | 1 << 5, 9));
        assert_eq!((wheel.wake(9), wheel.next()), (1 << 3, 64));
        assert_eq!((wheel.wake(500), wheel.next()), (1 << 6, Tick::MAX));
    }

    /// Against a plain list of ticks.
    #[test]
    fn does_the_wheel_wake_what_a_list_does() {
        let mut wheel = Wheel::<64>::new();
        let mut list: Vec<(usize, Tick)> = Vec::new();
        let (mut dice, mut now) = (1_u64, 0);
        for _ in 0..20_000 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let node = (dice >> 40) as usize % 64;
            if list.iter().all(|(other, _)| *other != node) {
                let tick = now + 1 + (dice >> 50) % 90;
                wheel.insert(node, tick);
                list.push((node, tick.min(now + SLOTS as Tick)));
            }
            assert_eq!(wheel.next(), list.iter().map(|(_, tick)| *tick).min().unwrap_or(Tick::MAX));
            if dice >> 33 & 1 == 1 {
                now += (dice >> 34) % 40;
                let mut woken = Vec::new();
                wheel.wake(now, |node| woken.push(node));
                woken.sort_unstable();
                let mut expected: Vec<usize> =
                    list.iter().filter(|(_, tick)| *tick <= now).map(|(node, _)| *node).collect();
                expected.sort_unstable();
                assert_eq!(woken, expected);
                list.retain(|(_, tick)| *tick > now);
            }
        }
    }
}
