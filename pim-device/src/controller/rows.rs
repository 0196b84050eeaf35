//! The row stream: opens and closes rows, MACs, ordinary commands, mode switches. It has priority on the column bus.

use crate::command::{Address, Bus, Command};
use crate::error::ProgramError;
use crate::organisation::Level;
use crate::program::Instruction;

use super::cursor::{Cursor, Stop};
use super::engine::{Engine, OnSet, Place, Slots};

/// MACs in a run that is long. Loops are stopped before the first such run of an iteration and behind the last one: a refresh with
/// rows open hardly ever comes elsewhere, and what is outside goes on as it does without one.
pub(super) const LONG_RUN: u32 = 64;

impl Engine {
    /// Runs the row stream until it ends, waits, is to pause, or begins an iteration of a loop that may be jumped.
    pub(super) fn run_rows(&mut self, cursor: &mut Cursor<'_>) -> Result<Stop, ProgramError> {
        while let Some(instruction) = cursor.current() {
            if self.pauses() {
                return Ok(Stop::Paused);
            }
            if std::mem::take(&mut cursor.fresh) {
                return Ok(Stop::Iteration);
            }
            let mut closed = false;
            match instruction {
                Instruction::Row(row) => self.row = row,
                Instruction::Step(rows) => self.row = self.row.wrapping_add_signed(rows),
                Instruction::OpenAt(row) => self.open_row(cursor, 0, row)?,
                Instruction::Open(set) => self.open(cursor, usize::from(set))?,
                Instruction::Mac { set, sets, count, queries } => {
                    if count >= LONG_RUN
                        && let Some(frame) = cursor.frame()
                        && let Some((first, last)) = self.memo.parts(frame)
                    {
                        let position = cursor.place - frame.first;
                        if position == first && position > 0 && !std::mem::replace(&mut cursor.passed, true) {
                            return Ok(Stop::Iteration);
                        }
                        cursor.passed = false;
                        cursor.fresh = position == last && cursor.place + 1 < frame.end;
                    }
                    let command = self.device.pe.commands().mac;
                    self.macs(cursor, command, (usize::from(set), usize::from(sets)), count, queries)?;
                }
                Instruction::Column { command, count, queries } => {
                    self.macs(cursor, command, (0, 1), count, queries)?;
                }
                Instruction::Close(set) => {
                    let place = self.to_set(OnSet::Precharge, usize::from(set));
                    let address = self.sets.get(usize::from(set)).copied().unwrap_or_default();
                    self.issue_row(cursor, self.device.pe.commands().precharge, address, place)?;
                    self.open &= !(1 << set);
                    closed = true;
                }
                Instruction::CloseAll => {
                    let place = Self::to_all(Command::PreA);
                    self.issue_row(cursor, Command::PreA, Address::default(), place)?;
                    (self.open, self.ordinary, closed) = (0, 0, true);
                }
                Instruction::Mode => {
                    self.issue_row(cursor, Command::SetM, Address::default(), Self::to_all(Command::SetM))?;
                    let precharge = if cursor.closed { self.precharge } else { 0 };
                    self.mode_switch += self.results_of(Command::SetM) + precharge;
                }
                Instruction::Ordinary(command, address) => self.ordinary(cursor, command, address)?,
                Instruction::OrdinaryInRow(command, address) => {
                    self.ordinary(cursor, command, Address { row: self.row, ..address })?;
                }
                Instruction::Post(token) => self.post(token, cursor.result.max(cursor.ready)),
                Instruction::Free(token) => self.post(token, cursor.ready),
                Instruction::Wait(token) => match self.take(token) {
                    Some(cycle) => {
                        self.wait_until(cycle)?;
                        cursor.ready = cursor.ready.max(cycle);
                    }
                    None => return Ok(Stop::Waits(token)),
                },
                Instruction::Loop { times, length } => {
                    cursor.enter(times, length);
                    continue;
                }
                // `Program::new` keeps these out of this stream.
                Instruction::Move { .. } | Instruction::Softmax { .. } | Instruction::Buffer { .. } => {}
            }
            cursor.closed = closed;
            cursor.place += 1;
        }
        Ok(Stop::Done)
    }

    /// Refresh goes on while the row stream waits with rows open.
    fn wait_until(&mut self, cycle: i64) -> Result<(), ProgramError> {
        while !self.all_closed() {
            if self.deadline() >= cycle {
                self.watch.due_after(cycle - 1 - self.postponed());
                break;
            }
            self.forced_refresh()?;
        }
        Ok(())
    }

