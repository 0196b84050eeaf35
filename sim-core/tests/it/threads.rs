//! Any number of threads gives the result of one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use sim_core::{
    Ahead, Category, Context, End, Handle, Inspect, Limits, Plan, Port, Simulation, SimulationError, Span, SpanDraft,
    SpanId, Spans, Stop, Tag, Time, Watch,
};

/// Goes from actor to actor.
#[derive(Debug)]
struct Ball(u32);

/// What a player finds out about a ball while it has it, a step at a time.
#[derive(Debug)]
struct Riddle(Mutex<(u32, u64)>);

impl Riddle {
    fn new(ball: u32, seed: u64) -> Arc<Self> {
        Arc::new(Self(Mutex::new((ball % 7, seed))))
    }

    fn step(state: &mut (u32, u64)) -> bool {
        let (left, value) = state;
        if *left > 0 {
            *left -= 1;
            *value = value.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17) ^ u64::from(*left);
        }
        *left > 0
    }

    /// Whatever nobody has done so far is done now.
    fn solve(&self) -> u64 {
        let mut state = self.0.lock().unwrap();
        while Self::step(&mut state) {}
        state.1
    }
}

impl Ahead for Riddle {
    fn work(&self) -> bool {
        self.0.try_lock().is_ok_and(|mut state| Self::step(&mut state))
    }
}

/// Keeps a ball for a random time, under a span, and throws it to a random actor.
#[derive(Debug, Default)]
struct Player {
    others: Vec<Port<Ball>>,
    /// Ends the span that was opened last, and throws.
    held: Vec<(SpanId, u32, Arc<Riddle>)>,
    /// What it has seen: balls and times.
    seen: Vec<(u32, u64)>,
    /// What it has found out.
    found: Vec<u64>,
    /// Statistics: riddles that were solved because the run was stopped.
    settled: usize,
}

#[derive(Debug)]
struct Throw;

impl Inspect for Player {
    fn settle(&mut self, spans: &mut Spans) {
        for (span, ball, riddle) in &self.held {
            riddle.solve();
            spans.add_launch(*span, Time::from_ps(u64::from(*ball)));
        }
        self.settled = self.held.len();
    }
}

impl<M: From<Throw>> Handle<Ball, M> for Player {
    fn handle(&mut self, ball: Ball, context: &mut Context<'_, M>) {
        self.seen.push((ball.0, context.now().ps()));
        let span = context.open(SpanDraft {
            kind: "hold",
            category: Category::Queue,
            tag: Tag::default(),
            ready: context.now(),
            signal: Time::ZERO,
            launch: Time::ZERO,
            bytes: u64::from(ball.0),
            operations: 0,
            cause: None,
            held_by: None,
        });
        // Now and then without delay, so that deltas count too.
        let wait = Time::from_ps(context.random() % 4 * 250);
        let riddle = Riddle::new(ball.0, context.random());
        context.hand_over(context.now() + wait, Arc::clone(&riddle) as Arc<dyn Ahead>);
        self.held.push((span, ball.0, riddle));
        context.wake(wait, Throw);
    }
}

impl<M: From<Ball>> Handle<Throw, M> for Player {
    fn handle(&mut self, _: Throw, context: &mut Context<'_, M>) {
        let (span, ball, riddle) = self.held.remove(0);
        self.found.push(riddle.solve());
        context.close(span);
        if ball > 0 {
            let to = self.others[(context.random() % self.others.len() as u64) as usize];
            let extra = Time::from_ps(context.random() % 2_000);
            context.send(to, extra, Ball(ball - 1));
        }
    }
}

sim_core::system! {
    enum Node { Player(Player) accepts Ball | Throw }
    enum Message { Ball(Ball), Throw(Throw) }
}

/// What a run leaves: what each actor saw and found out, the spans, the number of events and the last time.
type Left = (Vec<(Vec<(u32, u64)>, Vec<u64>)>, Vec<Span>, u64, Time);

fn play(players: usize, balls: u32, flight: Time, seed: u64, plan: Option<&Plan>) -> Result<Left, SimulationError> {
    let mut simulation = game(players, balls, flight, seed);
    let end = match plan {
        None => simulation.run()?,
        Some(plan) => simulation.run_parallel(plan)?.0,
    };
    Ok(left(simulation, end))
}

fn left(mut simulation: Simulation<Node>, end: Time) -> Left {
    let of_players =
        simulation.nodes().map(|Node::Player(player)| (player.seen.clone(), player.found.clone())).collect();
    (of_players, simulation.take_spans().into_sorted(), simulation.events(), end)
}

fn game(players: usize, balls: u32, flight: Time, seed: u64) -> Simulation<Node> {
    let mut simulation = Simulation::<Node>::new(seed);
    let keys: Vec<_> = (0..players).map(|i| simulation.reserve::<Player>(format!("player{i}"))).collect();
    for &key in &keys {
        let others = keys.iter().map(|key| key.port(flight)).collect();
        simulation.place(key, Player { others, ..Player::default() });
    }
    for ball in 0..balls {
        let key = keys[ball as usize % players];
        simulation.start(key.port(Time::ZERO), Time::from_ps(u64::from(ball) % 3), Ball(40 + ball % 5));
    }
    simulation
}

/// Deals the players round to `threads` partitions.
fn dealt(players: usize, threads: u32, lookahead: Time) -> Plan {
    Plan { partitions: (0..players as u32).map(|player| player % threads).collect(), lookahead }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_number_of_threads_gives_the_same_result(
        players in 1_usize..12,
        balls in 0_u32..30,
        flight in 1_u64..3_000,
        seed in any::<u64>(),
    ) {
        let flight = Time::from_ps(flight);
        let expected = play(players, balls, flight, seed, None);
        for threads in [1, 2, 3, 5, 8] {
            let plan = dealt(players, threads, flight);
            // Not `assert_eq`: nobody reads the thousands of spans that it would print.
            let same = play(players, balls, flight, seed, Some(&plan)) == expected;
            prop_assert!(same, "{} threads", threads);
        }
    }
}

