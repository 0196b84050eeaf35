//! The kernel's benchmarks.
//!
//! - `kernel-bench rates [MODEL]...` prints CPU times relative to the plain heap loop (also `cargo bench`).
//! - `kernel-bench instructions [MODEL]...` prints instructions per event; needs valgrind.
//! - `kernel-bench run ENGINE MODEL EVENTS` runs one, for valgrind or perf.
//! - `kernel-bench list` names the models and engines.

use std::process::ExitCode;

use kernel_bench::engine::Engine;
use kernel_bench::model::Spec;
use kernel_bench::report;

const USAGE: &str = "usage: kernel-bench rates|instructions [MODEL]... | run ENGINE MODEL EVENTS | list";

fn models(names: &[String]) -> Option<Vec<Spec>> {
    if names.is_empty() {
        return Some(Spec::ALL.to_vec());
    }
    names.iter().map(|name| Spec::ALL.into_iter().find(|spec| spec.name() == *name)).collect()
}

fn act(arguments: &[String]) -> Option<bool> {
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["list"] => {
            for spec in Spec::ALL {
                println!("{}", spec.name());
            }
            for engine in Engine::ALL {
                println!("{}", engine.name());
            }
            Some(true)
        }
        ["run", engine, model, events] => {
            let engine = Engine::ALL.into_iter().find(|known| known.name() == engine)?;
            let spec = Spec::ALL.into_iter().find(|spec| spec.name() == model)?;
            let outcome = engine.run(spec, events.parse().ok()?);
            println!("events {} checksum {:016x} ns {}", outcome.events, outcome.checksum, outcome.nanoseconds);
            Some(true)
        }
        [] | ["rates", ..] => Some(report::rates(&models(arguments.get(1..).unwrap_or_default())?)),
        ["instructions", ..] => {
            let program = std::env::current_exe().ok()?;
            report::all_instructions(program.to_str()?, &models(&arguments[1..])?);
            Some(true)
        }
        _ => None,
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match act(&arguments) {
        Some(true) => ExitCode::SUCCESS,
        Some(false) => ExitCode::FAILURE,
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}
