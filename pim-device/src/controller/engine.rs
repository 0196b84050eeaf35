//! Executes a program on one channel under the constraint table.
//!
//! The two streams are simulated in turn, each as far as tokens let it. That is exact: a move depends on the row stream
//! only through tokens and through the column-bus slots that the row stream takes, and while the row stream waits for a
//! token of the move stream it takes no slot before that token is posted. The row stream never waits for a slot that
//! a move has taken, because it has priority. Where the row stream stops at the begin of a loop's iteration, moves go
//! on up to the *frontier*: the first slot that the row stream may still take.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::command::{Address, Bus, Command, CommandCounts};
use crate::constraint::RESULTS;
use crate::device::DeviceSpec;
use crate::error::ProgramError;
use crate::organisation::Level;
use crate::program::{Program, TOKENS, Token};
use crate::timing::Parameter;

use super::fast_forward::{Learnt, Memo, Watch};
use super::readiness::{Nodes, Reaches, Readiness, Spot};
use super::record::Record;

/// How many intervals nREFI a refresh may be late (JEDEC: eight refreshes may be postponed).
pub const POSTPONED: u32 = 8;

/// How programs are executed. Both give the same cycles, counts and energy; property tests hold them to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExecutionMode {
    /// Runs of equal commands in closed form, and iterations of loops that begin from a state seen before by what came
    /// of them then (default).
    #[default]
    FastForward,
    /// Command by command. What records a trace is always executed like this.
    CommandByCommand,
}

/// Column commands to all banks beside MACs.
const COLUMN: [Command; 3] = [Command::Ret, Command::RdReg, Command::WrReg];
/// Commands to one bank.
const ORDINARY: [Command; 4] = [Command::Act, Command::Rd, Command::Wr, Command::Pre];
/// Moves that go over the places of a round in turn.
const IN_TURN: [Command; 3] = [Command::MvSb, Command::MvGb, Command::MvSum];

/// A command that was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The cycle of the channel clock.
    pub cycle: u64,
    /// What.
    pub command: Command,
    /// Where.
    pub address: Address,
    /// The column of the row, in granules, where it has one and that is known: of MACs over rows of a layout, of ordinary accesses to
    /// whole rows, and of requests.
    pub column: Option<u16>,
}

/// What the execution of a program came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Execution {
    /// The cycle at which it began.
    pub begin: u64,
    /// The cycle at which everything was done, the last result's latency included.
    pub end: u64,
    /// Cycles of the mode switches, within `begin..end`.
    pub mode_switch: u64,
    /// Commands issued, refreshes included that fell due while it ran or since the program before.
    pub commands: CommandCounts,
}

/// Column-bus slots that the row stream has taken, `gap` apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slots {
    pub(super) start: i64,
    pub(super) gap: u32,
    pub(super) last: i64,
}

impl Slots {
    pub(super) const fn one(cycle: i64) -> Self {
        Self { start: cycle, gap: 1, last: cycle }
    }

    /// Takes in slots behind its own where they go on in equal steps; false where they do not.
    #[inline]
    pub(super) fn goes_on(&mut self, more: Self) -> bool {
        let step = more.start - self.last;
        let equal = (step == i64::from(self.gap) || self.start == self.last)
            && (step == i64::from(more.gap) || more.start == more.last);
        // Moves count in 32 bits how far they are in an entry.
        let goes_on = equal && more.last - self.start <= i64::from(u32::MAX);
        if goes_on {
            (self.gap, self.last) = (step as u32, more.last);
        }
        goes_on
    }
}

/// Where a command goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// To a resolved address, by its number.
    Spot(usize),
    /// To one bank.
    Bank(Nodes),
}

/// Which command of a set of banks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnSet {
    Activate,
    Mac,
    Precharge,
}

