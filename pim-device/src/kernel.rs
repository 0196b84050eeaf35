//! Kernels: builders of PIM programs, one file per kernel.

pub mod attention;
mod rows;
