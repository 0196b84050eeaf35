//! The kernels: which requests a host sends to one channel.
//!
//! All kernels but those without PIM send the same requests to every channel.

use std::fmt;

use super::error::Hbm2PimError;
use super::isa::Arithmetic::{Add, Mac, Mul};
use super::isa::Operand::{EvenBank, GrfA, GrfB, OddBank};
use super::isa::{CRF_BURST, Instruction};
use super::mode::{
    COLUMN_CONTROL, COLUMN_CRF, COLUMN_GRF_A, COLUMN_MODE, Control, ROW_ALL_BANK, ROW_PARK, ROW_REGISTERS,
    ROW_SINGLE_BANK,
};
use super::request::{Label, Payload, Place, REGISTER_SPACE, Requests};
use crate::device::hbm2_pim::Hbm2Pim;

/// Outputs of a tile in one channel: 8 blocks x 8 registers.
const TILE_OUTPUTS: u64 = 64;
/// Inputs of a tile: 8 registers x 16 lanes.
const TILE_INPUTS: u64 = 128;
/// Columns that a tile takes in each bank of one parity.
const TILE_COLUMNS: u64 = 64;
/// Columns that one instruction works on.
const STEP: u64 = 8;
/// Bursts of an element-wise tile in one channel: 16 banks x 8 columns.
const ELEMENTWISE_TILE: u64 = 128;
/// The row of zeros with which `gemvtree` clears its registers.
const ZERO_ROW: u16 = 1_000;
/// Rows of the operands of element-wise kernels.
const ROWS_ELEMENTWISE: [u16; 3] = [0, 128, 256];
/// The most requests that a channel is sent in one kernel: sixty times the largest of the reference.
const MOST_REQUESTS: u128 = 1 << 24;

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Matrix times vector; each output is accumulated over all of its inputs.
    Gemv,
    /// Matrix times vector; a partial result for each 128 inputs, added by the host.
    GemvTree,
    /// Sum of two vectors.
    Add,
    /// Element-wise product of two vectors.
    Mul,
    /// Rectified linear unit of a vector.
    Relu,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Gemv, Self::GemvTree, Self::Add, Self::Mul, Self::Relu];

    /// Its name in the reference.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gemv => "gemv",
            Self::GemvTree => "gemvtree",
            Self::Add => "add",
            Self::Mul => "mul",
            Self::Relu => "relu",
        }
    }

    /// The operation of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }

    /// Whether it works on a matrix.
    pub const fn is_gemv(self) -> bool {
        matches!(self, Self::Gemv | Self::GemvTree)
    }
}

/// One run of a kernel on FP16 data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// What is computed.
    pub operation: Operation,
    /// In the PIM blocks, or else the host only reads the operands and writes the results.
    pub pim: bool,
    /// Rows of the matrix (M); elements of the vectors for element-wise kernels.
    pub outputs: u64,
    /// Columns of the matrix (K); not read for element-wise kernels.
    pub inputs: u64,
    /// Vectors, one after the other.
    pub batch: u64,
    /// Channels over which the data are spread.
    pub channels: u32,
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { outputs, inputs, batch, channels, .. } = self;
        let pim = if self.pim { "pim" } else { "nopim" };
        write!(f, "{} {pim} {outputs}x{inputs}, batch {batch}, {channels} channels", self.operation.name())
    }
}

/// The requests of some channels that are sent the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelClass {
    /// How many channels there are like this.
    pub channels: u64,
    /// The phases: the next begins when all channels have ended the one before.
    pub phases: Vec<Requests>,
}

impl Kernel {
    /// The most channels: a thousand stacks and more.
    pub const MOST_CHANNELS: u32 = 1 << 16;

    /// The requests, by classes of channels.
    ///
    /// # Errors
    /// [`Hbm2PimError::Dimension`] for dimensions that the kernel cannot have on this device.
    pub fn classes(&self, device: &Hbm2Pim) -> Result<Vec<ChannelClass>, Hbm2PimError> {
        let classes = match (self.pim, self.operation) {
            (false, _) => self.without_pim(device)?,
            (true, Operation::Gemv | Operation::GemvTree) => self.everywhere(self.gemv(device)?),
            (true, _) => self.everywhere(self.elementwise(device)?),
        };
        // To the PIM modes rows with the bit of the registers are no memory; to an ordinary host they are.
        let rows = device.organisation.rows.min(if self.pim { u32::from(REGISTER_SPACE) } else { u32::MAX });
        let rows = u64::from(rows);
        for requests in classes.iter().flat_map(|class| &class.phases) {
            if requests.highest_row(&device.organisation) >= rows {
                return Err(
                    self.too_large(&format!("the data need more than the {rows} rows that a bank has for them"))
                );
            }
        }
        Ok(classes)
    }