/// One channel: what was issued so far, and what is due.
#[derive(Clone, Debug)]
pub struct Engine {
    /// Configuration.
    pub(super) mode: ExecutionMode,
    /// Configuration: cycles between MACs that go on in one set, and over all sets in turn; `None` where a run has no
    /// such gap.
    pub(super) set_gap: Option<i64>,
    pub(super) round_gap: Option<i64>,
    /// Configuration: how long what can hold back a MAC.
    mac_reaches: Option<Reaches>,
    /// Configuration: what a MAC in each set in turn notes, the last one in the last set.
    pub(super) mac_round: Option<Vec<(u32, u32)>>,
    /// Configuration: cycles between look-ups, and between registers read and written, by [`COLUMN`].
    column_gaps: [Option<i64>; COLUMN.len()],
    pub(super) refresh_interval: i64,
    /// Configuration: latency of each command's result.
    results: [i64; Command::ALL.len()],
    /// Configuration: cycles of a precharge before a mode switch.
    pub(super) precharge: i64,
    /// Configuration: where the moves of a round go.
    pub(super) round: Vec<Address>,
    /// Configuration: where the commands of each set go.
    pub(super) sets: Vec<Address>,
    /// Configuration: every command to all banks, then the moves of [`IN_TURN`] at each place of a round, then activate, MAC and
    /// precharge of each set.
    spots: Vec<Spot>,
    /// Configuration: where ordinary commands of programs go, by bank and [`ORDINARY`]; resolved when they are first issued. 0 of
    /// those that were not.
    bank_spots: Vec<u32>,
    pub(super) device: DeviceSpec,
    /// State.
    pub(super) readiness: Readiness,
    /// State: a bit for each open set, and their rows.
    pub(super) open: u64,
    pub(super) open_rows: Vec<u32>,
    /// State: a bit for each bank that an ordinary command has opened.
    pub(super) ordinary: u64,
    pub(super) row_bus: i64,
    pub(super) column_bus: i64,
    /// State: when the oldest refresh that is not done was due.
    pub(super) due: i64,
    /// State: when the BufferPE is free.
    pub(super) buffer_free: i64,
    /// State: end of the last program.
    pub(super) end: i64,
    /// State: slots of the row stream that moves have to go round.
    pub(super) slots: VecDeque<Slots>,
    /// State: intervals in which an overdue refresh keeps everything else off the channel.
    pub(super) blackouts: VecDeque<(i64, i64)>,
    pub(super) tokens: [VecDeque<i64>; TOKENS],
    pub(super) row: u32,
    /// State: what was learnt about loops.
    pub(super) memo: Memo,
    /// Where that is between programs, where others learn, too.
    pub(super) learnt: Option<Arc<Learnt>>,
    /// State: what the present iteration has asked of the refresh.
    pub(super) watch: Watch,
    /// State: how many commands until the program at hand pauses.
    pub(super) budget: u64,
    /// Statistics of the program at hand.
    pub(super) counts: CommandCounts,
    pub(super) mode_switch: i64,
    /// Statistics: everything issued, where it is wanted.
    pub(super) trace: Option<Box<Record>>,
}

impl Engine {
    /// An idle channel at cycle 0, all banks closed, in ordinary mode.
    pub fn new(device: &DeviceSpec) -> Self {
        let mut readiness = Readiness::new(device, &device.constraints());
        let cycles = |parameter| device.cycles(parameter);
        let mut results = [1; Command::ALL.len()];
        for (commands, latency) in RESULTS {
            for command in *commands {
                results[command.index()] = i64::from(latency.cycles(cycles)).max(1);
            }
        }
        let organisation = &device.organisation;
        let bank_groups = 0..organisation.bank_groups;
        let round: Vec<Address> = bank_groups
            .flat_map(|bank_group| (0..organisation.ranks).map(move |rank| (rank as u8, bank_group as u8)))
            .map(|(rank, bank_group)| Address { rank, bank_group, ..Address::default() })
            .collect();
        let sets = device.pe.sets(organisation);
        let commands = device.pe.commands();
        let mut places: Vec<(Command, Address)> =
            Command::ALL.into_iter().map(|command| (command, Address::default())).collect();
        for command in IN_TURN {
            places.extend(round.iter().map(|&address| (command, address)));
        }
        for command in [commands.activate, commands.mac, commands.precharge] {
            places.extend(sets.iter().map(|&address| (command, address)));
        }
        let mut spots: Vec<Spot> = Vec::with_capacity(places.len());
        for (command, address) in places {
            let nodes = readiness.nodes(address);
            spots.push(readiness.spot(command, nodes));
        }
        readiness.resolved();
        let macs = &spots[Command::ALL.len() + IN_TURN.len() * round.len() + sets.len()..][..sets.len()];
        let interval = i64::from(device.timing.get(Parameter::Refi).max(1));
        Self {
            mode: ExecutionMode::default(),
            set_gap: Readiness::gap(&macs[..1]),
            round_gap: Readiness::gap(macs),
            mac_reaches: readiness.reaches(macs),
            mac_round: Readiness::round(macs),
            column_gaps: COLUMN.map(|command| Readiness::gap(std::slice::from_ref(&spots[command.index()]))),
            refresh_interval: interval,
            results,
            precharge: i64::from(cycles(Parameter::Rp)),
            round,
            spots,
            bank_spots: vec![0; organisation.nodes(Level::Bank) as usize * ORDINARY.len()],
            device: device.clone(),
            readiness,
            open: 0,
            open_rows: vec![0; sets.len()],
            sets,
            ordinary: 0,
            row_bus: -1,
            column_bus: -1,
            due: interval,
            buffer_free: 0,
            end: 0,
            slots: VecDeque::new(),
            blackouts: VecDeque::new(),
            tokens: Default::default(),
            row: 0,
            memo: Memo::default(),
            learnt: None,
            watch: Watch::default(),
            budget: u64::MAX,
            counts: CommandCounts::default(),
            mode_switch: 0,
            trace: None,
        }
    }

