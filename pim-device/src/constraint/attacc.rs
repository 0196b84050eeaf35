//! The rule set `attacc`: what the public AttAcc simulator (ASPLOS 2024) lets follow what, as data.
//!
//! It is for comparison with that simulator, command by command. Its oddities are kept, each where it stands in a table;
//! `docs/ATTACC.md` lists them. The rule set of every scenario is [`super::JEDEC`].
//!
//! Source: measured runs of the simulator; no code of it. A per-bank refresh exists there but nothing sends it, so it
//! has no line here.

use crate::command::Bus;
use crate::command::Command::{
    Act, ActAb, ActPb, ActSb, MacAb, MacPb, MacSb, MvGb, MvSb, Pre, PreA, PrePb, PreSb, Rd, RefAb, SetH, SetM, Sfm, Wr,
    WrGb,
};
use crate::controller::fifo_pim::rules::{Banks, CommandRule, Effect, Need, RequestRule, RuleSet, Spread};
use crate::organisation::Level::{Bank, BankGroup, Channel, PseudoChannel, Rank};
use crate::timing::Parameter as P;

use super::{Command, Constraint, HALVES, at, sum};

/// Everything that uses the data path between the pins, the buffer die and the banks. MACs do not.
const DATA: &[Command] = &[WrGb, MvSb, MvGb, Sfm, Rd, Wr];

