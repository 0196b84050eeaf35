//! When the banks of a channel are ready for the four commands that requests need.
//!
//! [`TimingState`] answers for any command at any node. A controller asks the same few questions again and again, so
//! here everything is looked up once: which ticks a command at a bank moves and by how much, folded to four levels, and
//! which banks are known to be ready. The others lie in a wheel and are woken when they are.
//!
//! What only refresh asks for is noted as the last tick of each command at each bank, and worked out when it is asked.

#![allow(clippy::inline_always, reason = "asked for each kind of command at every look")]

use std::ops::Range;

use super::Tick;
use super::bank_set::{BankSet, CAPACITY};
use super::rules::{Effects, Place, RuleTable, WindowRule};
use super::state::TimingState;
use super::wheel::Wheel;
use crate::command::Command;
use crate::organisation::{Level, Organisation};

/// Commands that requests need, as numbers. `ACT` is ACT1 where that is split.
pub(super) const ACT: usize = 0;
pub(super) const PRE: usize = 1;
pub(super) const RD: usize = 2;
pub(super) const WR: usize = 3;
pub(super) const COMMANDS: usize = 4;
/// Further commands that go to a bank.
pub(super) const ACT2: usize = 4;
pub(super) const CAS_RD: usize = 5;
pub(super) const CAS_WR: usize = 6;
const SENT: usize = 8;

/// Kinds of commands that requests need: accesses, activations, precharges.
pub(super) const COLUMNS: usize = 0;
pub(super) const ACTIVATIONS: usize = 1;
pub(super) const PRECHARGES: usize = 2;
pub(super) const KINDS: usize = 3;
/// The kind of each of the four commands.
const KIND: [usize; COMMANDS] = [ACTIVATIONS, PRECHARGES, COLUMNS, COLUMNS];

/// Nodes of a level, at most.
const NODES: usize = CAPACITY;
/// Where the ticks of banks, of bank groups, of ranks with all above them up to the pseudo-channel, and of the channel
/// begin; each has a row for each command.
const BANK: usize = 0;
const GROUP: usize = COMMANDS * NODES;
const RANK: usize = 2 * COMMANDS * NODES;
const CHANNEL: usize = 3 * COMMANDS * NODES;
const ENTRIES: usize = 4 * COMMANDS * NODES;
/// By kind what the channel allows no command of it before, in the row behind the channel's.
const FLOOR: usize = CHANNEL + NODES;

/// A tick that a command moves: it is so much later than the command.
#[derive(Clone, Copy, Debug)]
struct Move {
    entry: u32,
    latency: u32,
}

/// The same from the n-th last command; it moves several ticks.
#[derive(Clone, Copy, Debug)]
struct WindowMove {
    /// Where its memory begins, see [`slide`].
    history: u32,
    window: u32,
    latency: u32,
    entry: u16,
    entries: u16,
}

/// What a command at a bank does: a part of the list of moves, and whether that is all.
#[derive(Clone, Copy, Debug, Default)]
struct Effect {
    begin: u32,
    end: u32,
    more: bool,
}

/// What else a command at a bank does.
#[derive(Clone, Debug, Default)]
struct More {
    windows: Vec<WindowMove>,
    /// What moves in `others`, see [`Noted::AtOnce`]; `None` where that is more than moves.
    others: Option<Vec<(u32, u32)>>,
}

/// How it is noted what commands at banks forbid to those that only refresh sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noted {
    /// Nothing is refreshed.
    Never,
    /// The last tick of each command at each bank counts, and is worked out when somebody asks: all-bank refresh.
    Later,
    /// With each command: refresh bank by bank asks all the time, and windows have to see every command.
    AtOnce,
}

/// Configuration and state: a channel's timing as its controller sees it.
#[derive(Clone, Debug)]
pub(super) struct Times<S> {
    // Configuration.
    organisation: Organisation,
    table: RuleTable,
    places: Vec<Place>,
    commands: [Command; COMMANDS],
    sent: [Command; SENT - 1],
    /// By command and bank.
    effects: Box<[Effect; SENT * NODES]>,
    moves: Vec<Move>,
    more: Vec<More>,
    /// Bank group and rank of each bank.
    groups: [u8; NODES],
    ranks: [u8; NODES],
    banks_of: [S; NODES],
    /// The channel is one rank, so that what ranks allow stands with what the channel does.
    one_rank: bool,
    // State.
    ready: Box<[Tick; ENTRIES]>,
    history: Vec<Tick>,
    /// All other commands: precharge of all banks, refresh.
    others: TimingState,
    noted: Noted,
    /// By command and bank the last tick, and by command the banks for which it has not been worked out.
    last: Box<[Tick; SENT * NODES]>,
    later: [S; SENT],
    /// By command the banks whose own ticks, and their groups', were reached when last looked at. A bank is here or in
    /// the wheel.
    due: [S; COMMANDS],
    wheel: Wheel<S, COMMANDS>,
    /// 1 for commands that begin on odd ticks only.
    odd: [Tick; COMMANDS],
}

