//! One channel: its banks and its controller.
//!
//! The controller has two sides. Ordered commands are executed in their order, each at the first tick at which the
//! constraints allow it. Ordinary accesses wait in a queue for reads and one for writes and go first ready, first come. A
//! side takes nothing while the other has something queued. An access whose row is being opened has left its queue and
//! goes before everything else as soon as it is ready.
//!
//! Nothing that comes later can change when an ordered command is issued, so all of them are timed when they arrive, a
//! run of the same command in one step. Accesses are followed from event to event.

use std::collections::VecDeque;
use std::sync::Arc;

use super::constraint::COMPLETION;
use super::program::Ordered;
use super::record::{Log, Logged};
use super::spec::AimSpec;
use crate::command::{Address, Command, CommandCounts};
use crate::dram::{BankState, Banks, Place, RuleTable, Tick, TimingState};
use crate::organisation::Level;

/// Writes are drained while there are more of them than this part of the queue ...
const DRAIN: (usize, usize) = (8, 10);
/// ... until there are fewer than this.
const DRAINED: (usize, usize) = (2, 10);

/// Configuration: what all channels of a device share.
#[derive(Debug)]
pub(super) struct Shared {
    rules: Arc<RuleTable>,
    /// Entries of each queue.
    queue: u64,
    all: Place,
    banks: Vec<Place>,
    /// From issue to completion, by command.
    completion: [Tick; Command::ALL.len()],
}

impl Shared {
    pub(super) fn new(device: &AimSpec) -> Self {
        let rules = device.rules();
        let mut completion = [0; Command::ALL.len()];
        for (commands, latency) in COMPLETION {
            let ticks = latency.cycles(|parameter| device.timing.get(parameter));
            for command in *commands {
                completion[command.index()] = Tick::from(ticks);
            }
        }
        let organisation = device.organisation;
        let address = |bank: u32| Address {
            bank_group: (bank / organisation.banks) as u8,
            bank: (bank % organisation.banks) as u8,
            ..Address::default()
        };
        let banks = (0..organisation.banks_per_channel()).map(|bank| rules.bank(address(bank))).collect();
        let all = rules.node(Level::Channel, 0);
        Self { rules, queue: u64::from(device.queue.max(1)), all, banks, completion }
    }
}

/// Statistics: of one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Statistics {
    pub(super) commands: CommandCounts,
    /// Ticks by the command that was waited for.
    pub(super) ticks: CommandCounts,
    /// Ticks without anything to do.
    pub(super) idle: u64,
}

impl Statistics {
    /// Adds another.
    pub(super) fn add(&mut self, other: &Self) {
        self.commands += other.commands;
        self.ticks += other.ticks;
        self.idle += other.idle;
    }

    /// Adds what came between two states `times` times again.
    fn repeat_since(&mut self, before: &Self, times: u64) {
        for command in Command::ALL {
            self.commands[command] += (self.commands[command] - before.commands[command]) * times;
            self.ticks[command] += (self.ticks[command] - before.ticks[command]) * times;
        }
        self.idle += (self.idle - before.idle) * times;
    }
}

/// An ordinary access in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Access {
    command: Command,
    bank: u8,
    column: u16,
    row: u32,
    arrived: Tick,
}

/// Ordered commands of one kind in a row: issued at `first`, `first + gap`, ...
#[derive(Clone, Copy, Debug)]
struct Run {
    first: Tick,
    gap: Tick,
    count: u64,
}

/// What became of something that was sent to a channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    /// When the last of it was in the queue.
    pub(super) queued: Tick,
    /// When the channel answered, where the dispatcher waits for that.
    pub(super) answered: Option<Tick>,
}