/// The constraints. A following command sees only those at or above the level to which it is checked, see
/// [`CommandRule::checked_to`]: PREA and REFab never see what stands below the channel.
#[rustfmt::skip]
pub const CONSTRAINTS: &[Constraint] = &[
    // All banks at once.
    at(Channel, &[ActAb], &[ActAb, Act, Pre, PreA, RefAb], HALVES),
    at(Channel, &[MacAb], &[MacAb], sum(&[P::CcdAb])),
    at(Channel, &[ActAb], &[ActAb], sum(&[P::Rc])),
    at(Channel, &[ActAb], &[MacAb], sum(&[P::RcdRd])),
    at(Channel, &[ActAb], &[PreA], sum(&[P::Ras])),
    at(Channel, &[MacAb], &[PreA], sum(&[P::RtpL])),
    at(Channel, &[PreA], &[ActAb], sum(&[P::Rp])),
    at(PseudoChannel, &[ActAb], &[RefAb], sum(&[P::Rc])),
    at(PseudoChannel, &[PreA], &[RefAb], sum(&[P::Rp])),
    at(PseudoChannel, &[RefAb], &[ActAb], sum(&[P::Rfc])),
    // The bank of one index in every bank group. Nothing holds back a PREA but the two cycles of the row bus.
    at(Channel, &[ActSb], &[ActSb, Act, Pre, PreA, PreSb, RefAb], HALVES),
    at(Channel, &[MacSb], &[MacSb], sum(&[P::CcdSb])),
    at(Bank, &[ActSb], &[ActSb], sum(&[P::Rc])),
    at(Bank, &[ActSb], &[MacSb], sum(&[P::RcdRd])),
    at(Bank, &[ActSb], &[PreSb], sum(&[P::Ras])),
    at(Bank, &[MacSb], &[PreSb], sum(&[P::RtpL])),
    at(Bank, &[PreSb], &[ActSb], sum(&[P::Rp])),
    at(PseudoChannel, &[ActSb], &[RefAb], sum(&[P::Rc])),
    at(PseudoChannel, &[PreSb], &[RefAb], sum(&[P::Rp])),
    at(PseudoChannel, &[RefAb], &[ActSb], sum(&[P::Rfc])),
    // One bank of each pseudo-channel.
    at(Channel, &[ActPb], &[ActPb, Act, Pre, PreA, PrePb, RefAb], HALVES),
    at(Channel, &[MacPb], &[MacPb], sum(&[P::Bl])),
    at(Rank, &[MacPb], &[MacPb], sum(&[P::CcdS])),
    at(BankGroup, &[MacPb], &[MacPb], sum(&[P::CcdL])),
    at(Bank, &[ActPb], &[ActPb], sum(&[P::Rc])),
    at(Bank, &[ActPb], &[MacPb], sum(&[P::RcdRd])),
    at(Bank, &[ActPb], &[PrePb], sum(&[P::Ras])),
    at(Bank, &[MacPb], &[PrePb], sum(&[P::RtpL])),
    at(Bank, &[PrePb], &[ActPb], sum(&[P::Rp])),
    at(PseudoChannel, &[ActPb], &[RefAb], sum(&[P::Rc])),
    at(PseudoChannel, &[PrePb], &[RefAb], sum(&[P::Rp])),
    at(PseudoChannel, &[RefAb], &[ActPb], sum(&[P::Rfc])),
    // The data path.
    at(PseudoChannel, DATA, DATA, sum(&[P::Bl])),
    at(Rank, DATA, DATA, sum(&[P::CcdS])),
    at(BankGroup, DATA, DATA, sum(&[P::CcdL])),
    // Ordinary DRAM.
    at(Channel, &[Act], &[Act, Pre, PreA, PreSb, RefAb], HALVES),
    at(PseudoChannel, &[Rd], &[Rd], sum(&[P::Bl])),
    at(PseudoChannel, &[Wr], &[Wr], sum(&[P::Bl])),
    at(PseudoChannel, &[Rd], &[PreA], sum(&[P::RtpS])),
    at(PseudoChannel, &[Wr], &[PreA], sum(&[P::Cwl, P::Bl, P::Wr])),
    at(PseudoChannel, &[Act], &[PreA], sum(&[P::Ras])),
    at(PseudoChannel, &[PreA], &[Act], sum(&[P::Rp])),
    at(PseudoChannel, &[Act], &[RefAb], sum(&[P::Rc])),
    at(PseudoChannel, &[Pre, PreA], &[RefAb], sum(&[P::Rp])),
    at(PseudoChannel, &[RefAb], &[Act], sum(&[P::Rfc])),
    at(Rank, &[Act], &[Act], sum(&[P::RrdS])),
    at(Rank, &[Act], &[Act], sum(&[P::Faw])).window(4),
    at(Rank, &[Rd], &[Rd], sum(&[P::CcdS])),
    at(Rank, &[Wr], &[Wr], sum(&[P::CcdS])),
    at(Rank, &[Rd], &[Wr], sum(&[P::Cl, P::Bl]).plus(2).less(&[P::Cwl])),
    at(Rank, &[Wr], &[Rd], sum(&[P::Cwl, P::Bl, P::WtrS])),
    at(Rank, &[Act], &[PreA], sum(&[P::Ras])),
    at(Rank, &[PreA], &[Act], sum(&[P::Rp])),
    at(BankGroup, &[Rd], &[Rd], sum(&[P::CcdL])),
    at(BankGroup, &[Wr], &[Wr], sum(&[P::CcdL])),
    at(BankGroup, &[Wr], &[Rd], sum(&[P::Cwl, P::Bl, P::WtrL])),
    at(BankGroup, &[Act], &[Act], sum(&[P::RrdL])),
    at(Bank, &[Act], &[Act], sum(&[P::Rc])),
    at(Bank, &[Act], &[Rd], sum(&[P::RcdRd])),
    at(Bank, &[Act], &[Wr], sum(&[P::RcdWr])),
    at(Bank, &[Act], &[Pre], sum(&[P::Ras])),
    at(Bank, &[Pre], &[Act], sum(&[P::Rp])),
    at(Bank, &[Rd], &[Pre], sum(&[P::RtpL])),
    at(Bank, &[Wr], &[Pre], sum(&[P::Cwl, P::Bl, P::Wr])),
];

const fn command(
    command: Command,
    checked_to: crate::organisation::Level,
    bus: Option<Bus>,
    effect: Effect,
) -> CommandRule {
    CommandRule { command, checked_to, bus, effect }
}

