//! A timer wheel: which banks are to be looked at in which tick.

#![allow(clippy::inline_always, reason = "asked for each command")]

use super::Tick;
use super::bank_set::BankSet;

/// Ticks that the wheel sees ahead: what a bank waits for is seldom longer.
const SLOTS: usize = 128;
const WORDS: usize = SLOTS / 64;

/// State: banks that wait for a tick, by what they wait for.
///
/// A bank that waits for a tick beyond the wheel is woken at its far end: whoever wakes looks again.
#[derive(Clone, Debug)]
pub(super) struct Wheel<S, const KINDS: usize> {
    slots: Box<[[S; KINDS]; SLOTS]>,
    /// Slots with banks, as bits.
    occupied: [u64; WORDS],
    /// The first tick at which a bank is woken.
    next: Tick,
}

impl<S: BankSet, const KINDS: usize> Wheel<S, KINDS> {
    pub(super) fn new() -> Self {
        Self { slots: Box::new([[S::EMPTY; KINDS]; SLOTS]), occupied: [0; WORDS], next: Tick::MAX }
    }

    /// Has a bank woken at `tick`, which is after `now`, or before it where that is far.
    #[inline]
    pub(super) fn insert(&mut self, kind: usize, bank: usize, tick: Tick, now: Tick) {
        debug_assert!(tick > now);
        let tick = tick.min(now + SLOTS as Tick - 1);
        self.next = self.next.min(tick);
        let slot = tick as usize % SLOTS;
        self.slots[slot][kind].insert(bank);
        self.occupied[slot / 64] |= 1 << (slot % 64);
    }

    /// The first tick at which a bank is woken.
    #[inline]
    pub(super) const fn next(&self) -> Tick {
        self.next
    }

    /// Takes the banks of all ticks up to `tick`.
    #[inline]
    pub(super) fn wake(&mut self, tick: Tick) -> [S; KINDS] {
        let mut woken = [S::EMPTY; KINDS];
        while self.next <= tick {
            let slot = self.next as usize % SLOTS;
            for (woken, waiting) in woken.iter_mut().zip(&mut self.slots[slot]) {
                *woken |= *waiting;
                *waiting = S::EMPTY;
            }
            self.occupied[slot / 64] &= !(1 << (slot % 64));
            self.next = match self.ahead(slot) {
                Some(ahead) => self.next + ahead,
                None => Tick::MAX,
            };
        }
        woken
    }

    /// Slots from one to the next that is occupied.
    #[inline]
    fn ahead(&self, slot: usize) -> Option<Tick> {
        let (word, bit) = (slot / 64, slot % 64);
        let behind = self.occupied[word] >> bit;
        if behind != 0 {
            return Some(behind.trailing_zeros().into());
        }
        // Further words, and of this one what lies before the slot.
        for further in 1..=WORDS {
            let other = self.occupied[(word + further) % WORDS];
            if other != 0 {
                return Some((64 * further - bit) as Tick + Tick::from(other.trailing_zeros()));
            }
        }
        None
    }
}

/// Slots of a [`Calendar`]: as many as a word has bits.
const DAYS: usize = u64::BITS as usize;

/// State: banks that wait for a tick.
///
/// Nobody has to ask in every tick, and a bank may be given back before its tick, but never after it: whoever asks looks
/// at the bank again.
#[derive(Clone, Debug)]
pub(super) struct Calendar<S> {
    days: [S; DAYS],
    /// Slots with banks, as bits.
    occupied: u64,
    /// No bank waits for a tick before this one.
    next: Tick,
}

impl<S: BankSet> Calendar<S> {
    pub(super) fn new() -> Self {
        Self { days: [S::EMPTY; DAYS], occupied: 0, next: Tick::MAX }
    }

    /// Has a bank given back at `tick`, or before it.
    #[inline(always)]
    pub(super) fn insert(&mut self, bank: usize, tick: Tick) {
        self.next = self.next.min(tick);
        let day = tick as usize % DAYS;
        self.days[day].insert(bank);
        self.occupied |= 1 << day;
    }

    /// The tick before which no bank is given back.
    #[inline(always)]
    pub(super) const fn next(&self) -> Tick {
        self.next
    }