/// State: one channel.
#[derive(Clone, Debug)]
pub(super) struct Channel<L> {
    timing: TimingState,
    banks: Banks,
    /// The row that is open in every bank, where there is one and it is known.
    open_row: Option<u32>,
    /// In the mode for registers rather than banks.
    registers: bool,
    /// The first tick at which the command bus is free.
    free: Tick,
    /// The ordered side: the newest runs, at least as many commands as a queue holds, and how many they are.
    runs: VecDeque<Run>,
    noted: u64,
    /// When the last ordered command left its queue.
    ordered_until: Tick,
    /// The other side.
    reads: Vec<Access>,
    writes: Vec<Access>,
    opening: Vec<Access>,
    draining: bool,
    /// When the last answer was given: one a tick.
    answered: Tick,
    /// When the last command without an answer is completed.
    completed: Tick,
    /// The last issue, for the statistics.
    previous: Tick,
    pub(super) statistics: Statistics,
    /// Statistics: the commands, where they are wanted.
    pub(super) log: L,
}

impl<L: Log> Channel<L> {
    pub(super) fn new(shared: &Shared) -> Self {
        Self {
            timing: TimingState::new(Arc::clone(&shared.rules)),
            banks: Banks::new(shared.rules.organisation()),
            open_row: None,
            registers: false,
            free: 0,
            runs: VecDeque::new(),
            noted: 0,
            ordered_until: 0,
            reads: Vec::new(),
            writes: Vec::new(),
            opening: Vec::new(),
            draining: false,
            answered: 0,
            completed: 0,
            previous: 0,
            statistics: Statistics::default(),
            log: L::default(),
        }
    }

    /// What an instruction says, from `tick` on.
    pub(super) fn order(&mut self, shared: &Shared, ordered: &Ordered, tick: Tick) -> Sent {
        let Ordered { command, bank, row, columns, .. } = *ordered;
        let tick = self.let_accesses_go(shared, tick);
        let mut left = u64::from(columns);
        while left > 0 {
            let column = ordered.column.saturating_add(columns - left as u32);
            let first = self.order_one(shared, (command, bank, row, column as u16), tick);
            left -= 1;
            let mut run = Run { first, gap: 1, count: 1 };
            if left > 0 && self.opening.is_empty() && command != Command::WrAb {
                // The row stays open, and the only constraint that moves is that of the command to itself.
                let place = Self::place(shared, command, bank);
                run.gap = self.timing.ready_at(command, &place).saturating_sub(first).max(1);
                run.count += left;
                let last = first + run.gap * left;
                self.timing.issue(command, &place, last);
                self.account(command, last, last - first, left);
                self.finish(shared, command, last, left);
                if L::LOOKS {
                    for more in 1..=left {
                        let (tick, column) = (first + run.gap * more, column.saturating_add(more as u32) as u16);
                        self.log.push(Logged { tick, command, bank, row, column });
                    }
                }
                left = 0;
            }
            self.note(shared, run);
        }
        let answers = matches!(command, Command::RdMac | Command::RdAf);
        Sent { queued: self.queued(shared, tick), answered: answers.then_some(self.answered) }
    }

    /// A barrier that arrives at `tick`: answered when everything before it is completed.
    pub(super) fn barrier(&mut self, shared: &Shared, tick: Tick) -> Sent {
        let tick = self.let_accesses_go(shared, tick);
        let mut taken = tick.max(self.free);
        while let (Some(access), _) = self.first_ready(shared, &self.opening, taken) {
            self.serve_opening(shared, access, taken);
            taken += 1;
        }
        self.free = taken + 1;
        self.ordered_until = taken;
        self.note(shared, Run { first: taken, gap: 1, count: 1 });
        // Answers are given in the order of issue, so that the barrier's place is here ...
        let (before, reads) = (self.answered, self.statistics.commands[Command::Rd]);
        let mut answered = taken;
        loop {
            let earliest = (taken + 1).max(before + 1).max(self.completed + 1);
            if earliest <= answered {
                break;
            }
            answered = earliest;
            // ... but what is being opened goes on, and a write among it is waited for.
            self.advance(shared, answered);
        }
        let later = self.statistics.commands[Command::Rd] - reads;
        self.answered = if later > 0 { self.answered.max(answered + later) } else { answered };
        Sent { queued: self.queued(shared, tick), answered: Some(answered) }
    }

