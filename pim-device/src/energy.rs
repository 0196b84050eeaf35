//! Energy: what was issued, times what each command costs.

use std::fmt;
use std::ops::{Add, AddAssign};

use sim_core::{Cycles, Time};

use crate::command::{Command, CommandCounts};
use crate::constraint::{self, Constraint, Latency};
use crate::device::{DeviceSpec, PeLevel};
use crate::organisation::Level;
use crate::timing::Parameter;

/// Energy in femtojoules, an integer so that sums do not depend on their order. 128 bits: 64 would hold 18 kJ, which a pool
/// of stacks takes within a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Energy(pub u128);

impl Energy {
    /// In picojoules, for printing.
    pub fn pj(self) -> f64 {
        self.0 as f64 / 1_000.0
    }

    /// A whole multiple, saturating.
    pub const fn times(self, n: u64) -> Self {
        Self(self.0.saturating_mul(n as u128))
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

/// Configuration: energy per bit, per multiply-add and per refresh in fJ, standby in uW.
///
/// Source: Fine-Grained DRAM (MICRO 2017) as used by the AttAcc simulator, pJ per bit: activate and precharge 0.11 (of
/// the activated page: 0.11 x 8192 bit = 0.9 nJ), cell 0.44, column decoder to bank-group multiplexer 1.01, on to the
/// global multiplexer 1.23, TSV 0.5, interposer 0.3; 0.32 pJ per multiply-add. AttAcc's own script applies the
/// figures per bit to bytes; here a byte has eight bits.
///
/// Standby and refresh: IDD3N 55 mA, IDD2N 40 mA and IDD5AB 250 mA at 1.2 V, of DRAMSim3's `HBM2_8Gb_x128` for a channel of one
/// rank. That HBM3's ranks take as much each is an assumption. A refresh of all banks of a rank is (IDD5AB - IDD3N) x 1.2 V x 350 ns
/// (tRFC of an 8 Gb channel) = 81.9 nJ.
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
    /// A refresh of all banks of one rank, beside standby.
    pub refresh: u64,
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
        refresh: 81_900_000,
        standby_open: 66_000,
        standby_closed: 48_000,
    };
}

/// Statistics: energy by what takes it, from the cells outwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Activation and precharge of rows.
    pub activation: Energy,
    /// Cells read and written.
    pub cell: Energy,
    /// Bits moved between column decoders and bank-group multiplexers.
    pub bank_group: Energy,
    /// Bits moved between bank-group multiplexers and the global one.
    pub global: Energy,
    /// Bits moved through the silicon.
    pub tsv: Energy,
    /// Multiply-adds.
    pub mac: Energy,
    /// Refresh.
    pub refresh: Energy,
    /// Standby.
    pub standby: Energy,
}