    /// The same, executing programs as `mode` says.
    pub fn with_execution(self, mode: ExecutionMode) -> Self {
        Self { mode, ..self }
    }

    /// How many steps executing a program takes, refreshes left out: the work that it is for whoever runs it.
    pub fn steps(&self, program: &Program) -> u64 {
        let commands = program.commands();
        match self.mode {
            ExecutionMode::CommandByCommand => commands.total(),
            // A run in each row.
            ExecutionMode::FastForward => commands.total() - commands[Command::MacAb] + commands[Command::ActAb],
        }
    }

    /// Keeps every command that is issued from now on, for [`Self::take_trace`]. Execution is command by command then.
    pub fn record(&mut self) {
        self.trace.get_or_insert_with(|| Box::new(Record::new(&self.device)));
    }

    /// The same where the first `most` by cycle are enough. They are cut now and then, so there may be more, up to some two times as
    /// many; [`Self::left_out`] counts those that are missing.
    pub fn record_most(&mut self, most: usize) {
        self.record();
        if let Some(record) = &mut self.trace {
            record.most = most;
        }
    }

    /// Commands that were issued and not recorded.
    pub fn left_out(&self) -> u64 {
        self.trace.as_ref().map_or(0, |record| record.left_out())
    }

    /// The commands recorded so far, by cycle; commands of one cycle in the order row bus, column bus.
    pub fn take_trace(&mut self) -> Vec<Issued> {
        self.record();
        self.trace.as_mut().map(|record| record.take()).unwrap_or_default()
    }

    /// The cycle at which the last program ended.
    pub fn end(&self) -> u64 {
        self.end.max(0).unsigned_abs()
    }

    /// Whether loops are jumped and runs done in closed form.
    pub(super) fn fast(&self) -> bool {
        self.mode == ExecutionMode::FastForward && self.trace.is_none()
    }

    /// Refreshes of an idle channel after its last program, up to `cycle`.
    pub(super) fn refreshes_until(&self, cycle: i64) -> u64 {
        if self.due > cycle { 0 } else { ((cycle - self.due) / self.refresh_interval + 1).unsigned_abs() }
    }

    /// Does the refreshes of an idle channel, each as soon as it can be, that are done before `end`. Those that are due and have
    /// to wait stay due: requests see that they wait, and a program's first row command comes behind them.
    pub(super) fn idle_before(&mut self, end: i64) {
        let cycle = end - 1;
        while self.due <= cycle && self.refresh_possible() <= cycle {
            let due = self.due;
            if self.refresh() == due {
                let more = self.on_time_until(cycle);
                self.count_refreshes(more);
            }
        }
    }

    /// How many refreshes follow up to `cycle` that need not be done one by one, where one was on time and nothing else is
    /// issued: all later ones are on time, too, and the last leaves the state that all of them leave. That one is not among
    /// them.
    fn on_time_until(&self, cycle: i64) -> i64 {
        if self.due > cycle || self.refresh_interval <= self.results_of(Command::RefAb) {
            return 0;
        }
        (cycle - self.due) / self.refresh_interval
    }

