//! GDDR6-AiM: DRAM channels with a multiplier beside every bank and a global buffer for the shared operand, and one
//! dispatcher that feeds all of them.
//!
//! [`AimSpec`] is the device as data, [`AimProgram`] what the dispatcher sends, [`run`] executes it: ordered commands in
//! the order of the program, ordinary accesses first ready, first come. [`block`] writes the program of a transformer
//! block.
//!
//! ```
//! use pim_device::Command;
//! use pim_device::aim::block::{AimBlock, BlockShape};
//! use pim_device::aim::{AimSpec, run};
//!
//! let device = AimSpec::gddr6_aim();
//! let shape = BlockShape { hidden: 4_096, ffn: 11_008, heads: 32, kv_heads: 32, head_dim: 128 };
//! let program = AimBlock::new(shape, 512, 8).program(&device)?;
//! let execution = run(&device, &program)?;
//! // Every weight of the block is read once: 202.4 million elements over 8 channels of 16 banks x 16 elements.
//! assert!(execution.commands[Command::MacAb] / 32 > 202_375_168 / (8 * 256));
//! # Ok::<(), pim_device::aim::AimError>(())
//! ```

pub mod block;
mod channel;
pub mod constraint;
mod dispatch;
pub mod error;
pub mod program;
mod record;
pub mod spec;

pub use dispatch::{AimExecution, Phase, run, run_recorded};
pub use error::AimError;
pub use program::{Accesses, AimProgram, Channels, Instruction, Ordered, Target};
pub use record::{AimIssued, AimRecord};
pub use spec::AimSpec;
