//! What the operating system says of the thread that asks.

use std::time::Duration;

/// The CPU time of the calling thread since it began; `None` where the system does not tell (Linux tells with
/// `CONFIG_SCHED_INFO`, as distributions have it). No result depends on it.
pub fn cpu_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    // Nanoseconds on a processor, nanoseconds waiting for one, time slices.
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_work_take_cpu_time() {
        let Some(before) = cpu_time() else { return };
        let mut sum = 0_u64;
        // Until the clock moves, which it does at the next tick at the latest.
        while cpu_time() == Some(before) {
            sum = (0..100_000_u64).fold(sum, |sum, n| std::hint::black_box(sum.wrapping_mul(3).wrapping_add(n)));
        }
        assert!(cpu_time() > Some(before));
    }
}
