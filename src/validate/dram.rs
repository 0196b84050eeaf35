//! Ordinary DRAM against two other simulators: what the suites `dram-golden` and `dram-totals` share.
//!
//! Both references come from the same runs: a pattern of requests (`pattern.rs`) offered in order, up to four before each tick,
//! until the queues refuse.

mod dramsim3;
mod golden;
mod pattern;
#[cfg(test)]
mod tests;
mod totals;

pub use golden::DramGolden;
pub use totals::DramTotals;

use pattern::{Dimensions, Generator, Pattern};
use pim_device::dram::{
    BankQueueChannel, BankQueueConfig, ChannelConfig, Completion, DramChannel, DramError, Observer, Offered, Request,
    Target,
};
use pim_device::{Command, Organisation};

/// Requests offered before one tick, at most.
const OFFERS: u32 = 4;

/// The organisation that the reference runs use with a standard.
const ORGANISATIONS: [(&str, &str); 7] = [
    ("DDR4", "DDR4_8Gb_x8"),
    ("DDR5", "DDR5_16Gb_x8"),
    ("GDDR6", "GDDR6_16Gb_x16"),
    ("LPDDR5", "LPDDR5_16Gb_x16"),
    ("HBM2", "HBM2_4Gb"),
    ("HBM3", "HBM3_16Gb_8hi"),
    ("HBM4", "HBM4_32Gb_4Hi"),
];

/// One run of a pattern.
#[derive(Clone, Debug)]
struct Job {
    memory: Memory,
    dimensions: Dimensions,
    pattern: Pattern,
    seed: u64,
    requests: u64,
}

/// What a pattern is run on.
#[derive(Clone, Debug)]
enum Memory {
    /// The controller of Ramulator 2.1.
    Ramulator(ChannelConfig),
    /// The controller of DRAMsim3.
    Dramsim(BankQueueConfig),
}

impl Memory {
    const fn organisation(&self) -> &Organisation {
        match self {
            Self::Ramulator(config) => &config.organisation,
            Self::Dramsim(config) => &config.organisation,
        }
    }
}

/// A channel between two ticks.
trait Channel {
    /// Takes a request or not.
    fn offer(&mut self, request: &Request, observer: &mut impl Observer) -> Result<Offered, DramError>;
    /// Runs one tick.
    fn tick(&mut self, observer: &mut impl Observer);
    /// Runs until a place is free for what was refused.
    fn wait(&mut self, observer: &mut impl Observer);
    /// Runs until it is known when every request is done.
    fn drain(&mut self, observer: &mut impl Observer);
    /// Runs up to and with a tick.
    fn finish(&mut self, tick: u64, observer: &mut impl Observer);
}

impl Channel for DramChannel {
    fn offer(&mut self, request: &Request, observer: &mut impl Observer) -> Result<Offered, DramError> {
        Self::offer(self, request, observer)
    }
    fn tick(&mut self, observer: &mut impl Observer) {
        self.advance(self.now() + 1, observer);
    }
    fn wait(&mut self, observer: &mut impl Observer) {
        self.advance_to_place(observer);
    }
    fn drain(&mut self, observer: &mut impl Observer) {
        Self::drain(self, observer);
    }
    fn finish(&mut self, tick: u64, observer: &mut impl Observer) {
        self.advance(tick, observer);
    }
}

impl Channel for BankQueueChannel {
    fn offer(&mut self, request: &Request, observer: &mut impl Observer) -> Result<Offered, DramError> {
        Self::offer(self, request, observer)
    }
    fn tick(&mut self, observer: &mut impl Observer) {
        self.advance(self.now() + 1, observer);
    }
    fn wait(&mut self, observer: &mut impl Observer) {
        self.advance_to_place(observer);
    }
    fn drain(&mut self, observer: &mut impl Observer) {
        self.drain_reads(observer);
    }
    fn finish(&mut self, tick: u64, observer: &mut impl Observer) {
        self.advance(tick + 1, observer);
    }
}

/// Keeps the tick in which the run stops.
struct Stop<'a, O> {
    inner: &'a mut O,
    /// The last tick that has to run.
    last: u64,
}

impl<O: Observer> Observer for Stop<'_, O> {
    fn issued(&mut self, tick: u64, command: Command, target: Target<'_>) {
        self.inner.issued(tick, command, target);
    }

    fn completed(&mut self, completion: &Completion) {
        // What is done when it is offered is seen in the tick after.
        self.last = self.last.max(completion.done.max(completion.arrived + 1));
        self.inner.completed(completion);
    }
}

/// Runs a pattern to the tick in which its last request is done.
fn run(job: &Job, observer: &mut impl Observer) -> Result<(), DramError> {
    match &job.memory {
        Memory::Ramulator(config) => drive(&mut DramChannel::new(config)?, job, observer),
        Memory::Dramsim(config) => drive(&mut BankQueueChannel::new(config)?, job, observer),
    }
}

fn drive(channel: &mut impl Channel, job: &Job, observer: &mut impl Observer) -> Result<(), DramError> {
    let mut generator = Generator::new(job.dimensions, job.pattern, job.seed);
    let mut observer = Stop { inner: observer, last: 0 };
    let mut head: Option<Request> = None;
    let mut sent = 0;
    while sent < job.requests {
        let mut refused = false;
        for _ in 0..OFFERS {
            if sent == job.requests {
                break;
            }
            let request = head.take().unwrap_or_else(|| generator.next());
            if channel.offer(&request, &mut observer)? == Offered::Refused {
                head = Some(request);
                refused = true;
                break;
            }
            sent += 1;
        }
        if refused {
            channel.wait(&mut observer);
        } else if sent < job.requests {
            channel.tick(&mut observer);
        }
    }
    channel.drain(&mut observer);
    let last = observer.last;
    channel.finish(last, &mut observer);
    Ok(())
}
