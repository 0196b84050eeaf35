//! The controller of one channel: which command it issues in which cycle.
//!
//! In every cycle it issues at most one command: a refresh that is due, else the oldest column command that may go,
//! else an activation, else a precharge of a row that the first group of requests does not want. The loop goes from one
//! cycle in which a decision can change to the next; in between nothing can be issued.

use super::error::Hbm2PimError;
use super::mode::{Mode, ModeState};
use super::queue::{Candidate, Queue};
use super::request::{Iter, Payload, Request, Requests};
use super::times::{ACT, BANKS, KINDS, PRE, RD, Times, WR};
use crate::command::{Command, CommandCounts};
use crate::constraint::Constraint;
use crate::device::hbm2_pim::Hbm2Pim;
use crate::timing::Parameter;

/// A command that was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The cycle of the decision; the command reaches the rank one later.
    pub cycle: u64,
    /// ACT, PRE, RD, WR or REFab.
    pub command: Command,
    /// Rank of the channel.
    pub rank: u8,
    /// Bank of the rank; 0 for REFab.
    pub bank: u8,
    /// Row that is opened, closed, read or written.
    pub row: u16,
    /// Column of the request, in bursts; 0 for PRE and REFab.
    pub column: u8,
    /// The rank's mode when the command reaches it.
    pub mode: Mode,
    /// The rank's mode afterwards.
    pub mode_after: Mode,
    /// The request that a column command serves or a row is opened for.
    pub request: Option<Request>,
}

/// Is told of every command, in order.
pub trait Observer {
    /// Whether it wants to be told; otherwise runs of commands may be issued in one step.
    const LOOKS: bool = true;

    /// A command was issued for a request of `requests`.
    ///
    /// # Errors
    /// Whatever cannot be observed; it ends the run.
    fn issued(&mut self, issued: &Issued, requests: &Requests) -> Result<(), Hbm2PimError>;
}

/// Nobody looks: times only.
impl Observer for () {
    const LOOKS: bool = false;

    fn issued(&mut self, _: &Issued, _: &Requests) -> Result<(), Hbm2PimError> {
        Ok(())
    }
}

/// Commands are kept as they are.
impl Observer for Vec<Issued> {
    fn issued(&mut self, issued: &Issued, _: &Requests) -> Result<(), Hbm2PimError> {
        self.push(*issued);
        Ok(())
    }
}

/// State: a channel with its controller.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Cycles that are over.
    now: u64,
    /// When each rank allows what.
    times: Vec<Times>,
    /// What open banks of the other ranks wait for.
    between_ranks: Vec<BetweenRanks>,
    queues: Vec<Queue>,
    modes: Vec<ModeState>,
    /// Rank that is tried first.
    current: usize,
    /// Rank and bank of the last precharge of an unwanted row, as bank x ranks + rank.
    last_precharge: usize,
    refresh: Refresh,
    read_done: u64,
    write_done: u64,
    /// Statistics.
    counts: CommandCounts,
}

/// A line of the constraint table between ranks, resolved.
#[derive(Clone, Copy, Debug)]
struct BetweenRanks {
    preceding: &'static [Command],
    following: &'static [Command],
    cycles: u64,
}

#[derive(Clone, Copy, Debug)]
struct Refresh {
    /// When the next timer fires, and of which rank.
    at: u64,
    turn: usize,
    /// The first time of each rank is so much after the one before.
    stagger: u64,
    interval: u64,
    /// The rank that waits for its refresh, and a cycle before which none of its open banks can be closed.
    wanted: Option<usize>,
    closing: u64,
}

/// What a stream of column commands to several banks looked like a round ago.
#[derive(Clone, Debug)]
struct Periods {
    /// Commands since.
    since: u64,
    order: ([(u8, u32); BANKS], usize),
    /// When that was; `None` where it was not looked at.
    then: Option<u64>,
    /// How much later each place allowed each command then, and does now.
    before: Vec<u64>,
    after: Vec<u64>,
}

impl Default for Periods {
    fn default() -> Self {
        Self { since: 0, order: ([(0, 0); BANKS], 0), then: None, before: Vec::new(), after: Vec::new() }
    }
}

/// How far a list of requests has come.
#[derive(Clone, Debug)]
struct Progress<'r> {
    arriving: Iter<'r>,
    /// The next one to arrive.
    arrival: Option<Request>,
    /// Requests that have not been served.
    outstanding: u64,
    /// The cycle after the one in which all that were served are complete.
    end: u64,
    /// When the last one was served.
    served: u64,
    periods: Periods,
}

