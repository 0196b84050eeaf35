//! One run on several threads, with the result of one thread.
//!
//! The actors are dealt to partitions, one for each thread. No message between partitions takes less than the
//! *lookahead*, so all partitions can run side by side up to `earliest pending message + lookahead`: nothing that one
//! sends in that window can arrive in it. At the end of a window every thread sends every other one a parcel with the
//! messages for it and the earliest time that it knows of; from those all compute the same next window. There is no
//! barrier and no shared state.
//!
//! *Invariant:* a message's key does not depend on partitions, so each actor receives the same messages in the same
//! order as on one thread, and spans, statistics and random draws are the same to the bit.

use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, unbounded};

use crate::actor::{ActorId, Node};
use crate::error::SimulationError;
use crate::partition::{Outbox, Partition};
use crate::queue::Key;
use crate::time::Time;

/// How to deal the actors to threads.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Configuration: the partition of each actor, by [`ActorId::index`]; those beyond the list are in partition 0.
    pub partitions: Vec<u32>,
    /// Configuration: the least time that a message between two partitions takes. A faster one stops the run (law 6).
    pub lookahead: Time,
}

/// What running in parallel took. Depends on the machine's load; no result does.
#[derive(Clone, Debug, Default)]
pub struct ParallelReport {
    /// By partition.
    pub partitions: Vec<PartitionReport>,
    /// The least length of a window.
    pub lookahead: Time,
    /// How many windows there were.
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
}

/// What a thread tells another one at the end of a window.
struct Parcel<M> {
    messages: Vec<(Key, ActorId, M)>,
    /// The earliest message that the sender holds or has just sent to anybody.
    earliest: Key,
    /// Whether the sender has met an error.
    failed: bool,
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

/// Runs partitions until no message is left anywhere. Gives each one's part, the number of windows and the first error.
pub(crate) fn run<N>(partitions: &mut [Partition<N>], plan: &Plan) -> (ParallelReport, Result<(), SimulationError>)
where
    N: Node + Send,
    N::Message: Send,
{
    let count = partitions.len();
    let mut work = Vec::new();
    for ((this, partition), ways) in partitions.iter_mut().enumerate().zip(ways(count)) {
        work.push(Worker { this, partition, ways, plan });
    }
    let mut done: Vec<Done> = Vec::new();
    let scope = crossbeam::thread::scope(|scope| {
        let mut work = work.into_iter();
        let own = work.next();
        let threads: Vec<_> = work.map(|worker| scope.spawn(move |_| worker.run())).collect();
        done.extend(own.map(Worker::run));
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
    // The first error in simulated time is the one that one thread would have met.
    let error = done.into_iter().filter_map(|done| done.error).min_by_key(|(at, _)| *at);
    let report = ParallelReport { partitions: reports, lookahead: plan.lookahead, windows };
    (report, error.map_or(Ok(()), |(_, error)| Err(error)))
}

/// What a thread leaves.
struct Done {
    report: PartitionReport,
    windows: u64,
    error: Option<(Key, SimulationError)>,
}

struct Worker<'a, N: Node> {
    this: usize,
    partition: &'a mut Partition<N>,
    ways: Vec<Way<N::Message>>,
    plan: &'a Plan,
}

impl<N: Node> Worker<'_, N> {
    fn run(self) -> Done {
        let Self { this, partition, ways, plan } = self;
        partition.core.outbox =
            Some(Box::new(Outbox::new(this as u32, plan.partitions.as_slice().into(), ways.len() + 1)));
        let before = partition.events;
        let mut done = Done { report: PartitionReport::default(), windows: 0, error: None };
        done.report.actors = partition.nodes().flatten().count();
        let begun = now();
        loop {
            let earliest = partition.core.earliest();
            let mut failed = done.error.is_some();
            for way in &ways {
                // A thread that is gone has told why in its last parcel, or has panicked.
                let _ = way.to.send(Parcel { messages: partition.core.take_parcel(way.other), earliest, failed });
            }
            let mut next = earliest;
            let waiting = now();
            for way in &ways {
                let Ok(parcel) = way.from.recv() else {
                    failed = true;
                    continue;
                };
                for (key, to, message) in parcel.messages {
                    partition.core.queue.push(key, to, message);
                }
                next = next.min(parcel.earliest);
                failed |= parcel.failed;
            }
            done.report.blocked += waiting.elapsed();
            if failed || next == Key::NEVER {
                break;
            }
            done.windows += 1;
            let limit = Key::start_of(next.time() + plan.lookahead);
            partition.core.open_window(limit);
            if let Err(error) = partition.run_before(limit, u64::MAX) {
                done.error = Some((Key::start_of(partition.core.now), error));
            }
        }
        done.report.events = partition.events - before;
        done.report.busy = begun.elapsed().saturating_sub(done.report.blocked);
        done
    }
}

/// Wall time, for the report on how well the threads were used; nothing else may look at it.
#[expect(clippy::disallowed_methods, reason = "measures the threads, never a result")]
fn now() -> Instant {
    Instant::now()
}
