//! How much of the KV cache stays in its home, and which part spills to the host.
//!
//! The unit is one sequence in one layer: its keys and values of all heads, which attention reads together. A home
//! is placed for the final context, so that no token of the run finds it full.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use sim_core::Bytes;

use super::{Codec, HeadShape};
use crate::lengths::Lengths;
use crate::model::ModelConfig;

/// The KV cache to be placed. All fields are configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KvDemand {
    /// Layers of the model.
    pub layers: u32,
    /// KV heads of a layer.
    pub kv_heads: u32,
    /// Tokens of each sequence at the end of the run.
    pub lengths: Lengths,
    /// Bytes of one sequence in one layer, all its heads, with the home's own padding; by group of `lengths`.
    pub unit_bytes: Vec<u64>,
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

/// Bytes of a unit of a group of sequences that is cut to its oldest tokens, fewer than it has.
type CutBytes<'a> = dyn Fn(usize, u64) -> u64 + 'a;

impl KvDemand {
    /// The cache of sequences of these lengths under a codec, without padding.
    pub fn new(model: &ModelConfig, codec: &dyn Codec, lengths: &Lengths) -> Self {
        let head = HeadShape { head_dim: model.head_dim, query_heads: model.query_heads_per_kv_head() };
        let heads = u64::from(model.kv_heads);
        Self::with(model.layers, model.kv_heads, lengths, &|tokens| {
            codec.stored_bytes(head, tokens).saturating_mul(heads)
        })
    }

    /// A cache whose sequence of so many tokens takes `unit_bytes(tokens)` in each layer.
    pub fn with(layers: u32, kv_heads: u32, lengths: &Lengths, unit_bytes: &dyn Fn(u64) -> u64) -> Self {
        let bytes = lengths.groups().iter().map(|group| unit_bytes(group.tokens)).collect();
        Self { layers, kv_heads, lengths: lengths.clone(), unit_bytes: bytes }
    }

    /// Sequences of the batch.
    pub fn sequences(&self) -> u32 {
        self.lengths.sequences()
    }

    /// How many (sequence, layer) units there are.
    pub fn units(&self) -> u64 {
        u64::from(self.layers) * u64::from(self.sequences())
    }

    /// By group: how many units, and the bytes of each.
    fn groups(&self) -> impl Iterator<Item = (u64, u64)> {
        let units = self.lengths.groups().iter().map(|group| u64::from(group.sequences) * u64::from(self.layers));
        units.zip(self.unit_bytes.iter().copied())
    }

    /// Bytes of the whole cache; `u64::MAX` where they do not fit 64 bits.
    pub fn total_bytes(&self) -> u64 {
        self.checked_bytes().unwrap_or(u64::MAX)
    }

    fn checked_bytes(&self) -> Option<u64> {
        self.groups().try_fold(0_u64, |sum, (units, bytes)| sum.checked_add(units.checked_mul(bytes)?))
    }

    /// The most sequences, the oldest ones, that fit a home of that capacity with all their tokens in every layer.
    pub fn sequences_that_fit(&self, capacity: Bytes) -> u32 {
        let mut left = u128::from(capacity.0);
        let mut all = 0;
        for (group, &bytes) in self.lengths.groups().iter().zip(&self.unit_bytes) {
            let sequence = u128::from(self.layers) * u128::from(bytes);
            let fit = left.checked_div(sequence).unwrap_or(u128::MAX).min(u128::from(group.sequences));
            all += fit as u32;
            left -= fit * sequence;
            if fit < u128::from(group.sequences) {
                break;
            }
        }
        all
    }

    /// The most units, in the order in which they stay, that fit a home of that capacity.
    fn units_that_fit(&self, capacity: Bytes) -> u64 {
        let (mut left, mut all) = (capacity.0, 0);
        for (units, bytes) in self.groups() {
            let fit = left.checked_div(bytes).unwrap_or(u64::MAX).min(units);
            all += fit;
            left -= fit * bytes;
            if fit < units {
                break;
            }
        }
        all
    }