impl Parts {
    /// Each with its name.
    pub const fn named(&self) -> [(&'static str, Energy); 8] {
        [
            ("activation", self.activation),
            ("cell", self.cell),
            ("bank_group", self.bank_group),
            ("global", self.global),
            ("tsv", self.tsv),
            ("mac", self.mac),
            ("refresh", self.refresh),
            ("standby", self.standby),
        ]
    }

    /// All together.
    pub fn total(&self) -> Energy {
        self.named().into_iter().fold(Energy::default(), |sum, (_, energy)| sum + energy)
    }

    /// A whole multiple, saturating.
    #[must_use]
    pub const fn times(self, n: u64) -> Self {
        Self {
            activation: self.activation.times(n),
            cell: self.cell.times(n),
            bank_group: self.bank_group.times(n),
            global: self.global.times(n),
            tsv: self.tsv.times(n),
            mac: self.mac.times(n),
            refresh: self.refresh.times(n),
            standby: self.standby.times(n),
        }
    }
}

impl AddAssign for Parts {
    fn add_assign(&mut self, other: Self) {
        self.activation += other.activation;
        self.cell += other.cell;
        self.bank_group += other.bank_group;
        self.global += other.global;
        self.tsv += other.tsv;
        self.mac += other.mac;
        self.refresh += other.refresh;
        self.standby += other.standby;
    }
}

/// What one command takes, by part. The multiply-adds of a MAC are counted per query, see [`parts`].
///
/// Not counted, because no source gives a figure: the BufferPE's softmax and other operations, GEMV buffers and registers. A
/// look-up is charged as a granule of cells whatever it brings.
pub fn command_parts(device: &DeviceSpec, command: Command) -> Parts {
    let figures = &device.energy;
    let organisation = &device.organisation;
    let page_bits = organisation.page().0 * 8;
    let granule_bits = u64::from(organisation.granule) * 8;
    let banks = u64::from(organisation.banks_per_channel());
    let bank_groups = u64::from(organisation.nodes(Level::BankGroup));
    let pseudo_channels = u64::from(organisation.pseudo_channels);
    let none = Parts::default();
    let pages = |pages: u64| Parts { activation: Energy(figures.activation.into()).times(pages * page_bits), ..none };
    let cells = |granules: u64| Parts { cell: Energy(figures.cell.into()).times(granules * granule_bits), ..none };
    let to_group = |granules: u64, rest: Parts| Parts {
        bank_group: Energy(figures.bank_group.into()).times(granules * granule_bits),
        ..rest
    };
    let to_die = |granules: u64, rest: Parts| Parts {
        global: Energy(figures.global.into()).times(granules * granule_bits),
        tsv: Energy(figures.tsv.into()).times(granules * granule_bits),
        ..to_group(granules, rest)
    };
    let refresh = |ranks: u64, share: u64| Parts {
        refresh: Energy(u128::from(ranks) * u128::from(figures.refresh) / u128::from(share.max(1))),
        ..none
    };
    match command {
        Command::ActAb => pages(banks),
        Command::ActSb => pages(bank_groups),
        Command::ActPb => pages(pseudo_channels),
        Command::Act | Command::Act2 => pages(1),
        Command::MacAb | Command::Af | Command::Ret | Command::RdReg | Command::WrReg => cells(banks),
        // Further from the bank, the PE costs the way to it.
        Command::MacSb => to_group(bank_groups, cells(bank_groups)),
        Command::MacPb => to_die(pseudo_channels, cells(pseudo_channels)),
        Command::Rd | Command::RdA | Command::Wr | Command::WrA | Command::RdCp | Command::WrCp => to_die(1, cells(1)),
        // Two banks of a bank group are read, a third is written.
        Command::EwMul => to_group(3 * bank_groups, cells(3 * bank_groups)),
        Command::WrAb => to_die(1, cells(banks)),
        // Accumulators: a granule over the external bus, no cell.
        Command::RdMac | Command::RdAf | Command::WrMac => to_die(1, none),
        // The PEs of the buffer die have their buffers beside them.
        Command::WrGb | Command::MvSb | Command::MvGb if device.pe == PeLevel::BufferDie => none,
        // A move carries a granule in every pseudo-channel.
        Command::WrGb | Command::MvSb | Command::MvGb => to_die(pseudo_channels, none),
        // The four banks of a bank group send a granule each to its adder, whose sum goes on; an addition costs no more than a
        // multiply-add.
        Command::MvSum => {
            let (banks, lanes) = (u64::from(organisation.banks), u64::from(device.elements_per_granule()));
            let added = Energy(figures.mac.into()).times(pseudo_channels * banks.saturating_sub(1) * lanes);
            to_group(pseudo_channels * banks, Parts { mac: added, ..to_die(pseudo_channels, none) })
        }
        // One granule in each pseudo-channel, which every bank group takes in.
        Command::MvBc => to_group(bank_groups, to_die(pseudo_channels, none)),
        Command::RefAb | Command::RfmAb => refresh(ranks(device), 1),
        Command::RefPb | Command::RfmPb => refresh(1, u64::from(organisation.banks_per_rank())),
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
        | Command::SetH => none,
    }
}

/// The energy of one command, its multiply-adds left out.
pub fn command_energy(device: &DeviceSpec, command: Command) -> Energy {
    command_parts(device, command).total()
}

/// Ranks of a channel: stack IDs, which both pseudo-channels share.
fn ranks(device: &DeviceSpec) -> u64 {
    u64::from(device.organisation.nodes(Level::Rank) / device.organisation.pseudo_channels.max(1))
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
    // 1 uW for 1 ps is 0.001 fJ.
    let of = |microwatts: u64, time: Time| {
        u128::from(microwatts) * u128::from(time.ps()) * u128::from(ranks(device)) / 1_000
    };
    Energy(of(figures.standby_open, open) + of(figures.standby_closed, closed))
}

/// What an idle channel takes up to `end`: refreshes on time, and standby with all rows closed.
pub fn idle(device: &DeviceSpec, end: Time) -> Parts {
    let interval = u64::from(device.timing.get(Parameter::Refi).max(1));
    let refreshes = device.timing.clock.cycle_at_or_after(end).0 / interval;
    let mut parts = command_parts(device, Command::RefAb).times(refreshes);
    parts.standby = background(device, Time::ZERO, end);
    parts
}

/// The energy of all commands counted, multiply-adds included.
pub fn energy(device: &DeviceSpec, counts: &CommandCounts) -> Energy {
    parts(device, counts).total()
}

/// The same by part; standby is left out.
pub fn parts(device: &DeviceSpec, counts: &CommandCounts) -> Parts {
    let mut total = Parts::default();
    for (command, count) in counts.iter() {
        total += command_parts(device, command).times(count);
    }
    total.mac += multiply_adds(device, counts.mac_queries);
    total
}

/// The same by command: every one that was issued, with its energy. Multiply-adds are with the device's own MAC.
pub fn by_command(device: &DeviceSpec, counts: &CommandCounts) -> Vec<(Command, u64, Energy)> {
    let mac = device.pe.commands().mac;
    let issued = counts.iter().filter(|(_, count)| *count > 0);
    issued
        .map(|(command, count)| {
            let own = command_energy(device, command).times(count);
            let computed = if command == mac { multiply_adds(device, counts.mac_queries) } else { Energy::default() };
            (command, count, own + computed)
        })
        .collect()
}

/// The multiply-adds of MACs for so many queries in all.
fn multiply_adds(device: &DeviceSpec, queries: u64) -> Energy {
    Energy(device.energy.mac.into()).times(queries.saturating_mul(device.operations_per_mac() / 2))
}

/// Configuration: the most power that a stack may take.
///
/// It is kept by rules between commands, see [`PowerBudget::constraints`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerBudget {
    /// Power of one stack, in uW.
    pub stack: u64,
    /// Queries that one MAC serves, for the energy of its multiply-adds.
    pub queries: u32,
}

