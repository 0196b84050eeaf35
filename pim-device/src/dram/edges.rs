//! When commands may begin.

use super::Tick;
use super::bank_set::BankSet;
use super::core::{ACTIVATIONS, HITS, KINDS, OWNERS, PRECHARGES};

/// When a kind of command may begin: on every tick, or on rising edges of CK only.
pub(super) trait Edges<S: BankSet> {
    /// The first tick from `tick` on at which any command but a precharge may begin.
    fn rising(&self, tick: Tick) -> Tick;
    /// The first tick from `tick` on in which a command of some kind may begin, where each waits so long.
    #[inline]
    fn first(&self, from: &[Tick; KINDS], tick: Tick) -> Tick {
        let first = from[OWNERS].min(from[HITS]).min(from[ACTIVATIONS]).max(tick);
        self.rising(first).min(from[PRECHARGES].max(tick))
    }
    /// A precharge of these banks by one command. A bank that is shut out of a tick is not shut out of the next.
    fn precharge(&self, tick: Tick, banks: S) -> Tick {
        tick + Tick::from(!(banks & self.shut_out(tick)).is_empty())
    }
    /// Banks that no precharge may touch at `tick`.
    fn shut_out(&self, tick: Tick) -> S;
}

/// Every command on every tick.
#[derive(Clone, Copy, Debug)]
pub(super) struct EveryTick;

impl<S: BankSet> Edges<S> for EveryTick {
    #[inline]
    fn rising(&self, tick: Tick) -> Tick {
        tick
    }
    #[inline]
    fn first(&self, from: &[Tick; KINDS], tick: Tick) -> Tick {
        from[OWNERS].min(from[HITS]).min(from[ACTIVATIONS].min(from[PRECHARGES])).max(tick)
    }
    #[inline]
    fn shut_out(&self, _: Tick) -> S {
        S::EMPTY
    }
}
