//! The command line of pimscope.
fn main() {}
