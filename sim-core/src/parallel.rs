//! One run on several threads, with the result of one thread.
//!
//! The actors are dealt to partitions, one for each thread. No message between partitions takes less than the
//! *lookahead*, so a partition can run up to the earliest message that is pending for any *other* one, plus the
//! lookahead: nothing that follows from there can arrive before. Its own messages to others come back later still; what
//! it sends ends its window at the time of arrival, so that the receiver can begin beside it. At the end of a window
//! every thread sends every other one a parcel with the messages for it and the earliest times that it knows of; from
//! those all compute the same next limits. There is no barrier and no shared state.
//!
//! A thread whose parcels have not come works ahead, see [`crate::ahead`], its own actors' work first and then that of
//! others; it sleeps only where there is none.
//!
//! A run that is asked to stop ends all partitions at one time: just after the latest message that any of them had
//! delivered when they agreed on it. The others catch up to that time in further windows.
//!
//! *Invariant:* a message's key does not depend on partitions, so each actor receives the same messages in the same
//! order as on one thread, and spans, statistics and random draws are the same to the bit.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, TryRecvError, unbounded};

use crate::actor::{ActorId, Node};
use crate::ahead::{Pastime, Pool};
use crate::error::SimulationError;
use crate::limits::{LOOK, Limits, Progress, Stop};
use crate::partition::{Outbox, Partition};
use crate::queue::Key;
use crate::time::Time;

/// How to deal the actors to threads. The default is one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Configuration: the partition of each actor, by [`ActorId::index`]; those beyond the list are in partition 0.
    pub partitions: Vec<u32>,
    /// Configuration: the least time that a message between two partitions takes. A faster one stops the run (law 6).
    pub lookahead: Time,
}

impl Plan {
    /// How many partitions there are.
    pub fn count(&self) -> usize {
        self.partitions.iter().map(|&partition| partition as usize + 1).max().unwrap_or(1)
    }
}

/// Gives the CPU time of the thread that calls it, where the system tells.
pub type CpuTime = dyn Fn() -> Option<Duration> + Sync;

/// What a run tells, and asks of, the outside. Nothing of it can change the result.
pub struct Watch<'a> {
    /// Hears on the calling thread how far the run is: every 65,536 messages on one thread, after every window on
    /// several.
    pub progress: &'a mut dyn FnMut(Progress),
    /// How to measure a thread.
    pub cpu_time: &'a CpuTime,
    /// How long the calling thread works before and after the run: others take over so much more of what they can.
    pub besides: Duration,
}

impl<'a> Watch<'a> {
    /// A watch of a run that is all there is.
    pub fn new(progress: &'a mut dyn FnMut(Progress), cpu_time: &'a CpuTime) -> Self {
        Self { progress, cpu_time, besides: Duration::ZERO }
    }
}

impl std::fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

/// What a run took. Depends on the machine's load; no result does.
#[derive(Clone, Debug, Default)]
pub struct ParallelReport {
    /// By partition.
    pub partitions: Vec<PartitionReport>,
    /// The least length of a window; zero on one thread.
    pub lookahead: Time,
    /// How many windows there were; none on one thread.
    pub windows: u64,
}

/// One thread's part.
#[derive(Clone, Copy, Debug, Default)]
pub struct PartitionReport {
    /// Actors dealt to it.
    pub actors: usize,
    /// Messages that it delivered.
    pub events: u64,
    /// Wall time in which it worked.
    pub busy: Duration,
    /// Wall time in which it waited for parcels.
    pub blocked: Duration,
    /// CPU time, where [`Watch::cpu_time`] gives it.
    pub cpu: Option<Duration>,
}

/// Measures a thread's part.
pub(crate) struct Meter<'a> {
    begun: Instant,
    cpu_time: &'a CpuTime,
    cpu: Option<Duration>,
}

impl<'a> Meter<'a> {
    pub(crate) fn start(cpu_time: &'a CpuTime) -> Self {
        Self { begun: now(), cpu_time, cpu: cpu_time() }
    }

    pub(crate) fn stop(self, report: &mut PartitionReport) {
        report.cpu = (self.cpu_time)().zip(self.cpu).map(|(end, begin)| end.saturating_sub(begin));
        report.busy = self.begun.elapsed().saturating_sub(report.blocked);
    }
}

/// What a thread tells another one at the end of a window.
struct Parcel<M> {
    messages: Vec<(Key, ActorId, M)>,
    /// What all others are told too.
    news: News,
}

