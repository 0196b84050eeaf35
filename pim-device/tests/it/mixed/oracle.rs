//! A channel for requests and programs that looks at every cycle and at nothing but the present: it has no queue by bank, no next
//! cycle to go to, and asks the whole history whether a command may be issued.

use std::collections::VecDeque;

use pim_device::command::Bus;
use pim_device::controller::mixed::Precedence;
use pim_device::dram::{Access, Completion, Queues, Request};
use pim_device::{Address, Command, DeviceSpec, Issued, Level, Parameter, Program};

use crate::oracle::{Oracle, Stepping};

/// What arrives.
#[derive(Clone)]
pub(crate) enum Arrival<'p> {
    Request(Request),
    Program(&'p Program),
}

/// A rule that the oracle breaks, to see whether the comparison notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    Nothing,
    /// A program begins although data is under way.
    NotQuiet,
    /// The lock ends with the last command instead of its result.
    UnlockedEarly,
    /// An owner is not waited for.
    OwnersWait,
    /// Requests that are begun are not counted.
    CountsNothing,
}

struct Waiting {
    request: Request,
    arrived: u64,
    number: usize,
}

struct Bank {
    open: Option<u32>,
    owner: Option<(Waiting, u64)>,
}

pub(crate) struct Outcome {
    pub(crate) trace: Vec<Issued>,
    pub(crate) completions: Vec<Completion>,
    /// (begin, end) of each program.
    pub(crate) programs: Vec<(u64, u64)>,
}