    /// An ordinary access that arrives at `tick`; when it is queued.
    pub(super) fn access(
        &mut self,
        shared: &Shared,
        (command, bank, row, column): (Command, u8, u32, u16),
        tick: Tick,
    ) -> Tick {
        let mut tick = tick.max(self.ordered_until + 1);
        self.advance(shared, tick);
        if command == Command::Rd && !self.writes.is_empty() {
            // The model answers a read from the queue of writes without looking at addresses.
            self.answered = tick.max(self.answered + 1);
            return tick;
        }
        while self.queue(command).len() as u64 >= shared.queue {
            tick += 1;
            self.advance(shared, tick);
        }
        if self.is_idle() {
            self.free = self.free.max(tick);
        }
        let access = Access { command, bank, column, row, arrived: tick };
        let queue = if command == Command::Rd { &mut self.reads } else { &mut self.writes };
        queue.push(access);
        tick
    }

    /// Whether an access that comes at `tick` is issued at once.
    pub(super) fn is_immediate(
        &self,
        shared: &Shared,
        (command, bank, row, _): (Command, u8, u32, u16),
        tick: Tick,
    ) -> bool {
        self.is_idle()
            && !self.registers
            && self.free.max(self.ordered_until + 1) <= tick
            && self.banks.is_open(usize::from(bank), row)
            && self.ready(shared, command, bank) <= tick
    }

    /// An access that [`Self::is_immediate`].
    pub(super) fn access_at_once(
        &mut self,
        shared: &Shared,
        (command, bank, row, column): (Command, u8, u32, u16),
        tick: Tick,
    ) {
        self.draining = command == Command::Wr;
        self.log.push(Logged { tick, command, bank, row, column });
        self.issue(shared, command, bank, row, tick, tick);
        self.finish(shared, command, tick, 1);
    }

    /// `count` more reads were answered, no more than one a tick.
    pub(super) const fn answer(&mut self, count: u64) {
        self.answered += count;
    }

    /// `count` more accesses of this kind were issued as soon as they came, each `period` after the one before and a column
    /// further, the last of them at `tick`. The answers of reads but the last have been counted by [`Self::answer`].
    pub(super) fn accessed(
        &mut self,
        shared: &Shared,
        (command, bank, row, column): (Command, u8, u32, u16),
        (count, period): (u64, Tick),
        tick: Tick,
    ) {
        if L::LOOKS {
            for more in 1..=count {
                let (tick, column) = (tick - period * (count - more), column.saturating_add(more as u16));
                self.log.push(Logged { tick, command, bank, row, column });
            }
        }
        self.timing.issue(command, &Self::place(shared, command, bank), tick);
        self.statistics.idle += tick - self.previous;
        self.account(command, tick, 0, count);
        self.finish(shared, command, tick, 0);
    }

    fn queue(&self, command: Command) -> &[Access] {
        if command == Command::Rd { &self.reads } else { &self.writes }
    }

    fn is_idle(&self) -> bool {
        self.reads.is_empty() && self.writes.is_empty() && self.opening.is_empty()
    }

    /// Follows the accesses through all ticks before `until`.
    pub(super) fn advance(&mut self, shared: &Shared, until: Tick) {
        while !self.is_idle() && self.free < until {
            self.step(shared, until);
        }
    }

    /// When an ordered command that comes at `tick` is taken: no access is queued any more.
    fn let_accesses_go(&mut self, shared: &Shared, tick: Tick) -> Tick {
        self.advance(shared, tick);
        let mut tick = tick;
        while !self.reads.is_empty() || !self.writes.is_empty() {
            self.step(shared, Tick::MAX);
            tick = self.free;
        }
        tick
    }

