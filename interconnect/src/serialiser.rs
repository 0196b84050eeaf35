//! What links and host ports have in common: one wire that sends one chunk after the other.

use sim_core::time::PS_PER_SECOND;
use sim_core::{Meter, Rate, Time};

/// When a chunk's first and last byte leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The first byte leaves.
    pub start: Time,
    /// The last byte leaves.
    pub finish: Time,
}

/// A first-in-first-out server of bytes.
///
/// A chunk holds the wire for its bytes over the rate. Where its bytes come in more slowly than that, its last byte
/// leaves when it has come, and the gaps are free for the next chunk: packets of several chunks interleave. So in any
/// window the wire carries at most rate times window, plus one chunk (law 4, with the chunk as the packet).
#[derive(Debug)]
pub struct Serialiser {
    /// Configuration.
    rate: Rate,
    /// State: when the bytes accepted so far are out.
    free_at: Time,
    /// State: when the small packets accepted so far are out.
    small_free_at: Time,
    /// Statistics: bytes on the wire.
    bytes: u64,
    /// Statistics.
    busy: Time,
}

impl Serialiser {
    /// An idle wire of `rate` bytes per second.
    pub const fn new(rate: Rate) -> Self {
        Self { rate, free_at: Time::ZERO, small_free_at: Time::ZERO, bytes: 0, busy: Time::ZERO }
    }

    /// Accepts `bytes` whose first comes now and whose last comes `tail` later.
    pub fn accept(&mut self, now: Time, bytes: u64, tail: Time) -> Slot {
        let time = self.rate.time_for(bytes);
        let start = now.max(self.free_at);
        self.free_at = start + time;
        self.bytes += bytes;
        self.busy += time;
        Slot { start, finish: self.free_at.max(now + tail) }
    }

    /// Accepts `bytes` of small packets that pass between the packets of the chunks before them, as links arbitrate by
    /// the packet: they take their time of the wire and wait for each other, but not for the chunks.
    pub fn slip_in(&mut self, now: Time, bytes: u64, tail: Time) -> Slot {
        let time = self.rate.time_for(bytes);
        let start = now.max(self.small_free_at);
        self.small_free_at = start + time;
        self.free_at = self.free_at.max(now) + time;
        self.bytes += bytes;
        self.busy += time;
        Slot { start, finish: self.small_free_at.max(now + tail) }
    }

    /// The totals.
    pub const fn meter(&self) -> Meter {
        Meter { amount: self.bytes, peak: self.rate, busy: self.busy }
    }

    /// The totals at `at`, which no chunk came after: from then on the wire is busy without a gap until it is free, and
    /// what goes over it then does not count yet.
    pub fn meter_at(&self, at: Time) -> Meter {
        let ahead = self.free_at.since(at);
        let bytes = u128::from(self.rate.0) * u128::from(ahead.ps()) / u128::from(PS_PER_SECOND);
        let amount = self.bytes.saturating_sub(u64::try_from(bytes).unwrap_or(u64::MAX));
        Meter { amount, peak: self.rate, busy: self.busy.since(ahead) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The time that each chunk holds the wire, from a list of (arrival, bytes, tail) in ps and bytes.
    fn slots(rate: Rate, chunks: &[(u64, u64, u64)]) -> Vec<(Slot, u64)> {
        let mut wire = Serialiser::new(rate);
        let accept =
            |&(at, bytes, tail): &(u64, u64, u64)| (wire.accept(Time::from_ps(at), bytes, Time::from_ps(tail)), bytes);
        chunks.iter().map(accept).collect()
    }

    /// Law 4: between the start of any chunk and the start of any later one, no more bytes than the rate allows.
    fn peak_holds(rate: Rate, slots: &[(Slot, u64)]) -> bool {
        (0..slots.len()).all(|first| {
            (first + 1..slots.len()).all(|last| {
                let sent = slots[first..last].iter().map(|(_, bytes)| bytes).sum();
                slots[last].0.start.since(slots[first].0.start) >= rate.time_for(sent)
            })
        })
    }

    const RATE: Rate = Rate(1_000_000_000_000); // one byte per picosecond

    #[test]
    fn law_4_a_wire_never_carries_more_than_its_rate() {
        let chunks: Vec<_> = (0..200).map(|i| (i * 37 % 500 + i * 3, i * 91 % 60, i * 17 % 80)).collect();
        let mut chunks = chunks;
        chunks.sort_unstable();
        assert!(peak_holds(RATE, &slots(RATE, &chunks)));
    }

    #[test]
    fn law_4_is_seen_to_be_broken_by_a_wire_that_forgets_it_is_busy() {
        let mut wrong = slots(RATE, &[(0, 100, 0), (10, 100, 0), (20, 100, 0)]);
        assert!(peak_holds(RATE, &wrong));
        wrong[1].0.start = Time::from_ps(10);
        assert!(!peak_holds(RATE, &wrong));
    }

    #[test]
    fn a_chunk_waits_for_the_one_before_it() {
        let slots = slots(RATE, &[(0, 100, 0), (30, 50, 0)]);
        assert_eq!(slots[1].0, Slot { start: Time::from_ps(100), finish: Time::from_ps(150) });
    }

    #[test]
    fn small_packets_slip_in_but_take_their_time() {
        let mut wire = Serialiser::new(RATE);
        wire.accept(Time::ZERO, 100, Time::ZERO);
        let slot = wire.slip_in(Time::from_ps(10), 5, Time::ZERO);
        assert_eq!(slot, Slot { start: Time::from_ps(10), finish: Time::from_ps(15) });
        // Many of them are not faster than the wire (law 4), and chunks wait for them all.
        let slot = wire.slip_in(Time::from_ps(12), 50, Time::ZERO);
        assert_eq!(slot, Slot { start: Time::from_ps(15), finish: Time::from_ps(65) });
        assert_eq!(wire.accept(Time::from_ps(20), 1, Time::ZERO).start, Time::from_ps(155));
    }

    #[test]
    fn the_last_byte_leaves_no_sooner_than_it_came() {
        let slots = slots(RATE, &[(0, 100, 400), (0, 100, 0)]);
        assert_eq!(slots[0].0.finish, Time::from_ps(400));
        assert_eq!(slots[1].0.finish, Time::from_ps(200));
    }
}
