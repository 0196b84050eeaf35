//! What a command at a bank does to the ticks of all banks.

#![allow(clippy::inline_always, reason = "asked for each command")]

use super::window::{Memory, Window};
use super::{ALL, LANES};
use crate::dram::bank_set::CAPACITY;
use crate::dram::offset::Offset;

/// Ticks of eight banks.
pub(super) type Lanes<T> = [T; LANES];

/// Raises ticks of eight banks to what follows a command at `tick`.
#[inline(always)]
fn raise<T: Offset>(ready: &mut Lanes<T>, tick: T, latencies: &Lanes<T>) {
    // Both are read before anything is written, so that it is done for all lanes at once.
    let (before, latencies) = (*ready, *latencies);
    *ready = std::array::from_fn(|lane| before[lane].max(tick.plus(latencies[lane])));
}

/// Latencies of one row. Its size is a power of two, so that loops over it do not divide.
#[derive(Clone, Copy, Debug)]
#[repr(align(32))]
pub(super) struct Raise<T> {
    pub(super) row: u16,
    pub(super) latencies: Lanes<T>,
}

/// What a command at a bank does. Nearly all of it is in up to `N` rows, of which `M` are raised one after the other without
/// asking how many there are; where there are fewer, the others are raised by nothing.
#[derive(Clone, Debug)]
pub(super) struct Effect<T, const M: usize, const N: usize> {
    /// Rows to raise.
    count: usize,
    rows: [u16; N],
    latencies: [Lanes<T>; N],
    more: Box<[Raise<T>]>,
    window: Option<Window<T>>,
}

impl<T: Offset, const M: usize, const N: usize> Effect<T, M, N> {
    pub(super) fn new(raises: &[Raise<T>], window: Option<Window<T>>) -> Self {
        let (first, more) = raises.split_at(raises.len().min(N));
        Self {
            count: raises.len(),
            rows: std::array::from_fn(|at| first.get(at).map_or(0, |raise| raise.row)),
            latencies: std::array::from_fn(|at| first.get(at).map_or([T::NOTHING; LANES], |raise| raise.latencies)),
            more: more.into(),
            window,
        }
    }
}

/// The effects of a command at every bank.
pub(super) type Effects<T, const M: usize, const N: usize> = Box<[Effect<T, M, N>; CAPACITY]>;

/// No effects at any bank.
pub(super) fn nothing<T: Offset, const M: usize, const N: usize>() -> [Effect<T, M, N>; CAPACITY] {
    std::array::from_fn(|_| Effect::new(&[], None))
}

/// Raises what a command raises.
#[inline(always)]
pub(super) fn raise_all<T: Offset, const M: usize, const N: usize>(
    effects: &Effects<T, M, N>,
    bank: usize,
    now: T,
    ready: &mut [T; ALL * LANES],
    memories: &mut [Memory<T>],
) {
    let effect = &effects[bank % CAPACITY];
    let rows = ready.as_chunks_mut::<LANES>().0;
    let mut raise_one = |at: usize| raise(&mut rows[usize::from(effect.rows[at]) % ALL], now, &effect.latencies[at]);
    for at in 0..M {
        raise_one(at);
    }
    if effect.count > M {
        for at in M..N {
            if effect.count > at {
                raise_one(at);
            }
        }
        if effect.count > N {
            raise_more(&effect.more, now, ready);
        }
    }
    if let Some(window) = &effect.window {
        window.slide(now, ready, memories);
    }
}

#[inline(never)]
pub(super) fn raise_more<T: Offset>(raises: &[Raise<T>], now: T, ready: &mut [T; ALL * LANES]) {
    let rows = ready.as_chunks_mut::<LANES>().0;
    for of in raises {
        raise(&mut rows[usize::from(of.row) % ALL], now, &of.latencies);
    }
}
