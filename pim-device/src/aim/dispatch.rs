//! The dispatcher: takes one instruction of the program a cycle and sends it to the channels.
//!
//! The dispatcher is the one thing that the channels share. It holds an instruction until all of it is queued, and the
//! next one until the channels have answered where the instruction asks them something. Channels that do the same from the
//! same state are one group and are computed once; accesses, which go to a channel each, take groups apart, and a group is
//! put together again when its channels agree. Accesses that repeat are computed until two rounds in a row are the
//! same, and the rest of the rounds is a leap.

use sim_core::{Cycles, Time};

use super::channel::{Channel, Shared, Statistics};
use super::error::AimError;
use super::program::{Accesses, AimProgram, Instruction, Ordered};
use super::record::{AimRecord, Log, Logged};
use super::spec::AimSpec;
use crate::command::{Command, CommandCounts};
use crate::dram::Tick;

/// A part of a program, and how long the dispatcher was at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Its name.
    pub name: &'static str,
    /// From its first instruction to the first of the next phase.
    pub cycles: Cycles,
}

/// Statistics: what came of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AimExecution {
    /// How long it took, in cycles of the command clock.
    pub cycles: Cycles,
    /// The same as time.
    pub time: Time,
    /// Instructions and accesses that were dispatched.
    pub dispatched: u64,
    /// The parts of the program, in their order; their cycles add up to [`Self::cycles`].
    pub phases: Vec<Phase>,
    /// Commands of all channels.
    pub commands: CommandCounts,
    /// Cycles of the first channel by the command that was waited for, from the command before it to its issue.
    pub waited: CommandCounts,
    /// Cycles in which the first channel had nothing to do, to the end of the program.
    pub idle: Cycles,
}

/// Channels that do the same.
#[derive(Clone, Debug)]
struct Group<L> {
    channel: Channel<L>,
    /// One bit for each of them.
    members: u128,
}

/// State of a run.
#[derive(Debug)]
struct Dispatcher<L> {
    shared: Shared,
    groups: Vec<Group<L>>,
    /// What each channel has done outside the group that it is in now.
    statistics: Vec<Statistics>,
    /// The tick of the next instruction.
    tick: Tick,
    dispatched: u64,
    /// Answers to wait for until groups are compared again, and how many it was the last time.
    patience: (u32, u32),
    /// Statistics: the commands, where they are wanted.
    record: AimRecord,
}

/// Runs a program from idle channels.
///
/// # Errors
/// [`AimError`] where an instruction cannot be.
pub fn run(device: &AimSpec, program: &AimProgram) -> Result<AimExecution, AimError> {
    execute::<()>(device, program, 0).map(|(execution, _)| execution)
}

/// The same, with the first `most` commands. It is the same execution; where that leaps, the commands are written out.
///
/// # Errors
/// As [`run`].
pub fn run_recorded(
    device: &AimSpec,
    program: &AimProgram,
    most: usize,
) -> Result<(AimExecution, AimRecord), AimError> {
    execute::<Vec<Logged>>(device, program, most)
}

fn execute<L: Log>(device: &AimSpec, program: &AimProgram, most: usize) -> Result<(AimExecution, AimRecord), AimError> {
    let channels = device.organisation.channels.min(u128::BITS);
    check(device, channels, program)?;
    let shared = Shared::new(device);
    let all = u128::MAX >> (u128::BITS - channels.max(1));
    let mut dispatcher = Dispatcher::<L> {
        groups: vec![Group { channel: Channel::new(&shared), members: all }],
        shared,
        statistics: vec![Statistics::default(); channels.max(1) as usize],
        tick: 1,
        dispatched: 0,
        patience: (0, 1),
        record: AimRecord::new(most),
    };
    let mut phases = Vec::new();
    let mut names = program.phases().iter().peekable();
    for (place, instruction) in program.instructions().iter().enumerate() {
        while let Some((name, _)) = names.next_if(|(_, first)| *first <= place) {
            phases.push((*name, dispatcher.tick));
        }
        match instruction {
            Instruction::Ordered(ordered) => dispatcher.order(ordered),
            Instruction::Access(accesses) => dispatcher.access(accesses),
            Instruction::Elsewhere => {
                dispatcher.dispatched += 1;
                dispatcher.tick += 1;
            }
            Instruction::Barrier => dispatcher.barrier(),
        }
        dispatcher.write_down();
    }
    dispatcher.barrier();
    Ok(dispatcher.result(device, &phases))
}

