//! Builds both streams side by side. Each part of a program goes to both in the same order, so that neither waits for
//! what comes later in the other.

use super::layout::{Layout, Take};
use crate::command::Command;
use crate::kernel::rows::repeat;
use crate::program::{Instruction, Token};

/// The channel is in PIM mode.
pub(super) const MODE: Token = Token(0);
/// What the PEs multiply or write is in their buffers: a query, a new token, indices, weights.
pub(super) const OPERANDS: Token = Token(1);
/// A group of results is made.
pub(super) const RESULTS: Token = Token(2);
/// The registers of a group of results are free.
pub(super) const FREE: Token = Token(3);
/// The BufferPE is done with what comes next in the move stream.
pub(super) const BUFFER: Token = Token(4);
/// What one block multiplies by is in the PEs' buffers.
pub(super) const FACTORS: Token = Token(5);
/// The buffer of one block is free.
pub(super) const TAKEN: Token = Token(6);
/// Everything has left the banks.
pub(super) const OUTPUT: Token = Token(7);

/// Blocks whose factors a PE's buffer holds.
const FACTOR_BUFFERS: usize = 2;

/// A place in a bank: columns counted from row 0.
pub(super) type Column = u64;

/// Builds a program.
pub(super) struct Build<'l> {
    pub(super) layout: &'l Layout,
    pub(super) rows: Vec<Instruction>,
    pub(super) moves: Vec<Instruction>,
    /// The row that a part has opened by its number.
    open: Option<u64>,
}

impl<'l> Build<'l> {
    /// Switches to PIM mode; registers and buffers are free.
    pub(super) fn new(layout: &'l Layout) -> Self {
        let mut rows = vec![Instruction::CloseAll, Instruction::Mode, Instruction::Post(MODE)];
        rows.extend([Instruction::Post(TAKEN); FACTOR_BUFFERS]);
        let mut moves = vec![Instruction::Wait(MODE)];
        moves.extend(vec![Instruction::Post(FREE); layout.credits() as usize]);
        Self { layout, rows, moves, open: None }
    }

    /// Waits until everything has left, then switches back.
    pub(super) fn end(mut self) -> (Vec<Instruction>, Vec<Instruction>) {
        self.moves.extend([Instruction::Wait(TAKEN); FACTOR_BUFFERS]);
        self.moves.push(Instruction::Post(OUTPUT));
        self.rows.extend(vec![Instruction::Wait(FREE); self.layout.credits() as usize]);
        self.rows.extend([Instruction::Wait(OUTPUT), Instruction::Mode]);
        (self.rows, self.moves)
    }

    /// Has this row open and no other.
    pub(super) fn goto(&mut self, row: u64) {
        if self.open != Some(row) {
            self.close();
            self.rows.push(Instruction::OpenAt(row as u32));
            self.open = Some(row);
        }
    }

    pub(super) fn close(&mut self) {
        if self.open.take().is_some() {
            self.rows.push(Instruction::Close(0));
        }
    }

    /// `count` columns from `from` on with one command each, over as many rows as they are in; the last stays open.
    pub(super) fn columns(&mut self, command: Command, from: Column, count: u64, queries: u32) {
        let columns = u64::from(self.layout.columns);
        let (mut at, end) = (from, from + count);
        while at < end {
            self.goto(at / columns);
            let here = (columns - at % columns).min(end - at);
            self.column(command, here as u32, queries);
            at += here;
        }
    }

    /// Commands on the row that is open.
    pub(super) fn column(&mut self, command: Command, count: u32, queries: u32) {
        if count > 0 {
            self.rows.push(match command {
                Command::MacAb => Instruction::Mac { set: 0, sets: 1, count, queries },
                _ => Instruction::Column { command, count, queries },
            });
        }
    }

    /// The first column of a row.
    pub(super) fn column_of(&self, row: u64) -> Column {
        row * u64::from(self.layout.columns)
    }

    /// Moves `granules` granules from wherever `take` takes them.
    pub(super) fn take(&mut self, take: Take, granules: u32) {
        let Take { command, moves, places } = take;
        if moves.is_multiple_of(self.layout.round) && places == self.layout.round {
            self.moves.push(Instruction::Move { command, count: moves * granules });
            return;
        }
        for _ in 0..granules {
            let mut left = moves;
            while left > 0 {
                let count = left.min(places.max(1));
                self.moves.push(Instruction::Move { command, count });
                left -= count;
            }
        }
    }

    /// Waits for room for a group of results: the next command of the row stream may make it.
    pub(super) fn room(&mut self) {
        self.rows.push(Instruction::Wait(FREE));
    }

    /// A group of `granules` granules is made: it is taken to the buffer die.
    pub(super) fn made(&mut self, take: Take, granules: u32) {
        self.rows.push(Instruction::Post(RESULTS));
        self.moves.push(Instruction::Wait(RESULTS));
        self.take(take, granules);
        self.moves.push(Instruction::Free(FREE));
    }

    /// The BufferPE adds, or compares, what so many moves have brought.
    pub(super) fn buffer(&mut self, moves: u64) {
        let operations = self.layout.carried(moves);
        if operations > 0 {
            self.moves.push(Instruction::Buffer { operations });
        }
    }

