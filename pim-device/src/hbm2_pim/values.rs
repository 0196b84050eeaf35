//! What the PIM blocks of a channel compute: registers and memory in FP16.
//!
//! Assumption: MAC and MAD round their product to FP16 before they add. The reference says nothing of values.

use std::collections::BTreeMap;

use super::channel::{Issued, Observer};
use super::effect::{Effect, RankProgram};
use super::error::Hbm2PimError;
use super::fp16;
use super::isa::{Arithmetic, Instruction, Operand, Register};
use super::mode::{Mode, is_memory};
use super::request::{Place, Requests};
use crate::command::Command;
use crate::device::hbm2_pim::Hbm2Pim;

/// A burst: 16 numbers of FP16.
pub type Burst = [u16; 16];

/// State: the registers of a PIM block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Block {
    grf_a: [Burst; 8],
    grf_b: [Burst; 8],
    /// Eight to multiply with, eight to add.
    srf: Burst,
    a_out: Burst,
    m_out: Burst,
}

#[derive(Clone, Debug)]
struct Rank {
    program: RankProgram,
    blocks: Vec<Block>,
    /// By bank, row and column; what was never written is 0.
    memory: BTreeMap<(u8, u16, u8), Burst>,
}

/// State: the values in one channel. Times do not depend on them.
#[derive(Clone, Debug)]
pub struct Values {
    ranks: Vec<Rank>,
    columns: u64,
    written: BTreeMap<u32, Vec<Burst>>,
}

impl Values {
    /// A channel in which everything is 0.
    pub fn new(device: &Hbm2Pim) -> Self {
        let blocks = vec![Block::default(); device.blocks() as usize];
        let rank = Rank { program: RankProgram::default(), blocks, memory: BTreeMap::new() };
        Self {
            ranks: vec![rank; device.organisation.ranks.max(1) as usize],
            columns: u64::from(device.organisation.columns),
            written: BTreeMap::new(),
        }
    }

    /// What the writes of run `run` of the requests carry, in order. Runs that are not named write zeros.
    pub fn provide(&mut self, run: u32, bursts: Vec<Burst>) {
        self.written.insert(run, bursts);
    }

    /// Puts a burst into rank 0 without a command.
    pub fn store(&mut self, bank: u8, row: u16, column: u8, burst: Burst) {
        self.ranks[0].memory.insert((bank, row, column), burst);
    }

    /// What is in rank 0.
    pub fn load(&self, bank: u8, row: u16, column: u8) -> Burst {
        self.ranks[0].memory.get(&(bank, row, column)).copied().unwrap_or_default()
    }

    /// What the write of a command carries.
    fn data(&self, issued: &Issued, requests: &Requests) -> Burst {
        let burst = || {
            let request = issued.request?;
            let Place::Columns { row, column, .. } = requests.runs.get(request.run as usize)?.place else {
                return None;
            };
            let place = |row: u16, column: u64| u64::from(row) * self.columns + column;
            let index = place(request.row, u64::from(request.column)).checked_sub(place(row, column))?;
            self.written.get(&request.run)?.get(usize::try_from(index).ok()?).copied()
        };
        burst().unwrap_or_default()
    }
}

impl Observer for Values {
    fn issued(&mut self, issued: &Issued, requests: &Requests) -> Result<(), Hbm2PimError> {
        let data = self.data(issued, requests);
        let rank = &mut self.ranks[usize::from(issued.rank)];
        let Some(effect) = rank.program.effect(issued, requests)? else {
            return Ok(());
        };
        let write = issued.command == Command::Wr;
        match effect {
            Effect::Access => {
                if write && issued.mode == Mode::SingleBank && is_memory(issued.row) {
                    rank.memory.insert((issued.bank, issued.row, issued.column), data);
                }
            }
            Effect::Crf(_) => {}
            Effect::GrfA(index) => rank.blocks.iter_mut().for_each(|block| block.grf_a[usize::from(index & 7)] = data),
            Effect::GrfB(index) => rank.blocks.iter_mut().for_each(|block| block.grf_b[usize::from(index & 7)] = data),
            Effect::Srf => rank.blocks.iter_mut().for_each(|block| block.srf = data),
            Effect::Control(control) => {
                for block in &mut rank.blocks {
                    if control.zero_a {
                        block.grf_a = [Burst::default(); 8];
                    }
                    if control.zero_b {
                        block.grf_b = [Burst::default(); 8];
                    }
                }
            }
            Effect::Execute { placed: (_, instruction), .. } => rank.execute(&instruction, issued, write)?,
            Effect::Move { .. } => rank.exchange(issued, write),
        }
        Ok(())
    }
}

