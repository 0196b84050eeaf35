//! How early each command may come: the constraint table, resolved for one channel.

use crate::command::Command;
use crate::device::hbm2_pim::Hbm2Pim;
use crate::organisation::Level;

/// Commands that wait, by their place in a node's times.
pub(super) const ACT: usize = 0;
pub(super) const PRE: usize = 1;
pub(super) const RD: usize = 2;
pub(super) const WR: usize = 3;
/// Refresh waits for nothing but closed banks, and others wait for it.
const REF: usize = 4;

const FOLLOWING: [Command; 4] = [Command::Act, Command::Pre, Command::Rd, Command::Wr];
const PRECEDING: [Command; 5] = [Command::Act, Command::Pre, Command::Rd, Command::Wr, Command::RefAb];

/// Cycles by preceding and following command; 0 where nothing waits, which the next cycle satisfies anyway.
type Delays = [[u64; 4]; 5];

/// State: the earliest cycles of one channel.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    rank_delays: Delays,
    bank_group_delays: Delays,
    bank_delays: Delays,
    /// To the other ranks of the channel.
    sibling_delays: Delays,
    ranks: Vec<[u64; 4]>,
    bank_groups: Vec<[u64; 4]>,
    banks: Vec<[u64; 4]>,
    banks_per_group: usize,
    banks_per_rank: usize,
}

impl Bounds {
    pub(super) fn new(device: &Hbm2Pim) -> Self {
        let delays = |level: Level, sibling: bool| {
            let mut delays = Delays::default();
            for constraint in device.constraints.iter().filter(|line| line.level == level && line.sibling == sibling) {
                let cycles = u64::from(constraint.latency.cycles(|parameter| device.timing.get(parameter)));
                for (before, row) in PRECEDING.iter().zip(&mut delays) {
                    for (after, delay) in FOLLOWING.iter().zip(row) {
                        if constraint.preceding.contains(before) && constraint.following.contains(after) {
                            *delay = cycles.max(*delay);
                        }
                    }
                }
            }
            delays
        };
        let organisation = &device.organisation;
        let nodes = |level| vec![[0; 4]; organisation.nodes(level) as usize];
        Self {
            rank_delays: delays(Level::Rank, false),
            bank_group_delays: delays(Level::BankGroup, false),
            bank_delays: delays(Level::Bank, false),
            sibling_delays: delays(Level::Rank, true),
            ranks: nodes(Level::Rank),
            bank_groups: nodes(Level::BankGroup),
            banks: nodes(Level::Bank),
            banks_per_group: organisation.banks.max(1) as usize,
            banks_per_rank: organisation.banks_per_rank().max(1) as usize,
        }
    }

    /// The first cycle for a command to a bank of the channel.
    #[inline]
    pub(super) fn ready_at(&self, command: usize, rank: usize, bank: usize) -> u64 {
        let node = rank * self.banks_per_rank + bank;
        let (bank, bank_group) = (self.banks[node][command], self.bank_groups[node / self.banks_per_group][command]);
        bank.max(bank_group).max(self.ranks[rank][command])
    }

    /// A lower bound of [`Self::ready_at`] for all banks of a rank.
    #[inline]
    pub(super) fn rank_ready_at(&self, command: usize, rank: usize) -> u64 {
        self.ranks[rank][command]
    }

    /// A command to a bank is issued.
    #[inline]
    pub(super) fn issue(&mut self, command: usize, rank: usize, bank: usize, now: u64) {
        let node = rank * self.banks_per_rank + bank;
        raise(&mut self.banks[node], &self.bank_delays[command], now);
        raise(&mut self.bank_groups[node / self.banks_per_group], &self.bank_group_delays[command], now);
        self.raise_ranks(command, rank, now);
    }

    /// All banks of a rank are refreshed.
    pub(super) fn refresh(&mut self, rank: usize, now: u64) {
        self.raise_ranks(REF, rank, now);
    }

    #[inline]
    fn raise_ranks(&mut self, command: usize, rank: usize, now: u64) {
        raise(&mut self.ranks[rank], &self.rank_delays[command], now);
        if self.ranks.len() > 1 {
            for (_, other) in self.ranks.iter_mut().enumerate().filter(|(other, _)| *other != rank) {
                raise(other, &self.sibling_delays[command], now);
            }
        }
    }
}

#[inline]
fn raise(times: &mut [u64; 4], delays: &[u64; 4], now: u64) {
    for (time, delay) in times.iter_mut().zip(delays) {
        *time = (*time).max(now + delay);
    }
}
