//! The stream of requests and the cycles of all channels.

use super::burst::Burst;
use super::channel::{self, Channel, Source as Kind};
use super::config::Config;
use super::memo::{APART, At, Memo, Source};
use super::queue::Entry;
use super::timers::Timers;
use super::{ChannelRun, Fan, Run, STALLED, Setup, StreamError};

/// A controller for every channel of a stack, ready to run streams of requests.
#[derive(Clone, Debug)]
pub struct FifoPim {
    config: Config,
    /// Of a channel to which nothing has been issued.
    timers: Timers,
    /// Commands of the rule set, a bit each.
    commands: u32,
    log: bool,
}

impl FifoPim {
    /// Resolves the tables of a set-up.
    ///
    /// # Errors
    /// [`StreamError::TooManyBanks`].
    pub fn new(setup: &Setup<'_>) -> Result<Self, StreamError> {
        let Setup { rules, organisation, timing, refresh, log } = *setup;
        if !channel::fits(organisation) {
            return Err(StreamError::TooManyBanks { banks: organisation.banks_per_channel() });
        }
        Ok(Self {
            config: Config::new(rules, organisation, timing, refresh),
            timers: Timers::new(rules, organisation, timing),
            commands: rules.commands.iter().fold(0, |set, rule| set | 1 << rule.command as u32),
            log,
        })
    }

    /// Runs a stream of requests to its end. It is gone through twice: what it gives must not change.
    ///
    /// # Errors
    /// [`StreamError`].
    pub fn run<I>(&self, stream: I) -> Result<Run, StreamError>
    where
        I: IntoIterator<Item = Fan> + Clone,
    {
        let mut splits = Splits::default();
        for fan in stream.clone().into_iter().filter(|fan| !fan.channels.is_empty()) {
            splits.insert(*fan.channels.start());
            splits.insert(fan.channels.end().saturating_add(1));
        }
        self.run_split(splits, stream)
    }

    /// Runs a stream of requests to its end, where the caller knows at which channels fans begin and end.
    ///
    /// # Errors
    /// [`StreamError`], one for a fan that begins or ends elsewhere.
    pub fn run_split(&self, splits: Splits, stream: impl IntoIterator<Item = Fan>) -> Result<Run, StreamError> {
        let groups = Groups::new(self.config.organisation.channels, splits);
        let channels = (0..groups.count).map(|_| Channel::new(&self.config, self.timers.fresh(), self.log)).collect();
        let memo = (!self.log).then(Memo::default);
        FrontEnd { setup: self, groups: &groups, channels, index: 0, memo, marked: false }
            .run(Source::new(stream.into_iter(), !self.log))
    }
}

/// Channels at which a fan of a stream begins or behind which one ends. Between two of them all channels do the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Splits(u128);

impl Splits {
    /// A fan begins at this channel, or ends before it.
    pub const fn insert(&mut self, channel: u8) {
        if (channel as u32) < u128::BITS {
            self.0 |= 1 << channel;
        }
    }

    const fn contains(self, channel: u32) -> bool {
        channel < u128::BITS && self.0 >> channel & 1 != 0
    }
}

/// Channels that do the same, side by side.
#[derive(Debug)]
struct Groups {
    /// By channel.
    of: Vec<u8>,
    /// By channel: its group where it is the first of it, and where it is the last.
    begins: Vec<Option<u8>>,
    ends: Vec<Option<u8>>,
    count: usize,
    /// By group: its first and last channel.
    channels: Vec<(u8, u8)>,
}

impl Groups {
    /// Whether a fan is for all channels of one group.
    #[inline]
    fn is_fan_of(&self, group: usize, fan: &Fan) -> bool {
        self.channels.get(group) == Some(&(*fan.channels.start(), *fan.channels.end()))
    }

