//! Executes a program on one channel, command by command, under the constraint table.
//!
//! The two streams are simulated in turn, each as far as tokens let it. That is exact: a move depends on the row stream
//! only through tokens and through the column-bus slots that the row stream takes, and while the row stream waits for a
//! token of the move stream it takes no slot before that token is posted. The row stream never waits for a slot that
//! a move has taken, because it has priority.

use std::collections::VecDeque;

use crate::command::{Address, Bus, Command, CommandCounts};
use crate::constraint::{JEDEC, RESULTS};
use crate::device::DeviceSpec;
use crate::error::ProgramError;
use crate::program::{DEPTH, Instruction, Program, TOKENS, Token};
use crate::timing::Parameter;

use super::readiness::{Nodes, Readiness, Spot};

/// How many intervals nREFI a refresh may be late (JEDEC: eight refreshes may be postponed).
pub const POSTPONED: u32 = 8;

/// How a run of MACs in an open row is executed. Both give the same cycles; a property test holds them to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MacRuns {
    /// As one step in closed form (default).
    #[default]
    Closed,
    /// Command by command.
    OneByOne,
}

/// A command that was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The cycle of the channel clock.
    pub cycle: u64,
    /// What.
    pub command: Command,
    /// Where.
    pub address: Address,
}

/// What the execution of a program came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Execution {
    /// The cycle at which it began.
    pub begin: u64,
    /// The cycle at which everything was done, the last result's latency included.
    pub end: u64,
    /// Cycles of the mode switches, within `begin..end`.
    pub mode_switch: u64,
    /// Commands issued, refreshes included that fell due while it ran or since the program before.
    pub commands: CommandCounts,
}

/// The commands of one stream and where it is.
#[derive(Debug)]
struct Cursor<'p> {
    code: &'p [Instruction],
    place: usize,
    /// (first, end, repetitions left) of the loops around `place`.
    loops: [(usize, usize, u32); DEPTH],
    depth: usize,
    /// No command of this stream comes before this cycle.
    ready: i64,
    /// When the result of the last command is there.
    result: i64,
}

impl<'p> Cursor<'p> {
    fn new(code: &'p [Instruction], begin: i64) -> Self {
        Self { code, place: 0, loops: [(0, 0, 0); DEPTH], depth: 0, ready: begin, result: begin }
    }

    /// The instruction at hand, after closing the loops that end here.
    fn current(&mut self) -> Option<Instruction> {
        while self.depth > 0 {
            let (first, end, left) = &mut self.loops[self.depth - 1];
            if self.place < *end {
                break;
            }
            if *left > 1 {
                *left -= 1;
                self.place = *first;
            } else {
                self.depth -= 1;
            }
        }
        self.code.get(self.place).copied()
    }

    fn enter(&mut self, times: u32, length: u32) {
        let first = self.place + 1;
        let end = first + length as usize;
        if times == 0 || length == 0 {
            self.place = end;
        } else {
            self.place = first;
            self.loops[self.depth] = (first, end, times);
            self.depth += 1;
        }
    }
}

/// Column-bus slots that the row stream has taken, `gap` apart.
#[derive(Clone, Copy, Debug)]
struct Slots {
    start: i64,
    gap: u32,
    last: i64,
}

/// Where a command goes.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// To all banks, or to no bank at all.
    AllBanks,
    /// To the bank group at this place of a round of moves.
    Round(usize),
    /// To one bank.
    Bank(Nodes),
}

/// Why a stream stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Done,
    Waits(Token),
    Posted,
}

/// The banks of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Banks {
    /// Closed or ordinary: a bit per open bank.
    Ordinary(u64),
    /// All open with this row.
    All(u32),
}

/// One channel: what was issued so far, and what is due.
#[derive(Debug)]
pub struct Engine {
    /// Configuration.
    mac_runs: MacRuns,
    mac_gap: i64,
    refresh_interval: i64,
    /// Configuration: latency of each command's result.
    results: [i64; Command::ALL.len()],
    /// Configuration: cycles of a precharge before a mode switch.
    precharge: i64,
    /// Configuration: where the moves of a round go.
    round: Vec<Address>,
    /// Configuration: every command to all banks, then MVSB, then MVGB, at each place of a round.
    spots: Vec<Spot>,
    device: DeviceSpec,
    /// State.
    readiness: Readiness,
    banks: Banks,
    row_bus: i64,
    column_bus: i64,
    /// State: when the oldest refresh that is not done was due.
    due: i64,
    /// State: when the BufferPE is free.
    buffer_free: i64,
    /// State: end of the last program.
    end: i64,
    /// State: slots of the row stream that moves have to go round.
    slots: VecDeque<Slots>,
    /// State: intervals in which an overdue refresh keeps everything else off the channel.
    blackouts: VecDeque<(i64, i64)>,
    tokens: [VecDeque<i64>; TOKENS],
    row: u32,
    /// Statistics of the program at hand.
    counts: CommandCounts,
    mode_switch: i64,
    /// Statistics: everything issued, where it is wanted.
    trace: Option<Vec<Issued>>,
}

