//! What a column command does in the PIM blocks of its rank, seen from outside of the registers.

use super::channel::Issued;
use super::error::Hbm2PimError;
use super::isa::CRF_BURST;
use super::mode::{
    COLUMN_CONTROL, COLUMN_CRF, COLUMN_GRF_A, COLUMN_GRF_B, COLUMN_SRF, Control, Mode, ROW_REGISTERS, is_memory,
};
use super::request::{Payload, Requests};
use super::sequencer::{Placed, Sequencer};
use crate::command::Command;

/// What a column command does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Data go to or come from one bank, or from registers that no program reads.
    Access,
    /// Instructions are written: the burst of the CRF.
    Crf(u8),
    /// A register GRF_A of all blocks is written.
    GrfA(u8),
    /// A register GRF_B of all blocks is written.
    GrfB(u8),
    /// The scalar registers of all blocks are written.
    Srf,
    /// The control register is written.
    Control(Control),
    /// An instruction is executed, after these JUMPs.
    Execute {
        /// JUMPs on the way.
        jumps: Vec<Placed>,
        /// The instruction.
        placed: Placed,
    },
    /// All banks of one parity and the registers exchange data, after these JUMPs to an EXIT.
    Move {
        /// JUMPs on the way.
        jumps: Vec<Placed>,
    },
}

/// State: what the column commands of one rank depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RankProgram {
    sequencer: Sequencer,
    control: Control,
}

impl RankProgram {
    /// The control register.
    pub const fn control(&self) -> Control {
        self.control
    }

    /// What a column command does; `None` for other commands.
    ///
    /// # Errors
    /// [`Hbm2PimError`] for programs that cannot be.
    pub fn effect(&mut self, issued: &Issued, requests: &Requests) -> Result<Option<Effect>, Hbm2PimError> {
        let write = match issued.command {
            Command::Wr => true,
            Command::Rd => false,
            _ => return Ok(None),
        };
        if issued.mode == Mode::SingleBank {
            return Ok(Some(Effect::Access));
        }
        if is_memory(issued.row) {
            let mut jumps = Vec::new();
            let placed = if issued.mode == Mode::Pim { self.sequencer.step(&mut jumps)? } else { None };
            return Ok(Some(match placed {
                Some(placed) => Effect::Execute { jumps, placed },
                None => Effect::Move { jumps },
            }));
        }
        if issued.row != ROW_REGISTERS || !write {
            return Ok(Some(Effect::Access));
        }
        let payload = issued.request.and_then(|request| requests.runs.get(request.run as usize));
        let payload = payload.map_or(Payload::Data, |run| run.payload);
        let column = issued.column;
        let from = |first: u8| column - first;
        Ok(Some(match column {
            COLUMN_CONTROL if issued.bank == 0 => {
                if let Payload::Control(control) = payload {
                    self.control = control;
                    if issued.mode != Mode::Pim && issued.mode_after == Mode::Pim {
                        self.sequencer.restart();
                    }
                }
                Effect::Control(self.control)
            }
            COLUMN_SRF => Effect::Srf,
            COLUMN_CRF..COLUMN_GRF_A => {
                if let Payload::Crf(first) = payload {
                    let burst = usize::from(first) + usize::from(from(COLUMN_CRF));
                    let words = requests.crf.get(burst).unwrap_or(&[0; CRF_BURST]);
                    self.sequencer.write(usize::from(from(COLUMN_CRF)), words)?;
                }
                Effect::Crf(from(COLUMN_CRF))
            }
            COLUMN_GRF_A..0x10 => Effect::GrfA(from(COLUMN_GRF_A)),
            COLUMN_GRF_B..0x20 => Effect::GrfB(from(COLUMN_GRF_B)),
            _ => Effect::Access,
        }))
    }
}
