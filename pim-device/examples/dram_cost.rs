//! Runs a pattern of requests on a channel of a standard and prints what it took, to be counted under callgrind:
//! `valgrind --tool=callgrind --callgrind-out-file=/dev/null dram_cost STANDARD ORGANISATION TIMING none|all|bank PATTERN REQUESTS`.

use pim_device::dram::traffic::{Dimensions, Generator, Pattern, drive};
use pim_device::dram::{ChannelConfig, Completion, DramChannel, Observer, Refresh, Target};
use pim_device::{Command, CommandCounts};

/// What a suite counts too.
#[derive(Default)]
struct Totals {
    commands: CommandCounts,
    latency: u64,
    last: u64,
}

impl Observer for Totals {
    fn issued(&mut self, _: u64, command: Command, _: Target<'_>) {
        self.commands[command] += 1;
    }

    fn completed(&mut self, completion: &Completion) {
        self.last = self.last.max(completion.done);
        self.latency += completion.done - completion.arrived;
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [standard, organisation, timing, refresh, pattern, requests] = arguments.as_slice() else {
        return Err("dram_cost STANDARD ORGANISATION TIMING none|all|bank PATTERN REQUESTS".into());
    };
    let refresh = match refresh.as_str() {
        "none" => Refresh::None,
        "bank" => Refresh::PerBank,
        _ => Refresh::AllBank,
    };
    let config = ChannelConfig::preset(standard, organisation, timing)?.with_refresh(refresh);
    let pattern: Pattern = pattern.parse().map_err(|()| format!("the patterns are {}", Pattern::names()))?;
    let requests = requests.parse()?;
    let mut generator = Generator::new(Dimensions::of(&config.organisation), pattern, 42);
    let mut totals = Totals::default();
    drive(&mut DramChannel::new(&config)?, &mut generator, requests, &mut totals)?;
    let Totals { commands, latency, last } = totals;
    println!("{requests} requests: {last} ticks, {} commands, latencies {latency} ticks", commands.total());
    Ok(())
}