    fn everywhere(&self, requests: Requests) -> Vec<ChannelClass> {
        vec![ChannelClass { channels: u64::from(self.channels), phases: vec![requests] }]
    }

    fn too_large(&self, problem: &str) -> Hbm2PimError {
        Hbm2PimError::Dimension { dimension: "out_dim", value: self.outputs, problem: problem.to_owned() }
    }

    /// Checks that a dimension is a multiple of `unit`, and not zero.
    fn multiple(dimension: &'static str, value: u64, unit: u64) -> Result<u64, Hbm2PimError> {
        let wrong = |problem: String| Err(Hbm2PimError::Dimension { dimension, value, problem });
        match value {
            0 => wrong("must be at least 1".to_owned()),
            _ if !value.is_multiple_of(unit) => wrong(format!("must be a multiple of {unit}, a burst of FP16")),
            _ => Ok(value),
        }
    }

    /// What every kernel has: channels and batch, neither zero.
    fn common(&self) -> Result<(u64, u64), Hbm2PimError> {
        let channels = Self::multiple("channels", u64::from(self.channels), 1)?;
        if self.channels > Self::MOST_CHANNELS {
            let problem = format!("at most {}", Self::MOST_CHANNELS);
            return Err(Hbm2PimError::Dimension { dimension: "channels", value: channels, problem });
        }
        let batch = Self::multiple("batch", self.batch, 1)?;
        if !self.operation.is_gemv() && batch != 1 {
            let problem = "element-wise kernels have no batch: must be 1".to_owned();
            return Err(Hbm2PimError::Dimension { dimension: "batch", value: batch, problem });
        }
        Ok((channels, batch))
    }

    /// Refuses what would only fill the machine's memory with requests.
    fn limit(&self, requests: u128) -> Result<(), Hbm2PimError> {
        if requests > MOST_REQUESTS {
            let problem = format!("that is {requests} requests to a channel, more than {MOST_REQUESTS}");
            return Err(self.too_large(&problem));
        }
        Ok(())
    }

    /// Reads of all operands, then writes of all results, spread over the channels burst by burst.
    fn without_pim(&self, device: &Hbm2Pim) -> Result<Vec<ChannelClass>, Hbm2PimError> {
        let (channels, batch) = self.common()?;
        let lanes = u64::from(device.lanes.max(1));
        let operands = match self.operation {
            Operation::Relu => 1,
            _ => 2,
        };
        let (reads, writes) = if self.operation.is_gemv() {
            let bursts = Self::multiple("in_dim", self.inputs, lanes)? / lanes;
            let outputs = u128::from(Self::multiple("out_dim", self.outputs, lanes)?);
            (u128::from(bursts) * (outputs + u128::from(batch)), outputs / u128::from(lanes) * u128::from(batch))
        } else {
            let bursts = u128::from(Self::multiple("out_dim", self.outputs, lanes)? / lanes);
            (bursts * operands, bursts)
        };
        let all = reads + writes;
        self.limit(all.div_ceil(u128::from(channels)))?;
        let (reads, all) = (reads as u64, all as u64);

        // Channel c gets burst i where i mod channels = c: of the first n bursts, those up to (n - c) / channels.
        let until = |bursts: u64, channel: u64| (bursts + channels - 1 - channel) / channels;
        let mut classes: Vec<(u64, [u64; 2])> = Vec::new();
        for channel in 0..channels {
            let ends = [until(reads, channel), until(all, channel)];
            match classes.iter_mut().find(|(_, known)| *known == ends) {
                Some((count, _)) => *count += 1,
                None => classes.push((1, ends)),
            }
        }
        let phases = |[read, end]: [u64; 2]| {
            let mut phases = vec![Requests::default(), Requests::default()];
            phases[0].push(Place::Linear(0), read, false, Payload::Data, Label::None);
            phases[1].push(Place::Linear(read), end - read, true, Payload::Data, Label::None);
            phases
        };
        Ok(classes.into_iter().map(|(channels, ends)| ChannelClass { channels, phases: phases(ends) }).collect())
    }

