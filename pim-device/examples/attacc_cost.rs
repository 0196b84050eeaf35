//! Runs an attention kernel's requests under the rule set `attacc` and prints its cycles and commands of simulated channels,
//! to be counted under callgrind: `valgrind --tool=callgrind --callgrind-out-file=/dev/null '--toggle-collect=*simulate*'
//! attacc_cost bank|bg|buffer TOKENS HEADS`. Without the toggle the requests' making counts too.
//!
//! The requests are those of the simulator's generator for up to 16 heads of dimension 128 in FP16: queries, MACs in steps
//! of 16 keys between barriers, results, softmax, probabilities, and the same with V.

use std::hint::black_box;

use pim_device::controller::fifo_pim::{Fan, FifoPim, Request, Run, Setup, Splits, StreamError};
use pim_device::timing::hbm3::gbps_5_2;
use pim_device::{Address, Command, Organisation, PowerLimit};

/// Keys between two barriers; pieces of 32 B of a key in a bank.
const STEP: u32 = 16;
/// V begins in this row.
const VALUES: u32 = 8_192;

struct Trace {
    mode: String,
    heads: u8,
    fans: Vec<Fan>,
}

impl Trace {
    fn push(&mut self, command: Command, address: Address, column: u32) {
        let request = Request { command: Some(command), address, column: column as u16 };
        self.fans.push(Fan { request, channels: 0..=self.heads - 1 });
    }

    fn barrier(&mut self) {
        let request = Request { command: None, address: Address::default(), column: 0 };
        self.fans.push(Fan { request, channels: 0..=15 });
    }

    fn macs(&mut self, first_row: u32, numbers: std::ops::Range<u32>) {
        for number in numbers {
            let at = |row: u32, rank: u32, bank_group: u32, bank: u32| Address {
                row: first_row + row,
                rank: rank as u8,
                bank_group: bank_group as u8,
                bank: bank as u8,
                ..Address::default()
            };
            match self.mode.as_str() {
                "bank" => self.push(Command::MacAb, at(number / 32, 0, 0, 0), number % 32),
                "bg" => self.push(Command::MacSb, at(number / 128, 0, 0, number / 32 % 4), number % 32),
                _ => {
                    let at = at(number / 1_024, number / 4 % 2, number % 4, number / 8 % 4);
                    self.push(Command::MacPb, at, number / 32 % 32);
                }
            }
        }
    }

    /// A move of every bank group, or over the buffer die.
    fn moves(&mut self, command: Command, row: u32, granules: u32) {
        let groups = if self.mode == "buffer" { 1 } else { 8_u8 };
        for group in 0..groups {
            for _ in 0..granules {
                self.push(command, Address { rank: group / 4, bank_group: group % 4, row, ..Address::default() }, 0);
            }
        }
    }

    /// MACs in steps, each with the results of the step before.
    fn steps(&mut self, row: u32, macs: u32, step: u32) {
        let steps = macs.div_ceil(step);
        for at in 0..=steps {
            if at < steps {
                self.macs(row, at * step..macs.min((at + 1) * step));
            }
            if at > 0 {
                self.moves(Command::MvSb, row, 1);
            }
            if at < steps {
                self.barrier();
            }
        }
    }

    fn attention(mode: &str, tokens: u32, heads: u8) -> Vec<Fan> {
        let mut trace = Self { mode: mode.to_owned(), heads, fans: Vec::new() };
        let (parts, pieces) = match mode {
            "bank" => (16, 2),
            "bg" => (16, 8),
            _ => (2, 8),
        };
        let keys = tokens.div_ceil(parts);
        trace.moves(Command::WrGb, 0, pieces);
        trace.barrier();
        trace.steps(0, keys * pieces, STEP * pieces);
        trace.push(Command::Sfm, Address::default(), 0);
        trace.moves(Command::MvGb, VALUES, keys.div_ceil(16));
        trace.barrier();
        trace.steps(VALUES, keys * pieces, keys);
        trace.fans
    }
}

#[inline(never)]
fn simulate(controller: &FifoPim, splits: Splits, fans: &[Fan]) -> Result<Run, StreamError> {
    controller.run_split(splits, black_box(fans).iter().cloned())
}

fn main() {
    let argument = |n: usize| std::env::args().nth(n).unwrap_or_default();
    let heads = argument(3).parse().unwrap_or(1_u8).clamp(1, 16);
    let fans = Trace::attention(&argument(1), argument(2).parse().unwrap_or(4_096), heads);
    let mut splits = Splits::default();
    splits.insert(heads);
    let timing = gbps_5_2(PowerLimit::On);
    let run = FifoPim::new(&Setup::attacc(&Organisation::HBM3_8GB_2R, &timing))
        .and_then(|controller| simulate(&controller, splits, &fans));
    match run {
        Ok(run) => println!("{} cycles, {} commands of simulated channels", run.end, run.simulated_commands),
        Err(error) => eprintln!("{error}"),
    }
}
