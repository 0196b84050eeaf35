//! A kernel and ordinary requests on the same channels.

use std::collections::VecDeque;
use std::sync::Arc;

use sim_core::{Cycles, Rate, Tag, Time};

use super::{DeviceKernel, Traced};
use crate::command::{Command, CommandCounts};
use crate::controller::engine::{ExecutionMode, Issued};
use crate::controller::mixed::{Done, MixedChannel, Precedence};
use crate::device::DeviceSpec;
use crate::dram::traffic::{Dimensions, Generator, Pattern};
use crate::dram::{DramError, Offered, Queues, Request};
use crate::energy;
use crate::error::ProgramError;
use crate::program::Program;

/// Ordinary requests that come to every channel while a kernel runs, evenly in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Where they go.
    pub pattern: Pattern,
    /// Bytes per second of one channel.
    pub rate: Rate,
    /// Who goes first where both wait.
    pub precedence: Precedence,
    /// Of random patterns.
    pub seed: u64,
}

/// What became of the requests of one channel that came before the kernel's end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// How many.
    pub requests: u64,
    /// How many of them were done by then.
    pub in_time: u64,
    /// From a request's arrival to its last data (a read) or its command (a write): the mean.
    pub mean: Time,
    /// The time that 99 of 100 do not exceed.
    pub most: Time,
    /// The longest.
    pub longest: Time,
}

/// Why a kernel cannot run beside requests.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TrafficError {
    /// A program that is none.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// Requests that the channel cannot take.
    #[error(transparent)]
    Request(#[from] DramError),
    /// The kernel ends beyond the time of a simulation.
    #[error("the kernel ends beyond 64 bits of picoseconds (213 days)")]
    Endless,
    /// More requests than are simulated.
    #[error(
        "{requests} requests would come to each channel before the kernel's end, and {most} are the most that are simulated"
    )]
    TooMany {
        /// How many would come.
        requests: u64,
        /// How many may.
        most: u64,
    },
}

/// The most requests to a channel: each is simulated by itself, and those that wait for a program take memory. Some hundred thousand
/// times what a kernel of microseconds meets.
const MOST_REQUESTS: u64 = 1 << 24;

