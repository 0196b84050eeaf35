//! What the actors count, by batch, and the estimates that are made of it.
//!
//! The measured time begins after the warm-up and is cut into batches of equal length. Every estimate is a ratio of two
//! sums over the batches (waits over customers, customer-time over time, ...), or a quantile. Its standard error comes
//! from how much the batches differ: that is right where a batch is long against the memory of the queue.

use sim_core::Time;

/// Batches of each run.
pub(super) const BATCHES: usize = 30;

/// The measured time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// When the warm-up ends.
    begin: u64,
    /// The length of a batch, in ps.
    length: u64,
}

impl Window {
    /// Batches of this length after a warm-up of as many picoseconds.
    pub(super) fn new(warm_up: Time, batch: Time) -> Self {
        Self { begin: warm_up.ps(), length: batch.ps().max(1) }
    }

    /// When the last batch ends.
    pub(super) const fn end(self) -> Time {
        Time::from_ps(self.begin + self.length * BATCHES as u64)
    }

    /// The length of a batch.
    pub(super) const fn batch(self) -> Time {
        Time::from_ps(self.length)
    }

    /// The batch in which `at` lies.
    fn index(self, at: Time) -> Option<usize> {
        let index = at.ps().checked_sub(self.begin)? / self.length;
        (index < BATCHES as u64).then_some(index as usize)
    }
}

/// Durations of things that happen, by batch.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    window: Window,
    /// How many.
    pub(super) count: [u64; BATCHES],
    /// How many of them took any time.
    pub(super) positive: [u64; BATCHES],
    /// Their sum, in ps.
    pub(super) sum: [u128; BATCHES],
    /// Each of them, in ps, where they are kept.
    pub(super) kept: Option<Vec<Vec<u64>>>,
}

impl Tally {
    /// Nothing yet; whether to keep each one, for quantiles.
    pub(super) fn new(window: Window, keep: bool) -> Self {
        let kept = keep.then(|| vec![Vec::new(); BATCHES]);
        Self { window, count: [0; BATCHES], positive: [0; BATCHES], sum: [0; BATCHES], kept }
    }

    /// Something that took `duration` happened at `at`.
    pub(super) fn note(&mut self, at: Time, duration: Time) {
        let Some(batch) = self.window.index(at) else { return };
        self.count[batch] += 1;
        self.positive[batch] += u64::from(duration > Time::ZERO);
        self.sum[batch] += u128::from(duration.ps());
        if let Some(kept) = &mut self.kept {
            kept[batch].push(duration.ps());
        }
    }
}

/// A number that changes, and for how long it had which value, by batch.
#[derive(Clone, Debug)]
pub(super) struct Level {
    window: Window,
    now: u64,
    since: Time,
    /// The integral over time, in ps.
    area: [u128; BATCHES],
    /// How long it was 0, 1, ..., in ps; the last for all that is more.
    at: Vec<[u64; BATCHES]>,
}

impl Level {
    /// Zero from the beginning; told apart below `levels`.
    pub(super) fn new(window: Window, levels: usize) -> Self {
        Self { window, now: 0, since: Time::ZERO, area: [0; BATCHES], at: vec![[0; BATCHES]; levels + 1] }
    }

    /// The number.
    pub(super) const fn now(&self) -> u64 {
        self.now
    }

    /// It changes by `step`.
    pub(super) fn change(&mut self, at: Time, step: i64) {
        self.advance(at);
        self.now = self.now.saturating_add_signed(step);
    }

    fn advance(&mut self, to: Time) {
        let to = to.min(self.window.end());
        let level = (self.now as usize).min(self.at.len() - 1);
        self.since = self.since.max(Time::from_ps(self.window.begin));
        while self.since < to {
            let Some(batch) = self.window.index(self.since) else { break };
            let end = Time::from_ps(self.window.begin + self.window.length * (batch as u64 + 1)).min(to);
            let elapsed = (end - self.since).ps();
            self.area[batch] += u128::from(elapsed) * u128::from(self.now);
            self.at[level][batch] += elapsed;
            self.since = end;
        }
    }

    /// The same with the time up to the end of the last batch.
    fn finished(&self) -> Self {
        let mut level = self.clone();
        level.advance(self.window.end());
        level
    }

    /// Its integral over time in each batch, in ps.
    pub(super) fn areas(&self) -> [f64; BATCHES] {
        self.finished().area.map(|area| area as f64)
    }

