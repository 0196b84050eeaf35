//! The commands of a channel, what they address, and how many of each were issued.

use std::fmt;
use std::ops::{AddAssign, Index, IndexMut};

use crate::organisation::{Level, Organisation};

/// A command of a channel in ordinary or PIM mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Command {
    /// Activate the same row in every bank of the channel.
    ActAb,
    /// Every bank reads one granule of its open row and multiplies and accumulates it.
    MacAb,
    /// Precharge all banks: of the channel in PIM devices, of a rank or pseudo-channel in the standards (PREab).
    PreA,
    /// Refresh all banks: of the channel in PIM devices, of a rank or pseudo-channel in the standards.
    RefAb,
    /// Write a granule of the query into the GEMV buffers.
    WrGb,
    /// Move results of the PEs to the softmax buffer on the buffer die.
    MvSb,
    /// Move probabilities from the softmax buffer to the GEMV buffers.
    MvGb,
    /// Softmax in the BufferPE.
    Sfm,
    /// Set the mode: ordinary or PIM.
    SetM,
    /// Activate a row of one bank.
    Act,
    /// Write one granule to an open row of one bank.
    Wr,
    /// Precharge one bank (PREpb).
    Pre,
    /// Read one granule of an open row of one bank.
    Rd,
    /// Read and precharge.
    RdA,
    /// Write and precharge.
    WrA,
    /// First half of an activation that is sent in two (LPDDR5).
    Act1,
    /// Second half, which opens the row.
    Act2,
    /// Starts the data clock for a read (LPDDR5).
    CasRd,
    /// Starts the data clock for a write (LPDDR5).
    CasWr,
    /// Refresh one bank.
    RefPb,
    /// Refresh management of all banks.
    RfmAb,
    /// Refresh management of one bank.
    RfmPb,
    /// Activate the same row in the bank of one index in every bank group of the channel.
    ActSb,
    /// The bank of one index in every bank group reads a granule for the PE of its bank group.
    MacSb,
    /// Precharge the bank of one index in every bank group.
    PreSb,
    /// Activate the same row in one bank of each pseudo-channel.
    ActPb,
    /// One bank of each pseudo-channel reads a granule for the PE on the buffer die.
    MacPb,
    /// Precharge one bank of each pseudo-channel.
    PrePb,
    /// Set the head that is worked on.
    SetH,
    /// Copy a granule from an open row of one bank to the global buffer (AiM).
    RdCp,
    /// Copy a granule from the global buffer to an open row of one bank (AiM).
    WrCp,
    /// In every bank group, multiply a granule of the first bank by one of the second, element by element, into the
    /// third (AiM).
    EwMul,
    /// Apply the activation function, a table in a row of every bank, to all accumulators (AiM).
    Af,
    /// Read the accumulators of all banks (AiM).
    RdMac,
    /// Read the results of the activation function of all banks (AiM).
    RdAf,
    /// Write the accumulators of all banks (AiM).
    WrMac,
    /// Write one granule to an open row of every bank, and precharge all (AiM).
    WrAb,
    /// Every bank looks values up in its open row: indices in the PE's registers drive the column decoder (AQPIM).
    Ret,
    /// Every bank reads a granule of its open row into a register of its PE (AQPIM's RD).
    RdReg,
    /// Every bank writes a register of its PE to a granule of its open row (AQPIM's WR).
    WrReg,
    /// Move to the buffer die what the adder of a bank group makes of its banks' results (AQPIM).
    MvSum,
    /// Move a granule of probabilities from the buffer die to the buffers of all banks of a head (AQPIM).
    MvBc,
    /// An operation of the BufferPE other than softmax: addition, minimum, reciprocal (AQPIM).
    Bpe,
}

/// The two command buses of an HBM channel: each takes one command per cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bus {
    /// Activate, precharge, refresh.
    Row,
    /// Everything else.
    Column,
}

