//! Where a stream of a program is.

use crate::program::{DEPTH, Instruction, Token};

/// Why a stream stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It has ended.
    Done,
    /// For this token, which was not posted yet.
    Waits(Token),
    /// It has posted what the other stream waits for.
    Posted,
    /// The row stream begins an iteration of a loop that could be jumped, or is before or behind a long run of MACs in one.
    Iteration,
    /// The move stream has come to where the row stream is.
    Frontier,
    /// It has done as many instructions as were asked for, and goes on from there.
    Paused,
}

/// A loop around the place of a cursor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) first: usize,
    pub(super) end: usize,
    /// Repetitions left, the present one included.
    pub(super) left: u32,
    /// Number of its body among equal ones; 0 where it is not looked at.
    pub(super) body: u16,
}

/// The commands of one stream and where it is.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'p> {
    code: &'p [Instruction],
    /// Number of the body of the loop at each place; empty where loops are not looked at.
    bodies: Vec<u16>,
    pub(super) place: usize,
    pub(super) loops: [Frame; DEPTH],
    pub(super) depth: usize,
    /// No command of this stream comes before this cycle.
    pub(super) ready: i64,
    /// When the result of the last command is there.
    pub(super) result: i64,
    /// The command before closed the banks.
    pub(super) closed: bool,
    /// Of a run of moves at hand: how many are left, and where in the round the next one goes.
    pub(super) left: u32,
    pub(super) at: u32,
    /// A repetition of a loop that is looked at, not the last one, has just begun.
    pub(super) fresh: bool,
    /// It has stopped before the long run of MACs at hand.
    pub(super) passed: bool,
}

impl<'p> Cursor<'p> {
    pub(super) fn new(code: &'p [Instruction], bodies: Vec<u16>, begin: i64) -> Self {
        Self {
            code,
            bodies,
            place: 0,
            loops: [Frame::default(); DEPTH],
            depth: 0,
            ready: begin,
            result: begin,
            closed: false,
            left: 0,
            at: 0,
            fresh: false,
            passed: false,
        }
    }

    /// The same place, in `code`; what is left at this one is of no use.
    pub(super) fn take<'q>(&mut self, code: &'q [Instruction]) -> Cursor<'q> {
        let Self { ref mut bodies, place, loops, depth, ready, result, closed, left, at, fresh, passed, .. } = *self;
        let bodies = std::mem::take(bodies);
        Cursor { code, bodies, place, loops, depth, ready, result, closed, left, at, fresh, passed }
    }

    /// The instruction at hand, after closing the loops that end here.
    pub(super) fn current(&mut self) -> Option<Instruction> {
        while self.depth > 0 {
            let frame = &mut self.loops[self.depth - 1];
            if self.place < frame.end {
                break;
            }
            if frame.left > 1 {
                frame.left -= 1;
                self.place = frame.first;
                self.fresh = frame.body != 0 && frame.left > 1;
            } else {
                self.depth -= 1;
            }
        }
        self.peek()
    }

    /// The instruction at its place, loops left as they are.
    pub(super) fn peek(&self) -> Option<Instruction> {
        self.code.get(self.place).copied()
    }

    pub(super) fn enter(&mut self, times: u32, length: u32) {
        let first = self.place + 1;
        let end = first + length as usize;
        if times == 0 || length == 0 {
            self.place = end;
        } else {
            let body = self.bodies.get(self.place).copied().unwrap_or(0);
            self.place = first;
            self.loops[self.depth] = Frame { first, end, left: times, body };
            self.depth += 1;
            self.fresh = body != 0 && times > 1;
        }
    }

    /// The innermost loop around it.
    pub(super) fn frame(&self) -> Option<Frame> {
        self.depth.checked_sub(1).map(|inner| self.loops[inner])
    }

    /// Goes behind the innermost loop.
    pub(super) fn leave(&mut self) {
        if let Some(frame) = self.frame() {
            self.place = frame.end;
            self.depth -= 1;
        }
    }

    /// Passes over repetitions of the innermost loop.
    pub(super) fn skip(&mut self, repetitions: u32) {
        if let Some(inner) = self.depth.checked_sub(1) {
            self.loops[inner].left -= repetitions;
        }
    }
}
