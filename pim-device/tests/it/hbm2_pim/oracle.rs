//! A second controller that steps cycle by cycle, scans the whole queue and keeps the "not before" times of every bank:
//! slow, and with none of the lists, masks and jumps of the real one. Each of its rules can be switched off, to see what
//! a reference says of it.

use std::collections::VecDeque;

use pim_device::Command;
use pim_device::hbm2_pim::request::Payload;
use pim_device::hbm2_pim::{Hbm2Pim, Issued, Request, Requests};

/// Rules of the controller. All are on in [`Rules::ALL`].
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools)] // A switch for each rule.
pub(crate) struct Rules {
    /// Once the marked request of a group is at the head, rows of the next group are opened.
    pub(crate) opens_past_a_marked_head: bool,
    /// A marked request gets its row opened only when it is at the head.
    pub(crate) marked_opens_at_the_head: bool,
    /// A marked request is served only at the head.
    pub(crate) marked_served_at_the_head: bool,
    /// Rows that only later groups want are closed.
    pub(crate) closes_rows_of_later_groups: bool,
    /// The marked request of the first group keeps its row open.
    pub(crate) marked_keeps_its_row: bool,
    /// In the all-bank modes only banks 0 and 1 are opened.
    pub(crate) all_bank_limit: bool,
    /// A refresh that waits for open banks lets other commands go on.
    pub(crate) refresh_yields: bool,
    /// A bank that is being precharged counts as closed for a refresh.
    pub(crate) refresh_follows_precharge: bool,
    /// A refresh takes the cycle's command.
    pub(crate) refresh_takes_a_slot: bool,
    /// Precharges go on from the bank of the last one.
    pub(crate) precharge_pointer: bool,
    /// Column commands go before activations, and both before precharges.
    pub(crate) columns_first: bool,
    /// Requests in the command queue and in the transaction queue.
    pub(crate) command_queue: usize,
    pub(crate) transaction_queue: usize,
}

impl Rules {
    pub(crate) const ALL: Self = Self {
        opens_past_a_marked_head: true,
        marked_opens_at_the_head: true,
        marked_served_at_the_head: true,
        closes_rows_of_later_groups: true,
        marked_keeps_its_row: true,
        all_bank_limit: true,
        refresh_yields: true,
        refresh_follows_precharge: true,
        refresh_takes_a_slot: true,
        precharge_pointer: true,
        columns_first: true,
        command_queue: 64,
        transaction_queue: 64,
    };
}

/// "Not before" times of a bank, as the specification lists them.
#[derive(Clone, Copy, Debug, Default)]
struct Bank {
    row: Option<u16>,
    act: u64,
    pre: u64,
    read: u64,
    write: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Single,
    All,
    Pim,
}

#[derive(Debug)]
struct Rank {
    queue: Vec<Request>,
    banks: [Bank; 16],
    mode: Mode,
    seen: Vec<u8>,
}

/// What is compared: cycle, command, rank, bank, row, column.
pub(crate) type Line = (u64, Command, u8, u8, u16, u8);

pub(crate) fn line(issued: &Issued) -> Line {
    (issued.cycle, issued.command, issued.rank, issued.bank, issued.row, issued.column)
}

#[derive(Debug)]
pub(crate) struct Oracle {
    rules: Rules,
    ranks: Vec<Rank>,
    pub(crate) now: u64,
    current: usize,
    pointer: usize,
    timers: Vec<u64>,
    turn: usize,
    wanted: Option<usize>,
    pub(crate) lines: Vec<Line>,
}

impl Oracle {
    pub(crate) fn new(ranks: usize, rules: Rules) -> Self {
        let rank = || Rank { queue: Vec::new(), banks: [Bank::default(); 16], mode: Mode::Single, seen: Vec::new() };
        Self {
            rules,
            ranks: (0..ranks).map(|_| rank()).collect(),
            now: 0,
            current: 0,
            pointer: 0,
            timers: (0..ranks as u64).map(|rank| 3_900 / ranks as u64 * (rank + 1)).collect(),
            turn: 0,
            wanted: None,
            lines: Vec::new(),
        }
    }

