//! Windows: what has to wait for the n-th last command.

#![allow(clippy::inline_always, reason = "asked for each command")]

use std::collections::VecDeque;

use super::effect::{Raise, raise_more};
use super::{ALL, LANES, SPARE};
use crate::dram::offset::Offset;

/// What a command at a bank makes wait for the n-th last command of its node.
#[derive(Clone, Debug)]
pub(super) struct Window<T> {
    /// Which of the windows and nodes it is.
    memory: usize,
    latency: T,
    /// The tick that is raised, for it is nearly always one.
    tick: u16,
    more: Option<Box<More<T>>>,
}

/// What else a window raises, and further windows.
#[derive(Clone, Debug)]
struct More<T> {
    raises: Vec<Raise<T>>,
    window: Option<Window<T>>,
}

impl<T: Offset> Window<T> {
    pub(super) fn new(memory: usize, latency: T, mut raises: Vec<Raise<T>>, further: Option<Self>) -> Self {
        let mut tick = (SPARE * LANES) as u16;
        if let [Raise { row, latencies }] = raises.as_slice()
            && latencies.iter().filter(|latency| **latency == T::ZERO).count() == 1
            && let Some(lane) = latencies.iter().position(|latency| *latency == T::ZERO)
        {
            tick = row * LANES as u16 + lane as u16;
            raises.clear();
        }
        let more = !raises.is_empty() || further.is_some();
        Self { memory, latency, tick, more: more.then(|| Box::new(More { raises, window: further })) }
    }

    /// Notes a command at `now`, and raises what waits for the oldest of the window.
    #[inline(always)]
    pub(super) fn slide(&self, now: T, ready: &mut [T; ALL * LANES], memories: &mut [Memory<T>]) {
        let free = memories[self.memory].slide(now.plus(self.latency));
        let tick = &mut ready[usize::from(self.tick) % (ALL * LANES)];
        *tick = (*tick).max(free);
        if let Some(more) = &self.more {
            more.slide((now, free), ready, memories);
        }
    }
}

impl<T: Offset> More<T> {
    #[inline(never)]
    pub(super) fn slide(&self, (now, free): (T, T), ready: &mut [T; ALL * LANES], memories: &mut [Memory<T>]) {
        raise_more(&self.raises, free, ready);
        if let Some(window) = &self.window {
            window.slide(now, ready, memories);
        }
    }
}

/// Commands of a window that are kept in a row.
pub(super) const FEW: usize = 4;

/// State: when each of the last commands of a window at a node stops counting, the oldest first.
#[derive(Clone, Debug)]
pub(super) struct Memory<T> {
    /// Commands before those in the row.
    older: VecDeque<T>,
    last: [T; FEW],
    /// Where the oldest in the row is.
    first: usize,
}

impl<T: Offset> Memory<T> {
    pub(super) fn new(window: usize) -> Self {
        Self {
            older: vec![T::ZERO; window.saturating_sub(FEW)].into(),
            last: [T::ZERO; FEW],
            first: FEW.saturating_sub(window),
        }
    }

    /// Notes when a command stops counting; says when the oldest of the window does.
    #[inline(always)]
    pub(super) fn slide(&mut self, end: T) -> T {
        let [oldest, second, third, fourth] = self.last;
        self.last = [second, third, fourth, end];
        if self.older.is_empty() { self.last[self.first % FEW] } else { self.slide_older(oldest) }
    }

    #[inline(never)]
    fn slide_older(&mut self, next: T) -> T {
        self.older.pop_front();
        self.older.push_back(next);
        self.older.front().copied().unwrap_or(next)
    }

    pub(super) fn ends(&mut self) -> [&mut [T]; 3] {
        let (one, other) = self.older.as_mut_slices();
        [one, other, &mut self.last]
    }
}