/// Notes a command in the memory of a window; says when the oldest of the window stops counting.
#[inline]
fn slide(memory: &mut [Tick], tick: Tick) -> Tick {
    let window = memory.len() - 1;
    let position = memory[0] as usize;
    memory[1 + position] = tick;
    let oldest = if position + 1 >= window { 0 } else { position + 1 };
    memory[0] = oldest as Tick;
    memory[1 + oldest]
}

impl<S: BankSet> Times<S> {
    /// The times of a channel with these rules; by command 1 where it begins on odd ticks only.
    pub(super) fn new(table: RuleTable, odd: [Tick; COMMANDS]) -> Self {
        let organisation = *table.organisation();
        let activate = if table.has(Command::Act1) { Command::Act1 } else { Command::Act };
        let commands = [activate, Command::Pre, Command::Rd, Command::Wr];
        let sent = [activate, Command::Pre, Command::Rd, Command::Wr, Command::Act2, Command::CasRd, Command::CasWr];
        let banks = organisation.nodes(Level::Bank);
        let per = |level| organisation.nodes(Level::Bank) / organisation.nodes(level);
        let (per_group, per_rank) = (per(Level::BankGroup), per(Level::Rank));
        let (mut groups, mut ranks, mut banks_of) = ([0; NODES], [0; NODES], [S::EMPTY; NODES]);
        for bank in 0..banks {
            groups[bank as usize] = (bank / per_group) as u8;
            ranks[bank as usize] = (bank / per_rank) as u8;
            banks_of[(bank / per_rank) as usize].insert(bank as usize);
        }
        let others = table.without_following(&commands);
        let follows = |effects: &Effects| !(effects.own.is_empty() && effects.siblings.is_empty());
        let noted = if table.has(Command::RefPb) || others.effects.iter().any(|effects| !effects.windows.is_empty()) {
            Noted::AtOnce
        } else if others.effects.iter().any(follows) {
            Noted::Later
        } else {
            Noted::Never
        };
        let mut times = Self {
            organisation,
            places: (0..banks).map(|bank| table.node(Level::Bank, bank)).collect(),
            commands,
            sent,
            effects: Box::new([Effect::default(); SENT * NODES]),
            moves: Vec::new(),
            more: vec![More::default(); SENT * NODES],
            groups,
            ranks,
            banks_of,
            one_rank: organisation.nodes(Level::Rank) == 1,
            ready: Box::new([0; ENTRIES]),
            history: vec![0; table.history as usize],
            others: TimingState::new(others),
            noted,
            last: Box::new([0; SENT * NODES]),
            later: [S::EMPTY; SENT],
            due: [S::range(0..banks as usize); COMMANDS],
            wheel: Wheel::new(),
            odd,
            table,
        };
        for (number, command) in sent.into_iter().enumerate() {
            if times.table.has(command) {
                for bank in 0..banks as usize {
                    times.look_up(number, command, bank);
                }
            }
        }
        times
    }

