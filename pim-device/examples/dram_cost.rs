//! Runs a pattern of requests on a channel of a standard and prints what it took, to be counted under callgrind:
//! `valgrind --tool=callgrind --callgrind-out-file=/dev/null dram_cost STANDARD ORGANISATION TIMING none|all|bank PATTERN REQUESTS`.
//!
//! `dram_cost dramsim3 DDR4_8Gb_x8_2400|HBM2_4Gb_x128 PATTERN REQUESTS` does so with the controller of a queue for each bank.

use pim_device::dram::traffic::{Channel, Dimensions, Generator, Pattern, Totals, drive};
use pim_device::dram::{BankQueueChannel, BankQueueConfig, ChannelConfig, DramChannel, Refresh};
use pim_device::{Organisation, Parameter, Timing};
use sim_core::ClockDomain;

/// Two device files of DRAMsim3, in ticks as [`pim_device::dram::bank_queue::RULES`] reads them.
fn device(name: &str) -> Option<BankQueueConfig> {
    use Parameter as P;
    let (two_buses, rows, columns, granule, times) = match name {
        "DDR4_8Gb_x8_2400" => {
            (false, 65_536, 128, 64, [17, 12, 4, 17, 17, 17, 39, 56, 18, 9, 4, 6, 4, 6, 3, 9, 10, 26, 420, 9_360])
        }
        "HBM2_4Gb_x128" => {
            (true, 16_384, 32, 64, [14, 4, 2, 14, 14, 14, 34, 48, 16, 5, 2, 2, 4, 6, 6, 8, 14, 30, 260, 3_900])
        }
        _ => return None,
    };
    let names = [
        P::Cl,
        P::Cwl,
        P::Bl,
        P::RcdRd,
        P::RcdWr,
        P::Rp,
        P::Ras,
        P::Rc,
        P::Wr,
        P::Rtp,
        P::CcdS,
        P::CcdL,
        P::RrdS,
        P::RrdL,
        P::WtrS,
        P::WtrL,
        P::Rtw,
        P::Faw,
        P::Rfc,
        P::Refi,
    ];
    let figures: Vec<(Parameter, u32)> = names.into_iter().zip(times).collect();
    Some(BankQueueConfig {
        organisation: Organisation {
            channels: 1,
            pseudo_channels: 1,
            ranks: 1,
            bank_groups: 4,
            banks: 4,
            rows,
            columns,
            granule,
        },
        timing: Timing::new(name, ClockDomain::new(1_000, 1)?, &figures),
        two_buses,
        transactions: 32,
        commands: 8,
        most_hits: 4,
        idle_writes: 8,
    })
}

fn run(
    channel: &mut impl Channel,
    organisation: &Organisation,
    pattern: &str,
    requests: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    let pattern: Pattern = pattern.parse().map_err(|()| format!("the patterns are {}", Pattern::names()))?;
    let requests = requests.parse()?;
    let mut generator = Generator::new(Dimensions::of(organisation), pattern, 42);
    let mut totals = Totals::default();
    drive(channel, &mut generator, requests, &mut totals)?;
    let Totals { commands, latency, last, .. } = totals;
    println!("{requests} requests: {last} ticks, {} commands, latencies {latency} ticks", commands.total());
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [controller, name, pattern, requests] = arguments.as_slice()
        && controller == "dramsim3"
    {
        let config = device(name).ok_or("the devices are DDR4_8Gb_x8_2400 and HBM2_4Gb_x128")?;
        return run(&mut BankQueueChannel::new(&config)?, &config.organisation, pattern, requests);
    }
    let [standard, organisation, timing, refresh, pattern, requests] = arguments.as_slice() else {
        return Err("dram_cost STANDARD ORGANISATION TIMING none|all|bank PATTERN REQUESTS".into());
    };
    let refresh = match refresh.as_str() {
        "none" => Refresh::None,
        "bank" => Refresh::PerBank,
        _ => Refresh::AllBank,
    };
    let config = ChannelConfig::preset(standard, organisation, timing)?.with_refresh(refresh);
    run(&mut DramChannel::new(&config)?, &config.organisation, pattern, requests)
}