    /// All inputs of a tile of outputs, then its results, for one tile after the other.
    fn gemv(&self, device: &Hbm2Pim) -> Result<Requests, Hbm2PimError> {
        let (channels, batch) = self.common()?;
        let lanes = u64::from(device.lanes.max(1));
        let input_tiles = Self::multiple("in_dim", self.inputs, lanes)?.div_ceil(TILE_INPUTS);
        let output_tiles = Self::multiple("out_dim", self.outputs, 1)?.div_ceil(TILE_OUTPUTS * channels);
        let tiles = u128::from(input_tiles) * u128::from(output_tiles);
        let each = (tiles * 9 + u128::from(output_tiles) * 2) * u128::from(STEP);
        self.limit(each.saturating_mul(u128::from(batch)))?;
        let tree = self.operation == Operation::GemvTree;

        let mut requests = Requests::default();
        if tree {
            for bank in 0..device.organisation.banks_per_rank() as u8 {
                requests.write(bank, ZERO_ROW, 0, STEP, Label::None);
            }
        }
        park(&mut requests, device, [Label::StartParkIn, Label::ParkIn, Label::EndParkIn]);
        to_all_bank(&mut requests);
        let mac = |bank| Instruction::auto(Mac, GrfB, GrfA, bank);
        let nop = Instruction::nop(STEP as u16);
        if tree {
            let clear = Instruction::auto(Mul, GrfB, GrfB, EvenBank);
            let mut program = Vec::new();
            for bank in [EvenBank, OddBank] {
                program.extend([mac(bank), Instruction::jump(STEP, 2), nop, clear]);
            }
            if input_tiles > 2 {
                program.push(Instruction::jump(input_tiles.div_ceil(2), 9));
            }
            program.push(Instruction::Exit);
            load(&mut requests, &program);
        } else {
            // Without an odd tile the count is -1: the loop would go on, but nothing is left to be read.
            let (even, odd) = (STEP * input_tiles.div_ceil(2), STEP * (input_tiles / 2));
            load(
                &mut requests,
                &[
                    mac(EvenBank),
                    Instruction::jump(even, 2),
                    mac(OddBank),
                    Instruction::jump(odd, 2),
                    nop,
                    Instruction::Exit,
                ],
            );
        }
        let results = TILE_COLUMNS * (tiles as u64 / 2);
        for output_tile in 0..output_tiles {
            for vector in 0..batch {
                let result = results + STEP * (output_tile + vector);
                set_mode(&mut requests, Control { pim: true, zero_b: true, ..Control::default() });
                if tree {
                    for tile in 0..input_tiles {
                        tile_of(&mut requests, tile, output_tile, input_tiles);
                        requests.write(1, 0, result + STEP * tile, STEP, Label::Result);
                        requests.barrier();
                        requests.read(0, ZERO_ROW, 0, STEP, Label::ResetGrf);
                        requests.barrier();
                    }
                } else {
                    // All even tiles, then all odd ones: the program changes the bank once.
                    for tile in (0..input_tiles).step_by(2).chain((1..input_tiles).step_by(2)) {
                        tile_of(&mut requests, tile, output_tile, input_tiles);
                    }
                    requests.write(1, 0, result, STEP, Label::Result);
                    requests.barrier();
                }
                set_mode(&mut requests, Control::default());
            }
        }
        to_single_bank(&mut requests);
        park(&mut requests, device, [Label::StartParkOut, Label::ParkOut, Label::EndParkOut]);
        Ok(requests)
    }

