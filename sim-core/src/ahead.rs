//! Work that is done before the message that asks for it.
//!
//! An actor that begins something long and knows when it can have ended at the earliest need not do it at once: it sends
//! itself a message for that time, and hands the work over. A thread that waits for others does some of it meanwhile, its
//! own or that of another thread, so that none idles while there is work for several, however fast each of them is. What
//! is not done when the message arrives the actor does then; on one thread that is all of it.
//!
//! *Invariant:* the work depends on nothing but what the actor has put into it, and nobody looks at it before that message.
//! So who does how much of it, and when, cannot be seen in the result.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::parallel::now;
use crate::time::Time;

/// Work of an actor that any thread can do.
pub trait Ahead: Debug + Send + Sync {
    /// Does a part of it, some ten microseconds long, after which its thread looks whether it still has to wait. False where
    /// nothing is left, or somebody else is at it.
    fn work(&self) -> bool;
}

/// When work is asked for, and its number.
type Due = (Time, u64);

/// The work that actors of one partition have handed over, and how busy its thread is.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    works: Mutex<Works>,
    /// For how long the thread has worked so far, in ns.
    worked: AtomicU64,
}

#[derive(Debug, Default)]
struct Works {
    handed_over: u64,
    by_due: BTreeMap<Due, Arc<dyn Ahead>>,
}

impl Pool {
    fn works(&self) -> MutexGuard<'_, Works> {
        self.works.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hand_over(&self, now: Time, due: Time, work: Arc<dyn Ahead>) {
        let mut works = self.works();
        // What has been asked for is done.
        while let Some(first) = works.by_due.first_entry()
            && first.key().0 < now
        {
            first.remove();
        }
        works.handed_over += 1;
        let number = works.handed_over;
        works.by_due.insert((due, number), work);
    }
}

/// What one thread does while it waits.
#[derive(Debug)]
pub(crate) struct Pastime {
    /// Configuration: this thread's partition, and the work of each.
    this: usize,
    pools: Arc<[Arc<Pool>]>,
    /// Configuration: when the run began, and for how long the thread had worked by then.
    begun: Instant,
    before: Duration,
    /// Statistics: for how long it has waited without anything to do.
    pub(crate) waited: Duration,
    /// State: the work in hand and whose it is.
    in_hand: Option<(usize, Due, Arc<dyn Ahead>)>,
}

impl Pastime {
    /// Begins now, on a thread that has worked for so long `before`.
    pub(crate) fn new(this: usize, pools: Arc<[Arc<Pool>]>, before: Duration) -> Self {
        Self { this, pools, begun: now(), before, waited: Duration::ZERO, in_hand: None }
    }

    /// Waits for what `wait` gives.
    pub(crate) fn wait<T>(&mut self, wait: impl FnOnce() -> T) -> T {
        let begun = now();
        let came = wait();
        self.waited += begun.elapsed();
        came
    }

    /// Does a part of some work; false where there is none.
    pub(crate) fn work(&mut self) -> bool {
        while let Some(in_hand) = self.in_hand.take().or_else(|| self.take()) {
            if in_hand.2.work() {
                self.in_hand = Some(in_hand);
                return true;
            }
        }
        false
    }

    /// Own work that is asked for first; where there is none that of another partition which is asked for last, because
    /// its own thread begins with the first. Only a thread that has worked no less is helped: the one that has planned the
    /// run leaves others their share.
    fn take(&self) -> Option<(usize, Due, Arc<dyn Ahead>)> {
        if let Some((due, work)) = self.pools[self.this].works().by_due.pop_first() {
            return Some((self.this, due, work));
        }
        let worked = self.tell_worked();
        let others = (self.this + 1..self.pools.len()).chain(0..self.this);
        others.filter(|&other| self.pools[other].worked.load(Ordering::Relaxed) >= worked).find_map(|other| {
            let (due, work) = self.pools[other].works().by_due.pop_last()?;
            Some((other, due, work))
        })
    }

    /// Lets the others know, and gives, for how long the thread has worked.
    pub(crate) fn tell_worked(&self) -> u64 {
        let worked = (self.before + self.begun.elapsed()).saturating_sub(self.waited);
        let worked = u64::try_from(worked.as_nanos()).unwrap_or(u64::MAX);
        self.pools[self.this].worked.store(worked, Ordering::Relaxed);
        worked
    }

