//! What tells one request-level PIM controller from another, as data.

use crate::command::{Bus, Command};
use crate::constraint::Constraint;
use crate::organisation::{Level, Organisation};

/// A set of banks of one channel, a bit for each; at most 128 banks.
pub(crate) type BankSet = u128;

/// Configuration: which banks of a channel a command works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Banks {
    /// The bank of the address.
    Addressed,
    /// The bank of the same index in every bank group of the channel.
    SameIndex,
    /// The bank of the same rank, bank group and index in every pseudo-channel.
    EachPseudoChannel,
    /// Every bank.
    All,
}

impl Banks {
    /// All of them, in the order of their discriminants.
    pub(crate) const ALL: [Self; 4] = [Self::Addressed, Self::SameIndex, Self::EachPseudoChannel, Self::All];

    /// The set, where bank number `bank` of the channel is addressed.
    pub(crate) fn set(self, organisation: &Organisation, bank: u32) -> BankSet {
        let banks = organisation.banks_per_channel();
        let each_pseudo_channel = organisation.ranks * organisation.bank_groups * organisation.banks;
        let every = |step: u32| (bank % step..banks).step_by(step as usize).map(|bank| 1 << bank).sum::<BankSet>();
        match self {
            Self::Addressed => 1 << bank,
            Self::SameIndex => every(organisation.banks),
            Self::EachPseudoChannel => every(each_pseudo_channel),
            Self::All => every(1),
        }
    }
}

/// Configuration: what a command does to the rows of banks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Nothing,
    /// Opens the addressed row, beside what is open there.
    Open(Banks),
    /// Closes every row.
    Close(Banks),
}

/// Configuration: one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandRule {
    /// Which.
    pub command: Command,
    /// Constraints below this level do not hold it back.
    pub checked_to: Level,
    /// Where it counts for the second command of a cycle, which goes over the other bus than the first; `None` where it
    /// neither is nor allows a second one.
    pub bus: Option<Bus>,
    /// What it does to rows.
    pub effect: Effect,
}

/// Configuration: what must be so before a request's own command is issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// The row is open in these banks. The first bank without it says what comes next.
    Open {
        /// Where.
        banks: Banks,
        /// Next where that bank is closed.
        activate: Command,
        /// Next where another row is open.
        precharge: Command,
    },
    /// Every bank of the channel is closed.
    Closed {
        /// Next where one is not.
        precharge: Command,
    },
}

/// Configuration: what a request needs, by its own command. A command without a line needs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRule {
    /// The request's own command.
    pub command: Command,
    /// What it needs.
    pub need: Need,
}

/// Configuration: in which further banks a command's bank-level constraints hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// The bank of the same index in every bank group.
    SameIndex,
    /// In every pseudo-channel: the rank numbered as the command's pseudo-channel, the bank group numbered as its rank,
    /// the bank of the same index.
    OneLevelTooHigh,
}

impl Spread {
    /// How many sets of banks it has. Every bank is in one.
    pub(crate) const fn groups(self, organisation: &Organisation) -> u32 {
        match self {
            Self::SameIndex => organisation.banks,
            Self::OneLevelTooHigh => organisation.ranks * organisation.bank_groups * organisation.banks,
        }
    }

    /// The set that bank number `bank` of the channel is in.
    pub(crate) const fn group(self, organisation: &Organisation, bank: u32) -> u32 {
        bank % self.groups(organisation)
    }

    /// The set that is held back where bank number `bank` is addressed; `None` where there are no such banks.
    pub(crate) fn held_back(self, organisation: &Organisation, bank: u32) -> Option<u32> {
        let Organisation { ranks, bank_groups, banks, .. } = *organisation;
        let rank = bank / banks / bank_groups;
        let (as_rank, as_bank_group) = (rank / ranks, rank % ranks);
        match self {
            Self::SameIndex => Some(bank % banks),
            Self::OneLevelTooHigh if as_rank < ranks && as_bank_group < bank_groups => {
                Some((as_rank * bank_groups + as_bank_group) * banks + bank % banks)
            }
            Self::OneLevelTooHigh => None,
        }
    }
}

/// Configuration: a request-level PIM controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleSet {
    /// Its name.
    pub name: &'static str,
    /// What holds back what. Without siblings.
    pub constraints: &'static [Constraint],
    /// Every command that may be issued.
    pub commands: &'static [CommandRule],
    /// What requests need.
    pub requests: &'static [RequestRule],
    /// Further banks.
    pub spreads: &'static [(Command, Spread)],
}

#[cfg(test)]
mod tests {
    use super::*;

    const HBM3: Organisation = Organisation::HBM3_8GB_2R;

    #[test]
    fn have_sets_their_sizes() {
        // Pseudo-channel 1, rank 0, bank group 2, bank 3.
        let bank = 32 + 8 + 3;
        let sizes = Banks::ALL.map(|banks| banks.set(&HBM3, bank).count_ones());
        assert_eq!(sizes, [1, 16, 2, 64]);
        assert!(Banks::ALL.iter().all(|banks| banks.set(&HBM3, bank) >> bank & 1 == 1));
    }

    #[test]
    fn a_spread_one_level_too_high_goes_by_the_rank() {
        let (too_high, same) = (Spread::OneLevelTooHigh, Spread::SameIndex);
        // Pseudo-channel 0, rank 1, bank group 3, bank 2 holds back rank 0, bank group 1, bank 2 of both.
        assert_eq!(too_high.held_back(&HBM3, 16 + 12 + 2), Some(6));
        assert_eq!([6, 32 + 6].map(|bank| too_high.group(&HBM3, bank)), [6, 6]);
        // Pseudo-channel 1, rank 0 holds back rank 1, bank group 0.
        assert_eq!(too_high.held_back(&HBM3, 32 + 12 + 2), Some(16 + 2));
        assert_eq!((same.held_back(&HBM3, 32 + 12 + 2), same.group(&HBM3, 6)), (Some(2), 2));
    }
}
