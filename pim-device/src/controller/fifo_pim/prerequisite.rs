//! What a request needs before its own command.

use crate::command::Command;

use super::config::Config;
use super::queue::Queue;
use super::rows::OpenRows;
use super::rules::{BankSet, Need};
use super::timers::Node;

/// What has to be issued next for a request.
#[inline]
pub(super) fn next(config: &Config, rows: &OpenRows, own: Command, bank: Node, row: u32) -> Command {
    match config.need(own) {
        Need::Nothing => own,
        Need::Open { banks, activate, precharge } => {
            let without = config.set(banks, bank) & !rows.with(row);
            if without == 0 {
                own
            } else if rows.open() >> without.trailing_zeros() & 1 == 0 {
                activate
            } else {
                precharge
            }
        }
        Need::Closed { precharge } => {
            if rows.open() == 0 {
                own
            } else {
                precharge
            }
        }
    }
}

/// Finds out anew what has to come next for every request that needs a row in one of these banks. Where rows have been
/// opened, nothing changes for those that had theirs. `near` are the banks of those requests that need a row in few
/// banks and that can have changed, if not all.
pub(super) fn look_again(
    config: &Config,
    rows: &OpenRows,
    queue: &mut Queue,
    (moved, near): (BankSet, Option<BankSet>),
    opened: bool,
) {
    let mut requests = queue.without_row(opened, near);
    while requests != 0 {
        let slot = requests.trailing_zeros() as usize;
        let alike = queue.like(slot, requests);
        requests &= !alike;
        let entry = queue.entry(slot);
        let (bank, row) = (entry.bank, entry.row);
        let Some(own) = entry.own else { continue };
        if config.reach(own, bank) & moved == 0 {
            continue;
        }
        let (before, next) = (entry.next, next(config, rows, own, bank, row));
        if next != before {
            queue.set_next(config, alike, next);
        }
    }
}
