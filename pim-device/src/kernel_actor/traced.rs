//! The commands of a kernel, of any device, where they are wanted.

use crate::aim::{AimIssued, AimRecord, AimSpec};
use crate::command::{Address, Command};
use crate::controller::engine::Issued;
use crate::hbm2_pim::{self, Hbm2Pim, Kept, Mode};

/// A command of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TracedCommand {
    /// When, what and where. Of a device whose banks are no further divided, pseudo-channel and rank are 0.
    pub issued: Issued,
    /// Who: a place in [`Traced::channels`].
    pub channels: u32,
    /// The mode of the rank, of devices whose ranks have modes. In the all-bank modes rows are opened and accessed in banks 0 and 1 of
    /// bank group 0, which stand for all even and all odd banks.
    pub mode: Option<Mode>,
}

/// The first commands of a kernel by cycle, and how many more there were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traced {
    /// By cycle.
    pub commands: Vec<TracedCommand>,
    /// Channels that issue a command in the same cycle, in ascending order.
    pub channels: Vec<Vec<u32>>,
    /// How many more there were: what channels do together counts as one.
    pub left_out: u64,
}

impl Traced {
    /// Those of an HBM3 channel, which stands for `copies`. Which ones they are is known to whoever deals the kernel.
    pub(super) fn hbm3(issued: Vec<Issued>, copies: u32, most: usize, left_out: u64) -> Self {
        let left_out = left_out + issued.len().saturating_sub(most) as u64;
        let commands = issued.into_iter().take(most).map(|issued| TracedCommand { issued, channels: 0, mode: None });
        Self { commands: commands.collect(), channels: vec![(0..copies).collect()], left_out }
    }

    pub(super) fn aim(record: &AimRecord, device: &AimSpec) -> Self {
        let banks = device.organisation.banks.max(1) as u8;
        let commands = record.issued.iter().map(|&AimIssued { cycle, command, bank, row, column, channels }| {
            let address = Address { bank_group: bank / banks, bank: bank % banks, row, ..Address::default() };
            let column = has_column(command).then_some(column);
            TracedCommand { issued: Issued { cycle, command, address, column }, channels, mode: None }
        });
        let members = |set: &u128| (0..u128::BITS).filter(|channel| set >> channel & 1 == 1).collect();
        Self {
            commands: commands.collect(),
            channels: record.channels.iter().map(members).collect(),
            left_out: record.left_out,
        }
    }

    /// Those of the channels of each class, the first of which begins with channel 0.
    pub(super) fn hbm2_pim(classes: Vec<Kept>, device: &Hbm2Pim, most: usize) -> Self {
        let banks = device.organisation.banks.max(1) as u8;
        let mut all = Self::default();
        let mut first = 0;
        for (class, kept) in (0_u32..).zip(classes) {
            let count = u32::try_from(kept.channels).unwrap_or(u32::MAX);
            all.channels.push((first..first + count).collect());
            first += count;
            all.left_out += kept.left_out;
            all.commands.extend(kept.issued.into_iter().map(|issued| {
                let hbm2_pim::Issued { cycle, command, rank, bank, row, column, mode, .. } = issued;
                let (bank_group, bank, row) = (bank / banks, bank % banks, u32::from(row));
                let address = Address { rank, bank_group, bank, row, ..Address::default() };
                let column = has_column(command).then_some(column.into());
                TracedCommand { issued: Issued { cycle, command, address, column }, channels: class, mode: Some(mode) }
            }));
        }
        // Of one cycle in the order of channels.
        all.commands.sort_by_key(|command| command.issued.cycle);
        all.left_out += all.commands.len().saturating_sub(most) as u64;
        all.commands.truncate(most);
        all
    }
}

/// Whether a command is about a column.
const fn has_column(command: Command) -> bool {
    matches!(
        command,
        Command::Rd
            | Command::Wr
            | Command::MacAb
            | Command::EwMul
            | Command::RdCp
            | Command::WrCp
            | Command::WrGb
            | Command::WrAb
    )
}