    /// When a command of the row stream can be issued, after the refreshes that come first.
    fn admit(&mut self, command: Command, place: Place, from: i64) -> Result<i64, ProgramError> {
        loop {
            let bus = match command.bus() {
                Bus::Row => self.row_bus,
                Bus::Column => self.column_bus,
            };
            let cycle = self.ready_of(command, place).max(from).max(bus + 1);
            let closing = matches!(command, Command::PreA | Command::Pre | Command::PreSb | Command::PrePb);
            if self.all_closed() {
                if self.due > cycle {
                    self.watch.due_after(cycle);
                    return Ok(cycle);
                }
                self.watch.due_until(cycle);
                self.refresh();
            } else if closing || cycle < self.deadline() {
                if !closing {
                    self.watch.due_after(cycle - self.postponed());
                }
                return Ok(cycle);
            } else {
                self.forced_refresh()?;
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
            self.take_slots(Slots::one(cycle));
        }
        cursor.ready = cycle;
        cursor.result = cycle + self.results_of(command);
        Ok(())
    }

    /// Takes slots of the column bus. What goes on in equal steps is one entry, however it was issued.
    fn take_slots(&mut self, slots: Slots) {
        self.column_bus = slots.last;
        if !self.slots.back_mut().is_some_and(|before| before.goes_on(slots)) {
            self.slots.push_back(slots);
        }
    }

    /// Opens the row of the row register in a set; behind the last set the register counts up.
    fn open(&mut self, cursor: &mut Cursor<'_>, set: usize) -> Result<(), ProgramError> {
        self.open_row(cursor, set, self.row)?;
        if set + 1 == self.sets.len() {
            self.row = self.row.wrapping_add(1);
        }
        Ok(())
    }

    fn open_row(&mut self, cursor: &mut Cursor<'_>, set: usize, row: u32) -> Result<(), ProgramError> {
        let command = self.device.pe.commands().activate;
        let address = Address { row, ..self.sets[set] };
        self.issue_row(cursor, command, address, self.to_set(OnSet::Activate, set))?;
        if self.open & (1 << set) != 0 || self.ordinary != 0 {
            return Err(ProgramError::BankState { command, cycle: cursor.ready.unsigned_abs() });
        }
        self.open |= 1 << set;
        self.open_rows[set] = row;
        Ok(())
    }

    /// `count` MACs, or other column commands to all banks, in the open rows of `sets` sets from `first` on, in turn.
    fn macs(
        &mut self,
        cursor: &mut Cursor<'_>,
        command: Command,
        (first, sets): (usize, usize),
        count: u32,
        queries: u32,
    ) -> Result<(), ProgramError> {
        let needed = if sets >= 64 { u64::MAX } else { ((1_u64 << sets) - 1) << first };
        if count > 0 && self.open & needed != needed {
            return Err(ProgramError::BankState { command, cycle: cursor.ready.unsigned_abs() });
        }
        if !self.fast() {
            return self.single_macs(cursor, command, (first, sets), count, queries);
        }
        if count == 1 {
            return self.one_mac(cursor, command, first, queries);
        }
        let gap = match sets {
            1 => self.column_gap(command),
            all if all == self.sets.len() => self.round_gap,
            _ => None,
        };
        let spots = self.column_spots(command) + first;
        let (mut done, mut at) = (0, 0);
        while done < count {
            let mut start;
            loop {
                start = self.ready_at(spots + at).max(cursor.ready).max(self.column_bus + 1);
                // Rows are open.
                if start < self.deadline() {
                    break;
                }
                self.forced_refresh()?;
            }
            let step = gap.unwrap_or(1);
            let free = gap.map_or(1, |gap| self.unhindered(spots, (at, sets), (start, gap), count - done));
            // A refresh can be postponed no more.
            let run = match free {
                1 => 1,
                free => i64::from(free).min((self.deadline() - start + step - 1) / step) as u32,
            };
            let last = start + i64::from(run - 1) * step;
            self.watch.due_after(last - self.postponed());
            if run < free {
                self.watch.spoil();
            }
            let ends = (at + run as usize).is_multiple_of(sets) && run as usize >= sets;
            if sets == 1 {
                self.note_at(spots, last);
            } else if let Some(round) = self.mac_round.as_ref().filter(|_| ends && sets == self.sets.len()) {
                // Only the last MAC at each place counts.
                self.readiness.note_round(round, last, step);
                at = 0;
            } else {
                let turn = sets.min(run as usize);
                let mut set = (at + (run as usize - turn)) % sets;
                for back in (0..turn as u32).rev() {
                    self.note_at(spots + set, last - i64::from(back) * step);
                    set = if set + 1 == sets { 0 } else { set + 1 };
                }
                at = set;
            }
            self.take_slots(Slots { start, gap: step as u32, last });
            cursor.ready = last;
            done += run;
        }
        if count > 0 {
            cursor.result = cursor.ready + self.results_of(command);
            self.counts[command] += u64::from(count);
            self.counts.mac_queries += u64::from(count) * u64::from(queries);
        }
        Ok(())
    }

    /// The same for one.
    #[inline]
    fn one_mac(
        &mut self,
        cursor: &mut Cursor<'_>,
        command: Command,
        set: usize,
        queries: u32,
    ) -> Result<(), ProgramError> {
        let gap = self.column_gap(command).unwrap_or(1);
        let spot = self.column_spots(command) + set;
        let mut cycle;
        loop {
            cycle = self.ready_at(spot).max(cursor.ready).max(self.column_bus + 1);
            // Rows are open.
            if cycle < self.deadline() {
                break;
            }
            self.forced_refresh()?;
        }
        self.watch.due_after(cycle - self.postponed());
        self.note_at(spot, cycle);
        self.take_slots(Slots { start: cycle, gap: gap as u32, last: cycle });
        cursor.ready = cycle;
        cursor.result = cycle + self.results_of(command);
        self.counts[command] += 1;
        self.counts.mac_queries += u64::from(queries);
        Ok(())
    }

    /// How many of `left` MACs, the first of them at `start`, wait for nothing but the one before: each comes a gap behind
    /// that one.
    ///
    /// All that other commands demand is in the history by now. Once each set has had a MAC of this run, only the run itself
    /// can hold back a MAC, and within a run nothing demands more than the gap, see [`super::readiness::Readiness::gap`].
    fn unhindered(&self, spots: usize, (at, sets): (usize, usize), (start, gap): (i64, i64), left: u32) -> u32 {
        let (mut set, mut cycle) = (at, start);
        let settled = self.macs_settled();
        for done in 1..left.min(sets as u32) {
            set = if set + 1 == sets { 0 } else { set + 1 };
            cycle += gap;
            if settled <= cycle {
                return left;
            }
            if self.ready_at(spots + set) > cycle {
                return done;
            }
        }
        left
    }

    /// The same, each MAC by itself: what the table says of it, behind the one before.
    fn single_macs(
        &mut self,
        cursor: &mut Cursor<'_>,
        command: Command,
        (first, sets): (usize, usize),
        count: u32,
        queries: u32,
    ) -> Result<(), ProgramError> {
        let spots = self.column_spots(command);
        let mut earliest = cursor.ready.max(self.column_bus + 1);
        let mut deadline = self.deadline();
        let mut set = first;
        let mut taken: Option<Slots> = None;
        for _ in 0..count {
            let spot = spots + set;
            let mut cycle = self.ready_at(spot).max(earliest);
            // Rows are open.
            while cycle >= deadline {
                self.forced_refresh()?;
                deadline = self.deadline();
                cycle = self.ready_at(spot).max(earliest);
            }
            self.note_at(spot, cycle);
            let goes_on = taken.as_mut().is_some_and(|taken| taken.goes_on(Slots::one(cycle)));
            if !goes_on && let Some(before) = taken.replace(Slots::one(cycle)) {
                self.take_slots(before);
            }
            if let Some(record) = &mut self.trace {
                record.push(cycle, command, Address { row: self.open_rows[set], ..self.sets[set] });
            }
            earliest = cycle + 1;
            set = if set + 1 == first + sets { first } else { set + 1 };
        }
        self.budget = self.budget.saturating_sub(u64::from(count));
        if let Some(taken) = taken {
            self.take_slots(taken);
            cursor.ready = taken.last;
            cursor.result = taken.last + self.results_of(command);
            self.counts[command] += u64::from(count);
            self.counts.mac_queries += u64::from(count) * u64::from(queries);
        }
        Ok(())
    }

    /// ACT, RD, WR or PRE of one bank.
    fn ordinary(&mut self, cursor: &mut Cursor<'_>, command: Command, address: Address) -> Result<(), ProgramError> {
        let bank = self.device.organisation.node(Level::Bank, address);
        let place = self.bank_place(command, bank, address);
        self.issue_row(cursor, command, address, place)?;
        self.readiness.noted_banks(cursor.ready);
        let bit = 1_u64.checked_shl(bank).unwrap_or(0);
        // Precharging a closed bank does nothing.
        let (fits, after) = match command {
            Command::Act => (self.ordinary & bit == 0, self.ordinary | bit),
            Command::Pre => (true, self.ordinary & !bit),
            _ => (self.ordinary & bit != 0, self.ordinary),
        };
        if !fits || self.open != 0 {
            let cycle = cursor.ready.unsigned_abs();
            return Err(ProgramError::BankState { command, cycle });
        }
        self.ordinary = after;
        Ok(())
    }
}
