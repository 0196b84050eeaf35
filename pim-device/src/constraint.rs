//! The timing constraints between commands, as data.
//!
//! A constraint says: at a node of `level`, a `following` command comes at least `latency` after the last
//! `preceding` one (with a window of n: after the n-th last). The rule set is `jedec`: every constraint holds at every
//! node that both commands touch, so a constraint with a command that works on the whole channel stands at the
//! channel, where "the last" is the last of any bank.

pub mod attacc;

use crate::command::Command;
use crate::command::Command::{
    Act, ActAb, ActPb, ActSb, MacAb, MacPb, MacSb, MvBc, MvGb, MvSb, MvSum, Pre, PreA, PrePb, PreSb, Rd, RdReg, RefAb,
    Ret, SetM, Sfm, Wr, WrGb, WrReg,
};
use crate::organisation::Level;
use crate::organisation::Level::{Bank, BankGroup, Channel, PseudoChannel, Rank};
use crate::timing::Parameter;
use crate::timing::Parameter as P;

/// A sum of timing parameters and a number of cycles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// Parameters that are added.
    pub parameters: &'static [Parameter],
    /// Parameters that are taken away: a write's data may come nCWL after it, so it may be sent so much earlier.
    pub minus: &'static [Parameter],
    /// Cycles that are added.
    pub cycles: u32,
}

impl Latency {
    /// The sum of these parameters.
    pub const fn sum(parameters: &'static [Parameter]) -> Self {
        Self { parameters, minus: &[], cycles: 0 }
    }

    /// So many cycles, whatever the device.
    pub const fn fixed(cycles: u32) -> Self {
        Self { parameters: &[], minus: &[], cycles }
    }

    /// The same less these parameters.
    #[must_use]
    pub const fn less(self, minus: &'static [Parameter]) -> Self {
        Self { minus, ..self }
    }

    /// The same and so many cycles.
    #[must_use]
    pub const fn plus(self, cycles: u32) -> Self {
        Self { cycles: self.cycles + cycles, ..self }
    }

    /// In cycles, where `cycles_of` says what a parameter is; 0 where more is taken away than added.
    pub fn cycles(&self, cycles_of: impl Fn(Parameter) -> u32) -> u32 {
        self.signed_cycles(cycles_of).max(0) as u32
    }

