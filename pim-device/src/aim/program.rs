//! What the dispatcher sends: ordered commands, ordinary accesses and barriers.

use crate::command::Command;

/// A row of neighbouring channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// The first.
    pub first: u8,
    /// How many.
    pub count: u8,
}

/// One command, sent to all channels of a row at once and executed by each in the order of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ordered {
    /// MACAB, EWMUL, AF, RDCP, WRCP, WRGB, RDMAC, RDAF, WRMAC or WRAB. The controller adds activation, precharge and mode
    /// switches.
    pub command: Command,
    /// How often, one column after the other. RDMAC and RDAF hold the dispatcher until their data has come.
    pub columns: u32,
    /// The first column: of the row, or of the global buffer for WRGB. Nothing depends on it but a trace.
    pub column: u32,
    /// To whom.
    pub channels: Channels,
    /// The bank of RDCP and WRCP.
    pub bank: u8,
    /// The row, where the command needs one.
    pub row: u32,
}

/// One bank of one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Channel.
    pub channel: u8,
    /// Bank of the channel.
    pub bank: u8,
}

/// Ordinary reads or writes of granules of one row, from its first column on: `columns` times one of each target, in turn. Each is a
/// dispatch of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accesses {
    /// Writes rather than reads.
    pub write: bool,
    /// The row.
    pub row: u32,
    /// How often the targets are gone through.
    pub columns: u32,
    /// Whom.
    pub targets: Vec<Target>,
}

/// An instruction of the dispatcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// A command to several channels.
    Ordered(Ordered),
    /// Ordinary accesses.
    Access(Accesses),
    /// Work of a unit outside the channels: takes the dispatcher a cycle.
    Elsewhere,
    /// Wait until all channels have done everything.
    Barrier,
}

/// A program for the channels of one device. It ends with a barrier of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AimProgram {
    instructions: Vec<Instruction>,
    /// Names of parts, with the instruction at which each begins.
    phases: Vec<(&'static str, usize)>,
}

impl AimProgram {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is added from now on belongs to the phase `name`.
    pub fn phase(&mut self, name: &'static str) {
        self.phases.push((name, self.instructions.len()));
    }

    /// Adds an instruction.
    pub fn push(&mut self, instruction: Instruction) {
        self.instructions.push(instruction);
    }

    /// The instructions.
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// Names of parts, with the instruction at which each begins.
    pub fn phases(&self) -> &[(&'static str, usize)] {
        &self.phases
    }
}