impl Rank {
    /// A column command after EXIT or without a program: registers and banks of one parity exchange a burst.
    fn exchange(&mut self, issued: &Issued, write: bool) {
        let index = usize::from(issued.column & 7);
        let odd = issued.bank % 2;
        let use_a = if self.program.control().use_all_grf { issued.column & 8 == 0 } else { write && odd == 0 };
        for (block, bank) in self.blocks.iter_mut().zip((odd..).step_by(2)) {
            let register = if use_a { &mut block.grf_a[index] } else { &mut block.grf_b[index] };
            let place = (bank, issued.row, issued.column);
            if write {
                self.memory.insert(place, *register);
            } else {
                *register = self.memory.get(&place).copied().unwrap_or_default();
            }
        }
    }

    fn execute(&mut self, instruction: &Instruction, issued: &Issued, write: bool) -> Result<(), Hbm2PimError> {
        let (row, column) = (issued.row, issued.column);
        for (block, even) in self.blocks.iter_mut().zip((0..).step_by(2)) {
            let bank = |odd: u8| self.memory.get(&(even + odd, row, column)).copied().unwrap_or_default();
            match *instruction {
                Instruction::Nop { .. } if write => {
                    let odd = issued.bank % 2;
                    let index = usize::from(column & 7);
                    let register = if odd == 0 { block.grf_a[index] } else { block.grf_b[index] };
                    self.memory.insert((even + odd, row, column), register);
                }
                Instruction::Nop { .. } | Instruction::Jump { .. } | Instruction::Exit => {}
                Instruction::Compute { operation, dst, src0, src1, src2, auto } => {
                    // Number of a register: of the instruction, or of the column; MAC takes GRF_A by row and column.
                    let number = |register: Register| match register.operand {
                        _ if !auto => register.number,
                        Operand::GrfA if operation == Arithmetic::Mac => (row & 1) as u8 * 4 + (column >> 3 & 3),
                        _ => column & 7,
                    };
                    let read = |register: Register| block.read(register.operand, number(register), bank);
                    let (a, b) = (read(src0), read(src1));
                    let product = lanes(a, b, fp16::mul);
                    let result = match operation {
                        Arithmetic::Add => lanes(a, b, fp16::add),
                        Arithmetic::Mul => product,
                        Arithmetic::Mac => lanes(read(dst), product, fp16::add),
                        Arithmetic::Mad => {
                            lanes(product, read(Register { operand: src2, number: src1.number }), fp16::add)
                        }
                    };
                    let number = number(dst);
                    if operation != Arithmetic::Add {
                        block.m_out = product;
                    }
                    if operation != Arithmetic::Mul {
                        block.a_out = result;
                    }
                    block.write(dst.operand, number, result, instruction)?;
                }
                Instruction::Move { fill, dst, src, relu, auto } => {
                    let number = |register: Register| if fill || auto { column & 7 } else { register.number };
                    let mut burst = block.read(src.operand, number(src), bank);
                    if relu {
                        burst = burst.map(fp16::relu);
                    }
                    block.write(dst.operand, number(dst), burst, instruction)?;
                }
            }
        }
        Ok(())
    }
}

impl Block {
    fn read(&self, operand: Operand, number: u8, bank: impl Fn(u8) -> Burst) -> Burst {
        let index = usize::from(number & 7);
        match operand {
            Operand::AOut => self.a_out,
            Operand::MOut => self.m_out,
            Operand::EvenBank => bank(0),
            Operand::OddBank => bank(1),
            Operand::GrfA => self.grf_a[index],
            Operand::GrfB => self.grf_b[index],
            Operand::SrfM => [self.srf[index]; 16],
            Operand::SrfA => [self.srf[8 + index]; 16],
        }
    }

    fn write(
        &mut self,
        operand: Operand,
        number: u8,
        burst: Burst,
        instruction: &Instruction,
    ) -> Result<(), Hbm2PimError> {
        let index = usize::from(number & 7);
        match operand {
            Operand::GrfA => self.grf_a[index] = burst,
            Operand::GrfB => self.grf_b[index] = burst,
            Operand::AOut => self.a_out = burst,
            Operand::MOut => self.m_out = burst,
            Operand::SrfM => self.srf[index] = burst[0],
            Operand::SrfA => self.srf[8 + index] = burst[0],
            Operand::EvenBank | Operand::OddBank => {
                return Err(Hbm2PimError::MoveToBank { instruction: instruction.to_string() });
            }
        }
        Ok(())
    }
}

fn lanes(a: Burst, b: Burst, operation: impl Fn(u16, u16) -> u16) -> Burst {
    std::array::from_fn(|lane| operation(a[lane], b[lane]))
}
