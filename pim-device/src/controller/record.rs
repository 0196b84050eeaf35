//! The commands of a channel, where they are wanted.

use crate::command::{Address, Bus, Command};
use crate::device::DeviceSpec;
use crate::kernel::ordinary::is_access;
use crate::organisation::{Level, Organisation};
use crate::program::{Instruction, Program};

use super::engine::Issued;

/// Beyond twice what is wanted, so many more are kept before they are cut: sorting pays for many at once.
const SLACK: usize = 4_096;

/// Statistics: the first commands by cycle, and how many more there were.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// Configuration.
    organisation: Organisation,
    /// Configuration: how many are wanted.
    pub(super) most: usize,
    issued: Vec<Issued>,
    left_out: u64,
    /// State: the column of the next access, by bank; sets of banks by the first of them.
    columns: Vec<u16>,
    /// State: whether the MACs, and the ordinary accesses, of the program at hand begin at the first column of what they open.
    macs: bool,
    accesses: bool,
}

impl Record {
    pub(super) fn new(device: &DeviceSpec) -> Self {
        let organisation = device.organisation;
        Self {
            organisation,
            most: usize::MAX,
            issued: Vec::new(),
            left_out: 0,
            columns: vec![0; organisation.nodes(Level::Bank).max(1) as usize],
            macs: false,
            accesses: false,
        }
    }

    /// Commands of this program follow.
    ///
    /// Programs count commands and say no columns. MACs over a [`crate::Layout`] and ordinary accesses to whole rows take the columns of
    /// a row in order from the first on. Those over product-quantised caches, and the writes of a new token, do not.
    pub(super) fn begin(&mut self, program: &Program) {
        let mut code = program.row_stream().iter();
        self.macs = !code.any(|one| matches!(one, Instruction::OpenAt(_) | Instruction::Column { .. }));
        self.accesses = is_access(program);
    }

    /// A command of a program.
    pub(super) fn push(&mut self, cycle: i64, command: Command, address: Address) {
        let bank = self.organisation.node(Level::Bank, address) as usize;
        let known = match command {
            Command::ActAb | Command::ActSb | Command::ActPb | Command::Act => {
                if let Some(column) = self.columns.get_mut(bank) {
                    *column = 0;
                }
                false
            }
            Command::MacAb | Command::MacSb | Command::MacPb => self.macs,
            Command::Rd | Command::Wr => self.accesses,
            _ => false,
        };
        let column = self.columns.get_mut(bank).filter(|_| known).map(|column| {
            let here = *column;
            *column = here.saturating_add(1);
            here
        });
        self.push_at(cycle, command, address, column);
    }

    /// A command with its column.
    pub(super) fn push_at(&mut self, cycle: i64, command: Command, address: Address, column: Option<u16>) {
        self.issued.push(Issued { cycle: cycle.unsigned_abs(), command, address, column });
        if self.issued.len() >= self.most.saturating_mul(2).saturating_add(SLACK) {
            self.sort();
            self.left_out += (self.issued.len() - self.most) as u64;
            self.issued.truncate(self.most);
        }
    }

    /// The columns that banks are at. A refresh that cannot wait closes rows and opens them again: what follows goes on there.
    pub(super) fn columns(&self) -> Vec<u16> {
        self.columns.clone()
    }

    pub(super) fn go_on_at(&mut self, columns: Vec<u16>) {
        self.columns = columns;
    }

    /// How many commands at and after `cycle` are wanted. Those before it are all known.
    pub(super) fn room_from(&self, cycle: i64) -> i64 {
        let before = if self.issued.len() < self.most {
            self.issued.len()
        } else {
            self.issued.iter().filter(|issued| issued.cycle < cycle.unsigned_abs()).count()
        };
        i64::try_from(self.most.saturating_sub(before)).unwrap_or(i64::MAX)
    }

    /// So many commands are not recorded.
    pub(super) fn leave_out(&mut self, count: u64) {
        self.left_out += count;
    }

    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The commands so far, in order; they are not kept.
    pub(super) fn take(&mut self) -> Vec<Issued> {
        self.sort();
        std::mem::take(&mut self.issued)
    }

    /// By cycle; of one cycle in the order row bus, column bus.
    fn sort(&mut self) {
        self.issued.sort_by_key(|issued| (issued.cycle, issued.command.bus() == Bus::Column));
    }
}
