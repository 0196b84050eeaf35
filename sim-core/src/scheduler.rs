//! Delivers messages in order until none is left.

use crate::actor::{ActorId, ActorKey, Inspect, Node, Port};
use crate::error::{SimulationError, Waiting};
use crate::limits::{End, Limits, Progress, Stop};
use crate::parallel::{self, CpuTime, Ended, ParallelReport, PartitionReport, Plan, Watch};
use crate::partition::Partition;
use crate::queue::{ACTORS, Key, OUTSIDE, Tie};
use crate::span::Spans;
use crate::statistics::Meter;
use crate::time::Time;

/// A set of actors and the messages between them. `N` is the closed set of actors, see [`crate::system!`].
#[derive(Debug)]
pub struct Simulation<N: Node> {
    /// State: what orders the next start message from outside.
    outside: Tie,
    /// State: all actors. One partition, because the run is on one thread.
    pub(crate) all: Partition<N>,
}

impl<N: Node> Simulation<N> {
    /// An empty system.
    pub fn new(seed: u64) -> Self {
        Self { outside: Tie::first(OUTSIDE), all: Partition::new(seed) }
    }

    /// Announces an actor, so that others can be wired to it before it exists.
    ///
    /// # Panics
    /// Past 1,048,575 actors, the width of the sender in the event key.
    pub fn reserve<A>(&mut self, name: impl Into<String>) -> ActorKey<A, N::Message>
    where
        N: From<A>,
    {
        let index = self.all.core.names.len();
        assert!(index < ACTORS, "a system has at most {ACTORS} actors");
        let id = ActorId::from_index(index);
        self.all.reserve(id, name.into());
        ActorKey::new(id)
    }

    /// Puts an actor in its reserved place.
    pub fn place<A>(&mut self, key: ActorKey<A, N::Message>, actor: A)
    where
        N: From<A>,
    {
        self.all.place(key.id, actor.into());
    }

    /// [`Self::reserve`] and [`Self::place`] at once.
    pub fn add<A>(&mut self, name: impl Into<String>, actor: A) -> ActorKey<A, N::Message>
    where
        N: From<A>,
    {
        let key = self.reserve(name);
        self.place(key, actor);
        key
    }

    /// Schedules a message from outside, at `at` plus the port's least latency.
    pub fn start<T>(&mut self, port: Port<T>, at: Time, message: T)
    where
        N::Message: From<T>,
    {
        let key = Key::new(at + port.least(), self.outside);
        self.all.core.queue.push(key, port.receiver(), message.into());
        // 69 billion start messages do not fit in memory, so the counter never ends.
        self.outside = self.outside.next().unwrap_or(self.outside);
    }

    /// Runs until no message is left and returns the time of the last one.
    ///
    /// Tasks that then still wait are a deadlock.
    pub fn run(&mut self) -> Result<Time, SimulationError> {
        match self.run_with(&Limits::default(), &mut |_| ())? {
            End::Done(at) | End::Stopped { at, .. } => Ok(at),
        }
    }

    pub(crate) fn check_placed(&self) -> Result<(), SimulationError> {
        match self.all.nodes().position(|node| node.is_none()) {
            Some(index) => Err(SimulationError::Unplaced { actor: self.all.core.names[index].clone() }),
            None => Ok(()),
        }
    }

    /// The time of the last message, or the tasks that still wait.
    pub(crate) fn deadlock(&self) -> Result<Time, SimulationError> {
        let waiting: Vec<(String, Waiting)> = self
            .all
            .core
            .names
            .iter()
            .zip(self.all.nodes())
            .flat_map(|(name, node)| {
                node.into_iter().flat_map(Inspect::waiting).map(|waiting| (name.clone(), waiting)).collect::<Vec<_>>()
            })
            .collect();
        if waiting.is_empty() { Ok(self.now()) } else { Err(SimulationError::Deadlock { now: self.now(), waiting }) }
    }

