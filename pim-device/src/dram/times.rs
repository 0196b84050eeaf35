//! When the banks of a channel are ready for the four commands that requests need.
//!
//! [`TimingState`] answers for any command at any node. A controller asks the same few questions again and again, so
//! here everything is worked out at once: for each of the four commands and each bank the first tick at which all nodes above
//! the bank allow it. What a command moves is looked up once, as rows of eight banks that are raised together; ticks are
//! counted from a base and short, so that a row of eight is one word of the processor.
//!
//! What only refresh asks for is noted as the last tick of each command at each bank, and worked out when it is asked.

#![allow(clippy::inline_always, reason = "asked for each kind of command at every look")]

mod effect;
mod look_up;
mod others;
mod window;

use self::effect::{Effects, raise_all};
use self::others::Noted;
use self::window::Memory;
use super::Tick;
use super::bank_set::{BankSet, CAPACITY};
use super::entries::{Key, NONE};
use super::offset::{Base, Offset};
use super::rules::{Place, RuleTable};
use super::state::TimingState;
use crate::command::Command;
use crate::organisation::Organisation;

/// Commands that requests need, as numbers. `ACT` is ACT1 where that is split.
pub(super) const ACT: usize = 0;
pub(super) const PRE: usize = 1;
pub(super) const RD: usize = 2;
pub(super) const WR: usize = 3;
pub(super) const COMMANDS: usize = 4;
/// Further commands that go to a bank.
pub(super) const ACT2: usize = 4;
pub(super) const CAS_RD: usize = 5;
pub(super) const CAS_WR: usize = 6;
const SENT: usize = 8;

/// Banks whose ticks are raised together.
const LANES: usize = 8;
/// Rows of so many banks for one command.
const ROWS: usize = CAPACITY / LANES;
/// Behind the rows of banks there are those of ranks, two in a row: by command what holds at all banks of the rank.
const RANKS: usize = COMMANDS * ROWS;
/// And one for the channel.
const CHANNEL: usize = RANKS + CAPACITY * COMMANDS / LANES;
/// All rows, filled up to a power of two.
const ALL: usize = (CHANNEL + 2).next_power_of_two();
/// Nobody looks at this one.
const SPARE: usize = ALL - 1;

/// Which ticks hold for more than a bank and its group.
#[derive(Clone, Debug)]
enum Gates<S> {
    /// One for all banks.
    Channel,
    /// Two ranks, with the banks of the first.
    Two { first: S },
    /// The banks of each rank.
    Many(Box<[S]>),
}

/// What [`Times::scan`] has found among some banks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan {
    /// The oldest request of a bank that is ready, and the bank.
    pub(super) oldest: Key,
    pub(super) bank: u16,
    /// A tick before which no other of the banks is ready.
    pub(super) next: Tick,
}

impl Scan {
    /// Nothing was looked at.
    pub(super) const NOTHING: Self = Self { oldest: NONE, bank: 0, next: Tick::MAX };
}