/// What a thread tells all others.
#[derive(Clone)]
struct News {
    /// The earliest message that is pending at the sender itself.
    earliest: Key,
    /// The earliest that it has just sent to each partition.
    sent: Arc<[Key]>,
    /// Whether it has met an error.
    failed: bool,
    /// Whether it has seen the wish to stop.
    asked: bool,
    /// How far it is.
    progress: Progress,
}

/// A thread's ways to and from another one. Each pair has its own: of two parcels that come over one way the first is
/// of the earlier window, however fast the sender was.
struct Way<M> {
    other: usize,
    to: Sender<Parcel<M>>,
    from: Receiver<Parcel<M>>,
}

/// The ways of each of `count` threads to all others.
fn ways<M>(count: usize) -> Vec<Vec<Way<M>>> {
    let mut ways: Vec<Vec<Way<M>>> = (0..count).map(|_| Vec::new()).collect();
    for a in 0..count {
        for b in a + 1..count {
            let (a_to_b, from_a) = unbounded();
            let (b_to_a, from_b) = unbounded();
            ways[a].push(Way { other: b, to: a_to_b, from: from_b });
            ways[b].push(Way { other: a, to: b_to_a, from: from_a });
        }
    }
    ways
}

/// How the partitions ended.
pub(crate) struct Ended {
    pub(crate) report: ParallelReport,
    /// The limit that stopped them and at what time; there may be nothing left to stop.
    pub(crate) stopped: Option<(Time, Stop)>,
    pub(crate) result: Result<(), SimulationError>,
}

/// Runs partitions until no message is left anywhere, or a limit stops them; that on the number of messages is not
/// looked at.
pub(crate) fn run<N>(partitions: &mut [Partition<N>], plan: &Plan, limits: &Limits, watch: Watch<'_>) -> Ended
where
    N: Node + Send,
    N::Message: Send,
{
    let Watch { progress, cpu_time, besides } = watch;
    let count = partitions.len();
    let pools: Arc<[Arc<Pool>]> = (0..count).map(|_| Arc::default()).collect();
    let mut work = Vec::new();
    for ((this, partition), ways) in partitions.iter_mut().enumerate().zip(ways(count)) {
        partition.core.ahead = Some(Arc::clone(&pools[this]));
        let pastime = Pastime::new(this, Arc::clone(&pools), if this == 0 { besides } else { Duration::ZERO });
        work.push(Worker { this, partition, ways, pastime, plan, limits, cpu_time });
    }
    let mut done: Vec<Done> = Vec::new();
    let scope = crossbeam::thread::scope(|scope| {
        let mut work = work.into_iter();
        let own = work.next();
        let threads: Vec<_> = work.map(|worker| scope.spawn(move |_| worker.run(&mut |_| ()))).collect();
        done.extend(own.map(|own| own.run(progress)));
        // A panic of a model is passed on, as it would be on one thread.
        done.extend(threads.into_iter().map(|thread| match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }));
    });
    if let Err(panic) = scope {
        std::panic::resume_unwind(panic);
    }
    let windows = done.iter().map(|done| done.windows).max().unwrap_or(0);
    let reports = done.iter().map(|done| done.report).collect();
    let stopped = done.iter().find_map(|done| done.stopped);
    // The first error in the order of messages is the one that one thread would have met.
    let error = done.into_iter().filter_map(|done| done.error).min_by_key(|(at, _)| *at);
    Ended {
        report: ParallelReport { partitions: reports, lookahead: plan.lookahead, windows },
        stopped,
        result: error.map_or(Ok(()), |(_, error)| Err(error)),
    }
}

/// What a thread leaves.
struct Done {
    report: PartitionReport,
    windows: u64,
    stopped: Option<(Time, Stop)>,
    error: Option<(Key, SimulationError)>,
}

struct Worker<'a, N: Node> {
    this: usize,
    partition: &'a mut Partition<N>,
    ways: Vec<Way<N::Message>>,
    pastime: Pastime,
    plan: &'a Plan,
    limits: &'a Limits,
    cpu_time: &'a CpuTime,
}

