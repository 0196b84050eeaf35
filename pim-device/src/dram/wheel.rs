//! A timer wheel: which banks are to be looked at in which tick.

#![allow(clippy::inline_always, reason = "asked for each command")]

use super::Tick;
use super::bank_set::BankSet;

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
}
