//! How a stack is organised: channels, pseudo-channels, ranks, bank groups, banks, rows and columns.

pub mod hbm3;

use sim_core::Bytes;

use crate::command::Address;

/// A level of the hierarchy inside one channel, from the widest to the narrowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The whole channel.
    Channel,
    /// Half of a channel's data pins.
    PseudoChannel,
    /// One stack ID (SID) of a pseudo-channel.
    Rank,
    /// Banks that share a column path.
    BankGroup,
    /// One bank.
    Bank,
}

impl Level {
    /// All of them, widest first.
    pub const ALL: [Self; 5] = [Self::Channel, Self::PseudoChannel, Self::Rank, Self::BankGroup, Self::Bank];
}

/// Configuration: the counts at each level of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Organisation {
    /// Channels of a stack.
    pub channels: u32,
    /// Pseudo-channels of a channel.
    pub pseudo_channels: u32,
    /// Ranks (stack IDs) of a pseudo-channel.
    pub ranks: u32,
    /// Bank groups of a rank.
    pub bank_groups: u32,
    /// Banks of a bank group.
    pub banks: u32,
    /// Rows of a bank.
    pub rows: u32,
    /// Columns of a row, each one access granule.
    pub columns: u32,
    /// Access granule in bytes: data pins times prefetch.
    pub granule: u32,
}

impl Organisation {
    /// Preset `HBM3_8Gb_2R`: 8 Gb per channel, two ranks (8-high), 16 channels, 32 pins x prefetch 8 = 32 B.
    ///
    /// Source: the AttAcc simulator (ASPLOS 2024). 16 GiB and 1024 banks per stack.
    pub const HBM3_8GB_2R: Self = Self {
        channels: 16,
        pseudo_channels: 2,
        ranks: 2,
        bank_groups: 4,
        banks: 4,
        rows: 16_384,
        columns: 32,
        granule: 32,
    };

    /// How many nodes a channel has at a level.
    pub const fn nodes(&self, level: Level) -> u32 {
        match level {
            Level::Channel => 1,
            Level::PseudoChannel => self.pseudo_channels,
            Level::Rank => self.pseudo_channels * self.ranks,
            Level::BankGroup => self.pseudo_channels * self.ranks * self.bank_groups,
            Level::Bank => self.pseudo_channels * self.ranks * self.bank_groups * self.banks,
        }
    }

    /// Which of the channel's nodes at a level an address lies in, from 0.
    pub const fn node(&self, level: Level, address: Address) -> u32 {
        let pseudo_channel = address.pseudo_channel as u32;
        let rank = pseudo_channel * self.ranks + address.rank as u32;
        let bank_group = rank * self.bank_groups + address.bank_group as u32;
        match level {
            Level::Channel => 0,
            Level::PseudoChannel => pseudo_channel,
            Level::Rank => rank,
            Level::BankGroup => bank_group,
            Level::Bank => bank_group * self.banks + address.bank as u32,
        }
    }

    /// Banks of one rank.
    pub const fn banks_per_rank(&self) -> u32 {
        self.bank_groups * self.banks
    }

    /// Banks of one channel: those that an all-bank command works on.
    pub const fn banks_per_channel(&self) -> u32 {
        self.nodes(Level::Bank)
    }

    /// Bytes of one bank's row (the page).
    pub const fn page(&self) -> Bytes {
        Bytes(self.columns as u64 * self.granule as u64)
    }

    /// Bytes of one all-bank row: the same row of every bank of a channel.
    pub const fn all_bank_row(&self) -> Bytes {
        Bytes(self.page().0 * self.banks_per_channel() as u64)
    }

    /// Bytes that one all-bank column command reads: a granule from every bank.
    pub const fn all_bank_column(&self) -> Bytes {
        Bytes(self.granule as u64 * self.banks_per_channel() as u64)
    }

    /// Bytes of one channel.
    pub const fn channel_capacity(&self) -> Bytes {
        Bytes(self.all_bank_row().0 * self.rows as u64)
    }

    /// Gigabits of one channel, rounded down: what refresh times go by.
    pub const fn density_gb(&self) -> u32 {
        (self.channel_capacity().0 / (1 << 27)) as u32
    }

    /// Bytes of one stack.
    pub const fn stack_capacity(&self) -> Bytes {
        Bytes(self.channel_capacity().0 * self.channels as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preset_has_the_published_sizes() {
        let hbm3 = Organisation::HBM3_8GB_2R;
        assert_eq!(hbm3.page(), Bytes(1 << 10));
        assert_eq!(hbm3.all_bank_column(), Bytes(2 << 10));
        assert_eq!(hbm3.all_bank_row(), Bytes(64 << 10));
        assert_eq!(hbm3.channel_capacity(), Bytes(1 << 30));
        assert_eq!(hbm3.stack_capacity(), Bytes(16 << 30));
        assert_eq!(hbm3.banks_per_channel() * hbm3.channels, 1_024);
    }

    #[test]
    fn every_bank_is_a_node_of_its_own() {
        let hbm3 = Organisation::HBM3_8GB_2R;
        let mut seen = Vec::new();
        for lane in 0..16 {
            for bank in 0..4 {
                let address = Address::of_partition(&hbm3, lane, bank, 0);
                seen.push(hbm3.node(Level::Bank, address));
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..64).collect::<Vec<_>>());
    }
}
