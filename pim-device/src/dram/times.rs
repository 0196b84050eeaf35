//! When the banks of a channel are ready for the four commands that requests need.
//!
//! [`TimingState`] answers for any command at any node. A controller asks the same few questions again and again, so
//! here everything is looked up once: which ticks a command at a bank moves and by how much, folded to four levels, and
//! which banks are known to be ready. The others lie in a wheel and are woken when they may be.

#![allow(clippy::inline_always, reason = "without it a random read takes a quarter more instructions (callgrind)")]

use super::Tick;
use super::bank_set::{BankSet, CAPACITY};
use super::rules::{Place, RuleTable, WindowRule};
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
const SENT: usize = 7;

/// Nodes of a level, at most.
const NODES: usize = CAPACITY;
/// Where the ticks of banks, of bank groups, of ranks with all above them up to the pseudo-channel, and of the channel
/// begin; each has a row for each command.
const BANK: usize = 0;
const GROUP: usize = COMMANDS * NODES;
const RANK: usize = 2 * COMMANDS * NODES;
const CHANNEL: usize = 3 * COMMANDS * NODES;
const ENTRIES: usize = 4 * COMMANDS * NODES;

/// A tick that a command moves, and below that where it stands: the first that is allowed is so much later than the
/// command.
#[derive(Clone, Copy, Debug)]
struct Move(u64);

const ENTRY_BITS: u32 = ENTRIES.trailing_zeros();

impl Move {
    fn new(entry: usize, latency: u32) -> Self {
        Self(u64::from(latency) << ENTRY_BITS | entry as u64)
    }

    #[inline]
    const fn entry(self) -> usize {
        self.0 as usize % ENTRIES
    }

    #[inline]
    const fn latency(self) -> Tick {
        self.0 >> ENTRY_BITS
    }
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
    /// What moves in `others`; `None` where that is more than moves.
    others: Option<Vec<(u32, u32)>>,
}