/// What a run within limits leaves, and how it ended.
fn play_within(flight: Time, limits: &Limits, plan: &Plan, progress: &mut dyn FnMut(u64)) -> (Left, End) {
    let mut simulation = game(7, 9, flight, 3);
    let mut progress = |at: sim_core::Progress| progress(at.events);
    let (end, _) = simulation.run_parallel_with(plan, limits, Watch::new(&mut progress, &|| None)).unwrap();
    let now = simulation.now();
    (left(simulation, now), end)
}

#[test]
fn a_time_limit_stops_all_threads_where_it_stops_one() {
    let flight = Time::from_ps(700);
    let (_, spans, _, end) = play(7, 9, flight, 3, None).unwrap();
    assert!(spans.len() > 300);
    for part in (0..=20).map(|part| end.ps() * part / 20).chain([1, end.ps() + 1]) {
        let limits = Limits { until: Some(Time::from_ps(part)), ..Limits::default() };
        let expected = play_within(flight, &limits, &Plan::default(), &mut |_| ());
        for threads in [2, 3, 8] {
            let same = play_within(flight, &limits, &dealt(7, threads, flight), &mut |_| ()) == expected;
            assert!(same, "{threads} threads until {part} ps");
        }
    }
}

#[test]
fn a_stopped_run_settles_what_its_actors_have_handed_over() {
    let flight = Time::from_ps(700);
    let settled = |threads: u32, until: u64| {
        let mut simulation = game(7, 9, flight, 3);
        let limits = Limits { until: Some(Time::from_ps(until)), ..Limits::default() };
        let plan = dealt(7, threads, flight);
        simulation.run_parallel_with(&plan, &limits, Watch::new(&mut |_| (), &|| None)).unwrap();
        let settled: Vec<usize> = simulation.nodes().map(|Node::Player(player)| player.settled).collect();
        (settled, simulation.take_spans().unfinished().to_vec())
    };
    for until in [900, 5_000, 20_000] {
        let (counts, open) = settled(1, until);
        assert_eq!(counts.iter().sum::<usize>(), open.len(), "until {until} ps");
        assert!(open.iter().all(|span| span.launch == Time::from_ps(span.bytes)), "until {until} ps");
        for threads in [2, 3, 8] {
            let (others, mut spans) = settled(threads, until);
            spans.sort_by_key(|span| span.id);
            assert!((others, spans) == (counts.clone(), open.clone()), "{threads} threads until {until} ps");
        }
    }
}

#[test]
fn a_limit_on_messages_is_met_on_one_thread() {
    let flight = Time::from_ps(700);
    let limits = Limits { max_events: Some(200), ..Limits::default() };
    let expected = play_within(flight, &limits, &Plan::default(), &mut |_| ());
    assert!(matches!(expected.1, End::Stopped { why: Stop::MaxEvents, .. }));
    assert!(play_within(flight, &limits, &dealt(7, 3, flight), &mut |_| ()) == expected);
}

#[test]
fn a_wish_to_stop_ends_all_threads_at_one_time() {
    let flight = Time::from_ps(700);
    let (_, whole, events, _) = play(7, 9, flight, 3, None).unwrap();
    for threads in [2, 3, 8] {
        for most in [0, 1, 40, 300] {
            let stop = Arc::new(AtomicBool::new(most == 0));
            let limits = Limits { stop: Some(stop.clone()), ..Limits::default() };
            let mut pull = |events| {
                stop.fetch_or(events >= most, Ordering::Relaxed);
            };
            let ((_, spans, delivered, _), end) = play_within(flight, &limits, &dealt(7, threads, flight), &mut pull);
            let End::Stopped { at, why: Stop::Asked } = end else { panic!("{end:?}") };
            assert_eq!((at == Time::ZERO, delivered == 0), (most == 0, most == 0), "{threads} threads");
            assert!(delivered < events);
            // Every job that ended before that time, and no other.
            let expected: Vec<_> = whole.iter().filter(|span| span.end < at).collect();
            assert!(spans.iter().eq(expected), "{threads} threads after {most} messages");
        }
    }
}

#[test]
fn law_6_a_message_faster_than_the_lookahead_is_refused() {
    let plan = dealt(4, 2, Time::from_ns(50));
    let error = play(4, 4, Time::from_ns(5), 1, Some(&plan)).unwrap_err();
    assert!(matches!(error, SimulationError::TooEarly { .. }), "{error}");
}

#[test]
fn a_report_says_what_each_thread_did() {
    let mut simulation = Simulation::<Node>::new(1);
    let keys: Vec<_> = (0..4).map(|i| simulation.reserve::<Player>(format!("player{i}"))).collect();
    let flight = Time::from_ns(1);
    for &key in &keys {
        let others = keys.iter().map(|key| key.port(flight)).collect();
        simulation.place(key, Player { others, ..Player::default() });
    }
    simulation.start(keys[0].port(Time::ZERO), Time::ZERO, Ball(100));
    let (_, report) = simulation.run_parallel(&dealt(4, 2, flight)).unwrap();
    assert_eq!(report.partitions.iter().map(|part| part.actors).collect::<Vec<_>>(), [2, 2]);
    assert_eq!(report.partitions.iter().map(|part| part.events).sum::<u64>(), simulation.events());
    assert!(report.windows > 0 && report.lookahead == flight);
}