/// Whether every instruction can be.
fn check(device: &AimSpec, channels: u32, program: &AimProgram) -> Result<(), AimError> {
    let banks = device.organisation.banks_per_channel();
    let below = |place, what, number: u32, count| {
        if number < count { Ok(()) } else { Err(AimError::NoSuch { place, what, number, count }) }
    };
    for (place, instruction) in program.instructions().iter().enumerate() {
        match instruction {
            Instruction::Ordered(ordered) => {
                let last = u32::from(ordered.channels.first) + u32::from(ordered.channels.count.max(1)) - 1;
                below(place, "channel", last, channels)?;
                below(place, "bank", u32::from(ordered.bank), banks)?;
                if !ORDERED.contains(&ordered.command) {
                    return Err(AimError::NotOrdered { place, command: ordered.command });
                }
            }
            Instruction::Access(accesses) => {
                for target in &accesses.targets {
                    below(place, "channel", u32::from(target.channel), channels)?;
                    below(place, "bank", u32::from(target.bank), banks)?;
                }
            }
            Instruction::Elsewhere | Instruction::Barrier => {}
        }
    }
    Ok(())
}

/// What an ordered instruction may be.
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

impl<L: Log> Dispatcher<L> {
    fn order(&mut self, ordered: &Ordered) {
        let channels = ordered.channels;
        if channels.count == 0 || ordered.columns == 0 {
            return;
        }
        let wanted = (u128::MAX >> (u128::BITS - u32::from(channels.count))) << channels.first;
        self.divide(wanted);
        let (mut queued, mut answered) = (self.tick, None);
        for group in self.groups.iter_mut().filter(|group| group.members & wanted != 0) {
            let sent = group.channel.order(&self.shared, ordered, self.tick);
            queued = queued.max(sent.queued);
            answered = answered.max(sent.answered);
        }
        self.go_on(queued, answered);
    }

    fn barrier(&mut self) {
        let (mut queued, mut answered) = (self.tick, None);
        for group in &mut self.groups {
            let sent = group.channel.barrier(&self.shared, self.tick);
            queued = queued.max(sent.queued);
            answered = answered.max(sent.answered);
        }
        self.go_on(queued, answered);
    }

    /// The next instruction.
    fn go_on(&mut self, queued: Tick, answered: Option<Tick>) {
        self.dispatched += 1;
        self.tick = answered.unwrap_or(queued).max(queued) + 1;
        if answered.is_some() && self.groups.len() > 1 {
            self.patience.0 += 1;
            if self.patience.0 >= self.patience.1 {
                self.unite();
                self.patience = (0, self.patience.1.saturating_mul(2));
            }
        }
    }

    /// Takes apart the groups of which only some channels are wanted.
    fn divide(&mut self, wanted: u128) {
        for index in 0..self.groups.len() {
            let (inside, outside) = (self.groups[index].members & wanted, self.groups[index].members & !wanted);
            if inside != 0 && outside != 0 {
                let mut other = self.groups[index].clone();
                other.members = outside;
                self.groups[index].members = inside;
                self.groups.push(other);
                self.patience = (0, 1);
            }
        }
    }

    /// Gives a channel a group of its own, and says which.
    fn single(&mut self, channel: u8) -> usize {
        let member = 1_u128 << channel;
        let index = self.groups.iter().position(|group| group.members & member != 0).unwrap_or_default();
        if self.groups[index].members == member {
            return index;
        }
        let mut own = self.groups[index].clone();
        own.members = member;
        self.groups[index].members &= !member;
        self.groups.push(own);
        self.patience = (0, 1);
        self.groups.len() - 1
    }

    /// Puts together the groups that agree from the next tick on.
    fn unite(&mut self) {
        for group in &mut self.groups {
            group.channel.advance(&self.shared, self.tick);
        }
        self.write_down();
        let mut index = 0;
        while index < self.groups.len() {
            let (kept, rest) = self.groups.split_at(index);
            let group = &rest[0];
            let same = |other: &&Group<L>| {
                other.channel.is_same_at(self.tick, &group.channel, self.tick)
                    && (!L::LOOKS || other.channel.has_columns_of(&group.channel))
            };
            let Some(place) = kept.iter().position(|other| same(&other)) else {
                index += 1;
                continue;
            };
            let group = self.groups.swap_remove(index);
            Self::credit(&mut self.statistics, group.members, &group.channel.statistics);
            let other = &mut self.groups[place];
            Self::credit(&mut self.statistics, other.members, &other.channel.statistics);
            other.channel.statistics = Statistics::default();
            other.members |= group.members;
        }
    }