/// No cycle.
const NEVER: u64 = u64::MAX;
/// Cycles without a request served after which none ever will be: 32 refresh intervals of 3,900 cycles. Assumption: a
/// row waits for one refresh of each rank at most.
const PATIENCE: u64 = 32 * 3_900;

/// What a decision found.
#[derive(Clone, Copy, Debug)]
enum Decision {
    Column {
        rank: usize,
        slot: u16,
    },
    Activate {
        rank: usize,
        slot: u16,
    },
    Precharge {
        rank: usize,
        bank: usize,
        unwanted: bool,
    },
    Refresh,
    /// Nothing before this cycle, if nothing arrives.
    Wait(u64),
}

impl Channel {
    /// A channel that has just been started: all banks closed, cycle 0.
    pub fn new(device: &Hbm2Pim) -> Self {
        let organisation = &device.organisation;
        let ranks = organisation.ranks.max(1);
        let queue = Queue::new(organisation.banks_per_rank(), device.command_queue);
        let cycles = |parameter| device.timing.get(parameter);
        let (siblings, own): (Vec<Constraint>, Vec<Constraint>) =
            device.constraints.iter().partition(|line| line.sibling);
        let times = Times::new(organisation, &own, cycles);
        let between_ranks = siblings
            .iter()
            .map(|line| BetweenRanks {
                preceding: line.preceding,
                following: line.following,
                cycles: u64::from(line.latency.cycles(cycles)),
            })
            .collect();
        let interval = u64::from(device.timing.get(Parameter::Refi)).max(1);
        let stagger = interval / u64::from(ranks);
        Self {
            now: 0,
            times: vec![times; ranks as usize],
            between_ranks,
            queues: vec![queue; ranks as usize],
            modes: vec![ModeState::default(); ranks as usize],
            current: 0,
            last_precharge: 0,
            refresh: Refresh { at: stagger, turn: 0, stagger, interval, wanted: None, closing: 0 },
            read_done: device.read_done(),
            write_done: device.write_done(),
            counts: CommandCounts::default(),
        }
    }

    /// Cycles since the start.
    pub const fn now(&self) -> u64 {
        self.now
    }

    /// How many of each command were issued.
    pub const fn counts(&self) -> &CommandCounts {
        &self.counts
    }

    /// Serves requests that are all there in this cycle, and returns the cycle after the one in which the last is
    /// complete.
    ///
    /// # Errors
    /// [`Hbm2PimError`] for requests outside of the channel, and what the observer refuses.
    pub fn run(
        &mut self,
        device: &Hbm2Pim,
        requests: &Requests,
        observer: &mut impl Observer,
    ) -> Result<u64, Hbm2PimError> {
        requests.check(device)?;
        let (reads, writes) = requests.totals();
        let mut arriving = requests.iter(&device.organisation);
        let arrival = arriving.next();
        let mut progress = Progress {
            arriving,
            arrival,
            outstanding: reads + writes,
            end: self.now,
            served: self.now,
            periods: Periods::default(),
        };
        while progress.outstanding > 0 || self.now < progress.end {
            self.stream(requests, &mut progress, observer)?;
            let (mut next, command) = self.cycle(requests, observer)?;
            if let Some(Command::Rd | Command::Wr) = command {
                self.note_served(command == Some(Command::Wr), &mut progress);
            }
            // What arrives now is looked at in the next cycle, if it can be served or have a row opened.
            if let Some(request) = progress.arrival {
                let queue = &mut self.queues[usize::from(request.rank)];
                if !queue.is_full() {
                    let changed = queue.push(request);
                    progress.arrival = progress.arriving.next();
                    let more = progress.arrival.is_some_and(|next| !self.queues[usize::from(next.rank)].is_full());
                    if changed || more || next == NEVER {
                        next = self.now + 1;
                    }
                }
            }
            // Rows that are open for a marked request while an older one waits for another row are closed by a refresh.
            let starved = next == NEVER && self.queues.iter().all(|queue| queue.open == 0);
            let Progress { outstanding, end, served, .. } = progress;
            if outstanding > 0 && (starved || self.now - served > PATIENCE) {
                return Err(Hbm2PimError::Stuck { cycle: self.now, requests: outstanding });
            }
            next = next.min(self.refresh.at.max(self.now + 1));
            self.now = if outstanding > 0 { next } else { next.min(end) };
        }
        Ok(progress.end)
    }

