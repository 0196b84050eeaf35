//! Samsung's HBM-PIM: an exact model of its channel controller, its modes, its PIM programs and the maker's kernels.
//!
//! A [`Kernel`] says which [`Requests`] a host sends to each channel; a [`Channel`] issues commands for them, cycle by
//! cycle but only in those in which something can happen; a [`Trace`] tells what the commands were and which
//! instructions they executed. `docs/HBM-PIM.md` says what is modelled and how far it is checked.
//!
//! ```
//! use pim_device::hbm2_pim::{Hbm2Pim, Kernel, Operation, run};
//!
//! let device = Hbm2Pim::new();
//! let gemv = Kernel { operation: Operation::Gemv, pim: true, outputs: 4_096, inputs: 4_096, batch: 1, channels: 64 };
//! assert_eq!(run(&device, &gemv)?.cycles, 13_166);
//! let plain = Kernel { pim: false, ..gemv };
//! assert_eq!(run(&device, &plain)?.cycles, 36_082);
//! # Ok::<(), pim_device::hbm2_pim::Hbm2PimError>(())
//! ```

pub mod channel;
pub mod effect;
pub mod error;
pub mod fp16;
pub mod isa;
pub mod kernel;
pub mod mode;
mod queue;
pub mod request;
mod run;
pub mod sequencer;
mod times;
pub mod trace;
pub mod values;

pub use crate::device::hbm2_pim::Hbm2Pim;
pub use channel::{Channel, Issued, Observer};
pub use error::Hbm2PimError;
pub use kernel::{Kernel, Operation};
pub use mode::{Control, Mode};
pub use request::{Request, Requests};
pub use run::{Kept, KernelRun, Traffic, run, run_counted, run_kept, trace};
pub use trace::{Trace, TraceRow};
