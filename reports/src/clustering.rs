//! Clustering of prompts in PIM stacks beside the GPU's layers: how long it takes, and whether the GPU hides it.
//!
//! A layer of a group of sequences is clustered by each channel that has units of it, from the begin of its `kv-write` to the
//! end of its last program. The next layer's K and V wait (their `kv-store` is not ready) while the channels that they are
//! for are still at it. Everything here is read off spans.

use std::collections::{BTreeMap, BTreeSet};

use sim_core::{Category, Span, SpanId, Time};

use crate::prefill::{PrefillShape, STEP};

/// The programs of clustering and the transfers that they wait for, in the order of reports: K and V over the interface and
/// into the banks, first centroids, distance calculation, cluster assignment (within it), importance
/// weights over the interface and into the banks, centroid calculation.
pub const PHASES: [&str; 8] = ["kv-store", "kv-write", "init", "dc", "ca", "weights-to-pim", "weights", "cc"];
/// The programs that there are only in clustering.
const CLUSTERING: [&str; 2] = ["dc", "cc"];
/// What the BufferPE does while distances arrive: no programs of its own.
const ASSIGNMENT: &str = "ca";
/// The transfers over the interface; all others are programs of channels.
const TRANSFERS: [&str; 2] = [STORE, "weights-to-pim"];
/// What begins a channel's work on a layer.
const BEGIN: &str = "kv-write";
/// What brings K and V to the channels.
const STORE: &str = "kv-store";

/// What is reported of clustering.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clustering {
    /// For each of [`PHASES`] that there is, how long it takes in a layer of a group: of the channels (or stacks) and groups the one that
    /// takes longest, the mean over layers.
    pub phases: Vec<(String, Time)>,
    /// How long a channel waits between programs (for the importance weights), likewise.
    pub waiting: Time,
    /// By layer, how long the channels are at it: all programs from `kv-write` on, of the channel and group that take longest.
    pub layers: Vec<Time>,
    /// By layer, the GPU's kernels of a group (the mean of the groups).
    pub gpu_layers: Vec<Time>,
    /// How long K and V had to wait in the GPU because their channels were still clustering, all layers and groups together,
    /// of each the stack that waits longest.
    pub waited: Time,
    /// After how many layers of a group K and V come to the same channels again, of all channels the fewest; `None` where none
    /// is used twice.
    pub again: Option<u32>,
    /// What of the prefill is done after the first token.
    pub after_first_token: Time,
}

impl Clustering {
    /// The mean of [`Self::layers`].
    pub fn layer(&self) -> Time {
        let sum: Time = self.layers.iter().copied().sum();
        Time::from_ps(sum.ps() / (self.layers.len() as u64).max(1))
    }

    /// The mean of [`Self::gpu_layers`].
    pub fn gpu_layer(&self) -> Time {
        let sum: Time = self.gpu_layers.iter().copied().sum();
        Time::from_ps(sum.ps() / (self.gpu_layers.len() as u64).max(1))
    }

    /// By layer, the GPU's time less that of clustering, in picoseconds: negative where clustering is longer.
    pub fn margins(&self) -> impl Iterator<Item = i64> {
        let signed = |time: &Time| i64::try_from(time.ps()).unwrap_or(i64::MAX);
        self.gpu_layers.iter().zip(&self.layers).map(move |(gpu, pim)| signed(gpu) - signed(pim))
    }

    /// The least of them.
    pub fn margin(&self) -> i64 {
        self.margins().min().unwrap_or(0)
    }

    /// The GPU's time of the layers after which the same channels are wanted again, less that of a layer's clustering, in
    /// picoseconds. Layers that lie in other channels are clustered side by side.
    pub fn margin_again(&self) -> Option<i64> {
        let signed = |time: Time| i64::try_from(time.ps()).unwrap_or(i64::MAX);
        let layer = self.layers.iter().copied().max().unwrap_or_default();
        Some(signed(self.gpu_layer()).saturating_mul(i64::from(self.again?)) - signed(layer))
    }

    /// Whether no layer's K and V ever waited for the clustering of an earlier one.
    pub fn hidden(&self) -> bool {
        self.waited == Time::ZERO
    }

