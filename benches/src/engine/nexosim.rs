//! nexosim on one thread: every actor is a task with a mailbox.
//!
//! Actors send by nexosim's scheduler to the receiver's input, in one step. Its other way, a self-timer and then an
//! output port, takes two, and needs a connection per pair of actors in PHOLD. One tick is one nanosecond.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use nexosim::model::{BuildContext, Context, Model, ProtoModel};
use nexosim::ports::EventSource;
use nexosim::simulation::{EventId, Mailbox, Scheduler, SimInit};
use nexosim::time::MonotonicTime;
use serde::{Deserialize, Serialize};

use crate::model::{Actor, Outbox, System, sum_up};
use crate::{Outcome, cpu_time};

/// What sends, known once the simulation is built.
struct Wiring<M: Serialize + for<'de> Deserialize<'de> + Clone + Send + 'static> {
    scheduler: Scheduler,
    inputs: Vec<EventId<M>>,
}

type Shared<A> = Arc<OnceLock<Wiring<<A as Actor>::Message>>>;
type Results<A> = Arc<Mutex<Vec<(usize, A)>>>;

/// nexosim's models can be saved and restored; the benchmark's state is in the environment, which is not.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct Peer<A>(PhantomData<fn(A)>);

struct Environment<A: Actor> {
    number: usize,
    actor: Option<A>,
    wiring: Shared<A>,
    results: Results<A>,
}

impl<A: Actor> Drop for Environment<A> {
    fn drop(&mut self) {
        if let (Some(actor), Ok(mut results)) = (self.actor.take(), self.results.lock()) {
            results.push((self.number, actor));
        }
    }
}

impl<A: Actor> Model for Peer<A> {
    type Env = Environment<A>;
}

struct Prototype<A: Actor>(Environment<A>);

impl<A: Actor> ProtoModel for Prototype<A> {
    type Model = Peer<A>;

    fn build(self, _: &mut BuildContext<Self>) -> (Peer<A>, Environment<A>) {
        (Peer(PhantomData), self.0)
    }
}

struct Out<'a, M: Serialize + for<'de> Deserialize<'de> + Clone + Send + 'static>(&'a Wiring<M>);

impl<M: Serialize + for<'de> Deserialize<'de> + Clone + Send + 'static> Outbox<M> for Out<'_, M> {
    fn send(&mut self, to: u32, delay: u64, message: M) {
        let sent = self.0.scheduler.schedule_event(Duration::from_nanos(delay), &self.0.inputs[to as usize], message);
        assert!(sent.is_ok(), "delays are at least one tick");
    }
}

impl<A: Actor> Peer<A> {
    async fn input(&mut self, message: A::Message, context: &Context<Self>, environment: &mut Environment<A>) {
        let now = context.time().duration_since(MonotonicTime::EPOCH).as_nanos() as u64;
        if let (Some(actor), Some(wiring)) = (&mut environment.actor, environment.wiring.get()) {
            actor.handle(now, message, &mut Out(wiring));
        }
    }
}

pub(super) fn run<A: Actor>(System { actors, starts }: System<A>) -> Outcome {
    let results: Results<A> = Arc::default();
    let wiring: Shared<A> = Arc::new(OnceLock::new());
    let mut bench = SimInit::with_num_threads(1);
    let mut inputs = Vec::new();
    for (number, actor) in actors.into_iter().enumerate() {
        let mailbox = Mailbox::new();
        inputs.push(EventSource::new().connect(Peer::<A>::input, &mailbox).register(&mut bench));
        let environment =
            Environment { number, actor: Some(actor), wiring: Arc::clone(&wiring), results: Arc::clone(&results) };
        bench = bench.add_model(Prototype(environment), mailbox, &number.to_string());
    }
    let Ok(mut simulation) = bench.init(MonotonicTime::EPOCH) else {
        return Outcome { events: 0, checksum: 0, nanoseconds: 0 };
    };
    let wired = Wiring { scheduler: simulation.scheduler(), inputs };
    for (to, at, message) in starts {
        Out(&wired).send(to, at, message);
    }
    let set = wiring.set(wired);
    assert!(set.is_ok(), "wired once");
    let begun = cpu_time();
    let end = simulation.run();
    let nanoseconds = cpu_time() - begun;
    assert!(end.is_ok(), "{end:?}");
    drop(simulation);
    let mut results = results.lock().map(|mut results| std::mem::take(&mut *results)).unwrap_or_default();
    results.sort_by_key(|(number, _)| *number);
    let (events, checksum) = sum_up(results.iter().map(|(_, actor)| actor));
    Outcome { events, checksum, nanoseconds }
}
