//! The actors: sources, stations, routers, and the way out.
//!
//! ```text
//!            .--------------------- again --------------------.
//!            v                                                |
//! source -> station 0 -> station 1 -> ... -> station n -> router -> sink        (open)
//!
//! .-> think -> station 0 -> ... -> station n --.
//! '--------------------------------------------'                                (closed)
//! ```

use std::collections::VecDeque;

use sim_core::time::PS_PER_SECOND;
use sim_core::{Context, FairShare, Handle, Inspect, Port, Rate, Time};

use super::network::Sampler;
use super::statistics::{Level, Tally, Window};

/// A customer, from hand to hand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Customer {
    /// When it came into the network, or stopped thinking.
    pub(super) entered: Time,
    /// When it came to the station that it is at.
    pub(super) arrived: Time,
}

/// The time between two arrivals is over.
#[derive(Debug)]
pub(super) struct Tick;

/// The service or the thinking of this customer is over.
#[derive(Debug)]
pub(super) struct Finish(Customer);

/// The next service of a sharing station is over, unless somebody has come or gone since it was worked out.
#[derive(Debug)]
pub(super) struct Due(u64);

/// Sends customers in from outside, until the last batch has ended.
#[derive(Debug)]
pub(super) struct Source {
    /// Configuration.
    pub(super) interval: Sampler,
    /// Configuration.
    pub(super) to: Port<Customer>,
    /// Configuration: when the last batch ends.
    pub(super) end: Time,
}

impl Inspect for Source {}

impl<M: From<Tick> + From<Customer>> Handle<Tick, M> for Source {
    fn handle(&mut self, tick: Tick, context: &mut Context<'_, M>) {
        let now = context.now();
        if now < self.end {
            context.send(self.to, Time::ZERO, Customer { entered: now, arrived: now });
            let interval = self.interval.draw(context);
            context.wake(interval, tick);
        }
    }
}

/// What every station counts, by batch.
#[derive(Clone, Debug)]
pub(super) struct Counts {
    /// Customers that came.
    pub(super) arrivals: Tally,
    /// Of these the ones that were turned away.
    pub(super) blocked: Tally,
    /// Waits until the service begins, by its beginning. Of a sharing station none.
    pub(super) waits: Tally,
    /// Times in the station, by departure.
    pub(super) sojourns: Tally,
    /// Customers in the station.
    pub(super) number: Level,
    /// Of these the ones that wait. Of a sharing station none.
    pub(super) waiting: Level,
}

impl Counts {
    /// Nothing counted yet; the number in the station is told apart up to `levels`.
    pub(super) fn new(window: Window, levels: usize, keep_waits: bool) -> Self {
        Self {
            arrivals: Tally::new(window, false),
            blocked: Tally::new(window, false),
            waits: Tally::new(window, keep_waits),
            sojourns: Tally::new(window, false),
            number: Level::new(window, levels),
            waiting: Level::new(window, 0),
        }
    }

    /// Counts an arrival; whether there is room for it.
    fn admit(&mut self, now: Time, capacity: Option<u32>) -> bool {
        self.arrivals.note(now, Time::ZERO);
        if capacity.is_some_and(|capacity| self.number.now() >= u64::from(capacity)) {
            self.blocked.note(now, Time::ZERO);
            return false;
        }
        self.number.change(now, 1);
        true
    }

    fn leave(&mut self, now: Time, customer: Customer) {
        self.number.change(now, -1);
        self.sojourns.note(now, now - customer.arrived);
    }
}

/// First come, first served, by one or more servers.
#[derive(Debug)]
pub(super) struct Station {
    /// Configuration.
    pub(super) service: Sampler,
    /// Configuration.
    pub(super) servers: u32,
    /// Configuration: the most customers in it.
    pub(super) capacity: Option<u32>,
    /// Configuration: where customers go next.
    pub(super) to: Port<Customer>,
    /// State: those that wait.
    pub(super) queue: VecDeque<Customer>,
    /// State: servers that work.
    pub(super) busy: u32,
    /// Statistics.
    pub(super) counts: Counts,
}

impl Inspect for Station {}

impl Station {
    fn serve<M: From<Finish>>(&mut self, customer: Customer, context: &mut Context<'_, M>) {
        let now = context.now();
        self.counts.waits.note(now, now - customer.arrived);
        let service = self.service.draw(context);
        context.wake(service, Finish(customer));
    }
}

impl<M: From<Finish>> Handle<Customer, M> for Station {
    fn handle(&mut self, mut customer: Customer, context: &mut Context<'_, M>) {
        let now = context.now();
        if !self.counts.admit(now, self.capacity) {
            return;
        }
        customer.arrived = now;
        if self.busy < self.servers {
            self.busy += 1;
            self.serve(customer, context);
        } else {
            self.counts.waiting.change(now, 1);
            self.queue.push_back(customer);
        }
    }
}