    /// Bytes of one unit cut to `tokens`, in proportion, rounded up.
    fn proportional(&self, group: usize, tokens: u64) -> u64 {
        let part = u128::from(self.unit_bytes[group]) * u128::from(tokens);
        let all = u128::from(self.lengths.groups()[group].tokens.max(1));
        u64::try_from(part.div_ceil(all)).unwrap_or(u64::MAX)
    }

    /// Bytes of all units with none longer than `tokens`.
    fn cut_bytes(&self, tokens: u64, bytes_at: &CutBytes<'_>) -> u128 {
        let of = |(at, (units, bytes)): (usize, (u64, u64))| {
            let whole = self.lengths.groups()[at].tokens <= tokens;
            u128::from(units) * u128::from(if whole { bytes } else { bytes_at(at, tokens) })
        };
        self.groups().enumerate().map(of).fold(0, u128::saturating_add)
    }

    /// The most tokens, below those of the longest sequence, that every unit can keep of those it has.
    fn tokens_that_fit(&self, capacity: Bytes, bytes_at: &CutBytes<'_>) -> u64 {
        // `low` fits (no tokens are no bytes); `high` does not, or is all of them.
        let (mut low, mut high) = (0, self.lengths.longest().max(1));
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.cut_bytes(middle, bytes_at) <= u128::from(capacity.0) {
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
    let copy = demand.clone();
    place_cut(demand, capacity, overflow, unit, &|group, tokens| copy.proportional(group, tokens))
}

/// Places a KV cache in a home of `capacity` bytes.
///
/// `unit_bytes_at(t)` is the bytes of one (sequence, layer) unit cut to its oldest `t` tokens, fewer than it has,
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
    place_cut(demand, capacity, overflow, unit, &|_, tokens| unit_bytes_at(tokens))
}

fn place_cut(
    demand: KvDemand,
    capacity: Bytes,
    overflow: Overflow,
    unit: SpillUnit,
    bytes_at: &CutBytes<'_>,
) -> Result<KvPlacement, DoesNotFit> {
    let placement = match (demand.checked_bytes(), overflow, unit) {
        (Some(needed), _, _) if needed <= capacity.0 => KvPlacement::whole_units(demand, u64::MAX),
        (Some(_), Overflow::Host, SpillUnit::Sequences) => {
            let fit = demand.units_that_fit(capacity);
            KvPlacement::whole_units(demand, fit)
        }
        (Some(_), Overflow::Host, SpillUnit::Tokens) => match demand.tokens_that_fit(capacity, bytes_at) {
            0 => KvPlacement::whole_units(demand, 0),
            tokens => KvPlacement::cut(demand, tokens, bytes_at),
        },
        (None, ..) | (Some(_), Overflow::Refuse, _) => {
            return Err(DoesNotFit {
                needed: Bytes(demand.total_bytes()),
                capacity,
                tokens_that_fit_per_sequence: demand.tokens_that_fit(capacity, bytes_at),
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

impl KvPlacement {
    /// The first `resident` units are in the home, by sequences and then by layers: the units of the oldest sequences,
    /// and of the next one as many layers as are left, the first ones.
    pub fn whole_units(demand: KvDemand, resident: u64) -> Self {
        let resident = resident.min(demand.units());
        let layers = u64::from(demand.layers).max(1);
        let (each, more) = (resident / layers, resident % layers);
        let mut left = resident;
        let mut resident_bytes = 0;
        for (units, bytes) in demand.groups() {
            let here = units.min(left);
            left -= here;
            resident_bytes += here * bytes;
        }
        Self {
            // At most `sequences` each, because `resident` is at most all units.
            resident_sequences: (0..u64::from(demand.layers))
                .map(|layer| (each + u64::from(layer < more)) as u32)
                .collect(),
            split_tokens: None,
            resident_bytes,
            spilled_bytes: demand.total_bytes().saturating_sub(resident_bytes),
            demand,
        }
    }

    /// The oldest `tokens` tokens of every sequence are in the home; `unit_bytes_at` as for [`place_with`].
    pub fn cut_to(demand: KvDemand, tokens: u64, unit_bytes_at: &dyn Fn(u64) -> u64) -> Self {
        Self::cut(demand, tokens, &|_, tokens| unit_bytes_at(tokens))
    }

    fn cut(demand: KvDemand, tokens: u64, bytes_at: &CutBytes<'_>) -> Self {
        let resident_bytes = u64::try_from(demand.cut_bytes(tokens, bytes_at)).unwrap_or(u64::MAX);
        Self {
            resident_sequences: vec![demand.sequences(); demand.layers as usize],
            split_tokens: Some(tokens),
            resident_bytes,
            spilled_bytes: demand.total_bytes().saturating_sub(resident_bytes),
            demand,
        }
    }

    /// Whether the home holds everything.
    pub fn is_whole(&self) -> bool {
        self.split_tokens.is_none() && self.resident_sequences.iter().all(|&n| n == self.demand.sequences())
    }

    /// The parts of a layer's cache in the home and out of it, when its sequences have these lengths, at most those of
    /// the demand.
    pub fn split(&self, layer: u32, lengths: &Lengths) -> (Lengths, Lengths) {
        let kept = self.resident_sequences.get(layer as usize).copied().unwrap_or(0);
        match self.split_tokens {
            None => (lengths.first(kept), lengths.after(kept)),
            Some(tokens) => (lengths.first(kept).capped(tokens), lengths.beyond(tokens)),
        }
    }

    /// Tokens of a sequence that are in the home in a layer; zero outside the demand.
    pub fn resident_tokens(&self, layer: u32, sequence: u32) -> u64 {
        let (home, _) = self.split(layer, &self.demand.lengths);
        home.iter().nth(sequence as usize).unwrap_or(0)
    }

    /// The sequences of a layer that are wholly spilled.
    pub fn spilled_sequences(&self, layer: u32) -> Range<u32> {
        let resident = self.resident_sequences.get(layer as usize).copied();
        resident.unwrap_or(self.demand.sequences())..self.demand.sequences()
    }

    /// Sequences of a layer whose attention ends with the merge of two partial softmaxes.
    pub fn merged_sequences(&self, layer: u32) -> u32 {
        match self.split_tokens {
            Some(tokens) if layer < self.demand.layers => self.demand.lengths.beyond(tokens).sequences(),
            _ => 0,
        }
    }

    /// How much of the cache is where, of whom, in sentences for the report.
    /// Sequences are counted from 1, layers from 0.
    pub fn describe(&self) -> String {
        let KvDemand { layers, lengths, .. } = &self.demand;
        let (layers, sequences) = (*layers, lengths.sequences());
        let total = Bytes(self.demand.total_bytes());
        if self.is_whole() {
            return format!("The home holds the whole KV cache, {total}.");
        }
        let spilled = Bytes(self.spilled_bytes);
        let head = format!("{spilled} of the {total} of KV cache do not fit the home and go to the host:");
        if let Some(kept) = self.split_tokens {
            let layers = layer_range(&(0..layers));
            let longer = lengths.beyond(kept);
            return if lengths.is_equal() {
                format!(
                    "{head} tokens {} to {} of every sequence (1 to {sequences}) in {layers}. The oldest {kept} tokens \
                     of each stay, and the two partial softmaxes of each sequence are merged.",
                    kept + 1,
                    lengths.longest(),
                )
            } else {
                format!(
                    "{head} all but the oldest {kept} tokens of the {} sequences of {sequences} that have more, in \
                     {layers}. The two partial softmaxes of each of those are merged.",
                    longer.sequences(),
                )
            };
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
