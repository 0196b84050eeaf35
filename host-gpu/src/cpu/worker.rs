//! The cores of a host as one worker: kernels in the order in which they become ready, each on all cores.

use std::collections::VecDeque;

use sim_core::{
    Board, Category, Context, Handle, Inspect, Request, Served, Signal, TaskIndex, Time, Waiting, log_span,
};

use crate::kernel::{Kernel, Ports, Runner, Started};

/// The actor.
#[derive(Debug)]
pub struct Worker {
    board: Board<Kernel>,
    runner: Runner,
    /// State: ready and not begun.
    queue: VecDeque<TaskIndex>,
}

impl Worker {
    /// A worker whose kernels each cost `start_cost` before they run (waking the threads).
    pub fn new(start_cost: Time, ports: Ports) -> Self {
        let runner = Runner::new(Category::ComputeCpu, start_cost, ports);
        Self { board: Board::default(), runner, queue: VecDeque::new() }
    }

    /// The kernels.
    pub const fn board_mut(&mut self) -> &mut Board<Kernel> {
        &mut self.board
    }

    fn begin<M: From<Started>>(&mut self, context: &mut Context<'_, M>) {
        if self.runner.is_idle()
            && let Some(task) = self.queue.pop_front()
        {
            self.runner.begin(task, self.board.work(task), self.board.arrival(task), context);
        }
    }
}

impl Inspect for Worker {
    fn waiting(&self) -> Vec<Waiting> {
        self.board.waiting(|kernel| format!("{} of {}", kernel.kind, kernel.tag))
    }
}

impl<M: From<Started>> Handle<Signal, M> for Worker {
    fn handle(&mut self, signal: Signal, context: &mut Context<'_, M>) {
        if self.board.signal(signal, context) {
            self.queue.push_back(signal.task);
            self.begin(context);
        }
    }
}

impl<M: From<Request>> Handle<Started, M> for Worker {
    fn handle(&mut self, _: Started, context: &mut Context<'_, M>) {
        if let Some(task) = self.runner.task() {
            self.runner.started(self.board.work(task), context);
        }
    }
}

impl<M: From<Started> + From<Signal>> Handle<Served, M> for Worker {
    fn handle(&mut self, _: Served, context: &mut Context<'_, M>) {
        if let Some((task, span)) = self.runner.served() {
            log_span!(context, span);
            self.board.complete(task, span, context);
            self.begin(context);
        }
    }
}
