//! The move stream: data between the buffer die and the banks, and softmax, in the column slots that the row stream
//! leaves free.

use crate::command::{Address, Command};
use crate::error::ProgramError;
use crate::program::{Instruction, Token};

use super::cursor::{Cursor, Stop};
use super::engine::{Engine, Place};

/// The end of what takes so many cycles, and one at least. Sums do not overflow: cycles that far on are beyond the time that a
/// simulation has, which refuses them.
fn after(start: i64, takes: u64) -> i64 {
    const FAR: i64 = i64::MAX / 4;
    start.saturating_add_unsigned(takes).min(FAR).max(start + 1)
}

impl Engine {
    /// Runs the move stream until it ends, waits, is to pause, has posted what the row stream wants, or comes to
    /// `frontier`, from where on the row stream may still take slots.
    pub(super) fn run_moves(
        &mut self,
        cursor: &mut Cursor<'_>,
        wanted: Option<Token>,
        frontier: i64,
    ) -> Result<Stop, ProgramError> {
        while let Some(instruction) = cursor.current() {
            if self.pauses() {
                return Ok(Stop::Paused);
            }
            match instruction {
                Instruction::Move { command, count } => {
                    if cursor.left == 0 {
                        (cursor.left, cursor.at) = (count, 0);
                    }
                    while cursor.left > 0 {
                        if self.pauses() {
                            return Ok(Stop::Paused);
                        }
                        if frontier == i64::MAX && cursor.at == 0 && self.rounds(cursor, command)? {
                            continue;
                        }
                        let (address, place, round) = self.destination(command, cursor.at);
                        if !self.issue_move(cursor, command, (address, place), frontier)? {
                            return Ok(Stop::Frontier);
                        }
                        cursor.left -= 1;
                        cursor.at = if cursor.at + 1 == round { 0 } else { cursor.at + 1 };
                    }
                }
                Instruction::Softmax { elements } => {
                    let to = (Address::default(), Self::to_all(Command::Sfm));
                    if !self.issue_move(cursor, Command::Sfm, to, frontier)? {
                        return Ok(Stop::Frontier);
                    }
                    // The command waits in the BufferPE for the softmax before it.
                    let start = (cursor.ready - 1).max(self.buffer_free);
                    self.buffer_free = after(start, self.device.softmax_cycles(elements).0);
                    cursor.result = self.buffer_free;
                }
                Instruction::Buffer { operations } => {
                    // What was moved before has to arrive, and the BufferPE to be free.
                    let operands = cursor.result;
                    let to = (Address::default(), Self::to_all(Command::Bpe));
                    if !self.issue_move(cursor, Command::Bpe, to, frontier)? {
                        return Ok(Stop::Frontier);
                    }
                    let start = (cursor.ready - 1).max(operands).max(self.buffer_free);
                    self.buffer_free = after(start, self.device.buffer_cycles(operations).0);
                    cursor.result = self.buffer_free;
                }
                Instruction::Free(token) => {
                    self.post(token, cursor.ready);
                    if wanted == Some(token) {
                        cursor.place += 1;
                        return Ok(Stop::Posted);
                    }
                }
                Instruction::Post(token) => {
                    self.post(token, cursor.result.max(cursor.ready));
                    if wanted == Some(token) {
                        cursor.place += 1;
                        return Ok(Stop::Posted);
                    }
                }
                Instruction::Wait(token) => match self.take(token) {
                    Some(cycle) => cursor.ready = cursor.ready.max(cycle),
                    None => return Ok(Stop::Waits(token)),
                },
                Instruction::Loop { times, length } => {
                    cursor.enter(times, length);
                    continue;
                }
                // `Program::new` keeps these out of this stream.
                _ => {}
            }
            cursor.place += 1;
        }
        Ok(Stop::Done)
    }

    /// Where the move at this place of a round goes, and how many moves a round has.
    fn destination(&self, command: Command, at: u32) -> (Address, Place, u32) {
        match command {
            // The query, and what is broadcast, goes to all bank groups at once.
            Command::WrGb | Command::MvBc => (Address::default(), Self::to_all(command), 1),
            _ => (self.round[at as usize], self.to_round(command, at as usize), self.round.len() as u32),
        }
    }

