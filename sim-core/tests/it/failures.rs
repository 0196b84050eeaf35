//! Each way in which a model can be wrong stops the run with an error that names it.

use sim_core::{Board, Context, Handle, Inspect, Port, Signal, Simulation, SimulationError, Time, Waiting};

/// What the faulty actor is to do.
#[derive(Clone, Copy, Debug)]
enum Fault {
    SendToThePast,
    SendTooEarly,
    LoopWithoutDelay,
    SendBeyondTime,
    WaitForEver,
    SendJustInTime,
}

#[derive(Debug)]
struct Poke(Fault);

#[derive(Debug)]
struct Faulty {
    this: Port<Poke>,
    board: Board<&'static str>,
}

impl Inspect for Faulty {
    fn waiting(&self) -> Vec<Waiting> {
        self.board.waiting(|task| (*task).to_owned())
    }
}

impl<M: From<Poke>> Handle<Poke, M> for Faulty {
    fn handle(&mut self, Poke(fault): Poke, context: &mut Context<'_, M>) {
        let now = context.now();
        match fault {
            Fault::SendToThePast => context.send_at(self.this, now - Time::from_ps(1), Poke(fault)),
            Fault::SendTooEarly => context.send_at(self.this, now + Time::from_ns(4), Poke(fault)),
            Fault::LoopWithoutDelay => context.wake(Time::ZERO, Poke(fault)),
            Fault::SendBeyondTime => context.wake(Time::MAX, Poke(fault)),
            Fault::SendJustInTime if now < Time::from_ns(9) => {
                context.send_at(self.this, now + Time::from_ns(5), Poke(fault));
            }
            Fault::WaitForEver | Fault::SendJustInTime => {}
        }
    }
}

impl<M> Handle<Signal, M> for Faulty {
    fn handle(&mut self, _: Signal, _: &mut Context<'_, M>) {}
}

/// Accepts signals only.
#[derive(Debug)]
struct Deaf;
impl Inspect for Deaf {}
impl<M> Handle<Signal, M> for Deaf {
    fn handle(&mut self, _: Signal, _: &mut Context<'_, M>) {}
}

sim_core::system! {
    enum Node { Faulty(Faulty) accepts Poke | Signal, Deaf(Deaf) accepts Signal }
    enum Message { Poke(Poke), Signal(Signal) }
}

fn run(fault: Fault) -> Result<Time, SimulationError> {
    let mut simulation = Simulation::<Node>::new(1);
    let faulty = simulation.reserve::<Faulty>("faulty");
    let mut board = Board::default();
    if let Fault::WaitForEver = fault {
        let task = board.add("attention of token 1");
        board.expect(task);
        board.expect(task);
    }
    simulation.place(faulty, Faulty { this: faulty.port(Time::from_ns(5)), board });
    simulation.start(faulty.port::<Poke>(Time::ZERO), Time::from_ns(1), Poke(fault));
    simulation.run()
}

#[track_caller]
fn check(fault: Fault, expected: &str) {
    assert_eq!(run(fault).unwrap_err().to_string(), expected);
}

#[test]
fn an_event_in_the_past_is_refused() {
    check(Fault::SendToThePast, "faulty sent a message at 1.000 ns to be delivered at 999 ps: an event in the past");
}

#[test]
fn law_6_a_message_earlier_than_its_channel_allows_is_refused() {
    check(
        Fault::SendTooEarly,
        "law 6: faulty sent a message at 1.000 ns to be delivered at 5.000 ns, but the channel takes at least 5.000 ns",
    );
}

#[test]
fn law_6_a_message_as_early_as_its_channel_allows_arrives() {
    assert_eq!(run(Fault::SendJustInTime), Ok(Time::from_ns(11)));
}

#[test]
fn an_endless_loop_without_delay_is_found() {
    check(Fault::LoopWithoutDelay, "faulty is in an endless loop of messages without delay at 1.000 ns");
}

#[test]
fn time_does_not_wrap_round() {
    check(Fault::SendBeyondTime, "simulated time of faulty overflows 64 bits of picoseconds (213 days)");
}

#[test]
fn a_deadlock_says_who_waits_for_what() {
    check(Fault::WaitForEver, "deadlock at 1.000 ns: faulty waits with attention of token 1 for 2 more tasks to end");
}

#[test]
fn an_actor_that_was_never_placed_is_named() {
    let mut simulation = Simulation::<Node>::new(1);
    simulation.add("deaf", Deaf);
    simulation.reserve::<Faulty>("gpu0.stream");
    let error = simulation.run().unwrap_err();
    assert_eq!(error.to_string(), "gpu0.stream was announced but is missing from the system");
}
