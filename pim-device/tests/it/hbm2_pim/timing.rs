//! Is every timing parameter where it belongs: not ready at t - 1, ready at t?

use pim_device::dram::{CommandBus, RuleTable, TimingState};
use pim_device::hbm2_pim::Hbm2Pim;
use pim_device::{Address, Command};

const NOW: u64 = 10_000;
const COMMANDS: [Command; 5] = [Command::Act, Command::Pre, Command::Rd, Command::Wr, Command::RefAb];

/// Where the second command goes, seen from the first.
#[derive(Clone, Copy, Debug)]
enum Where {
    SameBank,
    SameGroup,
    OtherGroup,
    OtherRank,
}

#[track_caller]
fn check(before: Command, after: Command, place: Where, cycles: u64) {
    let device = Hbm2Pim::new();
    let bus = CommandBus { lengths: &[], two_buses: false };
    let rules = RuleTable::new(&device.organisation, device.constraints, &COMMANDS, bus, |one| device.timing.get(one));
    let mut state = TimingState::new(rules);
    let first = Address { bank_group: 1, bank: 2, ..Address::default() };
    let second = match place {
        Where::SameBank => first,
        Where::SameGroup => Address { bank: 3, ..first },
        Where::OtherGroup => Address { bank_group: 3, ..first },
        Where::OtherRank => Address { rank: 1, ..first },
    };
    let (first, second) = (state.rules().bank(first), state.rules().bank(second));
    state.issue(before, &first, NOW);
    let ready = state.ready_at(after, &second);
    assert_eq!(ready, if cycles == 0 { 0 } else { NOW + cycles }, "{before} {after} {place:?}");
}

#[test]
fn activation() {
    use Where::{OtherGroup, OtherRank, SameBank, SameGroup};
    check(Command::Act, Command::Act, SameBank, 47);
    check(Command::Act, Command::Act, SameGroup, 6);
    check(Command::Act, Command::Act, OtherGroup, 4);
    check(Command::Act, Command::Act, OtherRank, 0);
    check(Command::Act, Command::Pre, SameBank, 33);
    check(Command::Act, Command::Pre, SameGroup, 0);
    check(Command::Act, Command::Rd, SameBank, 14);
    check(Command::Act, Command::Wr, SameBank, 10);
    check(Command::Act, Command::Rd, SameGroup, 0);
}

#[test]
fn precharge_and_refresh() {
    use Where::{OtherGroup, OtherRank, SameBank, SameGroup};
    check(Command::Pre, Command::Act, SameBank, 14);
    check(Command::Pre, Command::Act, SameGroup, 0);
    check(Command::RefAb, Command::Act, SameBank, 350);
    check(Command::RefAb, Command::Act, OtherGroup, 350);
    check(Command::RefAb, Command::Act, OtherRank, 0);
}

#[test]
fn reads() {
    use Where::{OtherGroup, OtherRank, SameBank, SameGroup};
    check(Command::Rd, Command::Pre, SameBank, 3);
    check(Command::Rd, Command::Pre, SameGroup, 0);
    check(Command::Rd, Command::Rd, SameBank, 4);
    check(Command::Rd, Command::Rd, SameGroup, 4);
    check(Command::Rd, Command::Rd, OtherGroup, 2);
    check(Command::Rd, Command::Rd, OtherRank, 3);
    check(Command::Rd, Command::Wr, SameBank, 15);
    check(Command::Rd, Command::Wr, OtherGroup, 15);
    check(Command::Rd, Command::Wr, OtherRank, 15);
}

#[test]
fn writes() {
    use Where::{OtherGroup, OtherRank, SameBank, SameGroup};
    check(Command::Wr, Command::Pre, SameBank, 26);
    check(Command::Wr, Command::Pre, SameGroup, 0);
    check(Command::Wr, Command::Wr, SameBank, 4);
    check(Command::Wr, Command::Wr, SameGroup, 4);
    check(Command::Wr, Command::Wr, OtherGroup, 2);
    check(Command::Wr, Command::Wr, OtherRank, 3);
    check(Command::Wr, Command::Rd, SameBank, 19);
    check(Command::Wr, Command::Rd, OtherGroup, 19);
    check(Command::Wr, Command::Rd, OtherRank, 0);
}
