//! desque: every actor is in the one state that every event may change; an event is a box.

use desque::SimState;
use desque::serial::{Event, Simulation};

use crate::model::{Actor, Outbox, System, sum_up};
use crate::{Outcome, cpu_time};

struct State<A> {
    actors: Vec<A>,
}

impl<A: Actor> SimState<u64> for State<A> {}

#[derive(Debug)]
struct Deliver<M> {
    to: u32,
    message: M,
}

/// Collects what an actor sends: the state is borrowed while the actor acts.
struct Sent<M> {
    // No model sends more than three messages at once.
    messages: [Option<(u32, u64, M)>; 3],
    count: usize,
}

impl<M> Outbox<M> for Sent<M> {
    fn send(&mut self, to: u32, delay: u64, message: M) {
        self.messages[self.count] = Some((to, delay, message));
        self.count += 1;
    }
}

impl<A: Actor> Event<State<A>, u64> for Deliver<A::Message>
where
    A::Message: std::fmt::Debug,
{
    fn execute(&mut self, simulation: &mut Simulation<State<A>, u64>) -> desque::Result {
        let now = *simulation.current_time();
        let mut sent = Sent { messages: [None; 3], count: 0 };
        simulation.state_mut().actors[self.to as usize].handle(now, self.message, &mut sent);
        for (to, delay, message) in sent.messages.into_iter().take(sent.count).flatten() {
            simulation.schedule(Deliver { to, message }, now + delay)?;
        }
        Ok(())
    }
}

pub(super) fn run<A: Actor>(System { actors, starts }: System<A>) -> Outcome {
    let mut simulation = Simulation::new(State { actors }, 0_u64);
    for (to, at, message) in starts {
        let scheduled = simulation.schedule(Deliver { to, message }, at);
        assert!(scheduled.is_ok(), "{scheduled:?}");
    }
    let begun = cpu_time();
    let end = simulation.run();
    let nanoseconds = cpu_time() - begun;
    assert!(end.is_ok(), "{end:?}");
    let (events, checksum) = sum_up(simulation.state().actors.iter());
    Outcome { events, checksum, nanoseconds }
}
