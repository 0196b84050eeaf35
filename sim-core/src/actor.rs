//! Actors, the ports through which they send, and the context in which they act.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::ahead::{Ahead, Pool};
use crate::error::{SimulationError, Waiting};
use crate::partition::Outbox;
use crate::queue::{DELTAS, EventHandle, Key, Queue, Tie};
use crate::random;
use crate::span::{Span, SpanDraft, SpanId, Spans};
use crate::statistics::Meter;
use crate::time::Time;

/// Names an actor of a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorId(u32);

impl ActorId {
    pub(crate) const fn from_index(index: usize) -> Self {
        Self(index as u32)
    }

    /// Its place in the order in which the actors were reserved.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where messages of type `T` can be sent, and the least time that they take to get there.
///
/// A message can be late but never early: the least latency is added to every send (law 6).
pub struct Port<T> {
    to: ActorId,
    least: Time,
    accepts: PhantomData<fn(T)>,
}

impl<T> Port<T> {
    /// The receiver.
    pub const fn receiver(self) -> ActorId {
        self.to
    }

    /// The least latency.
    pub const fn least(self) -> Time {
        self.least
    }

    /// The same receiver, farther away by `more`.
    pub fn farther(self, more: Time) -> Self {
        Self { least: self.least + more, ..self }
    }
}

impl<T> Clone for Port<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Port<T> {}

impl<T> fmt::Debug for Port<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Port({}, {})", self.to.0, self.least)
    }
}

/// An actor accepts messages of type `T`, in a system whose message type is `M`.
///
/// An actor implements this once for each type of message it accepts, generically over `M`; what it sends itself it
/// asks for as `M: From<...>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not accept messages of type `{T}`",
    label = "no `Handle<{T}, _>` for this actor",
    note = "implement `Handle<{T}, M>` for `{Self}` and list `{T}` after `accepts` in `system!`"
)]
pub trait Handle<T, M> {
    /// Acts on one message.
    fn handle(&mut self, message: T, context: &mut Context<'_, M>);
}

/// What can be asked of an actor from outside, after or between events.
pub trait Inspect {
    /// Its tasks that never ran, for the deadlock error.
    fn waiting(&self) -> Vec<Waiting> {
        Vec::new()
    }

    /// Does all work that it has handed over, because the run has been stopped and its totals are wanted now; see
    /// [`Context::hand_over`]. What it finds out about an open span is noted in `spans`. The run may go on afterwards.
    fn settle(&mut self, spans: &mut Spans) {
        let _ = spans;
    }

    /// Its totals, where it is a resource.
    fn meter(&self) -> Option<Meter> {
        None
    }

    /// Its totals as they stood at `at`, no earlier than the last message: without what it has accepted and has still
    /// to do. A resource that counts work when it accepts it must say; for others the totals are what they are.
    fn meter_at(&self, at: Time) -> Option<Meter> {
        let _ = at;
        self.meter()
    }
}

/// One actor of a closed set: the enum that [`crate::system!`] declares.
pub trait Node: Inspect {
    /// All messages of the system.
    type Message: fmt::Debug;

    /// Gives `message` to the actor, or gives it back where the actor does not accept it.
    fn deliver(
        &mut self,
        message: Self::Message,
        context: &mut Context<'_, Self::Message>,
    ) -> Result<(), Self::Message>;
}

/// A reserved place for an actor of type `A`, from which typed ports are made.
pub struct ActorKey<A, M> {
    pub(crate) id: ActorId,
    types: PhantomData<fn(A) -> M>,
}

impl<A, M> ActorKey<A, M> {
    pub(crate) const fn new(id: ActorId) -> Self {
        Self { id, types: PhantomData }
    }

    /// The actor's name in spans.
    pub const fn id(self) -> ActorId {
        self.id
    }

    /// A port to this actor. Compiles only for messages that it accepts.
    pub const fn port<T>(self, least: Time) -> Port<T>
    where
        A: Handle<T, M>,
    {
        Port { to: self.id, least, accepts: PhantomData }
    }
}

impl<A, M> Clone for ActorKey<A, M> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A, M> Copy for ActorKey<A, M> {}

impl<A, M> fmt::Debug for ActorKey<A, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActorKey({})", self.id.0)
    }
}

