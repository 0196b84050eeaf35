//! A matrix that stays in the banks, times a vector, on one channel.
//!
//! ```text
//! rows   PREA SETM | MACs over all rows of the matrix                  | SETM
//! moves            x broadcast | results of 16 outputs per partition ... |
//! ```
//! The matrix lies as K does in attention: an output is a token, its inputs are the head dimension, see
//! [`Layout`]. Several channels split the outputs: each has the part of [`Gemv::part`] and gets all of the vector. Results end on
//! the buffer die; what fetches them from there pays for the external interface.
//!
//! Assumption: the GEMV buffers hold the whole vector.

use super::rows::{Rows, repeat};
use crate::command::Command;
use crate::device::DeviceSpec;
use crate::program::{Instruction, Program, Token};
use crate::stack::Layout;

/// The part of a matrix that lies in one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gemv {
    /// Rows of the matrix: elements of the result.
    pub outputs: u64,
    /// Columns of the matrix: elements of the vector.
    pub inputs: u32,
    /// Its first row of all banks.
    pub first_row: u32,
}

impl Gemv {
    /// The part of channel number `channel` of `channels`: neighbouring outputs go to one channel, the first channels have
    /// one more where they do not divide.
    #[must_use]
    pub fn part(self, channel: u32, channels: u32) -> Self {
        let channels = u64::from(channels.max(1));
        let more = u64::from(u64::from(channel) < self.outputs % channels);
        Self { outputs: self.outputs / channels + more, ..self }
    }

    /// Rows of all banks that it takes, padding included.
    pub fn rows(&self, device: &DeviceSpec) -> u64 {
        Layout::new(device, self.outputs, self.inputs).rows()
    }
}

/// The channel is in PIM mode.
const MODE: Token = Token(0);
/// The vector is in the GEMV buffers.
const VECTOR: Token = Token(1);
/// More results are made.
const RESULTS: Token = Token(2);
/// All results have left the banks.
const OUTPUT: Token = Token(3);

/// The program of one product; empty where there is nothing to multiply.
///
/// ```
/// use pim_device::{Command, DeviceSpec, kernel::gemv::{Gemv, gemv}};
/// let device = DeviceSpec::hbm3_pim_bank();
/// // A 4096 x 4096 matrix over 16 channels: 256 x 4096 x 2 B are 32 rows of 64 KiB.
/// let matrix = Gemv { outputs: 4_096, inputs: 4_096, first_row: 0 };
/// assert_eq!(gemv(&device, &matrix.part(0, 16)).commands()[Command::ActAb], 32);
/// ```
pub fn gemv(device: &DeviceSpec, matrix: &Gemv) -> Program {
    let layout = Layout::new(device, matrix.outputs, matrix.inputs);
    if layout.macs() == 0 {
        return Program::default();
    }
    let organisation = &device.organisation;
    let granule = u64::from(device.elements_per_granule());
    let mut rows = Rows::new(device);
    rows.code.extend([Instruction::CloseAll, Instruction::Mode, Instruction::Post(MODE), Instruction::Wait(VECTOR)]);
    rows.pass(u64::from(matrix.first_row), layout.macs(), granule * u64::from(layout.chunks), 1, RESULTS);
    rows.code.extend([Instruction::Wait(OUTPUT), Instruction::Mode]);

    let vector = device.pe.banks_per_token(organisation) * layout.chunks;
    let round = device.pe.partitions(organisation) / organisation.pseudo_channels.max(1);
    let mut moves = vec![
        Instruction::Wait(MODE),
        Instruction::Move { command: Command::WrGb, count: vector },
        Instruction::Post(VECTOR),
    ];
    let take = [Instruction::Wait(RESULTS), Instruction::Move { command: Command::MvSb, count: round }];
    repeat(&mut moves, layout.tokens.div_ceil(granule), &take);
    moves.push(Instruction::Post(OUTPUT));
    Program::assembled(device, rows.code, moves)
}