    /// Operands and result of a tile, first of the even banks and then of the odd ones.
    fn elementwise(&self, device: &Hbm2Pim) -> Result<Requests, Hbm2PimError> {
        let (channels, _) = self.common()?;
        let lanes = u64::from(device.lanes.max(1));
        let tiles = Self::multiple("out_dim", self.outputs, lanes)? / lanes / ELEMENTWISE_TILE / channels;
        if tiles == 0 {
            let problem = format!(
                "must be at least {}: a tile is {ELEMENTWISE_TILE} bursts in each channel",
                u128::from(lanes * ELEMENTWISE_TILE) * u128::from(channels)
            );
            return Err(Hbm2PimError::Dimension { dimension: "out_dim", value: self.outputs, problem });
        }
        self.limit(u128::from(tiles) * 6 * u128::from(STEP))?;
        let [first, second, result] = ROWS_ELEMENTWISE;
        let (compute, label) = match self.operation {
            Operation::Mul => (Some(Mul), "MUL"),
            Operation::Relu => (None, ""),
            _ => (Some(Add), "ADD"),
        };

        let mut program = Vec::new();
        let nop = Instruction::nop(STEP as u16);
        for (register, bank) in [(GrfA, EvenBank), (GrfB, OddBank)] {
            program.push(Instruction::fill(register, bank, compute.is_none()));
            program.extend(compute.map(|compute| Instruction::auto(compute, register, register, bank)));
            program.push(nop);
        }
        if tiles > 1 {
            program.push(Instruction::jump(tiles, program.len() as u16 + 1));
        }
        program.push(Instruction::Exit);

        let mut requests = Requests::default();
        park(&mut requests, device, [Label::StartParkIn, Label::ParkIn, Label::EndParkIn]);
        to_all_bank(&mut requests);
        load(&mut requests, &program);
        set_mode(&mut requests, Control { pim: true, ..Control::default() });
        for tile in 0..tiles {
            for bank in [0, 1] {
                requests.read(bank, first, STEP * tile, STEP, Label::Operand);
                requests.barrier();
                if compute.is_some() {
                    requests.read(bank, second, STEP * tile, STEP, Label::Compute(label));
                    requests.barrier();
                }
                requests.write(bank, result, STEP * tile, STEP, Label::Store);
                requests.barrier();
            }
        }
        set_mode(&mut requests, Control::default());
        to_single_bank(&mut requests);
        park(&mut requests, device, [Label::StartParkOut, Label::ParkOut, Label::EndParkOut]);
        Ok(requests)
    }
}

/// The inputs of a tile into the registers, then its weights through the multipliers.
fn tile_of(requests: &mut Requests, tile: u64, output_tile: u64, input_tiles: u64) {
    requests.write(1, ROW_REGISTERS, u64::from(COLUMN_GRF_A), STEP, Label::Vector);
    requests.barrier();
    let base = TILE_COLUMNS * (tile / 2 + output_tile * input_tiles / 2);
    for column in (0..TILE_COLUMNS).step_by(STEP as usize) {
        requests.read((tile % 2) as u8, 0, base + column, STEP, Label::Mac);
    }
    requests.barrier();
}

/// Reads one burst of every bank in a row that is no memory, bank groups in turn. Whatever is queued before is a group
/// of its own.
fn park(requests: &mut Requests, device: &Hbm2Pim, [first, middle, last]: [Label; 3]) {
    requests.barrier();
    let (bank_groups, banks) = (device.organisation.bank_groups as u8, device.organisation.banks as u8);
    for bank in 0..banks {
        for bank_group in 0..bank_groups {
            let label = match (bank, bank_group) {
                (0, 0) => first,
                _ if (bank + 1, bank_group + 1) == (banks, bank_groups) => last,
                _ => middle,
            };
            requests.read(bank_group * banks + bank, ROW_PARK, 0, 1, label);
        }
    }
    requests.barrier();
}

fn to_all_bank(requests: &mut Requests) {
    for (bank, label) in [(0, Label::StartToHab), (1, Label::None), (8, Label::None), (9, Label::EndToHab)] {
        requests.write(bank, ROW_ALL_BANK, u64::from(COLUMN_MODE), 1, label);
    }
    requests.barrier();
}

fn to_single_bank(requests: &mut Requests) {
    for (bank, label) in [(0, Label::StartToSb), (1, Label::EndToSb)] {
        requests.write(bank, ROW_SINGLE_BANK, u64::from(COLUMN_MODE), 1, label);
    }
    requests.barrier();
}

fn set_mode(requests: &mut Requests, control: Control) {
    let place = Place::Columns { bank: 0, row: ROW_REGISTERS, column: u64::from(COLUMN_CONTROL) };
    requests.push(place, 1, true, Payload::Control(control), Label::Pim);
    requests.barrier();
}

/// Writes a program; what is left of its last burst is NOP.
fn load(requests: &mut Requests, program: &[Instruction]) {
    let first = requests.crf.len();
    for instructions in program.chunks(CRF_BURST) {
        let mut words = [Instruction::nop(1).encode(); CRF_BURST];
        for (word, instruction) in words.iter_mut().zip(instructions) {
            *word = instruction.encode();
        }
        requests.crf.push(words);
    }
    let place = Place::Columns { bank: 1, row: ROW_REGISTERS, column: u64::from(COLUMN_CRF) };
    let bursts = (requests.crf.len() - first) as u64;
    requests.push(place, bursts, true, Payload::Crf(first as u16), Label::ProgramCrf);
    requests.barrier();
}