    fn new(channels: u32, splits: Splits) -> Self {
        let channels = channels.min(u128::BITS);
        let (mut of, mut begins, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        let mut count = 0_u8;
        for channel in 0..channels {
            let begin = channel == 0 || splits.contains(channel);
            count += u8::from(begin);
            of.push(count - 1);
            begins.push(begin.then_some(count - 1));
            ends.push((channel + 1 == channels || splits.contains(channel + 1)).then_some(count - 1));
        }
        let first = |group: u8| of.iter().position(|&own| own == group).unwrap_or_default() as u8;
        let last = |group: u8| of.iter().rposition(|&own| own == group).unwrap_or_default() as u8;
        let channels = (0..count).map(|group| (first(group), last(group))).collect();
        Self { of, begins, ends, count: count.into(), channels }
    }
}

/// A request on its way into the groups `next..=last`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entering {
    pub(super) entry: Entry,
    source: Kind,
    next: usize,
    last: usize,
}

impl Entering {
    /// Whether it is a PIM request.
    pub(super) fn is_pim(&self) -> bool {
        self.source == Kind::Pim
    }

    /// Writes it down, its row counted from `base`.
    pub(super) fn write(&self, config: &Config, base: u32, key: &mut Vec<u32>) {
        key.push((self.next as u32) << 16 | self.last as u32);
        self.entry.write(config, base, key);
    }

    /// What [`Self::write`] has written down.
    pub(super) fn read(config: &Config, base: u32, words: &mut impl Iterator<Item = u32>) -> Self {
        let groups = words.next().unwrap_or(0);
        let entry = Entry::read(config, base, words);
        let (next, last) = ((groups >> 16) as usize, groups as u16 as usize);
        Self { entry, source: Kind::of(entry.own), next, last }
    }

    /// Whether it has to wait where the queue of PIM requests of this group is full.
    #[inline]
    fn waits_for(&self, group: usize) -> bool {
        self.next == group && group <= self.last && self.source == Kind::Pim
    }
}

/// The only group that has to be looked at now, if it is one, and when the others have to be.
#[inline]
fn alone(wakes: &[u64], now: u64) -> Option<(usize, u64)> {
    let (mut found, mut others) = (None, u64::MAX);
    for (group, &wake) in wakes.iter().enumerate() {
        if wake > now {
            others = others.min(wake);
        } else if found.replace(group).is_some() {
            return None;
        }
    }
    Some((found?, others))
}

struct FrontEnd<'a> {
    setup: &'a FifoPim,
    groups: &'a Groups,
    channels: Vec<Channel>,
    /// Of the next fan.
    index: u64,
    /// What is known of segments of the stream; `None` where every command is wanted.
    memo: Option<Memo>,
    /// A barrier has come since the last mark.
    marked: bool,
}

