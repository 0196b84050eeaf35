//! The host thread that launches work on the devices and sees tokens come back.

use std::collections::VecDeque;

use sim_core::{
    Board, Category, Context, Handle, Inspect, Signal, SpanDraft, SpanId, Tag, TaskIndex, Time, Waiting, log_span,
};

/// One thing that the thread does.
#[derive(Clone, Copy, Debug)]
pub struct HostJob {
    /// For the span: `launch`, `token`.
    pub kind: &'static str,
    /// For the span.
    pub tag: Tag,
    /// How long the thread takes for it.
    pub duration: Time,
}

/// The job that the thread was at is done.
#[derive(Clone, Copy, Debug)]
pub struct JobDone;

/// The actor: one thread, one job at a time, in the order in which they become ready.
#[derive(Debug, Default)]
pub struct Driver {
    board: Board<HostJob>,
    /// State: ready and not begun.
    queue: VecDeque<TaskIndex>,
    active: Option<(TaskIndex, SpanId)>,
    last: Option<SpanId>,
}

impl Driver {
    /// The jobs.
    pub const fn board_mut(&mut self) -> &mut Board<HostJob> {
        &mut self.board
    }

    fn begin<M: From<JobDone> + From<Signal>>(&mut self, context: &mut Context<'_, M>) {
        while self.active.is_none() {
            let Some(task) = self.queue.pop_front() else { return };
            let (job, arrival) = (*self.board.work(task), self.board.arrival(task));
            let waited = context.now() > arrival.ready;
            let span = context.open(SpanDraft {
                kind: job.kind,
                category: Category::Launch,
                tag: job.tag,
                ready: arrival.ready,
                signal: arrival.latency,
                launch: Time::ZERO,
                bytes: 0,
                operations: 0,
                cause: arrival.cause,
                held_by: self.last.filter(|_| waited),
            });
            self.active = Some((task, span));
            if job.duration == Time::ZERO {
                self.end(context);
            } else {
                context.wake(job.duration, JobDone);
            }
        }
    }

    fn end<M: From<Signal>>(&mut self, context: &mut Context<'_, M>) {
        if let Some((task, span)) = self.active.take() {
            log_span!(context, span);
            self.last = Some(span);
            self.board.complete(task, span, context);
        }
    }
}

impl Inspect for Driver {
    fn waiting(&self) -> Vec<Waiting> {
        self.board.waiting(|job| format!("{} of {}", job.kind, job.tag))
    }
}

impl<M: From<JobDone> + From<Signal>> Handle<Signal, M> for Driver {
    fn handle(&mut self, signal: Signal, context: &mut Context<'_, M>) {
        if self.board.signal(signal, context) {
            self.queue.push_back(signal.task);
            self.begin(context);
        }
    }
}

impl<M: From<JobDone> + From<Signal>> Handle<JobDone, M> for Driver {
    fn handle(&mut self, _: JobDone, context: &mut Context<'_, M>) {
        self.end(context);
        self.begin(context);
    }
}
