//! Runs the attention of one channel many times: what `valgrind --tool=callgrind` counts.
//!
//! Usage: `attention_channel [TOKENS [UNITS [QUERY_HEADS [TIMES]]]]`. Prints cycles and commands, no time.

use std::process::ExitCode;

use pim_device::{AttentionUnit, Command, DeviceSpec, Engine, attention};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let mut next = |default: u64| arguments.next().unwrap_or(Ok(default));
    let (Ok(tokens), Ok(units), Ok(query_heads), Ok(times)) = (next(32_000), next(2), next(4), next(32)) else {
        eprintln!("all arguments are whole numbers");
        return ExitCode::from(2);
    };
    let device = DeviceSpec::hbm3_pim_bank();
    let unit = AttentionUnit { tokens, query_heads: query_heads as u32 };
    let units = vec![unit; units as usize];
    let mut engine = Engine::new(&device);
    let mut commands = pim_device::CommandCounts::default();
    for _ in 0..times {
        let program = attention(&device, 128, &units);
        match engine.run(&program, engine.end()) {
            Ok(execution) => commands += execution.commands,
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{} cycles, {} rows", engine.end(), commands[Command::ActAb]);
    for (command, count) in commands.iter() {
        println!("{command:>6} {count:>12}");
    }
    ExitCode::SUCCESS
}