impl FrontEnd<'_> {
    fn run<I: Iterator<Item = Fan>>(mut self, mut stream: Source<I>) -> Result<Run, StreamError> {
        let config = &self.setup.config;
        let mut entering = None;
        self.enter(stream.next(), &mut entering)?;
        // Every channel looks at its empty queues in the first cycle.
        let mut wakes = vec![1; self.channels.len()];
        let mut soonest = 1;
        let (mut now, mut served, mut look) = (1, 0, STALLED);
        loop {
            if self.marked || stream.since >= APART {
                self.marked = false;
                if let Some(memo) = &mut self.memo
                    && let Some((at, passed)) = memo.mark(config, &mut self.channels, &mut stream, At { now, entering })
                {
                    self.index += passed;
                    At { now, entering } = at;
                    // Whatever can happen is looked for at once.
                    wakes.fill(now);
                    soonest = now;
                }
            }
            while let Some(request) = &mut entering {
                while request.next <= request.last {
                    let channel = &mut self.channels[request.next];
                    if !channel.answers(&request.entry, now) {
                        if !channel.has_room(request.source) {
                            break;
                        }
                        let wake = channel.accept(config, request.entry, now);
                        if wake < wakes[request.next] {
                            wakes[request.next] = wake;
                            soonest = soonest.min(wake);
                        }
                    }
                    request.next += 1;
                }
                if request.next <= request.last {
                    break;
                }
                self.enter(stream.next(), &mut entering)?;
            }
            if soonest <= now
                && let Some((channel, others)) = alone(&wakes, now)
                && let Some((until, wake)) = self.burst((channel, others), now, &mut entering, &mut stream)?
            {
                (now, wakes[channel], soonest) = (until, wake, wake.min(others));
                continue;
            }
            if soonest <= now {
                soonest = u64::MAX;
                for (channel, wake) in self.channels.iter_mut().zip(&mut wakes) {
                    if *wake <= now {
                        *wake = channel.tick(config, now);
                    }
                    soonest = soonest.min(*wake);
                }
            }
            let mut next = soonest;
            match &entering {
                Some(request) if self.channels[request.next].has_room(request.source) => next = now + 1,
                Some(_) => {}
                None => {
                    let done = self.channels.iter().map(Channel::done_at);
                    match done.reduce(|a, b| Some(a?.max(b?))).flatten() {
                        Some(done) if done <= now => break,
                        Some(done) => next = next.min(done),
                        None => {}
                    }
                }
            }
            if next == u64::MAX {
                return Err(StreamError::Stalled { cycle: now });
            }
            now = next;
            if now >= look {
                let sum = self.channels.iter().map(|channel| channel.completed).sum();
                if sum == served {
                    return Err(StreamError::Stalled { cycle: now });
                }
                (served, look) = (sum, now + STALLED);
            }
        }
        Ok(self.result(now))
    }

    /// Serves requests of one channel as long as nothing else can happen in any channel before cycle `others`, see
    /// [`super::burst`]. Returns the cycle with which to go on and when the channel has to be looked at; `None` where
    /// none was served.
    #[inline(never)]
    fn burst<I: Iterator<Item = Fan>>(
        &mut self,
        (number, others): (usize, u64),
        mut now: u64,
        entering: &mut Option<Entering>,
        stream: &mut Source<I>,
    ) -> Result<Option<(u64, u64)>, StreamError> {
        let config = &self.setup.config;
        let channel = &mut self.channels[number];
        let Some(mut burst) = Burst::of(channel, config, now) else { return Ok(None) };
        loop {
            let channel = &mut self.channels[number];
            if !burst.serve(channel, config, now) {
                // What came to be ready now is looked at now.
                return Ok(burst.end(channel, now).map(|_| (now, now)));
            }
            let mut goes_on = true;
            // A request for this channel enters in the next cycle; others go on waiting.
            if let Some(request) = entering
                && request.next == number
            {
                if request.last == number && request.is_pim() {
                    burst.accept(channel, config, &mut request.entry, now + 1);
                    let fan = stream.next();
                    if let Some(fan) = &fan
                        && burst.is_of(fan.request.command)
                        && self.groups.is_fan_of(number, fan)
                        && let Some(entry) = Entry::of(config, &fan.request)
                    {
                        request.entry = entry;
                        self.index += 1;
                    } else {
                        self.enter(fan, entering)?;
                        goes_on = entering.as_ref().is_none_or(|request| request.waits_for(number));
                    }
                } else {
                    goes_on = false;
                }
            }
            let next = burst.next(&self.channels[number]);
            match next.filter(|&next| next > now && next < others) {
                Some(next) if goes_on && !self.marked && stream.since < APART => {
                    let stretch = self.stretch((number, others), (now, next), &mut burst, entering, stream)?;
                    let Some((last, next, goes_on)) = stretch else {
                        now = next;
                        continue;
                    };
                    if !goes_on {
                        let next = burst.end(&mut self.channels[number], last);
                        return Ok(next.map(|next| (last + 1, next)));
                    }
                    now = next;
                }
                _ => {
                    let next = burst.end(&mut self.channels[number], now);
                    return Ok(next.map(|next| (now + 1, next)));
                }
            }
        }
    }

    /// Serves the requests at the front of a channel, the first at `next`, as long as they and those that enter go to the
    /// bank that the one before went to at `now`. Returns the cycle of the last one, that of the next one, and whether the
    /// burst goes on with it; `None` where none was served.
    #[inline]
    fn stretch<I: Iterator<Item = Fan>>(
        &mut self,
        (number, others): (usize, u64),
        (mut now, mut next): (u64, u64),
        burst: &mut Burst,
        entering: &mut Option<Entering>,
        stream: &mut Source<I>,
    ) -> Result<Option<(u64, u64, bool)>, StreamError> {
        let config = &self.setup.config;
        let channel = &self.channels[number];
        let Some(period) = burst.period(channel).filter(|period| now + period == next) else { return Ok(None) };
        let mut entry = None;
        if let Some(request) = entering {
            if request.next != number || request.last != number {
                return Ok(None);
            }
            entry = Some(&request.entry);
        }
        let Some(mut stretch) = burst.stretch(channel, entry) else { return Ok(None) };
        let until = burst.until().min(others);
        let (mut goes_on, mut alike) = (true, true);
        while goes_on && alike && stretch.goes_on() {
            let channel = &mut self.channels[number];
            if let Some(request) = entering {
                channel.stretch(&mut stretch, &request.entry);
                let (fan, repeats) = stream.next_alike();
                match &fan {
                    Some(fan) if repeats && config.has_column(fan.request.column) => {
                        request.entry.column = fan.request.column;
                        self.index += 1;
                    }
                    _ => {
                        alike = false;
                        self.enter(fan, entering)?;
                        goes_on = entering.as_ref().is_none_or(|request| request.waits_for(number));
                    }
                }
            }
            stretch.serve();
            (now, next) = (next, next + period);
            goes_on &= next < until && !self.marked && stream.since < APART;
        }
        if stretch.served == 0 {
            return Ok(None);
        }
        burst.end_stretch(&mut self.channels[number], &stretch, now);
        Ok(Some((now, next, goes_on)))
    }

    /// Makes an entry of the next request.
    #[inline]
    fn enter(&mut self, fan: Option<Fan>, entering: &mut Option<Entering>) -> Result<(), StreamError> {
        let Some(Fan { request, channels }) = fan else {
            *entering = None;
            return Ok(());
        };
        let command = request.command;
        let has = |command| self.setup.commands >> command as u32 & 1 != 0;
        let (Some(entry), true) = (Entry::of(&self.setup.config, &request), command.is_none_or(has)) else {
            return Err(StreamError::NoSuchPlace { index: self.index, request });
        };
        let (first, last) = (usize::from(*channels.start()), usize::from(*channels.end()));
        let (next, last) = match (self.groups.begins.get(first), self.groups.ends.get(last)) {
            _ if channels.is_empty() => (1, 0),
            (Some(&Some(first)), Some(&Some(last))) => (usize::from(first), usize::from(last)),
            (Some(_), Some(_)) => return Err(StreamError::Split { index: self.index }),
            _ => {
                let channels = self.setup.config.organisation.channels;
                return Err(StreamError::NoSuchChannel { index: self.index, channel: last as u8, channels });
            }
        };
        self.index += 1;
        self.marked |= command.is_none() && self.memo.is_some();
        *entering = Some(Entering { entry, source: Kind::of(command), next, last });
        Ok(())
    }

    fn result(self, end: u64) -> Run {
        let simulated: Vec<ChannelRun> = self
            .channels
            .into_iter()
            .map(|channel| ChannelRun {
                commands: channel.commands,
                barriers: channel.barriers,
                log: channel.log.unwrap_or_default(),
            })
            .collect();
        let of_one = |run: &ChannelRun| run.commands.total() + run.barriers;
        Run {
            end,
            simulated: simulated.len(),
            simulated_commands: simulated.iter().map(of_one).sum(),
            channels: self.groups.of.iter().map(|&group| simulated[usize::from(group)].clone()).collect(),
        }
    }
}
