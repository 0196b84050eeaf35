//! Kernels: builders of PIM programs, one file per kernel.

pub mod attention;
pub mod gemv;
pub mod ordinary;
pub mod pq;
mod rows;