    /// A column command was issued now.
    #[inline]
    fn note_served(&self, write: bool, progress: &mut Progress<'_>) {
        let latency = if write { self.write_done } else { self.read_done };
        progress.end = progress.end.max(self.now + latency + 1);
        progress.outstanding -= 1;
        progress.served = self.now;
    }

    /// The only rank with anything to do, where all that can be done is one kind of column command: the rank, and whether
    /// that is a write.
    #[inline]
    fn streams(&self) -> Option<(usize, bool)> {
        let mut found = None;
        for (rank, queue) in self.queues.iter().enumerate() {
            if queue.open | queue.activable == 0 {
                continue;
            }
            if found.is_some() {
                return None;
            }
            found = Some((rank, queue.streams()?));
        }
        found
    }

    /// Column commands one after the other, as long as each of them, and the request that arrives in its place, leaves it at
    /// that: what [`Self::cycle`] and the arrival after it would do. Ends before a cycle in which anything else may come.
    #[inline]
    fn stream<O: Observer>(
        &mut self,
        requests: &Requests,
        progress: &mut Progress<'_>,
        observer: &mut O,
    ) -> Result<(), Hbm2PimError> {
        if self.refresh.wanted.is_some() {
            return Ok(());
        }
        let Some((rank, write)) = self.streams() else { return Ok(()) };
        let full = self.queues[rank].is_full();
        if progress.arrival.is_some_and(|arrival| !full || usize::from(arrival.rank) != rank) {
            return Ok(());
        }
        let (kind, command) = if write { (WR, Command::Wr) } else { (RD, Command::Rd) };
        let mode = self.modes[rank].mode();
        (progress.periods.since, progress.periods.then) = (0, None);
        while self.now < self.refresh.at {
            let mut wait = NEVER;
            let Some(candidate) = self.oldest_column(kind, rank, &mut wait) else {
                self.now = wait.min(self.refresh.at);
                continue;
            };
            // A request to another rank waits for its own queue.
            if progress.arrival.as_ref().is_some_and(|arrival| usize::from(arrival.rank) != rank) {
                return Ok(());
            }
            let request = self.queues[rank].request(candidate.slot);
            if !self.queues[rank].exchange(candidate, write, progress.arrival.as_ref()) {
                return Ok(());
            }
            if progress.arrival.is_some() {
                progress.arrival = progress.arriving.next();
            }
            self.current = rank;
            self.times[rank].issue(kind, candidate.bank, self.now);
            self.counts[command] += 1;
            self.note_served(write, progress);
            if !O::LOOKS {
                if self.queues[rank].is_alone(candidate.bank, write) {
                    self.stream_of_bank((rank, candidate.bank), (kind, command), progress);
                } else {
                    progress.periods.since += 1;
                    if progress.periods.since == progress.arriving.banks() {
                        self.stream_of_rounds(rank, (kind, command), progress);
                    }
                }
                self.now = self.times[rank].wide(kind).max(self.now + 1).min(self.refresh.at);
                continue;
            }
            let Request { bank, row, column, .. } = request;
            let issued = Issued {
                cycle: self.now,
                command,
                rank: rank as u8,
                bank,
                row,
                column,
                mode,
                mode_after: mode,
                request: Some(request),
            };
            observer.issued(&issued, requests)?;
            self.now = self.times[rank].wide(kind).max(self.now + 1).min(self.refresh.at);
        }
        Ok(())
    }

    /// After a column command: those that follow it in the only bank that offers any, where each comes as long after the one
    /// before as that one demands, because all else that holds it back was over at the first.
    #[inline]
    fn stream_of_bank(
        &mut self,
        (rank, bank): (usize, usize),
        (kind, command): (usize, Command),
        progress: &mut Progress<'_>,
    ) {
        let times = &mut self.times[rank];
        let gap = times.ready(kind, bank) - self.now;
        if gap == 0 || !times.is_plain() || self.refresh.at <= self.now {
            return;
        }
        let most = (self.refresh.at - self.now - 1) / gap;
        let Progress { arriving, arrival, .. } = progress;
        let done = self.queues[rank].exchange_run(bank, kind == WR, most, arrival, arriving);
        if done > 0 {
            self.now += done * gap;
            times.issue(kind, bank, self.now);
            self.counts[command] += done;
            progress.outstanding -= done - 1;
            self.note_served(kind == WR, progress);
        }
    }