    /// Records what the channels have done since the last time.
    fn write_down(&mut self) {
        if L::LOOKS {
            for group in &mut self.groups {
                self.record.add(group.members, group.channel.log.take());
            }
        }
    }

    fn credit(statistics: &mut [Statistics], members: u128, done: &Statistics) {
        for (channel, own) in statistics.iter_mut().enumerate() {
            if members & (1 << channel) != 0 {
                own.add(done);
            }
        }
    }

    fn access(&mut self, accesses: &Accesses) {
        let command = if accesses.write { Command::Wr } else { Command::Rd };
        let places: Vec<(usize, u8)> =
            accesses.targets.iter().map(|target| (self.single(target.channel), target.bank)).collect();
        let mut touched: Vec<usize> = places.iter().map(|(group, _)| *group).collect();
        touched.sort_unstable();
        touched.dedup();
        let mut before: Option<(Tick, Vec<Channel<L>>)> = None;
        let mut left = accesses.columns;
        while left > 0 {
            let begin = self.tick;
            let mut at_once = true;
            let column = (accesses.columns - left) as u16;
            for &(group, bank) in &places {
                let channel = &mut self.groups[group].channel;
                let access = (command, bank, accesses.row, column);
                if channel.is_immediate(&self.shared, access, self.tick) {
                    channel.access_at_once(&self.shared, access, self.tick);
                } else {
                    at_once = false;
                    self.tick = channel.access(&self.shared, access, self.tick);
                }
                self.tick += 1;
            }
            self.dispatched += places.len() as u64;
            left -= 1;
            if at_once && left > 0 && left + 1 < accesses.columns {
                // Nothing is queued anywhere, the rows are open, and no two accesses come closer than they did: all
                // others are issued as they come.
                let (period, times) = (self.tick - begin, u64::from(left));
                if command == Command::Rd {
                    for (group, _) in &places {
                        self.groups[*group].channel.answer(times);
                    }
                }
                for (tick, &(group, bank)) in (begin + period * times..).zip(&places) {
                    let access = (command, bank, accesses.row, column);
                    self.groups[group].channel.accessed(&self.shared, access, (times, period), tick);
                }
                self.tick += period * times;
                self.dispatched += places.len() as u64 * times;
                return;
            }
            for &group in &touched {
                self.groups[group].channel.advance(&self.shared, self.tick);
            }
            // In most programs rows are open in the second round, and the leap above is near.
            if left < 2 || places.is_empty() || left + 1 >= accesses.columns {
                continue;
            }
            // Two rounds that end in the same state: all others do.
            if let Some((tick, channels)) = &before {
                let same = |(group, channel): (&usize, &Channel<L>)| {
                    self.groups[*group].channel.is_same_at(self.tick, channel, *tick)
                };
                if touched.iter().zip(channels).all(same) {
                    let (period, times) = (self.tick - begin, u64::from(left));
                    for (&group, channel) in touched.iter().zip(channels) {
                        self.groups[group].channel.repeat_since(channel, self.tick, period, times);
                    }
                    self.tick += period * times;
                    self.dispatched += places.len() as u64 * times;
                    return;
                }
            }
            let state = touched.iter().map(|group| self.groups[*group].channel.clone()).collect();
            before = Some((self.tick, state));
        }
    }

    fn result(mut self, device: &AimSpec, phases: &[(&'static str, Tick)]) -> (AimExecution, AimRecord) {
        let end = self.tick - 1;
        for group in &mut self.groups {
            group.channel.advance(&self.shared, self.tick);
            Self::credit(&mut self.statistics, group.members, &group.channel.statistics);
        }
        self.write_down();
        let mut commands = CommandCounts::default();
        for statistics in &self.statistics {
            commands += statistics.commands;
        }
        let first = self.statistics.swap_remove(0);
        let ends = phases.iter().skip(1).map(|(_, tick)| *tick).chain([end]);
        // Ticks count from 1, and the first phase has what comes before it.
        let phases = phases.iter().zip(ends).enumerate().map(|(index, ((name, begin), end))| Phase {
            name,
            cycles: Cycles(end - if index == 0 { 0 } else { *begin }),
        });
        let execution = AimExecution {
            cycles: Cycles(end),
            time: device.timing.clock.edge(Cycles(end)),
            dispatched: self.dispatched,
            phases: phases.collect(),
            commands,
            waited: first.ticks,
            idle: Cycles(end - first.ticks.total()),
        };
        self.record.cut();
        (execution, self.record)
    }
}
