//! The requests of a kernel to one channel, in order: runs of neighbouring columns, some of which end a group.

use super::error::Hbm2PimError;
use super::mode::{COLUMN_CONTROL, Control, ROW_REGISTERS};
use crate::device::hbm2_pim::Hbm2Pim;
use crate::organisation::Organisation;

/// Rows with this bit are registers, not memory.
pub const REGISTER_SPACE: u16 = 0x1000;

/// What a write carries, as far as the device's own working depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Payload {
    /// Data, which time does not depend on, or a read.
    #[default]
    Data,
    /// A burst of the control register.
    Control(Control),
    /// Bursts of instructions, from this one of [`Requests::crf`] on.
    Crf(u16),
}

/// What a run of requests is for: the label that the reference traces print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)] // The names say it, and nothing but a trace reads them.
pub enum Label {
    #[default]
    None,
    StartParkIn,
    ParkIn,
    EndParkIn,
    StartToHab,
    EndToHab,
    ProgramCrf,
    Pim,
    Vector,
    Mac,
    Result,
    ResetGrf,
    Operand,
    Compute(&'static str),
    Store,
    StartToSb,
    EndToSb,
    StartParkOut,
    ParkOut,
    EndParkOut,
}

impl Label {
    /// As the reference traces have it, without the mark of a barrier.
    pub const fn text(self) -> &'static str {
        match self {
            Self::None => "",
            Self::StartParkIn => "START_PARK_IN_",
            Self::ParkIn => "PARK_IN_",
            Self::EndParkIn => "END_PARK_IN_",
            Self::StartToHab => "START_SB_TO_HAB_",
            Self::EndToHab => "END_SB_TO_HAB_",
            Self::ProgramCrf => "PROGRAM_CRF",
            Self::Pim => "PIM",
            Self::Vector => "WRIO_TO_GRF_",
            Self::Mac => "MAC_",
            Self::Result => "GRFB_TO_BANK_",
            Self::ResetGrf => "RESET_GRF_B",
            Self::Operand => "BANK_TO_GRF_",
            Self::Compute(text) => text,
            Self::Store => "GRF_TO_BANK",
            Self::StartToSb => "START_HAB_TO_SB",
            Self::EndToSb => "END_HAB_TO_SB",
            Self::StartParkOut => "START_PARK_OUT_",
            Self::ParkOut => "PARK_OUT_",
            Self::EndParkOut => "END_PARK_OUT_",
        }
    }
}

/// Where a run of requests goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Neighbouring columns of one bank, from this one on. A column past the row's end carries into the next row.
    Columns {
        /// Bank of the rank, 4 x bank group + bank.
        bank: u8,
        /// First row.
        row: u16,
        /// First column.
        column: u64,
    },
    /// Neighbouring bursts of the channel's linear address space: bank, then bank group, then column, then row.
    Linear(u64),
}

/// A run of requests of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Rank of the channel.
    pub rank: u8,
    /// Where.
    pub place: Place,
    /// How many.
    pub count: u64,
    /// Writes, or else reads.
    pub write: bool,
    /// The last of them ends its group: it is issued after all of the group, and before all of the next.
    pub barrier: bool,
    /// What writes carry.
    pub payload: Payload,
    /// What it is for.
    pub label: Label,
}

impl Run {
    fn last_row(&self, organisation: &Organisation) -> u64 {
        let columns = u64::from(organisation.columns.max(1));
        let more = self.count.saturating_sub(1);
        match self.place {
            Place::Columns { row, column, .. } => u64::from(row) + column.saturating_add(more) / columns,
            Place::Linear(first) => {
                first.saturating_add(more) / (columns * u64::from(organisation.banks_per_rank().max(1)))
            }
        }
    }
}

/// One request: a burst of 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Rank of the channel.
    pub rank: u8,
    /// Bank of the rank.
    pub bank: u8,
    /// Row of the bank.
    pub row: u16,
    /// Column of the row, in bursts.
    pub column: u8,
    /// A write, or else a read.
    pub write: bool,
    /// The last of its group.
    pub barrier: bool,
    /// Which run of the list it is of.
    pub run: u32,
}

impl Request {
    /// Whether it goes to the control register.
    #[inline]
    pub(super) const fn is_control(&self) -> bool {
        self.row == ROW_REGISTERS && self.column == COLUMN_CONTROL
    }
}

/// Requests to one channel, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requests {
    /// The runs.
    pub runs: Vec<Run>,
    /// Bursts of eight instruction words that writes carry.
    pub crf: Vec<[u32; super::isa::CRF_BURST]>,
}

impl Requests {
    /// Adds reads of `count` columns.
    pub fn read(&mut self, bank: u8, row: u16, column: u64, count: u64, label: Label) {
        self.push(Place::Columns { bank, row, column }, count, false, Payload::Data, label);
    }

    /// Adds writes of data to `count` columns.
    pub fn write(&mut self, bank: u8, row: u16, column: u64, count: u64, label: Label) {
        self.push(Place::Columns { bank, row, column }, count, true, Payload::Data, label);
    }

    /// Adds a run to rank 0. Nothing is added for a count of zero.
    pub fn push(&mut self, place: Place, count: u64, write: bool, payload: Payload, label: Label) {
        if count > 0 {
            self.runs.push(Run { rank: 0, place, count, write, barrier: false, payload, label });
        }
    }

