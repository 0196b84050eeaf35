//! A memory or a set of cores that whatever runs at once shares fairly.

use sim_core::{Context, FairShare, Handle, Inspect, Meter, Rate, Request, Served, Time};

/// The job that was to end first may have ended.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    /// Of the plan that this belongs to; an older one is out of date.
    plan: u64,
}

/// The actor: answers a [`Request`] with [`Served`] when the asked amount has been served.
#[derive(Debug)]
pub struct Shared {
    /// State: (index in `waiting`) of what is in service.
    pool: FairShare<usize>,
    /// State: requests in service.
    asked: Vec<Option<Request>>,
    free: Vec<usize>,
    /// State: how often the plan changed.
    plan: u64,
}

impl Shared {
    /// An idle resource that serves `capacity` units (bytes, operations) per second.
    pub const fn new(capacity: Rate) -> Self {
        Self { pool: FairShare::new(capacity), asked: Vec::new(), free: Vec::new(), plan: 0 }
    }

    /// Answers what is done and plans the next end.
    fn settle<M: From<Tick> + From<Served>>(&mut self, context: &mut Context<'_, M>) {
        for place in self.pool.take_finished(context.now()) {
            if let Some(request) = self.asked[place].take() {
                self.free.push(place);
                context.send(request.reply, Time::ZERO, Served { tag: request.tag });
            }
        }
        self.plan += 1;
        if let Some(at) = self.pool.next_finish() {
            context.wake(at.since(context.now()), Tick { plan: self.plan });
        }
    }
}

impl Inspect for Shared {
    fn meter(&self) -> Option<Meter> {
        let (amount, busy) = self.pool.totals();
        Some(Meter { amount, peak: self.pool.capacity(), busy })
    }

    fn meter_at(&self, at: Time) -> Option<Meter> {
        let (amount, busy) = self.pool.totals_at(at);
        Some(Meter { amount, peak: self.pool.capacity(), busy })
    }
}

impl<M: From<Tick> + From<Served>> Handle<Request, M> for Shared {
    fn handle(&mut self, request: Request, context: &mut Context<'_, M>) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.asked.push(None);
            self.asked.len() - 1
        });
        self.asked[place] = Some(request);
        self.pool.add(context.now(), place, request.amount, request.cap);
        self.settle(context);
    }
}

impl<M: From<Tick> + From<Served>> Handle<Tick, M> for Shared {
    fn handle(&mut self, tick: Tick, context: &mut Context<'_, M>) {
        if tick.plan == self.plan {
            self.settle(context);
        }
    }
}