    /// One tick of the accesses at [`Self::free`], or a leap to the next at which something can happen.
    fn step(&mut self, shared: &Shared, until: Tick) {
        let tick = self.free;
        let (ready, opening_wakes) = self.first_ready(shared, &self.opening, tick);
        if let Some(access) = ready {
            self.serve_opening(shared, access, tick);
            self.free = tick + 1;
            return;
        }
        let entries = (shared.queue - 1) as usize;
        if self.reads.is_empty() || self.writes.len() * DRAIN.1 > entries * DRAIN.0 {
            self.draining = true;
        } else if self.writes.len() * DRAINED.1 < entries * DRAINED.0 {
            self.draining = false;
        }
        let queue = if self.draining { &self.writes } else { &self.reads };
        let (ready, wakes) = self.first_ready(shared, queue, tick);
        if let Some(index) = ready {
            let access = queue[index];
            let command = self.next_of_access(access);
            if !(command == Command::Pre && self.is_bank_opening(access.bank)) {
                self.serve(shared, index, command, tick);
                self.free = tick + 1;
                return;
            }
        }
        self.free = opening_wakes.min(wakes).min(until);
    }

    /// The first come of those that are ready, and when the next of the others is.
    fn first_ready(&self, shared: &Shared, accesses: &[Access], tick: Tick) -> (Option<usize>, Tick) {
        let mut first: Option<usize> = None;
        let mut next = Tick::MAX;
        for (index, access) in accesses.iter().enumerate() {
            let ready = self.ready(shared, self.next_of_access(*access), access.bank);
            if ready > tick {
                next = next.min(ready);
            } else if first.is_none_or(|first| access.arrived < accesses[first].arrived) {
                first = Some(index);
            }
        }
        (first, next)
    }

    fn is_bank_opening(&self, bank: u8) -> bool {
        self.opening.iter().any(|access| access.bank == bank)
    }

    /// Goes on with an access whose row is being opened.
    fn serve_opening(&mut self, shared: &Shared, index: usize, tick: Tick) {
        let access = self.opening[index];
        let command = self.next_of_access(access);
        if self.switch(shared, false, tick, access.arrived) {
            return;
        }
        self.issue(shared, command, access.bank, access.row, tick, access.arrived);
        self.log_access(access, command, tick);
        if command == access.command {
            self.opening.remove(index);
            self.finish(shared, command, tick, 1);
        }
    }

    /// Goes on with an access of the queue at hand.
    fn serve(&mut self, shared: &Shared, index: usize, command: Command, tick: Tick) {
        let queue = if self.draining { &mut self.writes } else { &mut self.reads };
        let access = queue[index];
        if self.switch(shared, false, tick, access.arrived) {
            return;
        }
        let queue = if self.draining { &mut self.writes } else { &mut self.reads };
        if command != Command::Pre {
            queue.remove(index);
        }
        self.issue(shared, command, access.bank, access.row, tick, access.arrived);
        self.log_access(access, command, tick);
        match command {
            Command::Act => self.opening.push(access),
            Command::Pre => {}
            _ => self.finish(shared, command, tick, 1),
        }
    }

    fn log_access(&mut self, access: Access, command: Command, tick: Tick) {
        let Access { bank, row, column, .. } = access;
        self.log.push(Logged { tick, command, bank, row, column });
    }

    /// The next command of an access.
    fn next_of_access(&self, access: Access) -> Command {
        self.next_at_bank(access.command, access.bank, access.row)
    }

    fn next_at_bank(&self, command: Command, bank: u8, row: u32) -> Command {
        match self.banks.state(usize::from(bank)) {
            BankState::Open(open) if open == row => command,
            BankState::Closed => Command::Act,
            _ => Command::Pre,
        }
    }

    /// The next command on the way to an ordered one.
    fn next_of_ordered(&self, shared: &Shared, command: Command, bank: u8, row: u32) -> Command {
        match command {
            Command::RdCp | Command::WrCp => self.next_at_bank(command, bank, row),
            Command::MacAb | Command::EwMul | Command::Af | Command::WrAb => {
                if let Some(open) = self.open_row {
                    return if open == row { command } else { Command::PreA };
                }
                if self.banks.all_closed(&shared.all) {
                    return Command::ActAb;
                }
                let mut closed = false;
                for bank in 0..shared.banks.len() {
                    if !self.banks.is_open(bank, row) {
                        if self.banks.state(bank) != BankState::Closed {
                            return Command::PreA;
                        }
                        closed = true;
                    }
                }
                if closed { Command::ActAb } else { command }
            }
            _ => command,
        }
    }

