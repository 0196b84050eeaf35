//! The controller with a queue for each bank, tick by tick over plain lists.

use pim_device::dram::bank_queue::RULES;
use pim_device::dram::{Access, BankQueueChannel, BankQueueConfig, ChannelConfig, DramError, Offered, Request};
use pim_device::{Address, Command, Level, Parameter};
use proptest::prelude::*;

use super::controller::Log;
use super::{Dice, Listener, cases, request};

/// A rule of the controller that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    Nothing,
    NoWindow,
    FirstBankFirst,
    /// A second command that cannot go does not take its bank's turn.
    TurnKept,
    /// The second command of a tick on any bus.
    OneBusTwice,
    NoSecondCommand,
    NoHitLimit,
    HitsNotForgotten,
    DrainBeforeRead,
    DrainLate,
    NoIdleDrain,
    IdleDrainAlways,
    TransfersInOrder,
    TransferFirst,
    OneMoreCommand,
    NoForwarding,
    ReadsNotCoalesced,
    WritesNotCoalesced,
    ServedDuringRefresh,
    RefreshLate,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    request: Request,
    bank: u32,
}

impl Waiting {
    fn granule(&self) -> (u32, u32, u32) {
        (self.bank, self.request.address.row, self.request.column)
    }

    fn is(&self, access: Access) -> bool {
        self.request.access == access
    }
}

struct Oracle {
    config: BankQueueConfig,
    broken: Broken,
    /// By line and node of its level the ticks of the last preceding commands.
    notes: Vec<Vec<Vec<u64>>>,
    /// By bank the open row, accesses to it, and the command queue.
    open: Vec<Option<u32>>,
    hits: Vec<u32>,
    lanes: Vec<Vec<Waiting>>,
    /// Reads, and writes, in the order of arrival.
    transactions: [Vec<Waiting>; 2],
    /// Reads that are not answered, in the order of arrival.
    reads: Vec<Waiting>,
    draining: usize,
    turn: usize,
    refreshing: bool,
    /// The tick that runs next.
    now: u64,
    log: Log,
    done: Vec<(u64, u64)>,
}

impl Oracle {
    fn new(config: &BankQueueConfig, broken: Broken) -> Self {
        let nodes = |level| config.organisation.nodes(level) as usize;
        let banks = nodes(Level::Bank);
        Self {
            config: config.clone(),
            broken,
            notes: RULES.iter().map(|line| vec![Vec::new(); nodes(line.level)]).collect(),
            open: vec![None; banks],
            hits: vec![0; banks],
            lanes: vec![Vec::new(); banks],
            transactions: [Vec::new(), Vec::new()],
            reads: Vec::new(),
            draining: 0,
            turn: 0,
            refreshing: false,
            now: 0,
            log: Vec::new(),
            done: Vec::new(),
        }
    }

    fn is(&self, broken: Broken) -> bool {
        self.broken == broken
    }

    fn cycles(&self, parameter: Parameter) -> u32 {
        self.config.timing.get(parameter)
    }

    /// The nodes of a level that a command to a bank touches, or to the rank where there is none.
    fn touched(&self, bank: Option<u32>, level: Level) -> std::ops::Range<u32> {
        let nodes = self.config.organisation.nodes(level);
        bank.map_or(0..nodes, |bank| {
            let node = bank / (self.config.organisation.nodes(Level::Bank) / nodes);
            node..node + 1
        })
    }

    fn ready(&self, command: Command, bank: Option<u32>) -> bool {
        RULES.iter().zip(&self.notes).all(|(line, notes)| {
            let window = usize::from(line.window);
            let wait = line.latency.signed_cycles(|parameter| self.cycles(parameter));
            !line.following.contains(&command)
                || (self.is(Broken::NoWindow) && window > 1)
                || self.touched(bank, line.level).all(|node| {
                    let last = notes[node as usize].iter().nth_back(window - 1);
                    last.is_none_or(|tick| self.now.cast_signed() >= tick.cast_signed() + wait)
                })
        })
    }

    fn issue(&mut self, command: Command, bank: Option<u32>, tag: Option<u64>) {
        self.log.push((self.now, command, tag, bank.unwrap_or(0)));
        for (index, line) in RULES.iter().enumerate() {
            if line.preceding.contains(&command) {
                for node in self.touched(bank, line.level) {
                    self.notes[index][node as usize].push(self.now);
                }
            }
        }
    }

