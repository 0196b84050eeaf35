//! Runs attention on one channel of each class and prints its cycles, to be counted under callgrind:
//! `valgrind --tool=callgrind --callgrind-out-file=/dev/null attention_cost TOKENS HEADS fast|single [DEVICE]`.

use pim_device::{AttentionUnit, DeviceSpec, ExecutionMode, Learnt, attention};

fn main() {
    let argument = |n: usize| std::env::args().nth(n).unwrap_or_default();
    let tokens = argument(1).parse().unwrap_or(32_768);
    let heads: u32 = argument(2).parse().unwrap_or(130);
    let mode = if argument(3) == "single" { ExecutionMode::CommandByCommand } else { ExecutionMode::FastForward };
    let device = DeviceSpec::by_name(&argument(4)).unwrap_or_else(DeviceSpec::hbm3_pim_bank);
    let channels = device.channels_per_stack();
    let mut classes = vec![heads.div_ceil(channels), heads / channels];
    classes.dedup();
    let learnt = Learnt::new(&device);
    for count in classes.into_iter().filter(|&count| count > 0) {
        let units = vec![AttentionUnit { tokens, query_heads: 1 }; count as usize];
        let program = attention(&device, 128, &units);
        let mut engine = learnt.engine().with_execution(mode);
        match engine.run(&program, 0) {
            Ok(execution) => {
                println!("{count} heads: {} cycles, {} commands", execution.end, execution.commands.total());
            }
            Err(error) => eprintln!("{error}"),
        }
    }
}