    /// Brings one ordered command that was there at `asked` to its issue, and says when that was.
    fn order_one(
        &mut self,
        shared: &Shared,
        (command, bank, row, column): (Command, u8, u32, u16),
        asked: Tick,
    ) -> Tick {
        let registers = matches!(command, Command::WrGb | Command::WrMac | Command::RdMac | Command::RdAf);
        let mut tick = asked.max(self.free);
        loop {
            let mut wake = Tick::MAX;
            if !self.opening.is_empty() {
                let (ready, wakes) = self.first_ready(shared, &self.opening, tick);
                if let Some(access) = ready {
                    self.serve_opening(shared, access, tick);
                    tick += 1;
                    continue;
                }
                wake = wakes;
            }
            let next = self.next_of_ordered(shared, command, bank, row);
            let ready = self.ready(shared, next, bank);
            if ready > tick {
                tick = ready.min(wake);
                continue;
            }
            if next == Command::Pre && self.is_bank_opening(bank) {
                tick = wake.max(tick + 1);
                continue;
            }
            if !self.switch(shared, registers, tick, asked) {
                self.issue(shared, next, bank, row, tick, asked);
                self.log.push(Logged { tick, command: next, bank, row, column });
                if next == command {
                    break;
                }
            }
            tick += 1;
        }
        self.finish(shared, command, tick, 1);
        self.ordered_until = tick;
        tick
    }

    /// Sends the mode switch if another mode is wanted.
    fn switch(&mut self, shared: &Shared, registers: bool, tick: Tick, asked: Tick) -> bool {
        if self.registers == registers {
            return false;
        }
        self.registers = registers;
        self.issue(shared, Command::SetM, 0, 0, tick, asked);
        self.log.push(Logged { tick, command: Command::SetM, bank: 0, row: 0, column: 0 });
        true
    }

    /// Issues a command for something that has waited since `asked`.
    fn issue(&mut self, shared: &Shared, command: Command, bank: u8, row: u32, tick: Tick, asked: Tick) {
        self.timing.issue(command, &Self::place(shared, command, bank), tick);
        match command {
            Command::Act => {
                self.banks.open(usize::from(bank), row);
                self.open_row = None;
            }
            Command::ActAb => {
                (0..shared.banks.len()).for_each(|bank| self.banks.open(bank, row));
                self.open_row = Some(row);
            }
            Command::Pre => {
                self.banks.close(usize::from(bank));
                self.open_row = None;
            }
            Command::PreA | Command::WrAb => {
                self.banks.close_all(&shared.all);
                self.open_row = None;
            }
            _ => {}
        }
        let idle = asked.saturating_sub(self.previous).min(tick - self.previous);
        self.statistics.idle += idle;
        self.account(command, tick, tick - self.previous - idle, 1);
    }

    fn account(&mut self, command: Command, tick: Tick, waited: Tick, count: u64) {
        self.statistics.commands[command] += count;
        self.statistics.ticks[command] += waited;
        self.previous = tick;
    }

    /// What follows from the issue of `count` commands that were asked for, the last at `tick`.
    fn finish(&mut self, shared: &Shared, command: Command, tick: Tick, count: u64) {
        let completed = tick + shared.completion[command.index()];
        if matches!(command, Command::Rd | Command::RdMac | Command::RdAf) {
            // One answer a tick.
            self.answered = completed.max(self.answered + count);
        } else {
            self.completed = self.completed.max(completed);
        }
        self.free = tick + 1;
        if !matches!(command, Command::Rd | Command::Wr) {
            self.ordered_until = tick;
        }
    }

