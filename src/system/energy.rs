//! Energy of a run: what its spans moved and computed, what PIM commands did, and what is taken all the time. The same of
//! attention alone.

use std::sync::Arc;

use reports::attention;
use sim_core::{Category, Span, Time};
use workloads::OperatorKind;

use super::Figures;
use super::machine::Run;

/// From TSV to interposer, pJ per bit: what a transfer between GPU and PIM stacks adds (Fine-Grained DRAM, MICRO 2017, as used by
/// the AttAcc simulator).
const ON_PACKAGE: f64 = 0.3;
/// pJ per bit (AttAcc simulator).
const NVLINK: f64 = 1.3;
/// pJ per bit; assumption. CXL runs on the same physical layer.
const PCIE: f64 = 4.4;

/// The kernels of a layer besides its attention. RoPE and append are behind the queries: they belong to it.
const DENSE: [OperatorKind; 8] = [
    OperatorKind::InputNorm,
    OperatorKind::Qkv,
    OperatorKind::OutputProjection,
    OperatorKind::PostNorm,
    OperatorKind::GateUp,
    OperatorKind::Up,
    OperatorKind::Activation,
    OperatorKind::Down,
];

/// What is counted: all of a run, or a part of it.
struct Part<'a> {
    spans: Vec<&'a Span>,
    /// For how long idle power, standby and refresh are counted.
    time: Time,
    pim: [(&'static str, f64); 8],
}

/// (part, picojoules) in a fixed order, for the whole run. What no source gives is left out: the softmax unit and the buffers of PIM
/// stacks, controllers, switches, voltage regulators and fans.
pub fn parts(run: &Run, figures: &Figures) -> Vec<(String, f64)> {
    let pim = run.pim_energy.as_ref().map(|energy| energy.parts).unwrap_or_default();
    let pim = pim.named().map(|(name, energy)| (name, energy.pj()));
    counted(run, figures, &Part { spans: run.spans.iter().collect(), time: run.end, pim })
}

/// The same of attention alone, in a run without prompts: the jobs of layers behind their queries, all commands of PIM stacks (which
/// do nothing else there), and what is taken all the time while any layer's attention is under way.
///
/// Of the stacks' standby it is what is left when idle stacks stand by during the rest of the run; of their refresh the share of
/// the time. Fetches ahead of their layer count with the layer that they are for.
pub fn of_attention(run: &Run, figures: &Figures) -> Vec<(String, f64)> {
    let mut windows: Vec<(Time, Time)> = attention::windows(&run.spans).into_values().collect();
    windows.sort_unstable();
    let time = covered(windows).min(run.end);
    if run.stopped.is_some() || time == Time::ZERO {
        return Vec::new();
    }
    let own = |span: &&Span| {
        span.tag.step > 0 && span.tag.layer.is_some() && !DENSE.iter().any(|kind| kind.name() == span.kind)
    };
    let mut pim =
        run.pim_energy.as_ref().map(|energy| energy.parts).unwrap_or_default().named().map(|(n, e)| (n, e.pj()));
    if let Some(figures) = &figures.pim {
        let device = Arc::clone(&figures.device);
        let channels = f64::from(figures.stacks) * f64::from(device.organisation.channels);
        let outside = pim_device::energy::idle(&device, run.end - time).standby.pj() * channels;
        for (name, energy) in &mut pim {
            match *name {
                "standby" => *energy = (*energy - outside).max(0.0),
                "refresh" => *energy *= time.ps() as f64 / run.end.ps() as f64,
                _ => {}
            }
        }
    }
    counted(run, figures, &Part { spans: run.spans.iter().filter(own).collect(), time, pim })
}

fn counted(run: &Run, figures: &Figures, part: &Part<'_>) -> Vec<(String, f64)> {
    let Part { spans, time, pim } = part;
    let bits = |category: Category| spans.iter().filter(|s| s.category == category).map(|s| s.bytes).sum::<u64>() * 8;
    let operations: u64 = spans.iter().filter(|s| s.category == Category::ComputeGpu).map(|s| s.operations).sum();
    let is_of = |span: &Span, what: &str| run.names.get(span.id.actor.index()).is_some_and(|name| name.contains(what));
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
        ("gpu.memory.standby".to_owned(), over(gpu.standby, *time)),
        ("gpu.memory.refresh".to_owned(), over(gpu.refresh, *time)),
        ("gpu.compute".to_owned(), each(gpu.mac, operations / 2)),
        ("gpu.active".to_owned(), over(gpu.active, kernels)),
        ("gpu.idle".to_owned(), over(gpu.idle, *time)),
    ];
    parts.extend(pim.iter().map(|(name, energy)| (format!("pim.{name}"), *energy)));
    parts.extend(
        [
            ("host.dram", each(host.bit, bits(Category::ComputeCpu) + copied)),
            ("host.dram.standby", over(host.standby, *time)),
            ("host.dram.refresh", over(host.refresh, *time)),
            ("host.cpu.active", over(host.active, cores)),
            ("host.cpu.idle", over(host.idle, *time)),
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
fn union(spans: &[&Span], chosen: impl Fn(&Span) -> bool) -> Time {
    let mut times: Vec<(Time, Time)> =
        spans.iter().filter(|span| chosen(span)).map(|span| (span.start, span.end)).collect();
    times.sort_unstable();
    covered(times)
}

/// How much time sorted intervals cover.
fn covered(times: Vec<(Time, Time)>) -> Time {
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
