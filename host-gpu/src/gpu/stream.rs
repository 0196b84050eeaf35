//! A stream: kernels in the order in which they were put in.

use sim_core::{
    Board, Category, Context, Handle, Inspect, Request, Served, Signal, TaskIndex, Time, Waiting, log_span,
};

use crate::kernel::{Kernel, Ports, Runner, Started};

/// The actor.
#[derive(Debug)]
pub struct Stream {
    board: Board<Kernel>,
    runner: Runner,
    /// State: the next kernel in order.
    next: TaskIndex,
}

impl Stream {
    /// An empty stream whose kernels each cost `start_cost` before they run: the interval that back-to-back kernels of
    /// a graph keep.
    pub fn new(start_cost: Time, ports: Ports) -> Self {
        Self { board: Board::default(), runner: Runner::new(Category::ComputeGpu, start_cost, ports), next: 0 }
    }

    /// The kernels, in order.
    pub const fn board_mut(&mut self) -> &mut Board<Kernel> {
        &mut self.board
    }

    fn begin<M: From<Started>>(&mut self, context: &mut Context<'_, M>) {
        if self.runner.is_idle() && self.board.is_ready(self.next) {
            let task = self.next;
            self.next += 1;
            self.runner.begin(task, self.board.work(task), self.board.arrival(task), context);
        }
    }
}

impl Inspect for Stream {
    fn waiting(&self) -> Vec<Waiting> {
        self.board.waiting(|kernel| format!("{} of {}", kernel.kind, kernel.tag))
    }
}

impl<M: From<Started>> Handle<Signal, M> for Stream {
    fn handle(&mut self, signal: Signal, context: &mut Context<'_, M>) {
        if self.board.signal(signal, context) {
            self.begin(context);
        }
    }
}

impl<M: From<Request>> Handle<Started, M> for Stream {
    fn handle(&mut self, _: Started, context: &mut Context<'_, M>) {
        if let Some(task) = self.runner.task() {
            self.runner.started(self.board.work(task), context);
        }
    }
}

impl<M: From<Started> + From<Signal>> Handle<Served, M> for Stream {
    fn handle(&mut self, _: Served, context: &mut Context<'_, M>) {
        if let Some((task, span)) = self.runner.served() {
            log_span!(context, span);
            self.board.complete(task, span, context);
            self.begin(context);
        }
    }
}
