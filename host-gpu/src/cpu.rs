//! The host: [`Worker`] runs attention on the cores, [`Driver`] is the thread that launches GPU work; DRAM channels and
//! cores are [`crate::Shared`].

pub mod driver;
pub mod worker;

pub use driver::{Driver, HostJob, JobDone};
pub use worker::Worker;