    /// Counts refreshes instead of doing them. As many as are wanted of a trace are done: those that are not are behind them.
    fn count_refreshes(&mut self, more: i64) {
        let recorded = self.trace.as_ref().map_or(0, |record| more.min(record.room_from(self.due)));
        for _ in 0..recorded {
            self.refresh();
        }
        let counted = more - recorded;
        self.counts[Command::RefAb] += counted.unsigned_abs();
        self.due += counted * self.refresh_interval;
        if let Some(record) = &mut self.trace {
            record.leave_out(counted.unsigned_abs());
        }
    }

    /// Counts the refreshes of a long wait in one step, after one that was on time. No iteration with such a wait is kept;
    /// shorter ones are done one by one, so that those iterations can be.
    pub(super) fn pass_long_wait(&mut self, cycle: i64) {
        let more = self.on_time_until(cycle);
        if more > i64::from(POSTPONED) {
            self.watch.spoil();
            self.count_refreshes(more);
        }
    }

    pub(super) const fn results_of(&self, command: Command) -> i64 {
        self.results[command.index()]
    }

    pub(super) const fn all_closed(&self) -> bool {
        self.open == 0 && self.ordinary == 0
    }

    /// When a refresh could be, due or not: all banks are closed.
    fn refresh_possible(&self) -> i64 {
        self.ready(Self::to_all(Command::RefAb)).max(self.row_bus + 1)
    }

    /// Does the refreshes that an idle row stream has let pass: no command of it comes before `now`.
    ///
    /// They come before its next command in any case, and nothing that is issued until then can move them. Done at once,
    /// they leave a state of which only what counts from `now` on matters.
    pub(super) fn catch_up(&mut self, now: i64) {
        while self.all_closed() && self.refresh_possible() < now {
            if self.due >= now {
                self.watch.due_after(now - 1);
                break;
            }
            self.watch.due_until(now - 1);
            let due = self.due;
            if self.refresh() == due {
                self.pass_long_wait(now - 1);
            }
        }
    }

    /// The oldest refresh that is due, as soon as it can be: all banks are closed.
    pub(super) fn refresh(&mut self) -> i64 {
        let possible = self.refresh_possible();
        let cycle = possible.max(self.due);
        let deadline = self.deadline();
        self.watch.refreshes_at(possible, self.due);
        if cycle > deadline {
            self.watch.spoil();
            self.blackouts.push_back((deadline, cycle + self.results_of(Command::RefAb)));
        } else {
            self.watch.due_after(cycle - 1 - self.postponed());
        }
        self.issue(Command::RefAb, Address::default(), Self::to_all(Command::RefAb), cycle);
        self.due += self.refresh_interval;
        self.watch.shift(self.refresh_interval);
        cycle
    }

    pub(super) fn postponed(&self) -> i64 {
        i64::from(POSTPONED) * self.refresh_interval
    }

    /// Nothing but the refresh may be issued from this cycle on.
    pub(super) fn deadline(&self) -> i64 {
        self.due + self.postponed()
    }

    /// A refresh that cannot be postponed: closes the sets, makes up for all that are due, opens the sets again.
    pub(super) fn forced_refresh(&mut self) -> Result<(), ProgramError> {
        self.watch.spoil();
        let deadline = self.deadline();
        if self.ordinary != 0 {
            return Err(ProgramError::RefreshStarved { cycle: deadline.unsigned_abs() });
        }
        let place = Self::to_all(Command::PreA);
        let closing = self.ready(place).max(deadline).max(self.row_bus + 1);
        self.issue(Command::PreA, Address::default(), place, closing);
        let first = self.open.trailing_zeros() as usize;
        loop {
            self.refresh();
            let cycle = self.ready(self.to_set(OnSet::Activate, first)).max(self.row_bus + 1);
            if self.due > cycle {
                break;
            }
        }
        let activate = self.device.pe.commands().activate;
        let columns = self.trace.as_ref().map(|record| record.columns());
        let mut closed = self.open;
        while closed != 0 {
            let set = closed.trailing_zeros() as usize;
            closed &= closed - 1;
            let place = self.to_set(OnSet::Activate, set);
            let cycle = self.ready(place).max(self.row_bus + 1);
            let address = Address { row: self.open_rows[set], ..self.sets[set] };
            self.issue(activate, address, place, cycle);
        }
        if let (Some(record), Some(columns)) = (&mut self.trace, columns) {
            record.go_on_at(columns);
        }
        Ok(())
    }

