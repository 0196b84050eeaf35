//! Segments of a stream that were run before from the same state: what came of them is taken over.
//!
//! At a mark, where a barrier comes or so many requests have come since the last one, the state of all channels is written
//! down relative to the cycle and to a row: what waits, which rows are open, what of the commands issued can still hold back
//! another. From equal states equal requests lead to equal states, as long as no refresh falls due. So what the requests
//! between two marks came to is kept with the state and these requests. From then on a run that is at a mark in a known state
//! looks whether the requests that come are known there, and goes on at the mark behind them; as far as that leads nothing is
//! put in place. Columns are left out: nothing but a list of commands depends on them, and with one nothing is kept here.
//!
//! Only times at which there are none but PIM requests are written down.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::command::{Address, Command};

use super::channel::Channel;
use super::config::Config;
use super::front_end::Entering;
use super::{Fan, Request};

/// Requests between two marks, where no barrier comes.
pub(super) const APART: u32 = 64;
/// States that are kept at once; some 100 words each, and the requests behind them.
const STATES: usize = 1_024;
/// Ways to go on from a state that are kept.
const STEPS: usize = 8;

/// A request with its channels.
#[derive(Clone, Copy, Debug)]
struct Given {
    request: Request,
    first: u8,
    last: u8,
}

impl Given {
    #[inline]
    const fn of(fan: &Fan) -> Self {
        Self { request: fan.request, first: *fan.channels.start(), last: *fan.channels.end() }
    }

    /// Whether they are the same apart from their columns and, without `rows`, their rows.
    #[allow(
        clippy::needless_bitwise_bool,
        reason = "mostly all is the same: a jump for each part costs more (callgrind)"
    )]
    #[inline]
    fn is_like(&self, other: &Self, rows: bool) -> bool {
        let (one, two) = (&self.request.address, &other.request.address);
        let place = |at: &Address| [at.pseudo_channel, at.rank, at.bank_group, at.bank];
        (self.request.command == other.request.command)
            & (place(one) == place(two))
            & ((one.row == two.row) | !rows)
            & ([self.first, self.last] == [other.first, other.last])
    }
}

/// A request as far as anything depends on it.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// Its row is counted from the state's row where it needs one.
    one: Given,
    needs_row: bool,
}

impl Asked {
    fn of(config: &Config, mut one: Given, base: u32) -> Self {
        let needs_row = one.request.command.is_some_and(|command| config.needs_row(command));
        let row = &mut one.request.address.row;
        *row = if needs_row { row.wrapping_sub(base) } else { 0 };
        Self { one, needs_row }
    }

    /// Such a request.
    #[inline]
    const fn at(&self, base: u32) -> Given {
        let mut one = self.one;
        one.request.address.row = if self.needs_row { one.request.address.row.wrapping_add(base) } else { 0 };
        one
    }

    /// Whether a request is this one.
    #[inline]
    fn is(&self, config: &Config, fan: &Fan, base: u32) -> bool {
        // Rows and columns that do not exist are left to whoever refuses them.
        let request = &fan.request;
        Given::of(fan).is_like(&self.at(base), self.needs_row) & config.has_place(request.address.row, request.column)
    }
}

/// What the requests of a segment come to.
#[derive(Clone, Debug)]
struct Step {
    asked: Box<[Asked]>,
    next: u32,
    cycles: u64,
    /// How much further the row is that rows are counted from.
    rows: u32,
    /// By channel class: commands issued, barriers that took a slot, requests done with.
    commands: Vec<(u8, Command, u64)>,
    done: Vec<(u64, u64)>,
}

/// A segment that is being watched.
#[derive(Clone, Debug)]
struct Recording {
    from: u32,
    begin: u64,
    base: u32,
    next_refresh: u64,
    /// Of each channel class, before.
    before: Vec<(crate::command::CommandCounts, u64, u64)>,
}

#[derive(Clone, Debug)]
struct State {
    key: Arc<[u32]>,
    steps: Vec<Step>,
}

/// The requests of a run, in order, with those that have been looked at in advance.
pub(super) struct Source<I> {
    stream: I,
    ahead: VecDeque<Fan>,
    /// The last one that was given out.
    last: Option<Given>,
    /// Those given out since the last mark, where they are watched.
    given: Vec<Given>,
    watched: bool,
    /// Whether there are marks.
    marks: bool,
    /// How many were given out since the last mark.
    pub(super) since: u32,
}

