//! The commands of a channel as rows of a trace, in the form of the reference traces.

use super::channel::{Issued, Observer};
use super::effect::{Effect, RankProgram};
use super::error::Hbm2PimError;
use super::mode::{Mode, is_memory};
use super::request::Requests;
use crate::command::Command;
use crate::device::hbm2_pim::{COMMAND_CYCLES, Hbm2Pim};

/// One row of a trace: a command, or an event that a command brings about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceRow {
    /// The cycle of the controller's decision.
    pub issue_cycle: u64,
    /// The cycle in which the command reaches the rank.
    pub rank_cycle: u64,
    /// The clock that the reference's log prints: one later for what the PIM blocks log.
    pub printed_cycle: u64,
    /// Command or event.
    pub event: &'static str,
    /// The rank's mode before it.
    pub mode: Mode,
    /// Rank of the channel.
    pub rank: u8,
    /// Bank of the rank, where the row has one.
    pub bank: Option<u8>,
    /// Row: of ACT, RD and WR their own; of PRE the last row of memory that was opened in the bank.
    pub row: Option<u16>,
    /// Column, in bursts.
    pub column: Option<u8>,
    /// Register, or burst of the CRF.
    pub index: Option<u8>,
    /// The instruction and its place.
    pub instruction: String,
    /// Label of the request for which a row is opened, with `BAR` where it ends a group.
    pub tag: String,
}

/// The columns of a trace.
pub const COLUMNS: [&str; 13] = [
    "issue_cycle",
    "rank_cycle",
    "printed_cycle",
    "event",
    "mode_before",
    "rank",
    "bankgroup",
    "bank",
    "row",
    "col",
    "reg_or_crf_idx",
    "pim_instruction",
    "tag",
];

/// Every event that a row can have.
pub const EVENTS: [&str; 17] = [
    "ACTIVATE",
    "PRECHARGE",
    "READ",
    "WRITE",
    "REF",
    "BWRITE_CRF",
    "BWRITE_GRF_A",
    "BWRITE_GRF_B",
    "BWRITE_SRF",
    "GRF_A_ZEROIZE",
    "GRF_B_ZEROIZE",
    "HAB",
    "HAB_PIM",
    "HAB mode",
    "SB mode",
    "BANK_TO_PIM",
    "PIM_TO_BANK",
];

impl TraceRow {
    /// Its fields, in the order of [`COLUMNS`].
    pub fn fields(&self, banks_per_group: u32) -> [String; 13] {
        fn text<T: ToString>(value: Option<T>) -> String {
            value.map_or_else(String::new, |value| value.to_string())
        }
        [
            self.issue_cycle.to_string(),
            self.rank_cycle.to_string(),
            self.printed_cycle.to_string(),
            self.event.to_owned(),
            self.mode.text().to_owned(),
            self.rank.to_string(),
            text(self.bank.map(|bank| u32::from(bank) / banks_per_group.max(1))),
            text(self.bank),
            text(self.row),
            text(self.column),
            text(self.index),
            self.instruction.clone(),
            self.tag.clone(),
        ]
    }
}

/// State: the rows so far, and what later rows depend on.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The rows, in order.
    pub rows: Vec<TraceRow>,
    programs: Vec<RankProgram>,
    /// The last row of memory that was opened, by rank and bank.
    last_rows: Vec<Vec<u16>>,
}

impl Trace {
    /// An empty trace of a channel.
    pub fn new(device: &Hbm2Pim) -> Self {
        let ranks = device.organisation.ranks.max(1) as usize;
        let banks = device.organisation.banks_per_rank() as usize;
        Self { rows: Vec::new(), programs: vec![RankProgram::default(); ranks], last_rows: vec![vec![0; banks]; ranks] }
    }
}

