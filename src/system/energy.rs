//! Energy of a run: what its spans moved and computed, what PIM commands did, and what is taken all the time.

use sim_core::{Category, Span, Time};

use super::Figures;
use super::machine::Run;

/// From TSV to interposer, pJ per bit: what a transfer between GPU and PIM stacks adds (Fine-Grained DRAM, MICRO 2017, as used by
/// the AttAcc simulator).
const ON_PACKAGE: f64 = 0.3;
/// pJ per bit (AttAcc simulator).
const NVLINK: f64 = 1.3;
/// pJ per bit; assumption. CXL runs on the same physical layer.
const PCIE: f64 = 4.4;

/// (part, picojoules) in a fixed order, for the whole run. What no source gives is left out: the softmax unit and the buffers of PIM
/// stacks, controllers, switches, voltage regulators and fans.
pub fn parts(run: &Run, figures: &Figures) -> Vec<(String, f64)> {
    let Run { spans, names, end, .. } = run;
    let bits = |category: Category| spans.iter().filter(|s| s.category == category).map(|s| s.bytes).sum::<u64>() * 8;
    let operations: u64 = spans.iter().filter(|s| s.category == Category::ComputeGpu).map(|s| s.operations).sum();
    let is_of = |span: &Span, what: &str| names.get(span.id.actor.index()).is_some_and(|name| name.contains(what));
    // Every copy of a copy engine, and every load of a kernel from the host, has one end in the GPU's memory and one in the host's.
    let copied = spans
        .iter()
        .filter(|span| is_of(span, ".copy-") || is_of(span, ".load.host"))
        .map(|span| span.bytes)
        .sum::<u64>()
        * 8;
    let kernels = union(spans, |span| is_of(span, ".stream"));
    let cores = union(spans, |span| is_of(span, "host.worker"));
    let (gpu, host) = (&figures.gpu.energy, &figures.host.energy);
    let each = |femtojoules: u64, number: u64| femtojoules as f64 / 1e3 * number as f64;
    let over = |microwatts: u64, time: Time| microwatts as f64 * 1e-6 * time.ps() as f64;
    let mut parts = vec![
        ("gpu.memory".to_owned(), each(gpu.bit, bits(Category::ComputeGpu) + copied)),
        ("gpu.memory.standby".to_owned(), over(gpu.standby, *end)),
        ("gpu.memory.refresh".to_owned(), over(gpu.refresh, *end)),
        ("gpu.compute".to_owned(), each(gpu.mac, operations / 2)),
        ("gpu.active".to_owned(), over(gpu.active, kernels)),
        ("gpu.idle".to_owned(), over(gpu.idle, *end)),
    ];
    let pim = run.pim_energy.as_ref().map(|energy| energy.parts).unwrap_or_default();
    parts.extend(pim.named().map(|(name, energy)| (format!("pim.{name}"), energy.pj())));
    parts.extend(
        [
            ("host.dram", each(host.bit, bits(Category::ComputeCpu) + copied)),
            ("host.dram.standby", over(host.standby, *end)),
            ("host.dram.refresh", over(host.refresh, *end)),
            ("host.cpu.active", over(host.active, cores)),
            ("host.cpu.idle", over(host.idle, *end)),
            ("communication.pcie", bits(Category::CommunicationPcie) as f64 * PCIE),
            ("communication.cxl", bits(Category::CommunicationCxl) as f64 * PCIE),
            ("communication.nvlink", bits(Category::CommunicationNvlink) as f64 * NVLINK),
            ("communication.hbm", bits(Category::CommunicationHbm) as f64 * ON_PACKAGE),
        ]
        .map(|(name, picojoules)| (name.to_owned(), picojoules)),
    );
    parts
}

/// How long any of the chosen spans was under way.
fn union(spans: &[Span], chosen: impl Fn(&Span) -> bool) -> Time {
    let mut times: Vec<(Time, Time)> =
        spans.iter().filter(|span| chosen(span)).map(|span| (span.start, span.end)).collect();
    times.sort_unstable();
    let (mut sum, mut until) = (Time::ZERO, Time::ZERO);
    for (start, end) in times {
        let start = start.max(until);
        if end > start {
            sum += end.since(start);
            until = end;
        }
    }
    sum
}
