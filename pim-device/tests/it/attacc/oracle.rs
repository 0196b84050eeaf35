//! A second controller for rule set `attacc`, written from the description of the AttAcc simulator and not from the
//! device: cycle by cycle, every request looked at in every cycle. Only the constraint table is shared. Each of its
//! nine rules can be broken, to see that the golden runs notice.

use pim_device::Command::{
    self, Act, ActAb, ActPb, ActSb, MacAb, MacPb, MacSb, MvGb, MvSb, Pre, PreA, PrePb, PreSb, Rd, RefAb, SetH, SetM,
    Sfm, Wr, WrGb,
};
use pim_device::constraint::attacc::CONSTRAINTS;
use pim_device::{Parameter, Timing};

/// Channel, pseudo-channel, rank, bank group, bank, row, column; -1 below the pseudo-channel for refreshes.
pub(super) type At = [i64; 7];

/// A line of a trace; `None` is a barrier.
pub(super) type Line = (Option<Command>, At);

/// (cycle, command, place); `None` is a barrier that took a slot.
pub(super) type Issued = (u64, Option<Command>, At);

/// Which of the rules is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    Nothing,
    /// 1: every command is checked down to its bank, whatever its scope.
    ScopeOfChecks,
    /// 2: a look at the queue takes all leading barriers away.
    AllBarriersAtOnce,
    /// 3: where nothing is ready in the first slot there is no second one.
    ClassOfWhatWaits,
    /// 4: a candidate of the wrong class ends the second slot.
    PassedOver,
    /// 5: a bank is closed although a request waits whose row was opened there.
    ActiveKeepsOpen,
    /// 6: a MACPB holds back the PREPB of its own bank only.
    PrechargeElsewhere,
    /// 7: a request hits where its row is open in its bank, a move too, whatever comes next for it.
    HitIsNext,
    /// 8: reads and writes take turns at the beginning of each cycle only.
    TurnsWhenReached,
    /// 9: reads of what waits to be written are queued.
    ReadsOfWrites,
}

struct Request {
    own: Option<Command>,
    at: At,
    /// The numbers of its nodes, the channel first.
    nodes: [usize; 5],
}

impl Request {
    fn new(own: Option<Command>, at: At) -> Self {
        Self { own, at, nodes: [0, 1, 2, 3, 4].map(|level| node(&at, level)) }
    }
}

struct Rule {
    level: usize,
    preceding: Command,
    cycles: u64,
    window: usize,
}

const BANKS: usize = 64;

/// Nodes of all levels, and those that a refresh has below its pseudo-channel.
const NODES: usize = 6 * 6 * 6 * 6;

/// The number of the node of an address at a level.
fn node(at: &At, level: usize) -> usize {
    at[1..5].iter().enumerate().fold(0, |node, (below, &part)| {
        // Levels below the node count as -2; -1 is what a refresh has there.
        node * 6 + if below < level { part + 2 } else { 0 } as usize
    })
}

fn bank(at: &At) -> usize {
    (((at[1] * 2 + at[2]) * 4 + at[3]) * 4 + at[4]) as usize
}

/// Levels down to which a command is checked: 0 the channel, 4 the bank.
fn scope(command: Command, broken: Broken) -> usize {
    match command {
        PreA | RefAb | Sfm | SetH if broken != Broken::ScopeOfChecks => 0,
        _ => 4,
    }
}

/// 0 row, 1 column, -1 neither.
fn class(command: Option<Command>) -> i8 {
    match command {
        Some(Act | Pre | PreA | ActAb | ActSb | ActPb | RefAb) => 0,
        Some(Rd | Wr | MacAb | MacSb | MacPb | WrGb | MvSb | MvGb | Sfm | SetM | SetH) => 1,
        _ => -1,
    }
}

struct Channel {
    number: i64,
    rows: Vec<Vec<i64>>,
    /// By node and command: the last four issues, newest first.
    history: Vec<Vec<Vec<u64>>>,
    /// MAC and when, by the bank in which it holds back a precharge.
    elsewhere: Vec<(Command, usize, u64)>,
    active: Vec<Request>,
    refresh: Vec<Request>,
    pim: Vec<Request>,
    read: Vec<Request>,
    write: Vec<Request>,
    data: Vec<u64>,
    writing: bool,
    next_refresh: u64,
    log: Vec<Issued>,
}

