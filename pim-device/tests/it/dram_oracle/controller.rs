//! The second controller.

use std::collections::VecDeque;
use std::ops::Range;

use pim_device::dram::{Access, ChannelConfig, Refresh, Request};
use pim_device::{Command, Level, Parameter};

/// A rule of the controller that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    Nothing,
    SiblingsAtTheNodeItself,
    BusNotOccupied,
    LengthsNotCounted,
    NoWindow,
    HighMark,
    LowMark,
    EmptyReadQueueStartsNothing,
    NoCloseProtection,
    ActiveByPosition,
    RowSlotFirst,
    NothingOnFallingEdges,
    NoPairing,
    SecondHalfAtOnce,
    SecondHalfAtTheDeadline,
    TwoHalves,
    ClockWithoutPostamble,
    NoGuardBeforeCas,
    RowHitsFirst,
    NoForwarding,
    EntryKeptAfterActivation,
    QueueServedDuringRefresh,
    RefreshLate,
    OneRefreshPerChannel,
    RefreshBeforeActive,
}

pub(super) type Log = Vec<(u64, Command, Option<u64>, u32)>;
type Place = (Level, u32);

#[derive(Clone, Copy, Debug)]
struct Waiting {
    request: Request,
    arrived: u64,
    bank: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bank {
    Closed,
    Half,
    Open(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Active(usize),
    Refresh(usize),
    Queue(usize, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Any,
    Column,
    Row,
    Falling,
}

pub(super) struct Oracle {
    config: ChannelConfig,
    broken: Broken,
    /// By line and node: the last preceding commands, and how long each took.
    notes: Vec<Vec<VecDeque<(u64, i64)>>>,
    bus: [u64; 2],
    banks: Vec<Bank>,
    queues: [Vec<Waiting>; 2],
    /// Addresses of buffered writes, where the entry is kept too long.
    kept: Vec<(u32, u32, u32)>,
    active: Vec<Waiting>,
    refreshes: Vec<(Place, Command)>,
    next_bank: u32,
    writing: bool,
    pub(super) now: u64,
    answered: u64,
    edge: Option<(u64, Command, Option<u32>, u32)>,
    halves: Vec<(Waiting, u64)>,
    announced: Option<(From, Command)>,
    clock: u64,
    pub(super) log: Log,
    pub(super) done: Vec<(u64, u64)>,
}

impl Oracle {
    pub(super) fn new(config: &ChannelConfig, broken: Broken) -> Self {
        let nodes = |level| config.organisation.nodes(level) as usize;
        let lines = config.standard.constraints.iter();
        Self {
            config: config.clone(),
            broken,
            notes: lines.map(|line| vec![VecDeque::new(); nodes(line.level)]).collect(),
            bus: [0; 2],
            banks: vec![Bank::Closed; nodes(Level::Bank)],
            queues: [Vec::new(), Vec::new()],
            kept: Vec::new(),
            active: Vec::new(),
            refreshes: Vec::new(),
            next_bank: 0,
            writing: false,
            now: 0,
            answered: 0,
            edge: None,
            halves: Vec::new(),
            announced: None,
            clock: 0,
            log: Vec::new(),
            done: Vec::new(),
        }
    }

    fn is(&self, broken: Broken) -> bool {
        self.broken == broken
    }

    fn nodes(&self, level: Level) -> u32 {
        self.config.organisation.nodes(level)
    }

    /// The nodes of a level that a place touches.
    fn touched(&self, (at, node): Place, level: Level) -> Range<u32> {
        if level <= at {
            let above = node / (self.nodes(at) / self.nodes(level));
            above..above + 1
        } else {
            let each = self.nodes(level) / self.nodes(at);
            node * each..(node + 1) * each
        }
    }

    fn length(&self, command: Command) -> i64 {
        i64::from(self.config.standard.length(command))
    }

    fn bus_of(&self, command: Command) -> usize {
        if self.config.standard.two_buses { command.bus() as usize } else { 0 }
    }

    fn ready(&self, command: Command, place: Place) -> bool {
        let tick = self.now.cast_signed();
        let ticks = |parameter| self.config.ticks(parameter) as u32;
        if self.bus[self.bus_of(command)] > self.now {
            return false;
        }
        self.config.standard.constraints.iter().zip(&self.notes).all(|(line, notes)| {
            let window = usize::from(line.window);
            !line.following.contains(&command)
                || (self.is(Broken::NoWindow) && window > 1)
                || self.touched(place, line.level).all(|node| {
                    let Some(&(issued, length)) = notes[node as usize].iter().nth_back(window - 1) else {
                        return true;
                    };
                    let lengths = if self.is(Broken::LengthsNotCounted) { 0 } else { length - self.length(command) };
                    let wait = line.latency.signed_cycles(ticks) + lengths;
                    wait <= 0 || tick >= issued.cast_signed() + wait
                })
        })
    }

    fn issue(&mut self, command: Command, place: Place, tag: Option<u64>) {
        self.log.push((self.now, command, tag, place.1));
        if self.length(command) > 1 && !self.is(Broken::BusNotOccupied) {
            let bus = self.bus_of(command);
            self.bus[bus] = self.now + self.length(command) as u64;
        }
        for index in 0..self.notes.len() {
            let line = self.config.standard.constraints[index];
            if !line.preceding.contains(&command) || (line.sibling && place.0 < line.level) {
                continue;
            }
            let own = self.touched(place, line.level);
            let mut nodes: Vec<u32> = own.clone().collect();
            if line.sibling && !self.is(Broken::SiblingsAtTheNodeItself) {
                let above = Level::ALL[line.level as usize - 1];
                let family = self.touched((above, self.touched(place, above).start), line.level);
                nodes = family.filter(|node| !own.contains(node)).collect();
            }
            let note = (self.now, self.length(command));
            for node in nodes {
                self.notes[index][node as usize].push_back(note);
            }
        }
    }

    pub(super) fn offer(&mut self, request: &Request) -> bool {
        let organisation = &self.config.organisation;
        let bank = organisation.node(Level::Bank, request.address);
        let key = (bank, request.address.row, request.column);
        let at = |waiting: &Waiting| (waiting.bank, waiting.request.address.row, waiting.request.column);
        let buffered = self.queues[1].iter().any(|write| at(write) == key) || self.kept.contains(&key);
        if buffered && !self.is(Broken::NoForwarding) {
            let done = match request.access {
                Access::Read => self.answer(self.now + 1),
                Access::Write => self.now,
            };
            self.done.push((request.tag, done));
            return true;
        }
        let capacity = [self.config.queues.read, self.config.queues.write][request.access as usize];
        let queue = &mut self.queues[request.access as usize];
        if queue.len() >= capacity as usize {
            return false;
        }
        queue.push(Waiting { request: *request, arrived: self.now, bank });
        true
    }

    fn answer(&mut self, due: u64) -> u64 {
        self.answered = self.answered.max(due);
        self.answered
    }

    fn next(&self, waiting: &Waiting) -> Command {
        let split = self.config.standard.commands.contains(&Command::Act1);
        match self.banks[waiting.bank as usize] {
            Bank::Closed if split => Command::Act1,
            Bank::Closed => Command::Act,
            Bank::Half => Command::Act2,
            Bank::Open(row) if row == waiting.request.address.row => {
                [Command::Rd, Command::Wr][waiting.request.access as usize]
            }
            Bank::Open(_) => Command::Pre,
        }
    }

    fn owned(&self, place: Place) -> bool {
        let banks = self.touched(place, Level::Bank);
        self.active.iter().any(|waiting| banks.contains(&waiting.bank))
    }

    fn refresh_command(&self, (place, command): (Place, Command)) -> Command {
        let mut banks = self.touched(place, Level::Bank);
        if banks.all(|bank| self.banks[bank as usize] == Bank::Closed) {
            return command;
        }
        if place.0 == Level::Bank { Command::Pre } else { Command::PreA }
    }

    /// Whether a command may be sent in this slot at all.
    fn eligible(&self, slot: Slot, command: Command, place: Place) -> bool {
        let column = command.bus() as usize == 1;
        let precharge = matches!(command, Command::Pre | Command::PreA);
        let split = !self.halves.is_empty();
        let in_slot = match slot {
            Slot::Any => true,
            Slot::Column => column,
            Slot::Row => !column,
            Slot::Falling => {
                let bank = (place.0 == Level::Bank).then_some(place.1);
                let pseudo_channel = self.touched(place, Level::PseudoChannel).start;
                precharge
                    && self.edge.is_none_or(|(edge, _, last, last_pseudo_channel)| {
                        edge != self.now
                            || last_pseudo_channel != pseudo_channel
                            || self.is(Broken::NoPairing)
                            || (last.is_some() && bank.is_some() && last != bank)
                    })
            }
        };
        let halves = !split
            || match command {
                Command::Rd | Command::Wr => true,
                Command::Act1 => self.is(Broken::TwoHalves),
                _ => self.touched(place, Level::Bank).all(|bank| self.banks[bank as usize] != Bank::Half),
            };
        in_slot && halves && command != Command::Act2
    }

    fn mode(&mut self) -> usize {
        let (reads, writes) = (self.queues[0].len() as u32, self.queues[1].len() as u32);
        let high = self.config.queues.write_high + u32::from(self.is(Broken::HighMark));
        let low = self.config.queues.write_low + u32::from(self.is(Broken::LowMark));
        if self.writing {
            self.writing = !(writes <= low && reads > 0);
        } else {
            self.writing = writes >= high || (reads == 0 && !self.is(Broken::EmptyReadQueueStartsNothing));
        }
        usize::from(self.writing)
    }

    fn pick(&mut self, slot: Slot) -> Option<(From, Command)> {
        let sources = if self.is(Broken::RefreshBeforeActive) { [1, 0] } else { [0, 1] };
        for source in sources {
            let found = if source == 0 { self.pick_active(slot) } else { self.pick_refresh(slot) };
            if found.is_some() {
                return found;
            }
        }
        let all_bank = self.config.refresh == Refresh::AllBank;
        if all_bank && !self.refreshes.is_empty() && !self.is(Broken::QueueServedDuringRefresh) {
            return None;
        }
        let queue = self.mode();
        let may = |&index: &usize| {
            let waiting = &self.queues[queue][index];
            let (command, place) = (self.next(waiting), (Level::Bank, waiting.bank));
            let held = !all_bank && self.refreshes.iter().any(|(refresh, _)| *refresh == place);
            let protected = command == Command::Pre && self.owned(place) && !self.is(Broken::NoCloseProtection);
            !held && !protected && self.eligible(slot, command, place) && self.ready(command, place)
        };
        let mut ready: Vec<usize> = (0..self.queues[queue].len()).filter(may).collect();
        if self.is(Broken::RowHitsFirst) {
            ready.sort_by_key(|&index| self.next(&self.queues[queue][index]).bus() as usize == 0);
        }
        let index = *ready.first()?;
        Some((From::Queue(queue, index), self.next(&self.queues[queue][index])))
    }

    fn pick_active(&self, slot: Slot) -> Option<(From, Command)> {
        if matches!(slot, Slot::Row | Slot::Falling) {
            return None;
        }
        let may = |index: &usize| {
            let waiting = &self.active[*index];
            let (command, place) = (self.next(waiting), (Level::Bank, waiting.bank));
            self.eligible(slot, command, place) && self.ready(command, place)
        };
        let mut ready = (0..self.active.len()).filter(may);
        let index = if self.is(Broken::ActiveByPosition) {
            ready.next()
        } else {
            ready.min_by_key(|&index| self.active[index].arrived)
        }?;
        Some((From::Active(index), self.next(&self.active[index])))
    }

    fn pick_refresh(&self, slot: Slot) -> Option<(From, Command)> {
        let looked_at = if self.config.refresh == Refresh::PerBank { self.refreshes.len() } else { 1 };
        for (index, refresh) in self.refreshes.iter().enumerate().take(looked_at) {
            let (command, place) = (self.refresh_command(*refresh), refresh.0);
            let closes = command != refresh.1;
            let half = self.touched(place, Level::Bank).any(|bank| self.banks[bank as usize] == Bank::Half);
            let protected = closes && (half || (self.owned(place) && !self.is(Broken::NoCloseProtection)));
            if !protected && self.eligible(slot, command, place) && self.ready(command, place) {
                return Some((From::Refresh(index), command));
            }
        }
        None
    }

    fn take(&mut self, from: From) -> Waiting {
        match from {
            From::Active(index) => self.active.remove(index),
            From::Queue(queue, index) => self.queues[queue].remove(index),
            From::Refresh(_) => unreachable!(),
        }
    }

    fn send(&mut self, from: From, command: Command) {
        if let From::Refresh(index) = from {
            let (place, refresh) = self.refreshes[index];
            self.issue(command, place, None);
            if command == refresh {
                self.refreshes.remove(index);
            } else {
                for bank in self.touched(place, Level::Bank) {
                    self.banks[bank as usize] = Bank::Closed;
                }
            }
            return;
        }
        let waiting = match from {
            From::Active(index) => self.active[index],
            From::Queue(queue, index) => self.queues[queue][index],
            From::Refresh(_) => unreachable!(),
        };
        let tag = waiting.request.tag;
        self.issue(command, (Level::Bank, waiting.bank), Some(tag));
        match command {
            Command::Pre => self.banks[waiting.bank as usize] = Bank::Closed,
            Command::Act => {
                let waiting = self.take(from);
                self.keep(&waiting);
                self.banks[waiting.bank as usize] = Bank::Open(waiting.request.address.row);
                self.active.push(waiting);
            }
            Command::Act1 => {
                let waiting = self.take(from);
                self.keep(&waiting);
                self.banks[waiting.bank as usize] = Bank::Half;
                self.halves.push((waiting, self.now + self.config.ticks(Parameter::Aad)));
            }
            _ => {
                let waiting = self.take(from);
                self.kept.retain(|key| *key != (waiting.bank, waiting.request.address.row, waiting.request.column));
                let done = match command {
                    Command::Rd => self.answer(self.now + self.config.read_latency()),
                    _ => self.now,
                };
                self.done.push((tag, done));
            }
        }
    }

    fn keep(&mut self, waiting: &Waiting) {
        if self.is(Broken::EntryKeptAfterActivation) && waiting.request.access == Access::Write {
            self.kept.push((waiting.bank, waiting.request.address.row, waiting.request.column));
        }
    }

    fn slot(&mut self, slot: Slot) -> Option<(Command, Place)> {
        let (from, command) = self.pick(slot)?;
        let place = match from {
            From::Active(index) => (Level::Bank, self.active[index].bank),
            From::Queue(queue, index) => (Level::Bank, self.queues[queue][index].bank),
            From::Refresh(index) => self.refreshes[index].0,
        };
        self.send(from, command);
        Some((command, place))
    }

    fn push_refreshes(&mut self) {
        let level = self.config.standard.refresh_level;
        let nodes = self.nodes(level);
        let each = self.nodes(Level::Bank) / nodes;
        let interval = match self.config.refresh {
            Refresh::None => return,
            Refresh::AllBank => self.config.ticks(Parameter::Refi),
            Refresh::PerBank => self.config.ticks(Parameter::Refi) / u64::from(each),
        };
        let now = self.now - u64::from(self.is(Broken::RefreshLate));
        if now == 0 || !now.is_multiple_of(interval) {
            return;
        }
        let nodes = if self.is(Broken::OneRefreshPerChannel) { 1 } else { nodes };
        for node in 0..nodes {
            self.refreshes.push(match self.config.refresh {
                Refresh::PerBank => ((Level::Bank, node * each + self.next_bank), Command::RefPb),
                _ if self.is(Broken::OneRefreshPerChannel) => ((Level::Channel, 0), Command::RefAb),
                _ => ((level, node), Command::RefAb),
            });
        }
        self.next_bank = (self.next_bank + 1) % each;
    }

    pub(super) fn tick(&mut self) {
        self.now += 1;
        self.push_refreshes();
        let standard = self.config.standard;
        if standard.commands.contains(&Command::Act1) {
            self.split_tick();
        } else if !standard.two_buses {
            self.slot(Slot::Any);
        } else if standard.ticks_per_clock == 1 && self.is(Broken::RowSlotFirst) {
            self.slot(Slot::Row);
            self.slot(Slot::Column);
        } else if standard.ticks_per_clock == 1 || self.now % 2 == 1 {
            self.slot(Slot::Column);
            if let Some((command, place)) = self.slot(Slot::Row) {
                let after = if command == Command::Act { 3 } else { 1 };
                let bank = (place.0 == Level::Bank).then_some(place.1);
                self.edge = Some((self.now + after, command, bank, self.touched(place, Level::PseudoChannel).start));
            }
        } else if !self.is(Broken::NothingOnFallingEdges) {
            self.slot(Slot::Falling);
        }
    }

    fn second_half(&mut self, index: usize) {
        let (waiting, _) = self.halves.remove(index);
        self.issue(Command::Act2, (Level::Bank, waiting.bank), Some(waiting.request.tag));
        self.banks[waiting.bank as usize] = Bank::Open(waiting.request.address.row);
        self.active.push(waiting);
    }

    fn access(&mut self, from: From, command: Command) {
        let ticks = |parameter| self.config.ticks(parameter);
        let latency = if command == Command::Rd { ticks(Parameter::Cl) } else { ticks(Parameter::Cwl) };
        let postamble = if self.is(Broken::ClockWithoutPostamble) { 0 } else { ticks(Parameter::WckPst) };
        self.clock = self.clock.max(self.now + latency + ticks(Parameter::BlMin) + postamble);
        self.send(from, command);
    }

    fn split_tick(&mut self) {
        if let Some((from, command)) = self.announced {
            let bank = match from {
                From::Active(index) => self.active[index].bank,
                From::Queue(queue, index) => self.queues[queue][index].bank,
                From::Refresh(_) => unreachable!(),
            };
            if self.ready(command, (Level::Bank, bank)) {
                self.announced = None;
                self.access(from, command);
            }
            return;
        }
        let due = (0..self.halves.len()).min_by_key(|&index| self.halves[index].1);
        let deadline = due.map_or(u64::MAX, |index| self.halves[index].1);
        if let Some(index) = due
            && (deadline <= self.now || self.is(Broken::SecondHalfAtOnce))
        {
            self.second_half(index);
            return;
        }
        match self.pick(Slot::Any) {
            None => {
                if let Some(index) = due
                    && !self.is(Broken::SecondHalfAtTheDeadline)
                {
                    self.second_half(index);
                }
            }
            Some((from, command @ (Command::Rd | Command::Wr))) => {
                if self.now < self.clock {
                    self.access(from, command);
                } else if let Some(index) = due
                    && deadline <= self.now + 1
                    && !self.is(Broken::NoGuardBeforeCas)
                {
                    self.second_half(index);
                } else {
                    let waiting = match from {
                        From::Active(index) => self.active[index],
                        From::Queue(queue, index) => self.queues[queue][index],
                        From::Refresh(_) => unreachable!(),
                    };
                    let cas = if command == Command::Rd { Command::CasRd } else { Command::CasWr };
                    self.issue(cas, (Level::Bank, waiting.bank), Some(waiting.request.tag));
                    self.announced = Some((from, command));
                }
            }
            Some((from, command)) => self.send(from, command),
        }
    }
}