impl Engine {
    /// An idle channel at cycle 0, all banks closed, in ordinary mode.
    pub fn new(device: &DeviceSpec) -> Self {
        let readiness = Readiness::new(device, JEDEC);
        let cycles = |parameter| device.cycles(parameter);
        let mut results = [1; Command::ALL.len()];
        for (commands, latency) in RESULTS {
            for command in *commands {
                results[command.index()] = i64::from(latency.cycles(cycles)).max(1);
            }
        }
        let organisation = &device.organisation;
        let bank_groups = 0..organisation.bank_groups;
        let round: Vec<Address> = bank_groups
            .flat_map(|bank_group| (0..organisation.ranks).map(move |rank| (rank as u8, bank_group as u8)))
            .map(|(rank, bank_group)| Address { rank, bank_group, ..Address::default() })
            .collect();
        let all_banks = Command::ALL.into_iter().map(|command| (command, Address::default()));
        let moves = [Command::MvSb, Command::MvGb].into_iter();
        let moves = moves.flat_map(|command| round.iter().map(move |&address| (command, address)));
        let spots = all_banks
            .chain(moves)
            .map(|(command, address)| readiness.spot(command, readiness.nodes(address)))
            .collect();
        let interval = i64::from(device.timing.get(Parameter::Refi).max(1));
        Self {
            mac_runs: MacRuns::default(),
            mac_gap: i64::from(cycles(Parameter::CcdAb)).max(1),
            refresh_interval: interval,
            results,
            precharge: i64::from(cycles(Parameter::Rp)),
            round,
            spots,
            device: device.clone(),
            readiness,
            banks: Banks::Ordinary(0),
            row_bus: -1,
            column_bus: -1,
            due: interval,
            buffer_free: 0,
            end: 0,
            slots: VecDeque::new(),
            blackouts: VecDeque::new(),
            tokens: Default::default(),
            row: 0,
            counts: CommandCounts::default(),
            mode_switch: 0,
            trace: None,
        }
    }

    /// The same, with runs of MACs executed as `mac_runs` says.
    pub fn with_mac_runs(self, mac_runs: MacRuns) -> Self {
        Self { mac_runs, ..self }
    }

    /// How many steps executing a program takes, refreshes left out: the work that it is for whoever runs it.
    pub fn steps(&self, program: &Program) -> u64 {
        let commands = program.commands();
        match self.mac_runs {
            MacRuns::OneByOne => commands.total(),
            // A run in each row.
            MacRuns::Closed => commands.total() - commands[Command::MacAb] + commands[Command::ActAb],
        }
    }

    /// Keeps every command that is issued from now on, for [`Self::take_trace`].
    pub fn record(&mut self) {
        self.trace.get_or_insert_default();
    }

    /// The commands recorded so far, by cycle; commands of one cycle in the order row bus, column bus.
    pub fn take_trace(&mut self) -> Vec<Issued> {
        let mut trace = self.trace.replace(Vec::new()).unwrap_or_default();
        trace.sort_by_key(|issued| (issued.cycle, issued.command.bus() == Bus::Column));
        trace
    }

    /// The cycle at which the last program ended.
    pub fn end(&self) -> u64 {
        self.end.max(0).unsigned_abs()
    }