    fn close(&mut self, bank: u32) {
        self.open[bank as usize] = None;
        if !self.is(Broken::HitsNotForgotten) {
            self.hits[bank as usize] = 0;
        }
    }

    fn offer(&mut self, request: &Request) -> Offered {
        let bank = self.config.organisation.node(Level::Bank, request.address);
        let waiting = Waiting { request: *request, bank };
        let kind = request.access as usize;
        if self.transactions[kind].len() >= self.config.transactions {
            return Offered::Refused;
        }
        let mut queued = self.transactions.iter().chain(&self.lanes).flatten();
        let written = queued.any(|other| other.is(Access::Write) && other.granule() == waiting.granule());
        if request.access == Access::Write {
            self.done.push((request.tag, self.now + 1));
            if written && !self.is(Broken::WritesNotCoalesced) {
                return Offered::Coalesced;
            }
        } else {
            if written && !self.is(Broken::NoForwarding) {
                self.done.push((request.tag, self.now + 1));
                return Offered::Forwarded;
            }
            let read = self.reads.iter().any(|other| other.granule() == waiting.granule());
            self.reads.push(waiting);
            if read && !self.is(Broken::ReadsNotCoalesced) {
                return Offered::Coalesced;
            }
        }
        self.transactions[kind].push(waiting);
        Offered::Queued
    }

    /// The first command of a bank's queue that can be issued, and for which of its requests.
    fn first_ready(&self, bank: usize) -> Option<(Command, usize)> {
        let queue = &self.lanes[bank];
        let ready = |command| self.ready(command, Some(bank as u32));
        let Some(open) = self.open[bank] else {
            return (!queue.is_empty() && ready(Command::Act)).then_some((Command::Act, 0));
        };
        let is_hit = |waiting: &Waiting| waiting.request.address.row == open;
        (0..queue.len()).find_map(|at| {
            let waiting = &queue[at];
            if !is_hit(waiting) {
                // Only for the first of the bank, and while nobody can still use the row.
                let limit = self.hits[bank] >= self.config.most_hits && !self.is(Broken::NoHitLimit);
                let close = at == 0 && (limit || !queue.iter().any(is_hit));
                return (close && ready(Command::Pre)).then_some((Command::Pre, at));
            }
            let command = [Command::Rd, Command::Wr][waiting.request.access as usize];
            // Transfers see to it already; the rule is one of the controller that this is the model of.
            let mut earlier = queue[..at].iter();
            let after_read = waiting.is(Access::Write)
                && earlier.any(|other| other.is(Access::Read) && other.granule() == waiting.granule());
            (!after_read && ready(command)).then_some((command, at))
        })
    }

    /// The banks take turns.
    fn pick(&mut self) -> Option<(usize, Command, usize)> {
        let banks = self.lanes.len();
        let after = if self.is(Broken::FirstBankFirst) { banks - 1 } else { self.turn };
        let found = (1..=banks).map(|step| (after + step) % banks).find_map(|bank| {
            let (command, at) = self.first_ready(bank)?;
            Some((bank, command, at))
        });
        if let Some((bank, ..)) = found {
            self.turn = bank;
        }
        found
    }

    fn serve(&mut self, (bank, command, at): (usize, Command, usize)) {
        let waiting = self.lanes[bank][at];
        self.issue(command, Some(bank as u32), Some(waiting.request.tag));
        match command {
            Command::Act => self.open[bank] = Some(waiting.request.address.row),
            Command::Pre => self.close(bank as u32),
            _ => {
                self.lanes[bank].remove(at);
                self.hits[bank] += 1;
                if command == Command::Rd {
                    let done = self.now + u64::from(self.cycles(Parameter::Cl) + self.cycles(Parameter::Bl));
                    let alone = self.is(Broken::ReadsNotCoalesced);
                    let answered = |read: &Waiting| {
                        let same = read.granule() == waiting.granule();
                        same && (!alone || read.request.tag == waiting.request.tag)
                    };
                    let tags = self.reads.iter().filter(|read| answered(read)).map(|read| (read.request.tag, done));
                    self.done.extend(tags);
                    self.reads.retain(|read| !answered(read));
                }
            }
        }
    }

