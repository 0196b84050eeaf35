//! The times of a channel at the beginning, and what each command at each bank does, looked up in the rules.

use std::ops::Range;

use super::effect::{Effect, Lanes, Raise, nothing};
use super::others::Noted;
use super::window::{Memory, Window};
use super::{ACT, ALL, CHANNEL, COMMANDS, Gates, LANES, PRE, RANKS, RD, ROWS, SENT, Times, WR};
use crate::command::Command;
use crate::dram::Tick;
use crate::dram::bank_set::{BankSet, CAPACITY};
use crate::dram::offset::{Base, Offset};
use crate::dram::rules::{self, RuleTable, WindowRule};
use crate::dram::state::TimingState;
use crate::organisation::{Level, Organisation};

impl<S: BankSet, T: Offset> Times<S, T> {
    /// The times of a channel with these rules, none of which is longer than [`Offset::REACH`]. Commands are at least
    /// `slots` apart for there is one slot for both.
    pub(in crate::dram) fn new(table: RuleTable, slots: impl Fn(Command, Command) -> Tick) -> Self {
        let organisation = *table.organisation();
        let activate = if table.has(Command::Act1) { Command::Act1 } else { Command::Act };
        let commands = [activate, Command::Pre, Command::Rd, Command::Wr];
        let sent = [activate, Command::Pre, Command::Rd, Command::Wr, Command::Act2, Command::CasRd, Command::CasWr];
        let banks = organisation.nodes(Level::Bank);
        let others = table.without_following(&commands);
        let follows = |effects: &rules::Effects| !(effects.own.is_empty() && effects.siblings.is_empty());
        let noted = if table.has(Command::RefPb) || others.effects.iter().any(|effects| !effects.windows.is_empty()) {
            Noted::AtOnce
        } else if others.effects.iter().any(follows) {
            Noted::Later
        } else {
            Noted::Never
        };
        let slots = std::array::from_fn(|number| {
            let sent = sent.get(number);
            std::array::from_fn(|command| sent.map_or(0, |sent| slots(*sent, commands[command])))
        });
        let per_rank = banks / rank_count(&organisation);
        let one_rank = per_rank == banks;
        let mut rank_rows = [0; CAPACITY];
        for bank in 0..banks {
            let rank = bank / per_rank;
            rank_rows[bank as usize] = rank_ticks(rank as usize, one_rank) as u16;
        }
        let mut memories = vec![Memory::new(0); table.history as usize];
        for rule in table.effects.iter().flat_map(|effects| &effects.windows) {
            for node in 0..organisation.nodes(Level::ALL[usize::from(rule.level)]) {
                memories[memory_of(rule, node)] = Memory::new(rule.window.into());
            }
        }
        let mut times = Self {
            organisation,
            places: (0..banks).map(|bank| table.node(Level::Bank, bank)).collect(),
            commands,
            sent,
            sends: if table.has(Command::Act2) { sent.len() } else { COMMANDS },
            activation: nothing().into(),
            precharge: nothing().into(),
            read: nothing().into(),
            write: nothing().into(),
            further: std::array::from_fn(|_| nothing().into()),
            others_moves: vec![None; SENT * CAPACITY],
            least: [[Tick::MAX; COMMANDS]; SENT],
            slots,
            one_rank,
            gates: match banks / per_rank {
                1 => Gates::Channel,
                2 => Gates::Two { first: S::range(0..per_rank as usize) },
                ranks => Gates::Many(
                    (0..ranks)
                        .map(|rank| S::range((rank * per_rank) as usize..((rank + 1) * per_rank) as usize))
                        .collect(),
                ),
            },
            rank_rows: Box::new(rank_rows),
            base: Base::new(),
            ready: Box::new([T::ZERO; ALL * LANES]),
            memories,
            others: TimingState::new(others),
            noted,
            last: Box::new([0; SENT * CAPACITY]),
            later: S::EMPTY,
            table,
        };
        for (number, command) in sent.into_iter().enumerate() {
            if times.table.has(command) {
                let effects = times.table.effects[times.table.id(command)].clone();
                for bank in 0..banks as usize {
                    times.look_up(number, &effects, bank);
                }
            }
        }
        times
    }

    /// The banks of a node.
    pub(super) fn banks(&self, level: u8, node: u32) -> Range<usize> {
        let each = self.organisation.nodes(Level::Bank) / self.organisation.nodes(Level::ALL[usize::from(level)]);
        (node * each) as usize..((node + 1) * each) as usize
    }

    /// The number of a command of the table, if requests need it.
    pub(super) fn number(&self, following: u8) -> Option<usize> {
        self.commands.iter().position(|&command| self.table.id(command) == usize::from(following))
    }

