//! Work over independent items by several threads, with results that do not depend on how many.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// `work` of 0, 1, ... `count` - 1; the results in this order. Each thread has a state of its own from `state` (buffers
/// that are used again); `done` is told after each item how many are finished.
pub(crate) fn in_order<S, T: Send>(
    count: usize,
    threads: usize,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> T + Sync,
    done: impl Fn(usize) + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let finished = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(count));
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, count.max(1)) {
            scope.spawn(|| {
                let mut state = state();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if index >= count {
                        break;
                    }
                    let result = work(&mut state, index);
                    // A thread that panics with the lock takes the scope down with it.
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
                    done(finished.fetch_add(1, Ordering::Relaxed) + 1);
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_results_in_order_whatever_the_number_of_threads() {
        for threads in [0, 1, 2, 9] {
            let told = AtomicUsize::new(0);
            let tell = |_| {
                told.fetch_add(1, Ordering::Relaxed);
            };
            let squares = in_order(20, threads, || (), |(), i| i * i, tell);
            assert_eq!(squares, (0..20).map(|i| i * i).collect::<Vec<_>>());
            assert_eq!(told.into_inner(), 20);
        }
        assert!(in_order(0, 2, || (), |(), i| i, |_| {}).is_empty());
    }
}
