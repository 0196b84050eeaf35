//! The program of a rank: its instructions, where it stands, and what a column command makes of it.
//!
//! All PIM blocks of a rank share one program counter, so they work in lock-step.

use super::error::Hbm2PimError;
use super::isa::{CRF_BURST, CRF_ENTRIES, Instruction};

/// State: the CRF and the program counter of a rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequencer {
    program: [Instruction; CRF_ENTRIES],
    counter: usize,
    /// Column commands that the present instruction has taken.
    taken: u32,
    /// The last JUMP that loaded its count, and what is left of it. There is one of each, and falling through a JUMP
    /// clears neither: a JUMP that is met again with no other in between falls through.
    last_jump: Option<usize>,
    remaining: u32,
    exited: bool,
}

impl Default for Sequencer {
    fn default() -> Self {
        Self {
            program: [Instruction::nop(1); CRF_ENTRIES],
            counter: 0,
            taken: 0,
            last_jump: None,
            remaining: 0,
            exited: false,
        }
    }
}

/// An instruction and its place in the CRF.
pub type Placed = (usize, Instruction);

impl Sequencer {
    /// Writes eight instructions, burst `burst` of the CRF (0 to 3).
    ///
    /// # Errors
    /// [`Hbm2PimError::Decode`] for words that are no instruction.
    pub fn write(&mut self, burst: usize, words: &[u32; CRF_BURST]) -> Result<(), Hbm2PimError> {
        for (place, word) in self.program.iter_mut().skip(burst * CRF_BURST).zip(words) {
            *place = Instruction::decode(*word)?;
        }
        Ok(())
    }

    /// Begins the program anew, as entering PIM mode does.
    pub fn restart(&mut self) {
        *self = Self { program: self.program, ..Self::default() };
    }

    /// Whether EXIT has been reached: column commands are plain moves then.
    pub const fn has_exited(&self) -> bool {
        self.exited
    }

    /// A column command: the instruction that it executes, `None` after EXIT. JUMPs on the way go to `jumps`.
    ///
    /// # Errors
    /// [`Hbm2PimError::Jump`] where JUMPs lead to no instruction.
    pub fn step(&mut self, jumps: &mut Vec<Placed>) -> Result<Option<Placed>, Hbm2PimError> {
        if self.exited {
            return Ok(None);
        }
        // Every JUMP loads its count once in a row, unless two take turns; then they never end.
        let mut patience = 2 * CRF_ENTRIES as u32 + self.remaining.min(1 << 17) + (1 << 17);
        let instruction = loop {
            // What is past the end is taken for EXIT (assumption; no kernel gets there).
            let Some(&instruction) = self.program.get(self.counter) else {
                self.exited = true;
                return Ok(None);
            };
            let Instruction::Jump { count, offset } = instruction else {
                break instruction;
            };
            let endless = Hbm2PimError::Jump { place: self.counter };
            patience = patience.checked_sub(1).ok_or(endless.clone())?;
            jumps.push((self.counter, instruction));
            if self.last_jump != Some(self.counter) && count > 0 {
                self.last_jump = Some(self.counter);
                self.remaining = count;
            }
            if self.remaining > 0 {
                self.remaining -= 1;
                self.counter = (self.counter + 1).checked_sub(usize::from(offset)).ok_or(endless)?;
            } else {
                self.counter += 1;
            }
        };
        if instruction == Instruction::Exit {
            self.exited = true;
            return Ok(None);
        }
        let placed = (self.counter, instruction);
        self.taken += 1;
        if self.taken >= instruction.commands() {
            self.taken = 0;
            self.counter += 1;
            self.exited = self.program.get(self.counter).is_none_or(|next| *next == Instruction::Exit);
        }
        Ok(Some(placed))
    }
}
