//! A second, plain implementation of an AiM device: every cycle of every channel, one after the other, with the
//! constraint table read line by line. The fast one has to give the same.

use std::collections::{BTreeMap, VecDeque};

use pim_device::aim::constraint::{AIM, COMPLETION};
use pim_device::aim::{Accesses, AimProgram, AimSpec, Channels, Instruction, Ordered, Target, run, run_recorded};
use pim_device::{Command, CommandCounts, Level};
use proptest::prelude::*;

/// What waits in a channel.
#[derive(Clone, Copy, Debug)]
struct Request {
    /// `None` for a barrier.
    command: Option<Command>,
    bank: u8,
    row: u32,
    column: u32,
    arrived: u64,
}

/// A command of a channel: (tick, channel, command, bank, row, column), as far as it has them.
type Logged = (u64, usize, Command, Option<u8>, Option<u32>, Option<u32>);

/// What a command says of bank, row and column.
fn logged((tick, channel): (u64, usize), command: Command, (bank, row, column): (u8, u32, u32)) -> Logged {
    use Command::{Act, ActAb, Af, EwMul, MacAb, Rd, RdCp, Wr, WrAb, WrCp, WrGb};
    let bank = is_of_a_bank(command).then_some(bank);
    let row = matches!(command, Act | ActAb | Rd | Wr | RdCp | WrCp | MacAb | EwMul | Af | WrAb).then_some(row);
    let column = matches!(command, Rd | Wr | RdCp | WrCp | MacAb | EwMul | WrAb | WrGb).then_some(column);
    (tick, channel, command, bank, row, column)
}

/// An answer that is owed to the dispatcher.
#[derive(Clone, Copy, Debug)]
struct Answer {
    due: u64,
    barrier: bool,
    asked: bool,
}

#[derive(Debug, Default)]
struct PlainChannel {
    issued: BTreeMap<(Command, u8), u64>,
    open: Vec<Option<u32>>,
    registers: bool,
    ordered: VecDeque<Request>,
    reads: Vec<Request>,
    writes: Vec<Request>,
    opening: Vec<Request>,
    draining: bool,
    answers: VecDeque<Answer>,
    busy_until: Vec<u64>,
    counts: CommandCounts,
    log: Vec<(u64, Command, (u8, u32, u32))>,
}

fn is_of_a_bank(command: Command) -> bool {
    use Command::{Act, Pre, Rd, RdCp, Wr, WrCp};
    matches!(command, Act | Pre | Rd | Wr | RdCp | WrCp)
}

fn is_of_registers(command: Command) -> bool {
    matches!(command, Command::WrGb | Command::WrMac | Command::RdMac | Command::RdAf)
}

impl PlainChannel {
    /// Whether all lines of the table allow `command` at `tick`.
    fn allows(&self, device: &AimSpec, command: Command, bank: u8, tick: u64) -> bool {
        let group = |bank: u8| bank / device.organisation.banks as u8;
        AIM.iter().filter(|line| line.following.contains(&command)).all(|line| {
            let latency = line.latency.cycles(|parameter| device.timing.get(parameter));
            line.preceding.iter().all(|preceding| {
                self.issued.iter().filter(|((issued, _), _)| issued == preceding).all(|((issued, at), when)| {
                    let same = match line.level {
                        Level::BankGroup => is_of_a_bank(*issued) && group(*at) == group(bank),
                        Level::Bank => is_of_a_bank(*issued) && *at == bank,
                        _ => true,
                    };
                    !same || tick >= when + u64::from(latency)
                })
            })
        })
    }

    fn next(&self, command: Command, bank: u8, row: u32) -> Command {
        use Command::{Act, ActAb, Af, EwMul, MacAb, Pre, PreA, WrAb};
        if is_of_a_bank(command) {
            return match self.open[usize::from(bank)] {
                Some(open) if open == row => command,
                Some(_) => Pre,
                None => Act,
            };
        }
        if matches!(command, MacAb | EwMul | Af | WrAb) {
            if self.open.iter().flatten().any(|open| *open != row) {
                return PreA;
            }
            if self.open.iter().any(Option::is_none) {
                return ActAb;
            }
        }
        command
    }

    fn issue(&mut self, command: Command, (bank, row, column): (u8, u32, u32), tick: u64) {
        self.issued.insert((command, bank), tick);
        self.log.push((tick, command, (bank, row, column)));
        self.counts[command] += 1;
        match command {
            Command::Act => self.open[usize::from(bank)] = Some(row),
            Command::Pre => self.open[usize::from(bank)] = None,
            Command::ActAb => self.open.fill(Some(row)),
            Command::PreA | Command::WrAb => self.open.fill(None),
            _ => {}
        }
    }

