//! What is taken from a run: one number of its report.

use reports::{RunReport, SystemReport};
use serde::Deserialize;

/// A number of a run, by the names of its systems.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Measure {
    /// Percent of the decode that PCIe and CXL hold on the critical path.
    HostCommunicationShare {
        /// Whose.
        system: String,
    },
    /// The latency of a token over that of another system.
    LatencyRatio {
        /// Whose.
        system: String,
        /// Over whose.
        over: String,
    },
    /// The same the other way round: how many times as fast.
    Speedup {
        /// Whose.
        system: String,
        /// Than whose.
        over: String,
    },
    /// Energy over that of another system.
    EnergyRatio {
        /// Whose.
        system: String,
        /// Over whose.
        over: String,
    },
    /// Percent of the KV cache's bytes that a system saves beside another that holds the same tokens.
    KvSaved {
        /// Whose.
        system: String,
        /// Beside whose.
        over: String,
    },
    /// Gigabytes of host memory in use.
    HostMemory {
        /// Whose.
        system: String,
    },
}

impl Measure {
    /// Takes it from a run without a sweep.
    pub(super) fn take(&self, report: &RunReport) -> Result<f64, String> {
        let of = |name: &String| {
            report.systems.iter().find(|system| system.name == *name).ok_or_else(|| format!("no system `{name}`"))
        };
        let ratio = |of_system: &dyn Fn(&SystemReport) -> f64, system: &String, over: &String| {
            let below = of_system(of(over)?);
            if below > 0.0 { Ok(of_system(of(system)?) / below) } else { Err(format!("`{over}` gives nothing")) }
        };
        let latency = |system: &SystemReport| system.latency_per_token().seconds();
        match self {
            Self::HostCommunicationShare { system } => Ok(100.0 * of(system)?.breakdown.host_communication_share()),
            Self::LatencyRatio { system, over } => ratio(&latency, system, over),
            Self::Speedup { system, over } => ratio(&latency, over, system),
            Self::EnergyRatio { system, over } => ratio(&energy, system, over),
            Self::KvSaved { system, over } => Ok(100.0 * (1.0 - ratio(&kv_bytes, system, over)?)),
            Self::HostMemory { system } => Ok(of(system)?.memory.host.map_or(0.0, |host| host.used.0 as f64 / 1e9)),
        }
    }
}

/// Picojoules of the whole run.
fn energy(system: &SystemReport) -> f64 {
    system.energy_pj.first().map_or(0.0, |(_, total)| *total)
}

fn kv_bytes(system: &SystemReport) -> f64 {
    system.memory.kv_bytes_per_token as f64
}