    /// Notes what a command at a bank does.
    fn look_up(&mut self, number: usize, command: Command, bank: usize) {
        let place = self.places[bank];
        let (mut moves, mut windows): (Vec<Move>, Vec<WindowMove>) = (Vec::new(), Vec::new());
        let effects = &self.table.effects[self.table.id(command)];
        let mut add = |level: u8, node: u32, following: u8, latency: u32| {
            for entry in self.entries(level, node, following).into_iter().flatten() {
                let entry = entry as u32;
                match moves.iter_mut().find(|known| known.entry == entry) {
                    Some(known) => known.latency = known.latency.max(latency),
                    None => moves.push(Move { entry, latency }),
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
        for rule in &effects.windows {
            let node = self.table.above(&place, rule.level);
            if let Some(entries) = self.entries(rule.level, node, rule.following) {
                windows.push(WindowMove {
                    history: memory_of(rule, node).start as u32,
                    window: rule.window.into(),
                    latency: rule.latency,
                    entry: entries.start as u16,
                    entries: entries.len() as u16,
                });
            }
        }
        Self::fold(&mut moves);
        let index = number * NODES + bank;
        let begin = self.moves.len() as u32;
        let more = !windows.is_empty() || self.noted == Noted::AtOnce;
        self.effects[index] = Effect { begin, end: begin + moves.len() as u32, more };
        self.moves.extend(moves);
        self.more[index] = More { windows, others: self.others.moves(command, &place) };
    }

    /// What the channel allows no command of a kind before moves as one tick.
    fn fold(moves: &mut Vec<Move>) {
        for kind in 0..KINDS {
            let commands = (0..COMMANDS).filter(|command| KIND[*command] == kind);
            let at = |command: usize| moves.iter().find(|of| of.entry as usize == CHANNEL + command);
            let least = commands.map(|command| at(command).map_or(0, |of| of.latency)).min().unwrap_or(0);
            if least > 0 {
                let folded = |of: &Move| {
                    let command = (of.entry as usize).wrapping_sub(CHANNEL);
                    command < COMMANDS && KIND[command] == kind && of.latency == least
                };
                moves.retain(|of| !folded(of));
                moves.push(Move { entry: (FLOOR + kind) as u32, latency: least });
            }
        }
    }

    /// Where the ticks of a node for a command stand; `None` for a command that is left to `others`.
    fn entries(&self, level: u8, node: u32, following: u8) -> Option<Range<usize>> {
        let command = self.commands.iter().position(|&command| self.table.id(command) == usize::from(following))?;
        let node = node as usize;
        let (begin, nodes) = match Level::ALL[usize::from(level)] {
            Level::Channel => return Some(CHANNEL + command..CHANNEL + command + 1),
            Level::PseudoChannel | Level::Rank if self.one_rank => {
                return Some(CHANNEL + command..CHANNEL + command + 1);
            }
            Level::PseudoChannel => {
                let ranks = self.organisation.ranks as usize;
                (RANK, node * ranks..(node + 1) * ranks)
            }
            Level::Rank => (RANK, node..node + 1),
            Level::BankGroup => (GROUP, node..node + 1),
            Level::Bank => (BANK, node..node + 1),
        };
        let row = begin + command * NODES;
        Some(row + nodes.start..row + nodes.end)
    }

    /// The bank's place.
    pub(super) fn place(&self, bank: usize) -> &Place {
        &self.places[bank]
    }

    /// When a bank is ready for one of the four commands.
    pub(super) fn ready(&self, command: usize, bank: usize) -> Tick {
        let row = command * NODES;
        let rank = self.ready[RANK + row + usize::from(self.ranks[bank % NODES]) % NODES];
        self.narrow(command, bank).max(rank).max(self.channel_ready(command))
    }

    /// The tick before which the channel allows no command of a kind.
    #[inline]
    pub(super) fn floor(&self, kind: usize) -> Tick {
        self.ready[FLOOR + kind]
    }

    /// When the channel is ready for one of the four commands.
    #[inline]
    pub(super) fn channel_ready(&self, command: usize) -> Tick {
        self.ready[CHANNEL + command].max(self.floor(KIND[command % COMMANDS]))
    }

    /// When a place is ready for another command.
    pub(super) fn ready_for_other(&mut self, command: Command, place: &Place) -> Tick {
        self.work_out();
        self.others.ready_at(command, place)
    }

    /// Works out what has been noted for later. Ticks of a node only rise, so the order of commands does not count.
    fn work_out(&mut self) {
        for (number, (command, noted)) in self.sent.iter().zip(&mut self.later).enumerate() {
            while !noted.is_empty() {
                let bank = noted.first();
                *noted = noted.without_first();
                self.others.issue(*command, &self.places[bank], self.last[number * NODES + bank]);
            }
        }
    }

    #[inline]
    fn narrow(&self, command: usize, bank: usize) -> Tick {
        narrow(&self.ready, &self.groups, command, bank)
    }

    /// Goes to a tick; ticks never go back. Says by command which banks may be ready from then on that were not known to be.
    #[inline]
    pub(super) fn wake(&mut self, tick: Tick) -> [S; COMMANDS] {
        let woken = self.wheel.wake(tick);
        for (due, woken) in self.due.iter_mut().zip(woken) {
            *due |= woken;
        }
        woken
    }

    /// The first tick after the one that was gone to at which a bank may become ready that is not known to be.
    #[inline]
    pub(super) fn next(&self) -> Tick {
        self.wheel.next()
    }

    /// The banks of a set whose own ticks for a command were reached when they were last looked at.
    #[inline]
    pub(super) fn due(&self, command: usize, banks: S) -> S {
        self.due[command] & banks
    }

    /// Those of some banks that are [`due`](Self::due) whose channel and rank are ready for a command at `tick`. Lowers
    /// `next` to when others may be.
    #[inline(always)]
    pub(super) fn open(&self, command: usize, banks: S, tick: Tick, next: &mut Tick) -> S {
        if banks.is_empty() {
            return S::EMPTY;
        }
        let channel = self.ready[CHANNEL + command];
        if channel > tick {
            *next = channel.min(*next);
            return S::EMPTY;
        }
        if self.one_rank { banks } else { self.open_ranks(command, banks, tick, next) }
    }

    #[inline]
    fn open_ranks(&self, command: usize, mut banks: S, tick: Tick, next: &mut Tick) -> S {
        let mut rest = banks;
        while !rest.is_empty() {
            let rank = usize::from(self.ranks[rest.first() % NODES]) % NODES;
            let of_rank = self.banks_of[rank];
            rest = rest.without(of_rank);
            let wide = self.ready[RANK + command * NODES + rank];
            if wide > tick {
                *next = wide.min(*next);
                banks = banks.without(of_rank);
            }
        }
        banks
    }

    /// Whether the bank and its group are ready for a command at `tick`. Where they are not the bank is due no longer, but
    /// in the wheel.
    #[inline]
    pub(super) fn is_ready(&mut self, command: usize, bank: usize, tick: Tick) -> bool {
        let narrow = self.narrow(command, bank);
        if narrow <= tick {
            return true;
        }
        self.due[command].remove(bank);
        self.wheel.insert(command, bank, narrow | self.odd[command], tick);
        false
    }

    /// Puts a bank into the wheel that waits for a command from now on; says whether it need not wait.
    #[inline]
    pub(super) fn expect(&mut self, command: usize, bank: usize, tick: Tick) -> bool {
        self.due[command].contains(bank) && self.is_ready(command, bank, tick)
    }

    /// Notes that a command, one of the numbers above, is issued to a bank.
    #[inline]
    pub(super) fn issue(&mut self, number: usize, bank: usize, tick: Tick) {
        let effect = &self.effects[(number * NODES + bank % NODES) % (SENT * NODES)];
        for of in &self.moves[effect.begin as usize..effect.end as usize] {
            let ready = &mut self.ready[of.entry as usize % ENTRIES];
            *ready = (*ready).max(tick + Tick::from(of.latency));
        }
        if effect.more {
            self.issue_more(number, bank, tick);
        }
        if self.noted == Noted::Later {
            self.last[(number * NODES + bank % NODES) % (SENT * NODES)] = tick;
            self.later[number % SENT].insert(bank);
        }
    }

    #[inline(never)]
    fn issue_more(&mut self, number: usize, bank: usize, tick: Tick) {
        let more = &self.more[number * NODES + bank % NODES];
        for rule in &more.windows {
            let begin = rule.history as usize;
            let memory = &mut self.history[begin..=begin + rule.window as usize];
            let free = slide(memory, tick + Tick::from(rule.latency));
            let mut entry = usize::from(rule.entry);
            loop {
                let ready = &mut self.ready[entry % ENTRIES];
                *ready = (*ready).max(free);
                entry += 1;
                if entry >= usize::from(rule.entry + rule.entries) {
                    break;
                }
            }
        }
        if self.noted == Noted::AtOnce {
            match &more.others {
                Some(moves) => self.others.issue_moves(moves, tick),
                None => self.others.issue(self.sent[number], &self.places[bank], tick),
            }
        }
    }

    /// Notes that a command is issued to a place.
    #[cold]
    pub(super) fn issue_at(&mut self, command: Command, place: &Place, tick: Tick) {
        self.work_out();
        self.others.issue(command, place, tick);
        let effects = self.table.effects[self.table.id(command)].clone();
        for rule in &effects.own {
            for node in self.table.matched(place, rule.level) {
                self.raise(rule.level, node, rule.following, tick + Tick::from(rule.latency));
            }
        }
        for rule in effects.siblings.iter().filter(|rule| rule.level <= place.level) {
            let own = self.table.above(place, rule.level);
            for node in self.table.family(rule.level, own).filter(|node| *node != own) {
                self.raise(rule.level, node, rule.following, tick + Tick::from(rule.latency));
            }
        }
        for rule in &effects.windows {
            for node in self.table.matched(place, rule.level) {
                let free = slide(&mut self.history[memory_of(rule, node)], tick + Tick::from(rule.latency));
                self.raise(rule.level, node, rule.following, free);
            }
        }
    }

    fn raise(&mut self, level: u8, node: u32, following: u8, tick: Tick) {
        for entry in self.entries(level, node, following).into_iter().flatten() {
            self.ready[entry] = self.ready[entry].max(tick);
        }
    }
}

/// What a bank and its group allow.
#[inline]
fn narrow(ready: &[Tick; ENTRIES], groups: &[u8; NODES], command: usize, bank: usize) -> Tick {
    let row = command * NODES;
    let group = usize::from(groups[bank % NODES]) % NODES;
    ready[(BANK + row + bank % NODES) % ENTRIES].max(ready[(GROUP + row + group) % ENTRIES])
}

/// The memory of a window at a node.
fn memory_of(rule: &WindowRule, node: u32) -> Range<usize> {
    let length = usize::from(rule.window) + 1;
    let begin = rule.history as usize + node as usize * length;
    begin..begin + length
}