    /// Notes what a command at a bank does.
    fn look_up(&mut self, number: usize, effects: &rules::Effects, bank: usize) {
        let place = self.places[bank];
        let (mut latencies, mut moved) = ([[T::NOTHING; CAPACITY]; COMMANDS], [false; COMMANDS]);
        let mut add = |level: u8, node: u32, following: u8, latency: u32| {
            if let Some(following) = self.number(following) {
                let latency = Tick::from(latency);
                if latency > self.slots[number][following] {
                    moved[following] = true;
                    for of in &mut latencies[following][self.banks(level, node)] {
                        *of = (*of).max(T::of(latency));
                    }
                }
            }
        };
        for rule in &effects.own {
            add(rule.level, self.table.above(&place, rule.level), rule.following, rule.latency);
        }
        for rule in &effects.siblings {
            let own = self.table.above(&place, rule.level);
            for node in self.table.family(rule.level, own).filter(|node| *node != own) {
                add(rule.level, node, rule.following, rule.latency);
            }
        }
        for (least, latencies) in self.least[number].iter_mut().zip(&latencies) {
            *least = latencies[bank].max(T::ZERO).ticks().min(*least);
        }
        let raises = self.raises(&mut latencies, moved);
        let mut window = None;
        for rule in &effects.windows {
            let node = self.table.above(&place, rule.level);
            if let Some(following) = self.number(rule.following) {
                let mut ends = [[T::NOTHING; CAPACITY]; COMMANDS];
                ends[following][self.banks(rule.level, node)].fill(T::ZERO);
                let (memory, latency) = (memory_of(rule, node), T::of(rule.latency.into()));
                window = Some(Window::new(
                    memory,
                    latency,
                    self.raises(&mut ends, std::array::from_fn(|command| command == following)),
                    window,
                ));
            }
        }
        match number {
            ACT => self.activation[bank] = Effect::new(&raises, window),
            PRE => self.precharge[bank] = Effect::new(&raises, window),
            RD => self.read[bank] = Effect::new(&raises, window),
            WR => self.write[bank] = Effect::new(&raises, window),
            _ => self.further[number - COMMANDS][bank] = Effect::new(&raises, window),
        }
        if self.noted == Noted::AtOnce {
            self.others_moves[number * CAPACITY + bank] = self.others.moves(self.sent[number], &place);
        }
    }

    /// The rows with these latencies by command and bank, of the commands that have any. What all banks of a rank have in common goes to the rank.
    fn raises(&self, latencies: &mut [[T; CAPACITY]; COMMANDS], moved: [bool; COMMANDS]) -> Vec<Raise<T>> {
        let mut raises = Vec::with_capacity(LANES);
        let mut add = |row: usize, latencies: Lanes<T>| {
            if latencies != [T::NOTHING; LANES] {
                raises.push(Raise { row: row as u16, latencies });
            }
        };
        let count = self.places.len();
        let ranks = rank_count(&self.organisation) as usize;
        let least = |latencies: &[T]| latencies.iter().fold(T::NEVER, |least, latency| least.min(*latency));
        let mut of_ranks = vec![[T::NOTHING; COMMANDS]; ranks];
        let mut of_all = [T::NOTHING; LANES];
        for command in (0..COMMANDS).filter(|command| moved[*command]) {
            for (banks, of_rank) in latencies[command][..count].chunks_mut(count / ranks).zip(&mut of_ranks) {
                let least = least(banks);
                of_rank[command] = least;
                for latency in banks {
                    *latency = if *latency == least { T::NOTHING } else { *latency };
                }
            }
            of_all[command] = of_ranks.iter().map(|of_rank| of_rank[command]).min().unwrap_or(T::NOTHING);
        }
        add(CHANNEL, of_all);
        if !self.one_rank {
            for (pair, ranks) in of_ranks.chunks(LANES / COMMANDS).enumerate() {
                let mut row = [T::NOTHING; LANES];
                for (of, rank) in row.chunks_mut(COMMANDS).zip(ranks) {
                    of.copy_from_slice(rank);
                }
                add(RANKS + pair, row);
            }
        }
        for command in (0..COMMANDS).filter(|command| moved[*command]) {
            let rows = latencies[command][..count.next_multiple_of(LANES)].as_chunks().0;
            for (row, latencies) in rows.iter().enumerate() {
                add(command * ROWS + row, *latencies);
            }
        }
        raises
    }
}

/// Which memory a window at a node has.
pub(super) fn memory_of(rule: &WindowRule, node: u32) -> usize {
    rule.history as usize + node as usize * (usize::from(rule.window) + 1)
}

/// What counts as a rank: pseudo-channels, where there are some. What concerns one of several ranks of a pseudo-channel is
/// with its banks.
pub(super) fn rank_count(organisation: &Organisation) -> u32 {
    let level = if organisation.pseudo_channels > 1 { Level::PseudoChannel } else { Level::Rank };
    organisation.nodes(level)
}

/// Where the ticks of a rank begin. The only rank is the channel.
pub(super) fn rank_ticks(rank: usize, one_rank: bool) -> usize {
    if one_rank { CHANNEL * LANES } else { RANKS * LANES + rank * COMMANDS }
}