impl<M: From<Finish> + From<Customer>> Handle<Finish, M> for Station {
    fn handle(&mut self, Finish(customer): Finish, context: &mut Context<'_, M>) {
        let now = context.now();
        self.counts.leave(now, customer);
        context.send(self.to, Time::ZERO, customer);
        if let Some(next) = self.queue.pop_front() {
            self.counts.waiting.change(now, -1);
            self.serve(next, context);
        } else {
            self.busy -= 1;
        }
    }
}

/// One unit of service per picosecond and server.
pub(super) const SERVER: Rate = Rate(PS_PER_SECOND);

/// Processor sharing: all customers are in service, on the kernel's fair share.
#[derive(Debug)]
pub(super) struct Sharing {
    /// Configuration: how much service a customer needs.
    pub(super) service: Sampler,
    /// Configuration: the most customers in it.
    pub(super) capacity: Option<u32>,
    /// Configuration: where customers go next.
    pub(super) to: Port<Customer>,
    /// State: those in service.
    pub(super) pool: FairShare<Customer>,
    /// State: the last [`Due`] that still holds.
    pub(super) due: u64,
    /// Statistics.
    pub(super) counts: Counts,
}

impl Inspect for Sharing {}

impl Sharing {
    fn plan<M: From<Due>>(&mut self, context: &mut Context<'_, M>) {
        self.due += 1;
        if let Some(at) = self.pool.next_finish() {
            context.wake(at - context.now(), Due(self.due));
        }
    }
}

impl<M: From<Due>> Handle<Customer, M> for Sharing {
    fn handle(&mut self, mut customer: Customer, context: &mut Context<'_, M>) {
        let now = context.now();
        if !self.counts.admit(now, self.capacity) {
            return;
        }
        customer.arrived = now;
        let service = self.service.draw(context);
        self.pool.add(now, customer, service.ps(), Some(SERVER));
        self.plan(context);
    }
}

impl<M: From<Due> + From<Customer>> Handle<Due, M> for Sharing {
    fn handle(&mut self, Due(due): Due, context: &mut Context<'_, M>) {
        if due != self.due {
            return;
        }
        let now = context.now();
        for customer in self.pool.take_finished(now) {
            self.counts.leave(now, customer);
            context.send(self.to, Time::ZERO, customer);
        }
        self.plan(context);
    }
}

/// Sends customers back with some probability.
#[derive(Debug)]
pub(super) struct Router {
    /// Configuration: the probability, of 2^64.
    pub(super) again: u64,
    /// Configuration.
    pub(super) back: Port<Customer>,
    /// Configuration.
    pub(super) out: Port<Customer>,
}

impl Inspect for Router {}

impl<M: From<Customer>> Handle<Customer, M> for Router {
    fn handle(&mut self, customer: Customer, context: &mut Context<'_, M>) {
        let to = if context.random() < self.again { self.back } else { self.out };
        context.send(to, Time::ZERO, customer);
    }
}

/// The way out of an open network.
#[derive(Debug)]
pub(super) struct Sink {
    /// Statistics: times in the network, by departure.
    pub(super) sojourns: Tally,
}

impl Inspect for Sink {}

impl<M> Handle<Customer, M> for Sink {
    fn handle(&mut self, customer: Customer, context: &mut Context<'_, M>) {
        let now = context.now();
        self.sojourns.note(now, now - customer.entered);
    }
}

/// A delay station: customers think there, each on its own, and go round again until the last batch has ended.
#[derive(Debug)]
pub(super) struct Think {
    /// Configuration.
    pub(super) time: Sampler,
    /// Configuration.
    pub(super) to: Port<Customer>,
    /// Configuration: when the last batch ends.
    pub(super) end: Time,
    /// Statistics: times away from here, by return.
    pub(super) responses: Tally,
}

impl Inspect for Think {}

impl<M: From<Finish>> Handle<Customer, M> for Think {
    fn handle(&mut self, customer: Customer, context: &mut Context<'_, M>) {
        let now = context.now();
        self.responses.note(now, now - customer.entered);
        if now < self.end {
            let time = self.time.draw(context);
            context.wake(time, Finish(customer));
        }
    }
}

impl<M: From<Customer>> Handle<Finish, M> for Think {
    fn handle(&mut self, _: Finish, context: &mut Context<'_, M>) {
        let now = context.now();
        context.send(self.to, Time::ZERO, Customer { entered: now, arrived: now });
    }
}

sim_core::system! {
    /// The actors of a queueing network.
    pub(super) enum Node {
        Source(Source) accepts Tick,
        Station(Station) accepts Customer | Finish,
        Sharing(Sharing) accepts Customer | Due,
        Router(Router) accepts Customer,
        Sink(Sink) accepts Customer,
        Think(Think) accepts Customer | Finish,
    }
    /// Their messages.
    pub(super) enum Message { Tick(Tick), Customer(Customer), Finish(Finish), Due(Due) }
}