    /// Precharges one bank, or refreshes when all are closed.
    fn refresh(&mut self) {
        let mut open = (0..self.open.len()).filter(|bank| self.open[*bank].is_some()).peekable();
        if open.peek().is_none() {
            if self.ready(Command::RefAb, None) {
                self.issue(Command::RefAb, None, None);
                self.refreshing = false;
            }
        } else if let Some(bank) = open.find(|bank| self.ready(Command::Pre, Some(*bank as u32))) {
            self.issue(Command::Pre, Some(bank as u32), None);
            self.close(bank as u32);
        }
    }

    /// One transaction goes to the queue of its bank.
    fn transfer(&mut self) {
        let writes = self.transactions[1].len();
        let idle = self.lanes.iter().all(Vec::is_empty) || self.is(Broken::IdleDrainAlways);
        let full = self.config.transactions - usize::from(self.is(Broken::DrainLate));
        if self.draining == 0
            && (writes >= full || (writes > self.config.idle_writes && idle && !self.is(Broken::NoIdleDrain)))
        {
            self.draining = writes;
        }
        let kind = usize::from(self.draining > 0);
        let most = self.config.commands + usize::from(self.is(Broken::OneMoreCommand));
        let has_place = |waiting: &Waiting| self.lanes[waiting.bank as usize].len() < most;
        let found = self.transactions[kind].iter().position(has_place);
        let Some(at) = found.filter(|at| *at == 0 || !self.is(Broken::TransfersInOrder)) else { return };
        let waiting = self.transactions[kind][at];
        if kind == 1 {
            let read = self.reads.iter().any(|read| read.granule() == waiting.granule());
            if read && !self.is(Broken::DrainBeforeRead) {
                self.draining = 0;
                return;
            }
            self.draining -= 1;
        }
        self.transactions[kind].remove(at);
        self.lanes[waiting.bank as usize].push(waiting);
    }

    fn tick(&mut self) {
        let late = u64::from(self.is(Broken::RefreshLate));
        let interval = u64::from(self.cycles(Parameter::Refi));
        if self.now >= interval && (self.now - late).is_multiple_of(interval) {
            self.refreshing = true;
        }
        if self.is(Broken::TransferFirst) {
            self.transfer();
        }
        let refreshing = self.refreshing;
        if refreshing {
            self.refresh();
        }
        if (!refreshing || self.is(Broken::ServedDuringRefresh))
            && let Some(first) = self.pick()
        {
            self.serve(first);
            let turn = self.turn;
            if self.config.two_buses
                && !self.is(Broken::NoSecondCommand)
                && let Some(second) = self.pick()
            {
                if second.1.bus() != first.1.bus() || self.is(Broken::OneBusTwice) {
                    self.serve(second);
                } else if self.is(Broken::TurnKept) {
                    self.turn = turn;
                }
            }
        }
        if !self.is(Broken::TransferFirst) {
            self.transfer();
        }
        self.now += 1;
    }
}

/// A channel with a queue for each bank, of a few rows and columns so that reads and writes meet.
fn bank_queues(dice: &mut Dice) -> BankQueueConfig {
    use Parameter as P;
    let mut config = ChannelConfig::preset("DDR4", "DDR4_8Gb_x8", "DDR4_2400R").unwrap();
    let organisation = &mut config.organisation;
    (organisation.rows, organisation.columns) = (dice.between(1, 4), dice.between(1, 4));
    // Some have more banks than fit into a word.
    let many = dice.chance(8);
    (organisation.bank_groups, organisation.banks) =
        if many { (9, 8) } else { (dice.between(1, 5), dice.between(1, 4)) };
    for parameter in [P::Cl, P::Cwl, P::Bl, P::RcdRd, P::RcdWr, P::Rp, P::Ras, P::Rc, P::Wr, P::Rtp, P::CcdS, P::CcdL] {
        config.timing = config.timing.with(parameter, dice.between(0, 40));
    }
    for parameter in [P::RrdS, P::RrdL, P::WtrS, P::WtrL, P::Rtw, P::Faw] {
        config.timing = config.timing.with(parameter, dice.between(0, 60));
    }
    for (parameter, most) in [(P::Act32, 400), (P::Ppd, 4)] {
        let cycles = if dice.chance(30) { dice.between(1, most) } else { 0 };
        config.timing = config.timing.with(parameter, cycles);
    }
    config.timing = config.timing.with(P::Rfc, dice.between(5, 40)).with(P::Refi, dice.between(200, 2_000));
    if dice.chance(4) {
        // Longer than what the channel counts ticks with in short.
        config.timing = config.timing.with(P::Ras, 16_400).with(P::Refi, 40_000);
    }
    BankQueueConfig {
        organisation: config.organisation,
        timing: config.timing,
        two_buses: dice.chance(50),
        transactions: dice.between(1, 24) as usize,
        commands: dice.between(1, 8) as usize,
        most_hits: dice.between(1, 5),
        idle_writes: dice.between(0, 12) as usize,
    }
}

