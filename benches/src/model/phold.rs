//! PHOLD (Fujimoto: "Performance of Time Warp under synthetic workloads", 1990): every message is sent on to an actor
//! drawn uniformly, after one tick plus an exponential time.

use super::{Actor, Outbox, System, delays, split_mix};

/// An actor of PHOLD.
#[derive(Debug)]
pub struct Phold {
    random: u64,
    events: u64,
    times: u64,
    end: u64,
    actors: u32,
    delays: &'static [u64; 4_096],
}

impl Phold {
    /// `actors` (a power of two) with `population` messages each, until `end`.
    pub fn system(actors: u32, population: u32, end: u64) -> System<Self> {
        let delays = delays();
        let mut all: Vec<Self> =
            (0..actors).map(|i| Self { random: i.into(), events: 0, times: 0, end, actors, delays }).collect();
        let mut starts = Vec::new();
        for (i, actor) in all.iter_mut().enumerate() {
            for _ in 0..population {
                let bits = split_mix(&mut actor.random);
                starts.push((i as u32, delays[bits as usize % 4_096], ()));
            }
        }
        System { actors: all, starts }
    }
}

impl Actor for Phold {
    type Message = ();

    #[inline(always)]
    fn handle(&mut self, now: u64, (): (), outbox: &mut impl Outbox<()>) {
        if now >= self.end {
            return;
        }
        self.events += 1;
        self.times = self.times.wrapping_add(now);
        let bits = split_mix(&mut self.random);
        let to = (bits >> 32) as u32 & (self.actors - 1);
        outbox.send(to, self.delays[bits as usize % 4_096], ());
    }

    fn events(&self) -> u64 {
        self.events
    }

    fn digest(&self) -> u64 {
        self.times ^ self.random
    }
}
