//! What a channel does over whole programs, and what its actor makes of it.

mod actor;
mod aim;
mod aim_oracle;
mod attacc;
mod audit;
mod beside;
mod closed_form;
mod common;
mod dram_oracle;
mod dram_timing;
mod hbm2_pim;
mod kernels;
mod laws;
mod mixed;
mod oracle;
mod power;
mod pq;
mod presets;
mod program;
mod random;
mod refresh;
mod rules;
mod traced;
