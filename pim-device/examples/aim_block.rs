//! One Llama-2 block on GDDR6-AiM: cycles by part and by command.
//!
//! ```sh
//! cargo run --release -p pim-device --example aim_block -- 7b 4096 8
//! ```

use pim_device::aim::block::{AimBlock, BlockShape};
use pim_device::aim::{AimSpec, run};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let model = arguments.next().unwrap_or_else(|| "7b".to_owned());
    let shape = match model.as_str() {
        "7b" => BlockShape { hidden: 4_096, ffn: 11_008, heads: 32, kv_heads: 32, head_dim: 128 },
        "13b" => BlockShape { hidden: 5_120, ffn: 13_824, heads: 40, kv_heads: 40, head_dim: 128 },
        "70b" => BlockShape { hidden: 8_192, ffn: 28_672, heads: 64, kv_heads: 8, head_dim: 128 },
        _ => return Err("the model is 7b, 13b or 70b".into()),
    };
    let context = arguments.next().map_or(Ok(4_096), |text| text.parse())?;
    let channels = arguments.next().map_or(Ok(8), |text| text.parse())?;

    let device = AimSpec::gddr6_aim();
    let execution = run(&device, &AimBlock::new(shape, context, channels).program(&device)?)?;
    println!("{} cycles, {}, {} dispatches", execution.cycles.0, execution.time, execution.dispatched);
    for phase in &execution.phases {
        println!("{:<20} {:>9}", phase.name, phase.cycles.0);
    }
    println!("\n{:<20} {:>9} {:>12}", "command", "cycles", "commands");
    for (command, waited) in execution.waited.iter().filter(|(command, _)| execution.commands[*command] > 0) {
        println!("{command:<20} {waited:>9} {:>12}", execution.commands[command]);
    }
    println!("{:<20} {:>9}", "nothing to do", execution.idle.0);
    Ok(())
}
