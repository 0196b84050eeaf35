//! The ring on sim-core, with the actors and messages of any system: one port to the next actor.

use sim_core::{Context, Handle, Inspect, Port, Simulation, Time};

use crate::model::{Actor, Outbox, Ring, System, sum_up};
use crate::{Outcome, cpu_time};

#[derive(Debug)]
struct Token(u32);

#[derive(Debug)]
struct Report;

#[derive(Debug)]
struct Station {
    ring: Ring,
    next: Port<Token>,
}

impl Inspect for Station {}

struct Out<'a, 'b, M> {
    next: Port<Token>,
    context: &'a mut Context<'b, M>,
}

impl<M: From<Token>> Outbox<u32> for Out<'_, '_, M> {
    #[inline(always)]
    fn send(&mut self, _: u32, delay: u64, token: u32) {
        self.context.send(self.next, Time::from_ps(delay), Token(token));
    }
}

impl<M: From<Token>> Handle<Token, M> for Station {
    // Left to itself, the compiler sometimes inlines a handler of this size and sometimes does not.
    #[inline(always)]
    fn handle(&mut self, Token(token): Token, context: &mut Context<'_, M>) {
        self.ring.handle(context.now().ps(), token, &mut Out { next: self.next, context });
    }
}

#[derive(Debug)]
struct Monitor(u64);

impl Inspect for Monitor {}

impl<M> Handle<Report, M> for Monitor {
    fn handle(&mut self, _: Report, _: &mut Context<'_, M>) {
        self.0 += 1;
    }
}

sim_core::system! {
    enum Node { Station(Station) accepts Token, Monitor(Monitor) accepts Report }
    enum Message { Token(Token), Report(Report) }
}

pub(super) fn run(System { actors, starts }: System<Ring>) -> Outcome {
    let mut simulation = Simulation::<Node>::new(1);
    let keys: Vec<_> = actors.iter().map(|_| simulation.reserve::<Station>(String::new())).collect();
    for (ring, key) in actors.into_iter().zip(&keys) {
        let next = keys[ring.next() as usize].port(Time::ZERO);
        simulation.place(*key, Station { ring, next });
    }
    simulation.add("monitor", Monitor(0));
    for (to, at, token) in starts {
        simulation.start(keys[to as usize].port::<Token>(Time::ZERO), Time::from_ps(at), Token(token));
    }
    let begun = cpu_time();
    let end = simulation.run();
    let nanoseconds = cpu_time() - begun;
    assert!(end.is_ok(), "{end:?}");
    let (events, checksum) = sum_up(simulation.nodes().filter_map(|node| match node {
        Node::Station(station) => Some(&station.ring),
        Node::Monitor(_) => None,
    }));
    Outcome { events, checksum, nanoseconds }
}
