//! simcore: components behind `Rc<RefCell<dyn _>>`, times in f64 (whole numbers below 2^53 here, so exact).

use std::cell::RefCell;
use std::rc::Rc;

use serde::Serialize;
use simcore::{Event, EventHandler, Id, Simulation, SimulationContext};

use crate::model::{Actor, Outbox, System, sum_up};
use crate::{Outcome, cpu_time};

#[derive(Clone, Serialize)]
struct Deliver<M>(M);

struct Component<A> {
    actor: A,
    context: SimulationContext,
}

struct Out<'a>(&'a SimulationContext);

impl<M: Copy + Serialize + 'static> Outbox<M> for Out<'_> {
    fn send(&mut self, to: u32, delay: u64, message: M) {
        self.0.emit(Deliver(message), to as Id, delay as f64);
    }
}

impl<A: Actor> EventHandler for Component<A> {
    fn on(&mut self, event: Event) {
        let now = event.time as u64;
        if let Some(Deliver(message)) = event.data.downcast_ref::<Deliver<A::Message>>() {
            self.actor.handle(now, *message, &mut Out(&self.context));
        }
    }
}

pub(super) fn run<A: Actor>(System { actors, starts }: System<A>) -> Outcome {
    let mut simulation = Simulation::new(1);
    let mut components = Vec::new();
    for (i, actor) in actors.into_iter().enumerate() {
        let name = i.to_string();
        let context = simulation.create_context(&name);
        let component = Rc::new(RefCell::new(Component { actor, context }));
        let id = simulation.add_handler(&name, Rc::<RefCell<Component<A>>>::clone(&component));
        assert_eq!(id as usize, i, "ids count up");
        components.push(component);
    }
    for (to, at, message) in starts {
        Out(&components[to as usize].borrow().context).send(to, at, message);
    }
    let begun = cpu_time();
    simulation.step_until_no_events();
    let nanoseconds = cpu_time() - begun;
    let parts: Vec<_> = components.iter().map(|component| component.borrow()).collect();
    let (events, checksum) = sum_up(parts.iter().map(|component| &component.actor));
    Outcome { events, checksum, nanoseconds }
}