    /// After as many commands as there are banks, of a stream of neighbouring bursts: where all is as it was so many commands
    /// before, only later, it goes on like this as long as the row and the time to the next refresh last.
    #[inline(never)]
    fn stream_of_rounds(&mut self, rank: usize, (kind, command): (usize, Command), progress: &mut Progress<'_>) {
        let periods = &mut progress.periods;
        periods.since = 0;
        let (queue, times, write) = (&mut self.queues[rank], &mut self.times[rank], kind == WR);
        let banks = progress.arriving.banks();
        let Some(arrival) = &mut progress.arrival else { return };
        let rounds = progress.arriving.rounds_in_row(arrival);
        let order = queue.order(write);
        // A few rounds are not worth a look at everything.
        if rounds < 2 || periods.order != order {
            (periods.order, periods.then) = (order, None);
            return;
        }
        std::mem::swap(&mut periods.before, &mut periods.after);
        times.after(self.now, &mut periods.after);
        let Some(then) = periods.then.replace(self.now).filter(|_| periods.before == periods.after) else { return };
        let cycles = self.now - then;
        let in_time = (self.refresh.at - 1).saturating_sub(self.now) / cycles.max(1);
        let rounds = rounds.min(in_time);
        if rounds == 0 || cycles == 0 || !times.is_plain() || !queue.is_of_run(arrival, banks) {
            return;
        }
        queue.skip_rounds(write, rounds, banks);
        times.forward(self.now, rounds * cycles);
        progress.arriving.skip_rounds(rounds);
        arrival.column += rounds as u8;
        self.counts[command] += rounds * banks;
        progress.outstanding -= rounds * banks;
        let latency = if write { self.write_done } else { self.read_done };
        progress.served += rounds * cycles;
        progress.end = progress.end.max(progress.served + latency + 1);
        self.now += rounds * cycles;
        progress.periods.then = None;
    }

    /// Lets the channel go on without requests until `cycle`: refreshes, and precharges of rows that nobody wants.
    ///
    /// # Errors
    /// What the observer refuses.
    pub fn idle_until(&mut self, cycle: u64, observer: &mut impl Observer) -> Result<(), Hbm2PimError> {
        while self.now < cycle {
            let (next, _) = self.cycle(&Requests::default(), observer)?;
            self.now = next.min(self.refresh.at.max(self.now + 1)).min(cycle);
        }
        Ok(())
    }

    /// The present cycle: the next one in which something can be issued if nothing arrives ([`NEVER`] where only
    /// refreshes are to come), and what was issued.
    fn cycle(
        &mut self,
        requests: &Requests,
        observer: &mut impl Observer,
    ) -> Result<(u64, Option<Command>), Hbm2PimError> {
        if self.now >= self.refresh.at {
            self.refresh.fire(self.queues.len());
        }
        let decision = self.decide();
        if let Decision::Wait(until) = decision {
            return Ok((until.max(self.now + 1), None));
        }
        let issued = self.issue(decision, requests);
        observer.issued(&issued, requests)?;
        Ok((self.quiet_until(), Some(issued.command)))
    }

    /// After a command: the next cycle in which anything can be issued if nothing arrives, or one before it.
    #[inline]
    fn quiet_until(&self) -> u64 {
        let soon = self.now + 1;
        if self.refresh.wanted.is_some() {
            return soon;
        }
        let mut next = NEVER;
        for (queue, times) in self.queues.iter().zip(&self.times) {
            for bank in bits(queue.open & !queue.wanted) {
                let ready = times.ready(PRE, bank);
                if ready <= soon {
                    return soon;
                }
                next = next.min(ready);
            }
            for (kind, banks) in [(RD, queue.offering(false)), (WR, queue.offering(true)), (ACT, queue.activable)] {
                if banks != 0 {
                    // In the all-bank modes there is mostly one.
                    let one = banks.is_power_of_two();
                    let ready = if one { times.ready(kind, banks.trailing_zeros() as usize) } else { times.wide(kind) };
                    next = next.min(ready);
                }
            }
        }
        next.max(soon)
    }