    /// Takes the banks of all ticks up to `tick`.
    #[inline(always)]
    pub(super) fn take(&mut self, tick: Tick) -> S {
        let mut taken = S::EMPTY;
        // A slot that is occupied stands for the first of its ticks from the next one on. A bank may wait for a later
        // one of them.
        while self.next <= tick {
            let day = self.next as usize % DAYS;
            taken |= self.days[day];
            self.days[day] = S::EMPTY;
            self.occupied &= !(1 << day);
            let ahead = self.occupied.rotate_right(day as u32).trailing_zeros();
            self.next = if self.occupied == 0 { Tick::MAX } else { self.next + Tick::from(ahead) };
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_banks_woken_in_their_tick_and_far_ones_before_it() {
        let mut wheel = Wheel::<u64, 2>::new();
        assert_eq!(wheel.next(), Tick::MAX);
        for (kind, bank, tick) in [(0, 3, 7), (0, 3, 9), (1, 5, 7), (1, 6, 300)] {
            wheel.insert(kind, bank, tick, 0);
        }
        assert_eq!((wheel.next(), wheel.wake(6)), (7, [0, 0]));
        assert_eq!((wheel.wake(8), wheel.next()), ([1 << 3, 1 << 5], 9));
        assert_eq!((wheel.wake(9), wheel.next()), ([1 << 3, 0], 127));
        // One round of the wheel further on the slot is another tick's.
        wheel.insert(0, 1, 137, 10);
        assert_eq!((wheel.wake(136), wheel.next()), ([0, 1 << 6], 137));
        assert_eq!((wheel.wake(1_000), wheel.next()), ([1 << 1, 0], Tick::MAX));
    }

    /// Against a plain list of ticks: no bank comes late, and near ones that are asked for in time do not come early.
    #[test]
    fn does_no_bank_of_a_calendar_come_late() {
        for patient in [false, true] {
            let mut calendar = Calendar::<u128>::new();
            let mut list: Vec<(usize, Tick)> = Vec::new();
            let (mut dice, mut now) = (1_u64, 0);
            for _ in 0..20_000 {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let (bank, tick) = ((dice >> 40) as usize % 128, now + 1 + (dice >> 50) % 63);
                calendar.insert(bank, tick);
                list.push((bank, tick));
                assert!(calendar.next() <= list.iter().map(|(_, tick)| *tick).min().unwrap_or(Tick::MAX));
                now += if patient && (dice >> 33) % 64 == 5 { 1 + (dice >> 34) % 300 } else { dice >> 34 & 1 };
                if !patient || (dice >> 35) % 4 == 1 {
                    let taken = calendar.take(now);
                    let due = list.iter().filter(|(_, tick)| *tick <= now).fold(0, |set, (bank, _)| set | 1 << bank);
                    assert_eq!(taken & due, due);
                    assert!(patient || taken == due);
                    list.retain(|(_, tick)| *tick > now);
                    // Who gets a bank early looks at it and has it given back again.
                    for (bank, tick) in list.iter().filter(|(bank, _)| taken.contains(*bank)) {
                        calendar.insert(*bank, *tick);
                    }
                }
            }
        }
    }

    /// Against a plain list of ticks.
    #[test]
    fn does_the_wheel_wake_what_a_list_does() {
        let mut wheel = Wheel::<u128, 1>::new();
        let mut list: Vec<(usize, Tick)> = Vec::new();
        let (mut dice, mut now) = (1_u64, 0);
        for _ in 0..20_000 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (bank, tick) = ((dice >> 40) as usize % 128, now + 1 + (dice >> 50) % 200);
            wheel.insert(0, bank, tick, now);
            list.push((bank, tick.min(now + SLOTS as Tick - 1)));
            assert_eq!(wheel.next(), list.iter().map(|(_, tick)| *tick).min().unwrap_or(Tick::MAX));
            if dice >> 33 & 1 == 1 {
                now += (dice >> 34) % 60;
                let expected = list.iter().filter(|(_, tick)| *tick <= now).fold(0, |set, (bank, _)| set | 1 << bank);
                assert_eq!(wheel.wake(now), [expected]);
                list.retain(|(_, tick)| *tick > now);
            }
        }
    }
}
