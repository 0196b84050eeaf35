//! A column bus and a row bus: in each tick a column command, then a row command that sees its effects.

use super::Scheduler;
use crate::command::Command;
use crate::dram::Tick;
use crate::dram::bank_set::BankSet;
use crate::dram::core::Core;
use crate::dram::edges::{Edges, EveryTick};
use crate::dram::offset::Offset;
use crate::dram::request::Observer;

/// HBM2.
#[derive(Clone, Debug)]
pub(in crate::dram) struct Double;

impl<S: BankSet, T: Offset> Scheduler<S, T> for Double {
    #[inline]
    fn run(&mut self, core: &mut Core<S, T>, horizon: Tick, observer: &mut impl Observer) {
        while core.now < horizon {
            step(core, horizon, &EveryTick, observer);
            if core.stop {
                return;
            }
        }
    }
}

/// A row command that was issued.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowCommand<S> {
    pub(super) tick: Tick,
    pub(super) command: Command,
    /// What no precharge may touch where this command shares its edge: its bank, or all of its pseudo-channel.
    pub(super) shuts_out: S,
}

/// One step on two buses; says which row command was issued.
#[inline(always)]
#[allow(clippy::inline_always, reason = "called for each command")]
pub(super) fn step<S: BankSet, T: Offset>(
    core: &mut Core<S, T>,
    horizon: Tick,
    edges: &impl Edges<S>,
    observer: &mut impl Observer,
) -> Option<RowCommand<S>> {
    let mut tick = core.now + 1;
    loop {
        tick = core.first(tick, horizon, edges)?;
        let rising = edges.rising(tick) == tick;
        let mut issued = rising;
        if rising {
            if let Some(active) = core.active(tick) {
                core.serve_owner(&active, tick, observer);
            } else {
                issued = core.served().is_some_and(|queue| core.issue_hit(queue, tick, observer));
            }
        }
        let mut refresh = Tick::MAX;
        if let Some(refresh) = core.refresh(tick, edges, &mut refresh) {
            let issued = row_of_refresh(core, refresh.index, tick, refresh.command);
            core.issue_refresh(refresh.index, tick, refresh.command, observer);
            return issued;
        }
        if let Some(queue) = core.served()
            && let Some((command, bank)) = core.issue_row(queue, tick, rising, edges, observer)
        {
            return Some(RowCommand { tick, command, shuts_out: S::of(bank) });
        }
        if issued {
            return None;
        }
        tick = core.after(tick, edges, refresh);
    }
}

fn row_of_refresh<S: BankSet, T: Offset>(
    core: &Core<S, T>,
    index: usize,
    tick: Tick,
    command: Command,
) -> Option<RowCommand<S>> {
    let below = core.banks.below(&core.refreshes.get(index)?.place);
    let shuts_out = if below.len() == 1 { S::of(below.start) } else { core.pseudo_channel(below.start) };
    Some(RowCommand { tick, command, shuts_out })
}
