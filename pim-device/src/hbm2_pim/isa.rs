//! The instructions of a PIM block: 32 bits each, 32 of them in the command register file (CRF) of a rank.
//!
//! Fields: opcode 31:28, destination 27:25, sources 24:22, 21:19 and 18:16, `auto` 15, `relu` 12, register numbers 11:8,
//! 7:4 and 3:0. NOP has its count in 10:0; JUMP its count in 27:11 and its offset in 10:0.

use std::fmt;

/// Instructions of the CRF, and of one burst that writes it.
pub const CRF_ENTRIES: usize = 32;
/// Instructions in one 32-byte burst.
pub const CRF_BURST: usize = 8;

/// What an instruction reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Operand {
    /// Output of the adders.
    AOut,
    /// Output of the multipliers.
    MOut,
    /// The block's even bank.
    EvenBank,
    /// The block's odd bank.
    OddBank,
    /// General registers A.
    GrfA,
    /// General registers B.
    GrfB,
    /// Scalar registers for multiplication.
    SrfM,
    /// Scalar registers for addition.
    SrfA,
}

impl Operand {
    const ALL: [Self; 8] =
        [Self::AOut, Self::MOut, Self::EvenBank, Self::OddBank, Self::GrfA, Self::GrfB, Self::SrfM, Self::SrfA];

    const fn from_code(code: u32) -> Self {
        Self::ALL[(code & 7) as usize]
    }

    /// Whether it is one of several registers, which a number tells apart.
    const fn numbered(self) -> bool {
        matches!(self, Self::GrfA | Self::GrfB | Self::SrfM | Self::SrfA)
    }

    /// Whether it is a bank.
    pub const fn is_bank(self) -> bool {
        matches!(self, Self::EvenBank | Self::OddBank)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::AOut => "A_OUT",
            Self::MOut => "M_OUT",
            Self::EvenBank => "EVEN_BANK",
            Self::OddBank => "ODD_BANK",
            Self::GrfA => "GRF_A",
            Self::GrfB => "GRF_B",
            Self::SrfM => "SRF_M",
            Self::SrfA => "SRF_A",
        }
    }
}

/// An operand and the number of its register; the number says nothing of banks and outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// Which.
    pub operand: Operand,
    /// Number, below 16.
    pub number: u8,
}

impl From<Operand> for Register {
    fn from(operand: Operand) -> Self {
        Self { operand, number: 0 }
    }
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operand.name())?;
        if self.operand.numbered() { write!(f, "[{}]", self.number) } else { Ok(()) }
    }
}

/// What the lanes compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// dst = src0 + src1.
    Add,
    /// dst = src0 x src1.
    Mul,
    /// dst = dst + src0 x src1.
    Mac,
    /// dst = src0 x src1 + src2.
    Mad,
}

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// Takes `extra` + 1 column commands and computes nothing; writes store registers to the banks.
    Nop {
        /// Column commands after the first, at most 2,047.
        extra: u16,
    },
    /// Goes back. Takes no column command.
    Jump {
        /// How often, 17 bits.
        count: u32,
        /// The target is this instruction's place - `offset` + 1.
        offset: u16,
    },
    /// From here on column commands move data between banks and registers.
    Exit,
    /// Computes.
    Compute {
        /// What.
        operation: Arithmetic,
        /// Where to.
        dst: Register,
        /// First operand.
        src0: Register,
        /// Second operand.
        src1: Register,
        /// What MAD adds. Its number is `src1`'s: the word has room for three.
        src2: Operand,
        /// Register numbers come from the column (and row), and the instruction takes eight column commands.
        auto: bool,
    },
    /// Moves.
    Move {
        /// FILL takes eight column commands, MOV one.
        fill: bool,
        /// Where to.
        dst: Register,
        /// Where from.
        src: Register,
        /// Negative lanes become 0.
        relu: bool,
        /// Register numbers come from the column.
        auto: bool,
    },
}

/// A word is no instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{word:#010x} is no PIM instruction: opcode {} is reserved", word >> 28)]
pub struct DecodeError {
    /// The word.
    pub word: u32,
}

const NOP: u32 = 0;
const ADD: u32 = 1;
const MUL: u32 = 2;
const MAC: u32 = 3;
const MAD: u32 = 4;
const MOV: u32 = 8;
const FILL: u32 = 9;
const JUMP: u32 = 14;
const EXIT: u32 = 15;

const JUMP_COUNT: u32 = (1 << 17) - 1;
const ELEVEN_BITS: u32 = (1 << 11) - 1;

impl Instruction {
    /// NOP for `commands` column commands (at least 1).
    pub const fn nop(commands: u16) -> Self {
        Self::Nop { extra: commands.saturating_sub(1) }
    }

    /// A jump back by `offset` - 1 instructions, so that what lies between is executed so many times: its count is one
    /// less. Counts have 17 bits, so that -1 becomes 131,071.
    pub const fn jump(times: u64, offset: u16) -> Self {
        Self::Jump { count: times.wrapping_sub(1) as u32 & JUMP_COUNT, offset }
    }

    /// dst = f(src0, src1), register numbers from the column.
    pub fn auto(operation: Arithmetic, dst: Operand, src0: Operand, src1: Operand) -> Self {
        let (dst, src0, src1) = (dst.into(), src0.into(), src1.into());
        Self::Compute { operation, dst, src0, src1, src2: Operand::AOut, auto: true }
    }

