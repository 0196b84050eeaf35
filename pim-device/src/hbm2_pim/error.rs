//! What can be wrong with requests, programs and kernels.

use super::isa::DecodeError;

/// Why something cannot be run on the device. The device is left as it was, or in the middle of a run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Hbm2PimError {
    /// A request goes to a place that the channel does not have.
    #[error("hbm2-pim: request of run {run} goes to {what} {number}, and the channel has {limit}")]
    Outside {
        /// The run of the list, from 0.
        run: usize,
        /// Rank, bank, row or column.
        what: &'static str,
        /// Which.
        number: u64,
        /// How many there are.
        limit: u64,
    },
    /// Requests cannot be served: in the all-bank modes only banks 0 and 1 are activated, and rows that are wanted in turn
    /// can be opened and closed for ever.
    #[error("hbm2-pim: from cycle {cycle} on none of the {requests} requests that are left can be served")]
    Stuck {
        /// When this was found.
        cycle: u64,
        /// Requests that are left.
        requests: u64,
    },
    /// A word of a program is no instruction.
    #[error("hbm2-pim: {0}")]
    Decode(#[from] DecodeError),
    /// A program jumps for ever without an instruction in between, or to before its beginning.
    #[error("hbm2-pim: the JUMP at {place} leads to no instruction")]
    Jump {
        /// Its place in the CRF.
        place: usize,
    },
    /// The first instruction set has no move from registers to banks.
    #[error("hbm2-pim: `{instruction}` moves to a bank, which ISA 1.0 cannot do")]
    MoveToBank {
        /// The instruction.
        instruction: String,
    },
    /// A dimension that a kernel cannot have.
    #[error("{dimension} = {value}: {problem}")]
    Dimension {
        /// Which.
        dimension: &'static str,
        /// As it was given.
        value: u64,
        /// Why not.
        problem: String,
    },
}
