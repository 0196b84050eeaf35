//! Energy of a run, from what its spans moved and computed.

use sim_core::{Category, Span};

/// Reading or writing HBM from outside the stack, pJ per bit: 0.11 activation, 0.44 cell, 1.01 and 1.23 through the
/// multiplexers, 0.5 TSV, 0.3 interposer (Fine-Grained DRAM, MICRO 2017, as used by the AttAcc simulator).
const HBM: f64 = 0.11 + 0.44 + 1.01 + 1.23 + 0.5 + 0.3;
/// One multiply-add of a GPU, pJ (AttAcc simulator).
const MULTIPLY_ADD: f64 = 0.32;
/// From TSV to interposer, pJ per bit: what a transfer between GPU and PIM stacks adds (same source).
const ON_PACKAGE: f64 = 0.3;
/// pJ per bit (AttAcc simulator).
const NVLINK: f64 = 1.3;
/// pJ per bit; assumption. CXL runs on the same physical layer.
const PCIE: f64 = 4.4;

/// (part, picojoules) in a fixed order. What no source gives is left out, and the report says so: host DRAM and cores,
/// idle power, refresh outside of PIM programs.
pub fn parts(spans: &[Span], names: &[String], pim: Option<f64>) -> Vec<(String, f64)> {
    let bits = |category: Category| spans.iter().filter(|s| s.category == category).map(|s| s.bytes).sum::<u64>() * 8;
    let operations: u64 = spans.iter().filter(|s| s.category == Category::ComputeGpu).map(|s| s.operations).sum();
    // Every copy of a copy engine ends or begins in the GPU's memory.
    let engine = |span: &&Span| names.get(span.id.actor.index()).is_some_and(|name| name.starts_with("gpu0.copy-"));
    let copied = spans.iter().filter(engine).map(|span| span.bytes).sum::<u64>() * 8;
    let memory = bits(Category::ComputeGpu) + copied;
    let part = |name: &str, picojoules: f64| (name.to_owned(), picojoules);
    vec![
        part("gpu.memory", memory as f64 * HBM),
        part("gpu.compute", operations as f64 / 2.0 * MULTIPLY_ADD),
        part("pim", pim.unwrap_or(0.0)),
        part("communication.pcie", bits(Category::CommunicationPcie) as f64 * PCIE),
        part("communication.cxl", bits(Category::CommunicationCxl) as f64 * PCIE),
        part("communication.nvlink", bits(Category::CommunicationNvlink) as f64 * NVLINK),
        part("communication.hbm", bits(Category::CommunicationHbm) as f64 * ON_PACKAGE),
    ]
}