/// Part of the power beside standby that moves between banks and buffer die may take; the rest is for rows, MACs, accesses and
/// refresh. Assumption: an eighth. Both streams of a program keep to their own part, so that neither waits for the other's power.
const MOVES_SHARE: u64 = 8;
/// Commands of the row stream that take energy, and refresh.
const COSTLY: &[Command] = &[
    Command::ActAb,
    Command::MacAb,
    Command::ActSb,
    Command::MacSb,
    Command::ActPb,
    Command::MacPb,
    Command::Act,
    Command::Rd,
    Command::Wr,
    Command::Ret,
    Command::RdReg,
    Command::WrReg,
    Command::RefAb,
];
/// Commands of the move stream that take energy.
const MOVES: &[Command] = &[Command::WrGb, Command::MvSb, Command::MvGb, Command::MvSum, Command::MvBc];
/// Every command, to borrow single ones from.
static SINGLE: [Command; Command::ALL.len()] = Command::ALL;

impl PowerBudget {
    /// The power of one channel that is left for the commands of rows, and of moves, in uW: what standby with open rows leaves, an
    /// eighth of it for moves where moves take any energy.
    pub fn shares(&self, device: &DeviceSpec) -> (u64, u64) {
        let channel = self.stack / u64::from(device.organisation.channels.max(1));
        let left = channel.saturating_sub(ranks(device).saturating_mul(device.energy.standby_open));
        let free = MOVES.iter().all(|&command| command_energy(device, command) == Energy::default());
        let moves = if free { 0 } else { left / MOVES_SHARE };
        (left - moves, moves)
    }

    /// What a command takes, the multiply-adds of a MAC included.
    pub fn of(&self, device: &DeviceSpec, command: Command) -> Energy {
        let computes = command == device.pe.commands().mac;
        let queries = if computes { u64::from(self.queries.max(1)) } else { 0 };
        command_energy(device, command) + multiply_adds(device, queries)
    }

    /// The least power of a stack of this kind that can be kept, in uW: standby, and refresh in half of the time that it has.
    pub fn least(device: &DeviceSpec) -> u64 {
        let interval = device.timing.clock.edge(Cycles(u64::from(device.timing.get(Parameter::Refi)))).ps().max(1);
        // fJ over ps are 1000 uW.
        let refresh = command_energy(device, Command::RefAb).times(2_000).0.div_ceil(interval.into());
        let share = u128::from(MOVES_SHARE);
        let with_moves = refresh.saturating_mul(share).div_ceil(share - 1);
        let standby = u128::from(ranks(device)) * u128::from(device.energy.standby_open);
        let channel = standby.saturating_add(with_moves).saturating_add(1);
        let stack = channel.saturating_mul(u128::from(device.organisation.channels.max(1)));
        u64::try_from(stack).unwrap_or(u64::MAX)
    }

    /// The rules that keep it: after a command that takes the energy E nothing that takes energy follows before E / P, P being the
    /// power of its stream. So in any window no more is taken than P times its length and one command of each stream.
    pub fn constraints(&self, device: &DeviceSpec) -> Vec<Constraint> {
        let (rows, moves) = self.shares(device);
        let rules = |of: &'static [Command], share: u64| {
            of.iter().filter_map(move |&command| {
                let energy = self.of(device, command);
                let gap = energy.times(1_000).0.div_ceil(share.max(1).into());
                let gap = u64::try_from(gap).unwrap_or(u64::MAX);
                let cycles = device.timing.clock.cycle_at_or_after(Time::from_ps(gap)).0;
                let single = command.index();
                (energy > Energy::default()).then(|| {
                    let latency = Latency::fixed(u32::try_from(cycles).unwrap_or(u32::MAX / 4));
                    constraint::at(Level::Channel, &SINGLE[single..=single], of, latency)
                })
            })
        };
        rules(COSTLY, rows).chain(rules(MOVES, moves)).collect()
    }
}
