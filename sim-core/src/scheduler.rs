//! Delivers messages in order until none is left.

use crate::actor::{ActorId, ActorKey, Context, Inspect, Node, Port};
use crate::error::{SimulationError, Waiting};
use crate::queue::{ACTORS, Key, OUTSIDE, Queue};
use crate::span::Spans;
use crate::statistics::Meter;
use crate::time::Time;

/// A set of actors and the messages between them. `N` is the closed set of actors, see [`crate::system!`].
#[derive(Debug)]
pub struct Simulation<N: Node> {
    /// Configuration: the seed of every random stream.
    seed: u64,
    /// Configuration: names for people, by actor.
    names: Vec<String>,
    /// State: the actors; `None` while reserved.
    nodes: Vec<Option<N>>,
    /// State: messages sent and random numbers drawn, by actor.
    counters: Vec<(u64, u64)>,
    /// State: start messages sent from outside.
    started: u64,
    queue: Queue<N::Message>,
    /// Statistics.
    spans: Spans,
    /// Statistics: messages delivered.
    events: u64,
    now: Time,
}

impl<N: Node> Simulation<N> {
    /// An empty system.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            names: Vec::new(),
            nodes: Vec::new(),
            counters: Vec::new(),
            started: 0,
            queue: Queue::new(),
            spans: Spans::default(),
            events: 0,
            now: Time::ZERO,
        }
    }

    /// Announces an actor, so that others can be wired to it before it exists.
    ///
    /// # Panics
    /// Past 1,048,575 actors, the width of the sender in the event key.
    pub fn reserve<A>(&mut self, name: impl Into<String>) -> ActorKey<A, N::Message>
    where
        N: From<A>,
    {
        let index = self.nodes.len();
        assert!(index < ACTORS, "a system has at most {ACTORS} actors");
        self.names.push(name.into());
        self.nodes.push(None);
        self.counters.push((0, 0));
        ActorKey::new(ActorId::from_index(index))
    }

    /// Puts an actor in its reserved place.
    pub fn place<A>(&mut self, key: ActorKey<A, N::Message>, actor: A)
    where
        N: From<A>,
    {
        self.nodes[key.id.index()] = Some(actor.into());
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
        self.queue.push(Key::new(at + port.least(), 0, OUTSIDE, self.started), port.receiver(), message.into());
        self.started += 1;
    }

    /// Runs until no message is left and returns the time of the last one.
    ///
    /// Tasks that then still wait are a deadlock.
    pub fn run(&mut self) -> Result<Time, SimulationError> {
        if let Some(index) = self.nodes.iter().position(Option::is_none) {
            return Err(SimulationError::Unplaced { actor: self.names[index].clone() });
        }
        let mut error = None;
        while let Some((key, to, message)) = self.queue.pop() {
            self.now = key.time();
            self.events += 1;
            let index = to.index();
            let Some(node) = self.nodes.get_mut(index).and_then(Option::as_mut) else {
                return Err(SimulationError::Unplaced { actor: format!("actor {index}") });
            };
            let (sent, drawn) = &mut self.counters[index];
            let mut context = Context {
                now: self.now,
                delta: key.delta(),
                actor: to,
                names: &self.names,
                seed: self.seed,
                sent,
                drawn,
                queue: &mut self.queue,
                spans: &mut self.spans,
                error: &mut error,
            };
            if let Err(message) = node.deliver(message, &mut context) {
                let message = format!("{message:?}");
                return Err(SimulationError::Misaddressed { actor: self.names[index].clone(), message });
            }
            if let Some(error) = error {
                return Err(error);
            }
        }
        let waiting: Vec<(String, Waiting)> = self
            .names
            .iter()
            .zip(&self.nodes)
            .flat_map(|(name, node)| {
                node.iter().flat_map(Inspect::waiting).map(|waiting| (name.clone(), waiting)).collect::<Vec<_>>()
            })
            .collect();
        if waiting.is_empty() { Ok(self.now) } else { Err(SimulationError::Deadlock { now: self.now, waiting }) }
    }

    /// The simulated time of the last delivered message.
    pub const fn now(&self) -> Time {
        self.now
    }

    /// How many messages have been delivered.
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// The actors' names, by [`ActorId::index`].
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The totals of every actor that is a resource, with its name.
    pub fn meters(&self) -> Vec<(String, Meter)> {
        let all = self.names.iter().zip(&self.nodes);
        all.filter_map(|(name, node)| Some((name.clone(), node.as_ref()?.meter()?))).collect()
    }

    /// The actors, in the order in which they were reserved.
    pub fn nodes(&self) -> impl Iterator<Item = &N> {
        self.nodes.iter().flatten()
    }

    /// The spans recorded so far, handed over.
    pub fn take_spans(&mut self) -> Spans {
        std::mem::take(&mut self.spans)
    }
}
