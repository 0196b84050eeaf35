//! GPU and CPU: streams and workers that run kernels, memories and cores that serve them, the host thread that
//! launches, and the books of every memory's capacity.
//!
//! A [`gpu::Stream`] runs [`Kernel`]s in order: each pays a start cost and then asks the GPU's memory for its bytes and
//! the GPU's cores for its operations, and ends when both have been served. [`Shared`] is such a memory or set of
//! cores: whatever runs at once shares it fairly, so a DMA transfer into the same memory slows a kernel down, and no
//! formula says by how much.
//!
//! ```
//! use host_gpu::{Ledger, OutOfMemory};
//! use sim_core::Bytes;
//!
//! let mut memory = Ledger::new("gpu0", Bytes(80 << 30));
//! memory.take("weights", Bytes(14 << 30))?;
//! assert_eq!(memory.free(), Bytes(66 << 30));
//! assert!(memory.take("kv", Bytes(67 << 30)).is_err());
//! # Ok::<(), OutOfMemory>(())
//! ```

pub mod cpu;
pub mod gpu;
pub mod kernel;
pub mod ledger;
pub mod shared;

pub use cpu::{Driver, HostJob, JobDone, Worker};
pub use gpu::Stream;
pub use kernel::{Kernel, Ports, Started};
pub use ledger::{Ledger, OutOfMemory};
pub use shared::{Shared, Tick};
