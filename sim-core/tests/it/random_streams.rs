//! Each actor has a stream of its own, which no other actor's draws disturb.

use sim_core::{Context, Handle, Inspect, Simulation, Time};

#[derive(Debug)]
struct Draw;

#[derive(Debug, Default)]
struct Gambler(Vec<u64>);
impl Inspect for Gambler {}
impl<M> Handle<Draw, M> for Gambler {
    fn handle(&mut self, _: Draw, context: &mut Context<'_, M>) {
        self.0.push(context.random());
    }
}

sim_core::system! {
    enum Node { Gambler(Gambler) accepts Draw }
    enum Message { Draw(Draw) }
}

/// What the first of two gamblers draws when the second one draws `others` times in between.
fn first_draws(seed: u64, others: u64) -> Vec<u64> {
    let mut simulation = Simulation::<Node>::new(seed);
    let first = simulation.add("first", Gambler::default());
    let second = simulation.add("second", Gambler::default());
    for round in 0..4 {
        simulation.start(first.port::<Draw>(Time::ZERO), Time::from_ns(round), Draw);
        for _ in 0..others {
            simulation.start(second.port::<Draw>(Time::ZERO), Time::from_ns(round), Draw);
        }
    }
    simulation.run().unwrap();
    let Some(Node::Gambler(gambler)) = simulation.nodes().next() else {
        return Vec::new();
    };
    gambler.0.clone()
}

#[test]
fn a_stream_depends_on_the_seed_and_the_actor_alone() {
    assert_eq!(first_draws(7, 0), first_draws(7, 3));
    assert_ne!(first_draws(7, 0), first_draws(8, 0));
}