    /// Serves the requests; the cycle after the end. `None` where they never end.
    pub(crate) fn run(&mut self, requests: &Requests) -> Option<u64> {
        let mut pending: VecDeque<Request> = requests.iter(&Hbm2Pim::new().organisation).collect();
        let mut transactions: VecDeque<Request> = VecDeque::new();
        while transactions.len() < self.rules.transaction_queue {
            let Some(request) = pending.pop_front() else { break };
            transactions.push_back(request);
        }
        let mut outstanding = pending.len() + transactions.len();
        let mut end = self.now;
        // Some requests can go on only after a refresh has closed a bank.
        let limit = self.now + 20_000 + 4_000 * outstanding as u64;
        while outstanding > 0 || self.now < end {
            if self.now > limit {
                return None;
            }
            if transactions.len() < self.rules.transaction_queue {
                transactions.extend(pending.pop_front());
            }
            if let Some(done) = self.cycle(requests) {
                outstanding -= 1;
                end = end.max(done + 1);
            }
            if let Some(request) = transactions.front() {
                let queue = &mut self.ranks[usize::from(request.rank)].queue;
                if queue.len() < self.rules.command_queue {
                    queue.extend(transactions.pop_front());
                }
            }
            self.now += 1;
        }
        Some(end)
    }

    /// One cycle; when the column command that it issued is complete.
    fn cycle(&mut self, requests: &Requests) -> Option<u64> {
        if self.timers[self.turn] == self.now {
            self.wanted = Some(self.turn);
            self.timers[self.turn] += 3_900;
            self.turn = (self.turn + 1) % self.ranks.len();
        }
        if let Some(rank) = self.wanted {
            let now = self.now;
            let open = |bank: &Bank| bank.row.is_some();
            let banks = &self.ranks[rank].banks;
            let closed_long = |bank: &Bank| self.rules.refresh_follows_precharge || bank.act <= now;
            if !banks.iter().any(open) && banks.iter().all(closed_long) {
                self.wanted = None;
                for bank in &mut self.ranks[rank].banks {
                    bank.act = bank.act.max(now + 350);
                }
                self.lines.push((now, Command::RefAb, rank as u8, 0, 0, 0));
                if self.rules.refresh_takes_a_slot {
                    return None;
                }
            } else if let Some(bank) = banks.iter().position(|bank| open(bank) && bank.pre <= now) {
                self.precharge(rank, bank);
                return None;
            } else if !self.rules.refresh_yields {
                return None;
            }
        }
        for step in 0..self.ranks.len() {
            let rank = (self.current + step) % self.ranks.len();
            let column = self.column(rank);
            let activation = self.activation(rank);
            let (column, activation) = match (column, activation) {
                (Some(_), Some(_)) if !self.rules.columns_first => (None, activation),
                both => both,
            };
            if let Some(index) = column {
                self.current = rank;
                return Some(self.serve(rank, index, requests));
            }
            if let Some(index) = activation {
                self.current = rank;
                self.activate(rank, index);
                return None;
            }
        }
        self.close_unwanted();
        None
    }

    fn first_mark(&self, rank: usize) -> usize {
        let queue = &self.ranks[rank].queue;
        queue.iter().position(|request| request.barrier).unwrap_or(queue.len())
    }

    fn column(&self, rank: usize) -> Option<usize> {
        let Rank { queue, banks, .. } = &self.ranks[rank];
        (0..queue.len()).find(|&index| {
            let request = &queue[index];
            let bank = &banks[usize::from(request.bank)];
            let ready = if request.write { bank.write } else { bank.read };
            let same =
                |other: &Request| (other.bank, other.row, other.column) == (request.bank, request.row, request.column);
            let marked_waits = self.rules.marked_served_at_the_head && request.barrier && index > 0;
            bank.row == Some(request.row)
                && ready <= self.now
                && !queue[..index].iter().any(same)
                && !queue[..index].iter().any(|other| other.barrier)
                && !marked_waits
        })
    }

    fn activation(&self, rank: usize) -> Option<usize> {
        let Rank { queue, banks, mode, .. } = &self.ranks[rank];
        for (index, request) in queue.iter().enumerate() {
            let stops = request.barrier && self.rules.marked_opens_at_the_head
                || queue[..index].iter().any(|other| other.barrier) && !self.rules.opens_past_a_marked_head;
            if index > 0 && stops {
                return None;
            }
            let bank = &banks[usize::from(request.bank)];
            let may = *mode == Mode::Single || request.bank < 2 || !self.rules.all_bank_limit;
            if bank.row.is_none() && bank.act <= self.now && may {
                return Some(index);
            }
            if index > 0 && request.barrier {
                return None;
            }
        }
        None
    }