    /// The clustering of the spans of a prefill of so many groups whose first token was there at `first_token`; `None`
    /// where nothing is clustered.
    pub(crate) fn of(spans: &[Span], shape: &PrefillShape, first_token: Time) -> Option<Self> {
        let jobs: Vec<&Span> = spans.iter().filter(|span| span.tag.step == STEP).collect();
        let clusters = |span: &&Span| span.category == Category::ComputePim && CLUSTERING.contains(&span.kind);
        if !jobs.iter().any(clusters) {
            return None;
        }
        let turns = turns(&jobs);
        let layers = jobs.iter().filter_map(|span| span.tag.layer).max().map_or(0, |last| last as usize + 1);
        let mut this = Self {
            layers: vec![Time::ZERO; layers],
            gpu_layers: vec![Time::ZERO; layers],
            waited: waited(&jobs),
            again: again(&jobs, &turns),
            after_first_token: jobs.iter().map(|span| span.end).max().unwrap_or_default().max(first_token)
                - first_token,
            ..Self::default()
        };
        for span in jobs.iter().filter(|span| span.category == Category::ComputeGpu) {
            if let Some(layer) = span.tag.layer {
                this.gpu_layers[layer as usize] += span.end - span.start;
            }
        }
        for time in &mut this.gpu_layers {
            *time = Time::from_ps(time.ps() / u64::from(shape.groups.max(1)));
        }
        let mut longest: BTreeMap<(&str, u32), Time> = BTreeMap::new();
        let mut waiting = vec![Time::ZERO; layers];
        for ((_, layer, _), programs) in &turns {
            let at = *layer as usize;
            let begin = programs.iter().map(|span| span.start).min().unwrap_or_default();
            let end = programs.iter().map(|span| span.end).max().unwrap_or_default();
            let busy: Time = programs.iter().map(|span| span.end - span.start).sum();
            if programs.iter().all(|span| of_channel(span)) {
                this.layers[at] = this.layers[at].max(busy);
                waiting[at] = waiting[at].max(end - begin - busy);
            }
            for kind in PHASES {
                let time = programs.iter().filter(|span| span.kind == kind).map(|span| span.end - span.start).sum();
                let known = longest.entry((kind, *layer)).or_default();
                *known = (*known).max(time);
            }
        }
        let mean = |sum: Time| Time::from_ps(sum.ps() / (layers as u64).max(1));
        let of_kind = |kind: &str| longest.iter().filter(|((k, _), _)| *k == kind).map(|(_, time)| *time).sum();
        let there = PHASES.iter().filter(|kind| **kind == ASSIGNMENT || jobs.iter().any(|span| span.kind == **kind));
        let time = |kind| if kind == ASSIGNMENT { shape.assignment } else { mean(of_kind(kind)) };
        this.phases = there.map(|kind| ((*kind).to_owned(), time(kind))).collect();
        this.waiting = mean(waiting.into_iter().sum());
        Some(this)
    }
}

/// Jobs of one actor for a layer of a group: (actor, layer, the how manieth of this actor and layer).
type Turns<'a> = BTreeMap<(usize, u32, u32), Vec<&'a Span>>;

/// The programs of channels, and the stores of stacks, by actor, layer and group. A channel's turn begins with its
/// `kv-write`, a stack's with its `kv-store`; spans are in the order of their ends.
fn turns<'a>(jobs: &[&'a Span]) -> Turns<'a> {
    let mut turns = Turns::new();
    let mut number: BTreeMap<(usize, u32), u32> = BTreeMap::new();
    for &span in jobs.iter().filter(|span| PHASES.contains(&span.kind)) {
        let Some(layer) = span.tag.layer else { continue };
        let actor = span.id.actor.index();
        let turn = number.entry((actor, layer)).or_default();
        *turn += u32::from(span.kind == BEGIN || span.kind == STORE);
        turns.entry((actor, layer, *turn)).or_default().push(span);
    }
    turns
}

/// After how many layers K and V come to the same channel again, the fewest.
///
/// Layers of groups are counted as the GPU makes their K and V. A channel's turn is of the last of its layer that was made
/// before it begins: two groups are as many layers apart as the model has.
fn again(jobs: &[&Span], turns: &Turns<'_>) -> Option<u32> {
    // (layer, when the last chunk's K and V were there)
    let mut made: Vec<(u32, Time)> = Vec::new();
    for span in jobs.iter().filter(|span| makes_kv(span)) {
        let layer = span.tag.layer.unwrap_or(0);
        match made.last_mut() {
            Some((last, end)) if *last == layer => *end = span.end,
            _ => made.push((layer, span.end)),
        }
    }
    let mut of_actor: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for ((actor, layer, _), programs) in turns {
        let Some(begin) = programs.iter().filter(|span| of_channel(span)).map(|span| span.start).min() else {
            continue;
        };
        let before = made.partition_point(|(_, end)| *end <= begin);
        if let Some(number) = made[..before].iter().rposition(|(made, _)| made == layer) {
            of_actor.entry(*actor).or_default().push(number);
        }
    }
    let mut fewest = None;
    for numbers in of_actor.values_mut() {
        numbers.sort_unstable();
        let least = numbers.windows(2).map(|pair| (pair[1] - pair[0]) as u32).min();
        fewest = fewest.into_iter().chain(least).min();
    }
    fewest
}

/// Whether it makes K and V.
fn makes_kv(span: &Span) -> bool {
    matches!(span.kind, "rope" | "append")
}

/// Whether it is a program of a channel.
fn of_channel(span: &Span) -> bool {
    PHASES.contains(&span.kind) && !TRANSFERS.contains(&span.kind)
}

/// How long K and V waited for their channels. A store is held up by clustering where the last news that it waited for is
/// that of a program; it could have been ready when the kernel that made K and V had ended.
fn waited(jobs: &[&Span]) -> Time {
    let programs: BTreeSet<SpanId> = jobs.iter().filter(|span| of_channel(span)).map(|span| span.id).collect();
    let mut made: BTreeMap<u32, Vec<Time>> = BTreeMap::new();
    for span in jobs.iter().filter(|span| makes_kv(span)) {
        made.entry(span.tag.layer.unwrap_or(0)).or_default().push(span.end);
    }
    // Stores of one layer of a group that waited have their K and V from the same kernel.
    let mut waits: BTreeMap<(u32, Time), Time> = BTreeMap::new();
    for span in jobs.iter().filter(|span| span.kind == STORE) {
        let Some(layer) = span.tag.layer.filter(|_| span.cause.is_some_and(|cause| programs.contains(&cause))) else {
            continue;
        };
        // Spans come in the order of their ends.
        let ends = made.get(&layer).map_or(&[][..], Vec::as_slice);
        let Some(&end) = ends[..ends.partition_point(|end| *end <= span.ready)].last() else { continue };
        let wait = waits.entry((layer, end)).or_default();
        *wait = (*wait).max(span.ready - end);
    }
    waits.into_values().sum()
}
