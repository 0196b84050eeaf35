//! How much of the KV cache stays in its home, and which part spills to the host.
//!
//! The unit is one sequence in one layer: its keys and values of all heads, which attention reads together. A home
//! is placed for the final context, so that no token of the run finds it full.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use sim_core::Bytes;

use super::{Codec, HeadShape};
use crate::model::ModelConfig;

/// The KV cache to be placed. All fields are configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KvDemand {
    /// Layers of the model.
    pub layers: u32,
    /// Sequences of the batch, the oldest first.
    pub sequences: u32,
    /// KV heads of a layer.
    pub kv_heads: u32,
    /// Tokens of each sequence at the end of the run.
    pub tokens: u64,
    /// Bytes of one sequence in one layer, all its heads, with the home's own padding.
    pub unit_bytes: u64,
}

/// What spills where not everything fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpillUnit {
    /// Whole sequences per layer, the newest first: the oldest stay, as many as fit, spread evenly over the layers.
    #[default]
    Sequences,
    /// The newest tokens of every sequence, the same number in every layer; each sequence's two partial softmaxes
    /// are merged.
    Tokens,
}

/// What happens to KV that does not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overflow {
    /// It goes to the host's memory.
    #[default]
    Host,
    /// The scenario is refused.
    Refuse,
}

/// The KV cache does not fit its home. Nothing was placed; the run cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the KV cache needs {needed} ({} B) and its home holds {capacity} ({} B): {tokens_that_fit_per_sequence} tokens of \
     every sequence would fit, or {sequences_that_fit} whole sequences; shorten the context, lower the batch, \
     give the home more memory or let the KV overflow to the host",
    .needed.0, .capacity.0
)]
#[non_exhaustive]
pub struct DoesNotFit {
    /// Bytes of the whole cache; the largest count where it does not fit 64 bits.
    pub needed: Bytes,
    /// Bytes of the home.
    pub capacity: Bytes,
    /// The longest context, in tokens, at which every sequence would fit.
    pub tokens_that_fit_per_sequence: u64,
    /// The most sequences that would fit with all their tokens in every layer.
    pub sequences_that_fit: u32,
}

/// Where each part of the KV cache is. Made by [`place`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KvPlacement {
    /// What was asked for.
    pub demand: KvDemand,
    /// For each layer, how many of the sequences have tokens in the home; the oldest ones, numbers `0..n`.
    pub resident_sequences: Vec<u32>,
    /// `Some(t)` where every sequence is cut in every layer: its tokens `0..t` are in the home and the rest is not.
    /// `None` where each (sequence, layer) is wholly in the home or wholly out of it.
    pub split_tokens: Option<u64>,
    /// Bytes in the home, with its padding.
    pub resident_bytes: u64,
    /// Bytes that would have been in the home and are not. The host's own layout may need fewer.
    pub spilled_bytes: u64,
}

impl KvDemand {
    /// The cache of `sequences` sequences of `tokens` tokens under a codec, without padding.
    pub fn new(model: &ModelConfig, codec: &dyn Codec, sequences: u32, tokens: u64) -> Self {
        let head = HeadShape { head_dim: model.head_dim, query_heads: model.query_heads_per_kv_head() };
        Self {
            layers: model.layers,
            sequences,
            kv_heads: model.kv_heads,
            tokens,
            unit_bytes: codec.stored_bytes(head, tokens).saturating_mul(u64::from(model.kv_heads)),
        }
    }

    /// How many (sequence, layer) units there are.
    pub fn units(&self) -> u64 {
        u64::from(self.layers) * u64::from(self.sequences)
    }

    /// Bytes of the whole cache; `u64::MAX` where they do not fit 64 bits.
    pub fn total_bytes(&self) -> u64 {
        self.units().saturating_mul(self.unit_bytes)
    }

