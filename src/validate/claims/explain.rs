//! Why a number is what it is, as its run tells.

use std::collections::BTreeMap;

use reports::energy::{GROUPS, of_attention, of_step};
use reports::{Part, RunReport, SystemReport};
use workloads::OperatorKind;

use super::measure::{Measure, Of};

/// Shares that are named of each system.
const NAMED: usize = 3;

/// What is on the critical path of each measured system, or takes its energy: the largest shares, in percent. Empty where no
/// run tells.
pub(super) fn spent_on(measure: &Measure, report: &RunReport) -> String {
    let Some((of, names)) = measure.systems() else { return String::new() };
    let systems = names.iter().filter_map(|name| report.systems.iter().find(|system| system.name == *name));
    let said = systems.map(|system| {
        let shares = match of {
            Of::Token => on_path(system, |_| true),
            Of::Attention => on_path(system, of_layer_attention),
            Of::Energy => groups(of_step(system)),
            Of::AttentionEnergy => groups(of_attention(system)),
        };
        let text: Vec<String> =
            shares.iter().take(NAMED).map(|(name, share)| format!("{name} {:.1} %", 100.0 * share)).collect();
        format!("{}: {}", system.name, text.join(", "))
    });
    said.collect::<Vec<_>>().join("; ")
}

/// The set text that moves a number most, relative to itself, with what the number then is; `None` where none moves it.
pub(super) fn largest<'a>(ours: f64, varied: &[(&'a str, f64)]) -> Option<(&'a str, f64)> {
    // As a factor: half and double are as far.
    let moved = |value: f64| (value / ours).ln().abs();
    let moving = varied.iter().copied().filter(|&(_, value)| value.total_cmp(&ours).is_ne());
    // Of equals the first.
    moving.rev().max_by(|a, b| moved(a.1).total_cmp(&moved(b.1)))
}

/// The kinds of jobs on the critical path of all tokens, the largest share first; launches, signals and waiting are kinds of
/// their own.
fn on_path(system: &SystemReport, chosen: fn(&str) -> bool) -> Vec<(String, f64)> {
    let mut times: BTreeMap<&str, u64> = BTreeMap::new();
    for segment in system.critical_path.iter().flatten().filter(|segment| chosen(segment.kind)) {
        let kind = match segment.part {
            Part::Body => segment.kind,
            Part::Launch | Part::Signal => "launch",
            Part::Waiting => "waiting",
        };
        *times.entry(kind).or_default() += segment.duration().ps();
    }
    let all = times.values().sum::<u64>().max(1) as f64;
    sorted(times.into_iter().map(|(kind, time)| (kind.to_owned(), time as f64 / all)).collect())
}

/// Whether a job belongs to a layer's attention: no dense kernel, and nothing before or behind the layers.
fn of_layer_attention(kind: &str) -> bool {
    const OTHER: [OperatorKind; 12] = [
        OperatorKind::Embed,
        OperatorKind::InputNorm,
        OperatorKind::Qkv,
        OperatorKind::OutputProjection,
        OperatorKind::PostNorm,
        OperatorKind::GateUp,
        OperatorKind::Up,
        OperatorKind::Activation,
        OperatorKind::Down,
        OperatorKind::FinalNorm,
        OperatorKind::LmHead,
        OperatorKind::Sample,
    ];
    kind != "launch" && kind != "token" && OTHER.iter().all(|other| other.name() != kind)
}

fn groups(energies: Option<[f64; GROUPS.len()]>) -> Vec<(String, f64)> {
    let Some(energies) = energies else { return Vec::new() };
    let all: f64 = energies.iter().sum();
    sorted(GROUPS.iter().zip(energies).map(|(group, energy)| (group.label.to_owned(), energy / all)).collect())
}

/// The largest first, of equals in their order; nothing that is nothing.
fn sorted(mut shares: Vec<(String, f64)>) -> Vec<(String, f64)> {
    shares.retain(|(_, share)| *share > 0.0);
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn does_the_figure_decide_that_moves_a_number_by_the_largest_factor() {
        assert_eq!(largest(2.0, &[("a=1", 2.0), ("b=1", 1.0), ("c=1", 3.0)]), Some(("b=1", 1.0)));
        assert_eq!(largest(2.0, &[("a=1", 4.0), ("b=1", 1.0)]), Some(("a=1", 4.0)));
        assert_eq!(largest(2.0, &[("a=1", 2.0)]), None);
        assert_eq!(largest(2.0, &[]), None);
    }

    #[test]
    fn are_dense_kernels_no_attention() {
        let found = ["qkv", "rope", "attention", "kv-fetch", "down", "lm_head", "token"].map(of_layer_attention);
        assert_eq!(found, [false, true, true, true, false, false, false]);
    }
}
