//! Ordinary DRAM against two other simulators: what the suites `dram-golden` and `dram-totals` share.
//!
//! Both references come from the same runs: a [`pattern`] of requests offered in order, up to four before each tick,
//! until the queues refuse.

mod golden;
mod pattern;
mod totals;

pub use golden::DramGolden;
pub use totals::DramTotals;

use pattern::{Dimensions, Generator, Pattern};
use pim_device::dram::{ChannelConfig, Completion, DramChannel, DramError, Observer, Offered, Request};

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
    config: ChannelConfig,
    dimensions: Dimensions,
    pattern: Pattern,
    seed: u64,
    requests: u64,
}

/// Keeps the tick in which the run stops.
struct Stop<'a, O> {
    inner: &'a mut O,
    /// The last tick that has to run.
    last: u64,
}

impl<O: Observer> Observer for Stop<'_, O> {
    fn issued(&mut self, tick: u64, command: pim_device::Command, target: pim_device::dram::Target<'_>) {
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
    let mut channel = DramChannel::new(&job.config)?;
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
            channel.advance_to_place(&mut observer);
        } else if sent < job.requests {
            channel.advance(channel.now() + 1, &mut observer);
        }
    }
    channel.drain(&mut observer);
    let last = observer.last;
    channel.advance(last, &mut observer);
    Ok(())
}
