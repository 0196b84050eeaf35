//! The stream of requests and the cycles of all channels.

use super::channel::{self, Channel, Source};
use super::config::Config;
use super::queue::Entry;
use super::timers::{Node, Timers};
use super::{ChannelRun, Fan, Request, Run, STALLED, Setup, StreamError};

/// Runs a stream of requests to its end. The stream is gone through twice: what it returns must not change.
///
/// # Errors
/// [`StreamError`].
pub fn run<I>(setup: &Setup<'_>, stream: I) -> Result<Run, StreamError>
where
    I: IntoIterator<Item = Fan> + Clone,
{
    let organisation = setup.organisation;
    if !channel::fits(organisation) {
        return Err(StreamError::TooManyBanks { banks: organisation.banks_per_channel() });
    }
    let config = Config::new(setup.rules, organisation, setup.timing, setup.refresh);
    let groups = Groups::of(organisation.channels, stream.clone())?;
    let timers = Timers::new(setup.rules, organisation, setup.timing);
    let channels = vec![Channel::new(&config, timers, setup.log); groups.count];
    let end = FrontEnd { config: &config, groups: &groups, channels }.run(setup, stream.into_iter())?;
    Ok(end)
}

/// Channels that do the same, side by side.
#[derive(Debug)]
struct Groups {
    /// By channel.
    of: Vec<u8>,
    count: usize,
}

impl Groups {
    /// Channels are equal unless a fan begins or ends between them.
    fn of(channels: u32, stream: impl IntoIterator<Item = Fan>) -> Result<Self, StreamError> {
        // Bit n: a group begins at channel n.
        let mut begins = 1_u128;
        let end = channels.min(u128::BITS - 1);
        for (index, fan) in stream.into_iter().enumerate() {
            let last = *fan.channels.end();
            if u32::from(last) >= end {
                return Err(StreamError::NoSuchChannel { index: index as u64, channel: last, channels });
            }
            if !fan.channels.is_empty() {
                begins |= 1 << *fan.channels.start() | 1 << (last + 1);
            }
        }
        let mut of = Vec::new();
        let mut count = 0;
        for channel in 0..end {
            count += (begins >> channel & 1) as usize;
            of.push((count - 1) as u8);
        }
        Ok(Self { of, count })
    }
}

/// A request on its way into the groups `next..=last`.
#[derive(Clone, Copy, Debug)]
struct Entering {
    entry: Entry,
    source: Source,
    next: usize,
    last: usize,
}

struct FrontEnd<'a> {
    config: &'a Config,
    groups: &'a Groups,
    channels: Vec<Channel>,
}

impl FrontEnd<'_> {
    fn run(mut self, setup: &Setup<'_>, mut stream: impl Iterator<Item = Fan>) -> Result<Run, StreamError> {
        let known = setup.rules.commands.iter().fold(0_u32, |set, rule| set | 1 << rule.command as u32);
        let mut index = 0;
        let mut entering = self.enter(stream.next(), &mut index, known)?;
        // Every channel looks at its empty queues in the first cycle.
        let mut wakes = vec![1; self.channels.len()];
        let (mut now, mut served, mut look) = (1, 0, STALLED);
        loop {
            while let Some(request) = &mut entering {
                while request.next <= request.last
                    && self.channels[request.next].accept(self.config, request.entry, now)
                {
                    wakes[request.next] = now;
                    request.next += 1;
                }
                if request.next <= request.last {
                    break;
                }
                entering = self.enter(stream.next(), &mut index, known)?;
            }
            let mut next = u64::MAX;
            for (channel, wake) in self.channels.iter_mut().zip(&mut wakes) {
                if *wake <= now {
                    *wake = channel.tick(self.config, now);
                }
                next = next.min(*wake);
            }
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

    /// Makes an entry of the next request.
    #[inline]
    fn enter(&self, fan: Option<Fan>, index: &mut u64, known: u32) -> Result<Option<Entering>, StreamError> {
        let Some(Fan { request, channels }) = fan else { return Ok(None) };
        let has = |command| known >> command as u32 & 1 != 0;
        let bank = self.config.bank(request.address, request.column);
        let (Some(bank), true) = (bank, request.command.is_none_or(has)) else {
            return Err(StreamError::NoSuchPlace { index: *index, request });
        };
        *index += 1;
        let (next, last) = if channels.is_empty() {
            (1, 0)
        } else {
            let group = |channel: u8| usize::from(self.groups.of[usize::from(channel)]);
            (group(*channels.start()), group(*channels.end()))
        };
        let Request { command, address, column } = request;
        let entry = Entry::new(command, bank as Node, address.row, column);
        Ok(Some(Entering { entry, source: Source::of(command), next, last }))
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
