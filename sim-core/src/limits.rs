//! What may end a run before its messages do, and how far it is.
//!
//! A run is stopped between two instants: of every message due before that time its actor has heard, of those due then
//! or later none has. So what a stopped run has recorded is what the full run had recorded by then, and does not depend
//! on when the wish to stop came up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::actor::Node;
use crate::error::SimulationError;
use crate::queue::Key;
use crate::scheduler::Simulation;
use crate::time::Time;

/// How many events pass between two looks at [`Limits::stop`].
pub(crate) const LOOK: u64 = 4_096;
/// How many events pass between two reports of [`Progress`]; a multiple of [`LOOK`].
const REPORT: u64 = 65_536;

/// What ends a run early. The default is nothing.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// Messages due at this time or later are not delivered.
    pub until: Option<Time>,
    /// The run ends with the instant in which this many messages have been delivered, those before the run included.
    pub max_events: Option<u64>,
    /// Another thread sets it: the run ends within a few thousand messages, with the instant that it is in.
    pub stop: Option<Arc<AtomicBool>>,
}

/// Which limit ended a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// [`Limits::until`].
    Until,
    /// [`Limits::max_events`].
    MaxEvents,
    /// [`Limits::stop`].
    Asked,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// No message is left and no task waits; the time of the last message.
    Done(Time),
    /// Messages are left.
    Stopped {
        /// Every message due before this time has been delivered, and none that is due at it or later.
        at: Time,
        /// Which limit it was. Where two would end the run at once, the one that was noticed first.
        why: Stop,
    },
}

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The simulated time.
    pub now: Time,
    /// Messages delivered.
    pub events: u64,
    /// Spans that have ended.
    pub spans: u64,
}

