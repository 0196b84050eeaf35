//! sim-core: a closed set of two kinds of actor, as [`sim_core::system!`] would declare it, but for any model.

use std::sync::Arc;

use sim_core::{ActorKey, Context, Handle, Inspect, Node, Simulation, Time};

use crate::model::{Actor, Outbox, System, sum_up};
use crate::{Outcome, cpu_time};

#[derive(Debug)]
struct Event<M>(M);

/// A message of the second kind, so that delivery has to look which one it is, as in any real system.
#[derive(Debug)]
struct Report;

#[derive(Debug)]
enum Message<M> {
    Event(Event<M>),
    Report(Report),
}

impl<M> From<Event<M>> for Message<M> {
    fn from(event: Event<M>) -> Self {
        Self::Event(event)
    }
}

impl<M> From<Report> for Message<M> {
    fn from(report: Report) -> Self {
        Self::Report(report)
    }
}

type Key<A> = ActorKey<Peer<A>, Message<<A as Actor>::Message>>;

#[derive(Debug)]
struct Peer<A: Actor> {
    actor: A,
    peers: Arc<[Key<A>]>,
}

impl<A: Actor> Inspect for Peer<A> {}

struct Out<'a, 'b, A: Actor> {
    peers: &'a [Key<A>],
    context: &'a mut Context<'b, Message<A::Message>>,
}

impl<A: Actor> Outbox<A::Message> for Out<'_, '_, A> {
    #[inline(always)]
    fn send(&mut self, to: u32, delay: u64, message: A::Message) {
        let port = self.peers[to as usize].port::<Event<A::Message>>(Time::ZERO);
        self.context.send(port, Time::from_ps(delay), Event(message));
    }
}

impl<A: Actor> Handle<Event<A::Message>, Message<A::Message>> for Peer<A> {
    fn handle(&mut self, Event(message): Event<A::Message>, context: &mut Context<'_, Message<A::Message>>) {
        let now = context.now().ps();
        self.actor.handle(now, message, &mut Out { peers: &self.peers, context });
    }
}

#[derive(Debug)]
struct Monitor(u64);

impl<M> Handle<Report, M> for Monitor {
    fn handle(&mut self, _: Report, _: &mut Context<'_, M>) {
        self.0 += 1;
    }
}

#[derive(Debug)]
enum Any<A: Actor> {
    Peer(Peer<A>),
    Monitor(Monitor),
}

impl<A: Actor> From<Peer<A>> for Any<A> {
    fn from(peer: Peer<A>) -> Self {
        Self::Peer(peer)
    }
}

impl<A: Actor> From<Monitor> for Any<A> {
    fn from(monitor: Monitor) -> Self {
        Self::Monitor(monitor)
    }
}

impl<A: Actor> Inspect for Any<A> {}

impl<A: Actor> Node for Any<A> {
    type Message = Message<A::Message>;

    #[inline]
    fn deliver(
        &mut self,
        message: Self::Message,
        context: &mut Context<'_, Self::Message>,
    ) -> Result<(), Self::Message> {
        match (self, message) {
            (Self::Peer(peer), Message::Event(event)) => {
                peer.handle(event, context);
                Ok(())
            }
            (Self::Monitor(monitor), Message::Report(report)) => {
                monitor.handle(report, context);
                Ok(())
            }
            (_, message) => Err(message),
        }
    }
}

pub(super) fn run<A: Actor>(System { actors, starts }: System<A>) -> Outcome {
    let mut simulation = Simulation::<Any<A>>::new(1);
    let peers: Arc<[Key<A>]> = actors.iter().map(|_| simulation.reserve::<Peer<A>>(String::new())).collect();
    for (actor, key) in actors.into_iter().zip(peers.iter()) {
        simulation.place(*key, Peer { actor, peers: Arc::clone(&peers) });
    }
    simulation.add("monitor", Monitor(0));
    for (to, at, message) in starts {
        let port = peers[to as usize].port::<Event<A::Message>>(Time::ZERO);
        simulation.start(port, Time::from_ps(at), Event(message));
    }
    let begun = cpu_time();
    let end = simulation.run();
    let nanoseconds = cpu_time() - begun;
    assert!(end.is_ok(), "{end:?}");
    let (events, checksum) = sum_up(simulation.nodes().filter_map(|node| match node {
        Any::Peer(peer) => Some(&peer.actor),
        Any::Monitor(_) => None,
    }));
    Outcome { events, checksum, nanoseconds }
}