    /// [`Self::run`] on as many threads as the plan has partitions: the same result, to the bit.
    ///
    /// # Errors
    /// Those of `run`, and [`SimulationError::TooEarly`] where a message between two partitions takes less than the
    /// plan's lookahead.
    pub fn run_parallel(&mut self, plan: &Plan) -> Result<(Time, ParallelReport), SimulationError>
    where
        N: Send,
        N::Message: Send,
    {
        match self.run_parallel_with(plan, &Limits::default(), Watch::new(&mut |_| (), &|| None))? {
            (End::Done(at) | End::Stopped { at, .. }, report) => Ok((at, report)),
        }
    }

    /// [`Self::run_with`] on as many threads as the plan has partitions. With [`Limits::until`] the result is the same to
    /// the bit; a run that is stopped by [`Limits::stop`] ends at one time for all partitions.
    ///
    /// A limit on the number of messages is only met in the order of one thread: such a run is on one, whatever the plan,
    /// and so is one with a single partition or a lookahead of zero.
    ///
    /// # Errors
    /// Those of [`Self::run_parallel`].
    pub fn run_parallel_with(
        &mut self,
        plan: &Plan,
        limits: &Limits,
        watch: Watch<'_>,
    ) -> Result<(End, ParallelReport), SimulationError>
    where
        N: Send,
        N::Message: Send,
    {
        let count = plan.count();
        if count == 1 || limits.max_events.is_some() || plan.lookahead == Time::ZERO {
            let Watch { progress, cpu_time, .. } = watch;
            return self.run_alone(limits, progress, cpu_time);
        }
        self.check_placed()?;
        let mut parts = self.all.split(&plan.partitions, count);
        let Ended { report, stopped, result } = parallel::run(&mut parts, plan, limits, watch);
        self.all.join(&plan.partitions, parts);
        result?;
        match stopped {
            Some((at, why)) if !self.all.core.queue.is_empty() => Ok((self.stopped(at, why), report)),
            _ => Ok((End::Done(self.deadlock()?), report)),
        }
    }

    /// The end of a run that has been stopped.
    pub(crate) fn stopped(&mut self, at: Time, why: Stop) -> End {
        self.all.settle();
        End::Stopped { at, why }
    }

    /// [`Self::run_with`], measured.
    fn run_alone(
        &mut self,
        limits: &Limits,
        progress: &mut dyn FnMut(Progress),
        cpu_time: &CpuTime,
    ) -> Result<(End, ParallelReport), SimulationError> {
        let before = self.events();
        let meter = parallel::Meter::start(cpu_time);
        let end = self.run_with(limits, progress)?;
        let mut part = PartitionReport { actors: self.names().len(), ..PartitionReport::default() };
        part.events = self.events() - before;
        meter.stop(&mut part);
        Ok((end, ParallelReport { partitions: vec![part], ..ParallelReport::default() }))
    }

    /// The simulated time of the last delivered message.
    pub const fn now(&self) -> Time {
        self.all.core.now
    }

    /// How many messages have been delivered.
    pub const fn events(&self) -> u64 {
        self.all.events
    }

    /// The actors' names, by [`ActorId::index`].
    pub fn names(&self) -> &[String] {
        &self.all.core.names
    }

    /// The totals of every actor that is a resource, with its name.
    pub fn meters(&self) -> Vec<(String, Meter)> {
        let all = self.all.core.names.iter().zip(self.all.nodes());
        all.filter_map(|(name, node)| Some((name.clone(), node?.meter()?))).collect()
    }

    /// The same as they stood at `at`, for a run that was stopped there; see [`Inspect::meter_at`].
    pub fn meters_at(&self, at: Time) -> Vec<(String, Meter)> {
        let all = self.all.core.names.iter().zip(self.all.nodes());
        all.filter_map(|(name, node)| Some((name.clone(), node?.meter_at(at)?))).collect()
    }

    /// The actors, in the order in which they were reserved.
    pub fn nodes(&self) -> impl Iterator<Item = &N> {
        self.all.nodes().flatten()
    }

    /// The spans recorded so far, handed over.
    pub fn take_spans(&mut self) -> Spans {
        std::mem::take(&mut self.all.core.spans)
    }
}