impl DeviceKernel {
    /// [`Self::hbm3`] with requests on the same channels, and what became of them; both again for the same requests without the
    /// kernel. What requests move by the kernel's end counts among its bytes, their commands among its commands.
    ///
    /// # Errors
    /// [`TrafficError`].
    pub fn hbm3_beside(
        device: &DeviceSpec,
        programs: &[&Program],
        copies: u32,
        (mode, kept): (ExecutionMode, Option<usize>),
        traffic: &Traffic,
        (kind, tag): (&'static str, Tag),
    ) -> Result<(Self, [Served; 2]), TrafficError> {
        let beside = run(device, programs, (mode, kept), traffic, None)?;
        let alone = run(device, &[], (mode, None), traffic, Some(beside.served.requests))?;
        let (clock, copies) = (device.timing.clock, u64::from(copies));
        let commands = beside.commands.times(copies);
        let duration = clock.edge(Cycles(beside.end));
        let bytes: u64 = programs.iter().map(|program| program.bytes_read()).sum();
        let ordinary: u64 =
            programs.iter().map(|program| program.commands()[Command::Rd] + program.commands()[Command::Wr]).sum();
        let operations: u64 = programs.iter().map(|program| program.operations()).sum();
        let granules = ordinary + beside.served.in_time;
        let kernel = Self {
            kind,
            tag,
            duration,
            launch: clock.edge(Cycles(beside.switches)).min(duration),
            bytes: (bytes + granules * u64::from(device.organisation.granule)) * copies,
            operations: operations * copies,
            energy: Some(energy::energy(device, &commands).pj()),
            commands,
            traced: kept.map(|most| Traced::hbm3(beside.issued, copies as u32, most, beside.left_out)),
        };
        Ok((kernel, [beside.served, alone.served]))
    }
}

/// A channel's run.
struct Run {
    end: u64,
    switches: u64,
    commands: CommandCounts,
    issued: Vec<Issued>,
    left_out: u64,
    served: Served,
}

/// What a channel has told so far.
#[derive(Default)]
struct Told {
    /// Programs that have begun, when the last of them ends, and its mode switches.
    begun: usize,
    end: u64,
    switches: u64,
    /// (arrival, end) of each request that is done.
    requests: Vec<(u64, u64)>,
}

impl Told {
    fn hear(&mut self, what: Done) {
        match what {
            Done::Request(done) => self.requests.push((done.request.tag, done.done)),
            Done::Program(_, execution) => {
                self.begun += 1;
                self.end = execution.end;
                self.switches += execution.mode_switch;
            }
        }
    }
}

/// Runs one channel until its programs have ended and the requests that came before are done; without programs, so many requests.
fn run(
    device: &DeviceSpec,
    programs: &[&Program],
    (mode, kept): (ExecutionMode, Option<usize>),
    traffic: &Traffic,
    requests: Option<u64>,
) -> Result<Run, TrafficError> {
    let mut channel = MixedChannel::new(device, Queues::default(), traffic.precedence)?.with_execution(mode);
    if let Some(most) = kept {
        channel.record_most(most);
    }
    for (tag, program) in (0_u64..).zip(programs) {
        channel.submit(Arc::new((*program).clone()), tag);
    }
    let mut generator = Generator::new(Dimensions::of(&device.organisation), traffic.pattern, traffic.seed);
    let (clock, granule) = (device.timing.clock, u64::from(device.organisation.granule));
    let arrival = |number: u64| clock.cycle_at_or_after(traffic.rate.time_for(number * granule)).0;
    let mut told = Told::default();
    let (mut number, mut checked) = (0, 0);
    // What its queue has refused, the oldest first.
    let mut waiting: VecDeque<Request> = VecDeque::new();
    loop {
        let at = arrival(number);
        if requests.is_some_and(|most| number >= most) {
            break;
        }
        while channel.now() < at && !waiting.is_empty() {
            // As far as a place is free before the next request comes.
            channel.advance_to_place(&mut |what| told.hear(what))?;
            offer_all(&mut channel, &mut waiting, &mut told)?;
        }
        channel.advance(at.max(channel.now()), &mut |what| told.hear(what))?;
        // A program tells its end when it begins: before requests come all the way to it.
        if told.end > checked {
            checked = told.end;
            check(clock.edge(Cycles(told.end)), traffic.rate, granule)?;
        }
        // The last program tells its end when it begins.
        if requests.is_none() && told.begun == programs.len() && at >= told.end {
            break;
        }
        waiting.push_back(generator.generate().tagged(at));
        number += 1;
        offer_all(&mut channel, &mut waiting, &mut told)?;
    }
    while !waiting.is_empty() {
        channel.advance_to_place(&mut |what| told.hear(what))?;
        offer_all(&mut channel, &mut waiting, &mut told)?;
    }
    channel.drain(&mut |what| told.hear(what))?;
    let mut times: Vec<u64> = told.requests.iter().map(|(came, done)| done.saturating_sub(*came)).collect();
    times.sort_unstable();
    let count = times.len() as u64;
    let time = |cycles: u64| clock.edge(Cycles(cycles));
    let at = |place: u64| times.get(place as usize).copied().map_or(Time::ZERO, time);
    let sum: u64 = times.iter().sum();
    Ok(Run {
        // The channel's first cycle is 1.
        end: told.end.saturating_sub(1),
        switches: told.switches,
        commands: channel.command_counts(),
        issued: if kept.is_some() { from_zero(channel.take_trace()) } else { Vec::new() },
        left_out: channel.left_out(),
        served: Served {
            requests: count,
            in_time: told.requests.iter().filter(|(_, done)| *done <= told.end).count() as u64,
            mean: time(sum / count.max(1)),
            most: at((count * 99).div_ceil(100).saturating_sub(1)),
            longest: at(count.saturating_sub(1)),
        },
    })
}

/// The channel's first cycle is 1, and that of a kernel 0.
fn from_zero(mut issued: Vec<Issued>) -> Vec<Issued> {
    for one in &mut issued {
        one.cycle = one.cycle.saturating_sub(1);
    }
    issued
}

/// Refuses what would end never, or hardly ever.
fn check(end: Time, rate: Rate, granule: u64) -> Result<(), TrafficError> {
    if end == Time::MAX {
        return Err(TrafficError::Endless);
    }
    let requests = u128::from(end.ps()) * u128::from(rate.0) / 1_000_000_000_000 / u128::from(granule.max(1));
    if requests > u128::from(MOST_REQUESTS) {
        let requests = u64::try_from(requests).unwrap_or(u64::MAX);
        return Err(TrafficError::TooMany { requests, most: MOST_REQUESTS });
    }
    Ok(())
}

/// Offers what waits, in order, until a queue refuses.
fn offer_all(channel: &mut MixedChannel, waiting: &mut VecDeque<Request>, told: &mut Told) -> Result<(), TrafficError> {
    while let Some(request) = waiting.front() {
        if channel.offer(request, &mut |what| told.hear(what))? == Offered::Refused {
            break;
        }
        waiting.pop_front();
    }
    Ok(())
}
