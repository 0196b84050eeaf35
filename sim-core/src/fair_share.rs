//! A resource shared by whatever runs at once: every job gets an equal part, up to what it can take.
//!
//! Max-min fair sharing, recomputed when a job comes or goes. All arithmetic is in integers: what is left of a job is
//! kept in units of 1e-12 of a byte (or operation), so that rate times picoseconds is exact.

use crate::time::{PS_PER_SECOND, Rate, Time};

#[derive(Clone, Copy, Debug)]
struct Job<K> {
    key: K,
    /// In 1e-12 units.
    remaining: u128,
    cap: u64,
    rate: u64,
}

/// The jobs in service and how fast each is served. `K` names a job to its owner.
///
/// ```
/// use sim_core::{FairShare, Rate, Time};
/// let mut memory = FairShare::new(Rate(1_000)); // bytes per second
/// memory.add(Time::ZERO, "a", 1_000, None);
/// memory.add(Time::ZERO, "b", 250, None);
/// assert_eq!(memory.next_finish(), Some(Time::from_us(500_000))); // b at half the rate
/// assert_eq!(memory.take_finished(Time::from_us(500_000)), ["b"]);
/// assert_eq!(memory.next_finish(), Some(Time::from_us(1_250_000))); // a alone with its other 750
/// ```
#[derive(Debug)]
pub struct FairShare<K> {
    /// Configuration: units per second in all.
    capacity: Rate,
    /// State.
    jobs: Vec<Job<K>>,
    /// State: up to when `remaining` is true.
    last: Time,
    /// Statistics: units served to jobs that ended.
    served: u64,
    /// Statistics: time with a job in service.
    busy: Time,
}

impl<K: Copy> FairShare<K> {
    /// A resource that serves `capacity` units per second.
    pub const fn new(capacity: Rate) -> Self {
        Self { capacity, jobs: Vec::new(), last: Time::ZERO, served: 0, busy: Time::ZERO }
    }

    /// The whole resource's rate.
    pub const fn capacity(&self) -> Rate {
        self.capacity
    }

    /// Jobs in service.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether nothing is in service.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Units served in full so far, and the time with a job in service.
    pub const fn totals(&self) -> (u64, Time) {
        (self.served, self.busy)
    }

    /// [`Self::totals`] as they stand at `at`: what the jobs in service still need does not count yet.
    pub fn totals_at(&self, at: Time) -> (u64, Time) {
        let waited = at.since(self.last);
        let left = |job: &Job<K>| job.remaining.saturating_sub(u128::from(job.rate) * u128::from(waited.ps()));
        let left: u128 = self.jobs.iter().map(left).sum();
        let left = u64::try_from(left.div_ceil(u128::from(PS_PER_SECOND))).unwrap_or(u64::MAX);
        let busy = if self.jobs.is_empty() { self.busy } else { self.busy + waited };
        (self.served.saturating_sub(left), busy)
    }

    /// The rates now given to the jobs, in the order in which they came. Their sum never exceeds the capacity (law 4).
    pub fn rates(&self) -> impl Iterator<Item = Rate> {
        self.jobs.iter().map(|job| Rate(job.rate))
    }

    fn advance(&mut self, now: Time) {
        let elapsed = u128::from(now.since(self.last).ps());
        if !self.jobs.is_empty() {
            self.busy += now.since(self.last);
        }
        for job in &mut self.jobs {
            job.remaining = job.remaining.saturating_sub(u128::from(job.rate) * elapsed);
        }
        self.last = now;
    }

    /// Water-filling: the jobs with the least caps first, what they leave is shared by the others.
    fn share(&mut self) {
        let mut left = self.capacity.0;
        let mut open = self.jobs.len() as u64;
        // Few jobs run at once, so a scan per distinct cap is cheaper than a sort.
        for job in &mut self.jobs {
            job.rate = 0;
        }
        while open > 0 {
            let share = left / open;
            let mut capped = 0;
            for job in self.jobs.iter_mut().filter(|job| job.rate == 0 && job.cap <= share) {
                job.rate = job.cap;
                left -= job.cap;
                capped += 1;
            }
            if capped == 0 {
                for job in self.jobs.iter_mut().filter(|job| job.rate == 0) {
                    job.rate = share;
                }
                break;
            }
            open -= capped;
        }
    }

    /// Takes a job of `amount` units into service at `now`, at most at the rate `cap`.
    pub fn add(&mut self, now: Time, key: K, amount: u64, cap: Option<Rate>) {
        self.advance(now);
        self.served += amount;
        let remaining = u128::from(amount) * u128::from(PS_PER_SECOND);
        self.jobs.push(Job { key, remaining, cap: cap.map_or(u64::MAX, |cap| cap.0.max(1)), rate: 0 });
        self.share();
    }

    /// When the next job ends if nothing else comes, rounded up to a picosecond. A resource of rate zero never ends.
    pub fn next_finish(&self) -> Option<Time> {
        let finish = |job: &Job<K>| match (job.remaining, job.rate) {
            (0, _) => Time::ZERO,
            (_, 0) => Time::MAX,
            (left, rate) => Time::from_ps(u64::try_from(left.div_ceil(u128::from(rate))).unwrap_or(u64::MAX)),
        };
        self.jobs.iter().map(finish).min().map(|wait| self.last + wait)
    }

    /// Ends the jobs that are done at `now` and names them, in the order in which they came.
    pub fn take_finished(&mut self, now: Time) -> Vec<K> {
        self.advance(now);
        let done = self.jobs.iter().filter(|job| job.remaining == 0).map(|job| job.key).collect();
        self.jobs.retain(|job| job.remaining > 0);
        self.share();
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capped_job_leaves_the_rest_to_the_others() {
        let mut pool = FairShare::new(Rate(1_000));
        pool.add(Time::ZERO, 0, 100, Some(Rate(100)));
        pool.add(Time::ZERO, 1, 900, None);
        pool.add(Time::ZERO, 2, 900, Some(Rate(2_000)));
        assert_eq!(pool.rates().collect::<Vec<_>>(), [Rate(100), Rate(450), Rate(450)]);
        assert_eq!(pool.next_finish(), Some(Time::from_us(1_000_000)));
    }

    #[test]
    fn the_rates_never_exceed_the_capacity() {
        for jobs in 1..20_u64 {
            let mut pool = FairShare::new(Rate(1_009));
            for key in 0..jobs {
                let cap = crate::random::draw(3, jobs as u32, key) % 200 + 1;
                pool.add(Time::ZERO, key, 10, Some(Rate(cap)).filter(|cap| cap.0 % 2 == 0));
                assert!(pool.rates().map(|rate| rate.0).sum::<u64>() <= 1_009);
            }
        }
    }

    #[test]
    fn work_is_conserved_to_the_picosecond() {
        let mut pool = FairShare::new(Rate(3));
        pool.add(Time::ZERO, 'a', 1, None);
        pool.add(Time::from_ps(1), 'b', 1, None);
        let mut ends = Vec::new();
        while let Some(at) = pool.next_finish() {
            ends.extend(pool.take_finished(at).into_iter().map(|key| (key, at.ps())));
        }
        // a: 1e12 units, 3 in the first picosecond, then half of 3 rounded down, 1 each.
        assert_eq!(ends, [('a', 999_999_999_998), ('b', 999_999_999_999)]);
    }
}
