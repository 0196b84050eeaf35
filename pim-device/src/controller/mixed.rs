//! One channel for two kinds of work: ordinary requests and PIM programs, on the same banks, buses and timing rules.
//!
//! ```text
//! requests  ACT RD RD ACT WR ..  | owners end | PREA, nRP |         locked         | ACT RD ..
//! programs         arrives       |                        | append SETM .. SETM    |
//! ```
//! In ordinary mode requests are served as a [`DramChannel`](crate::dram::DramChannel) serves them: open page, first ready
//! first come first served, write drain, all-bank refresh on time. A program has the channel for itself. Before it begins, requests that
//! a row was activated for end, all rows are closed, and their data and precharges are done; requests that arrive while it
//! runs wait in their queues. Who goes first where both wait is said by [`Precedence`].
//!
//! There is one [`Engine`] for both: an ordinary command is noted in the same history, takes the same bus slots and moves the same
//! refresh on as those of programs do. What a mode switch costs is in the program, which has SETM commands of its own.

mod requests;
mod standard;

pub use standard::{HBM3_PIM, ordinary_channel};

use std::collections::VecDeque;
use std::sync::Arc;

use crate::command::{Address, Command, CommandCounts};
use crate::device::DeviceSpec;
use crate::dram::{Completion, DramError, Offered, Queues, Request};
use crate::error::ProgramError;
use crate::program::Program;

use super::engine::{Engine, Execution, ExecutionMode, Issued};
use requests::{Pick, Requests};

/// Who goes first where a program and requests wait for the same channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precedence {
    /// The program: no request is begun from its arrival on (default; assumption: a program is what the GPU waits for).
    #[default]
    Program,
    /// Requests, until none waits, or until so many have been begun since the program arrived or the one before it ended.
    Requests {
        /// The most; `None`: as long as any waits.
        most: Option<u32>,
    },
}

impl Precedence {
    /// Requests first, a read queue's worth of them at most: 32 (assumption).
    pub const fn requests() -> Self {
        Self::Requests { most: Some(32) }
    }
}

/// Something that the channel has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// A request: see [`Completion`] for when.
    Request(Completion),
    /// A program, with what it was submitted as. Told when it begins; [`Execution::end`] says when it is done.
    Program(u64, Box<Execution>),
}

#[derive(Clone, Debug)]
struct Waiting {
    program: Arc<Program>,
    tag: u64,
}

/// A channel that serves requests and runs programs.
///
/// Requests are offered and programs submitted between two cycles; [`Self::advance`] runs the cycles. The first is 1.
///
/// ```
/// use std::sync::Arc;
/// use pim_device::controller::mixed::{Done, MixedChannel, Precedence};
/// use pim_device::dram::{Queues, Request};
/// use pim_device::{Address, AttentionUnit, DeviceSpec, attention};
///
/// let device = DeviceSpec::hbm3_pim_bank();
/// let mut channel = MixedChannel::new(&device, Queues::default(), Precedence::Program)?;
/// let mut done = Vec::new();
/// let program = attention(&device, 128, &[AttentionUnit { tokens: 2_048, query_heads: 1 }]);
/// channel.submit(Arc::new(program), 7);
/// channel.advance(10, &mut |what| done.push(what))?;
/// // The program has the channel; a read waits for it.
/// channel.offer(&Request::read(Address::default(), 0), &mut |what| done.push(what))?;
/// channel.drain(&mut |what| done.push(what))?;
/// let [Done::Program(7, execution), Done::Request(read)] = &done[..] else { panic!() };
/// assert_eq!(execution.begin, 1);
/// assert_eq!(read.done, execution.end + 19 + 21); // nRCD, nCL + nBL
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MixedChannel {
    /// Configuration.
    precedence: Precedence,
    /// State: history, buses and refresh, for both kinds.
    engine: Engine,
    requests: Requests,
    programs: VecDeque<Waiting>,
    /// State: requests begun while the program at the head waits.
    begun: u32,
    /// State: requests are not begun any more, for the program at the head.
    closing: bool,
    /// State: a program runs up to this cycle, it not included.
    locked_until: i64,
    /// State: when everything that was issued is done.
    quiet: i64,
    /// State: the last cycle that is over.
    now: i64,
    /// Statistics.
    counts: CommandCounts,
}

/// Cycles without anything to do that are many: far more than what commands wait for each other.
const FAR: i64 = 1_024;

/// When to stop before the limit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    Limit,
    /// A place is free in the queue that refused the last offer.
    Place,
    /// Nothing is left to do.
    Done,
}

impl MixedChannel {
    /// An idle channel at cycle 0, all banks closed, in ordinary mode.
    ///
    /// # Errors
    /// [`DramError::Figure`] where a queue is impossible.
    pub fn new(device: &DeviceSpec, queues: Queues, precedence: Precedence) -> Result<Self, DramError> {
        ordinary_channel(device, queues).check()?;
        let engine = Engine::new(device);
        Ok(Self {
            precedence,
            requests: Requests::new(device, queues, &engine.readiness),
            engine,
            programs: VecDeque::new(),
            begun: 0,
            closing: false,
            locked_until: 0,
            quiet: 0,
            now: 0,
            counts: CommandCounts::default(),
        })
    }

