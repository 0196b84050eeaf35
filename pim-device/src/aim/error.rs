//! What can be wrong with a program for AiM, or with what one is asked of.

use crate::command::Command;

/// Why a program was not written or not run. Nothing was computed; the remedy is in the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AimError {
    /// A figure of the block cannot be, or the mapping cannot use it.
    #[error("{what} is {value}: wanted {wanted}")]
    Shape {
        /// Which.
        what: &'static str,
        /// Its value.
        value: u64,
        /// What it may be.
        wanted: String,
    },
    /// The weights and the KV cache need more rows than a bank has.
    #[error("the block needs {needed} rows of each bank, which has {rows}: use more channels or a shorter cache")]
    Capacity {
        /// Rows that it needs.
        needed: u64,
        /// Rows that there are.
        rows: u64,
    },
    /// An instruction addresses a channel or a bank that is not there.
    #[error("instruction {place} addresses {what} {number}, and there are {count}")]
    NoSuch {
        /// Which instruction.
        place: usize,
        /// `channel` or `bank`.
        what: &'static str,
        /// Its number.
        number: u32,
        /// How many there are.
        count: u32,
    },
    /// A command that is not sent by instructions.
    #[error("instruction {place} is {command}, which is no command of a program")]
    NotOrdered {
        /// Which instruction.
        place: usize,
        /// The command.
        command: Command,
    },
}