/// Configuration and state: a channel's timing as its controller sees it.
#[derive(Clone, Debug)]
pub(super) struct Times<S> {
    // Configuration.
    organisation: Organisation,
    table: RuleTable,
    places: Vec<Place>,
    commands: [Command; COMMANDS],
    sent: [Command; SENT],
    /// By command and bank.
    effects: Vec<Effect>,
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
    /// By command the banks whose own ticks, and their groups', were reached when last looked at. A bank is here or in
    /// the wheel.
    due: [S; COMMANDS],
    wheel: Wheel<{ COMMANDS * NODES }>,
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
    /// The times of a channel with these rules.
    pub(super) fn new(table: RuleTable) -> Self {
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
        let mut times = Self {
            organisation,
            places: (0..banks).map(|bank| table.node(Level::Bank, bank)).collect(),
            commands,
            sent,
            effects: vec![Effect::default(); SENT * NODES],
            moves: Vec::new(),
            more: vec![More::default(); SENT * NODES],
            groups,
            ranks,
            banks_of,
            one_rank: organisation.nodes(Level::Rank) == 1,
            ready: Box::new([0; ENTRIES]),
            history: vec![0; table.history as usize],
            others: TimingState::new(table.without_following(&commands)),
            due: [S::range(0..banks as usize); COMMANDS],
            wheel: Wheel::new(),
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
                match moves.iter_mut().find(|known| known.entry() == entry) {
                    Some(known) => known.0 = known.0.max(Move::new(entry, latency).0),
                    None => moves.push(Move::new(entry, latency)),
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
        let others = self.others.moves(command, &place);
        let index = number * NODES + bank;
        let begin = self.moves.len() as u32;
        let more = !windows.is_empty() || others.as_ref().is_none_or(|moves| !moves.is_empty());
        self.effects[index] = Effect { begin, end: begin + moves.len() as u32, more };
        self.moves.extend(moves);
        self.more[index] = More { windows, others };
    }

    /// Where the ticks of a node for a command stand; `None` for a command that is left to `others`.
    fn entries(&self, level: u8, node: u32, following: u8) -> Option<std::ops::Range<usize>> {
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
        self.narrow(command, bank).max(rank).max(self.ready[CHANNEL + command])
    }

    /// When the channel is ready for one of the four commands.
    #[inline]
    pub(super) fn channel_ready(&self, command: usize) -> Tick {
        self.ready[CHANNEL + command]
    }

    /// When a place is ready for another command.
    pub(super) fn ready_for_other(&self, command: Command, place: &Place) -> Tick {
        self.others.ready_at(command, place)
    }

    /// What a bank and its group allow.
    #[inline]
    fn narrow(&self, command: usize, bank: usize) -> Tick {
        let row = command * NODES;
        let group = usize::from(self.groups[bank % NODES]) % NODES;
        self.ready[(BANK + row + bank % NODES) % ENTRIES].max(self.ready[(GROUP + row + group) % ENTRIES])
    }

    /// Goes to a tick. Ticks never go back.
    #[inline]
    pub(super) fn wake(&mut self, tick: Tick) {
        let due = &mut self.due;
        self.wheel.wake(tick, |node| due[node / NODES % COMMANDS].insert(node % NODES));
    }

    /// The first tick after the one that was gone to at which a bank may become ready that is not known to be.
    #[inline]
    pub(super) fn next(&self) -> Tick {
        self.wheel.next()
    }

    /// The oldest of `banks` that is ready for a command at `tick`, which was gone to, and its age. Otherwise lowers `next`
    /// to a tick before which none of them is, as far as [`Self::next`] does not say it.
    #[inline(always)]
    pub(super) fn oldest<A: Ord + Copy>(
        &mut self,
        command: usize,
        banks: S,
        tick: Tick,
        next: &mut Tick,
        age: impl Fn(usize) -> A,
    ) -> Option<(A, usize)> {
        let mut rest = self.due[command] & banks;
        if rest.is_empty() {
            return None;
        }
        let channel = self.ready[CHANNEL + command];
        if channel > tick {
            *next = channel.min(*next);
            return None;
        }
        if self.one_rank {
            return self.oldest_of(command, rest, tick, &age);
        }
        let mut best: Option<(A, usize)> = None;
        while !rest.is_empty() {
            let rank = usize::from(self.ranks[rest.first() % NODES]) % NODES;
            let banks = rest & self.banks_of[rank];
            rest = rest.without(banks);
            let wide = self.ready[RANK + command * NODES + rank];
            if wide > tick {
                *next = wide.min(*next);
            } else if let Some(oldest) = self.oldest_of(command, banks, tick, &age)
                && best.is_none_or(|(age, _)| oldest.0 < age)
            {
                best = Some(oldest);
            }
        }
        best
    }

    /// The oldest of banks that were due whose own ticks, and their groups', are reached.
    #[inline(always)]
    fn oldest_of<A: Ord + Copy>(
        &mut self,
        command: usize,
        mut banks: S,
        tick: Tick,
        age: &impl Fn(usize) -> A,
    ) -> Option<(A, usize)> {
        loop {
            let mut oldest = (age(banks.first()), banks.first());
            let mut others = banks.without_first();
            while !others.is_empty() {
                let other = age(others.first());
                if other < oldest.0 {
                    oldest = (other, others.first());
                }
                others = others.without_first();
            }
            let bank = oldest.1;
            let narrow = self.narrow(command, bank);
            if narrow <= tick {
                return Some(oldest);
            }
            // The bank, or its group, has got another command since it became due.
            banks.remove(bank);
            self.due[command].remove(bank);
            self.wheel.insert(command * NODES + bank, narrow);
            if banks.is_empty() {
                return None;
            }
        }
    }

    /// Notes that a command, one of the numbers above, is issued to a bank.
    #[inline]
    pub(super) fn issue(&mut self, number: usize, bank: usize, tick: Tick) {
        let effect = self.effects[number * NODES + bank % NODES];
        for of in &self.moves[effect.begin as usize..effect.end as usize] {
            let (ready, moved) = (&mut self.ready[of.entry()], tick + of.latency());
            if *ready < moved {
                *ready = moved;
            }
        }
        if effect.more {
            self.issue_more(number, bank, tick);
        }
    }

    #[inline(never)]
    fn issue_more(&mut self, number: usize, bank: usize, tick: Tick) {
        let more = &self.more[number * NODES + bank % NODES];
        for rule in &more.windows {
            let memory = rule.history as usize..(rule.history + rule.window) as usize + 1;
            let free = slide(&mut self.history[memory], tick + Tick::from(rule.latency));
            for entry in rule.entry..rule.entry + rule.entries {
                let ready = &mut self.ready[usize::from(entry) % ENTRIES];
                *ready = (*ready).max(free);
            }
        }
        match &more.others {
            Some(moves) => self.others.issue_moves(moves, tick),
            None => self.others.issue(self.sent[number % SENT], &self.places[bank], tick),
        }
    }

    /// Notes that a command is issued to a place.
    #[cold]
    pub(super) fn issue_at(&mut self, command: Command, place: &Place, tick: Tick) {
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

/// The memory of a window at a node.
fn memory_of(rule: &WindowRule, node: u32) -> std::ops::Range<usize> {
    let length = usize::from(rule.window) + 1;
    let begin = rule.history as usize + node as usize * length;
    begin..begin + length
}