/// What an actor has used up of its own number sequences.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counters {
    /// What the next message is ordered by among those of its time.
    pub(crate) next: Tie,
    /// Random numbers drawn.
    pub(crate) drawn: u64,
}

impl Counters {
    pub(crate) const fn new(actor: ActorId) -> Self {
        Self { next: Tie::first(actor), drawn: 0 }
    }
}

/// What all actors of a partition share, one at a time.
#[derive(Debug)]
pub(crate) struct Core<M> {
    /// State: the simulated time.
    pub(crate) now: Time,
    /// State: the order of the message in hand, for the delta of what follows from it.
    pub(crate) order: Tie,
    /// State: the messages on their way.
    pub(crate) queue: Queue<M>,
    /// State: the first error of the message in hand. In a box, so that it is quick to see that there is none.
    pub(crate) error: Option<Box<SimulationError>>,
    /// Configuration: the seed of every random stream.
    pub(crate) seed: u64,
    /// Configuration: names for people, by actor. Apart from the actors, because a run hardly ever looks at them.
    pub(crate) names: Arc<Vec<String>>,
    /// State: where messages to other partitions go; `None` on one thread.
    pub(crate) outbox: Option<Box<Outbox<M>>>,
    /// State: work that actors have handed over; `None` on one thread, which never waits.
    pub(crate) ahead: Option<Arc<Pool>>,
    /// Statistics.
    pub(crate) spans: Spans,
}

/// Everything an actor may do while it handles a message.
// Three words, because one is made for every message.
#[derive(Debug)]
pub struct Context<'a, M> {
    pub(crate) core: &'a mut Core<M>,
    pub(crate) counters: &'a mut Counters,
    pub(crate) actor: ActorId,
}