    fn close_unwanted(&mut self) {
        let ranks = self.ranks.len();
        let begin = if self.rules.precharge_pointer { self.pointer } else { 0 };
        for step in 0..16 * ranks {
            let place = (begin + step) % (16 * ranks);
            let (bank, rank) = (place / ranks, place % ranks);
            let marked = usize::from(self.rules.marked_keeps_its_row);
            let queue = &self.ranks[rank].queue;
            let window = if self.rules.closes_rows_of_later_groups {
                (self.first_mark(rank) + marked).min(queue.len())
            } else {
                queue.len()
            };
            let Bank { row: Some(row), pre, .. } = self.ranks[rank].banks[bank] else { continue };
            let wanted = queue[..window].iter().any(|request| usize::from(request.bank) == bank && request.row == row);
            if pre <= self.now && !wanted {
                self.pointer = place;
                self.precharge(rank, bank);
                return;
            }
        }
    }

    fn serve(&mut self, rank: usize, index: usize, requests: &Requests) -> u64 {
        let now = self.now;
        let request = self.ranks[rank].queue.remove(index);
        let own = usize::from(request.bank);
        for (other, state) in self.ranks.iter_mut().enumerate() {
            for (number, bank) in state.banks.iter_mut().enumerate() {
                let gap = if number / 4 == own / 4 { 4 } else { 2 };
                let (read, write) = match (other == rank, request.write) {
                    (true, false) => (gap, 15),
                    (true, true) => (19, gap),
                    (false, _) if bank.row.is_none() => continue,
                    (false, false) => (3, 15),
                    (false, true) => (0, 3),
                };
                bank.read = bank.read.max(now + read);
                bank.write = bank.write.max(now + write);
            }
        }
        let bank = &mut self.ranks[rank].banks[own];
        bank.pre = bank.pre.max(now + if request.write { 26 } else { 3 });
        let command = if request.write { Command::Wr } else { Command::Rd };
        self.lines.push((now, command, rank as u8, request.bank, request.row, request.column));
        let control = match requests.runs[request.run as usize].payload {
            Payload::Control(control) => Some(control),
            _ => None,
        };
        let state = &mut self.ranks[rank];
        if let Some(control) = control
            && request.write
            && state.mode != Mode::Single
            && (request.bank, request.row, request.column) == (0, 0x3fff, 0)
        {
            state.mode = if control.pim { Mode::Pim } else { Mode::All };
        }
        now + if request.write { 10 } else { 23 }
    }

    fn activate(&mut self, rank: usize, index: usize) {
        let now = self.now;
        let state = &mut self.ranks[rank];
        let request = state.queue[index];
        let own = usize::from(request.bank);
        for (number, bank) in state.banks.iter_mut().enumerate() {
            let gap = match number {
                _ if number == own => 47,
                _ if number / 4 == own / 4 => 6,
                _ => 4,
            };
            bank.act = bank.act.max(now + gap);
        }
        let bank = &mut state.banks[own];
        bank.row = Some(request.row);
        bank.pre = bank.pre.max(now + 33);
        bank.read = bank.read.max(now + 14);
        bank.write = bank.write.max(now + 10);
        if state.mode == Mode::Single && request.row == 0x17ff && request.column == 0x1f {
            state.seen.push(request.bank);
            if [0, 1, 8, 9].iter().all(|bank| state.seen.contains(bank)) {
                (state.mode, state.seen) = (Mode::All, Vec::new());
            }
        }
        self.lines.push((now, Command::Act, rank as u8, request.bank, request.row, request.column));
    }

    fn precharge(&mut self, rank: usize, bank: usize) {
        let now = self.now;
        let state = &mut self.ranks[rank];
        let row = state.banks[bank].row.take().unwrap_or_default();
        state.banks[bank].act = state.banks[bank].act.max(now + 14);
        if state.mode == Mode::All && row == 0x1fff {
            state.seen.push(bank as u8);
            if [0, 1].iter().all(|bank| state.seen.contains(bank)) {
                (state.mode, state.seen) = (Mode::Single, Vec::new());
            }
        }
        self.lines.push((now, Command::Pre, rank as u8, bank as u8, row, 0));
    }
}
