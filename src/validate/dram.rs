//! Ordinary DRAM against two other simulators: what the suites `dram-golden` and `dram-totals` share.
//!
//! Both references come from the same runs: a `pattern` of requests offered in order, up to four before each tick,
//! until the queues refuse.

mod dramsim3;
mod golden;
#[cfg(test)]
mod tests;
mod totals;

pub use golden::DramGolden;
pub use totals::DramTotals;

use pim_device::Organisation;
use pim_device::dram::traffic::{Dimensions, Generator, Pattern, drive};
use pim_device::dram::{BankQueueChannel, BankQueueConfig, ChannelConfig, DramChannel, DramError, Observer};

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

/// Runs a pattern to the tick in which its last request is done.
fn run(job: &Job, observer: &mut impl Observer) -> Result<(), DramError> {
    let mut generator = Generator::new(job.dimensions, job.pattern, job.seed);
    match &job.memory {
        Memory::Ramulator(config) => drive(&mut DramChannel::new(config)?, &mut generator, job.requests, observer),
        Memory::Dramsim(config) => drive(&mut BankQueueChannel::new(config)?, &mut generator, job.requests, observer),
    }
}