    /// The same, executing programs as `mode` says.
    #[must_use]
    pub fn with_execution(self, mode: ExecutionMode) -> Self {
        Self { engine: self.engine.with_execution(mode), ..self }
    }

    /// Keeps every command that is issued from now on, of both kinds, for [`Self::take_trace`].
    pub fn record(&mut self) {
        self.engine.record();
    }

    /// The same where the first `most` are enough, see [`Engine::record_most`].
    pub fn record_most(&mut self, most: usize) {
        self.engine.record_most(most);
    }

    /// Commands that were issued and not recorded.
    pub fn left_out(&self) -> u64 {
        self.engine.left_out()
    }

    /// The commands recorded so far, see [`Engine::take_trace`].
    pub fn take_trace(&mut self) -> Vec<Issued> {
        self.engine.take_trace()
    }

    /// The last cycle that is over.
    pub const fn now(&self) -> u64 {
        self.now.unsigned_abs()
    }

    /// Commands issued so far, those of a program that has begun included.
    pub const fn command_counts(&self) -> CommandCounts {
        self.counts
    }

    /// Requests that wait or whose row is open for them, and programs that have not begun.
    pub fn outstanding(&self) -> usize {
        self.requests.outstanding() + self.programs.len()
    }

    /// Submits a program before the next cycle. Programs run in this order.
    pub fn submit(&mut self, program: Arc<Program>, tag: u64) {
        self.programs.push_back(Waiting { program, tag });
    }

    /// Offers a request before the next cycle. A read of what waits to be written is answered from there and a write of it goes
    /// with it, also while a program runs.
    ///
    /// # Errors
    /// [`DramError::Address`] where the address is not in the channel.
    pub fn offer(&mut self, request: &Request, done: &mut impl FnMut(Done)) -> Result<Offered, DramError> {
        self.requests.offer(request, self.now, done)
    }

    /// Runs the cycles up to and with `cycle`.
    ///
    /// # Errors
    /// Where a program cannot be run, see [`Engine::run`].
    pub fn advance(&mut self, cycle: u64, done: &mut impl FnMut(Done)) -> Result<(), ProgramError> {
        self.run(i64::try_from(cycle).unwrap_or(i64::MAX / 4), Until::Limit, done)
    }

    /// Runs until a place has become free in the queue that refused the last offer. Only to be called after a refusal.
    ///
    /// # Errors
    /// As [`Self::advance`].
    pub fn advance_to_place(&mut self, done: &mut impl FnMut(Done)) -> Result<(), ProgramError> {
        self.run(i64::MAX / 4, Until::Place, done)
    }

    /// Runs until every request has its last command and every program has ended.
    ///
    /// # Errors
    /// As [`Self::advance`].
    pub fn drain(&mut self, done: &mut impl FnMut(Done)) -> Result<(), ProgramError> {
        if self.outstanding() > 0 {
            self.run(i64::MAX / 4, Until::Done, done)?;
        }
        self.now = self.now.max(self.locked_until - 1);
        Ok(())
    }

    fn run(&mut self, limit: i64, until: Until, done: &mut impl FnMut(Done)) -> Result<(), ProgramError> {
        self.requests.freed = false;
        let mut cycle = (self.now + 1).max(self.locked_until);
        while cycle <= limit {
            // Where nothing is due at this cycle, everything stays as it is until the next one that matters.
            let mut next = self.step(cycle, done)?;
            if next > cycle + FAR && until == Until::Limit && self.outstanding() == 0 && !self.requests.any_open() {
                next = next.max(self.idle(limit));
            }
            let stop = match until {
                Until::Limit => false,
                Until::Place => self.requests.freed,
                Until::Done => self.outstanding() == 0,
            };
            if stop {
                self.now = cycle;
                return Ok(());
            }
            cycle = next;
        }
        self.now = self.now.max(limit);
        Ok(())
    }

    /// Nothing but refreshes up to `limit`: those of a long wait are counted in one step. Gives when the next one is due, which is in
    /// the past where it cannot be done by `limit`.
    fn idle(&mut self, limit: i64) -> i64 {
        let before = self.engine.counts[Command::RefAb];
        self.engine.idle_before(limit + 1);
        self.counts[Command::RefAb] += self.engine.counts[Command::RefAb] - before;
        self.engine.due
    }