/// Runs everything that arrives, each behind the cycle that it is given with.
#[expect(clippy::too_many_lines, reason = "one cycle from top to bottom")]
pub(crate) fn run(
    device: &DeviceSpec,
    queues: Queues,
    precedence: Precedence,
    arrivals: &[(u64, Arrival<'_>)],
    broken: Broken,
) -> Outcome {
    let organisation = &device.organisation;
    let mut oracle = Oracle::new(device);
    let mut banks: Vec<Bank> =
        (0..organisation.banks_per_channel()).map(|_| Bank { open: None, owner: None }).collect();
    let bank_of = |request: &Request| organisation.node(Level::Bank, request.address) as usize;
    let mut lines: [Vec<Waiting>; 2] = [Vec::new(), Vec::new()];
    let mut programs: VecDeque<&Program> = VecDeque::new();
    let mut running: Option<(u64, Stepping)> = None;
    let (mut closing, mut begun, mut quiet, mut writes) = (false, 0, 0, false);
    let mut outcome = Outcome { trace: Vec::new(), completions: Vec::new(), programs: Vec::new() };
    let mut last_answer = 0;
    let (mut next, mut now) = (0, 0);
    loop {
        // Between `now` and the next cycle.
        while next < arrivals.len() && arrivals[next].0 <= now {
            match &arrivals[next].1 {
                Arrival::Program(program) => programs.push_back(program),
                Arrival::Request(request) => {
                    let same = |waiting: &Waiting| {
                        waiting.request.address == request.address && waiting.request.column == request.column
                    };
                    let read = request.access == Access::Read;
                    if lines[1].iter().any(same) {
                        last_answer = if read { last_answer.max(now + 1) } else { last_answer };
                        let done = if read { last_answer } else { now };
                        outcome.completions.push(Completion { request: *request, arrived: now, done });
                    } else {
                        let (line, most) = if read { (0, queues.read) } else { (1, queues.write) };
                        if lines[line].len() >= most as usize {
                            // The rest waits outside, in order.
                            break;
                        }
                        lines[line].push(Waiting { request: *request, arrived: now, number: next });
                    }
                }
            }
            next += 1;
        }
        let waiting = lines[0].len() + lines[1].len();
        let idle = banks.iter().all(|bank| bank.owner.is_none()) && running.is_none();
        if next == arrivals.len() && waiting == 0 && programs.is_empty() && idle {
            outcome.trace = oracle.trace;
            outcome.trace.sort_by_key(|issued| (issued.cycle, issued.command.bus() == Bus::Column));
            return outcome;
        }
        now += 1;
        assert!(now < 10_000_000, "stuck");
        oracle.now = now;
        oracle.used = [false; 2];

        // A program runs: its end is the first cycle that is no longer its own.
        if let Some((begin, stepping)) = &mut running {
            match stepping.end() {
                Some(_) => {}
                None => stepping.cycle(&mut oracle),
            }
            match stepping.end() {
                Some(end) if now >= end || broken == Broken::UnlockedEarly => {
                    outcome.programs.push((*begin, end));
                    running = None;
                }
                _ => {
                    oracle.refresh(None);
                    continue;
                }
            }
        }
        closing |= !programs.is_empty()
            && match precedence {
                Precedence::Program => true,
                Precedence::Requests { most } => {
                    lines.iter().all(Vec::is_empty) || most.is_some_and(|most| begun >= most)
                }
            };
        let closed = banks.iter().all(|bank| bank.open.is_none());
        if closing && closed && (now >= quiet || broken == Broken::NotQuiet) {
            let program = programs.pop_front().unwrap();
            let mut stepping = Stepping::new(program, now);
            oracle.blocked_until = 0;
            if stepping.end() == Some(now) {
                // Nothing to do: over at once, the channel is free in the next cycle.
                oracle.refresh(None);
                outcome.programs.push((now, now));
            } else {
                stepping.cycle(&mut oracle);
                running = Some((now, stepping));
            }
            (closing, begun) = (false, 0);
            continue;
        }
        let refresh_waits = oracle.due <= now;

        // The column bus: owners, then requests for open rows.
        let mut served = false;
        let mut order: Vec<usize> = (0..banks.len()).filter(|&bank| banks[bank].owner.is_some()).collect();
        order.sort_by_key(|&bank| banks[bank].owner.as_ref().map(|(waiting, since)| (waiting.arrived, *since)));
        let mut access = |oracle: &mut Oracle<'_>, waiting: &Waiting| {
            let (command, latency) = match waiting.request.access {
                Access::Read => (Command::Rd, device.timing.get(Parameter::Cl) + device.timing.get(Parameter::Bl)),
                Access::Write => (Command::Wr, 0),
            };
            if !oracle.issue(command, waiting.request.address) {
                return false;
            }
            quiet = quiet.max(oracle.result(command));
            let mut done = now + u64::from(latency);
            if command == Command::Rd {
                last_answer = last_answer.max(done);
                done = last_answer;
            }
            outcome.completions.push(Completion { request: waiting.request, arrived: waiting.arrived, done });
            true
        };
        for bank in order {
            let owner = &mut banks[bank].owner;
            if !served && owner.as_ref().is_some_and(|(waiting, _)| access(&mut oracle, waiting)) {
                *owner = None;
                served = true;
            }
        }
        let mut which = |lines: &[Vec<Waiting>; 2]| {
            let (reads, waiting) = (lines[0].len(), lines[1].len() as u32);
            writes = if writes {
                !(waiting <= queues.write_low && reads > 0)
            } else {
                waiting >= queues.write_high || reads == 0
            };
            usize::from(writes)
        };
        if !served && !refresh_waits && !closing {
            let line = which(&lines);
            let hit = lines[line].iter().position(|waiting| {
                banks[bank_of(&waiting.request)].open == Some(waiting.request.address.row)
                    && access(&mut oracle, waiting)
            });
            if let Some(place) = hit {
                lines[line].remove(place);
                begun += u32::from(!programs.is_empty() && broken != Broken::CountsNothing);
            }
        }

        // The row bus.
        let owned = banks.iter().any(|bank| bank.owner.is_some()) && broken != Broken::OwnersWait;
        let open = banks.iter().any(|bank| bank.open.is_some());
        if (closing && !served) || (!closing && refresh_waits) {
            if owned {
                continue;
            }
            if open {
                if oracle.issue(Command::PreA, Address::default()) {
                    quiet = quiet.max(oracle.result(Command::PreA));
                    for bank in &mut banks {
                        bank.open = None;
                    }
                }
            } else if refresh_waits && oracle.issue(Command::RefAb, Address::default()) {
                oracle.due += u64::from(device.timing.get(Parameter::Refi));
            }
            continue;
        }
        if closing {
            continue;
        }
        let line = which(&lines);
        let found = lines[line].iter().position(|waiting| {
            let (address, bank) = (waiting.request.address, &banks[bank_of(&waiting.request)]);
            match bank.open {
                None => oracle.issue(Command::Act, address),
                Some(row) => row != address.row && bank.owner.is_none() && oracle.issue(Command::Pre, address),
            }
        });
        let Some(place) = found else { continue };
        let bank = bank_of(&lines[line][place].request);
        if banks[bank].open.is_some() {
            quiet = quiet.max(oracle.result(Command::Pre));
            banks[bank].open = None;
        } else {
            let waiting = lines[line].remove(place);
            debug_assert!(waiting.number < arrivals.len());
            banks[bank].open = Some(waiting.request.address.row);
            banks[bank].owner = Some((waiting, now));
            begun += u32::from(!programs.is_empty() && broken != Broken::CountsNothing);
        }
    }
}
