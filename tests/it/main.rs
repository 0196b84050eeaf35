//! pimscope as a whole: scenarios in, reports out. One module per question.

mod attacc;
mod bad_input;
mod common;
mod determinism;
mod laws;
mod lengths;
mod limits;
mod offload_share;
mod placement;
mod prefill;
mod quantize;
mod quickstart;
mod scenarios;
mod threads;
mod trace;
