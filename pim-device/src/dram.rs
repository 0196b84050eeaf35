//! Ordinary DRAM: one channel of a standard, its timing, its banks and its memory controller.
//!
//! [`RuleTable`] is a constraint table resolved for one channel, [`TimingState`] what follows from the commands that were
//! issued, [`Banks`] what the banks hold. Any controller can be built on these three.

pub mod bank;
pub mod rules;
pub mod state;

pub use bank::{BankState, Banks};
pub use rules::{CommandBus, Place, RuleTable};
pub use state::TimingState;

/// A tick of a controller's clock: CK, or half of it where commands may begin on either edge. The first is 1.
pub type Tick = u64;
