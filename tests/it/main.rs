//! pimscope as a whole: scenarios in, reports out. One module per question.

mod aqpim;
mod attacc;
mod bad_input;
mod codecs;
mod commands;
mod common;
mod determinism;
mod energy;
mod laws;
mod lengths;
mod limits;
mod offload_share;
mod pim_kernels;
mod placement;
mod prefill;
mod quantize;
mod quickstart;
mod scenarios;
mod streams;
mod sweep;
mod threads;
mod trace;