    /// FILL of registers.
    pub fn fill(dst: Operand, src: Operand, relu: bool) -> Self {
        Self::Move { fill: true, dst: dst.into(), src: src.into(), relu, auto: false }
    }

    /// Arithmetic of one lane for each column command: two operations of MAC and MAD, one of ADD, MUL and ReLU.
    pub const fn operations(&self) -> u64 {
        match self {
            Self::Compute { operation: Arithmetic::Mac | Arithmetic::Mad, .. } => 2,
            Self::Compute { .. } | Self::Move { relu: true, .. } => 1,
            Self::Nop { .. } | Self::Jump { .. } | Self::Exit | Self::Move { .. } => 0,
        }
    }

    /// How many column commands it takes before the next one's turn; 0 for those that take none.
    pub const fn commands(&self) -> u32 {
        match self {
            Self::Nop { extra } => *extra as u32 + 1,
            Self::Compute { auto: true, .. } | Self::Move { fill: true, .. } => 8,
            Self::Compute { .. } | Self::Move { .. } => 1,
            Self::Jump { .. } | Self::Exit => 0,
        }
    }

    /// Its 32 bits.
    pub const fn encode(&self) -> u32 {
        match *self {
            Self::Nop { extra } => NOP << 28 | (extra as u32 & ELEVEN_BITS),
            Self::Jump { count, offset } => JUMP << 28 | (count & JUMP_COUNT) << 11 | (offset as u32 & ELEVEN_BITS),
            Self::Exit => EXIT << 28,
            Self::Compute { operation, dst, src0, src1, src2, auto } => {
                let opcode = match operation {
                    Arithmetic::Add => ADD,
                    Arithmetic::Mul => MUL,
                    Arithmetic::Mac => MAC,
                    Arithmetic::Mad => MAD,
                };
                opcode << 28
                    | (dst.operand as u32) << 25
                    | (src0.operand as u32) << 22
                    | (src1.operand as u32) << 19
                    | (src2 as u32) << 16
                    | (auto as u32) << 15
                    | numbers(dst, src0)
                    | src1.number as u32 & 15
            }
            Self::Move { fill, dst, src, relu, auto } => {
                (if fill { FILL } else { MOV }) << 28
                    | (dst.operand as u32) << 25
                    | (src.operand as u32) << 22
                    | (auto as u32) << 15
                    | (relu as u32) << 12
                    | numbers(dst, src)
            }
        }
    }

    /// The instruction of a word.
    ///
    /// # Errors
    /// [`DecodeError`] for reserved opcodes.
    pub const fn decode(word: u32) -> Result<Self, DecodeError> {
        let dst = register(word >> 25, word >> 8);
        let src0 = register(word >> 22, word >> 4);
        let src1 = register(word >> 19, word);
        let auto = word >> 15 & 1 == 1;
        let operation = match word >> 28 {
            NOP => return Ok(Self::Nop { extra: (word & ELEVEN_BITS) as u16 }),
            JUMP => {
                return Ok(Self::Jump { count: word >> 11 & JUMP_COUNT, offset: (word & ELEVEN_BITS) as u16 });
            }
            EXIT => return Ok(Self::Exit),
            MOV | FILL => {
                let (fill, relu) = (word >> 28 == FILL, word >> 12 & 1 == 1);
                return Ok(Self::Move { fill, dst, src: src0, relu, auto });
            }
            ADD => Arithmetic::Add,
            MUL => Arithmetic::Mul,
            MAC => Arithmetic::Mac,
            MAD => Arithmetic::Mad,
            _ => return Err(DecodeError { word }),
        };
        Ok(Self::Compute { operation, dst, src0, src1, src2: Operand::from_code(word >> 16), auto })
    }
}

const fn numbers(dst: Register, src0: Register) -> u32 {
    (dst.number as u32 & 15) << 8 | (src0.number as u32 & 15) << 4
}

const fn register(code: u32, number: u32) -> Register {
    Register { operand: Operand::from_code(code), number: (number & 15) as u8 }
}

/// As the reference traces have it.
impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nop { extra } => write!(f, "NOP {}x", u32::from(*extra) + 1),
            Self::Jump { count, offset } => write!(f, "JUMP {count}x [PC - {offset}]"),
            Self::Exit => f.write_str("EXIT"),
            Self::Compute { operation, dst, src0, src1, src2, auto } => {
                let name = match operation {
                    Arithmetic::Add => "ADD",
                    Arithmetic::Mul => "MUL",
                    Arithmetic::Mac => "MAC",
                    Arithmetic::Mad => "MAD",
                };
                write!(f, "{name} {dst}, {src0}, {src1}")?;
                if *operation == Arithmetic::Mad {
                    write!(f, ", {}", Register { operand: *src2, number: src1.number })?;
                }
                f.write_str(if *auto { ", auto" } else { "" })
            }
            Self::Move { fill, dst, src, relu, auto } => {
                write!(f, "{} {dst}, {src}", if *fill { "FILL" } else { "MOV" })?;
                f.write_str(if *relu { ", relu" } else { "" })?;
                f.write_str(if *auto { ", auto" } else { "" })
            }
        }
    }
}