pub(super) struct Oracle<'a> {
    timing: &'a Timing,
    refresh: bool,
    broken: Broken,
    rules: Vec<Vec<Rule>>,
}

/// Source of a candidate: which queue, which place in it.
#[derive(Clone, Copy, PartialEq)]
enum Queue {
    Active,
    Refresh,
    Pim,
    Read,
    Write,
}

struct Pick {
    queue: Queue,
    place: usize,
    command: Option<Command>,
    issue: bool,
}

impl<'a> Oracle<'a> {
    pub(super) fn new(timing: &'a Timing, refresh: bool, broken: Broken) -> Self {
        let mut rules: Vec<Vec<Rule>> = Command::ALL.iter().map(|_| Vec::new()).collect();
        for line in CONSTRAINTS {
            for following in line.following {
                rules[*following as usize].extend(line.preceding.iter().map(|&preceding| Rule {
                    level: line.level as usize,
                    preceding,
                    cycles: u64::from(line.latency.cycles(|parameter| timing.get(parameter))),
                    window: usize::from(line.window),
                }));
            }
        }
        Self { timing, refresh, broken, rules }
    }

    /// The end and the commands, channel after channel; `None` if it does not end within `limit` cycles.
    pub(super) fn run(&self, trace: &[Line], limit: u64) -> Option<(u64, Vec<Issued>)> {
        let refi = u64::from(self.timing.get(Parameter::Refi));
        let mut channels: Vec<Channel> = (0..16)
            .map(|number| Channel {
                number,
                rows: vec![Vec::new(); BANKS],
                history: Vec::new(),
                elsewhere: Vec::new(),
                active: Vec::new(),
                refresh: Vec::new(),
                pim: Vec::new(),
                read: Vec::new(),
                write: Vec::new(),
                data: Vec::new(),
                writing: false,
                next_refresh: refi,
                log: Vec::new(),
            })
            .collect();
        let mut sent = 0;
        for now in 1..=limit {
            while sent < trace.len() {
                let (own, at) = trace[sent];
                let channel = &mut channels[at[0] as usize];
                let queue = match own {
                    Some(Rd) => &mut channel.read,
                    Some(Wr) => &mut channel.write,
                    _ => &mut channel.pim,
                };
                let full = queue.len() > 32;
                let forwarded = own == Some(Rd) && channel.write.iter().any(|write| write.at == at);
                if forwarded && self.broken != Broken::ReadsOfWrites {
                    channel.data.push(now);
                } else if full {
                    break;
                } else {
                    let queue = match own {
                        Some(Rd) => &mut channel.read,
                        Some(Wr) => &mut channel.write,
                        _ => &mut channel.pim,
                    };
                    queue.push(Request::new(own, at));
                }
                sent += 1;
            }
            for channel in &mut channels {
                self.cycle(channel, now);
            }
            if sent == trace.len() && channels.iter().all(Channel::is_idle) {
                return Some((now, channels.into_iter().flat_map(|channel| channel.log).collect()));
            }
        }
        None
    }

    fn cycle(&self, channel: &mut Channel, now: u64) {
        // Once reads and writes have turned, there is nothing in an idle channel to look at.
        if channel.is_idle() && channel.writing && now < channel.next_refresh {
            return;
        }
        if channel.data.first().is_some_and(|due| *due <= now) {
            channel.data.remove(0);
        }
        if self.refresh && now >= channel.next_refresh {
            channel.next_refresh += u64::from(self.timing.get(Parameter::Refi));
            for half in 0..2 {
                let at = [channel.number, half, -1, -1, -1, -1, -1];
                channel.refresh.push(Request::new(Some(RefAb), at));
            }
        }
        if self.broken == Broken::TurnsWhenReached {
            channel.turn();
        }
        let first = self.slot(channel, now, None);
        let other = match first {
            Some((command, ready)) if class(command) >= 0 && (ready || self.broken != Broken::ClassOfWhatWaits) => {
                1 - class(command)
            }
            _ => -1,
        };
        self.slot(channel, now, Some(other));
    }

    /// Returns the command that it came to, a barrier being none, and whether it is ready.
    fn slot(&self, channel: &mut Channel, now: u64, wanted: Option<i8>) -> Option<(Option<Command>, bool)> {
        let pick = self.pick(channel, now, wanted)?;
        let closing = matches!(pick.command, Some(Pre | PreA | PreSb | PrePb));
        let at = channel.queue(pick.queue)[pick.place].at;
        let kept = closing && channel.active.iter().any(|request| request.at[..5] == at[..5]);
        if pick.issue && !(kept && self.broken != Broken::ActiveKeepsOpen) {
            self.issue(channel, now, &pick);
        }
        Some((pick.command, pick.issue))
    }

