//! What is taken from a run: one number of its report.

use reports::{Category, RunReport, SystemReport};
use serde::Deserialize;

use super::published::Published;
use crate::accuracy::Accuracies;
use crate::catalogue::{Catalogue, Kind};
use crate::scenario::AccuracyChoice;

/// The tensors on which codecs are compared.
const TENSORS: &str = "kv_smollm2_L2048_2heads";

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
    /// Energy of attention alone over that of another system.
    AttentionEnergyRatio {
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
    /// Milliseconds of one layer's attention on the critical path, from its queries to its output.
    LayerAttention {
        /// Whose.
        system: String,
    },
    /// The part of that in PCIe and CXL.
    LayerHostCommunication {
        /// Whose.
        system: String,
    },
    /// The part of that on the GPU and the PIM stacks.
    LayerCompute {
        /// Whose.
        system: String,
    },
    /// Percent of one layer's attention in PCIe and CXL.
    LayerHostCommunicationShare {
        /// Whose.
        system: String,
    },
    /// One layer's attention over that of another system.
    LayerAttentionRatio {
        /// Whose.
        system: String,
        /// Over whose.
        over: String,
    },
    /// How many times as fast one layer's attention is as that of another system.
    LayerAttentionSpeedup {
        /// Whose.
        system: String,
        /// Than whose.
        over: String,
    },
    /// The peak bandwidth of a GPU's memory over that of a link to the host, both ways together; of the catalogue.
    BandwidthDeficit {
        /// The GPU.
        gpu: String,
        /// The link.
        link: String,
    },
    /// Percent of the pairs of codecs that have, by their error on the built-in tensors, the order of the published scores:
    /// a higher score and a lower error. One codec for each number of the claim, of heads of `head_dim` elements.
    Order {
        /// Elements of a head of the paper's model.
        head_dim: u32,
        /// The codecs.
        codecs: Vec<String>,
    },
}

impl Measure {
    /// Takes it from a run without a sweep; `published` is every number of the claim.
    pub(super) fn take(&self, report: &RunReport, published: &[Published]) -> Result<f64, String> {
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
            Self::AttentionEnergyRatio { system, over } => ratio(&attention_energy, system, over),
            Self::KvSaved { system, over } => Ok(100.0 * (1.0 - ratio(&kv_bytes, system, over)?)),
            Self::HostMemory { system } => Ok(of(system)?.memory.host.map_or(0.0, |host| host.used.0 as f64 / 1e9)),
            Self::LayerAttention { system } => Ok(layer(of(system)?) * 1e3),
            Self::LayerHostCommunication { system } => {
                let system = of(system)?;
                Ok(layer(system) * 1e3 * system.attention.breakdown.host_communication_share())
            }
            Self::LayerCompute { system } => {
                let system = of(system)?;
                let share = |category| system.attention.breakdown.share(category);
                Ok(layer(system) * 1e3 * (share(Category::ComputeGpu) + share(Category::ComputePim)))
            }
            Self::LayerHostCommunicationShare { system } => {
                Ok(100.0 * of(system)?.attention.breakdown.host_communication_share())
            }
            Self::LayerAttentionRatio { system, over } => ratio(&layer, system, over),
            Self::LayerAttentionSpeedup { system, over } => ratio(&layer, over, system),
            Self::BandwidthDeficit { gpu, link } => deficit(gpu, link),
            Self::Order { head_dim, codecs } => order(*head_dim, codecs, published),
        }
    }
}

/// What a measure is a part of, which says where to look for its reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// Of the time of a token.
    Token,
    /// Of the time of its attention.
    Attention,
    /// Of the energy of a token.
    Energy,
    /// Of the energy of its attention.
    AttentionEnergy,
}

impl Measure {
    /// The systems that are measured and what of them; `None` where no run decides it.
    pub(super) fn systems(&self) -> Option<(Of, Vec<&str>)> {
        let (of, systems) = match self {
            Self::HostCommunicationShare { system } => (Of::Token, vec![system]),
            Self::LatencyRatio { system, over } | Self::Speedup { system, over } => (Of::Token, vec![system, over]),
            Self::EnergyRatio { system, over } => (Of::Energy, vec![system, over]),
            Self::AttentionEnergyRatio { system, over } => (Of::AttentionEnergy, vec![system, over]),
            Self::LayerAttention { system }
            | Self::LayerHostCommunication { system }
            | Self::LayerCompute { system }
            | Self::LayerHostCommunicationShare { system } => (Of::Attention, vec![system]),
            Self::LayerAttentionRatio { system, over } | Self::LayerAttentionSpeedup { system, over } => {
                (Of::Attention, vec![system, over])
            }
            Self::KvSaved { .. } | Self::HostMemory { .. } | Self::BandwidthDeficit { .. } | Self::Order { .. } => {
                return None;
            }
        };
        Some((of, systems.into_iter().map(String::as_str).collect()))
    }
}

/// Seconds of one layer's attention.
fn layer(system: &SystemReport) -> f64 {
    system.attention.per_layer().seconds()
}

fn deficit(gpu: &str, link: &str) -> Result<f64, String> {
    let figure = |kind, name, key| {
        let entry = Catalogue::embedded().find(kind, name).map_err(|error| error.to_string())?;
        entry.bandwidth(key).map(|rate| rate.0 as f64).map_err(|error| error.to_string())
    };
    Ok(figure(Kind::Gpu, gpu, "mem_bw_peak")? / (2.0 * figure(Kind::Link, link, "raw_bw")?))
}

fn order(head_dim: u32, codecs: &[String], published: &[Published]) -> Result<f64, String> {
    if codecs.len() != published.len() {
        return Err(format!("{} codecs for {} published numbers", codecs.len(), published.len()));
    }
    let choice = AccuracyChoice { tensors: TENSORS.to_owned(), context: None };
    let mut accuracies = Accuracies::new(&choice);
    let errors: Result<Vec<f64>, _> =
        codecs.iter().map(|codec| accuracies.of(codec, head_dim, 1).map(|accuracy| accuracy.error)).collect();
    let errors = errors.map_err(|error| error.to_string())?;
    let (mut agree, mut pairs) = (0_u32, 0_u32);
    for (first, score) in published.iter().enumerate() {
        for (second, other) in published.iter().enumerate().skip(first + 1) {
            // Equal scores say nothing of an order.
            let by_score = score.least.total_cmp(&other.least);
            if by_score.is_ne() {
                pairs += 1;
                agree += u32::from(by_score == errors[second].total_cmp(&errors[first]));
            }
        }
    }
    Ok(100.0 * f64::from(agree) / f64::from(pairs.max(1)))
}

/// Picojoules of the whole run.
fn energy(system: &SystemReport) -> f64 {
    system.energy_pj.first().map_or(0.0, |(_, total)| *total)
}

/// Picojoules of attention alone.
fn attention_energy(system: &SystemReport) -> f64 {
    system.attention_energy_pj.first().map_or(0.0, |(_, total)| *total)
}

/// Bytes of the KV cache under its codec, whole pages.
fn kv_bytes(system: &SystemReport) -> f64 {
    system.memory.kv_bytes.paged as f64
}