    /// Does what is due in a cycle; gives the next cycle at which something may be.
    fn step(&mut self, cycle: i64, done: &mut impl FnMut(Done)) -> Result<i64, ProgramError> {
        self.closing = self.closing || (!self.programs.is_empty() && self.program_goes_first());
        if self.closing {
            return self.close(cycle, done);
        }
        let mut issued = false;
        let mut next = i64::MAX;
        // The column bus: requests with a row of their own, then other requests for open rows.
        let column = self.requests.column(&self.engine.readiness, cycle, !self.refresh_waits(cycle));
        if let Some(pick) = column {
            if pick.cycle == cycle {
                self.serve(&pick, done);
                issued = true;
            } else {
                next = next.min(pick.cycle);
            }
        }
        // The row bus sees what the column bus has done.
        if self.refresh_waits(cycle) {
            if let Some((command, ready)) = self.refresh_command(cycle) {
                if ready == cycle {
                    self.row_command(command, Address::default(), cycle);
                    if command == Command::RefAb {
                        self.engine.due += self.engine.refresh_interval;
                    } else {
                        self.requests.close_all();
                    }
                    issued = true;
                } else {
                    next = next.min(ready);
                }
            }
        } else {
            if let Some(pick) = self.requests.row(&self.engine.readiness, cycle) {
                if pick.cycle == cycle {
                    self.change_row(&pick);
                    issued = true;
                } else {
                    next = next.min(pick.cycle);
                }
            }
            next = next.min(self.engine.due);
        }
        Ok(if issued { cycle + 1 } else { next })
    }

    fn program_goes_first(&self) -> bool {
        match self.precedence {
            Precedence::Program => true,
            Precedence::Requests { most } => {
                self.requests.waiting() == 0 || most.is_some_and(|most| self.begun >= most)
            }
        }
    }

    const fn refresh_waits(&self, cycle: i64) -> bool {
        self.engine.due <= cycle
    }

    /// The way into a program: owners end, rows are closed, then the program has the channel. A refresh that is due is done
    /// when all is closed.
    fn close(&mut self, cycle: i64, done: &mut impl FnMut(Done)) -> Result<i64, ProgramError> {
        let column = self.requests.owner(&self.engine.readiness, cycle);
        if let Some(pick) = &column {
            if pick.cycle > cycle {
                return Ok(pick.cycle);
            }
            self.serve(pick, done);
            return Ok(cycle + 1);
        }
        if self.requests.any_open() {
            let place = Engine::to_all(Command::PreA);
            let ready = self.engine.ready(place).max(self.engine.row_bus + 1);
            if ready > cycle {
                return Ok(ready);
            }
            self.row_command(Command::PreA, Address::default(), cycle);
            self.requests.close_all();
        }
        let Some(Waiting { program, tag }) = self.programs.pop_front() else {
            return Ok(cycle + 1);
        };
        let begin = cycle.max(self.quiet);
        let execution = self.engine.run(&program, begin.unsigned_abs())?;
        self.counts += execution.commands;
        (self.closing, self.begun) = (false, 0);
        // Also a program without commands has the channel for a cycle.
        self.locked_until = i64::try_from(execution.end).unwrap_or(i64::MAX / 4).max(begin + 1);
        // Refreshes that are done while its last moves are under way. Those that fall due then and have to wait are done in
        // cycles that requests see.
        let before = self.engine.counts[Command::RefAb];
        self.engine.idle_before(self.locked_until);
        self.counts[Command::RefAb] += self.engine.counts[Command::RefAb] - before;
        done(Done::Program(tag, Box::new(execution)));
        Ok(self.locked_until)
    }

    /// What a refresh that waits needs next, and when that can be; `None` while a bank is owned.
    fn refresh_command(&self, cycle: i64) -> Option<(Command, i64)> {
        let command = match (self.requests.any_owned(), self.requests.any_open()) {
            (true, _) => return None,
            (false, true) => Command::PreA,
            (false, false) => Command::RefAb,
        };
        Some((command, self.engine.ready(Engine::to_all(command)).max(self.engine.row_bus + 1).max(cycle)))
    }

    /// The access of an owner, or of a request for an open row.
    fn serve(&mut self, pick: &Pick, done: &mut impl FnMut(Done)) {
        self.begun += u32::from(!pick.owned && !self.programs.is_empty());
        let (command, address, column) = self.requests.serve(pick, &self.engine.device, done);
        self.engine.note(command, super::engine::Place::Bank(pick.nodes), pick.cycle);
        self.engine.column_bus = pick.cycle;
        self.issued(command, address, pick.cycle, Some(column));
    }

    /// The activation for a request, which owns its bank then, or a precharge for one.
    fn change_row(&mut self, pick: &Pick) {
        self.begun += u32::from(pick.command == Command::Act && !self.programs.is_empty());
        let address = self.requests.change_row(pick);
        self.engine.note(pick.command, super::engine::Place::Bank(pick.nodes), pick.cycle);
        self.engine.row_bus = pick.cycle;
        self.issued(pick.command, address, pick.cycle, None);
    }

    /// A command to all banks.
    fn row_command(&mut self, command: Command, address: Address, cycle: i64) {
        self.engine.note(command, Engine::to_all(command), cycle);
        self.engine.row_bus = cycle;
        self.issued(command, address, cycle, None);
    }

    fn issued(&mut self, command: Command, address: Address, cycle: i64, column: Option<u32>) {
        self.counts[command] += 1;
        // A refresh need not be over: what may not follow it so soon is said by the table.
        if command != Command::RefAb && command != Command::Act {
            self.quiet = self.quiet.max(cycle + self.engine.results_of(command));
        }
        if let Some(record) = &mut self.engine.trace {
            record.push_at(cycle, command, address, column.and_then(|column| column.try_into().ok()));
        }
    }
}