    fn pick(&self, channel: &mut Channel, now: u64, wanted: Option<i8>) -> Option<Pick> {
        let fits = |command: Option<Command>| wanted.is_none_or(|wanted| wanted >= 0 && class(command) == wanted);
        let last = |pick: Option<Pick>| pick.map(|pick| Pick { issue: false, ..pick });
        // With rule 4 broken, the second slot ends at the first candidate.
        let ends = self.broken == Broken::PassedOver && wanted.is_some_and(|wanted| wanted >= 0);
        let active = self.best(channel, Queue::Active, now);
        if active.as_ref().is_some_and(|pick| pick.issue && fits(pick.command)) {
            return active;
        }
        if ends && active.is_some() {
            return last(active);
        }
        if !channel.refresh.is_empty() {
            let command = channel.next(&channel.refresh[0]);
            let issue = self.ready(channel, command, &channel.refresh[0], now);
            if fits(command) || ends {
                return Some(Pick { queue: Queue::Refresh, place: 0, command, issue: issue && fits(command) });
            }
        }
        let pim = self.best(channel, Queue::Pim, now);
        if pim.as_ref().is_some_and(|pick| pick.issue && fits(pick.command)) {
            return pim;
        }
        if ends && pim.is_some() {
            return last(pim);
        }
        if self.broken != Broken::TurnsWhenReached {
            channel.turn();
        }
        let queue = if channel.writing { Queue::Write } else { Queue::Read };
        let pick = self.best(channel, queue, now)?;
        Some(Pick { issue: pick.issue && fits(pick.command), ..pick })
    }

    fn best(&self, channel: &mut Channel, queue: Queue, now: u64) -> Option<Pick> {
        let leading = |channel: &mut Channel| channel.queue(queue).first().is_some_and(|first| first.own.is_none());
        while leading(channel) {
            channel.queue(queue).remove(0);
            if self.broken != Broken::AllBarriersAtOnce {
                break;
            }
        }
        if channel.queue(queue).is_empty() {
            return None;
        }
        let requests = std::mem::take(channel.queue(queue));
        let next: Vec<Option<Command>> = requests.iter().map(|request| channel.next(request)).collect();
        let ready = |place: usize| self.ready(channel, next[place], &requests[place], now);
        let hit = |place: usize| {
            let Request { own, at, .. } = &requests[place];
            let own_is_next = matches!(own, Some(MacAb | MacSb | MacPb | Rd | Wr)) && next[place] == *own;
            (own_is_next || self.broken == Broken::HitIsNext)
                && own.is_some()
                && channel.rows[bank(at)].contains(&at[5])
        };
        let mut best = (0, ready(0));
        let mut fenced = false;
        let mut place = 1;
        while !best.1 && place < requests.len() {
            let moves_rows = matches!(next[place], Some(Act | ActAb | ActSb | ActPb | Pre | PreA | PreSb | PrePb));
            fenced |= requests[place].own.is_none();
            let candidate = requests[place].own.is_some() && (!fenced || moves_rows);
            if candidate && ready(place) {
                let same = |other: usize| {
                    requests[other].own.is_some() && bank(&requests[other].at) == bank(&requests[place].at)
                };
                if hit(place) || !(0..requests.len()).any(|other| same(other) && hit(other)) {
                    best = (place, true);
                }
            }
            place += 1;
        }
        let pick = Pick { queue, place: best.0, command: next[best.0], issue: best.1 };
        *channel.queue(queue) = requests;
        Some(pick)
    }

    fn ready(&self, channel: &Channel, command: Option<Command>, request: &Request, now: u64) -> bool {
        let Some(command) = command else { return true };
        let rules = self.rules[command as usize].iter().filter(|rule| rule.level <= scope(command, self.broken));
        for rule in rules {
            let node = channel.history.get(request.nodes[rule.level]);
            let last = node.and_then(|node| node.get(rule.preceding as usize)?.get(rule.window - 1));
            if last.is_some_and(|last| last + rule.cycles > now) {
                return false;
            }
        }
        let at = &request.at;
        if !matches!(command, PreSb | PrePb) || at[2] < 0 {
            return true;
        }
        let held = self.rules[command as usize].iter().filter(|rule| rule.level == 4);
        let mut held = held.flat_map(|rule| {
            let here = move |entry: &&(Command, usize, u64)| entry.0 == rule.preceding && entry.1 == bank(at);
            channel.elsewhere.iter().filter(here).map(|(_, _, cycle)| cycle + rule.cycles)
        });
        !held.any(|until| until > now)
    }