    #[inline]
    fn decide(&mut self) -> Decision {
        let now = self.now;
        let mut wait = NEVER;
        if let Some(rank) = self.refresh.wanted {
            let open = self.queues[rank].open;
            if open == 0 {
                return Decision::Refresh;
            }
            if self.refresh.closing <= now {
                // What is issued meanwhile only puts off when a bank can be closed.
                self.refresh.closing = NEVER;
                for bank in bits(open) {
                    let ready = self.times[rank].ready(PRE, bank);
                    if ready <= now {
                        self.refresh.closing = now;
                        return Decision::Precharge { rank, bank, unwanted: false };
                    }
                    self.refresh.closing = self.refresh.closing.min(ready);
                }
            }
            wait = self.refresh.closing;
        }
        let ranks = self.queues.len();
        let mut rank = self.current;
        for _ in 0..ranks {
            let queue = &self.queues[rank];
            let column = match (queue.offering(false), queue.offering(true)) {
                (0, 0) => None,
                (_, 0) => self.oldest_column(RD, rank, &mut wait),
                (0, _) => self.oldest_column(WR, rank, &mut wait),
                _ => {
                    let read = self.oldest_column(RD, rank, &mut wait);
                    let write = self.oldest_column(WR, rank, &mut wait);
                    read.into_iter().chain(write).min_by_key(|candidate| candidate.arrival)
                }
            };
            if let Some(Candidate { slot, .. }) = column {
                return Decision::Column { rank, slot };
            }
            if queue.activable != 0
                && let Some(slot) = self.oldest_activation(rank, &mut wait)
            {
                return Decision::Activate { rank, slot };
            }
            rank = if rank + 1 == ranks { 0 } else { rank + 1 };
        }
        match self.next_precharge(&mut wait) {
            Some((rank, bank)) => Decision::Precharge { rank, bank, unwanted: true },
            None => Decision::Wait(wait),
        }
    }

    /// The oldest request that this column command can serve now.
    #[inline]
    fn oldest_column(&self, kind: usize, rank: usize, wait: &mut u64) -> Option<Candidate> {
        let (queue, times, write) = (&self.queues[rank], &self.times[rank], kind == WR);
        let wide = times.wide(kind);
        if wide > self.now {
            *wait = wide.min(*wait);
            return None;
        }
        let mut offer = queue.oldest_offer(write);
        while let Some(candidate) = offer {
            let ready = times.narrow(kind, candidate.bank);
            if ready <= self.now {
                return Some(candidate);
            }
            *wait = ready.min(*wait);
            offer = queue.younger_offer(write, candidate);
        }
        None
    }

    /// The oldest request whose row can be opened now.
    fn oldest_activation(&self, rank: usize, wait: &mut u64) -> Option<u16> {
        let queue = &self.queues[rank];
        let mut banks = queue.activable;
        if self.modes[rank].mode() != Mode::SingleBank {
            // Each stands for all banks of its parity.
            banks &= 0b11;
        }
        if banks == 0 {
            return None;
        }
        let times = &self.times[rank];
        let wide = times.wide(ACT);
        if wide > self.now {
            *wait = wide.min(*wait);
            return None;
        }
        let mut oldest: Option<Candidate> = None;
        for bank in bits(banks) {
            let candidate = queue.oldest(bank);
            if oldest.is_some_and(|oldest| oldest.arrival < candidate.arrival) {
                continue;
            }
            let ready = times.ready(ACT, bank);
            if ready <= self.now {
                oldest = Some(candidate);
            } else {
                *wait = ready.min(*wait);
            }
        }
        oldest.map(|candidate| candidate.slot)
    }

    /// Transfers of one rank keep those of the others off the data bus. Only banks with an open row are told.
    #[inline]
    fn delay_other_ranks(&mut self, command: Command, rank: usize) {
        for (other, queue) in self.queues.iter().enumerate() {
            if other == rank || queue.open == 0 {
                continue;
            }
            for line in self.between_ranks.iter().filter(|line| line.preceding.contains(&command)) {
                for (kind, _) in KINDS.iter().enumerate().filter(|(_, kind)| line.following.contains(kind)) {
                    for bank in bits(queue.open) {
                        self.times[other].hold(kind, bank, self.now + line.cycles);
                    }
                }
            }
        }
    }

