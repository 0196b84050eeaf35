//! Requests of a channel that wait, and which of them goes next.
//!
//! The rules are those of [`DramChannel`](crate::dram::DramChannel), here without its searches by bank: queues are short, and each is
//! looked through from the oldest on.

use std::collections::VecDeque;

use super::Done;
use crate::command::{Address, Command};
use crate::controller::readiness::{Nodes, Readiness};
use crate::device::DeviceSpec;
use crate::dram::{Access, Completion, DramError, Offered, Queues, Request};
use crate::organisation::{Level, Organisation};
use crate::timing::Parameter;

const READ: usize = 0;
const WRITE: usize = 1;

/// A request that waits.
#[derive(Clone, Copy, Debug)]
struct Entry {
    request: Request,
    bank: usize,
    arrived: i64,
}

/// A request that a row was activated for.
#[derive(Clone, Copy, Debug)]
struct Owner {
    entry: Entry,
    activated: i64,
}

/// State of a bank.
#[derive(Clone, Copy, Debug)]
struct Bank {
    nodes: Nodes,
    open: Option<u32>,
    owner: Option<Owner>,
}

/// What could be issued next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pick {
    pub(super) cycle: i64,
    pub(super) command: Command,
    pub(super) nodes: Nodes,
    bank: usize,
    /// The bank's owner is served.
    pub(super) owned: bool,
    /// Place in the queue of this number.
    queue: usize,
    place: usize,
}

/// State: the requests of a channel and the rows that are open for them.
#[derive(Debug)]
pub(super) struct Requests {
    /// Configuration.
    organisation: Organisation,
    sizes: Queues,
    /// State.
    queues: [VecDeque<Entry>; 2],
    banks: Vec<Bank>,
    owned: usize,
    open: usize,
    write_mode: bool,
    /// State: reads are answered in order.
    last_answer: i64,
    refused: Option<usize>,
    pub(super) freed: bool,
}

const fn column_of(access: Access) -> Command {
    match access {
        Access::Read => Command::Rd,
        Access::Write => Command::Wr,
    }
}

/// The earliest, among those the first offered.
fn keep(best: &mut Option<Pick>, pick: Pick) {
    if best.is_none_or(|best| pick.cycle < best.cycle) {
        *best = Some(pick);
    }
}

impl Requests {
    pub(super) fn new(device: &DeviceSpec, queues: Queues, readiness: &Readiness) -> Self {
        let organisation = device.organisation;
        let mut banks = Vec::new();
        for pseudo_channel in 0..organisation.pseudo_channels as u8 {
            for rank in 0..organisation.ranks as u8 {
                for bank_group in 0..organisation.bank_groups as u8 {
                    for bank in 0..organisation.banks as u8 {
                        let address = Address { pseudo_channel, rank, bank_group, bank, row: 0 };
                        banks.push(Bank { nodes: readiness.nodes(address), open: None, owner: None });
                    }
                }
            }
        }
        Self {
            organisation,
            sizes: queues,
            queues: [VecDeque::new(), VecDeque::new()],
            banks,
            owned: 0,
            open: 0,
            write_mode: false,
            last_answer: 0,
            refused: None,
            freed: false,
        }
    }

    pub(super) fn outstanding(&self) -> usize {
        self.waiting() + self.owned
    }

    /// Requests that have not been begun.
    pub(super) fn waiting(&self) -> usize {
        self.queues[READ].len() + self.queues[WRITE].len()
    }

    pub(super) const fn any_owned(&self) -> bool {
        self.owned > 0
    }

    pub(super) const fn any_open(&self) -> bool {
        self.open > 0
    }

    pub(super) fn offer(
        &mut self,
        request: &Request,
        now: i64,
        done: &mut impl FnMut(Done),
    ) -> Result<Offered, DramError> {
        let (address, organisation) = (request.address, &self.organisation);
        let inside = u32::from(address.pseudo_channel) < organisation.pseudo_channels
            && u32::from(address.rank) < organisation.ranks
            && u32::from(address.bank_group) < organisation.bank_groups
            && u32::from(address.bank) < organisation.banks
            && address.row < organisation.rows
            && request.column < organisation.columns;
        if !inside {
            return Err(DramError::outside(request, organisation));
        }
        let same = |entry: &Entry| (entry.request.address, entry.request.column) == (address, request.column);
        if self.queues[WRITE].iter().any(same) {
            let (at, offered) = match request.access {
                Access::Read => (self.answer(now + 1), Offered::Forwarded),
                Access::Write => (now, Offered::Coalesced),
            };
            complete(request, now, at, done);
            return Ok(offered);
        }
        let (queue, capacity) = match request.access {
            Access::Read => (READ, self.sizes.read),
            Access::Write => (WRITE, self.sizes.write),
        };
        if self.queues[queue].len() >= capacity as usize {
            self.refused = Some(queue);
            return Ok(Offered::Refused);
        }
        self.refused = None;
        let bank = self.organisation.node(Level::Bank, address) as usize;
        self.queues[queue].push_back(Entry { request: *request, bank, arrived: now });
        Ok(Offered::Queued)
    }

