//! Suites `attacc-golden` and `attacc-attention`: rule set `attacc` against the public AttAcc simulator (ASPLOS 2024),
//! command by command and over whole attention kernels.
//!
//! `workload.rs` rebuilds the request traces of its attention kernel, oddities included; the device knows nothing of
//! them. `trace.rs` reads its trace files.

mod address;
mod attention;
mod golden;
mod shipped;
mod trace;
mod workload;

pub use attention::Attention;
pub use golden::Golden;

use pim_device::Command;

/// The simulator's configuration: the presets that all its runs use.
const ORGANISATION: &pim_device::Organisation = &pim_device::Organisation::HBM3_8GB_2R;

/// Words of a trace, and the command that each is about; a barrier is about none.
const MNEMONICS: [(&str, Option<Command>); 12] = [
    ("LD", Some(Command::Rd)),
    ("ST", Some(Command::Wr)),
    ("PIM_MAC_AB", Some(Command::MacAb)),
    ("PIM_MAC_SB", Some(Command::MacSb)),
    ("PIM_MAC_PB", Some(Command::MacPb)),
    ("PIM_WR_GB", Some(Command::WrGb)),
    ("PIM_MV_SB", Some(Command::MvSb)),
    ("PIM_MV_GB", Some(Command::MvGb)),
    ("PIM_SFM", Some(Command::Sfm)),
    ("PIM_SET_MODEL", Some(Command::SetM)),
    ("PIM_SET_HEAD", Some(Command::SetH)),
    ("PIM_BARRIER", None),
];