const ROW: Option<Bus> = Some(Bus::Row);
const COLUMN: Option<Bus> = Some(Bus::Column);

/// The commands. PRESB and PREPB are of neither bus, so that they neither take nor allow a second command in their
/// cycle; PRESB closes one bank of each pseudo-channel, not the sixteen that ACTSB opens.
const COMMANDS: &[CommandRule] = &[
    command(ActAb, Bank, ROW, Effect::Open(Banks::All)),
    command(MacAb, Bank, COLUMN, Effect::Nothing),
    command(PreA, Channel, ROW, Effect::Close(Banks::All)),
    command(RefAb, Channel, ROW, Effect::Nothing),
    command(ActSb, Bank, ROW, Effect::Open(Banks::SameIndex)),
    command(MacSb, Bank, COLUMN, Effect::Nothing),
    command(PreSb, Bank, None, Effect::Close(Banks::EachPseudoChannel)),
    command(ActPb, Bank, ROW, Effect::Open(Banks::EachPseudoChannel)),
    command(MacPb, Bank, COLUMN, Effect::Nothing),
    command(PrePb, Bank, None, Effect::Close(Banks::EachPseudoChannel)),
    command(WrGb, Bank, COLUMN, Effect::Nothing),
    command(MvSb, Bank, COLUMN, Effect::Nothing),
    command(MvGb, Bank, COLUMN, Effect::Nothing),
    command(Sfm, Channel, COLUMN, Effect::Nothing),
    command(SetM, Bank, COLUMN, Effect::Nothing),
    command(SetH, Channel, COLUMN, Effect::Nothing),
    command(Act, Bank, ROW, Effect::Open(Banks::Addressed)),
    command(Pre, Bank, ROW, Effect::Close(Banks::Addressed)),
    command(Rd, Bank, COLUMN, Effect::Nothing),
    command(Wr, Bank, COLUMN, Effect::Nothing),
];

const fn open(command: Command, banks: Banks, activate: Command, precharge: Command) -> RequestRule {
    RequestRule { command, need: Need::Open { banks, activate, precharge } }
}

/// What a request needs before its command.
const REQUESTS: &[RequestRule] = &[
    open(MacAb, Banks::All, ActAb, PreA),
    open(MacSb, Banks::SameIndex, ActSb, PreSb),
    open(MacPb, Banks::EachPseudoChannel, ActPb, PrePb),
    open(Rd, Banks::Addressed, Act, Pre),
    open(Wr, Banks::Addressed, Act, Pre),
    RequestRule { command: RefAb, need: Need::Closed { precharge: PreA } },
];

/// Bank constraints that hold in further banks. That of MACPB is meant for the same bank of the other pseudo-channel, but
/// reads every index one level too high.
const SPREADS: &[(Command, Spread)] = &[(MacSb, Spread::SameIndex), (MacPb, Spread::OneLevelTooHigh)];

/// The rule set.
pub const RULES: RuleSet =
    RuleSet { name: "attacc", constraints: CONSTRAINTS, commands: COMMANDS, requests: REQUESTS, spreads: SPREADS };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_of_a_constraint_has_a_line() {
        for constraint in CONSTRAINTS {
            for command in constraint.preceding.iter().chain(constraint.following) {
                assert!(COMMANDS.iter().any(|rule| rule.command == *command), "{command}");
            }
            assert!(!constraint.sibling);
        }
    }

    #[test]
    fn every_effect_and_need_names_a_command_with_a_line() {
        for rule in REQUESTS {
            let Need::Open { activate, precharge, .. } = rule.need else { continue };
            let effect = |command| COMMANDS.iter().find(|rule| rule.command == command).unwrap().effect;
            assert!(matches!(effect(activate), Effect::Open(_)) && matches!(effect(precharge), Effect::Close(_)));
        }
    }
}