impl<N: Node> Worker<'_, N> {
    fn run(mut self, progress: &mut dyn FnMut(Progress)) -> Done {
        let count = self.ways.len() + 1;
        let homes = self.plan.partitions.as_slice().into();
        self.partition.core.outbox = Some(Box::new(Outbox::new(self.this as u32, homes, count, self.plan.lookahead)));
        let before = self.partition.events;
        let stopped = self.limits.until.map(|at| (at, Stop::Until));
        let mut done = Done { report: PartitionReport::default(), windows: 0, stopped, error: None };
        done.report.actors = self.partition.nodes().flatten().count();
        let meter = Meter::start(self.cpu_time);
        let mut asked = self.is_asked();
        loop {
            let own = self.news(asked, done.error.is_some());
            let Some(all) = self.exchange(own) else { break };
            let total = all.iter().fold(Progress::default(), |sum, news| Progress {
                now: sum.now.max(news.progress.now),
                events: sum.events + news.progress.events,
                spans: sum.spans + news.progress.spans,
            });
            progress(total);
            if all.iter().any(|news| news.failed) {
                break;
            }
            if all.iter().any(|news| news.asked) && !matches!(done.stopped, Some((_, Stop::Asked))) {
                let begun = total.events > 0 || total.now > Time::ZERO;
                let at = if begun { total.now + Time::from_ps(1) } else { Time::ZERO };
                if done.stopped.is_none_or(|(until, _)| at < until) {
                    done.stopped = Some((at, Stop::Asked));
                }
            }
            let end = done.stopped.map_or(Key::NEVER, |(at, _)| Key::start_of(at));
            let earliest = |partition: usize| {
                let sent = all.iter().map(|news| news.sent[partition]);
                sent.fold(all[partition].earliest, Key::min)
            };
            let next = (0..count).map(earliest).min().unwrap_or(Key::NEVER);
            if next >= end {
                break;
            }
            let others = (0..count).filter(|&partition| partition != self.this).map(earliest);
            let limit = match others.min() {
                Some(first) if first < Key::NEVER => Key::start_of(first.time() + self.plan.lookahead).min(end),
                _ => end,
            };
            done.windows += 1;
            asked = false;
            if let Err(error) = self.window(limit, &mut asked) {
                let core = &self.partition.core;
                done.error = Some((Key::new(core.now, core.order), error));
            }
        }
        done.report.events = self.partition.events - before;
        done.report.blocked = self.pastime.waited;
        meter.stop(&mut done.report);
        done
    }

    fn is_asked(&self) -> bool {
        self.limits.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    /// What there is to tell all others.
    fn news(&mut self, asked: bool, failed: bool) -> News {
        let Partition { core, events, .. } = &mut *self.partition;
        let progress = Progress { now: core.now, events: *events, spans: core.spans.finished() };
        News { earliest: core.queue.first(), sent: core.earliest_sent(), failed, asked, progress }
    }

    /// Sends every other thread its parcel and takes in theirs; works ahead until they come, and waits where there is
    /// nothing to do. Gives the news by partition, or nothing where a thread is gone.
    fn exchange(&mut self, own: News) -> Option<Vec<News>> {
        let Self { partition, ways, pastime, .. } = self;
        pastime.tell_worked();
        for way in &*ways {
            // A thread that is gone has told why in its last parcel, or has panicked.
            let _ = way.to.send(Parcel { messages: partition.core.take_parcel(way.other), news: own.clone() });
        }
        let mut all = vec![own; ways.len() + 1];
        for way in &*ways {
            let parcel = loop {
                match way.from.try_recv() {
                    Err(TryRecvError::Empty) if pastime.work() => {}
                    Err(TryRecvError::Empty) => break pastime.wait(|| way.from.recv()).ok()?,
                    parcel => break parcel.ok()?,
                }
            };
            let Parcel { messages, news } = parcel;
            for (key, to, message) in messages {
                partition.core.queue.push(key, to, message);
            }
            all[way.other] = news;
        }
        pastime.put_back();
        Some(all)
    }

    /// Runs up to `limit`, or less far where it is asked to stop.
    fn window(&mut self, limit: Key, asked: &mut bool) -> Result<(), SimulationError> {
        loop {
            let pause = self.partition.events.saturating_add(LOOK);
            self.partition.run_window(limit, pause)?;
            *asked = self.is_asked();
            if *asked || self.partition.events < pause {
                return Ok(());
            }
        }
    }
}

/// Wall time, for the report on how well the threads were used; nothing else may look at it.
#[expect(clippy::disallowed_methods, reason = "measures the threads, never a result")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