/// Both controllers, and what they have said so far.
struct Pair {
    oracle: Oracle,
    channel: BankQueueChannel,
    listener: Listener,
}

impl Pair {
    fn new(config: &BankQueueConfig, broken: Broken) -> Self {
        let listener = Listener { banks: Some(config.organisation), ..Listener::default() };
        Self { oracle: Oracle::new(config, broken), channel: BankQueueChannel::new(config).unwrap(), listener }
    }

    fn agree(&mut self) -> Result<(), String> {
        let Self { oracle, channel, listener } = self;
        if oracle.now != channel.now() {
            return Err(format!("tick {} of the channel in tick {}", channel.now(), oracle.now));
        }
        if oracle.log != listener.log || oracle.done != listener.done {
            let (expected, said) = ((&oracle.log, &oracle.done), (&listener.log, &listener.done));
            return Err(format!("in tick {}\n  {expected:?}\n  channel\n  {said:?}\n", oracle.now));
        }
        for log in [&mut oracle.log, &mut listener.log] {
            log.clear();
        }
        for done in [&mut oracle.done, &mut listener.done] {
            done.clear();
        }
        Ok(())
    }

    /// Runs the oracle until something is so, up to the tick to which the channel has run; says whether it is so.
    fn catch_up(&mut self, is_so: impl Fn(&Oracle) -> bool) -> bool {
        while !is_so(&self.oracle) && self.oracle.now < self.channel.now() {
            self.oracle.tick();
        }
        is_so(&self.oracle)
    }

    /// The same after a run of the channel that ends when it is so, or else with an error: so it has to be with the oracle.
    fn until(&mut self, ran: &Result<(), DramError>, is_so: impl Fn(&Oracle) -> bool) -> Result<bool, String> {
        let so = self.catch_up(is_so);
        if so != ran.is_ok() {
            return Err(format!("in tick {} the channel says {ran:?}", self.oracle.now));
        }
        self.agree().map(|()| so)
    }
}

/// Runs both on the same traffic; whether they do the same.
fn same(config: &BankQueueConfig, broken: Broken, seed: u64, ticks: u64) -> Result<(), String> {
    let mut dice = Dice(seed ^ 0x5DEE_CE66);
    let mut pair = Pair::new(config, broken);
    let drawn = ChannelConfig::preset("DDR4", "DDR4_8Gb_x8", "DDR4_2400R").unwrap();
    let drawn = ChannelConfig { organisation: config.organisation, ..drawn };
    let (writes, spread) = (dice.below(101), 20 + dice.below(81));
    let (mut head, mut tag) = (None, 0);
    // Some begin shortly before the channel has to count its ticks anew.
    let begin = if seed.is_multiple_of(5) { 15_800 } else { 0 };
    while pair.oracle.now < begin {
        pair.oracle.tick();
    }
    pair.channel.advance(begin, &mut pair.listener);
    while pair.oracle.now < begin + ticks {
        for _ in 0..dice.below(5) {
            let request = head.take().unwrap_or_else(|| {
                tag += 1;
                request(&drawn, &mut dice, writes, spread, tag)
            });
            let kind = request.access as usize;
            let has_place = |oracle: &Oracle| oracle.transactions[kind].len() < oracle.config.transactions;
            if dice.chance(10) {
                // The channel runs until there is a place.
                let waits = !has_place(&pair.oracle);
                let waited = pair.channel.put(&request, &mut pair.listener);
                if !pair.catch_up(has_place) && waited.is_err() {
                    // Requests wait for each other for ever, in both.
                    return pair.agree();
                }
                if waited != Ok(waits) {
                    return Err(format!("put in tick {}: {waited:?}", pair.oracle.now));
                }
                pair.oracle.offer(&request);
                pair.agree()?;
                continue;
            }
            let offered = pair.oracle.offer(&request);
            let said = pair.channel.offer(&request, &mut pair.listener).unwrap();
            if said != offered {
                return Err(format!("offer in tick {}: {offered:?} {said:?}", pair.oracle.now));
            }
            if said == Offered::Refused {
                head = Some(request);
                if !dice.chance(10) {
                    break;
                }
                let ran = pair.channel.advance_to_place(&mut pair.listener);
                if !pair.until(&ran, has_place)? {
                    return Ok(());
                }
            }
        }
        let gap = if dice.chance(10) { 1 + dice.below(120) } else { 1 };
        for _ in 0..gap {
            pair.oracle.tick();
        }
        pair.channel.advance(pair.oracle.now, &mut pair.listener);
        pair.agree()?;
    }
    let ran = pair.channel.drain_reads(&mut pair.listener);
    pair.until(&ran, |oracle| oracle.reads.is_empty()).map(|_| ())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40 * cases(), ..ProptestConfig::default() })]

    #[test]
    fn do_queues_of_banks_do_what_a_tick_by_tick_one_does(seed in any::<u64>()) {
        let config = bank_queues(&mut Dice(seed));
        let result = same(&config, Broken::Nothing, seed, 1_500);
        prop_assert!(result.is_ok(), "{} {config:?}", result.unwrap_err());
    }
}

