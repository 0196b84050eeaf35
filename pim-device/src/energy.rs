//! Energy: what was issued, times what each command costs.

use std::fmt;
use std::ops::{Add, AddAssign};

use sim_core::Time;

use crate::command::{Command, CommandCounts};
use crate::device::{DeviceSpec, PeLevel};
use crate::organisation::Level;

/// Energy in femtojoules, an integer so that sums do not depend on their order. Holds 18 kJ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Energy(pub u64);

impl Energy {
    /// In picojoules, for printing.
    pub fn pj(self) -> f64 {
        self.0 as f64 / 1_000.0
    }

    /// A whole multiple, saturating.
    pub const fn times(self, n: u64) -> Self {
        Self(self.0.saturating_mul(n))
    }
}

impl Add for Energy {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Energy {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl fmt::Display for Energy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.3} nJ", self.0 as f64 / 1e6))
    }
}

/// Configuration: energy per bit and per multiply-add, in fJ.
///
/// Source: Fine-Grained DRAM (MICRO 2017) as used by the AttAcc simulator, pJ per bit: activate and precharge 0.11 (of
/// the activated page: 0.11 x 8192 bit = 0.9 nJ), cell 0.44, column decoder to bank-group multiplexer 1.01, on to the
/// global multiplexer 1.23, TSV 0.5, interposer 0.3; 0.32 pJ per multiply-add. AttAcc's own script applies the
/// figures per bit to bytes; here a byte has eight bits.
///
/// Standby: IDD3N 55 mA and IDD2N 40 mA at 1.2 V, of DRAMSim3's `HBM2_8Gb_x128` for a channel of one rank. That HBM3's ranks
/// take as much each is an assumption. (Refresh by the same file, (IDD5AB - IDD3N) x 1.2 V x 350 ns, is 82 nJ for each rank, 164 for a
/// channel of two; what is counted here by activated bits is 115.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnergyFigures {
    /// Activation and precharge, per bit of the activated page.
    pub activation: u64,
    /// Reading or writing a cell, per bit.
    pub cell: u64,
    /// Between column decoder and bank-group multiplexer, per bit.
    pub bank_group: u64,
    /// Between bank-group and global multiplexer, per bit.
    pub global: u64,
    /// Through the silicon to the buffer die, per bit.
    pub tsv: u64,
    /// Over the interposer, per bit. Charged to the link that uses it, not to the commands here.
    pub interposer: u64,
    /// One multiply-add of a bank PE.
    pub mac: u64,
    /// Standby of one rank of a channel while rows are open, in uW.
    pub standby_open: u64,
    /// Standby of one rank of a channel while all rows are closed, in uW.
    pub standby_closed: u64,
}

impl EnergyFigures {
    /// The figures above.
    pub const FGDRAM: Self = Self {
        activation: 110,
        cell: 440,
        bank_group: 1_010,
        global: 1_230,
        tsv: 500,
        interposer: 300,
        mac: 320,
        standby_open: 66_000,
        standby_closed: 48_000,
    };
}

/// A retention period refreshes every row once. Assumption: JEDEC's 32 ms at 85 °C in 8192 refresh commands.
const REFRESHES_PER_RETENTION: u64 = 8_192;