impl<M> Context<'_, M> {
    /// The simulated time.
    pub const fn now(&self) -> Time {
        self.core.now
    }

    /// This actor.
    pub const fn actor(&self) -> ActorId {
        self.actor
    }

    /// This actor's name, for messages to people.
    pub fn name(&self) -> &str {
        &self.core.names[self.actor.index()]
    }

    /// The name of any actor.
    pub fn name_of(&self, actor: ActorId) -> &str {
        self.core.names.get(actor.index()).map_or("outside", String::as_str)
    }

    /// Sends a message that arrives `delay` after the port's least latency has passed.
    #[inline]
    pub fn send<T>(&mut self, port: Port<T>, delay: Time, message: T)
    where
        M: From<T>,
    {
        self.push_after(port.to, port.least + delay, message.into());
    }

    /// Sends a message that arrives at the time `at`. Too early a time stops the run with an error.
    pub fn send_at<T>(&mut self, port: Port<T>, at: Time, message: T)
    where
        M: From<T>,
    {
        if at < self.core.now {
            let (actor, now) = (self.name().to_owned(), self.core.now);
            self.fail(SimulationError::EventInPast { actor, now, at });
        } else if at < self.core.now + port.least {
            let (actor, now) = (self.name().to_owned(), self.core.now);
            self.fail(SimulationError::TooEarly { actor, now, at, least: port.least });
        } else {
            self.push(port.to, at, message.into());
        }
    }

    /// Sends a message to itself, `delay` from now.
    #[inline]
    pub fn wake<T>(&mut self, delay: Time, message: T)
    where
        M: From<T>,
    {
        self.push_after(self.actor, delay, message.into());
    }

    /// [`Self::wake`], and a handle by which this actor can cancel or re-time the message while it is pending.
    #[must_use = "without the handle use `wake`"]
    pub fn wake_cancellable<T>(&mut self, delay: Time, message: T) -> EventHandle
    where
        M: From<T>,
    {
        self.push_cancellable(self.core.now + delay, message.into())
    }

    /// Takes a message back. False where it has been delivered or cancelled, or is another actor's.
    pub fn cancel(&mut self, event: EventHandle) -> bool {
        self.core.queue.cancel(self.actor, event).is_some()
    }

    /// Makes a pending message arrive `delay` from now instead, earlier or later than it would have. Gives its new
    /// handle, or `None` where it has been delivered or cancelled, or is another actor's.
    ///
    /// The message is ordered among others as if it had been cancelled and sent now: it gets this actor's next counter,
    /// and a delta above the one of the message in hand where `delay` is zero. So re-timing is part of the model and
    /// does not depend on threads.
    pub fn reschedule(&mut self, event: EventHandle, delay: Time) -> Option<EventHandle> {
        let message = self.core.queue.cancel(self.actor, event)?;
        Some(self.push_cancellable(self.core.now + delay, message))
    }

    #[inline]
    fn push_after(&mut self, to: ActorId, wait: Time, message: M) {
        let order = self.counters.next;
        let at = self.core.now + wait;
        if wait > Time::ZERO
            && at < Time::MAX
            && self.core.outbox.as_ref().is_none_or(|outbox| !outbox.is_foreign(to))
            && let Some(next) = order.next()
        {
            self.counters.next = next;
            self.core.queue.push(Key::new(at, order), to, message);
        } else {
            self.push(to, at, message);
        }
    }

    /// Any message, those included that [`Self::push_after`] leaves aside: without delay, impossible, or to another partition.
    #[inline(never)]
    fn push(&mut self, to: ActorId, at: Time, message: M) {
        if let Some(key) = self.any_key(at) {
            match &self.core.outbox {
                Some(outbox) if outbox.is_foreign(to) => self.push_out(key, to, message),
                _ => self.core.queue.push(key, to, message),
            }
        }
    }

    /// Sends a message to an actor of another partition.
    #[cold]
    fn push_out(&mut self, key: Key, to: ActorId, message: M) {
        let now = self.core.now;
        let Some(outbox) = &mut self.core.outbox else { return };
        if let Err(least) = outbox.send(now, key, to, message) {
            let (actor, at) = (self.name().to_owned(), key.time());
            self.fail(SimulationError::TooEarly { actor, now, at, least });
        }
    }

    fn push_cancellable(&mut self, at: Time, message: M) -> EventHandle {
        match self.any_key(at) {
            Some(key) => self.core.queue.push_cancellable(key, self.actor, message),
            None => EventHandle::DEAD,
        }
    }

    /// The key of this actor's next message; `None`, and an error, where it may not be sent.
    fn any_key(&mut self, at: Time) -> Option<Key> {
        let delta = if at > self.core.now { 0 } else { self.core.order.delta() + 1 };
        let order = self.counters.next;
        if delta >= DELTAS {
            let (actor, now) = (self.name().to_owned(), self.now());
            self.fail(SimulationError::EndlessZeroTime { actor, now });
        } else if at == Time::MAX {
            let actor = self.name().to_owned();
            self.fail(SimulationError::TimeOverflow { actor });
        } else if let Some(next) = order.next() {
            self.counters.next = next;
            return Some(Key::new(at, order.with_delta(delta)));
        } else {
            let (actor, now) = (self.name().to_owned(), self.now());
            self.fail(SimulationError::TooManyMessages { actor, now });
        }
        None
    }

    /// 64 uniform random bits of this actor's own stream.
    pub fn random(&mut self) -> u64 {
        let bits = random::draw(self.core.seed, self.actor.0, self.counters.drawn);
        self.counters.drawn += 1;
        bits
    }

    /// Begins a job now.
    pub fn open(&mut self, draft: SpanDraft) -> SpanId {
        self.core.spans.open(self.actor, self.core.now, draft)
    }

    /// Hands over work that this actor does when a message comes which it has sent to itself for `due`, as far as it is not
    /// done by then; see [`crate::ahead`].
    pub fn hand_over(&mut self, due: Time, work: Arc<dyn Ahead>) {
        if let Some(pool) = &self.core.ahead {
            pool.hand_over(self.core.now, due, work);
        }
    }

    /// Counts more of an open job as launch: fixed cost in its midst, during which nothing else of it went on.
    pub fn add_launch(&mut self, span: SpanId, more: Time) {
        self.core.spans.add_launch(span, more);
    }

    /// Ends a job now, and gives its span to be logged. Closing what is not open breaks law 1 and stops the run.
    pub fn close(&mut self, span: SpanId) -> Option<&Span> {
        let Core { spans, names, error, now, .. } = &mut *self.core;
        let closed = spans.close(span, *now);
        if closed.is_none() {
            let (actor, what) = (names[self.actor.index()].clone(), format!("span {span} was closed twice"));
            error.get_or_insert_with(|| Box::new(SimulationError::LawBroken { law: 1, actor, now: *now, what }));
        }
        closed
    }

    /// Stops the run: a model found one of the laws broken.
    pub fn law_broken(&mut self, law: u8, what: String) {
        let (actor, now) = (self.name().to_owned(), self.core.now);
        self.fail(SimulationError::LawBroken { law, actor, now, what });
    }

    /// Stops the run with the first error.
    pub(crate) fn fail(&mut self, error: SimulationError) {
        self.core.error.get_or_insert_with(|| Box::new(error));
    }
}

