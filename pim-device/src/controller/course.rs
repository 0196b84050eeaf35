//! How a program is executed from its begin to its end, at once or in pieces.

use crate::command::CommandCounts;
use crate::error::ProgramError;
use crate::program::{Program, Token};
use crate::timing::Parameter;

use super::cursor::{Cursor, Stop};
use super::engine::{Engine, Execution, ExecutionMode};

/// A program that has begun and not ended.
#[derive(Clone, Debug)]
pub(super) struct Course {
    begin: i64,
    rows: Cursor<'static>,
    moves: Cursor<'static>,
    turn: Turn,
}

/// Which stream goes on.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Rows,
    /// The move stream, as far as the row stream, which waits for this token, wants it to; to its end where that one has ended.
    Moves(Option<Token>),
}

impl Engine {
    /// Whether programs take long to execute.
    pub(super) fn is_slow(&self) -> bool {
        self.mode == ExecutionMode::CommandByCommand && self.trace.is_none()
    }

    /// Whether the program at hand is to pause before its next command.
    #[inline]
    pub(super) const fn pauses(&mut self) -> bool {
        match self.budget.checked_sub(1) {
            Some(less) => {
                self.budget = less;
                false
            }
            None => true,
        }
    }

    /// Runs a program that arrives at cycle `arrival`; it begins then, or when the program before has ended.
    ///
    /// # Errors
    /// Where the program does not fit the state of the banks, or its streams wait for each other.
    pub fn run(&mut self, program: &Program, arrival: u64) -> Result<Execution, ProgramError> {
        let mut course = self.begin(program, arrival);
        loop {
            if let Some(execution) = self.go_on(program, &mut course, u64::MAX)? {
                return Ok(execution);
            }
        }
    }

    /// Begins what [`Self::run`] does in one go.
    pub(super) fn begin(&mut self, program: &Program, arrival: u64) -> Course {
        let begin = i64::try_from(arrival).unwrap_or(i64::MAX / 2).max(self.end);
        self.counts = CommandCounts::default();
        self.mode_switch = 0;
        self.idle_before(begin);
        if let Some(record) = &mut self.trace {
            record.begin(program);
        }
        let (mut row_bodies, mut move_bodies) = (Vec::new(), Vec::new());
        if self.fast() {
            self.take_learnt();
            (row_bodies, move_bodies) = self.memo.bodies(program);
        }
        self.memo.begin();
        let cursor = |bodies| Cursor::new(&[], bodies, begin);
        Course { begin, rows: cursor(row_bodies), moves: cursor(move_bodies), turn: Turn::Rows }
    }

    /// Goes on with the program for about as many commands; nothing where more are left. Nothing else may be done on the
    /// channel until it has ended.
    ///
    /// # Errors
    /// Those of [`Self::run`]; nothing is left to go on with then.
    pub(super) fn go_on(
        &mut self,
        program: &Program,
        course: &mut Course,
        commands: u64,
    ) -> Result<Option<Execution>, ProgramError> {
        let mut rows = course.rows.take(program.row_stream());
        let mut moves = course.moves.take(program.move_stream());
        // What is jumped over is not worth a pause.
        self.budget = if self.fast() { u64::MAX } else { commands };
        let ended = self.run_from(course.begin, &mut rows, &mut moves, &mut course.turn);
        if matches!(ended, Ok(None)) {
            (course.rows, course.moves) = (rows.take(&[]), moves.take(&[]));
        } else if self.fast() {
            self.give_learnt();
        }
        ended
    }

    /// Runs both streams until they end, or one of them pauses.
    fn run_from(
        &mut self,
        begin: i64,
        rows: &mut Cursor<'_>,
        moves: &mut Cursor<'_>,
        turn: &mut Turn,
    ) -> Result<Option<Execution>, ProgramError> {
        loop {
            let wanted = match *turn {
                Turn::Rows => match self.run_rows(rows)? {
                    Stop::Waits(token) => Some(token),
                    Stop::Iteration => {
                        let frontier = rows.ready.max(self.column_bus + 1);
                        let stop = self.run_moves(moves, None, frontier)?;
                        self.checkpoint(rows, moves, stop);
                        continue;
                    }
                    Stop::Paused => return Ok(None),
                    _ => None,
                },
                Turn::Moves(wanted) => wanted,
            };
            match (self.run_moves(moves, wanted, i64::MAX)?, wanted) {
                (Stop::Done, None) => break,
                (Stop::Posted, _) => *turn = Turn::Rows,
                (Stop::Paused, _) => {
                    *turn = Turn::Moves(wanted);
                    return Ok(None);
                }
                (stop, _) => {
                    let name = |Token(token)| usize::from(token);
                    let moves = if let Stop::Waits(token) = stop { Some(name(token)) } else { None };
                    return Err(ProgramError::Deadlock { row: wanted.map(name), moves });
                }
            }
        }
        if !self.all_closed() {
            return Err(ProgramError::RowLeftOpen);
        }
        // So that they count for this program however it was executed.
        self.catch_up(rows.ready);
        self.slots.clear();
        self.blackouts.clear();
        // The last command of a stream need not be the last to be done: softmax takes long, and a stream can end waiting.
        let waited = rows.ready.max(moves.ready).max(self.buffer_free);
        self.end = rows.result.max(moves.result).max(waited).max(begin);
        Ok(Some(Execution {
            begin: begin.unsigned_abs(),
            end: self.end.unsigned_abs(),
            mode_switch: self.mode_switch.unsigned_abs(),
            commands: self.counts,
        }))
    }

    /// How many cycles a program takes at least: the gaps between its MACs, and the rows changed in between, in the set that has
    /// most of them, which is no less than the sets' mean.
    pub(super) fn least(&self, program: &Program) -> u64 {
        let (commands, of) = (program.commands(), self.device.pe.commands());
        let (macs, rows) = (commands[of.mac], commands[of.activate]);
        let sets = self.sets.len().max(1) as u64;
        let gap = self.set_gap.unwrap_or(1).unsigned_abs();
        let change = self.device.cycles(Parameter::Rp) + self.device.cycles(Parameter::RcdRd);
        (macs.saturating_sub(rows) * gap + rows.saturating_sub(sets) * u64::from(change)) / sets
    }
}