    fn completion(device: &AimSpec, command: Command) -> u64 {
        let line = COMPLETION.iter().find(|(commands, _)| commands.contains(&command)).unwrap();
        u64::from(line.1.cycles(|parameter| device.timing.get(parameter)))
    }

    /// Whether the channel takes a request at the beginning of a tick.
    fn takes(&self, device: &AimSpec, ordered: bool, write: bool) -> bool {
        let room = |waiting: usize| waiting < device.queue as usize;
        if ordered {
            self.reads.is_empty() && self.writes.is_empty() && room(self.ordered.len())
        } else if write {
            self.ordered.is_empty() && room(self.writes.len())
        } else {
            // A read that a queued write answers needs no room.
            self.ordered.is_empty() && (!self.writes.is_empty() || room(self.reads.len()))
        }
    }

    fn take(&mut self, request: Request) {
        match request.command {
            Some(Command::Rd) if !self.writes.is_empty() => {
                self.answers.push_back(Answer { due: request.arrived, barrier: false, asked: false });
            }
            Some(Command::Rd) => self.reads.push(request),
            Some(Command::Wr) => self.writes.push(request),
            _ => self.ordered.push_back(request),
        }
    }

    /// One tick. How many answers reached the dispatcher.
    fn tick(&mut self, device: &AimSpec, tick: u64) -> u32 {
        let mut answered = 0;
        if let Some(answer) = self.answers.front()
            && answer.due <= tick
            && (!answer.barrier || self.busy_until.is_empty())
        {
            answered = u32::from(answer.asked);
            self.answers.pop_front();
        }
        self.busy_until.retain(|until| *until > tick);

        let step = |channel: &Self, request: &Request| {
            let command = channel.next(request.command.unwrap(), request.bank, request.row);
            (command, channel.allows(device, command, request.bank, tick))
        };
        let first_ready = |channel: &Self, queue: &[Request]| {
            let ready = queue.iter().enumerate().filter(|(_, request)| step(channel, request).1);
            ready.min_by_key(|(index, request)| (request.arrived, *index)).map(|(index, _)| index)
        };
        if let Some(index) = first_ready(self, &self.opening) {
            let request = self.opening[index];
            let (command, _) = step(self, &request);
            if !self.switch(request.command.unwrap(), tick) {
                self.issue(command, (request.bank, request.row, request.column), tick);
                if Some(command) == request.command {
                    self.opening.remove(index);
                    self.done(device, command, tick);
                }
            }
            return answered;
        }
        let closes = |channel: &Self, command: Command, bank: u8| {
            command == Command::Pre && channel.opening.iter().any(|request| request.bank == bank)
        };
        if let Some(request) = self.ordered.front().copied() {
            let Some(wanted) = request.command else {
                self.answers.push_back(Answer { due: tick, barrier: true, asked: true });
                self.ordered.pop_front();
                return answered;
            };
            let (command, ready) = step(self, &request);
            if ready && !closes(self, command, request.bank) && !self.switch(wanted, tick) {
                self.issue(command, (request.bank, request.row, request.column), tick);
                if command == wanted {
                    self.ordered.pop_front();
                    self.done(device, command, tick);
                }
            }
            return answered;
        }
        let entries = device.queue as usize - 1;
        let waiting = self.writes.len();
        if self.draining {
            self.draining = waiting * 10 >= entries * 2 || self.reads.is_empty();
        } else {
            self.draining = waiting * 10 > entries * 8 || self.reads.is_empty();
        }
        let queue = if self.draining { &self.writes } else { &self.reads };
        if let Some(index) = first_ready(self, queue) {
            let request = queue[index];
            let (command, _) = step(self, &request);
            if !closes(self, command, request.bank) && !self.switch(request.command.unwrap(), tick) {
                self.issue(command, (request.bank, request.row, request.column), tick);
                let queue = if self.draining { &mut self.writes } else { &mut self.reads };
                if Some(command) == request.command {
                    queue.remove(index);
                    self.done(device, command, tick);
                } else if command == Command::Act {
                    queue.remove(index);
                    self.opening.push(request);
                }
            }
        }
        answered
    }

    fn switch(&mut self, command: Command, tick: u64) -> bool {
        let switch = self.registers != is_of_registers(command);
        if switch {
            self.registers = !self.registers;
            self.issue(Command::SetM, (0, 0, 0), tick);
        }
        switch
    }

    fn done(&mut self, device: &AimSpec, command: Command, tick: u64) {
        let until = tick + Self::completion(device, command);
        let asked = matches!(command, Command::RdMac | Command::RdAf);
        if asked || command == Command::Rd {
            self.answers.push_back(Answer { due: until, barrier: false, asked });
        } else {
            self.busy_until.push(until);
        }
    }
}