/// Whether any of some runs shows that the rule is broken.
#[track_caller]
fn check_seen(broken: Broken) {
    let seen = (0..400).any(|seed| same(&bank_queues(&mut Dice(seed)), broken, seed, 1_500).is_err());
    assert!(seen, "nobody notices {broken:?}");
}

#[test]
fn is_every_broken_rule_of_queues_of_banks_seen() {
    for broken in [
        Broken::NoWindow,
        Broken::FirstBankFirst,
        Broken::TurnKept,
        Broken::OneBusTwice,
        Broken::NoSecondCommand,
        Broken::NoHitLimit,
        Broken::HitsNotForgotten,
        Broken::DrainBeforeRead,
        Broken::DrainLate,
        Broken::NoIdleDrain,
        Broken::IdleDrainAlways,
        Broken::TransfersInOrder,
        Broken::TransferFirst,
        Broken::OneMoreCommand,
        Broken::NoForwarding,
        Broken::ReadsNotCoalesced,
        Broken::WritesNotCoalesced,
        Broken::ServedDuringRefresh,
        Broken::RefreshLate,
    ] {
        check_seen(broken);
    }
}

/// A read of a granule waits; the writes are full, and the first of them, of the same granule, waits for the read. As in the
/// simulator that this controller is the model of, neither ever goes; a run ends with an error.
#[test]
fn does_a_run_end_where_a_read_and_a_write_wait_for_each_other() {
    let mut config = BankQueueConfig { transactions: 8, commands: 2, ..bank_queues(&mut Dice(1)) };
    let organisation = &mut config.organisation;
    (organisation.bank_groups, organisation.banks, organisation.columns) = (4, 4, 2);
    let mut channel = BankQueueChannel::new(&config).unwrap();
    let mut listener = Listener { banks: Some(config.organisation), ..Listener::default() };
    let at = |access, row, tag| Request { access, address: Address { row, ..Address::default() }, column: 0, tag };
    // The third read waits, and all writes wait for it.
    let mut asked: Vec<Request> = (0..3).map(|tag| at(Access::Read, tag as u32 % 2, tag)).collect();
    asked[2].column = config.organisation.columns - 1;
    let granule = asked[2];
    for bank in 0..8 {
        let write = Request { access: Access::Write, tag: 10 + bank, ..granule };
        let address = Address { bank: (bank % 4) as u8, bank_group: (bank / 4) as u8, ..granule.address };
        asked.push(Request { address, ..write });
    }
    for request in &asked {
        assert_ne!(channel.offer(request, &mut listener).unwrap(), Offered::Refused, "{request:?}");
    }
    let stuck = channel.drain_reads(&mut listener).unwrap_err().to_string();
    assert!(stuck.contains("requests wait, and none can go"), "{stuck}");
    assert!(channel.now() < 60 * 3_000, "after some refresh intervals");
    let refused = at(Access::Write, 1, 30);
    assert_eq!(channel.offer(&refused, &mut listener).unwrap(), Offered::Refused);
    assert!(channel.advance_to_place(&mut listener).is_err());
}
