//! `cargo bench` prints the table of rates; name models after `--` for some of them.

use std::process::ExitCode;

use kernel_bench::model::Spec;
use kernel_bench::report;

fn main() -> ExitCode {
    // Cargo passes `--bench`.
    let names: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = Spec::ALL.into_iter().filter(|spec| names.is_empty() || names.contains(&spec.name()));
    if report::rates(&wanted.collect::<Vec<_>>()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