    /// The most sequences that fit a home of that capacity with all their tokens in every layer.
    pub fn sequences_that_fit(&self, capacity: Bytes) -> u32 {
        let sequence = u128::from(self.layers) * u128::from(self.unit_bytes);
        let fit = u128::from(capacity.0).checked_div(sequence).unwrap_or(u128::MAX);
        u32::try_from(fit).unwrap_or(u32::MAX).min(self.sequences)
    }

    /// Bytes of one unit cut to `tokens`, in proportion, rounded up.
    fn proportional(&self, tokens: u64) -> u64 {
        let part = u128::from(self.unit_bytes) * u128::from(tokens);
        u64::try_from(part.div_ceil(u128::from(self.tokens.max(1)))).unwrap_or(u64::MAX)
    }

    /// The most tokens, below all of them, that every unit can keep.
    fn tokens_that_fit(&self, capacity: Bytes, unit_bytes_at: &dyn Fn(u64) -> u64) -> u64 {
        let fits = |tokens: u64| u128::from(self.units()) * u128::from(unit_bytes_at(tokens)) <= u128::from(capacity.0);
        // `low` fits (no tokens are no bytes); `high` does not, or is all of them.
        let (mut low, mut high) = (0, self.tokens.max(1));
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if fits(middle) {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// Places a KV cache in a home of `capacity` bytes, where a unit shrinks in proportion to its tokens.
///
/// For a home whose padding or codebooks break the proportion use [`place_with`]; the two differ only in
/// [`SpillUnit::Tokens`] and in the tokens that a refusal names.
pub fn place(
    demand: KvDemand,
    capacity: Bytes,
    overflow: Overflow,
    unit: SpillUnit,
) -> Result<KvPlacement, DoesNotFit> {
    place_with(demand, capacity, overflow, unit, &|tokens| demand.proportional(tokens))
}

/// Places a KV cache in a home of `capacity` bytes.
///
/// `unit_bytes_at(t)` is the bytes of one (sequence, layer) unit cut to its oldest `t` tokens, `0 < t < demand.tokens`,
/// with the home's own padding; it must not shrink as `t` grows (if it does, fewer tokens may stay than could, but
/// never more than fit).
///
/// A cache that does not fit is refused under [`Overflow::Refuse`], and under [`Overflow::Host`] only where its
/// bytes do not fit 64 bits, since no host could hold it either.
pub fn place_with(
    demand: KvDemand,
    capacity: Bytes,
    overflow: Overflow,
    unit: SpillUnit,
    unit_bytes_at: &dyn Fn(u64) -> u64,
) -> Result<KvPlacement, DoesNotFit> {
    let needed = demand.units().checked_mul(demand.unit_bytes);
    let placement = match (needed, overflow, unit) {
        (Some(needed), _, _) if needed <= capacity.0 => whole_units(demand, demand.units()),
        (Some(_), Overflow::Host, SpillUnit::Sequences) => {
            // Not everything fits, so the unit has bytes to divide by.
            whole_units(demand, capacity.0 / demand.unit_bytes.max(1))
        }
        (Some(needed), Overflow::Host, SpillUnit::Tokens) => match demand.tokens_that_fit(capacity, unit_bytes_at) {
            0 => whole_units(demand, 0),
            tokens => cut_sequences(demand, needed, tokens, unit_bytes_at(tokens)),
        },
        (None, ..) | (Some(_), Overflow::Refuse, _) => {
            return Err(DoesNotFit {
                needed: Bytes(demand.total_bytes()),
                capacity,
                tokens_that_fit_per_sequence: demand.tokens_that_fit(capacity, unit_bytes_at),
                sequences_that_fit: demand.sequences_that_fit(capacity),
            });
        }
    };
    tracing::debug!(
        resident_bytes = placement.resident_bytes,
        spilled_bytes = placement.spilled_bytes,
        capacity = capacity.0,
        "KV cache placed"
    );
    Ok(placement)
}

/// `resident` whole units, spread over the layers; the first layers get the one more.
fn whole_units(demand: KvDemand, resident: u64) -> KvPlacement {
    let layers = u64::from(demand.layers).max(1);
    let (each, more) = (resident / layers, resident % layers);
    KvPlacement {
        demand,
        // At most `sequences` each, because `resident` is at most all units.
        resident_sequences: (0..u64::from(demand.layers))
            .map(|layer| (each + u64::from(layer < more)) as u32)
            .collect(),
        split_tokens: None,
        resident_bytes: resident * demand.unit_bytes,
        spilled_bytes: (demand.units() - resident) * demand.unit_bytes,
    }
}

/// Every unit cut to its oldest `tokens` tokens, which take `unit_bytes` of it.
fn cut_sequences(demand: KvDemand, needed: u64, tokens: u64, unit_bytes: u64) -> KvPlacement {
    let resident_bytes = demand.units() * unit_bytes;
    KvPlacement {
        demand,
        resident_sequences: vec![demand.sequences; demand.layers as usize],
        split_tokens: Some(tokens),
        resident_bytes,
        spilled_bytes: needed.saturating_sub(resident_bytes),
    }
}

impl KvPlacement {
    /// Whether the home holds everything.
    pub fn is_whole(&self) -> bool {
        self.split_tokens.is_none() && self.resident_sequences.iter().all(|&n| n == self.demand.sequences)
    }

    /// Tokens of a sequence that are in the home in a layer; zero outside the demand.
    pub fn resident_tokens(&self, layer: u32, sequence: u32) -> u64 {
        match self.resident_sequences.get(layer as usize) {
            Some(&resident) if sequence < resident => self.split_tokens.unwrap_or(self.demand.tokens),
            _ => 0,
        }
    }

    /// The sequences of a layer that are wholly spilled.
    pub fn spilled_sequences(&self, layer: u32) -> Range<u32> {
        let resident = self.resident_sequences.get(layer as usize).copied();
        resident.unwrap_or(self.demand.sequences)..self.demand.sequences
    }

    /// Sequences of a layer whose attention ends with the merge of two partial softmaxes.
    pub fn merged_sequences(&self, layer: u32) -> u32 {
        match self.split_tokens {
            Some(_) => self.resident_sequences.get(layer as usize).copied().unwrap_or(0),
            None => 0,
        }
    }

    /// How much of the cache is where, of whom, in sentences for the report.
    /// Sequences are counted from 1, layers from 0.
    pub fn describe(&self) -> String {
        let KvDemand { layers, sequences, tokens, .. } = self.demand;
        let total = Bytes(self.demand.total_bytes());
        if self.is_whole() {
            return format!("The home holds the whole KV cache, {total}.");
        }
        let spilled = Bytes(self.spilled_bytes);
        let head = format!("{spilled} of the {total} of KV cache do not fit the home and go to the host:");
        if let Some(kept) = self.split_tokens {
            return format!(
                "{head} tokens {} to {tokens} of every sequence (1 to {sequences}) in {}. The oldest {kept} tokens \
                 of each stay, and the two partial softmaxes of each sequence are merged.",
                kept + 1,
                layer_range(&(0..layers)),
            );
        }
        // The spread has at most two steps: the first layers, which keep one sequence more, and the others.
        let mut parts = Vec::new();
        let mut first = 0;
        for run in self.resident_sequences.chunk_by(|a, b| a == b) {
            let end = first + run.len() as u32;
            let gone = self.spilled_sequences(first);
            if !gone.is_empty() {
                let whom = if gone.len() == 1 {
                    format!("sequence {sequences}")
                } else {
                    format!("sequences {} to {sequences}", gone.start + 1)
                };
                parts.push(format!("{whom} of {sequences} in {}", layer_range(&(first..end))));
            }
            first = end;
        }
        format!("{head} {}.", parts.join(", and "))
    }
}

fn layer_range(layers: &Range<u32>) -> String {
    if layers.len() == 1 {
        format!("layer {}", layers.start)
    } else {
        format!("layers {} to {}", layers.start, layers.end.saturating_sub(1))
    }
}