    fn answer(&mut self, due: i64) -> i64 {
        self.last_answer = self.last_answer.max(due);
        self.last_answer
    }

    /// Which queue is served, decided anew whenever the queues are looked at.
    fn mode(&mut self) -> usize {
        let (reads, writes) = (self.queues[READ].len(), self.queues[WRITE].len());
        self.write_mode = if self.write_mode {
            writes > self.sizes.write_low as usize || reads == 0
        } else {
            writes >= self.sizes.write_high as usize || reads == 0
        };
        usize::from(self.write_mode)
    }

    /// The access of the owner that is ready first; among those that are, of the oldest.
    pub(super) fn owner(&self, readiness: &Readiness, cycle: i64) -> Option<Pick> {
        if self.owned == 0 {
            return None;
        }
        let mut best: Option<(Pick, (i64, i64))> = None;
        for (bank, state) in self.banks.iter().enumerate() {
            let Some(owner) = &state.owner else { continue };
            let command = column_of(owner.entry.request.access);
            let ready = readiness.ready(command, state.nodes).max(cycle);
            let age = (owner.entry.arrived, owner.activated);
            if best.is_none_or(|(best, oldest)| (ready, age) < (best.cycle, oldest)) {
                let pick = Pick { cycle: ready, command, nodes: state.nodes, bank, owned: true, queue: READ, place: 0 };
                best = Some((pick, age));
            }
        }
        best.map(|(pick, _)| pick)
    }

    /// The next column command, from `cycle` on: of an owner, or (where the queues are served) of a request for an open row.
    pub(super) fn column(&mut self, readiness: &Readiness, cycle: i64, serve_queues: bool) -> Option<Pick> {
        let mut best = self.owner(readiness, cycle);
        if !serve_queues || best.is_some_and(|owner| owner.cycle <= cycle) {
            return best;
        }
        let queue = self.mode();
        for (place, entry) in self.queues[queue].iter().enumerate() {
            let bank = &self.banks[entry.bank];
            if bank.open == Some(entry.request.address.row) {
                let command = column_of(entry.request.access);
                let ready = readiness.ready(command, bank.nodes).max(cycle);
                let pick =
                    Pick { cycle: ready, command, nodes: bank.nodes, bank: entry.bank, owned: false, queue, place };
                keep(&mut best, pick);
            }
        }
        best
    }

    /// The next activation or precharge, from `cycle` on.
    pub(super) fn row(&mut self, readiness: &Readiness, cycle: i64) -> Option<Pick> {
        let queue = self.mode();
        let mut best = None;
        for (place, entry) in self.queues[queue].iter().enumerate() {
            let bank = &self.banks[entry.bank];
            let command = match bank.open {
                None => Command::Act,
                Some(row) if row != entry.request.address.row && bank.owner.is_none() => Command::Pre,
                Some(_) => continue,
            };
            let ready = readiness.ready(command, bank.nodes).max(cycle);
            let pick = Pick { cycle: ready, command, nodes: bank.nodes, bank: entry.bank, owned: false, queue, place };
            keep(&mut best, pick);
        }
        best
    }

    /// Ends a request with its access; gives that with its column.
    pub(super) fn serve(
        &mut self,
        pick: &Pick,
        device: &DeviceSpec,
        done: &mut impl FnMut(Done),
    ) -> (Command, Address, u32) {
        let owner = if pick.owned { self.banks[pick.bank].owner.take() } else { None };
        let entry = match owner {
            Some(owner) => {
                self.owned -= 1;
                owner.entry
            }
            None => self.take(pick),
        };
        let at = match entry.request.access {
            Access::Read => {
                let latency = device.cycles(Parameter::Cl) + device.cycles(Parameter::Bl);
                self.answer(pick.cycle + i64::from(latency))
            }
            Access::Write => pick.cycle,
        };
        complete(&entry.request, entry.arrived, at, done);
        (pick.command, entry.request.address, entry.request.column)
    }

    /// Opens the row of a request, or closes the row that is in its way. Gives where the command goes.
    pub(super) fn change_row(&mut self, pick: &Pick) -> Address {
        if pick.command == Command::Pre {
            let address = self.queues[pick.queue][pick.place].request.address;
            self.banks[pick.bank].open = None;
            self.open -= 1;
            return address;
        }
        let entry = self.take(pick);
        let bank = &mut self.banks[pick.bank];
        bank.open = Some(entry.request.address.row);
        bank.owner = Some(Owner { entry, activated: pick.cycle });
        self.open += 1;
        self.owned += 1;
        entry.request.address
    }

    fn take(&mut self, pick: &Pick) -> Entry {
        self.freed |= self.refused == Some(pick.queue);
        let queue = &mut self.queues[pick.queue];
        let entry = queue[pick.place];
        queue.remove(pick.place);
        entry
    }

    pub(super) fn close_all(&mut self) {
        for bank in &mut self.banks {
            bank.open = None;
        }
        self.open = 0;
    }
}

fn complete(request: &Request, arrived: i64, at: i64, done: &mut impl FnMut(Done)) {
    let (arrived, at) = (arrived.unsigned_abs(), at.unsigned_abs());
    done(Done::Request(Completion { request: *request, arrived, done: at }));
}
