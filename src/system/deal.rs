//! Which thread runs which actors.
//!
//! The GPU, the host, the links and the copy engines tell each other of everything at once, so they stay together on
//! the first thread. PIM channels hear of the GPU and are heard only by way of a hand-over, and their programs are most
//! of the work: they are dealt to all threads.

use std::fmt;
use std::time::Duration;

use sim_core::{ActorId, Plan, Time};

/// What a message costs, planned and delivered, in steps of a PIM program (a command, or a run of MACs). This and
/// [`TASK`] are set so that two threads of `pim-pool` take equally much CPU time, planning and reports included. Equal
/// instructions are not equal times: a step runs from the nearest cache, while a task is met once and comes from memory
/// (20.5 M steps took 0.45 s; the 10,500 tasks and their messages, 3.3 M steps by their instructions, 0.13 s).
pub(super) const MESSAGE: u64 = 14;
/// What a task costs the first thread besides its messages: to plan, to sort its span and to write it to the reports.
pub(super) const TASK: u64 = 330;
/// What threads must have to do in each attention of a layer, in steps, to be worth the parcels that they exchange: about
/// a hundred microseconds, against a few for a parcel. Measured: below it two threads are slower than one.
const LEAST: u64 = 5_000;

/// How long the first thread works besides the run, of which it has `planned` for so long. It decides who helps whom, where
/// [`TASK`] decides where the work begins. The reports of `pim-pool` take half as long as its plan (measured: 25 and 50 ms);
/// assumption: so do those of others.
pub(super) fn besides(planned: Duration) -> Duration {
    planned + planned / 2
}

/// What there is to be dealt.
#[derive(Clone, Debug, Default)]
pub(super) struct Work {
    /// How many actors there are.
    pub(super) actors: usize,
    /// The PIM channel classes that have programs: who, and their steps.
    pub(super) classes: Vec<(ActorId, u64)>,
    /// Everything else, in the same unit.
    pub(super) rest: u64,
    /// How often attention comes: layers times tokens.
    pub(super) attentions: u64,
    /// The least time that news between a class and any other actor takes.
    pub(super) lookahead: Time,
}

/// Why a system runs on one thread although more were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OneThread {
    /// No PIM channel has a program.
    NoPim,
    /// One actor stands for all PIM channels that have programs.
    OneClass,
    /// News between GPU and PIM takes no time.
    NoLookahead,
    /// Steps of PIM programs in one attention.
    LittleWork(u64),
    /// A limit on messages is met in the order of one thread.
    MaxEvents,
}

impl fmt::Display for OneThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPim => {
                f.write_str("no PIM programs, and all other actors tell each other of everything without delay")
            }
            Self::OneClass => f.write_str("all PIM channels with programs run the same ones and are simulated once"),
            Self::NoLookahead => f.write_str("news between GPU and PIM takes no time (pim.launch and pim.flag are 0)"),
            Self::LittleWork(steps) => write!(
                f,
                "the PIM programs of one attention have {steps} steps, fewer than the {LEAST} that are worth a second \
                 thread"
            ),
            Self::MaxEvents => f.write_str("--max-events counts messages in the order of one thread"),
        }
    }
}

/// Deals the classes to at most `threads` partitions, the longest first to the least loaded.
pub(super) fn deal(work: &Work, threads: usize) -> Result<Plan, OneThread> {
    let steps: u64 = work.classes.iter().map(|(_, steps)| steps).sum();
    let each = steps / work.attentions.max(1);
    match work.classes.len() {
        0 => return Err(OneThread::NoPim),
        1 => return Err(OneThread::OneClass),
        _ if work.lookahead == Time::ZERO => return Err(OneThread::NoLookahead),
        _ if each < LEAST => return Err(OneThread::LittleWork(each)),
        _ => {}
    }
    let mut classes = work.classes.clone();
    classes.sort_by_key(|&(actor, steps)| (std::cmp::Reverse(steps), actor));
    // Every thread gets one class at least.
    let mut loads = vec![0; threads.min(classes.len())];
    loads[0] = work.rest;
    let mut partitions = vec![0; work.actors];
    for (actor, steps) in classes {
        // Of equals the last one: the first thread has the reports to write, too.
        let least = (0..loads.len()).rev().min_by_key(|&partition| loads[partition]).unwrap_or(0);
        loads[least] += steps;
        partitions[actor.index()] = least as u32;
    }
    tracing::debug!(?loads, rest = work.rest, "dealt");
    Ok(Plan { partitions, lookahead: work.lookahead })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(steps: &[u64], rest: u64) -> Work {
        let mut simulation = sim_core::Simulation::<super::super::node::Node>::new(1);
        let keys = steps.iter().map(|_| simulation.reserve::<pim_device::Controller>("class").id());
        Work {
            actors: steps.len(),
            classes: keys.zip(steps.iter().copied()).collect(),
            rest,
            attentions: 1,
            lookahead: Time::from_ns(1),
        }
    }

    /// The load of each partition.
    fn loads(work: &Work, threads: usize) -> Vec<u64> {
        let plan = deal(work, threads).unwrap();
        let mut loads = vec![0; plan.count()];
        loads[0] = work.rest;
        for (actor, steps) in &work.classes {
            loads[plan.partitions[actor.index()] as usize] += steps;
        }
        loads
    }

    #[test]
    fn are_the_threads_loaded_alike() {
        let steps: Vec<u64> = (1..=64).map(|n| n * 1_000).collect();
        assert_eq!(loads(&work(&steps, 0), 2), [1_040_000, 1_040_000]);
        let three = loads(&work(&steps, 30_000), 3);
        assert!(three.iter().max().unwrap() - three.iter().min().unwrap() <= 1_000, "{three:?}");
        // Where all the rest is much, the first thread gets no class, and every other one still has one.
        assert_eq!(loads(&work(&[9_000, 8_000], 50_000), 8), [50_000, 17_000]);
        assert_eq!(loads(&work(&[9_000, 8_000, 7_000], 50_000), 3), [50_000, 15_000, 9_000]);
    }

    #[test]
    fn does_it_say_why_one_thread_has_to_do() {
        let refused = |work: &Work| deal(work, 2).unwrap_err();
        assert_eq!(refused(&work(&[], 5)), OneThread::NoPim);
        assert_eq!(refused(&work(&[1_000_000], 5)), OneThread::OneClass);
        assert_eq!(refused(&work(&[2_000, 2_999], 5)), OneThread::LittleWork(4_999));
        let work = Work { lookahead: Time::ZERO, ..work(&[1_000_000, 1_000_000], 5) };
        assert_eq!(refused(&work), OneThread::NoLookahead);
    }
}