/// Everything as a list of single dispatches; accesses with their columns.
fn dispatches(program: &AimProgram) -> Vec<(Instruction, u32)> {
    let mut list = Vec::new();
    for instruction in program.instructions().iter().chain([&Instruction::Barrier]) {
        match instruction {
            Instruction::Access(accesses) => {
                for column in 0..accesses.columns {
                    for target in &accesses.targets {
                        let one = Accesses { columns: 1, targets: vec![*target], ..accesses.clone() };
                        list.push((Instruction::Access(one), column));
                    }
                }
            }
            Instruction::Ordered(ordered) if ordered.columns == 0 || ordered.channels.count == 0 => {}
            other => list.push((other.clone(), 0)),
        }
    }
    list
}

/// Cycles and commands of a program, and each of them.
fn plain(device: &AimSpec, program: &AimProgram) -> (u64, CommandCounts, Vec<Logged>) {
    let channels = device.organisation.channels as usize;
    let banks = device.organisation.banks_per_channel() as usize;
    let idle = || PlainChannel { open: vec![None; banks], ..PlainChannel::default() };
    let mut device_channels: Vec<PlainChannel> = (0..channels).map(|_| idle()).collect();
    let mut left: Vec<VecDeque<Request>> = vec![VecDeque::new(); channels];
    let mut list: VecDeque<(Instruction, u32)> = dispatches(program).into();
    let mut awaited = 0;
    let mut tick = 1;
    while !list.is_empty() {
        assert!(tick < 10_000_000, "the program does not end");
        let mut send = |left: &mut Vec<VecDeque<Request>>| {
            for (channel, waiting) in device_channels.iter_mut().zip(left) {
                while let Some(request) = waiting.front() {
                    let write = request.command == Some(Command::Wr);
                    let ordered = !write && request.command != Some(Command::Rd);
                    if !channel.takes(device, ordered, write) {
                        break;
                    }
                    channel.take(Request { arrived: tick, ..waiting.pop_front().unwrap() });
                }
            }
        };
        let was_left = left.iter().any(|waiting| !waiting.is_empty());
        send(&mut left);
        let mut finished = was_left && awaited == 0 && left.iter().all(VecDeque::is_empty);
        if awaited == 0 && !was_left {
            let mut add = |channel: usize, command: Option<Command>, bank: u8, row: u32, (first, times): (u32, u32)| {
                for column in first..first + times {
                    left[channel].push_back(Request { command, bank, row, column, arrived: 0 });
                }
            };
            let (instruction, column) = list.front().unwrap();
            match instruction {
                Instruction::Ordered(ordered) => {
                    let first = usize::from(ordered.channels.first);
                    let range = first..first + usize::from(ordered.channels.count);
                    for channel in range.clone() {
                        let columns = (ordered.column, ordered.columns);
                        add(channel, Some(ordered.command), ordered.bank, ordered.row, columns);
                    }
                    if matches!(ordered.command, Command::RdMac | Command::RdAf) {
                        awaited = range.len() as u32 * ordered.columns;
                    }
                }
                Instruction::Access(accesses) => {
                    let command = if accesses.write { Command::Wr } else { Command::Rd };
                    let target = accesses.targets[0];
                    add(usize::from(target.channel), Some(command), target.bank, accesses.row, (*column, 1));
                }
                Instruction::Elsewhere => {}
                Instruction::Barrier => {
                    (0..channels).for_each(|channel| add(channel, None, 0, 0, (0, 1)));
                    awaited = channels as u32;
                }
            }
            send(&mut left);
            finished = awaited == 0 && left.iter().all(VecDeque::is_empty);
        }
        for channel in &mut device_channels {
            let answered = channel.tick(device, tick);
            awaited -= answered;
            finished |= answered > 0 && awaited == 0;
        }
        if finished {
            list.pop_front();
        }
        tick += 1;
    }
    let mut counts = CommandCounts::default();
    let mut all = Vec::new();
    for (index, channel) in device_channels.iter().enumerate() {
        counts += channel.counts;
        all.extend(channel.log.iter().map(|&(tick, command, place)| logged((tick, index), command, place)));
    }
    all.sort_unstable();
    (tick - 1, counts, all)
}

/// The commands that the fast one records, channel by channel; it has the same result as without.
fn recorded(device: &AimSpec, program: &AimProgram) -> Vec<Logged> {
    let (execution, record) = run_recorded(device, program, usize::MAX).unwrap();
    assert_eq!(execution, run(device, program).unwrap());
    assert_eq!(record.left_out, 0);
    assert!(record.issued.is_sorted_by_key(|issued| issued.cycle));
    let mut all = Vec::new();
    for issued in &record.issued {
        let set = record.channels[issued.channels as usize];
        for channel in (0..128).filter(|channel| set >> channel & 1 == 1) {
            let place = (issued.bank, issued.row, u32::from(issued.column));
            all.push(logged((issued.cycle + 1, channel), issued.command, place));
        }
    }
    all.sort_unstable();
    all
}

