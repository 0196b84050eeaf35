//! What a channel does over whole programs, and what its actor makes of it.

mod actor;
mod audit;
mod closed_form;
mod common;
mod dram_oracle;
mod dram_timing;
mod hbm2_pim;
mod laws;
mod oracle;
mod program;
mod refresh;