    /// In cycles, below zero where more is taken away than added.
    pub fn signed_cycles(&self, cycles_of: impl Fn(Parameter) -> u32) -> i64 {
        let sum = |parameters: &[Parameter]| parameters.iter().map(|&one| i64::from(cycles_of(one))).sum::<i64>();
        sum(self.parameters) - sum(self.minus) + i64::from(self.cycles)
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constraint {
    /// Where it holds: both commands at the same node of this level.
    pub level: Level,
    /// Commands after which something has to wait.
    pub preceding: &'static [Command],
    /// Commands that have to wait.
    pub following: &'static [Command],
    /// How long.
    pub latency: Latency,
    /// Counts from the `window`-th last preceding command; 1 for the last.
    pub window: u8,
    /// Holds at the other nodes below the same parent instead of at the node itself: a switch between ranks.
    pub sibling: bool,
}

pub(crate) const fn sum(parameters: &'static [Parameter]) -> Latency {
    Latency::sum(parameters)
}

/// A constraint between two commands at the same node.
pub(crate) const fn at(
    level: Level,
    preceding: &'static [Command],
    following: &'static [Command],
    latency: Latency,
) -> Constraint {
    Constraint { level, preceding, following, latency, window: 1, sibling: false }
}

impl Constraint {
    /// The same, counted from the `window`-th last preceding command.
    pub(crate) const fn window(self, window: u8) -> Self {
        Self { window, ..self }
    }

    /// The same at the other nodes below the same parent.
    pub(crate) const fn siblings(self) -> Self {
        Self { sibling: true, ..self }
    }
}

/// Two cycles on the row bus: an activation is sent in two halves.
const HALVES: Latency = Latency::fixed(2);
/// Everything that uses the data path between buffer die and banks.
const DATA: &[Command] = &[WrGb, MvSb, MvSum, MvGb, MvBc, Wr, Rd];
/// What reads the open row of every bank.
const READING: &[Command] = &[MacAb, Ret, RdReg];
/// Activations.
const OPENING: &[Command] = &[ActAb, ActSb, ActPb, Act];
/// Everything that a row activation keeps off the row bus.
const ROWS: &[Command] = &[ActAb, ActSb, ActPb, Act, Pre, PreA, PreSb, PrePb, RefAb];
/// Until a sum of a bank group is on the buffer die: three more granules reach the adder first.
const SUMMED: Latency = sum(&[P::CcdL, P::CcdL, P::CcdL, P::Cl, P::Bl]);
/// Every command.
const ALL: &[Command] = &Command::ALL;

/// The rule set `jedec`.
///
/// Source: the AttAcc simulator's HBM3-PIM for the commands and their latencies, JEDEC's reading of DRAM timing for the
/// levels at which they hold: every level that a constraint names. The MAC path does not wait for the data path and the other way round ("different data
/// path"); what a move needs of a MAC is said by the program's tokens with [`RESULTS`].
#[rustfmt::skip]
pub const JEDEC: &[Constraint] = &[
    // All-bank commands.
    at(Channel, OPENING, ROWS, HALVES),
    at(Channel, &[ActAb], READING, sum(&[P::RcdRd, P::AllBankSpread])),
    at(Channel, &[ActAb], &[WrReg], sum(&[P::RcdWr, P::AllBankSpread])),
    at(Channel, &[ActAb], &[PreA], sum(&[P::Ras, P::AllBankSpread])),
    at(Channel, &[ActAb], &[ActAb, Act, RefAb], sum(&[P::Rc, P::AllBankSpread])),
    at(Channel, &[ActAb], &[ActAb, Act], sum(&[P::AllBankWindow])),
    // A look-up and a read into a register take the column path of every bank as a MAC does, and as much power: the same gap.
    at(Channel, READING, READING, sum(&[P::CcdAb])),
    at(Channel, READING, &[PreA], sum(&[P::RtpL])),
    // A register is written as data from the pins are: the read before is off the column path and, where it made what is
    // written, its result is there (nCL + nBL + 2 - nCWL); the write has reached the cells before the row is read or closed.
    at(Channel, READING, &[WrReg], sum(&[P::Rtw])),
    at(Channel, &[WrReg], &[WrReg], sum(&[P::CcdAb])),
    at(Channel, &[WrReg], READING, sum(&[P::Cwl, P::Bl, P::WtrL])),
    at(Channel, &[WrReg], &[PreA], sum(&[P::Cwl, P::Bl, P::Wr])),
    // Same-bank commands: the bank of one index in every bank group, which stands for all of them here.
    at(Channel, &[ActSb], &[PreA], sum(&[P::Ras, P::SameBankSpread])),
    at(Channel, &[ActSb], &[Act, RefAb], sum(&[P::Rc, P::SameBankSpread])),
    at(Channel, &[ActSb], &[ActSb, Act], sum(&[P::SameBankWindow])),
    at(Bank, &[ActSb], &[ActSb], sum(&[P::Rc, P::SameBankSpread])),
    at(Bank, &[ActSb], &[MacSb], sum(&[P::RcdRd, P::SameBankSpread])),
    at(Bank, &[ActSb], &[PreSb], sum(&[P::Ras, P::SameBankSpread])),
    at(Channel, &[MacSb], &[MacSb], sum(&[P::CcdSb])),
    at(Channel, &[MacSb], &[PreA], sum(&[P::RtpL])),
    at(Bank, &[MacSb], &[PreSb], sum(&[P::RtpL])),
    at(Channel, &[PreSb], &[Act, RefAb, SetM], sum(&[P::Rp])),
    at(Bank, &[PreSb], &[ActSb], sum(&[P::Rp])),
    // Per-bank commands: one bank of each pseudo-channel. Both pseudo-channels do the same; the first stands for both. Each
    // activates one bank of a rank, so that the rank's limits on ordinary activations hold.
    at(Channel, &[ActPb], &[PreA], sum(&[P::Ras])),
    at(Channel, &[ActPb], &[Act, RefAb], sum(&[P::Rc])),
    at(Rank, &[ActPb], &[ActPb], sum(&[P::RrdS])),
    at(BankGroup, &[ActPb], &[ActPb], sum(&[P::RrdL])),
    Constraint { level: Rank, preceding: &[ActPb], following: &[ActPb], latency: sum(&[P::Faw]), window: 4, sibling: false },
    at(Bank, &[ActPb], &[ActPb], sum(&[P::Rc])),
    at(Bank, &[ActPb], &[MacPb], sum(&[P::RcdRd])),
    at(Bank, &[ActPb], &[PrePb], sum(&[P::Ras])),
    at(PseudoChannel, &[MacPb], &[MacPb], sum(&[P::Bl])),
    at(Rank, &[MacPb], &[MacPb], sum(&[P::CcdS])),
    at(BankGroup, &[MacPb], &[MacPb], sum(&[P::CcdL])),
    at(Channel, &[MacPb], &[PreA], sum(&[P::RtpL])),
    at(Bank, &[MacPb], &[PrePb], sum(&[P::RtpL])),
    at(Channel, &[PrePb], &[Act, RefAb, SetM], sum(&[P::Rp])),
    at(Bank, &[PrePb], &[ActPb], sum(&[P::Rp])),
    // Precharge, refresh and mode. Nothing but moves between the buffers goes on during a refresh.
    at(Channel, &[PreA], &[ActAb, ActSb, ActPb, Act, RefAb, SetM], sum(&[P::Rp])),
    at(Channel, &[Pre], &[ActAb, ActSb, ActPb, RefAb, SetM], sum(&[P::Rp])),
    at(Channel, &[RefAb], &[ActAb, ActSb, ActPb, Act, PreA, Pre, PreSb, PrePb, RefAb, SetM], sum(&[P::Rfc])),
    at(Channel, &[SetM], ALL, sum(&[P::Mod])),
    // The data path, and what has to be off it before the mode changes.
    at(PseudoChannel, DATA, DATA, sum(&[P::Bl])),
    at(Rank, DATA, DATA, sum(&[P::CcdS])),
    at(BankGroup, DATA, DATA, sum(&[P::CcdL])),
    // The granules of a bank group's four banks reach its adder over the column path that they share, one after the other.
    at(BankGroup, &[MvSum], &[MvSum], sum(&[P::CcdL, P::CcdL, P::CcdL, P::CcdL])),
    at(Channel, &[WrGb, MvGb, MvBc, Wr], &[SetM], sum(&[P::Cwl, P::Bl])),
    at(Channel, &[MvSb], &[SetM, Sfm], sum(&[P::Cl, P::Bl])),
    at(Channel, &[MvSum], &[SetM, Sfm], SUMMED),
    at(Channel, &[Rd], &[SetM], sum(&[P::Cl, P::Bl])),
    // The ranks share the pins, so the turn-around holds between any two.
    at(PseudoChannel, &[Rd], &[Wr], sum(&[P::Rtw])),
    at(Rank, &[Wr], &[Rd], sum(&[P::Cwl, P::Bl, P::WtrS])),
    at(BankGroup, &[Wr], &[Rd], sum(&[P::Cwl, P::Bl, P::WtrL])),
    // Ordinary commands.
    at(Channel, &[Act], &[ActAb, ActSb, ActPb, RefAb], sum(&[P::Rc])),
    at(Channel, &[Act], &[PreA], sum(&[P::Ras])),
    at(Channel, &[Wr], &[PreA], sum(&[P::Cwl, P::Bl, P::Wr])),
    at(Rank, &[Act], &[Act], sum(&[P::RrdS])),
    at(BankGroup, &[Act], &[Act], sum(&[P::RrdL])),
    Constraint { level: Rank, preceding: &[Act], following: &[Act], latency: sum(&[P::Faw]), window: 4, sibling: false },
    at(Bank, &[Act], &[Act], sum(&[P::Rc])),
    at(Channel, &[Rd], &[PreA], sum(&[P::RtpL])),
    at(Bank, &[Act], &[Wr], sum(&[P::RcdWr])),
    at(Bank, &[Act], &[Rd], sum(&[P::RcdRd])),
    at(Bank, &[Rd], &[Pre], sum(&[P::RtpL])),
    at(Bank, &[Act], &[Pre], sum(&[P::Ras])),
    at(Bank, &[Pre], &[Act], sum(&[P::Rp])),
    at(Bank, &[Wr], &[Pre], sum(&[P::Cwl, P::Bl, P::Wr])),
];

/// How long after its issue what a command produces can be used by the other stream of a program.
///
/// Assumption: a MAC's result is there when read data would be (nCL + nBL), moved data when written data would be
/// (nCWL + nBL) or have been read. AttAcc has no such latency. The BufferPE's operations are timed by the BufferPE, not here.
pub const RESULTS: &[(&[Command], Latency)] = &[
    (&[MacAb, MacSb, MacPb, MvSb, Rd, Ret, RdReg], sum(&[P::Cl, P::Bl])),
    (&[MvSum], SUMMED),
    (&[WrGb, MvGb, MvBc, Wr, WrReg], sum(&[P::Cwl, P::Bl])),
    (OPENING, sum(&[P::RcdRd])),
    (&[Pre, PreA, PreSb, PrePb], sum(&[P::Rp])),
    (&[SetM], sum(&[P::Mod])),
    (&[RefAb], sum(&[P::Rfc])),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_constraint_stands_below_what_both_commands_address() {
        for constraint in JEDEC {
            for command in constraint.preceding.iter().chain(constraint.following) {
                assert!(constraint.level <= command.scope(), "{command}: {constraint:?}");
            }
        }
    }
}
