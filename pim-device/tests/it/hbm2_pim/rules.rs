//! Is every rule of the controller pinned by a reference? The oracle with one rule broken must differ from some.

use pim_device::Command;
use pim_device::hbm2_pim::{Hbm2Pim, Kernel};

use super::oracle::{Line, Oracle, Rules};
use super::reference::{Trace, kernels, traces};

/// Cycles of both phases and the commands of the first channel.
fn run(kernel: &Kernel, ranks: u32, rules: Rules) -> Option<(u64, u64, Vec<Line>)> {
    let device = Hbm2Pim::new().with_ranks(ranks);
    let classes = kernel.classes(&device).unwrap();
    // All short kernels load their channels identically.
    assert_eq!(classes.len(), 1);
    let mut oracle = Oracle::new(ranks as usize, rules);
    let mut ends = Vec::new();
    for requests in &classes[0].phases {
        ends.push(oracle.run(requests)?);
    }
    let first = if ends.len() > 1 { ends[0] } else { 0 };
    Some((*ends.last().unwrap(), first, oracle.lines))
}

/// The commands of a run in the form of a trace. Rows of registers are shown without address, so they are left out.
fn shown(lines: &[Line]) -> Trace {
    let name = |command| match command {
        Command::Act => "ACTIVATE",
        Command::Pre => "PRECHARGE",
        Command::Rd => "READ",
        _ => "WRITE",
    };
    let lines = lines.iter().filter(|(_, command, _, _, row, _)| *command != Command::Wr || *row != 0x3fff);
    lines
        .map(|&(cycle, command, _, bank, row, _)| {
            (cycle + 1, name(command).to_owned(), bank, (command != Command::Pre).then_some(row))
        })
        .collect()
}

/// The references that differ, traces first and then the kernels of at most so many cycles.
fn differences(rules: Rules, most: u64) -> impl Iterator<Item = Kernel> {
    let trace = move |(kernel, trace): (Kernel, Trace)| {
        let differs = run(&kernel, 1, rules).is_none_or(|(_, _, lines)| shown(&lines) != trace);
        differs.then_some(kernel)
    };
    let mut kernels = kernels(most);
    // Kernels of other sizes that load a channel identically say nothing more.
    kernels.dedup_by_key(|(kernel, ranks, cycles, first)| (kernel.operation.name(), *ranks, *cycles, *first));
    let cycles = move |(kernel, ranks, cycles, first): (Kernel, u32, u64, u64)| {
        let differs = run(&kernel, ranks, rules).is_none_or(|(end, phase, _)| (end, phase) != (cycles, first));
        differs.then_some(kernel)
    };
    traces().into_iter().filter_map(trace).chain(kernels.into_iter().filter_map(cycles))
}

#[test]
fn is_the_oracle_exact() {
    assert_eq!(differences(Rules::ALL, 4_000).next(), None);
}

#[track_caller]
fn check_pinned(rules: Rules) {
    assert!(differences(rules, 8_000).next().is_some(), "nothing differs");
}

#[test]
fn do_rows_open_past_a_marked_head() {
    check_pinned(Rules { opens_past_a_marked_head: false, ..Rules::ALL });
}

#[test]
fn does_a_marked_request_open_its_row_only_at_the_head() {
    check_pinned(Rules { marked_opens_at_the_head: false, opens_past_a_marked_head: false, ..Rules::ALL });
}

#[test]
fn are_rows_of_later_groups_closed() {
    check_pinned(Rules { closes_rows_of_later_groups: false, ..Rules::ALL });
}

#[test]
fn does_the_marked_request_keep_its_row_open() {
    check_pinned(Rules { marked_keeps_its_row: false, ..Rules::ALL });
}

#[test]
fn are_only_two_banks_opened_in_all_bank_modes() {
    check_pinned(Rules { all_bank_limit: false, ..Rules::ALL });
}

#[test]
fn does_a_refresh_let_other_commands_go_on() {
    check_pinned(Rules { refresh_yields: false, ..Rules::ALL });
}

#[test]
fn does_a_refresh_follow_a_precharge_at_once() {
    check_pinned(Rules { refresh_follows_precharge: false, ..Rules::ALL });
}

#[test]
fn does_a_refresh_take_a_slot() {
    check_pinned(Rules { refresh_takes_a_slot: false, ..Rules::ALL });
}

#[test]
fn do_precharges_go_in_turn() {
    check_pinned(Rules { precharge_pointer: false, ..Rules::ALL });
}

#[test]
fn do_column_commands_go_before_activations() {
    check_pinned(Rules { columns_first: false, ..Rules::ALL });
}

#[test]
fn does_the_command_queue_hold_64() {
    check_pinned(Rules { command_queue: 32, ..Rules::ALL });
    check_pinned(Rules { command_queue: 128, ..Rules::ALL });
}

/// The specification says that no reference run tells these apart; the oracle agrees. They are modelled as described.
#[test]
fn what_no_reference_pins() {
    assert_eq!(differences(Rules { transaction_queue: 16, ..Rules::ALL }, 4_000).next(), None);
    assert_eq!(differences(Rules { marked_served_at_the_head: false, ..Rules::ALL }, 4_000).next(), None);
}
