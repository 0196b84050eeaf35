//! Runs the HBM-PIM kernels of a table and prints the commands of simulated channels, to be counted under callgrind:
//! `valgrind --tool=callgrind --callgrind-out-file=/dev/null hbm_pim_cost TABLE [pim|nopim]`.
//!
//! A table has the columns `kernel,mode,out_dim,in_dim,batch,channels,ranks_per_channel`, and more.

use pim_device::hbm2_pim::{Hbm2Pim, Kernel, Operation, run};

fn kernel(line: &str, mode: &str) -> Option<(u32, Kernel)> {
    let fields: Vec<&str> = line.split(',').collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    let operation = Operation::ALL.into_iter().find(|known| Some(&known.name()) == fields.first())?;
    let pim = *fields.get(1)? == "pim";
    if !mode.is_empty() && pim != (mode == "pim") {
        return None;
    }
    let [outputs, inputs, batch, channels, ranks] = [2, 3, 4, 5, 6].map(number);
    let channels = u32::try_from(channels?).ok()?;
    Some((
        u32::try_from(ranks?).ok()?,
        Kernel { operation, pim, outputs: outputs?, inputs: inputs?, batch: batch?, channels },
    ))
}

fn main() {
    let argument = |n: usize| std::env::args().nth(n).unwrap_or_default();
    let table = std::fs::read_to_string(argument(1)).unwrap_or_else(|error| panic!("{}: {error}", argument(1)));
    let (mut kernels, mut cycles, mut commands) = (0, 0, 0);
    for (ranks, kernel) in table.lines().filter_map(|line| kernel(line, &argument(2))) {
        match run(&Hbm2Pim::new().with_ranks(ranks), &kernel) {
            Ok(run) => {
                (kernels, cycles, commands) = (kernels + 1, cycles + run.cycles, commands + run.simulated_commands);
            }
            Err(error) => eprintln!("{kernel}: {error}"),
        }
    }
    println!("{kernels} kernels, {cycles} cycles, {commands} commands of simulated channels");
}
