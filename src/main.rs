//! The command line of pimscope; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    pimscope::cli::main()
}
