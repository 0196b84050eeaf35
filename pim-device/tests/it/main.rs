//! What a channel does over whole programs, and what its actor makes of it.

mod actor;
mod attacc;
mod audit;
mod closed_form;
mod common;
mod dram_oracle;
mod dram_timing;
mod laws;
mod oracle;
mod program;
mod refresh;
