//! The hold model (Jones: "An empirical comparison of priority-queue and event-set implementations", CACM 29, 1986):
//! so many pending timers, each set again when it expires. What the pending-event set costs at each size.

use super::{Actor, Outbox, System, delays, split_mix};

/// The one actor.
#[derive(Debug)]
pub struct Hold {
    random: u64,
    events: u64,
    times: u64,
    end: u64,
    delays: &'static [u64; 4_096],
}

impl Hold {
    /// `pending` timers until `end`.
    pub fn system(pending: u32, end: u64) -> System<Self> {
        let mut actor = Self { random: 1, events: 0, times: 0, end, delays: delays() };
        let starts = (0..pending).map(|_| (0, actor.delay(), ())).collect();
        System { actors: vec![actor], starts }
    }

    fn delay(&mut self) -> u64 {
        // Low bits break up the 4,096 values, so that a million timers are not all at the same few times.
        let bits = split_mix(&mut self.random);
        self.delays[bits as usize % 4_096] + (bits >> 56)
    }
}

impl Actor for Hold {
    type Message = ();

    #[inline(always)]
    fn handle(&mut self, now: u64, (): (), outbox: &mut impl Outbox<()>) {
        if now >= self.end {
            return;
        }
        self.events += 1;
        self.times = self.times.wrapping_mul(31).wrapping_add(now);
        let delay = self.delay();
        outbox.send(0, delay, ());
    }

    fn events(&self) -> u64 {
        self.events
    }

    fn digest(&self) -> u64 {
        self.times ^ self.random
    }
}