/// Configuration and state: a channel's timing as its controller sees it.
#[derive(Clone, Debug)]
pub(super) struct Times<S, T> {
    // Configuration.
    organisation: Organisation,
    table: RuleTable,
    places: Vec<Place>,
    commands: [Command; COMMANDS],
    sent: [Command; SENT - 1],
    /// How many of them there are: the last ones only where activations are in halves.
    sends: usize,
    /// Of an activation, a precharge, a read and a write, and of the other commands that are sent.
    activation: Effects<T, 4, 6>,
    precharge: Effects<T, 1, 2>,
    read: Effects<T, 3, 5>,
    write: Effects<T, 4, 4>,
    further: [Effects<T, 0, 0>; SENT - COMMANDS],
    /// By command and bank what moves in `others`, see [`Noted::AtOnce`]; `None` where that is more than moves.
    others_moves: Vec<Option<Vec<(u32, u32)>>>,
    /// By command the least ticks to the next one of the four at the same bank.
    least: [[Tick; COMMANDS]; SENT],
    /// By command the least ticks to the next one of the four anywhere, for there is one slot a tick for both: no rule need
    /// say so.
    slots: [[Tick; COMMANDS]; SENT],
    one_rank: bool,
    gates: Gates<S>,
    /// By bank where the ticks of its rank begin.
    rank_rows: Box<[u16; CAPACITY]>,
    // State.
    base: Base,
    /// Rows by command and bank, then of two ranks each by command, and last of the channel: what holds at all ranks, which
    /// theirs contain. The only rank is in that place. The ticks of a bank and of its rank have to be reached.
    ready: Box<[T; ALL * LANES]>,
    /// By number of the memory of [`WindowRule`]s.
    memories: Vec<Memory<T>>,
    /// All other commands: precharge of all banks, refresh.
    others: TimingState,
    noted: Noted,
    /// By command and bank the last tick that has not been worked out (ticks begin at 1), and the banks that have any, or may
    /// get one without an activation: those that were activated and not precharged since.
    last: Box<[Tick; SENT * CAPACITY]>,
    later: S,
}

impl<S: BankSet, T: Offset> Times<S, T> {
    /// The bank's place.
    pub(super) fn place(&self, bank: usize) -> &Place {
        &self.places[bank]
    }

    /// What a bank, and its group, allow.
    #[inline(always)]
    pub(super) fn of_bank(&self, command: usize, bank: usize) -> T {
        self.ready[(command * CAPACITY + bank % CAPACITY) % (ALL * LANES)]
    }

    /// What a bank's rank, and the channel, allow.
    #[inline(always)]
    fn of_rank(&self, command: usize, bank: usize) -> T {
        self.ready[(usize::from(self.rank_rows[bank % CAPACITY]) + command) % (ALL * LANES)]
    }

    /// When a bank is ready for one of the four commands, but for its rank.
    #[inline(always)]
    pub(super) fn bank_ready(&self, command: usize, bank: usize) -> Tick {
        self.base.tick(self.of_bank(command, bank))
    }

    /// Those of some banks whose ranks allow a command at `now`. Lowers `next` to when other ranks do.
    #[inline(always)]
    pub(super) fn allowed(&self, command: usize, banks: S, now: T, next: &mut T) -> S {
        if banks.is_empty() {
            return banks;
        }
        match &self.gates {
            Gates::Channel => {
                let opens = self.of_channel(command);
                if opens > now {
                    *next = opens.min(*next);
                    return S::EMPTY;
                }
                banks
            }
            Gates::Two { first } => {
                let opens = [0, 1].map(|rank| self.ready[RANKS * LANES + rank * COMMANDS + command % COMMANDS]);
                if opens[0].max(opens[1]) <= now {
                    return banks;
                }
                let mut allowed = banks;
                for (opens, of) in opens.into_iter().zip([*first, !*first]) {
                    if opens > now {
                        if !(banks & of).is_empty() {
                            *next = opens.min(*next);
                        }
                        allowed = allowed.without(of);
                    }
                }
                allowed
            }
            Gates::Many(ranks) => {
                let mut allowed = banks;
                for (rank, of) in ranks.iter().enumerate().filter(|(_, of)| !(banks & **of).is_empty()) {
                    let opens = self.ready[(RANKS * LANES + rank * COMMANDS + command) % (ALL * LANES)];
                    if opens > now {
                        *next = opens.min(*next);
                        allowed = allowed.without(*of);
                    }
                }
                allowed
            }
        }
    }

    /// What no bank is ready before.
    #[inline(always)]
    pub(super) fn of_channel(&self, command: usize) -> T {
        self.ready[(CHANNEL * LANES + command) % (ALL * LANES)]
    }

