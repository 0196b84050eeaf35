//! What can go wrong between the spans and the files.

use std::io;
use std::path::{Path, PathBuf};

use sim_core::Time;

/// Why a report could not be made. No variant leaves a half-written file behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A law of docs/ARCHITECTURE.md does not hold: a defect of the simulator. The run must stop; its spans can still be
    /// written, they are the evidence.
    #[error("law {law} is broken by {actor} of {system} at {at}, {subject}: {what}")]
    LawBroken {
        /// The number of the law.
        law: u8,
        /// The system in which it was found.
        system: String,
        /// The actor, or the resource or memory.
        actor: String,
        /// The span (`span 3:17 (attention)`), meter or memory that shows it.
        subject: String,
        /// When: the start of the span, or the end of the run.
        at: Time,
        /// What does not hold, with both numbers.
        what: String,
    },
    /// A system without a generated token has no latency per token. Other systems can be reported.
    #[error("{system} generated no token in the simulated time, so it has no latency per token to report")]
    NoToken {
        /// The system.
        system: String,
    },
    /// A file could not be read or written. Other files can.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// `create`, `write`, `read`, `rename`.
        doing: &'static str,
        /// The operating system's reason.
        source: io::Error,
    },
    /// Text could not be put out, for instance because the reader of a pipe is gone.
    #[error("cannot print: {source}")]
    Output {
        /// The operating system's reason.
        source: io::Error,
    },
    /// A line of spans.csv is not what this program writes. The file cannot be used.
    #[error("{}:{line}: {what}", path.display())]
    SpanFile {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong, and what is allowed.
        what: String,
    },
    /// summary.json is not what this program writes. The file cannot be used.
    #[error("{key}: {what}")]
    SummaryFile {
        /// The path of the key in the file: `systems[0].decode.latency_ps`.
        key: String,
        /// What is wrong.
        what: String,
    },
    /// A figure could not be drawn. The other reports can be written.
    #[error("cannot draw {figure}: {what}")]
    Figure {
        /// The name of the figure's file.
        figure: &'static str,
        /// The drawing library's reason.
        what: String,
    },
}

impl ReportError {
    /// A failure of the operating system on a file.
    pub(crate) fn file(path: &Path, doing: &'static str, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), doing, source }
    }
}
