//! A PIM program: two in-order streams of instructions with loops, bound to each other by tokens.
//!
//! The *row stream* opens and closes rows, issues MACs, ordinary commands and mode switches. The *move stream* moves
//! data between the buffer die and the banks and starts softmax. Each stream is in order; between them a
//! [`Instruction::Post`] of one lets a [`Instruction::Wait`] of the other go on, first in first out per token. A move
//! and a mode switch or an ordinary write must be kept apart by tokens: the streams are timed against each other only
//! through tokens and the command bus.

use crate::command::{Address, Command, CommandCounts};
use crate::device::{DeviceSpec, PeLevel};
use crate::error::ProgramError;

/// A first-in-first-out line of events from one stream to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u8);

/// How many tokens a program can use.
pub const TOKENS: usize = 8;
/// How deep loops nest.
pub const DEPTH: usize = 8;

/// Commands that bring a granule of each open bank to its PE.
const READING: [Command; 5] = [Command::MacAb, Command::MacSb, Command::MacPb, Command::Ret, Command::RdReg];

/// One instruction of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// Row stream: sets the row register.
    Row(u32),
    /// Row stream: adds to the row register.
    Step(i32),
    /// Row stream: activates this row in all banks; the register stays.
    OpenAt(u32),
    /// Row stream: activates the row in the row register in a set of banks (ACTAB, ACTSB or ACTPB). With the last set
    /// the register counts up.
    Open(u8),
    /// Row stream: `count` MACs on open rows, each for `queries` queries at once.
    Mac {
        /// The first set.
        set: u8,
        /// How many sets, from `set` on, take them in turn.
        sets: u8,
        /// How many commands.
        count: u32,
        /// How many queries one command serves.
        queries: u32,
    },
    /// Row stream: `count` RET, RDREG or WRREG on the open row of all banks.
    Column {
        /// Which.
        command: Command,
        /// How many.
        count: u32,
        /// For how many queries one command multiplies; 0 where it does not.
        queries: u32,
    },
    /// Row stream: precharges a set of banks (PREA, PRESB or PREPB).
    Close(u8),
    /// Row stream: PREA, whatever is open.
    CloseAll,
    /// Row stream: SETM. Right after a precharge both count as the mode switch.
    Mode,
    /// Row stream: one ordinary command, ACT, RD, WR or PRE.
    Ordinary(Command, Address),
    /// Row stream: the same in the row of the row register, so that a loop can go over rows.
    OrdinaryInRow(Command, Address),
    /// Move stream: `count` MVSB, MVSUM or MVGB over the ranks and bank groups in turn, or `count` WRGB or MVBC.
    Move {
        /// Which.
        command: Command,
        /// How many.
        count: u32,
    },
    /// Move stream: SFM over so many elements.
    Softmax {
        /// Elements, over all queries that are served at once.
        elements: u64,
    },
    /// Move stream: BPE. So many operations of the BufferPE, which begin when what was moved before has arrived.
    Buffer {
        /// Additions, minima or reciprocals, over all units that are served at once.
        operations: u64,
    },
    /// Both: tells the other stream that the result of the last command is there.
    Post(Token),
    /// Both: tells the other stream that the last command was issued, so that what it took its data from is free.
    Free(Token),
    /// Both: waits for the oldest post that was not yet waited for.
    Wait(Token),
    /// Both: the next `length` instructions, `times` times.
    Loop {
        /// How often.
        times: u32,
        /// How many instructions follow that belong to the loop.
        length: u32,
    },
}

/// A program for one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    row_stream: Vec<Instruction>,
    move_stream: Vec<Instruction>,
    commands: CommandCounts,
    bytes_read: u64,
    operations: u64,
}

impl Program {
    /// A program of two streams, checked: loops end inside their stream and do not nest deeper than [`DEPTH`], every
    /// instruction is in a stream that can do it, tokens exist and are waited for as often as they are posted.
    ///
    /// # Errors
    /// What is wrong, and at which instruction.
    pub fn new(
        device: &DeviceSpec,
        row_stream: Vec<Instruction>,
        move_stream: Vec<Instruction>,
    ) -> Result<Self, ProgramError> {
        let mut balance = [0_i128; TOKENS];
        let sets = device.pe.sets(&device.organisation).len();
        check("row", &row_stream, &mut balance, |instruction| match instruction {
            Instruction::Move { .. } | Instruction::Softmax { .. } | Instruction::Buffer { .. } => false,
            Instruction::OpenAt(_) => device.pe == PeLevel::Bank,
            Instruction::Column { command, .. } => {
                device.pq.is_some()
                    && device.pe == PeLevel::Bank
                    && matches!(command, Command::Ret | Command::RdReg | Command::WrReg)
            }
            Instruction::Ordinary(command, _) | Instruction::OrdinaryInRow(command, _) => {
                matches!(command, Command::Act | Command::Rd | Command::Wr | Command::Pre)
            }
            Instruction::Open(set) | Instruction::Close(set) => usize::from(*set) < sets,
            Instruction::Mac { set, sets: more, .. } => *more > 0 && usize::from(*set) + usize::from(*more) <= sets,
            _ => true,
        })?;
        check("move", &move_stream, &mut balance, |instruction| match instruction {
            Instruction::Move { command, .. } => match command {
                Command::WrGb | Command::MvSb | Command::MvGb => true,
                Command::MvSum | Command::MvBc => device.pq.is_some(),
                _ => false,
            },
            Instruction::Buffer { .. } => device.pq.is_some(),
            Instruction::Softmax { .. }
            | Instruction::Post(_)
            | Instruction::Free(_)
            | Instruction::Wait(_)
            | Instruction::Loop { .. } => true,
            _ => false,
        })?;
        if let Some(token) = balance.iter().position(|&balance| balance != 0) {
            return Err(ProgramError::UnbalancedToken { token });
        }
        Ok(Self::assembled(device, row_stream, move_stream))
    }