    /// When a bank is ready for one of the four commands.
    #[inline(always)]
    pub(super) fn ready(&self, command: usize, bank: usize) -> Tick {
        self.base.tick(self.of_bank(command, bank).max(self.of_rank(command, bank)))
    }

    /// The tick before which no bank is ready for one of the four commands.
    #[inline(always)]
    pub(super) fn floor(&self, command: usize) -> Tick {
        self.base.tick(self.of_channel(command))
    }

    /// The least ticks from one of the commands to one of the four at the same bank.
    pub(super) fn least(&self, number: usize, command: usize) -> Tick {
        self.least[number][command]
    }

    /// The last tick that can be gone to before [`Self::rebase`].
    #[inline]
    pub(super) fn horizon(&self) -> Tick {
        self.base.horizon::<T>()
    }

    /// Counts ticks from a later base.
    #[cold]
    pub(super) fn rebase(&mut self, tick: Tick) {
        let ends = self.memories.iter_mut().flat_map(Memory::ends);
        self.base.move_to(tick, std::iter::once(&mut self.ready[..]).chain(ends));
    }

    /// The tick that was gone to, or one before it.
    #[inline(always)]
    pub(super) fn offset(&self, tick: Tick) -> T {
        self.base.offset(tick)
    }

    /// The tick of an offset, which may be never.
    #[inline(always)]
    pub(super) fn tick(&self, offset: T) -> Tick {
        if offset == T::NEVER { Tick::MAX } else { self.base.tick(offset) }
    }

    /// Those of some banks that are ready for a command at `now`. Lowers `next` to when others are.
    #[inline(always)]
    pub(super) fn which_ready(&self, command: usize, banks: S, now: T, next: &mut T) -> S {
        let mut which = self.allowed(command, banks, now, next);
        let mut rest = which;
        while !rest.is_empty() {
            let bank = rest.first();
            rest = rest.without_first();
            let ready = self.of_bank(command, bank);
            if ready > now {
                *next = ready.min(*next);
                which.remove(bank);
            }
        }
        which
    }

    /// The oldest of the requests of those of some banks that are ready for a command at `tick`.
    #[inline(always)]
    pub(super) fn scan(&self, command: usize, banks: S, requests: &[Key; CAPACITY], tick: Tick) -> Scan {
        let mut next = T::NEVER;
        let mut rest = self.which_ready(command, banks, self.offset(tick), &mut next);
        if rest.is_empty() {
            return Scan { next: self.tick(next), ..Scan::NOTHING };
        }
        let bank = rest.first();
        rest = rest.without_first();
        let mut scan = Scan { oldest: requests[bank % CAPACITY], bank: bank as u16, next: tick };
        if rest.is_empty() {
            scan.next = self.tick(next);
        }
        while !rest.is_empty() {
            let bank = rest.first();
            rest = rest.without_first();
            let request = requests[bank % CAPACITY];
            if request < scan.oldest {
                (scan.oldest, scan.bank) = (request, bank as u16);
            }
        }
        scan
    }

    /// Notes that a command, one of the numbers above, is issued to a bank.
    #[inline(always)]
    pub(super) fn issue(&mut self, number: usize, bank: usize, tick: Tick) {
        let now = self.offset(tick);
        let index = (number * CAPACITY + bank % CAPACITY) % (SENT * CAPACITY);
        let (ready, memories) = (&mut self.ready, &mut self.memories);
        match number {
            ACT => raise_all(&self.activation, bank, now, ready, memories),
            PRE => raise_all(&self.precharge, bank, now, ready, memories),
            RD => raise_all(&self.read, bank, now, ready, memories),
            WR => raise_all(&self.write, bank, now, ready, memories),
            _ => raise_all(&self.further[number - COMMANDS], bank, now, ready, memories),
        }
        self.last[index] = tick;
        if number == ACT {
            self.later.insert(bank);
        }
        if self.noted == Noted::AtOnce {
            self.issue_to_others(number, bank, tick);
        }
    }
}
