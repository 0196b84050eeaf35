//! Where the PEs of a device are, and the commands that this gives it.

use crate::command::{Address, Command};
use crate::organisation::{Level, Organisation};
use crate::timing::Parameter;

/// What a PE is beside of. The nearer to the banks, the more of them there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeLevel {
    /// Each bank has a PE; a command works on all banks of the channel (default).
    #[default]
    Bank,
    /// Each bank group has a PE; a command works on the bank of one index in every bank group.
    BankGroup,
    /// The buffer die has one for each pseudo-channel; a command works on one bank of each pseudo-channel.
    BufferDie,
}

/// The commands of a device's PEs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeCommands {
    /// Opens a row in a set of banks.
    pub activate: Command,
    /// Multiplies a granule of each bank of the set.
    pub mac: Command,
    /// Closes the set.
    pub precharge: Command,
    /// The least cycles from MAC to MAC.
    pub gap: Parameter,
}

impl PeLevel {
    /// Its commands.
    pub const fn commands(self) -> PeCommands {
        match self {
            Self::Bank => PeCommands {
                activate: Command::ActAb,
                mac: Command::MacAb,
                precharge: Command::PreA,
                gap: Parameter::CcdAb,
            },
            Self::BankGroup => PeCommands {
                activate: Command::ActSb,
                mac: Command::MacSb,
                precharge: Command::PreSb,
                gap: Parameter::CcdSb,
            },
            Self::BufferDie => PeCommands {
                activate: Command::ActPb,
                mac: Command::MacPb,
                precharge: Command::PrePb,
                gap: Parameter::CcdS,
            },
        }
    }

    /// The sets of banks that can be open apart, in the order in which data fill them: for each the address of the bank
    /// that stands for it. On the buffer die neighbours are in different ranks and bank groups.
    pub fn sets(self, organisation: &Organisation) -> Vec<Address> {
        let banks = 0..organisation.banks as u8;
        match self {
            Self::Bank => vec![Address::default()],
            Self::BankGroup => banks.map(|bank| Address { bank, ..Address::default() }).collect(),
            Self::BufferDie => banks
                .flat_map(|bank| (0..organisation.bank_groups as u8).map(move |bank_group| (bank, bank_group)))
                .flat_map(|(bank, bank_group)| (0..organisation.ranks as u8).map(move |rank| (bank, bank_group, rank)))
                .map(|(bank, bank_group, rank)| Address { rank, bank_group, bank, ..Address::default() })
                .collect(),
        }
    }

    /// Banks of a channel that one command works on.
    pub const fn banks(self, organisation: &Organisation) -> u32 {
        organisation.nodes(match self {
            Self::Bank => Level::Bank,
            Self::BankGroup => Level::BankGroup,
            Self::BufferDie => Level::PseudoChannel,
        })
    }

    /// Parts of a channel among which the tokens of a sequence are split; the PEs of one part work on one token.
    pub const fn partitions(self, organisation: &Organisation) -> u32 {
        organisation.nodes(match self {
            Self::Bank | Self::BankGroup => Level::BankGroup,
            Self::BufferDie => Level::PseudoChannel,
        })
    }

    /// Banks of one part that share the elements of a token.
    pub const fn banks_per_token(self, organisation: &Organisation) -> u32 {
        match self {
            Self::Bank => organisation.banks,
            Self::BankGroup | Self::BufferDie => 1,
        }
    }

    /// Columns that data fill in one set before they go on in the next.
    pub const fn columns_in_turn(self, organisation: &Organisation) -> u32 {
        match self {
            Self::Bank | Self::BankGroup => organisation.columns,
            Self::BufferDie => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(level: PeLevel, sets: usize, banks: u32, partitions: u32) {
        let hbm3 = Organisation::HBM3_8GB_2R;
        assert_eq!(level.sets(&hbm3).len(), sets);
        assert_eq!((level.banks(&hbm3), level.partitions(&hbm3)), (banks, partitions));
        // The sets are all banks of a channel, each once.
        assert_eq!(sets as u32 * banks, hbm3.banks_per_channel());
    }

    #[test]
    fn sets_are_those_of_the_attacc_modes() {
        check(PeLevel::Bank, 1, 64, 16);
        check(PeLevel::BankGroup, 4, 16, 16);
        check(PeLevel::BufferDie, 32, 2, 2);
    }

    #[test]
    fn eight_neighbours_on_the_buffer_die_are_in_eight_bank_groups() {
        let hbm3 = Organisation::HBM3_8GB_2R;
        let sets = PeLevel::BufferDie.sets(&hbm3);
        let mut groups: Vec<u32> = sets[..8].iter().map(|&set| hbm3.node(Level::BankGroup, set)).collect();
        groups.sort_unstable();
        assert_eq!(groups, (0..8).collect::<Vec<_>>());
    }
}
