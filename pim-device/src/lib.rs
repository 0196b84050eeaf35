//! Processing-in-memory devices: DRAM timing, PIM programs and channel controllers.
//!
//! A [`DeviceSpec`] says what a device is: its [`Organisation`], its [`Timing`] and its PEs. A kernel such as
//! [`kernel::attention`] builds a [`Program`], two streams of commands for one channel. A [`Controller`] is the actor that
//! runs programs: its [`Engine`] issues command after command under the constraint table of [`constraint`], refresh
//! included, and says when the last one is done.
//!
//! ```
//! use pim_device::kernel::attention::{AttentionUnit, attention};
//! use pim_device::{Command, DeviceSpec, Engine, kv_rows};
//!
//! let device = DeviceSpec::hbm3_pim_bank();
//! let unit = AttentionUnit { tokens: 2_048, query_heads: 1 };
//! let program = attention(&device, 128, &[unit]);
//! assert_eq!(program.commands()[Command::ActAb], kv_rows(&device, 2_048, 128));
//!
//! let mut engine = Engine::new(&device);
//! let execution = engine.run(&program, 0)?;
//! assert_eq!(execution.commands[Command::MacAb], 512);
//! assert!(execution.end > 16 * 232); // 16 rows of 32 MACs
//! # Ok::<(), pim_device::ProgramError>(())
//! ```

// Tests of this crate share files with those in tests/.
#[cfg(test)]
extern crate self as pim_device;

pub mod aim;
pub mod command;
pub mod constraint;
pub mod controller;
pub mod device;
pub mod dram;
pub mod energy;
pub mod error;
pub mod hbm2_pim;
pub mod kernel;
pub mod kernel_actor;
pub mod organisation;
pub mod program;
pub mod stack;
pub mod timing;

pub use command::{Address, Command, CommandCounts};
pub use controller::engine::{Engine, Execution, ExecutionMode, Issued};
pub use controller::fast_forward::Learnt;
pub use controller::{Controller, ProgramDone, ProgramTask};
pub use device::{DeviceSpec, GqaPolicy, MultiBankActivation, PeLevel, PqFigures, PqMapping, PqReduction, PqValues};
pub use energy::{Energy, EnergyFigures, PowerBudget};
pub use error::ProgramError;
pub use kernel::attention::{AttentionUnit, attention};
pub use kernel_actor::{DeviceKernel, KernelDevice, KernelDone, Served, Traced, TracedCommand, Traffic, TrafficError};
pub use organisation::{Level, Organisation};
pub use program::{Instruction, Program, Token};
pub use stack::{Layout, kv_rows};
pub use timing::hbm3::PowerLimit;
pub use timing::{Parameter, Timing};