impl Command {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 43] = [
        Self::ActAb,
        Self::MacAb,
        Self::PreA,
        Self::RefAb,
        Self::WrGb,
        Self::MvSb,
        Self::MvGb,
        Self::Sfm,
        Self::SetM,
        Self::Act,
        Self::Wr,
        Self::Pre,
        Self::Rd,
        Self::RdA,
        Self::WrA,
        Self::Act1,
        Self::Act2,
        Self::CasRd,
        Self::CasWr,
        Self::RefPb,
        Self::RfmAb,
        Self::RfmPb,
        Self::ActSb,
        Self::MacSb,
        Self::PreSb,
        Self::ActPb,
        Self::MacPb,
        Self::PrePb,
        Self::SetH,
        Self::RdCp,
        Self::WrCp,
        Self::EwMul,
        Self::Af,
        Self::RdMac,
        Self::RdAf,
        Self::WrMac,
        Self::WrAb,
        Self::Ret,
        Self::RdReg,
        Self::WrReg,
        Self::MvSum,
        Self::MvBc,
        Self::Bpe,
    ];

    /// Its place in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The bus on which it is sent.
    pub const fn bus(self) -> Bus {
        match self {
            Self::ActAb
            | Self::PreA
            | Self::RefAb
            | Self::Act
            | Self::Pre
            | Self::Act1
            | Self::Act2
            | Self::RefPb
            | Self::RfmAb
            | Self::RfmPb
            | Self::ActSb
            | Self::PreSb
            | Self::ActPb
            | Self::PrePb => Bus::Row,
            Self::MacAb
            | Self::WrGb
            | Self::MvSb
            | Self::MvGb
            | Self::Sfm
            | Self::SetM
            | Self::Wr
            | Self::Rd
            | Self::RdA
            | Self::WrA
            | Self::CasRd
            | Self::CasWr
            | Self::MacSb
            | Self::MacPb
            | Self::SetH
            | Self::RdCp
            | Self::WrCp
            | Self::EwMul
            | Self::Af
            | Self::RdMac
            | Self::RdAf
            | Self::WrMac
            | Self::WrAb
            | Self::Ret
            | Self::RdReg
            | Self::WrReg
            | Self::MvSum
            | Self::MvBc
            | Self::Bpe => Bus::Column,
        }
    }

    /// The level of what it addresses. A constraint between two commands stands at a level that both address.
    pub const fn scope(self) -> Level {
        match self {
            Self::ActAb
            | Self::MacAb
            | Self::PreA
            | Self::RefAb
            | Self::Sfm
            | Self::SetM
            | Self::RfmAb
            | Self::SetH
            | Self::EwMul
            | Self::Af
            | Self::RdMac
            | Self::RdAf
            | Self::WrMac
            | Self::WrAb
            | Self::Ret
            | Self::RdReg
            | Self::WrReg
            | Self::Bpe => Level::Channel,
            Self::WrGb
            | Self::MvSb
            | Self::MvGb
            | Self::Act
            | Self::Wr
            | Self::Pre
            | Self::Rd
            | Self::RdA
            | Self::WrA
            | Self::Act1
            | Self::Act2
            | Self::CasRd
            | Self::CasWr
            | Self::RefPb
            | Self::RfmPb
            | Self::ActSb
            | Self::MacSb
            | Self::PreSb
            | Self::ActPb
            | Self::MacPb
            | Self::PrePb
            | Self::RdCp
            | Self::WrCp
            | Self::MvSum
            | Self::MvBc => Level::Bank,
        }
    }

    /// The field's name for it.
    pub const fn mnemonic(self) -> &'static str {
        match self {
            Self::ActAb => "ACTAB",
            Self::MacAb => "MACAB",
            Self::PreA => "PREA",
            Self::RefAb => "REFab",
            Self::WrGb => "WRGB",
            Self::MvSb => "MVSB",
            Self::MvGb => "MVGB",
            Self::Sfm => "SFM",
            Self::SetM => "SETM",
            Self::Act => "ACT",
            Self::Wr => "WR",
            Self::Pre => "PRE",
            Self::Rd => "RD",
            Self::RdA => "RDA",
            Self::WrA => "WRA",
            Self::Act1 => "ACT1",
            Self::Act2 => "ACT2",
            Self::CasRd => "CAS_RD",
            Self::CasWr => "CAS_WR",
            Self::RefPb => "REFpb",
            Self::RfmAb => "RFMab",
            Self::RfmPb => "RFMpb",
            Self::ActSb => "ACTSB",
            Self::MacSb => "MACSB",
            Self::PreSb => "PRESB",
            Self::ActPb => "ACTPB",
            Self::MacPb => "MACPB",
            Self::PrePb => "PREPB",
            Self::SetH => "SETH",
            Self::RdCp => "RDCP",
            Self::WrCp => "WRCP",
            Self::EwMul => "EWMUL",
            Self::Af => "AF",
            Self::RdMac => "RDMAC",
            Self::RdAf => "RDAF",
            Self::WrMac => "WRMAC",
            Self::WrAb => "WRAB",
            Self::Ret => "RET",
            Self::RdReg => "RDREG",
            Self::WrReg => "WRREG",
            Self::MvSum => "MVSUM",
            Self::MvBc => "MVBC",
            Self::Bpe => "BPE",
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.mnemonic())
    }
}