    /// The move stream goes on when the BufferPE is done.
    pub(super) fn wait_for_buffer(&mut self) {
        self.moves.extend([Instruction::Post(BUFFER), Instruction::Wait(BUFFER)]);
    }

    /// `granules` granules for all PEs, one after the other; the row stream waits for them.
    pub(super) fn operands(&mut self, command: Command, granules: u32) {
        self.moves.extend([Instruction::Move { command, count: granules }, Instruction::Post(OPERANDS)]);
        self.rows.push(Instruction::Wait(OPERANDS));
    }

    /// Granules for each bank of `units` units; the row stream waits for them.
    pub(super) fn operands_of_banks(&mut self, units: u32, granules: u32) {
        self.give(self.layout.take_sides(units), granules);
        self.moves.push(Instruction::Post(OPERANDS));
        self.rows.push(Instruction::Wait(OPERANDS));
    }

    /// Moves granules of their own to all banks that others are taken from.
    fn give(&mut self, take: Take, granules: u32) {
        self.take(Take { command: Command::MvGb, ..take }, granules);
    }

    /// Factors of a block, the same for all banks of a unit; the row stream waits for them.
    pub(super) fn factors(&mut self, units: u32, granules: u32) {
        self.moves.push(Instruction::Wait(TAKEN));
        if self.layout.figures.broadcast {
            let count = granules * self.layout.side_by_side(units);
            self.moves.push(Instruction::Move { command: Command::MvBc, count });
        } else {
            self.give(self.layout.take_all(units), granules);
        }
        self.moves.push(Instruction::Post(FACTORS));
        self.rows.push(Instruction::Wait(FACTORS));
    }

    /// Factors of a block, others for each bank; the row stream waits for them.
    pub(super) fn factors_of_banks(&mut self, units: u32, granules: u32) {
        self.moves.push(Instruction::Wait(TAKEN));
        self.give(self.layout.take_sides(units), granules);
        self.moves.push(Instruction::Post(FACTORS));
        self.rows.push(Instruction::Wait(FACTORS));
    }

    /// The factors of a block were used.
    pub(super) fn used(&mut self) {
        self.rows.push(Instruction::Free(TAKEN));
    }

    /// `body` so often; it begins and ends with all rows closed. It is built once.
    pub(super) fn repeated(&mut self, times: u64, body: impl FnOnce(&mut Self)) {
        self.close();
        self.looped(times, |build| {
            body(build);
            build.close();
        });
    }

    /// `body` so often; it leaves open what it finds open. It is built once.
    pub(super) fn looped(&mut self, times: u64, body: impl FnOnce(&mut Self)) {
        if times == 0 {
            return;
        }
        let (rows, moves) = (std::mem::take(&mut self.rows), std::mem::take(&mut self.moves));
        body(self);
        let bodies = (std::mem::replace(&mut self.rows, rows), std::mem::replace(&mut self.moves, moves));
        repeat(&mut self.rows, times, &bodies.0);
        repeat(&mut self.moves, times, &bodies.1);
    }

    /// Goes over the indices of `tokens` tokens from row `row` on: reads as many columns into `registers` registers as they
    /// hold and calls `block` with the tokens that these stand for, all rows closed.
    ///
    /// One iteration of the loop is a row of indices, or as many rows as the registers hold.
    pub(super) fn over_indices(
        &mut self,
        row: u64,
        tokens: u64,
        registers: u32,
        mut block: impl FnMut(&mut Self, u64),
    ) {
        let (columns, indices) = (u64::from(self.layout.columns), u64::from(self.layout.indices));
        let registers = u64::from(registers);
        let all = if registers <= columns { columns } else { registers / columns * columns };
        self.close();
        self.rows.push(Instruction::Row(row as u32));
        let whole = tokens / (all * indices);
        self.repeated(whole, |build| build.index_blocks(all, all * indices, registers, &mut block));
        let left = tokens - whole * all * indices;
        self.index_blocks(left.div_ceil(indices), left, registers, &mut block);
    }

    fn index_blocks(
        &mut self,
        mut columns: u64,
        mut tokens: u64,
        registers: u64,
        block: &mut impl FnMut(&mut Self, u64),
    ) {
        let (in_row, indices) = (u64::from(self.layout.columns), u64::from(self.layout.indices));
        let mut place = 0;
        while columns > 0 {
            let mut here = 0;
            while here < registers && columns > 0 {
                let read = (registers - here).min(columns).min(in_row - place);
                if place > 0 {
                    // The register counts up with each opening; this row is not done yet.
                    self.rows.push(Instruction::Step(-1));
                }
                self.rows.push(Instruction::Open(0));
                self.column(Command::RdReg, read as u32, 0);
                self.rows.push(Instruction::Close(0));
                place = (place + read) % in_row;
                here += read;
                columns -= read;
                if place == 0 && registers <= in_row {
                    // A block does not go over the end of a row.
                    break;
                }
            }
            let now = tokens.min(here * indices);
            block(self, now);
            tokens -= now;
        }
    }
}
