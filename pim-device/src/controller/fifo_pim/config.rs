//! A rule set, looked up by number.

use crate::command::{Address, Bus, Command};
use crate::organisation::Organisation;
use crate::timing::{Parameter, Timing};

use super::rules::{BankSet, Banks, Effect, Need, RuleSet};
use super::timers::Node;

/// Configuration of every channel of a run.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) organisation: Organisation,
    buses: [Option<Bus>; Command::ALL.len()],
    effects: [Effect; Command::ALL.len()],
    needs: [Need; Command::ALL.len()],
    /// Commands that open or close rows, and that need one; a bit each.
    moving: u32,
    needing: u32,
    /// Commands whose requests need a row in banks of several bank groups; a bit each.
    wide: u32,
    /// Commands by their bus; a bit each.
    by_bus: [u32; 2],
    /// By bank and kind of set.
    sets: Vec<[BankSet; Banks::ALL.len()]>,
    /// RD to the last of its data, in cycles.
    pub(super) read_latency: u64,
    /// Between refreshes, in cycles; `None` without refresh.
    pub(super) refresh_interval: Option<u64>,
}

impl Config {
    pub(super) fn new(rules: &RuleSet, organisation: &Organisation, timing: &Timing, refresh: bool) -> Self {
        let mut buses = [None; Command::ALL.len()];
        let mut effects = [Effect::Nothing; Command::ALL.len()];
        let mut needs = [Need::Nothing; Command::ALL.len()];
        let (mut moving, mut needing, mut wide, mut by_bus) = (0, 0, 0, [0; 2]);
        for rule in rules.commands {
            buses[rule.command.index()] = rule.bus;
            effects[rule.command.index()] = rule.effect;
            if let Some(bus) = rule.bus {
                by_bus[bus as usize] |= 1 << rule.command as u32;
            }
            moving |= u32::from(rule.effect != Effect::Nothing) << rule.command as u32;
        }
        for rule in rules.requests {
            needs[rule.command.index()] = rule.need;
            needing |= u32::from(matches!(rule.need, Need::Open { .. })) << rule.command as u32;
        }
        for rule in rules.requests {
            let is_wide = matches!(rule.need, Need::Open { banks: Banks::SameIndex | Banks::All, .. });
            wide |= u32::from(is_wide) << rule.command as u32;
        }
        let sets =
            (0..organisation.banks_per_channel()).map(|bank| Banks::ALL.map(|kind| kind.set(organisation, bank)));
        let interval = u64::from(timing.get(Parameter::Refi));
        Self {
            organisation: *organisation,
            buses,
            effects,
            needs,
            moving,
            needing,
            wide,
            by_bus,
            sets: sets.collect(),
            read_latency: u64::from(timing.get(Parameter::Cl)) + u64::from(timing.get(Parameter::Bl)),
            refresh_interval: (refresh && interval > 0).then_some(interval),
        }
    }

    #[inline]
    pub(super) const fn bus(&self, command: Command) -> Option<Bus> {
        self.buses[command as usize]
    }

    /// The commands that go over a bus; a bit each.
    #[inline]
    pub(super) const fn commands_of(&self, bus: Bus) -> u32 {
        self.by_bus[bus as usize]
    }

    #[inline]
    pub(super) const fn effect(&self, command: Command) -> Effect {
        self.effects[command as usize]
    }

    #[inline]
    pub(super) const fn need(&self, command: Command) -> Need {
        self.needs[command as usize]
    }

    /// Whether a command opens or closes rows.
    #[inline]
    pub(super) const fn moves_rows(&self, command: Command) -> bool {
        self.moving >> command as u32 & 1 != 0
    }

    /// Whether a command goes over the column bus and leaves rows as they are.
    #[inline]
    pub(super) const fn is_plain_column(&self, command: Command) -> bool {
        (self.by_bus[Bus::Column as usize] & !self.moving) >> command as u32 & 1 != 0
    }

    /// Whether a request of this command needs an open row.
    #[inline]
    pub(super) const fn needs_row(&self, command: Command) -> bool {
        self.needing >> command as u32 & 1 != 0
    }

    /// Whether a request of this command needs its row in banks of several bank groups.
    #[inline]
    pub(super) const fn is_wide(&self, command: Command) -> bool {
        self.wide >> command as u32 & 1 != 0
    }

    /// The banks that a command at this bank works on. `bank` may also be a whole pseudo-channel; then only
    /// [`Banks::All`] makes sense.
    #[inline]
    pub(super) fn set(&self, banks: Banks, bank: Node) -> BankSet {
        let bank = if usize::from(bank) < self.sets.len() { usize::from(bank) } else { 0 };
        self.sets[bank][banks as usize]
    }

    /// The banks in which a request of this command at this bank needs its row.
    #[inline]
    pub(super) fn reach(&self, command: Command, bank: Node) -> BankSet {
        match self.need(command) {
            Need::Open { banks, .. } => self.set(banks, bank),
            Need::Nothing | Need::Closed { .. } => 0,
        }
    }

    /// Whether there are such rows and columns.
    #[inline]
    pub(super) const fn has_place(&self, row: u32, column: u16) -> bool {
        row < self.organisation.rows && (column as u32) < self.organisation.columns
    }

    /// Whether there are such columns.
    #[inline]
    pub(super) const fn has_column(&self, column: u16) -> bool {
        (column as u32) < self.organisation.columns
    }

    /// The node of a bank; `None` where the organisation has no such bank or row.
    pub(super) fn bank(&self, address: Address, column: u16) -> Option<Node> {
        let Organisation { pseudo_channels, ranks, bank_groups, banks, rows, columns, .. } = self.organisation;
        let within = u32::from(address.pseudo_channel) < pseudo_channels
            && u32::from(address.rank) < ranks
            && u32::from(address.bank_group) < bank_groups
            && u32::from(address.bank) < banks
            && address.row < rows
            && u32::from(column) < columns;
        within.then(|| self.organisation.node(crate::organisation::Level::Bank, address) as Node)
    }

    /// The address of a bank's row.
    pub(super) fn address(&self, bank: Node, row: u32) -> Address {
        let Organisation { ranks, bank_groups, banks, .. } = self.organisation;
        let bank = u32::from(bank);
        let group = bank / banks;
        let rank = group / bank_groups;
        Address {
            pseudo_channel: (rank / ranks) as u8,
            rank: (rank % ranks) as u8,
            bank_group: (group % bank_groups) as u8,
            bank: (bank % banks) as u8,
            row,
        }
    }
}
