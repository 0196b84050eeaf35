//! The controller of a channel whose banks go into one set.
//!
//! A run, its looks and its transfers are one function, and what each command does is another. With all in one a random request
//! took from 2 % less to 8 % more instructions (callgrind), as the compiler's registers fell out.

mod arrival;
mod choice;
mod effect;
mod run;
mod transfer;

use self::arrival::Follower;
use super::counts::{Buckets, Counts};
use super::ready::Ready;
use super::{BankQueueConfig, COMMANDS, READ_LATENCY};
use crate::dram::Tick;
use crate::dram::bank_set::{BankSet, CAPACITY};
use crate::dram::config::{Bounds, DramError};
use crate::dram::entries::{Entries, Key, NONE};
use crate::dram::offset::Offset;
use crate::dram::request::{Observer, Offered, Request};
use crate::dram::rules::{Place, RuleTable};
use crate::dram::scheduler::Until;
use crate::dram::wheel::Calendar;
use crate::organisation::Level;
use crate::timing::Parameter as P;

/// Refresh intervals without anything of what is waited for, after which it never comes.
const PATIENCE: Tick = 32;

/// Which transactions.
const READ: usize = 0;
const WRITE: usize = 1;
const NO_QUEUE: usize = 2;

/// The row of a bank that is closed. Rows are below 2^31.
const CLOSED: u32 = u32::MAX;

/// State of a bank and its command queue.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Lane {
    /// The command queue, in order.
    first: Key,
    last: Key,
    len: u32,
    /// The open row.
    row: u32,
    /// Of the command queue, reads and writes of the open row.
    row_hits: [u16; 2],
    /// Accesses to the open row.
    hits: u32,
    /// The last transaction of each kind, where there is one.
    last_waiting: [Key; 2],
}

const EMPTY: Lane =
    Lane { first: NONE, last: NONE, len: 0, row: CLOSED, row_hits: [0; 2], hits: 0, last_waiting: [NONE; 2] };

/// State and configuration of a channel.
#[derive(Clone, Debug)]
pub(super) struct Inner<S, T> {
    // Configuration.
    config: BankQueueConfig,
    read_latency: Tick,
    refresh_interval: Tick,
    patience: Tick,
    bounds: Bounds,
    /// From so many writes on they are drained: while no command waits, and otherwise.
    drain_from: [u32; 2],
    /// The rank, and every bank.
    rank: Place,
    places: Vec<Place>,
    /// The banks whose turn comes after each bank's, up to the last.
    after: [S; CAPACITY],
    // State.
    ready: Ready<T>,
    lanes: [Lane; CAPACITY],
    entries: Entries<Buckets>,
    /// By command the banks that could use it.
    wants: [S; COMMANDS],
    /// Of these the banks that were ready, but for the rank, when last looked at. The others are in the calendar.
    due: [S; COMMANDS],
    calendar: Calendar<S>,
    /// Banks that are not closed.
    open: S,
    /// Banks whose command queues are full.
    full: S,
    /// A tick before which no command goes, unless a transaction is moved or a refresh ends.
    from: Tick,
    /// Commands in all queues.
    queued: u32,
    /// Transactions by kind of access: banks that have some, how many there are, and the first of each bank.
    waiting: [S; 2],
    transactions: [u32; 2],
    first: [[Key; CAPACITY]; 2],
    /// Requests that wait, by granule; commands, by row.
    granules: Counts,
    rows: Counts,
    /// Reads of a granule with an earlier one that waits: both are answered by one command.
    followers: Vec<Follower>,
    /// Reads that are not answered.
    reads: usize,
    /// Writes that still go before reads.
    draining: u32,
    /// Whether a transaction may have a place in its bank's queue.
    may_move: bool,
    /// The banks whose turn comes before the others'.
    later: S,
    refreshing: bool,
    next_refresh: Tick,
    /// The tick that runs next.
    pub(super) now: Tick,
    /// The kind of transactions that refused the last offer, or none.
    refused: usize,
    /// Whether a place has become free there.
    freed: bool,
}

impl<S: BankSet, T: Offset> Inner<S, T> {
    pub(super) fn new(config: &BankQueueConfig, rules: &RuleTable) -> Self {
        let organisation = &config.organisation;
        let banks = organisation.nodes(Level::Bank);
        let refresh_interval = config.timing.get(P::Refi).into();
        let all = config.transactions;
        Self {
            config: config.clone(),
            read_latency: READ_LATENCY.cycles(|parameter| config.timing.get(parameter)).into(),
            refresh_interval,
            patience: PATIENCE * refresh_interval,
            bounds: Bounds::of(organisation),
            drain_from: [all.min(config.idle_writes.saturating_add(1)), all].map(|writes| writes as u32),
            rank: rules.node(Level::Rank, 0),
            places: (0..banks).map(|bank| rules.node(Level::Bank, bank)).collect(),
            after: std::array::from_fn(|bank| S::range(bank + 1..banks as usize)),
            ready: Ready::new(rules),
            lanes: [EMPTY; CAPACITY],
            entries: Entries::new(2 * config.transactions + banks as usize * config.commands),
            wants: [S::EMPTY; COMMANDS],
            due: [S::EMPTY; COMMANDS],
            calendar: Calendar::new(),
            open: S::EMPTY,
            full: S::EMPTY,
            from: Tick::MAX,
            queued: 0,
            waiting: [S::EMPTY; 2],
            transactions: [0; 2],
            first: [[NONE; CAPACITY]; 2],
            granules: Counts::new(),
            rows: Counts::new(),
            followers: Vec::new(),
            reads: 0,
            draining: 0,
            may_move: false,
            later: S::range(1..banks as usize),
            refreshing: false,
            next_refresh: refresh_interval,
            now: 0,
            refused: NO_QUEUE,
            freed: false,
        }
    }

    #[inline(always)]
    pub(super) fn offer(&mut self, request: &Request, observer: &mut impl Observer) -> Result<Offered, DramError> {
        self.bounds.check(request, &self.config.organisation)?;
        if self.refuses(request) {
            return Ok(Offered::Refused);
        }
        Ok(self.take(request, observer))
    }

    #[inline(always)]
    pub(super) fn put(&mut self, request: &Request, observer: &mut impl Observer) -> Result<bool, DramError> {
        self.bounds.check(request, &self.config.organisation)?;
        let waits = self.refuses(request);
        if waits {
            self.run(Tick::MAX, Until::Place, observer)?;
        }
        self.take(request, observer);
        Ok(waits)
    }

    /// Whether there is no place for a request.
    #[inline(always)]
    fn refuses(&mut self, request: &Request) -> bool {
        let kind = request.access as usize;
        let full = self.transactions[kind] as usize >= self.config.transactions;
        self.refused = if full { kind } else { NO_QUEUE };
        full
    }
}