    fn issue(&self, channel: &mut Channel, now: u64, pick: &Pick) {
        let Pick { queue, place, command, .. } = *pick;
        let Request { own, at, nodes } = channel.queue(queue)[place];
        channel.log.push((now, command, at));
        let Some(command) = command else {
            channel.queue(queue).remove(place);
            return;
        };
        channel.history.resize(NODES, Vec::new());
        for number in nodes {
            let node = &mut channel.history[number];
            node.resize(Command::ALL.len(), Vec::new());
            node[command as usize].insert(0, now);
            node[command as usize].truncate(4);
        }
        channel.elsewhere.retain(|(_, _, cycle)| cycle + 100 > now);
        if command == MacSb {
            let same = (0..BANKS).filter(|other| other % 4 == at[4] as usize);
            channel.elsewhere.extend(same.map(|other| (command, other, now)));
        } else if command == MacPb && self.broken != Broken::PrechargeElsewhere {
            // Every index one level too high: the pseudo-channel as rank, the rank as bank group.
            for half in 0..2 {
                channel.elsewhere.push((command, bank(&[0, half, at[1], at[2], at[4], 0, 0]), now));
            }
        }
        channel.move_rows(command, &at);
        if Some(command) == own {
            channel.queue(queue).remove(place);
            if command == Rd {
                let latency = self.timing.get(Parameter::Cl) + self.timing.get(Parameter::Bl);
                channel.data.push(now + u64::from(latency));
            }
        } else if command == Act {
            let request = channel.queue(queue).remove(place);
            channel.active.push(request);
        }
    }
}

impl Channel {
    fn queue(&mut self, queue: Queue) -> &mut Vec<Request> {
        match queue {
            Queue::Active => &mut self.active,
            Queue::Refresh => &mut self.refresh,
            Queue::Pim => &mut self.pim,
            Queue::Read => &mut self.read,
            Queue::Write => &mut self.write,
        }
    }

    fn is_idle(&self) -> bool {
        let queues = [&self.active, &self.refresh, &self.pim, &self.read, &self.write];
        queues.iter().all(|queue| queue.is_empty()) && self.data.is_empty()
    }

    fn turn(&mut self) {
        // 0.8 and 0.2 of 32.
        if self.writing {
            self.writing = self.write.len() >= 7 || self.read.is_empty();
        } else {
            self.writing = self.write.len() > 25 || self.read.is_empty();
        }
    }

    /// The banks that a MAC, an activation or a precharge is about.
    fn banks(command: Command, at: &At) -> Vec<usize> {
        let every = 0..BANKS;
        match command {
            MacAb | ActAb | PreA => every.collect(),
            MacSb | ActSb => every.filter(|bank| bank % 4 == at[4] as usize).collect(),
            MacPb | ActPb | PrePb | PreSb => every.filter(|other| other % 32 == bank(at) % 32).collect(),
            _ => vec![bank(at)],
        }
    }

    fn next(&self, request: &Request) -> Option<Command> {
        let own = request.own?;
        let (activate, precharge) = match own {
            MacAb => (ActAb, PreA),
            MacSb => (ActSb, PreSb),
            MacPb => (ActPb, PrePb),
            Rd | Wr => (Act, Pre),
            RefAb => return Some(if self.rows.iter().all(Vec::is_empty) { RefAb } else { PreA }),
            _ => return Some(own),
        };
        for bank in Self::banks(own, &request.at) {
            if self.rows[bank].is_empty() {
                return Some(activate);
            }
            if !self.rows[bank].contains(&request.at[5]) {
                return Some(precharge);
            }
        }
        Some(own)
    }

    fn move_rows(&mut self, command: Command, at: &At) {
        match command {
            Act | ActAb | ActSb | ActPb => {
                for bank in Self::banks(command, at) {
                    self.rows[bank].push(at[5]);
                }
            }
            PreA => self.rows.iter_mut().for_each(Vec::clear),
            Pre | PreSb | PrePb => Self::banks(command, at).into_iter().for_each(|bank| self.rows[bank].clear()),
            _ => {}
        }
    }
}