    /// A program that its builder knows to be sound.
    pub(crate) fn assembled(device: &DeviceSpec, row_stream: Vec<Instruction>, move_stream: Vec<Instruction>) -> Self {
        let mut commands = count(device, &row_stream);
        commands += count(device, &move_stream);
        Self {
            bytes_read: READING.iter().map(|&command| commands[command]).sum::<u64>() * device.mac_bytes().0,
            operations: commands.mac_queries * device.operations_per_mac(),
            row_stream,
            move_stream,
            commands,
        }
    }

    /// The row stream.
    pub fn row_stream(&self) -> &[Instruction] {
        &self.row_stream
    }

    /// The move stream.
    pub fn move_stream(&self) -> &[Instruction] {
        &self.move_stream
    }

    /// How long the BufferPE works on what the program's BPE commands bring it, in channel clocks.
    pub fn buffer_cycles(&self, device: &DeviceSpec) -> u64 {
        let mut cycles = 0;
        let _ = walk(&self.move_stream, |_, instruction, times, _| {
            if let Instruction::Buffer { operations } = instruction {
                cycles += times * device.buffer_cycles(operations).0;
            }
        });
        cycles
    }

    /// Bytes that its MACs, look-ups and reads into registers take from the banks of one channel.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Arithmetic operations of its MACs and multiplying look-ups on one channel; a multiply-add counts as two.
    pub fn operations(&self) -> u64 {
        self.operations
    }

    /// The commands that it issues on one channel, refreshes left out.
    pub fn commands(&self) -> CommandCounts {
        self.commands
    }
}

/// Walks through a stream with how often each instruction is done.
fn walk(stream: &[Instruction], mut visit: impl FnMut(usize, Instruction, u64, usize)) -> Result<(), usize> {
    // (end of the loop, times of what is inside): the innermost one, and those around it.
    let (mut end, mut times) = (stream.len(), 1_u64);
    let mut around: Vec<(usize, u64)> = Vec::new();
    for (place, &instruction) in stream.iter().enumerate() {
        while end <= place
            && let Some(outer) = around.pop()
        {
            (end, times) = outer;
        }
        visit(place, instruction, times, around.len());
        if let Instruction::Loop { times: more, length } = instruction {
            let inner = place + 1 + length as usize;
            if inner > end {
                return Err(place);
            }
            around.push((end, times));
            (end, times) = (inner, times.saturating_mul(u64::from(more)));
        }
    }
    Ok(())
}

fn check(
    stream: &'static str,
    instructions: &[Instruction],
    balance: &mut [i128; TOKENS],
    fits: impl Fn(&Instruction) -> bool,
) -> Result<(), ProgramError> {
    let mut wrong = None;
    walk(instructions, |place, instruction, times, depth| {
        let token = |token: Token| usize::from(token.0) < TOKENS;
        let sound = fits(&instruction)
            && match instruction {
                Instruction::Post(name) | Instruction::Free(name) | Instruction::Wait(name) => token(name),
                Instruction::Loop { .. } => depth < DEPTH,
                _ => true,
            };
        if !sound {
            wrong.get_or_insert(place);
            return;
        }
        match instruction {
            Instruction::Post(Token(name)) | Instruction::Free(Token(name)) => {
                balance[usize::from(name)] += i128::from(times);
            }
            Instruction::Wait(Token(name)) => balance[usize::from(name)] -= i128::from(times),
            _ => {}
        }
    })
    .map_err(|place| ProgramError::LoopPastEnd { stream, place })?;
    match wrong {
        None => Ok(()),
        Some(place) => {
            Err(ProgramError::Misplaced { stream, place, instruction: format!("{:?}", instructions[place]) })
        }
    }
}

/// Counts the commands of a stream without executing it.
fn count(device: &DeviceSpec, stream: &[Instruction]) -> CommandCounts {
    let mut commands = CommandCounts::default();
    let of = device.pe.commands();
    // A loop past the end counts what there is; `new` refuses it.
    let _ = walk(stream, |_, instruction, times, _| match instruction {
        Instruction::Open(_) | Instruction::OpenAt(_) => commands[of.activate] += times,
        Instruction::Close(_) => commands[of.precharge] += times,
        Instruction::CloseAll => commands[Command::PreA] += times,
        Instruction::Mode => commands[Command::SetM] += times,
        Instruction::Softmax { .. } => commands[Command::Sfm] += times,
        Instruction::Buffer { .. } => commands[Command::Bpe] += times,
        Instruction::Column { command, count, queries } => {
            commands[command] += times * u64::from(count);
            commands.mac_queries += times * u64::from(count) * u64::from(queries);
        }
        Instruction::Ordinary(command, _) | Instruction::OrdinaryInRow(command, _) => commands[command] += times,
        Instruction::Move { command, count } => commands[command] += times * u64::from(count),
        Instruction::Mac { count, queries, .. } => {
            commands[of.mac] += times * u64::from(count);
            commands.mac_queries += times * u64::from(count) * u64::from(queries);
        }
        Instruction::Row(_)
        | Instruction::Step(_)
        | Instruction::Post(_)
        | Instruction::Free(_)
        | Instruction::Wait(_)
        | Instruction::Loop { .. } => {}
    });
    commands
}
