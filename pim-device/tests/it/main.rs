//! What a channel does over whole programs, and what its actor makes of it.

mod actor;
mod audit;
mod closed_form;
mod common;
mod kernels;
mod laws;
mod oracle;
mod program;
mod random;
mod refresh;
mod rules;
