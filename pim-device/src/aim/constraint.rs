//! The timing constraints of GDDR6-AiM, and when what a command does is done, as data.
//!
//! Source: the device model of the AiM simulator (github.com/arkhadem/aim_simulator at c2f8ab6, MIT licence), restated: that
//! of its versions which gives the published cycles. Later ones (cornell-m3/aim_simulator at 5fe0c24) keep nRC between
//! activations, and let precharges of several banks and of a bank whose neighbour was just used follow each other at
//! once; they are 44 cycles faster for an embedding. Single-bank MACs, four-bank activation and auto-precharge of
//! single accesses are left out: no kernel uses them. Refresh never happens in that model: its refresh manager looks for
//! ranks, and the device has none.
//!
//! Names: ACTAB, MACAB and PREA are that model's ACT16, MAC16 and PREA, SETM its TMOD; EWMUL, AF, RDMAC, RDAF, WRMAC and
//! WRAB are its EWMUL16, AF16, RDMAC16, RDAF16, WRMAC16 and WRA16.

use crate::command::Command;
use crate::command::Command::{
    Act, ActAb, Af, EwMul, MacAb, Pre, PreA, Rd, RdAf, RdCp, RdMac, SetM, Wr, WrAb, WrCp, WrGb, WrMac,
};
use crate::constraint::{Constraint, Latency, at, sum};
use crate::organisation::Level::{Bank, BankGroup, Channel};
use crate::timing::Parameter as P;

/// The commands that the controller sends.
pub const COMMANDS: &[Command] =
    &[Act, ActAb, Pre, PreA, Rd, Wr, MacAb, EwMul, Af, RdCp, WrCp, WrGb, RdMac, RdAf, WrMac, WrAb, SetM];

/// Everything but the mode switch itself.
const WORK: &[Command] = &[Act, ActAb, Pre, PreA, Rd, Wr, MacAb, EwMul, Af, RdCp, WrCp, WrGb, RdMac, RdAf, WrMac, WrAb];

/// From a read to a write on the external bus: the read's data, three cycles, the preamble, less the write's latency.
const fn turn(read: &'static [P], write: &'static [P]) -> Latency {
    sum(read).less(write).plus(3)
}

