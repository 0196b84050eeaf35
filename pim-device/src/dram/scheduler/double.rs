//! A column bus and a row bus: in each tick a column command, then a row command that sees its effects.

use super::Scheduler;
use crate::command::Command;
use crate::dram::Tick;
use crate::dram::bank_set::BankSet;
use crate::dram::core::{Core, Offers};
use crate::dram::edges::{Edges, EveryTick};
use crate::dram::request::Observer;

/// HBM2.
#[derive(Clone, Debug)]
pub(in crate::dram) struct Double;

impl<S: BankSet> Scheduler<S> for Double {
    #[inline]
    fn step(&mut self, core: &mut Core<S>, tick: Tick, horizon: Tick, observer: &mut impl Observer) {
        step(core, tick, horizon, &EveryTick, observer);
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
#[inline]
pub(super) fn step<S: BankSet>(
    core: &mut Core<S>,
    mut tick: Tick,
    horizon: Tick,
    edges: &impl Edges<S>,
    observer: &mut impl Observer,
) -> Option<RowCommand<S>> {
    loop {
        core.go_to(tick);
        if let Some(next) = core.is_quiet(tick, edges) {
            tick = next;
            if tick > horizon {
                core.now = horizon;
                return None;
            }
            continue;
        }
        let rising = edges.column(tick) == tick;
        let issued = rising && column_slot(core, tick, observer);
        let mut refresh = Tick::MAX;
        if let Some(refresh) = core.refresh(tick, edges, &mut refresh) {
            let issued = row_of_refresh(core, refresh.index, tick, refresh.command);
            core.issue_refresh(refresh.index, tick, refresh.command, observer);
            return issued;
        }
        if !core.refresh_waits() {
            let queue = core.mode();
            let activations = if edges.row(tick) == tick { core.activations(queue, tick) } else { S::EMPTY };
            let precharges = core.precharges(queue, tick, edges);
            if let Some(best) = core.pick(queue, tick, Offers { columns: S::EMPTY, activations, precharges }) {
                core.issue(queue, &best, tick, observer);
                let shuts_out = S::of(best.bank.into());
                return Some(RowCommand { tick, command: best.command, shuts_out });
            }
        }
        if issued {
            return None;
        }
        tick = core.after(tick, edges, refresh);
        if tick > horizon {
            core.now = horizon;
            return None;
        }
    }
}

/// The column bus of a tick; says whether something was issued.
#[inline]
fn column_slot<S: BankSet>(core: &mut Core<S>, tick: Tick, observer: &mut impl Observer) -> bool {
    let columns = core.may_access(tick);
    if columns && let Some(active) = core.active(tick) {
        core.serve_owner(&active, tick, observer);
        return true;
    }
    if core.refresh_waits() {
        return false;
    }
    let queue = core.mode();
    if !columns && !core.may_access(tick) {
        return false;
    }
    let columns = core.columns(queue, tick);
    match core.pick(queue, tick, Offers { columns, activations: S::EMPTY, precharges: S::EMPTY }) {
        Some(best) => {
            core.serve_hit(queue, &best, tick, observer);
            true
        }
        None => false,
    }
}

fn row_of_refresh<S: BankSet>(core: &Core<S>, index: usize, tick: Tick, command: Command) -> Option<RowCommand<S>> {
    let below = core.banks.below(&core.refreshes.get(index)?.place);
    let shuts_out = if below.len() == 1 { S::of(below.start) } else { core.pseudo_channel(below.start) };
    Some(RowCommand { tick, command, shuts_out })
}