    fn place(shared: &Shared, command: Command, bank: u8) -> Place {
        match command {
            Command::Act | Command::Pre | Command::Rd | Command::Wr | Command::RdCp | Command::WrCp => {
                shared.banks[usize::from(bank)]
            }
            _ => shared.all,
        }
    }

    fn ready(&self, shared: &Shared, command: Command, bank: u8) -> Tick {
        self.timing.ready_at(command, &Self::place(shared, command, bank))
    }

    /// Keeps as many runs as the queue is deep.
    fn note(&mut self, shared: &Shared, run: Run) {
        self.noted += run.count;
        self.runs.push_back(run);
        while let Some(oldest) = self.runs.front()
            && self.noted - oldest.count > shared.queue
        {
            self.noted -= oldest.count;
            self.runs.pop_front();
        }
    }

    /// When the newest ordered command was queued, where it could not be before `tick`: the queue has to have room.
    fn queued(&self, shared: &Shared, tick: Tick) -> Tick {
        let mut back = shared.queue;
        for run in self.runs.iter().rev() {
            if back < run.count {
                return tick.max(run.first + run.gap * (run.count - 1 - back) + 1);
            }
            back -= run.count;
        }
        tick
    }

    /// Whether this channel at `tick` will do what `other` does at `its_tick`. No ordered command waits in either.
    pub(super) fn is_same_at(&self, tick: Tick, other: &Self, its_tick: Tick) -> bool {
        let later = |of: Tick, tick: Tick| of.saturating_sub(tick);
        let same_queue = |mine: &[Access], its: &[Access]| {
            mine.len() == its.len()
                && mine.iter().zip(its).all(|(a, b)| {
                    // Before both, only the order of arrival matters, and that is the queue's.
                    (a.command, a.bank, a.row) == (b.command, b.bank, b.row)
                        && later(tick, a.arrived) == later(its_tick, b.arrived)
                })
        };
        self.ordered_until < tick
            && other.ordered_until < its_tick
            && (self.registers, self.draining) == (other.registers, other.draining)
            && later(self.free, tick) == later(other.free, its_tick)
            && later(self.answered + 1, tick) == later(other.answered + 1, its_tick)
            && later(self.completed + 1, tick) == later(other.completed + 1, its_tick)
            && self.banks == other.banks
            && same_queue(&self.reads, &other.reads)
            && same_queue(&self.writes, &other.writes)
            && same_queue(&self.opening, &other.opening)
            && self.timing.is_same_at(tick, &other.timing, its_tick)
    }

    /// Whether the accesses that wait in this channel have the columns of those that wait in `other`, which waits for the same.
    pub(super) fn has_columns_of(&self, other: &Self) -> bool {
        let queues = [(&self.reads, &other.reads), (&self.writes, &other.writes), (&self.opening, &other.opening)];
        queues.iter().all(|(mine, its)| mine.iter().zip(its.iter()).all(|(a, b)| a.column == b.column))
    }

    fn queues_mut(&mut self) -> [&mut Vec<Access>; 3] {
        [&mut self.reads, &mut self.writes, &mut self.opening]
    }

    /// What happened between `before` and this state at `tick` happens `times` times more, each taking `period`.
    pub(super) fn repeat_since(&mut self, before: &Self, tick: Tick, period: Tick, times: u64) {
        let ticks = period * times;
        self.statistics.repeat_since(&before.statistics, times);
        self.log.repeat_since(before.log.len(), period, times);
        self.timing.forward(tick, ticks);
        for (mine, its) in self.queues_mut().into_iter().zip([&before.reads, &before.writes, &before.opening]) {
            for (access, before) in mine.iter_mut().zip(its) {
                access.arrived += ticks;
                // What is new in every round is a column further in every round.
                if L::LOOKS && access.column != before.column {
                    access.column = access.column.saturating_add(times as u16);
                }
            }
        }
        self.free += ticks;
        self.answered += ticks;
        self.completed += ticks;
        self.previous += ticks;
    }
}