impl<I: Iterator<Item = Fan>> Source<I> {
    /// With `marks`, requests are counted from one to the next.
    pub(super) const fn new(stream: I, marks: bool) -> Self {
        Self { stream, ahead: VecDeque::new(), last: None, given: Vec::new(), watched: false, marks, since: 0 }
    }

    #[inline]
    pub(super) fn next(&mut self) -> Option<Fan> {
        let fan = if self.ahead.is_empty() { self.stream.next() } else { self.ahead.pop_front() };
        self.since += u32::from(self.marks);
        self.last = fan.as_ref().map(Given::of);
        if let Some(last) = self.last
            && self.watched
        {
            self.given.push(last);
        }
        fan
    }

    /// The next one, and whether it is the one before but for its column.
    #[inline]
    pub(super) fn next_alike(&mut self) -> (Option<Fan>, bool) {
        let last = self.last;
        let fan = self.next();
        let alike = self.last.as_ref().zip(last.as_ref()).is_some_and(|(one, last)| one.is_like(last, true));
        (fan, alike)
    }

    /// Takes these away, if they come next.
    #[inline]
    fn take(&mut self, config: &Config, asked: &[Asked], base: u32) -> bool {
        let mut rest = asked;
        while let Some((one, others)) = rest.split_first() {
            // Mostly nothing was looked at in advance.
            let fan = if self.ahead.is_empty() { break } else { self.ahead.pop_front() };
            if fan.as_ref().is_none_or(|fan| !one.is(config, fan, base)) {
                self.give_back(&asked[..asked.len() - rest.len()], base, fan);
                return false;
            }
            rest = others;
        }
        let before = asked.len() - rest.len();
        for (place, one) in rest.iter().enumerate() {
            let fan = self.stream.next();
            if let Some(fan) = &fan
                && one.is(config, fan, base)
            {
                continue;
            }
            self.give_back(&asked[..before + place], base, fan);
            return false;
        }
        self.last = None;
        true
    }

    /// What was taken in vain comes again; nothing depends on the columns.
    #[cold]
    fn give_back(&mut self, taken: &[Asked], base: u32, fan: Option<Fan>) {
        for fan in fan.into_iter().chain(taken.iter().rev().map(|asked| {
            let Given { request, first, last } = asked.at(base);
            Fan { request: Request { column: 0, ..request }, channels: first..=last }
        })) {
            self.ahead.push_front(fan);
        }
    }
}

/// State: what has been learnt in a run.
#[derive(Debug, Default)]
pub(super) struct Memo {
    numbers: BTreeMap<Arc<[u32]>, u32>,
    states: Vec<State>,
    recording: Option<Recording>,
    key: Vec<u32>,
    /// States in a row that were new, and marks to go on without looking.
    new: u32,
    pause: u32,
}

/// Where a run is.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) now: u64,
    pub(super) entering: Option<Entering>,
}

impl Memo {
    /// At a mark, before anything of the cycle is done. Where a known segment comes, the state behind it, and behind all known ones
    /// after it, is put in place: the result is where the run goes on, and how many requests were passed over.
    pub(super) fn mark<I: Iterator<Item = Fan>>(
        &mut self,
        config: &Config,
        channels: &mut [Channel],
        source: &mut Source<I>,
        at: At,
    ) -> Option<(At, u64)> {
        source.since = 0;
        let recorded = self.recording.take();
        source.watched = false;
        if self.pause > 0 {
            self.pause -= 1;
            source.given.clear();
            return None;
        }
        if self.states.len() >= STATES {
            self.numbers.clear();
            self.states.clear();
        } else if let Some(base) = self.describe(config, channels, &at) {
            let (state, seen) = self.intern();
            if let Some(recording) = recorded {
                self.keep(config, channels, &source.given, recording, (state, at.now, base));
            }
            self.new = if seen { 0 } else { self.new + 1 };
            if self.new > 32 {
                self.pause = self.new.min(256);
            }
            source.given.clear();
            return self.walk(config, channels, source, (state, base), at);
        }
        source.given.clear();
        None
    }