    /// Runs a program that arrives at cycle `arrival`; it begins then, or when the program before has ended.
    ///
    /// # Errors
    /// Where the program does not fit the state of the banks, or its streams wait for each other.
    pub fn run(&mut self, program: &Program, arrival: u64) -> Result<Execution, ProgramError> {
        let begin = i64::try_from(arrival).unwrap_or(i64::MAX / 2).max(self.end);
        self.counts = CommandCounts::default();
        self.mode_switch = 0;
        self.idle_until(begin);
        let mut rows = Cursor::new(program.row_stream(), begin);
        let mut moves = Cursor::new(program.move_stream(), begin);
        loop {
            let row = self.run_rows(&mut rows)?;
            let wanted = match row {
                Stop::Waits(token) => Some(token),
                Stop::Done | Stop::Posted => None,
            };
            match (self.run_moves(&mut moves, wanted)?, wanted) {
                (Stop::Done, None) => break,
                (Stop::Posted, _) => {}
                (stop, _) => {
                    let name = |stop| match stop {
                        Stop::Waits(Token(token)) => Some(usize::from(token)),
                        Stop::Done | Stop::Posted => None,
                    };
                    return Err(ProgramError::Deadlock { row: name(row), moves: name(stop) });
                }
            }
        }
        if self.banks != Banks::Ordinary(0) {
            return Err(ProgramError::RowLeftOpen);
        }
        self.slots.clear();
        self.blackouts.clear();
        self.end = rows.result.max(moves.result).max(begin);
        Ok(Execution {
            begin: begin.unsigned_abs(),
            end: self.end.unsigned_abs(),
            mode_switch: self.mode_switch.unsigned_abs(),
            commands: self.counts,
        })
    }

    /// Does the refreshes of an idle channel on time, up to `cycle`.
    fn idle_until(&mut self, cycle: i64) {
        while self.due <= cycle {
            let due = self.due;
            let issued = self.refresh();
            // Once a refresh is on time all later ones are: count them in one step, unless each is recorded.
            if issued == due
                && self.trace.is_none()
                && self.due <= cycle
                && self.refresh_interval > self.results_of(Command::RefAb)
            {
                let more = (cycle - self.due) / self.refresh_interval;
                self.counts[Command::RefAb] += more.unsigned_abs();
                self.due += more * self.refresh_interval;
            }
        }
    }

    const fn results_of(&self, command: Command) -> i64 {
        self.results[command.index()]
    }

    /// The oldest refresh that is due, as soon as it can be: all banks are closed.
    fn refresh(&mut self) -> i64 {
        let ready = self.ready(Command::RefAb, Place::AllBanks);
        let cycle = ready.max(self.due).max(self.row_bus + 1);
        if cycle > self.deadline() {
            let done = cycle + self.results_of(Command::RefAb);
            self.blackouts.push_back((self.deadline(), done));
        }
        self.issue(Command::RefAb, Address::default(), Place::AllBanks, cycle);
        self.due += self.refresh_interval;
        cycle
    }

    /// Nothing but the refresh may be issued from this cycle on.
    fn deadline(&self) -> i64 {
        self.due + i64::from(POSTPONED) * self.refresh_interval
    }

    /// A refresh that cannot be postponed: closes the row, makes up for all that are due, opens the row again.
    fn forced_refresh(&mut self) -> Result<(), ProgramError> {
        let deadline = self.deadline();
        let Banks::All(row) = self.banks else {
            return Err(ProgramError::RefreshStarved { cycle: deadline.unsigned_abs() });
        };
        let ready = self.ready(Command::PreA, Place::AllBanks);
        let closing = ready.max(deadline).max(self.row_bus + 1);
        self.issue(Command::PreA, Address::default(), Place::AllBanks, closing);
        let mut cycle;
        loop {
            self.refresh();
            let ready = self.ready(Command::ActAb, Place::AllBanks);
            cycle = ready.max(self.row_bus + 1);
            if self.due > cycle {
                break;
            }
        }
        let address = Address { row, ..Address::default() };
        self.issue(Command::ActAb, address, Place::AllBanks, cycle);
        Ok(())
    }

    /// Its place in `spots`.
    #[inline]
    fn spot(&self, command: Command, at: usize) -> usize {
        let moves = if command == Command::MvGb { self.round.len() } else { 0 };
        Command::ALL.len() + moves + at
    }

    /// When the constraints let a command go.
    #[inline]
    fn ready(&self, command: Command, place: Place) -> i64 {
        match place {
            Place::AllBanks => self.readiness.ready_at(&self.spots[command.index()]),
            Place::Round(at) => self.readiness.ready_at(&self.spots[self.spot(command, at)]),
            Place::Bank(nodes) => self.readiness.ready(command, nodes),
        }
    }

    #[inline]
    fn note(&mut self, command: Command, place: Place, cycle: i64) {
        match place {
            Place::AllBanks => self.readiness.note_at(&self.spots[command.index()], cycle),
            Place::Round(at) => {
                let spot = self.spot(command, at);
                self.readiness.note_at(&self.spots[spot], cycle);
            }
            Place::Bank(nodes) => self.readiness.note(command, nodes, cycle),
        }
    }