    /// The time in each batch during which it was in `levels`, in ps.
    pub(super) fn times(&self, levels: std::ops::Range<usize>) -> [f64; BATCHES] {
        let finished = self.finished();
        let mut times = [0.0; BATCHES];
        for at in finished.at.iter().take(levels.end).skip(levels.start) {
            for (time, at) in times.iter_mut().zip(at) {
                *time += *at as f64;
            }
        }
        times
    }
}

/// An estimate and its standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    /// The value.
    pub(super) value: f64,
    /// One sigma.
    pub(super) error: f64,
}

/// The ratio of two sums. Its error is that of the batches' distances from the common ratio.
pub(super) fn ratio(above: &[f64; BATCHES], below: &[f64; BATCHES]) -> Estimate {
    let total: f64 = below.iter().sum();
    let value = above.iter().sum::<f64>() / total;
    let distances = above.iter().zip(below).map(|(above, below)| above - value * below);
    let squares: f64 = distances.map(|distance| distance * distance).sum();
    let batches = BATCHES as f64;
    Estimate { value, error: (squares * batches / (batches - 1.0)).sqrt() / total }
}

/// The quantile `share` of all that was kept; its error is that of the batches' quantiles (sectioning, Asmussen and
/// Glynn, "Stochastic Simulation", III.5a).
pub(super) fn quantile(kept: &[Vec<u64>], share: f64) -> Estimate {
    let mut all: Vec<u64> = kept.concat();
    let value = select(&mut all, share);
    let squares: f64 = kept.iter().map(|batch| (select(&mut batch.clone(), share) - value).powi(2)).sum();
    let batches = kept.len() as f64;
    Estimate { value, error: (squares / (batches * (batches - 1.0))).sqrt() }
}

fn select(values: &mut [u64], share: f64) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let rank = ((share * values.len() as f64).ceil() as usize).clamp(1, values.len()) - 1;
    let (_, value, _) = values.select_nth_unstable(rank);
    *value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window() -> Window {
        Window::new(Time::from_ps(100), Time::from_ps(10))
    }

    #[test]
    fn is_a_level_cut_at_the_batches() {
        let mut level = Level::new(window(), 2);
        level.change(Time::from_ps(95), 1); // 1 from 95
        level.change(Time::from_ps(105), 2); // 3 from 105
        level.change(Time::from_ps(123), -3); // 0 from 123
        let areas = level.areas();
        assert!(areas[..4].iter().zip([20.0, 30.0, 9.0, 0.0]).all(|(a, b)| (a - b).abs() < 1e-9), "{areas:?}");
        let below_two = level.times(0..2);
        assert!(below_two[..4].iter().zip([5.0, 0.0, 7.0, 10.0]).all(|(a, b)| (a - b).abs() < 1e-9), "{below_two:?}");
        assert!((level.times(0..3).iter().sum::<f64>() - 300.0).abs() < 1e-9);
    }

    #[test]
    fn is_a_duration_counted_in_its_batch_only() {
        let mut tally = Tally::new(window(), true);
        for (at, duration) in [(99, 7), (100, 7), (109, 0), (110, 9), (399, 1), (400, 1)] {
            tally.note(Time::from_ps(at), Time::from_ps(duration));
        }
        assert_eq!((tally.count[0], tally.positive[0], tally.sum[0]), (2, 1, 7));
        assert_eq!((tally.count[1], tally.sum[1]), (1, 9));
        assert_eq!((tally.count[29], tally.count.iter().sum::<u64>()), (1, 4));
        assert_eq!(tally.kept.unwrap()[0], [7, 0]);
    }

    #[test]
    fn is_the_error_that_of_the_batch_means() {
        // Equal batches: the ratio is the mean of the batch means, its error s / sqrt(30).
        let above: [f64; BATCHES] = std::array::from_fn(|batch| if batch % 2 == 0 { 1.0 } else { 3.0 });
        let estimate = ratio(&above, &[1.0; BATCHES]);
        assert!((estimate.value - 2.0).abs() < 1e-12);
        assert!((estimate.error - (30.0_f64 / 29.0 / 30.0).sqrt()).abs() < 1e-12, "{estimate:?}");
    }

    #[test]
    fn is_a_quantile_the_smallest_value_that_enough_do_not_exceed() {
        let kept: Vec<Vec<u64>> = (0..30).map(|_| (1..=100).rev().collect()).collect();
        let estimate = quantile(&kept, 0.99);
        assert!((estimate.value - 99.0).abs() < 1e-12 && estimate.error.abs() < 1e-12, "{estimate:?}");
        assert!(quantile(&[Vec::new()], 0.5).value.is_nan());
    }
}