    /// The number of the state in `key`, and whether it was seen before.
    fn intern(&mut self) -> (u32, bool) {
        if let Some(&number) = self.numbers.get(self.key.as_slice()) {
            return (number, true);
        }
        let number = self.states.len() as u32;
        let key: Arc<[u32]> = self.key.as_slice().into();
        self.numbers.insert(Arc::clone(&key), number);
        self.states.push(State { key, steps: Vec::new() });
        (number, false)
    }

    /// Writes the state into `key`. The row from which rows are counted; `None` where there is more than is written down.
    fn describe(&mut self, config: &Config, channels: &mut [Channel], at: &At) -> Option<u32> {
        let entering = at.entering.filter(Entering::is_pim)?;
        let base = channels.iter().find_map(|channel| channel.first_needed_row(config)).unwrap_or(entering.entry.row);
        self.key.clear();
        self.key.push(0);
        entering.write(config, base, &mut self.key);
        let all = channels.iter_mut().all(|channel| channel.describe(config, at.now, base, &mut self.key));
        // States that differ mostly do so in the first word.
        let digest = |digest: u32, word: &u32| (digest ^ word).wrapping_mul(0x9e37_79b1).rotate_left(15);
        self.key[0] = self.key.iter().fold(0, digest);
        all.then_some(base)
    }

    fn keep(
        &mut self,
        config: &Config,
        channels: &[Channel],
        given: &[Given],
        recording: Recording,
        (next, now, base): (u32, u64, u32),
    ) {
        let Recording { from, begin, base: begin_base, next_refresh, before } = recording;
        let Some(steps) = self.states.get_mut(from as usize).map(|state| &mut state.steps) else { return };
        let undisturbed = channels.iter().all(|channel| channel.next_refresh() == next_refresh);
        // Of reads and writes the column matters.
        let pim = given.iter().all(|given| !matches!(given.request.command, Some(Command::Rd | Command::Wr)));
        if !undisturbed || !pim || given.is_empty() || steps.len() >= STEPS {
            return;
        }
        let (mut commands, mut done) = (Vec::with_capacity(16), Vec::with_capacity(channels.len()));
        for (class, (channel, (counts, barriers, completed))) in channels.iter().zip(before).enumerate() {
            let more = |command| channel.commands[command] - counts[command];
            let issued = Command::ALL.into_iter().map(|command| (class as u8, command, more(command)));
            commands.extend(issued.filter(|&(.., count)| count > 0));
            done.push((channel.barriers - barriers, channel.completed - completed));
        }
        let asked = given.iter().map(|&given| Asked::of(config, given, begin_base)).collect();
        let rows = base.wrapping_sub(begin_base);
        steps.push(Step { asked, next, cycles: now - begin, rows, commands, done });
    }

    /// Goes on from a state as far as known segments lead, and watches the one that comes then.
    fn walk<I: Iterator<Item = Fan>>(
        &mut self,
        config: &Config,
        channels: &mut [Channel],
        source: &mut Source<I>,
        (mut state, mut base): (u32, u32),
        at: At,
    ) -> Option<(At, u64)> {
        let next_refresh = channels.iter().map(Channel::next_refresh).min().unwrap_or(0);
        let (mut now, mut passed) = (at.now, 0);
        loop {
            let steps = self.states[state as usize].steps.iter();
            let mut in_time = steps.filter(|step| step.cycles <= next_refresh.saturating_sub(now));
            let Some(step) = in_time.find(|step| source.take(config, &step.asked, base)) else { break };
            passed += step.asked.len() as u64;
            now += step.cycles;
            base = base.wrapping_add(step.rows);
            state = step.next;
            for &(class, command, count) in &step.commands {
                channels[usize::from(class)].commands[command] += count;
            }
            for (channel, (barriers, completed)) in channels.iter_mut().zip(&step.done) {
                channel.barriers += barriers;
                channel.completed += completed;
            }
        }
        let mut result = None;
        if passed > 0 {
            let key = Arc::clone(&self.states[state as usize].key);
            let mut words = key.iter().copied().skip(1);
            let entering = Entering::read(config, base, &mut words);
            for channel in &mut *channels {
                channel.put(config, now, base, &mut words);
            }
            result = Some((At { now, entering: Some(entering) }, passed));
        }
        let before = channels.iter().map(|channel| (channel.commands, channel.barriers, channel.completed)).collect();
        self.recording = Some(Recording { from: state, begin: now, base, next_refresh, before });
        source.watched = true;
        result
    }
}
