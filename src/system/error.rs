//! Why a system cannot be built or run.

use host_gpu::OutOfMemory;
use interconnect::NoRoute;
use sim_core::{Bytes, SimulationError};

use crate::catalogue::FigureError;

/// Why a system cannot be built or run. All but `Simulation` are the scenario's to mend.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SystemError {
    /// A figure of a device is missing or of the wrong kind.
    #[error(transparent)]
    Figure(#[from] FigureError),
    /// Something other than the KV cache does not fit.
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    /// A PIM device cannot work on codes of this form.
    #[error(transparent)]
    Codes(#[from] pim_device::kernel::pq::PqError),
    /// The KV cache does not fit and may not overflow.
    #[error(
        "the KV cache of {batch} sequences of {} tokens needs {needed}, and there is room for {capacity} in {home}: \
         {tokens_that_fit} tokens of each sequence would fit",
        span(*shortest, *context)
    )]
    KvDoesNotFit {
        /// The memory.
        home: String,
        /// Sequences.
        batch: u32,
        /// Tokens of the longest.
        context: u64,
        /// Tokens of the shortest.
        shortest: u64,
        /// Bytes needed, padding included.
        needed: Bytes,
        /// Bytes there are for KV.
        capacity: Bytes,
        /// The longest context that would fit.
        tokens_that_fit: u64,
    },
    /// Two devices that must talk are not joined.
    #[error(transparent)]
    NoRoute(#[from] NoRoute),
    /// A name that the model gives to something that does not exist, for example an unknown link kind.
    #[error("{what} `{name}` is not known; known are {known}")]
    Unknown {
        /// What kind of thing.
        what: &'static str,
        /// The name.
        name: String,
        /// What there is.
        known: String,
    },
    /// The PEs take the room of all rows.
    #[error("a density_factor of {factor} leaves none of the {rows} rows of a bank of `{device}`")]
    NoRows {
        /// The device.
        device: String,
        /// The share of the rows that is left.
        factor: f64,
        /// Rows of a bank without PEs.
        rows: u32,
    },
    /// The operator graph is not one.
    #[error(transparent)]
    Graph(#[from] workloads::GraphError),
    /// A kernel that its device was said to take could not be run: a defect of pimscope.
    #[error("the kernel cannot be run: {0}")]
    Kernel(String),
    /// A layer's cache comes in pieces so small that the run would hardly end.
    #[error("{key}: a layer's cache of {bytes} would be fetched in {count} copies, and {most} are the most")]
    TooManyCopies {
        /// What decides on it.
        key: &'static str,
        /// What is fetched for one layer.
        bytes: Bytes,
        /// In how many copies.
        count: u64,
        /// How many are taken.
        most: u32,
    },
    /// Requests beside a kernel that are too many.
    #[error("traffic: {0}")]
    Traffic(String),
    /// The run itself failed: a defect of pimscope.
    #[error(transparent)]
    Simulation(#[from] SimulationError),
}

impl SystemError {
    /// A kernel could not be run.
    pub(crate) fn kernel(error: impl std::fmt::Display) -> Self {
        Self::Kernel(error.to_string())
    }
}

fn span(shortest: u64, longest: u64) -> String {
    if shortest == longest { longest.to_string() } else { format!("{shortest} to {longest}") }
}