impl Observer for Trace {
    fn issued(&mut self, issued: &Issued, requests: &Requests) -> Result<(), Hbm2PimError> {
        let rank = usize::from(issued.rank);
        let rank_cycle = issued.cycle + u64::from(COMMAND_CYCLES);
        let event = TraceRow {
            issue_cycle: issued.cycle,
            rank_cycle,
            printed_cycle: rank_cycle,
            mode: issued.mode,
            rank: issued.rank,
            ..TraceRow::default()
        };
        let command =
            TraceRow { bank: Some(issued.bank), row: Some(issued.row), column: Some(issued.column), ..event.clone() };
        match issued.command {
            Command::Act => self.activated(issued, requests, command, event),
            Command::Pre => {
                let row = self.last_rows[rank][usize::from(issued.bank)];
                self.rows.push(TraceRow { event: "PRECHARGE", row: Some(row), column: None, ..command });
                if issued.mode_after != issued.mode {
                    self.rows.push(TraceRow { event: "SB mode", ..event });
                }
            }
            Command::Rd | Command::Wr => {
                if let Some(effect) = self.programs[rank].effect(issued, requests)? {
                    self.column(issued, effect, command, event);
                }
            }
            _ => self.rows.push(TraceRow { event: "REF", ..event }),
        }
        Ok(())
    }
}

impl Trace {
    fn activated(&mut self, issued: &Issued, requests: &Requests, command: TraceRow, event: TraceRow) {
        let rows = &mut self.last_rows[usize::from(issued.rank)];
        if is_memory(issued.row) {
            let bank = usize::from(issued.bank);
            if issued.mode == Mode::SingleBank {
                rows[bank] = issued.row;
            } else {
                rows.iter_mut().skip(bank % 2).step_by(2).for_each(|row| *row = issued.row);
            }
        }
        let request = issued.request;
        let label =
            request.and_then(|request| requests.runs.get(request.run as usize)).map_or("", |run| run.label.text());
        let bar = if request.is_some_and(|request| request.barrier) { "BAR" } else { "" };
        let tag = format!("{label}{bar}");
        self.rows.push(TraceRow { event: "ACTIVATE", tag: tag.clone(), ..command });
        if issued.mode_after != issued.mode {
            self.rows.push(TraceRow { event: "HAB", tag, ..event });
        }
    }

    fn column(&mut self, issued: &Issued, effect: Effect, command: TraceRow, event: TraceRow) {
        let access = if issued.command == Command::Wr { "WRITE" } else { "READ" };
        // What the PIM blocks log is printed a cycle later.
        let late = u64::from(issued.mode != Mode::SingleBank);
        let command = TraceRow { event: access, printed_cycle: command.printed_cycle + late, ..command };
        let event = TraceRow { printed_cycle: event.printed_cycle + late, ..event };
        let rows = &mut self.rows;
        let written = |name: &'static str, index| TraceRow { event: name, index, ..event.clone() };
        match effect {
            Effect::Access => rows.push(command),
            Effect::Crf(burst) => rows.push(written("BWRITE_CRF", Some(burst))),
            Effect::GrfA(index) => rows.push(written("BWRITE_GRF_A", Some(index))),
            Effect::GrfB(index) => rows.push(written("BWRITE_GRF_B", Some(index))),
            Effect::Srf => rows.push(written("BWRITE_SRF", None)),
            Effect::Control(control) => {
                if control.zero_a {
                    rows.push(written("GRF_A_ZEROIZE", None));
                }
                if control.zero_b {
                    rows.push(written("GRF_B_ZEROIZE", None));
                }
                rows.push(written(if control.pim { "HAB_PIM" } else { "HAB mode" }, None));
            }
            Effect::Execute { jumps, placed } => {
                for (place, instruction) in jumps.into_iter().chain([placed]) {
                    rows.push(TraceRow { instruction: format!("[{place}] {instruction}"), ..command.clone() });
                }
            }
            Effect::Move { jumps } => {
                for (place, instruction) in jumps {
                    rows.push(TraceRow { instruction: format!("[{place}] {instruction}"), ..command.clone() });
                }
                let name = if issued.command == Command::Wr { "PIM_TO_BANK" } else { "BANK_TO_PIM" };
                rows.push(TraceRow { event: name, ..command });
            }
        }
    }
}