/// The first place at which two lists differ.
fn differ(ours: &[Logged], expected: &[Logged]) -> Option<String> {
    let place = (0..ours.len().max(expected.len())).find(|&place| ours.get(place) != expected.get(place))?;
    Some(format!("command {place}: {:?} instead of {:?}", ours.get(place), expected.get(place)))
}

fn small(channels: u32, queue: u32) -> AimSpec {
    let mut device = AimSpec::gddr6_aim();
    device.organisation.channels = channels;
    device.queue = queue;
    device
}

fn program(instructions: &[Instruction]) -> AimProgram {
    let mut program = AimProgram::new();
    for instruction in instructions {
        program.push(instruction.clone());
    }
    program
}

#[track_caller]
fn check(device: &AimSpec, program: &AimProgram) {
    let fast = run(device, program).unwrap();
    let (cycles, commands, log) = plain(device, program);
    assert_eq!((fast.cycles.0, fast.commands), (cycles, commands), "{:#?}", program.instructions());
    assert_eq!(differ(&recorded(device, program), &log), None, "{:#?}", program.instructions());
}

const ORDERED: [Command; 10] = [
    Command::MacAb,
    Command::EwMul,
    Command::Af,
    Command::RdCp,
    Command::WrCp,
    Command::WrGb,
    Command::RdMac,
    Command::RdAf,
    Command::WrMac,
    Command::WrAb,
];

fn instruction(channels: u8) -> impl Strategy<Value = Instruction> {
    let ordered = (0..ORDERED.len(), 1..20_u32, 0..channels, 0..16_u8, 0..3_u32).prop_flat_map(
        move |(command, columns, first, bank, row)| {
            (1..=channels - first).prop_map(move |count| {
                Instruction::Ordered(Ordered {
                    command: ORDERED[command],
                    columns: if ORDERED[command] == Command::WrAb { columns % 3 + 1 } else { columns },
                    column: row * 7,
                    channels: Channels { first, count },
                    bank,
                    row,
                })
            })
        },
    );
    let target = (0..channels, 0..16_u8).prop_map(|(channel, bank)| Target { channel, bank });
    let access = (any::<bool>(), 0..3_u32, 1..24_u32, prop::collection::vec(target, 1..12))
        .prop_map(|(write, row, columns, targets)| Instruction::Access(Accesses { write, row, columns, targets }));
    prop_oneof![
        6 => ordered,
        4 => access,
        1 => Just(Instruction::Elsewhere),
        1 => Just(Instruction::Barrier),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn is_the_fast_run_that_of_every_cycle(
        (channels, queue) in (1..4_u32, 2..40_u32),
        instructions in prop::collection::vec(instruction(1), 1..12),
        wide in prop::collection::vec(instruction(3), 1..12),
    ) {
        let instructions = if channels == 3 { wide } else { instructions };
        let (device, program) = (small(channels, queue), program(&instructions));
        let fast = run(&device, &program).unwrap();
        let (cycles, commands, log) = plain(&device, &program);
        prop_assert_eq!((fast.cycles.0, fast.commands), (cycles, commands));
        prop_assert_eq!(differ(&recorded(&device, &program), &log), None);
    }
}

/// The vectors of a block: long enough that most rounds are leapt over.
#[test]
fn is_a_leap_over_rounds_exact() {
    for (channels, blocks) in [(4, 1), (2, 2), (1, 4)] {
        let targets: Vec<Target> = (0..channels * 4)
            .flat_map(|place| (0..blocks).map(move |block| (place, block)))
            .map(|(place, block)| Target { channel: place / 4 + block * channels, bank: place % 4 * 4 + 1 })
            .collect();
        let access = |write, row| Accesses { write, row, columns: 64, targets: targets.clone() };
        let ordered = |command, columns, row| {
            let channels = Channels { first: 0, count: channels * blocks };
            Instruction::Ordered(Ordered { command, columns, column: 0, channels, bank: 2, row })
        };
        let steps = [
            Instruction::Access(access(true, 1)),
            Instruction::Access(access(true, 2)),
            ordered(Command::EwMul, 64, 2),
            ordered(Command::RdCp, 32, 2),
            ordered(Command::WrCp, 32, 3),
            Instruction::Access(access(false, 2)),
            Instruction::Barrier,
            Instruction::Access(Accesses { targets: targets[..1].to_vec(), ..access(true, 4) }),
            ordered(Command::WrMac, 1, 0),
            ordered(Command::MacAb, 64, 5),
            ordered(Command::RdMac, 1, 0),
        ];
        check(&small(4, 33), &program(&steps));
    }
}