/// The energy of one command.
///
/// Not counted, because no source gives a figure: the BufferPE's softmax and other operations, GEMV buffers and registers,
/// leakage. A look-up is charged as a granule of cells whatever it brings.
/// A refresh is charged as the activation of the rows it restores (derived, not published).
pub fn command_energy(device: &DeviceSpec, command: Command) -> Energy {
    let figures = &device.energy;
    let organisation = &device.organisation;
    let page_bits = organisation.page().0 * 8;
    let granule_bits = u64::from(organisation.granule) * 8;
    let banks = u64::from(organisation.banks_per_channel());
    let bank_groups = u64::from(organisation.nodes(Level::BankGroup));
    let pseudo_channels = u64::from(organisation.pseudo_channels);
    let restored = u64::from(organisation.rows).div_ceil(REFRESHES_PER_RETENTION);
    let path = figures.bank_group + figures.global + figures.tsv;
    Energy(match command {
        Command::ActAb => banks * page_bits * figures.activation,
        Command::ActSb => bank_groups * page_bits * figures.activation,
        Command::ActPb => pseudo_channels * page_bits * figures.activation,
        Command::Act | Command::Act2 => page_bits * figures.activation,
        // The multiply-adds are counted per query in `energy`.
        Command::MacAb | Command::Af | Command::Ret | Command::RdReg | Command::WrReg => {
            banks * granule_bits * figures.cell
        }
        // Further from the bank, the PE costs the way to it.
        Command::MacSb => bank_groups * granule_bits * (figures.cell + figures.bank_group),
        Command::MacPb => pseudo_channels * granule_bits * (figures.cell + path),
        Command::Rd | Command::RdA | Command::Wr | Command::WrA | Command::RdCp | Command::WrCp => {
            granule_bits * (figures.cell + path)
        }
        // Two banks of a bank group are read, a third is written.
        Command::EwMul => 3 * bank_groups * granule_bits * (figures.cell + figures.bank_group),
        Command::WrAb => granule_bits * path + banks * granule_bits * figures.cell,
        // Accumulators: a granule over the external bus, no cell.
        Command::RdMac | Command::RdAf | Command::WrMac => granule_bits * path,
        // The PEs of the buffer die have their buffers beside them.
        Command::WrGb | Command::MvSb | Command::MvGb if device.pe == PeLevel::BufferDie => 0,
        // A move carries a granule in every pseudo-channel.
        Command::WrGb | Command::MvSb | Command::MvGb => pseudo_channels * granule_bits * path,
        // The four banks of a bank group send a granule each to its adder, whose sum goes on; an addition costs no more than a
        // multiply-add.
        Command::MvSum => {
            let (banks, lanes) = (u64::from(organisation.banks), u64::from(device.elements_per_granule()));
            let sum = granule_bits * (banks * figures.bank_group + figures.global + figures.tsv);
            pseudo_channels * (sum + (banks - 1) * lanes * figures.mac)
        }
        // One granule in each pseudo-channel, which every bank group takes in.
        Command::MvBc => {
            pseudo_channels * granule_bits * (figures.global + figures.tsv)
                + bank_groups * granule_bits * figures.bank_group
        }
        Command::RefAb | Command::RfmAb => banks * restored * page_bits * figures.activation,
        Command::RefPb | Command::RfmPb => restored * page_bits * figures.activation,
        // Precharge is part of the activation's figure.
        Command::PreA
        | Command::Pre
        | Command::PreSb
        | Command::PrePb
        | Command::Act1
        | Command::CasRd
        | Command::CasWr
        | Command::Sfm
        | Command::Bpe
        | Command::SetM
        | Command::SetH => 0,
    })
}

/// What one channel takes beside its commands: standby while rows are open and while all are closed. Not part of
/// [`energy`].
///
/// ```
/// use pim_device::{DeviceSpec, energy};
/// use sim_core::Time;
/// // Two ranks of 66 mW for a millisecond.
/// let standby = energy::background(&DeviceSpec::hbm3_pim_bank(), Time::from_ns(1_000_000), Time::ZERO);
/// assert!((standby.pj() / 1e6 - 132.0).abs() < 1e-6);
/// ```
pub fn background(device: &DeviceSpec, open: Time, closed: Time) -> Energy {
    let figures = &device.energy;
    let ranks = u128::from(device.organisation.nodes(Level::Rank) / device.organisation.pseudo_channels.max(1));
    // 1 uW for 1 ps is 0.001 fJ.
    let of = |microwatts: u64, time: Time| u128::from(microwatts) * u128::from(time.ps()) * ranks / 1_000;
    let total = of(figures.standby_open, open) + of(figures.standby_closed, closed);
    Energy(u64::try_from(total).unwrap_or(u64::MAX))
}

/// The energy of all commands counted, multiply-adds included.
pub fn energy(device: &DeviceSpec, counts: &CommandCounts) -> Energy {
    let mut total = Energy::default();
    for (command, count) in counts.iter() {
        total += command_energy(device, command).times(count);
    }
    let multiply_adds = counts.mac_queries.saturating_mul(device.operations_per_mac() / 2);
    total + Energy(device.energy.mac).times(multiply_adds)
}
