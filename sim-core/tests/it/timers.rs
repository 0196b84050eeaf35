//! A pending message can be taken back or re-timed by the actor that sent it, and by nobody else.

use sim_core::{Context, EventHandle, Handle, Inspect, Port, Simulation, Time};

#[derive(Debug)]
struct Begin;
#[derive(Debug)]
struct Ring(u32);
#[derive(Debug)]
struct Borrow(EventHandle);

/// What the clock does with its alarm, set for 10 ns, when 4 ns have passed.
#[derive(Clone, Copy, Debug)]
enum Plan {
    Leave,
    Cancel,
    Earlier,
    Later,
    Now,
    LetAnotherCancel,
    CancelAfterIt,
}

#[derive(Debug)]
struct Clock {
    plan: Plan,
    alarm: Option<EventHandle>,
    other: Port<Borrow>,
    heard: Vec<(Time, u32)>,
    done: Vec<bool>,
}

impl Inspect for Clock {}

impl<M: From<Ring> + From<Begin>> Handle<Begin, M> for Clock {
    fn handle(&mut self, _: Begin, context: &mut Context<'_, M>) {
        let alarm = context.wake_cancellable(Time::from_ns(10), Ring(1));
        self.alarm = Some(alarm);
        context.wake(Time::from_ns(10), Ring(2));
        let wait = if let Plan::CancelAfterIt = self.plan { Time::from_ns(11) } else { Time::from_ns(4) };
        context.wake(wait, Ring(0));
    }
}

impl<M: From<Ring> + From<Borrow>> Handle<Ring, M> for Clock {
    fn handle(&mut self, Ring(which): Ring, context: &mut Context<'_, M>) {
        let Some(alarm) = self.alarm.filter(|_| which == 0) else {
            self.heard.push((context.now(), which));
            return;
        };
        let mut retime = |delay| {
            let again = context.reschedule(alarm, delay);
            self.done.extend([again.is_some(), context.cancel(alarm)]);
        };
        match self.plan {
            Plan::Leave => {}
            Plan::Cancel | Plan::CancelAfterIt => self.done.extend([context.cancel(alarm), context.cancel(alarm)]),
            Plan::Earlier => retime(Time::from_ns(2)),
            Plan::Later => retime(Time::from_ns(6)),
            Plan::Now => retime(Time::ZERO),
            Plan::LetAnotherCancel => context.send(self.other, Time::ZERO, Borrow(alarm)),
        }
    }
}

#[derive(Debug)]
struct Thief(Vec<bool>);
impl Inspect for Thief {}
impl<M> Handle<Borrow, M> for Thief {
    fn handle(&mut self, Borrow(alarm): Borrow, context: &mut Context<'_, M>) {
        self.0.push(context.cancel(alarm));
    }
}

sim_core::system! {
    enum Node { Clock(Clock) accepts Begin | Ring, Thief(Thief) accepts Borrow }
    enum Message { Begin(Begin), Ring(Ring), Borrow(Borrow) }
}

/// (time in ns, which alarm) in order, and what the calls answered.
#[track_caller]
fn check(plan: Plan, heard: &[(u64, u32)], done: &[bool]) {
    let mut simulation = Simulation::<Node>::new(1);
    let thief = simulation.add("thief", Thief(Vec::new()));
    let other = thief.port(Time::ZERO);
    let clock = simulation.add("clock", Clock { plan, alarm: None, other, heard: Vec::new(), done: Vec::new() });
    simulation.start(clock.port::<Begin>(Time::ZERO), Time::ZERO, Begin);
    simulation.run().unwrap();
    let (mut found, mut answers) = (Vec::new(), Vec::new());
    for node in simulation.nodes() {
        match node {
            Node::Clock(clock) => {
                found.clone_from(&clock.heard);
                answers.extend(&clock.done);
            }
            Node::Thief(thief) => answers.extend(&thief.0),
        }
    }
    let heard: Vec<_> = heard.iter().map(|(ns, which)| (Time::from_ns(*ns), *which)).collect();
    assert_eq!((found, answers), (heard, done.to_vec()));
}

#[test]
fn an_alarm_left_alone_rings_in_the_order_in_which_it_was_set() {
    check(Plan::Leave, &[(10, 1), (10, 2)], &[]);
}

#[test]
fn a_cancelled_alarm_does_not_ring_and_cannot_be_cancelled_twice() {
    check(Plan::Cancel, &[(10, 2)], &[true, false]);
}

#[test]
fn a_retimed_alarm_rings_once_and_has_a_new_handle() {
    check(Plan::Earlier, &[(6, 1), (10, 2)], &[true, false]);
    check(Plan::Now, &[(4, 1), (10, 2)], &[true, false]);
}

#[test]
fn a_retimed_alarm_comes_after_what_was_sent_before_the_retiming() {
    check(Plan::Later, &[(10, 2), (10, 1)], &[true, false]);
}

#[test]
fn an_alarm_is_the_actors_own() {
    check(Plan::LetAnotherCancel, &[(10, 1), (10, 2)], &[false]);
}

#[test]
fn an_alarm_that_rang_cannot_be_cancelled() {
    check(Plan::CancelAfterIt, &[(10, 1), (10, 2)], &[false, false]);
}
