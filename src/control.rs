//! What may end a run before its time, how many threads it has, and who hears how far it is.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use reports::Why;
use sim_core::{Limits, Progress, Stop, Time};

/// Stops a run from another thread; the first who pulls it says why.
#[derive(Clone, Debug, Default)]
pub struct Brake {
    pulled: Arc<AtomicBool>,
    why: Arc<OnceLock<Why>>,
}

impl Brake {
    /// Stops the run that goes on now or begins later.
    pub fn pull(&self, why: Why) {
        let _ = self.why.set(why);
        self.pulled.store(true, Ordering::Release);
    }

    /// Why it was pulled, if it was.
    pub fn pulled(&self) -> Option<Why> {
        self.why.get().copied()
    }
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// The system that runs.
    pub system: &'a str,
    /// The point of the sweep; empty without one.
    pub point: &'a str,
    /// The how manieth system it is, from 1, of how many.
    pub place: (usize, usize),
    /// The tasks of its plan; each leaves one span.
    pub tasks: u64,
    /// What it has done of them.
    pub progress: Progress,
}

/// The conduct of a run. The default has no limit, one thread, and tells nobody.
#[derive(Default)]
pub struct Control<'a> {
    /// The simulated time at which a system is stopped.
    pub until: Option<Time>,
    /// Messages after which the run is stopped, those of all its systems together.
    pub max_events: Option<u64>,
    /// The most threads for each system; `None` is one.
    pub threads: Option<NonZeroUsize>,
    /// Whether the commands of PIM channels are kept.
    pub commands: bool,
    /// Stops the run from outside.
    pub brake: Brake,
    /// Hears how far it is: when a system begins and every 65,536 messages, or after every window of several threads.
    pub watch: Option<&'a mut dyn FnMut(&Standing<'_>)>,
}

impl fmt::Debug for Control<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { until, max_events, threads, commands, brake, watch } = self;
        let mut debug = f.debug_struct("Control");
        debug
            .field("until", until)
            .field("max_events", max_events)
            .field("threads", threads)
            .field("commands", commands);
        debug.field("brake", brake);
        debug.field("watch", &watch.is_some()).finish()
    }
}

impl Control<'_> {
    /// The limits of a system that begins after `events` messages.
    pub(crate) fn limits(&self, events: u64) -> Limits {
        Limits {
            until: self.until,
            max_events: self.max_events.map(|most| most.saturating_sub(events)),
            stop: Some(self.brake.pulled.clone()),
        }
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads.map_or(1, NonZeroUsize::get)
    }

    /// Why a run that a limit has stopped was stopped.
    pub(crate) fn why(&self, limit: Stop) -> Why {
        match limit {
            Stop::Until => Why::Until,
            Stop::MaxEvents => Why::MaxEvents,
            Stop::Asked => self.brake.pulled().unwrap_or(Why::Interrupt),
        }
    }

    pub(crate) fn tell(&mut self, standing: &Standing<'_>) {
        if let Some(watch) = &mut self.watch {
            watch(standing);
        }
    }
}
