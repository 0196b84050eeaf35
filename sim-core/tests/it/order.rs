//! Ties do not depend on the order in which actors were started.

use sim_core::{Context, Handle, Inspect, Port, Simulation, Time};

#[derive(Debug)]
struct Go;
#[derive(Debug)]
struct From1(u32);

/// Sends its number to the listener, twice, at one and the same time.
#[derive(Debug)]
struct Speaker {
    number: u32,
    to: Port<From1>,
}

impl Inspect for Speaker {}
impl<M: From<From1>> Handle<Go, M> for Speaker {
    fn handle(&mut self, _: Go, context: &mut Context<'_, M>) {
        context.send_at(self.to, Time::from_ns(10), From1(self.number));
        context.send_at(self.to, Time::from_ns(10), From1(self.number + 100));
    }
}

#[derive(Debug, Default)]
struct Listener(Vec<u32>);
impl Inspect for Listener {}
impl<M> Handle<From1, M> for Listener {
    fn handle(&mut self, message: From1, _: &mut Context<'_, M>) {
        self.0.push(message.0);
    }
}

sim_core::system! {
    enum Node { Speaker(Speaker) accepts Go, Listener(Listener) accepts From1 }
    enum Message { Go(Go), From1(From1) }
}

fn heard(start_order: [usize; 3]) -> Vec<u32> {
    let mut simulation = Simulation::<Node>::new(1);
    let listener = simulation.add("listener", Listener::default());
    let speakers: Vec<_> = (0..3)
        .map(|number| simulation.add(format!("speaker{number}"), Speaker { number, to: listener.port(Time::ZERO) }))
        .collect();
    for (at, speaker) in start_order.into_iter().enumerate() {
        simulation.start(speakers[speaker].port::<Go>(Time::ZERO), Time::from_ps(at as u64), Go);
    }
    simulation.run().unwrap();
    let found = simulation.nodes().find_map(|node| match node {
        Node::Listener(listener) => Some(listener.0.clone()),
        Node::Speaker(_) => None,
    });
    found.unwrap()
}

#[test]
fn messages_of_one_time_come_by_sender_and_then_by_the_senders_count() {
    let expected = [0, 100, 1, 101, 2, 102];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        assert_eq!(heard(order), expected);
    }
}
