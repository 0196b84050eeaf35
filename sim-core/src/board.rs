//! The task board of an actor: what it has to do, what each task waits for, and whom to tell when it is done.
//!
//! A task graph is spread over the boards of the actors that run it. When a task ends, its actor sends a [`Signal`] to
//! the board of each successor over the port that the hardware would use, whose least latency is the cost of the news.

use crate::actor::{Context, Port};
use crate::error::Waiting;
use crate::span::SpanId;
use crate::time::Time;

/// A task's place on a board.
pub type TaskIndex = u32;

/// "A task that yours waits for has ended."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// The task that waited, on the receiver's board.
    pub task: TaskIndex,
    /// The span of the task that ended; `None` at the start of the run.
    pub cause: Option<SpanId>,
    /// How long the news travelled.
    pub latency: Time,
}

#[derive(Debug)]
struct Entry<W> {
    /// Configuration: what is to be done.
    work: W,
    /// Configuration: whom to tell.
    successors: Vec<(Port<Signal>, TaskIndex)>,
    /// State: how many predecessors have not ended.
    pending: u32,
    /// State: the signal that arrived last.
    last: Arrival,
    /// State.
    done: bool,
}

/// When and because of what a task became ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrival {
    /// When the last signal arrived.
    pub ready: Time,
    /// Whose end it told of.
    pub cause: Option<SpanId>,
    /// How long it travelled.
    pub latency: Time,
}

/// The tasks of one actor. `W` is what the actor needs to know to do one.
#[derive(Debug)]
pub struct Board<W> {
    tasks: Vec<Entry<W>>,
}

impl<W> Default for Board<W> {
    fn default() -> Self {
        Self { tasks: Vec::new() }
    }
}

impl<W> Board<W> {
    /// Adds a task without predecessors or successors.
    pub fn add(&mut self, work: W) -> TaskIndex {
        let done = false;
        self.tasks.push(Entry { work, successors: Vec::new(), pending: 0, last: Arrival::default(), done });
        (self.tasks.len() - 1) as TaskIndex
    }

    /// Makes `task` wait for one more signal.
    pub fn expect(&mut self, task: TaskIndex) {
        self.tasks[task as usize].pending += 1;
    }

    /// Makes `task` tell `successor` on the board behind `port` when it ends. The other board must
    /// [`expect`](Self::expect) it.
    pub fn tell(&mut self, task: TaskIndex, port: Port<Signal>, successor: TaskIndex) {
        self.tasks[task as usize].successors.push((port, successor));
    }

    /// Notes a signal; true when it was the last that the task waited for.
    pub fn signal<M>(&mut self, signal: Signal, context: &mut Context<'_, M>) -> bool {
        let now = context.now();
        let Some(entry) = self.tasks.get_mut(signal.task as usize).filter(|entry| entry.pending > 0) else {
            context.law_broken(1, format!("task {} was told of one predecessor too many", signal.task));
            return false;
        };
        entry.pending -= 1;
        entry.last = Arrival { ready: now, cause: signal.cause, latency: signal.latency };
        entry.pending == 0
    }

    /// What is to be done.
    pub fn work(&self, task: TaskIndex) -> &W {
        &self.tasks[task as usize].work
    }

    /// Whether a task has all its signals; false past the last task.
    pub fn is_ready(&self, task: TaskIndex) -> bool {
        self.tasks.get(task as usize).is_some_and(|entry| entry.pending == 0)
    }

    /// When and because of what a task became ready.
    pub fn arrival(&self, task: TaskIndex) -> Arrival {
        self.tasks[task as usize].last
    }

    /// How many tasks there are.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Ends a task: tells every successor.
    pub fn complete<M: From<Signal>>(&mut self, task: TaskIndex, span: SpanId, context: &mut Context<'_, M>) {
        let entry = &mut self.tasks[task as usize];
        entry.done = true;
        for (port, successor) in std::mem::take(&mut entry.successors) {
            let signal = Signal { task: successor, cause: Some(span), latency: port.least() };
            context.send(port, Time::ZERO, signal);
        }
    }

    /// The tasks that are not done, for [`crate::Inspect::waiting`]. `name` says what a task is.
    pub fn waiting(&self, name: impl Fn(&W) -> String) -> Vec<Waiting> {
        let open = self.tasks.iter().filter(|entry| !entry.done);
        open.map(|entry| Waiting {
            task: name(&entry.work),
            missing: match entry.pending {
                0 => "its turn".to_owned(),
                1 => "one more task to end".to_owned(),
                n => format!("{n} more tasks to end"),
            },
        })
        .collect()
    }
}
