//! Ordinary DRAM: one channel of a standard, its timing, its banks and its memory controller.
//!
//! [`DramChannel`] is the whole: it takes requests and says when they are done. It is built on three parts that any other
//! controller can use: [`RuleTable`] is a constraint table resolved for one channel, [`TimingState`] what follows from the
//! commands that were issued, [`Banks`] what the banks hold.

/// Does the same with a channel of any size: the `Size` of a module.
macro_rules! sized {
    ($size:expr, $channel:ident => $do:expr) => {
        match $size {
            Size::UpTo64($channel) => $do,
            Size::UpTo128($channel) => $do,
            Size::Long($channel) => $do,
        }
    };
}

pub mod bank;
pub mod bank_queue;
mod bank_set;
pub mod channel;
pub mod config;
mod core;
mod edges;
mod entries;
mod offset;
mod queue;
pub mod request;
pub mod rules;
mod scheduler;
pub mod state;
mod times;
pub mod traffic;
mod wheel;

pub use bank::{BankState, Banks};
pub use bank_queue::{BankQueueChannel, BankQueueConfig};
pub use channel::DramChannel;
pub use config::{ChannelConfig, DramError, Queues, Refresh};
pub use request::{Access, Completion, Observer, Offered, Request, Target};
pub use rules::{CommandBus, Place, RuleTable};
pub use state::{Spot, TimingState};

/// A tick of a controller's clock: CK, or half of it where commands may begin on either edge. The first is 1.
pub type Tick = u64;