    /// Does two rounds of a long run of moves, and where the second is the first some cycles later, all that follow up to
    /// the deadline of a refresh; false where there is no long run with nothing in its way.
    ///
    /// The row stream is at rest. What other commands demand binds at a fixed cycle: it can have bound a move of the first
    /// round or of the second, not of both. So a second round that is the first, later, was bound by moves alone, and all
    /// others follow likewise. A refresh between the two is an exception: it holds up the whole second round.
    fn rounds(&mut self, cursor: &mut Cursor<'_>, command: Command) -> Result<bool, ProgramError> {
        let (_, _, round) = self.destination(command, 0);
        if !self.fast() || cursor.left < 4 * round || !self.slots.is_empty() || !self.blackouts.is_empty() {
            return Ok(false);
        }
        let due = self.due;
        let mut cycles = Vec::with_capacity(2 * round as usize);
        for i in 0..2 * round {
            let (address, place, _) = self.destination(command, i % round);
            self.issue_move(cursor, command, (address, place), i64::MAX)?;
            cycles.push(cursor.ready - 1);
        }
        cursor.left -= 2 * round;
        let (first, second) = cycles.split_at(round as usize);
        let period = second[0] - first[0];
        if self.due != due
            || period <= 0
            || !self.blackouts.is_empty()
            || !first.iter().zip(second).all(|(a, b)| b - a == period)
        {
            return Ok(true);
        }
        let before_deadline = (self.deadline() - cursor.ready) / period;
        let times = i64::from(cursor.left / round).min(before_deadline);
        if times <= 0 {
            return Ok(true);
        }
        for (i, cycle) in second.iter().enumerate() {
            let (_, place, _) = self.destination(command, i as u32);
            self.note(command, place, cycle + times * period);
        }
        self.counts[command] += (times * i64::from(round)).unsigned_abs();
        cursor.left -= times as u32 * round;
        cursor.ready += times * period;
        cursor.result = cursor.ready - 1 + self.results_of(command);
        if cursor.left >= round {
            self.watch.spoil();
        } else {
            self.watch.due_after(cursor.ready - 1 - self.postponed());
        }
        Ok(true)
    }

    /// A command of the move stream, in order, in the first column slot that the row stream leaves free; false where
    /// that slot is not before the frontier.
    fn issue_move(
        &mut self,
        cursor: &mut Cursor<'_>,
        command: Command,
        (address, place): (Address, Place),
        frontier: i64,
    ) -> Result<bool, ProgramError> {
        let mut cycle = self.ready(place).max(cursor.ready);
        loop {
            // An overdue refresh is the row stream's to do while it goes on.
            if cycle >= frontier || (frontier < i64::MAX && cycle >= self.deadline()) {
                if cycle < frontier {
                    self.watch.spoil();
                }
                cursor.ready = cycle;
                return Ok(false);
            }
            // The row stream waits or has ended, and refresh can be postponed no more.
            while cycle >= self.deadline() {
                if self.all_closed() {
                    self.watch.spoil();
                    let due = self.due;
                    if self.refresh() == due {
                        self.pass_long_wait(cycle - self.postponed());
                    }
                } else {
                    self.forced_refresh()?;
                }
            }
            let free = self.free_slot(cycle);
            if free == cycle {
                break;
            }
            cycle = free;
        }
        self.watch.due_after(cycle - self.postponed());
        self.issue(command, address, place, cycle);
        cursor.ready = cycle + 1;
        cursor.result = cycle + self.results_of(command);
        Ok(true)
    }

    /// The first cycle from `cycle` on that is neither a slot of the row stream nor blacked out. Moves are in order,
    /// so what lies behind `cycle` can be forgotten.
    fn free_slot(&mut self, mut cycle: i64) -> i64 {
        while let Some(&(from, until)) = self.blackouts.front() {
            if until <= cycle {
                self.blackouts.pop_front();
            } else {
                if cycle >= from {
                    cycle = until;
                }
                break;
            }
        }
        while let Some(slots) = self.slots.front() {
            if slots.last < cycle {
                self.slots.pop_front();
            } else {
                // A run ends before the deadline of a refresh, so 32 bits hold it; they divide much faster than 64.
                if cycle >= slots.start && ((cycle - slots.start) as u32).is_multiple_of(slots.gap) {
                    cycle += 1;
                }
                break;
            }
        }
        cycle
    }
}