    /// Puts a command on its bus and notes it.
    fn issue(&mut self, command: Command, address: Address, place: Place, cycle: i64) {
        self.note(command, place, cycle);
        self.counts[command] += 1;
        if command.bus() == Bus::Row {
            self.row_bus = cycle;
        }
        if let Some(trace) = &mut self.trace {
            trace.push(Issued { cycle: cycle.unsigned_abs(), command, address });
        }
    }

    /// When a command of the row stream can be issued, after the refreshes that come first.
    fn admit(&mut self, command: Command, place: Place, from: i64) -> Result<i64, ProgramError> {
        loop {
            let bus = match command.bus() {
                Bus::Row => self.row_bus,
                Bus::Column => self.column_bus,
            };
            let cycle = self.ready(command, place).max(from).max(bus + 1);
            if self.due > cycle {
                return Ok(cycle);
            }
            if self.banks == Banks::Ordinary(0) {
                self.refresh();
            } else if cycle >= self.deadline() && !matches!(command, Command::PreA | Command::Pre) {
                self.forced_refresh()?;
            } else {
                return Ok(cycle);
            }
        }
    }

    /// A command of the row stream, in order.
    fn issue_row(
        &mut self,
        cursor: &mut Cursor<'_>,
        command: Command,
        address: Address,
        place: Place,
    ) -> Result<(), ProgramError> {
        let cycle = self.admit(command, place, cursor.ready)?;
        self.issue(command, address, place, cycle);
        if command.bus() == Bus::Column {
            self.take_slots(cycle, 1, cycle);
        }
        cursor.ready = cycle;
        cursor.result = cycle + self.results_of(command);
        Ok(())
    }

    fn take_slots(&mut self, start: i64, gap: u32, last: i64) {
        self.column_bus = last;
        self.slots.push_back(Slots { start, gap, last });
    }

    /// `count` MACs in the open row.
    fn macs(&mut self, cursor: &mut Cursor<'_>, count: u32, queries: u32) -> Result<(), ProgramError> {
        let mut left = i64::from(count);
        while left > 0 {
            let Banks::All(row) = self.banks else {
                return Err(ProgramError::BankState { command: Command::MacAb, cycle: cursor.ready.unsigned_abs() });
            };
            let first = self.admit(Command::MacAb, Place::AllBanks, cursor.ready)?;
            // The MACs of a run are `mac_gap` apart: in a row that stays open they wait for nothing but each other,
            // until a refresh can be postponed no more.
            let run = match self.mac_runs {
                MacRuns::OneByOne => 1,
                MacRuns::Closed => {
                    let before_deadline = (self.deadline() - first + self.mac_gap - 1) / self.mac_gap;
                    left.min(before_deadline.max(1))
                }
            };
            let last = first + (run - 1) * self.mac_gap;
            self.note(Command::MacAb, Place::AllBanks, last);
            self.take_slots(first, self.mac_gap as u32, last);
            self.counts[Command::MacAb] += run.unsigned_abs();
            self.counts.mac_queries += run.unsigned_abs() * u64::from(queries);
            if let Some(trace) = &mut self.trace {
                let address = Address { row, ..Address::default() };
                trace.extend((0..run).map(|i| Issued {
                    cycle: (first + i * self.mac_gap).unsigned_abs(),
                    command: Command::MacAb,
                    address,
                }));
            }
            cursor.ready = last;
            cursor.result = last + self.results_of(Command::MacAb);
            left -= run;
        }
        Ok(())
    }

    /// Runs the row stream until it ends or waits.
    fn run_rows(&mut self, cursor: &mut Cursor<'_>) -> Result<Stop, ProgramError> {
        let mut closed = false;
        while let Some(instruction) = cursor.current() {
            match instruction {
                Instruction::Row(row) => self.row = row,
                Instruction::Open => {
                    let address = Address { row: self.row, ..Address::default() };
                    self.issue_row(cursor, Command::ActAb, address, Place::AllBanks)?;
                    self.expect_banks(Banks::Ordinary(0), Command::ActAb, cursor)?;
                    self.banks = Banks::All(self.row);
                    self.row = self.row.wrapping_add(1);
                }
                Instruction::Mac { count, queries } => self.macs(cursor, count, queries)?,
                Instruction::Close => {
                    self.issue_row(cursor, Command::PreA, Address::default(), Place::AllBanks)?;
                    self.banks = Banks::Ordinary(0);
                }
                Instruction::Mode => {
                    self.issue_row(cursor, Command::SetM, Address::default(), Place::AllBanks)?;
                    self.mode_switch += self.results_of(Command::SetM) + if closed { self.precharge } else { 0 };
                }
                Instruction::Ordinary(command, address) => self.ordinary(cursor, command, address)?,
                Instruction::Post(token) => self.post(token, cursor.result),
                Instruction::Wait(token) => match self.tokens[usize::from(token.0) % TOKENS].pop_front() {
                    Some(cycle) => cursor.ready = cursor.ready.max(cycle),
                    None => return Ok(Stop::Waits(token)),
                },
                Instruction::Loop { times, length } => {
                    cursor.enter(times, length);
                    continue;
                }
                // `Program::new` keeps these out of this stream.
                Instruction::Move { .. } | Instruction::Softmax { .. } => {}
            }
            closed = instruction == Instruction::Close;
            cursor.place += 1;
        }
        Ok(Stop::Done)
    }