impl<N: Node> Simulation<N> {
    /// [`Self::run`] within limits. `progress` hears every 65,536 messages how far it is; what it does cannot change the
    /// result.
    ///
    /// A stopped run can be gone on with: the messages that were not delivered are still pending.
    ///
    /// ```
    /// use sim_core::{Context, End, Handle, Inspect, Limits, Simulation, Stop, Time};
    /// # #[derive(Debug)]
    /// struct Clock;
    /// # #[derive(Debug)]
    /// struct Tick(u32);
    ///
    /// # impl Inspect for Clock {}
    /// impl<M: From<Tick>> Handle<Tick, M> for Clock {
    ///     fn handle(&mut self, tick: Tick, context: &mut Context<'_, M>) {
    ///         if tick.0 > 0 {
    ///             context.wake(Time::from_ns(1), Tick(tick.0 - 1));
    ///         }
    ///     }
    /// }
    /// # sim_core::system! { enum Node { Clock(Clock) accepts Tick } enum Message { Tick(Tick) } }
    ///
    /// let mut simulation = Simulation::<Node>::new(1);
    /// let clock = simulation.add("clock", Clock);
    /// simulation.start(clock.port::<Tick>(Time::ZERO), Time::ZERO, Tick(9));
    /// let at = Time::from_ns(5);
    /// let limits = Limits { until: Some(at), ..Limits::default() };
    /// assert_eq!(simulation.run_with(&limits, &mut |_| ())?, End::Stopped { at, why: Stop::Until });
    /// assert_eq!(simulation.events(), 5); // At 0, 1, 2, 3 and 4 ns.
    /// assert_eq!(simulation.run_with(&Limits::default(), &mut |_| ())?, End::Done(Time::from_ns(9)));
    /// # Ok::<(), sim_core::SimulationError>(())
    /// ```
    pub fn run_with(&mut self, limits: &Limits, progress: &mut dyn FnMut(Progress)) -> Result<End, SimulationError> {
        self.check_placed()?;
        let end = limits.until.map_or(Key::NEVER, Key::start_of);
        let most = limits.max_events.unwrap_or(u64::MAX);
        let mut report = self.all.events.saturating_add(REPORT);
        loop {
            if limits.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return self.stop(Stop::Asked);
            }
            if self.all.events >= most {
                return self.stop(Stop::MaxEvents);
            }
            let pause = self.all.events.saturating_add(LOOK).min(most);
            self.all.run_before(end, pause)?;
            if self.all.events < pause {
                break;
            }
            if self.all.events >= report {
                report = self.all.events.saturating_add(REPORT);
                progress(Progress { now: self.now(), events: self.all.events, spans: self.all.core.spans.finished() });
            }
        }
        match limits.until {
            Some(at) if !self.all.core.queue.is_empty() => Ok(self.stopped(at, Stop::Until)),
            _ => self.deadlock().map(End::Done),
        }
    }

    /// Delivers what is left of the present instant, and stops after it.
    fn stop(&mut self, why: Stop) -> Result<End, SimulationError> {
        let mut at = Time::ZERO;
        if self.all.events > 0 {
            at = self.now() + Time::from_ps(1);
            self.all.run_before(Key::start_of(at), u64::MAX)?;
        }
        if self.all.core.queue.is_empty() { self.deadlock().map(End::Done) } else { Ok(self.stopped(at, why)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actor::{Context, Handle, Inspect, Port};
    use crate::error::Waiting;
    use crate::span::{Category, SpanDraft, SpanId, Tag};

    /// Every nanosecond it sends `hops` messages without delay, one after the other, and closes a span of 1 ns.
    #[derive(Debug)]
    struct Metronome {
        beats: u32,
        hops: u32,
        span: Option<SpanId>,
    }

    #[derive(Debug)]
    struct Hop(u32);

    impl Inspect for Metronome {
        fn waiting(&self) -> Vec<Waiting> {
            let waiting = Waiting { task: "beat".to_owned(), missing: "time".to_owned() };
            if self.beats > 0 { vec![waiting] } else { Vec::new() }
        }
    }

    impl<M: From<Hop>> Handle<Hop, M> for Metronome {
        fn handle(&mut self, Hop(hop): Hop, context: &mut Context<'_, M>) {
            if hop > 0 {
                return context.wake(Time::ZERO, Hop(hop - 1));
            }
            if let Some(span) = self.span.take() {
                context.close(span);
            }
            if self.beats > 0 {
                self.beats -= 1;
                self.span = Some(context.open(SpanDraft {
                    kind: "beat",
                    category: Category::Launch,
                    tag: Tag::default(),
                    ready: context.now(),
                    signal: Time::ZERO,
                    launch: Time::ZERO,
                    bytes: 0,
                    operations: 0,
                    cause: None,
                    held_by: None,
                }));
                context.wake(Time::from_ns(1), Hop(self.hops));
            }
        }
    }

    crate::system! {
        enum Node { Metronome(Metronome) accepts Hop }
        enum Message { Hop(Hop) }
    }

    /// `beats + 1` instants, of one message at time 0 and `hops + 1` at each further nanosecond.
    fn simulation(beats: u32, hops: u32) -> Simulation<Node> {
        let mut simulation = Simulation::new(1);
        let metronome = simulation.add("metronome", Metronome { beats, hops, span: None });
        let port: Port<Hop> = metronome.port(Time::ZERO);
        simulation.start(port, Time::ZERO, Hop(0));
        simulation
    }

    fn until(ps: u64) -> Limits {
        Limits { until: Some(Time::from_ps(ps)), ..Limits::default() }
    }

    fn max_events(events: u64) -> Limits {
        Limits { max_events: Some(events), ..Limits::default() }
    }

    /// Runs 10 beats of 4 messages within `limits`: how it ends, after how many messages, and spans finished and open.
    #[track_caller]
    fn check(limits: &Limits, end: End, events: u64, spans: (u64, usize)) {
        let mut simulation = simulation(10, 3);
        assert_eq!(simulation.run_with(limits, &mut |_| ()), Ok(end));
        assert_eq!(simulation.events(), events);
        let recorded = simulation.take_spans();
        assert_eq!((recorded.finished(), recorded.unfinished().len()), spans);
    }

    fn stopped(ps: u64, why: Stop) -> End {
        End::Stopped { at: Time::from_ps(ps), why }
    }

    #[test]
    fn is_everything_before_the_limit_delivered_and_nothing_at_it() {
        check(&until(0), stopped(0, Stop::Until), 0, (0, 0));
        check(&until(1), stopped(1, Stop::Until), 1, (0, 1));
        check(&until(3_000), stopped(3_000, Stop::Until), 9, (2, 1));
        check(&until(3_001), stopped(3_001, Stop::Until), 13, (3, 1));
        check(&until(10_000), stopped(10_000, Stop::Until), 37, (9, 1));
        let done = End::Done(Time::from_ns(10));
        check(&until(10_001), done, 41, (10, 0));
        check(&until(u64::MAX), done, 41, (10, 0));
    }

    #[test]
    fn is_the_instant_finished_in_which_the_count_is_reached() {
        check(&max_events(0), stopped(0, Stop::MaxEvents), 0, (0, 0));
        check(&max_events(1), stopped(1, Stop::MaxEvents), 1, (0, 1));
        for events in 2..=5 {
            check(&max_events(events), stopped(1_001, Stop::MaxEvents), 5, (1, 1));
        }
        check(&max_events(6), stopped(2_001, Stop::MaxEvents), 9, (2, 1));
        // In the last instant nothing is left to stop.
        check(&max_events(38), End::Done(Time::from_ns(10)), 41, (10, 0));
        check(&max_events(u64::MAX), End::Done(Time::from_ns(10)), 41, (10, 0));
    }

    #[test]
    fn the_earlier_of_two_limits_holds() {
        check(&Limits { max_events: Some(6), ..until(1_500) }, stopped(1_500, Stop::Until), 5, (1, 1));
        check(&Limits { max_events: Some(6), ..until(5_000) }, stopped(2_001, Stop::MaxEvents), 9, (2, 1));
    }

    #[test]
    fn a_stop_is_heard_within_a_few_thousand_messages() {
        let stop = Arc::new(AtomicBool::new(true));
        let limits = Limits { stop: Some(stop.clone()), ..Limits::default() };
        check(&limits, stopped(0, Stop::Asked), 0, (0, 0));
        stop.store(false, Ordering::Relaxed);
        check(&limits, End::Done(Time::from_ns(10)), 41, (10, 0));

        let mut simulation = simulation(1_000_000, 2);
        let mut heard = Vec::new();
        let end = simulation.run_with(&limits, &mut |progress| {
            heard.push(progress);
            stop.store(progress.events >= 3 * REPORT, Ordering::Relaxed);
        });
        assert_eq!(heard.iter().map(|progress| progress.events).collect::<Vec<_>>(), [1, 2, 3].map(|n| n * REPORT));
        // The first message is alone in its instant, so 3 x 65,536 ends in the middle of one.
        let last = heard[2];
        assert_eq!(last.spans, (last.events - 1) / 3);
        assert_eq!(end, Ok(End::Stopped { at: last.now + Time::from_ps(1), why: Stop::Asked }));
        assert!(simulation.events() - last.events < 3, "{}", simulation.events());
    }

    #[test]
    fn a_stopped_run_goes_on_as_if_it_had_not_been_stopped() {
        let mut whole = simulation(50, 3);
        whole.run().unwrap();
        let mut pieces = simulation(50, 3);
        for ps in (0..60_000).step_by(1_700) {
            pieces.run_with(&until(ps), &mut |_| ()).unwrap();
        }
        assert_eq!((pieces.now(), pieces.events()), (whole.now(), whole.events()));
        assert_eq!(pieces.take_spans().into_sorted(), whole.take_spans().into_sorted());
    }

    #[test]
    fn a_stopped_run_is_no_deadlock_and_a_finished_one_may_be() {
        // It waits for beats at every time but the last.
        check(&until(5_000), stopped(5_000, Stop::Until), 17, (4, 1));
        let mut stuck = Simulation::<Node>::new(1);
        stuck.add("metronome", Metronome { beats: 1, hops: 0, span: None });
        let error = stuck.run_with(&until(5_000), &mut |_| ()).unwrap_err();
        assert!(matches!(error, SimulationError::Deadlock { .. }), "{error}");
    }
}
