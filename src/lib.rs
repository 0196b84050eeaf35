//! Where does the time of a generated token go, and what would another memory system change?
//!
//! [`scenario`] reads and checks a scenario file against the [`catalogue`], [`system`] assembles and runs each of its
//! systems as actors that exchange timed messages, [`mod@run`] goes through all points and systems and writes the reports,
//! [`mod@sweep`] does so side by side.
//! The binary is [`cli`] and nothing else.
//!
//! ```
//! use pimscope::scenario::{Format, Scenario};
//!
//! let text = r#"
//!     [model]
//!     config = "models/smollm2-135m-instruct.json"
//!     [workload]
//!     context = 1024
//!     [[system]]
//!     name = "gpu"
//!     gpu = { device = "H100-SXM-80GB" }
//!     kv = { home = "gpu" }
//! "#;
//! let loaded = Scenario::from_text("small.toml", text, Format::Toml, &[])?;
//! let report = pimscope::run::simulate(&loaded, &mut pimscope::run::keep_nothing)?;
//! let gpu = &report.systems[0];
//! assert_eq!(gpu.breakdown.total(), gpu.latency()); // Law 1, to the picosecond.
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod accuracy;
pub mod catalogue;
pub mod cli;
pub mod control;
pub mod output;
mod parallel;
pub mod quantize;
pub mod run;
pub mod scenario;
pub mod sweep;
pub mod system;
pub mod tensors;
pub mod threads;
pub mod validate;