/// The rule set.
#[rustfmt::skip]
pub const AIM: &[Constraint] = &[
    // The external bus.
    at(Channel, &[Rd, RdMac, RdAf], &[Rd, RdMac, RdAf], sum(&[P::Bl])),
    at(Channel, &[Wr, WrAb, WrGb, WrMac], &[Wr, WrAb, WrGb, WrMac], sum(&[P::Bl])),
    at(Channel, &[Rd], &[Wr, WrAb], turn(&[P::Cl, P::Bl, P::WPre], &[P::Cwl])),
    at(Channel, &[Rd], &[WrGb], turn(&[P::Cl, P::Bl, P::WPre], &[P::CwlGb])),
    at(Channel, &[Rd], &[WrMac], turn(&[P::Cl, P::Bl, P::WPre], &[P::CwlReg])),
    at(Channel, &[RdMac, RdAf], &[Wr, WrAb], turn(&[P::ClReg, P::Bl, P::WPre], &[P::Cwl])),
    at(Channel, &[RdMac, RdAf], &[WrGb], turn(&[P::ClReg, P::Bl, P::WPre], &[P::CwlGb])),
    at(Channel, &[RdMac, RdAf], &[WrMac], turn(&[P::ClReg, P::Bl, P::WPre], &[P::CwlReg])),
    at(Channel, &[Wr, WrAb], &[Rd, RdMac, RdAf], sum(&[P::Cwl, P::Bl, P::WtrS])),
    at(Channel, &[WrGb], &[Rd, RdMac, RdAf], sum(&[P::CwlGb, P::Bl, P::WtrS])),
    at(Channel, &[WrMac], &[Rd, RdMac, RdAf], sum(&[P::CwlReg, P::Bl, P::WtrL])),
    at(Channel, &[Wr], &[RdMac, RdAf], sum(&[P::Cwl, P::Bl, P::WtrL])),
    at(Channel, &[WrAb], &[Rd, RdMac, RdAf], sum(&[P::Cwl, P::Bl, P::WtrL])),
    at(BankGroup, &[Wr], &[Rd], sum(&[P::Cwl, P::Bl, P::WtrL])),
    // The buses between and inside the bank groups.
    at(Channel, &[Rd, MacAb, RdCp, RdMac, RdAf], &[Rd, MacAb, RdCp, RdMac, RdAf], sum(&[P::CcdS])),
    at(Channel, &[Wr, WrAb, WrGb, WrCp, WrMac], &[Wr, WrAb, WrGb, WrCp, WrMac], sum(&[P::CcdS])),
    at(Channel, &[Rd, RdCp, RdMac, RdAf, MacAb, EwMul], &[RdMac, RdAf, MacAb, EwMul], sum(&[P::CcdL])),
    at(Channel, &[RdMac, RdAf, MacAb, EwMul], &[Rd, RdCp], sum(&[P::CcdL])),
    at(Channel, &[Wr, WrCp, WrAb, WrMac, EwMul], &[WrAb, WrMac, EwMul], sum(&[P::CcdL])),
    at(Channel, &[WrAb, WrMac, EwMul], &[Wr, WrCp], sum(&[P::CcdL])),
    at(BankGroup, &[Rd, RdCp], &[Rd, RdCp], sum(&[P::CcdL])),
    at(BankGroup, &[Wr, WrCp], &[Wr, WrCp], sum(&[P::CcdL])),
    // Activation to column.
    at(Channel, &[Act, ActAb], &[MacAb], sum(&[P::RcdMac])),
    at(Channel, &[Act, ActAb], &[EwMul], sum(&[P::RcdEwMul])),
    at(Channel, &[Act, ActAb], &[Af], sum(&[P::RcdAf])),
    at(Channel, &[Act, ActAb], &[WrAb], sum(&[P::RcdWr])),
    at(Channel, &[ActAb], &[RdCp], sum(&[P::RcdRdCp])),
    at(Channel, &[ActAb], &[WrCp], sum(&[P::RcdWrCp])),
    at(Channel, &[ActAb], &[Rd], sum(&[P::RcdRd])),
    at(Channel, &[ActAb], &[Wr], sum(&[P::RcdWr])),
    at(Bank, &[Act], &[RdCp], sum(&[P::RcdRdCp])),
    at(Bank, &[Act], &[WrCp], sum(&[P::RcdWrCp])),
    at(Bank, &[Act], &[Rd], sum(&[P::RcdRd])),
    at(Bank, &[Act], &[Wr], sum(&[P::RcdWr])),
    // Column to precharge.
    at(Channel, &[Rd, RdCp, MacAb, Af, EwMul], &[PreA], sum(&[P::Rtp])),
    at(Channel, &[MacAb, Af, EwMul], &[Pre], sum(&[P::Rtp])),
    at(Channel, &[Wr, WrCp], &[PreA], sum(&[P::Cwl, P::Bl, P::Wr])),
    at(Channel, &[EwMul], &[Pre, PreA], sum(&[P::Cwl, P::Wr])),
    at(Channel, &[WrAb], &[Act, ActAb], sum(&[P::Cwl, P::Bl, P::Wr, P::Rp])),
    at(BankGroup, &[Rd, RdCp], &[Pre], sum(&[P::Rtp])),
    at(BankGroup, &[Wr, WrCp], &[Pre], sum(&[P::Cwl, P::Bl, P::Wr])),
    // Activation and precharge.
    at(Channel, &[Act, ActAb], &[Act, ActAb], sum(&[P::RrdS])),
    at(Channel, &[Act, ActAb], &[ActAb], sum(&[P::RrdL])),
    at(Channel, &[ActAb], &[Act], sum(&[P::RrdL])),
    at(Channel, &[Act, ActAb], &[PreA], sum(&[P::Ras])),
    at(Channel, &[ActAb], &[Pre], sum(&[P::Ras])),
    at(Channel, &[Pre, PreA], &[ActAb], sum(&[P::Rp])),
    at(Channel, &[PreA], &[Act], sum(&[P::Rp])),
    at(Channel, &[Pre, PreA], &[Pre, PreA], sum(&[P::Rp])),
    at(BankGroup, &[Act], &[Act], sum(&[P::RrdL])),
    at(Bank, &[Act], &[Pre], sum(&[P::Ras])),
    at(Bank, &[Pre], &[Act], sum(&[P::Rp])),
    // Between the modes for registers and for banks.
    at(Channel, &[SetM], WORK, sum(&[P::Mod])),
];

/// From the issue of a command to its completion, in cycles: to its data for reads, to its end for the rest. A barrier
/// waits for all of them.
pub const COMPLETION: &[(&[Command], Latency)] = &[
    (&[Rd], sum(&[P::Cl, P::Bl])),
    (&[RdMac, RdAf], sum(&[P::ClReg, P::Bl])),
    (&[Wr], sum(&[P::Cwl, P::Bl])),
    (&[WrGb], sum(&[P::CwlGb, P::Bl])),
    (&[WrMac], sum(&[P::CwlReg, P::Bl])),
    (&[WrAb], sum(&[P::Cwl, P::Bl, P::Rp])),
    (&[MacAb, EwMul, Af, RdCp, WrCp], Latency::fixed(1)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_all_commands_of_the_table_sent_and_all_sent_ones_in_the_table() {
        for constraint in AIM {
            assert!(constraint.preceding.iter().chain(constraint.following).all(|command| COMMANDS.contains(command)));
            assert_eq!(constraint.window, 1);
        }
        for command in COMMANDS {
            assert!(AIM.iter().any(|line| line.preceding.contains(command)), "{command}");
        }
    }
}
