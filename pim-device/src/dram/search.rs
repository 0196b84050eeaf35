//! The search for the next command among what banks wait for.

use super::Tick;
use super::bank_set::BankSet;
use super::rules::Place;
use super::state::TimingState;
use crate::command::Command;

/// After every tick.
const NEVER: Tick = Tick::MAX;

/// Order among requests: arrival, and what decides where that is equal.
pub(super) type Age = (u64, u64);

/// Kinds of candidates: what a bank may be waiting for. The second of each pair is of the write queue.
pub(super) const ACTIVE: usize = 0;
pub(super) const HIT: usize = 2;
pub(super) const ACTIVATE: usize = 4;
pub(super) const PRECHARGE: usize = 6;
pub(super) const KINDS: usize = 8;

/// What would be issued next, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pick {
    pub(super) time: Tick,
    /// Order among requests of the same time.
    pub(super) age: Age,
    pub(super) bank: u16,
    pub(super) command: Command,
}

impl Pick {
    /// No command, never. With another time it is a bound: it goes before any request of the same time.
    pub(super) const NONE: Self = Self { time: NEVER, age: (0, 0), bank: 0, command: Command::Act };
}

/// When a kind of command may begin: on every tick, or on rising edges of CK only.
pub(super) trait Edges {
    /// The first tick from `tick` on at which a column command may begin.
    fn column(&self, tick: Tick) -> Tick;
    /// An activation or a refresh.
    fn row(&self, tick: Tick) -> Tick;
    /// A precharge of a bank, or of all banks of a node (`None`).
    fn precharge(&self, tick: Tick, bank: Option<usize>, pseudo_channel: u32) -> Tick;
}

/// Every command on every tick.
#[derive(Clone, Copy, Debug)]
pub(super) struct EveryTick;

impl Edges for EveryTick {
    #[inline]
    fn column(&self, tick: Tick) -> Tick {
        tick
    }
    #[inline]
    fn row(&self, tick: Tick) -> Tick {
        tick
    }
    #[inline]
    fn precharge(&self, tick: Tick, _: Option<usize>, _: u32) -> Tick {
        tick
    }
}

/// Banks that share everything above the bank group.
#[derive(Clone, Debug)]
pub(super) struct Domain {
    pub(super) place: Place,
    pub(super) banks: BankSet,
    pub(super) pseudo_channel: u32,
    /// State: by kind of candidate a tick before which no bank group and bank of a candidate allows its command.
    pub(super) wake: [Tick; KINDS],
}

/// The search for the next command among candidates of one kind.
pub(super) struct Search<'a> {
    pub(super) timing: &'a TimingState,
    pub(super) groups: &'a [u8],
    /// Nothing is issued before this.
    pub(super) tick: Tick,
}

impl Search<'_> {
    /// Puts into `best` the earliest of `banks`, among the earliest the oldest; `best` stays where it is as good.
    #[inline]
    pub(super) fn run(
        &self,
        domains: &mut [Domain],
        (kind, command): (usize, Command),
        banks: BankSet,
        best: &mut Pick,
        edge: impl Fn(Tick, &Domain, usize) -> Tick,
        age: impl Fn(usize) -> Age,
    ) {
        if banks.is_empty() {
            return;
        }
        let id = self.timing.rules().id(command);
        for domain in domains {
            let banks = banks & domain.banks;
            if banks.is_empty() || domain.wake[kind] > best.time {
                continue;
            }
            let floor = self.timing.wide(id, &domain.place).max(self.tick);
            if floor > best.time {
                continue;
            }
            let (by_group, by_bank) = self.timing.narrow(id);
            let mut wake = NEVER;
            banks.for_each(|bank| {
                let allowed = by_bank[bank].max(by_group[usize::from(self.groups[bank])]);
                wake = wake.min(allowed);
                let time = edge(allowed.max(floor), domain, bank);
                if time <= best.time {
                    let age = age(bank);
                    if time < best.time || age < best.age {
                        *best = Pick { time, age, bank: bank as u16, command };
                    }
                }
            });
            domain.wake[kind] = wake;
        }
    }
}
