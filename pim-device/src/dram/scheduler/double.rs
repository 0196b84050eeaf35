//! A column bus and a row bus: in each tick a column command, then a row command that sees its effects.

use super::Scheduler;
use crate::command::Command;
use crate::dram::Tick;
use crate::dram::core::Core;
use crate::dram::request::Observer;
use crate::dram::search::{Edges, EveryTick, Pick};

/// HBM2.
#[derive(Clone, Debug)]
pub(in crate::dram) struct Double;

impl Scheduler for Double {
    #[inline]
    fn step(&mut self, core: &mut Core, tick: Tick, horizon: Tick, observer: &mut impl Observer) {
        step(core, tick, horizon, &EveryTick, observer);
    }
}

/// A row command that was issued.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowCommand {
    pub(super) tick: Tick,
    pub(super) command: Command,
    /// Its bank; `None` for all of a pseudo-channel.
    pub(super) bank: Option<usize>,
    pub(super) pseudo_channel: u32,
}

/// One step on two buses; says which row command was issued.
#[inline]
pub(super) fn step(
    core: &mut Core,
    tick: Tick,
    horizon: Tick,
    edges: &impl Edges,
    observer: &mut impl Observer,
) -> Option<RowCommand> {
    let active = core.pick_active(tick, edges);
    if active.time <= tick {
        core.serve_owner(&active, tick, observer);
        core.now = tick;
        return row_slot(core, tick, edges, observer);
    }
    let mut column = Pick { time: active.time, ..Pick::NONE };
    let refresh = core.pick_refreshes(tick, edges);
    if let Some(refresh) = refresh.filter(|refresh| refresh.time <= tick && edges.column(tick) > tick) {
        // On an edge without column commands refresh goes before any look at the queues.
        core.now = tick;
        let issued = row_of_refresh(core, refresh.index, tick, refresh.command);
        core.issue_refresh(refresh.index, tick, refresh.command, observer);
        return issued;
    }
    let refresh_time = refresh.map_or(Tick::MAX, |refresh| refresh.time);
    let mut row = Pick { time: refresh_time, ..Pick::NONE };
    let mut queue = 0;
    if !core.refresh_waits() {
        queue = core.mode();
        core.pick_columns(queue, tick, edges, &mut column);
        row.time = row.time.min(column.time.saturating_add(1));
        core.pick_rows(queue, tick, edges, &mut row);
    }
    let time = column.time.min(row.time);
    if time > horizon {
        core.now = horizon;
        return None;
    }
    core.now = time;
    if column.time == time {
        if column.time < active.time {
            core.serve_hit(queue, &column, time, observer);
        } else {
            core.serve_owner(&active, time, observer);
        }
        return row_slot(core, time, edges, observer);
    }
    if let Some(refresh) = refresh.filter(|refresh| refresh.time == time) {
        let issued = row_of_refresh(core, refresh.index, time, refresh.command);
        core.issue_refresh(refresh.index, time, refresh.command, observer);
        return issued;
    }
    Some(issue_row(core, queue, &row, observer))
}

/// The row bus of a tick.
#[inline]
fn row_slot(core: &mut Core, tick: Tick, edges: &impl Edges, observer: &mut impl Observer) -> Option<RowCommand> {
    if let Some(refresh) = core.pick_refreshes(tick, edges).filter(|refresh| refresh.time == tick) {
        let issued = row_of_refresh(core, refresh.index, tick, refresh.command);
        core.issue_refresh(refresh.index, tick, refresh.command, observer);
        return issued;
    }
    if core.refresh_waits() {
        return None;
    }
    let queue = core.mode();
    // Only what is ready now.
    let mut row = Pick { time: tick + 1, ..Pick::NONE };
    core.pick_rows(queue, tick, edges, &mut row);
    (row.time == tick).then(|| issue_row(core, queue, &row, observer))
}

fn issue_row(core: &mut Core, queue: usize, pick: &Pick, observer: &mut impl Observer) -> RowCommand {
    core.issue(queue, pick, observer);
    let bank = usize::from(pick.bank);
    let pseudo_channel = core.pseudo_channel(bank);
    RowCommand { tick: pick.time, command: pick.command, bank: Some(bank), pseudo_channel }
}

fn row_of_refresh(core: &Core, index: usize, tick: Tick, command: Command) -> Option<RowCommand> {
    let below = core.banks.below(&core.refreshes.get(index)?.place);
    let bank = (below.len() == 1).then_some(below.start);
    Some(RowCommand { tick, command, bank, pseudo_channel: core.pseudo_channel(below.start) })
}