    /// Marks the last request as the end of its group.
    pub fn barrier(&mut self) {
        if let Some(run) = self.runs.last_mut() {
            run.barrier = true;
        }
    }

    /// How many reads and writes there are.
    pub fn totals(&self) -> (u64, u64) {
        let sum = |write: bool| self.runs.iter().filter(|run| run.write == write).map(|run| run.count).sum();
        (sum(false), sum(true))
    }

    /// The highest row of memory that is touched; rows of registers do not count.
    pub fn highest_row(&self, organisation: &Organisation) -> u64 {
        let memory = |run: &&Run| !matches!(run.place, Place::Columns { row, .. } if row & REGISTER_SPACE != 0);
        self.runs.iter().filter(memory).map(|run| run.last_row(organisation)).max().unwrap_or_default()
    }

    /// Refuses requests to what the channel does not have.
    ///
    /// # Errors
    /// [`Hbm2PimError::Outside`].
    pub fn check(&self, device: &Hbm2Pim) -> Result<(), Hbm2PimError> {
        let organisation = &device.organisation;
        for (run, request) in self.runs.iter().enumerate() {
            let bank = match request.place {
                Place::Columns { bank, .. } => bank,
                Place::Linear(_) => 0,
            };
            for (what, number, limit) in [
                ("rank", u64::from(request.rank), organisation.ranks),
                ("bank", u64::from(bank), organisation.banks_per_rank()),
                ("row", request.last_row(organisation), organisation.rows),
            ] {
                if number >= u64::from(limit) {
                    return Err(Hbm2PimError::Outside { run, what, number, limit: u64::from(limit) });
                }
            }
        }
        Ok(())
    }

    /// One request after the other.
    pub fn iter<'l>(&'l self, organisation: &Organisation) -> Iter<'l> {
        const NOTHING: Request = Request { rank: 0, bank: 0, row: 0, column: 0, write: false, barrier: false, run: 0 };
        Iter {
            runs: self.runs.iter(),
            number: 0,
            left: 0,
            next: NOTHING,
            barrier: false,
            linear: false,
            columns: organisation.columns.max(1),
            banks: organisation.banks_per_rank().max(1),
        }
    }
}

/// Iterator over [`Requests`].
#[derive(Clone, Debug)]
pub struct Iter<'l> {
    runs: std::slice::Iter<'l, Run>,
    /// Of the run after the one at hand.
    number: u32,
    /// Requests of the run at hand that are left, the next one, and whether the last one ends a group.
    left: u64,
    next: Request,
    barrier: bool,
    linear: bool,
    columns: u32,
    /// Of a rank.
    banks: u32,
}

impl Iter<'_> {
    /// Over neighbouring bursts, as which the request `before` the next one came too: how often a burst of every bank can be
    /// passed over without leaving the row or the run.
    pub(super) fn rounds_in_row(&self, before: &Request) -> u64 {
        let together = self.linear && self.left > 0 && before.run == self.next.run && before.row == self.next.row;
        let in_row = self.columns.saturating_sub(1).saturating_sub(self.next.column.into());
        // The last request of a run may carry a mark.
        if together { u64::from(in_row).min((self.left - 1) / u64::from(self.banks)) } else { 0 }
    }

    /// Banks of a rank.
    pub(super) fn banks(&self) -> u64 {
        self.banks.into()
    }

    /// Passes over a burst of every bank so many times.
    pub(super) fn skip_rounds(&mut self, rounds: u64) {
        self.left -= rounds * self.banks();
        self.next.column += rounds as u8;
    }

    /// The next run with requests; `None` at the end.
    #[inline(never)]
    fn begin(&mut self) -> Option<()> {
        while self.left == 0 {
            let run = self.runs.next()?;
            let (columns, banks) = (u64::from(self.columns), u64::from(self.banks));
            let (bank, row, column) = match run.place {
                Place::Columns { bank, row, column } => (bank.into(), row.into(), column),
                // Banks by number are bank, then bank group.
                Place::Linear(first) => (first % banks, 0, first / banks),
            };
            self.next = Request {
                rank: run.rank,
                bank: bank as u8,
                row: (row + column / columns) as u16,
                column: (column % columns) as u8,
                write: run.write,
                barrier: false,
                run: self.number,
            };
            self.linear = matches!(run.place, Place::Linear(_));
            self.barrier = run.barrier;
            self.left = run.count;
            self.number += 1;
        }
        Some(())
    }
}

impl Iterator for Iter<'_> {
    type Item = Request;

    #[allow(clippy::inline_always, reason = "a call and its copies are half of what a request takes (callgrind)")]
    #[inline(always)]
    fn next(&mut self) -> Option<Request> {
        if self.left == 0 {
            self.begin()?;
        }
        self.left -= 1;
        let request = Request { barrier: self.barrier && self.left == 0, ..self.next };
        let next = &mut self.next;
        if self.linear {
            next.bank += 1;
            if u32::from(next.bank) < self.banks {
                return Some(request);
            }
            next.bank = 0;
        }
        // A row has at most 256 columns: its column is a byte.
        next.column = next.column.wrapping_add(1);
        if u32::from(next.column) == self.columns || next.column == 0 {
            next.column = 0;
            next.row = next.row.wrapping_add(1);
        }
        Some(request)
    }
}
