//! What can be wrong with a PIM program.

/// A program that cannot be run. All of these are defects of the program's builder; a run stops with them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProgramError {
    /// A loop has more instructions than its stream or the loop around it.
    #[error("the loop at instruction {place} of the {stream} stream goes past its end")]
    LoopPastEnd {
        /// `row` or `move`.
        stream: &'static str,
        /// Which instruction.
        place: usize,
    },
    /// An instruction that its stream cannot do, an unknown token, or loops nested too deeply.
    #[error("instruction {place} of the {stream} stream is not allowed there: {instruction}")]
    Misplaced {
        /// `row` or `move`.
        stream: &'static str,
        /// Which instruction.
        place: usize,
        /// The instruction, printed.
        instruction: String,
    },
    /// A token is posted more or less often than it is waited for.
    #[error("token {token} is not posted as often as it is waited for")]
    UnbalancedToken {
        /// Which.
        token: usize,
    },
    /// Each stream waits for a token of the other.
    #[error("the streams wait for each other: the row stream for token {row:?}, the move stream for token {moves:?}")]
    Deadlock {
        /// What the row stream waits for; `None` where it has ended.
        row: Option<usize>,
        /// What the move stream waits for; `None` where it has ended.
        moves: Option<usize>,
    },
    /// A MAC or a write without an open row, or an activation of an open bank.
    #[error("{command} at cycle {cycle} does not fit the state of the banks")]
    BankState {
        /// The command.
        command: crate::command::Command,
        /// When it would have been issued.
        cycle: u64,
    },
    /// Ordinary banks were left open until refresh could not be postponed any more.
    #[error("ordinary rows were open at cycle {cycle}, when refresh could not be postponed any more")]
    RefreshStarved {
        /// When.
        cycle: u64,
    },
    /// The program ended with open rows.
    #[error("the program ends with open rows")]
    RowLeftOpen,
}