    /// A command to all banks, or to no bank at all.
    pub(super) const fn to_all(command: Command) -> Place {
        Place::Spot(command.index())
    }

    /// A move at this place of a round.
    pub(super) fn to_round(&self, command: Command, at: usize) -> Place {
        let before = IN_TURN.iter().position(|&other| other == command).unwrap_or(0);
        Place::Spot(Command::ALL.len() + before * self.round.len() + at)
    }

    /// A command to a set.
    pub(super) fn to_set(&self, what: OnSet, set: usize) -> Place {
        Place::Spot(self.set_spots(what) + set)
    }

    /// An ordinary command to one bank.
    pub(super) fn bank_place(&mut self, command: Command, bank: u32, address: Address) -> Place {
        let kind = ORDINARY.iter().position(|&other| other == command).unwrap_or(0);
        let next = self.spots.len() as u32;
        match self.bank_spots.get_mut(bank as usize * ORDINARY.len() + kind) {
            None => Place::Bank(self.readiness.nodes(address)),
            Some(&mut known) if known > 0 => Place::Spot(known as usize),
            Some(unknown) => {
                *unknown = next;
                let nodes = self.readiness.nodes(address);
                let spot = self.readiness.bank_spot(command, nodes);
                self.spots.push(spot);
                Place::Spot(next as usize)
            }
        }
    }

    /// The number of the first set's command; those of the others follow. What is not a MAC knows one set only.
    pub(super) fn column_spots(&self, command: Command) -> usize {
        if COLUMN.contains(&command) { command.index() } else { self.set_spots(OnSet::Mac) }
    }

    /// Cycles between commands of a run in one set.
    pub(super) fn column_gap(&self, command: Command) -> Option<i64> {
        let column = COLUMN.iter().position(|&other| other == command);
        column.map_or(self.set_gap, |column| self.column_gaps[column])
    }

    /// The number of a command to the first set; those of the others follow.
    fn set_spots(&self, what: OnSet) -> usize {
        Command::ALL.len() + IN_TURN.len() * self.round.len() + what as usize * self.sets.len()
    }

    /// From this cycle on nothing that was issued holds back a MAC.
    pub(super) fn macs_settled(&self) -> i64 {
        let settled = |reaches| self.readiness.settled(reaches, self.column_bus, self.row_bus);
        self.mac_reaches.as_ref().map_or(i64::MAX, settled)
    }

    /// When the constraints let the command of a resolved address go.
    #[inline]
    pub(super) fn ready_at(&self, spot: usize) -> i64 {
        self.readiness.ready_at(&self.spots[spot])
    }

    /// Notes the command of a resolved address.
    #[inline]
    pub(super) fn note_at(&mut self, spot: usize, cycle: i64) {
        self.readiness.note_at(&self.spots[spot], cycle);
    }

    /// When the constraints let a command go.
    #[inline]
    pub(super) fn ready(&self, place: Place) -> i64 {
        match place {
            Place::Spot(spot) => self.ready_at(spot),
            // An ordinary command, see `ready_of`.
            Place::Bank(_) => super::readiness::NEVER,
        }
    }

    #[inline]
    pub(super) fn ready_of(&self, command: Command, place: Place) -> i64 {
        match place {
            Place::Spot(_) => self.ready(place),
            Place::Bank(nodes) => self.readiness.ready(command, nodes),
        }
    }

    #[inline]
    pub(super) fn note(&mut self, command: Command, place: Place, cycle: i64) {
        match place {
            Place::Spot(spot) => self.note_at(spot, cycle),
            Place::Bank(nodes) => self.readiness.note(command, nodes, cycle),
        }
    }

    /// Puts a command on its bus and notes it.
    #[inline]
    pub(super) fn issue(&mut self, command: Command, address: Address, place: Place, cycle: i64) {
        self.note(command, place, cycle);
        self.counts[command] += 1;
        if command.bus() == Bus::Row {
            self.row_bus = cycle;
        }
        if let Some(record) = &mut self.trace {
            record.push(cycle, command, address);
        }
    }

    pub(super) fn post(&mut self, token: Token, cycle: i64) {
        self.tokens[usize::from(token.0) % TOKENS].push_back(cycle);
    }

    /// Takes the oldest post of a token.
    pub(super) fn take(&mut self, token: Token) -> Option<i64> {
        self.tokens[usize::from(token.0) % TOKENS].pop_front()
    }
}