/// A bank of a channel and a row of it. All-bank commands use pseudo-channel to bank 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Address {
    /// Pseudo-channel of the channel.
    pub pseudo_channel: u8,
    /// Rank of the pseudo-channel.
    pub rank: u8,
    /// Bank group of the rank.
    pub bank_group: u8,
    /// Bank of the bank group.
    pub bank: u8,
    /// Row of the bank.
    pub row: u32,
}

impl Address {
    /// Bank `bank` of bank group number `partition` of the channel, counted over pseudo-channels first, so that
    /// neighbouring partitions share as little as they can.
    pub const fn of_partition(organisation: &Organisation, partition: u32, bank: u32, row: u32) -> Self {
        let (pseudo_channel, rest) =
            (partition % organisation.pseudo_channels, partition / organisation.pseudo_channels);
        let (rank, bank_group) = (rest % organisation.ranks, rest / organisation.ranks);
        Self {
            pseudo_channel: pseudo_channel as u8,
            rank: rank as u8,
            bank_group: (bank_group % organisation.bank_groups) as u8,
            bank: bank as u8,
            row,
        }
    }
}

/// Statistics: how many of each command were issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandCounts {
    counts: [u64; Command::ALL.len()],
    /// MACAB, MACSB, MACPB and multiplying RET commands, each counted once per query that it serves: what is multiplied, where
    /// [`Command::MacAb`] and the others are what is read.
    pub mac_queries: u64,
}

impl Default for CommandCounts {
    fn default() -> Self {
        Self { counts: [0; Command::ALL.len()], mac_queries: 0 }
    }
}

impl CommandCounts {
    /// The counts of `copies` channels that do the same.
    pub fn times(mut self, copies: u64) -> Self {
        for count in &mut self.counts {
            *count *= copies;
        }
        self.mac_queries *= copies;
        self
    }

    /// How many commands there are in all.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Every command with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Command, u64)> + '_ {
        Command::ALL.into_iter().zip(self.counts)
    }
}

impl Index<Command> for CommandCounts {
    type Output = u64;
    fn index(&self, command: Command) -> &u64 {
        &self.counts[command.index()]
    }
}

impl IndexMut<Command> for CommandCounts {
    fn index_mut(&mut self, command: Command) -> &mut u64 {
        &mut self.counts[command.index()]
    }
}

impl AddAssign for CommandCounts {
    fn add_assign(&mut self, other: Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.mac_queries += other.mac_queries;
    }
}