    fn expect_banks(&self, banks: Banks, command: Command, cursor: &Cursor<'_>) -> Result<(), ProgramError> {
        if self.banks == banks {
            return Ok(());
        }
        let cycle = cursor.ready.unsigned_abs();
        Err(ProgramError::BankState { command, cycle })
    }

    /// ACT, WR or PRE of one bank.
    fn ordinary(&mut self, cursor: &mut Cursor<'_>, command: Command, address: Address) -> Result<(), ProgramError> {
        let place = Place::Bank(self.readiness.nodes(address));
        self.issue_row(cursor, command, address, place)?;
        let bank = self.device.organisation.node(crate::organisation::Level::Bank, address);
        let bit = 1_u64.checked_shl(bank).unwrap_or(0);
        let Banks::Ordinary(open) = self.banks else {
            return self.expect_banks(Banks::Ordinary(0), command, cursor);
        };
        // Precharging a closed bank does nothing.
        let (fits, after) = match command {
            Command::Act => (open & bit == 0, open | bit),
            Command::Pre => (true, open & !bit),
            _ => (open & bit != 0, open),
        };
        if !fits {
            let cycle = cursor.ready.unsigned_abs();
            return Err(ProgramError::BankState { command, cycle });
        }
        self.banks = Banks::Ordinary(after);
        Ok(())
    }

    fn post(&mut self, token: Token, cycle: i64) {
        self.tokens[usize::from(token.0) % TOKENS].push_back(cycle);
    }

    /// Runs the move stream until it ends, waits, or has posted what the row stream wants.
    fn run_moves(&mut self, cursor: &mut Cursor<'_>, wanted: Option<Token>) -> Result<Stop, ProgramError> {
        while let Some(instruction) = cursor.current() {
            match instruction {
                Instruction::Move { command, count } => {
                    let round = self.round.len();
                    let mut at = 0;
                    for _ in 0..count {
                        let (address, place) = match command {
                            // The query goes to all bank groups at once.
                            Command::WrGb => (Address::default(), Place::AllBanks),
                            _ => (self.round[at], Place::Round(at)),
                        };
                        self.issue_move(cursor, command, address, place)?;
                        at += 1;
                        if at == round {
                            at = 0;
                        }
                    }
                }
                Instruction::Softmax { elements } => {
                    self.issue_move(cursor, Command::Sfm, Address::default(), Place::AllBanks)?;
                    // The command waits in the BufferPE for the softmax before it.
                    let start = (cursor.ready - 1).max(self.buffer_free);
                    let takes = self.device.softmax_cycles(elements).0;
                    self.buffer_free = start + i64::try_from(takes).unwrap_or(i64::MAX / 4).max(1);
                    cursor.result = self.buffer_free;
                }
                Instruction::Post(token) => {
                    self.post(token, cursor.result);
                    if wanted == Some(token) {
                        cursor.place += 1;
                        return Ok(Stop::Posted);
                    }
                }
                Instruction::Wait(token) => match self.tokens[usize::from(token.0) % TOKENS].pop_front() {
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

    /// A command of the move stream, in order, in the first column slot that the row stream leaves free.
    fn issue_move(
        &mut self,
        cursor: &mut Cursor<'_>,
        command: Command,
        address: Address,
        place: Place,
    ) -> Result<(), ProgramError> {
        let mut cycle = self.ready(command, place).max(cursor.ready);
        loop {
            // The row stream waits or has ended, and refresh can be postponed no more.
            while cycle >= self.deadline() {
                if self.banks == Banks::Ordinary(0) {
                    self.refresh();
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
        self.issue(command, address, place, cycle);
        cursor.ready = cycle + 1;
        cursor.result = cycle + self.results_of(command);
        Ok(())
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