    /// The next bank, in turn, whose row is unwanted and can be closed now.
    fn next_precharge(&self, wait: &mut u64) -> Option<(usize, usize)> {
        let ranks = self.queues.len();
        let mut nearest: Option<(usize, usize, usize)> = None;
        for (rank, queue) in self.queues.iter().enumerate() {
            let unwanted = queue.open & !queue.wanted;
            if unwanted == 0 {
                continue;
            }
            let turn = queue.banks() * ranks;
            for bank in bits(unwanted) {
                let ready = self.times[rank].ready(PRE, bank);
                if ready > self.now {
                    *wait = ready.min(*wait);
                    continue;
                }
                let distance = (bank * ranks + rank + turn - self.last_precharge) % turn;
                if nearest.is_none_or(|(least, ..)| distance < least) {
                    nearest = Some((distance, rank, bank));
                }
            }
        }
        nearest.map(|(_, rank, bank)| (rank, bank))
    }

    #[inline]
    fn issue(&mut self, decision: Decision, requests: &Requests) -> Issued {
        match decision {
            Decision::Column { rank, slot } => self.issue_column(rank, slot, requests),
            other => self.issue_to_rows(other),
        }
    }

    /// A column command for a request of the queue.
    #[inline]
    fn issue_column(&mut self, rank: usize, slot: u16, requests: &Requests) -> Issued {
        self.current = rank;
        let request = self.queues[rank].take(slot);
        let Request { bank, row, column, write, .. } = request;
        let (kind, command) = if write { (WR, Command::Wr) } else { (RD, Command::Rd) };
        self.times[rank].issue(kind, usize::from(bank), self.now);
        self.delay_other_ranks(command, rank);
        self.counts[command] += 1;
        let mode = self.modes[rank].mode();
        let mut mode_after = mode;
        if write && request.is_control() {
            let payload = requests.runs.get(request.run as usize).map(|run| run.payload);
            if let Some(Payload::Control(control)) = payload {
                self.modes[rank].control(bank, row, column, control);
                mode_after = self.modes[rank].mode();
            }
        }
        let (cycle, rank, request) = (self.now, rank as u8, Some(request));
        Issued { cycle, command, rank, bank, row, column, mode, mode_after, request }
    }

    /// A command that opens or closes rows.
    fn issue_to_rows(&mut self, decision: Decision) -> Issued {
        let now = self.now;
        let (command, rank, bank, row, request) = match decision {
            Decision::Activate { rank, slot } => {
                self.current = rank;
                let request = self.queues[rank].request(slot);
                let bank = usize::from(request.bank);
                self.queues[rank].open_row(bank, request.row);
                self.times[rank].issue(ACT, bank, now);
                self.refresh.closing = self.refresh.closing.min(self.times[rank].ready(PRE, bank));
                (Command::Act, rank, request.bank, request.row, Some(request))
            }
            Decision::Precharge { rank, bank, unwanted } => {
                if unwanted {
                    self.last_precharge = bank * self.queues.len() + rank;
                }
                let row = self.queues[rank].close_row(bank);
                self.times[rank].issue(PRE, bank, now);
                (Command::Pre, rank, bank as u8, row, None)
            }
            // The others are not issued here.
            Decision::Refresh | Decision::Wait(_) | Decision::Column { .. } => {
                let rank = self.refresh.wanted.take().unwrap_or_default();
                self.times[rank].refresh(now);
                (Command::RefAb, rank, 0, 0, None)
            }
        };
        self.counts[command] += 1;
        let mode = self.modes[rank].mode();
        let column = request.map_or(0, |request| request.column);
        match command {
            Command::Act => self.modes[rank].activate(bank, row, column),
            Command::Pre => self.modes[rank].precharge(bank, row),
            _ => {}
        }
        let mode_after = self.modes[rank].mode();
        Issued { cycle: now, command, rank: rank as u8, bank, row, column, mode, mode_after, request }
    }
}

impl Refresh {
    /// The timer of the rank whose turn it is has run out. A rank that still waits is forgotten: there is one flag.
    fn fire(&mut self, ranks: usize) {
        self.wanted = Some(self.turn);
        self.closing = 0;
        self.turn += 1;
        self.at += self.stagger;
        if self.turn == ranks {
            self.turn = 0;
            // The staggers may add up to less than the interval.
            self.at += self.interval - self.stagger * ranks as u64;
        }
    }
}

/// The numbers of the bits that are set, ascending.
#[inline]
fn bits(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (mask != 0).then(|| mask.trailing_zeros() as usize);
        mask &= mask.wrapping_sub(1);
        bit
    })
}