    /// Leaves the work in hand to others.
    pub(crate) fn put_back(&mut self) {
        if let Some((whose, due, work)) = self.in_hand.take() {
            self.pools[whose].works().by_due.insert(due, work);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    /// So many parts are left.
    #[derive(Debug)]
    struct Parts(AtomicU32);

    impl Ahead for Parts {
        fn work(&self) -> bool {
            let less = |left: u32| left.checked_sub(1);
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok_and(|left| left > 1)
        }
    }

    /// Two threads; that of partition 1 has handed over work of so many parts, due in turn.
    fn two(parts: &[u32]) -> (Arc<[Arc<Pool>]>, Vec<Arc<Parts>>) {
        let pools: Arc<[Arc<Pool>]> = [Arc::default(), Arc::default()].into();
        let works: Vec<_> = parts.iter().map(|&parts| Arc::new(Parts(parts.into()))).collect();
        for (due, work) in works.iter().enumerate() {
            pools[1].hand_over(Time::ZERO, Time::from_ns(due as u64), Arc::clone(work) as Arc<dyn Ahead>);
        }
        (pools, works)
    }

    fn left(works: &[Arc<Parts>]) -> Vec<u32> {
        works.iter().map(|work| work.0.load(Ordering::Relaxed)).collect()
    }

    #[test]
    fn own_work_is_done_from_the_front() {
        let (pools, works) = two(&[2, 2, 2]);
        let mut own = Pastime::new(1, pools, Duration::ZERO);
        assert!(own.work());
        assert_eq!(left(&works), [1, 2, 2]);
        assert!(own.work());
        assert_eq!(left(&works), [0, 1, 2]);
        while own.work() {}
        assert_eq!(left(&works), [0, 0, 0]);
    }

    #[test]
    fn a_thread_that_has_worked_less_helps_from_the_back() {
        let (pools, works) = two(&[2, 2, 2]);
        let busy = Pastime::new(1, Arc::clone(&pools), Duration::from_hours(1));
        busy.tell_worked();
        let mut idle = Pastime::new(0, pools, Duration::ZERO);
        assert!(idle.work());
        assert_eq!(left(&works), [2, 2, 1]);
        while idle.work() {}
        assert_eq!(left(&works), [0, 0, 0]);
    }

    #[test]
    fn a_thread_that_has_worked_more_does_not_help() {
        let (pools, works) = two(&[2]);
        let mut busy = Pastime::new(0, pools, Duration::from_hours(1));
        assert!(!busy.work());
        assert_eq!(left(&works), [2]);
    }

    #[test]
    fn what_is_put_back_is_there_for_others() {
        let (pools, works) = two(&[3, 3]);
        let mut own = Pastime::new(1, pools, Duration::from_hours(1));
        assert!(own.work());
        own.put_back();
        own.tell_worked();
        let mut other = Pastime::new(0, Arc::clone(&own.pools), Duration::ZERO);
        assert!(other.work());
        assert_eq!(left(&works), [2, 2]);
        other.put_back();
        // What is due first is at the front again.
        assert!(own.work());
        assert_eq!(left(&works), [1, 2]);
    }

    #[test]
    fn work_that_was_asked_for_is_forgotten() {
        let (pools, works) = two(&[3, 3, 3]);
        let last = Arc::new(Parts(1.into()));
        pools[1].hand_over(Time::from_ns(2), Time::from_ns(9), last as Arc<dyn Ahead>);
        assert_eq!(pools[1].works().by_due.len(), 2);
        let mut own = Pastime::new(1, pools, Duration::ZERO);
        while own.work() {}
        assert_eq!(left(&works), [3, 3, 0]);
    }

    /// Waiting is not working.
    #[test]
    fn a_wait_is_measured() {
        let (pools, _) = two(&[]);
        let mut pastime = Pastime::new(0, pools, Duration::ZERO);
        assert_eq!(pastime.wait(|| 7), 7);
        let waited = pastime.waited;
        assert!(Duration::from_nanos(pastime.tell_worked()) <= pastime.begun.elapsed().saturating_sub(waited));
    }
}