/// Writes a span that has just been closed to the log, under the target of the crate that uses it.
///
/// One line: simulated time, actor, kind, bytes, cause. Costs one relaxed load where the log is off.
#[macro_export]
macro_rules! log_span {
    ($context:expr, $span:expr) => {{
        let span = $span;
        if let Some(closed) = $context.close(span).filter(|_| $crate::tracing::enabled!($crate::tracing::Level::DEBUG)) {
            let closed = closed.clone();
            $crate::tracing::debug!(
                start = %closed.start,
                end = %closed.end,
                actor = $context.name(),
                kind = closed.kind,
                category = %closed.category,
                at = %closed.tag,
                bytes = closed.bytes,
                operations = closed.operations,
                span = %closed.id,
                cause = %closed.cause.map_or_else(|| "start".to_owned(), |id| id.to_string()),
            );
        }
    }};
}

/// Declares the closed set of actors and messages of one system, with static dispatch.
///
/// See the example at the top of this crate.
#[macro_export]
macro_rules! system {
    (
        $(#[$node_meta:meta])* $node_vis:vis enum $node:ident {
            $( $(#[$actor_meta:meta])* $actor:ident($actor_type:ty) accepts $($accepted:ident)|+ ),+ $(,)?
        }
        $(#[$message_meta:meta])* $message_vis:vis enum $message:ident {
            $( $(#[$variant_meta:meta])* $variant:ident($variant_type:ty) ),+ $(,)?
        }
    ) => {
        $(#[$node_meta])*
        #[derive(Debug)]
        $node_vis enum $node { $( $(#[$actor_meta])* $actor($actor_type) ),+ }

        $(#[$message_meta])*
        #[derive(Debug)]
        $message_vis enum $message { $( $(#[$variant_meta])* $variant($variant_type) ),+ }

        $( impl From<$variant_type> for $message {
            fn from(message: $variant_type) -> Self { Self::$variant(message) }
        } )+

        $( impl From<$actor_type> for $node {
            fn from(actor: $actor_type) -> Self { Self::$actor(actor) }
        } )+

        impl $crate::Inspect for $node {
            fn waiting(&self) -> Vec<$crate::Waiting> {
                match self { $( Self::$actor(actor) => $crate::Inspect::waiting(actor) ),+ }
            }
            fn settle(&mut self, spans: &mut $crate::Spans) {
                match self { $( Self::$actor(actor) => $crate::Inspect::settle(actor, spans) ),+ }
            }
            fn meter(&self) -> Option<$crate::Meter> {
                match self { $( Self::$actor(actor) => $crate::Inspect::meter(actor) ),+ }
            }
            fn meter_at(&self, at: $crate::Time) -> Option<$crate::Meter> {
                match self { $( Self::$actor(actor) => $crate::Inspect::meter_at(actor, at) ),+ }
            }
        }

        impl $crate::Node for $node {
            type Message = $message;
            #[inline]
            fn deliver(
                &mut self,
                message: $message,
                context: &mut $crate::Context<'_, $message>,
            ) -> Result<(), $message> {
                match (self, message) {
                    $( $( (Self::$actor(actor), $message::$accepted(message)) => {
                        $crate::Handle::handle(actor, message, context);
                        Ok(())
                    } )+ )+
                    #[allow(unreachable_patterns, reason = "a system in which every actor accepts everything")]
                    (_, message) => Err(message),
                }
            }
        }
    };
}
