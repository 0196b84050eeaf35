//! The prefill of a run: from its begin to the first token of every sequence.
//!
//! Jobs of the prefill have step 0 in their tag, and the job `token` of step 0 marks its end: the time to first token
//! (TTFT). What brings K and V to their home may go on after that.

use sim_core::{Span, Time};

use crate::analyse::{SystemInput, busy};
use crate::breakdown::{Breakdown, share};
use crate::clustering::Clustering;
use crate::critical_path::Segment;

/// The step of the prefill's jobs.
pub const STEP: u32 = 0;

/// What a prefill works on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefillShape {
    /// Tokens of all prompts.
    pub tokens: u64,
    /// Tokens of the longest prompt.
    pub longest: u64,
    /// Groups of sequences that go from layer to layer together.
    pub groups: u32,
    /// Chunks of all groups, each of which goes through the kernels of a layer by itself.
    pub chunks: u32,
    /// Tokens of a chunk; the last one of a group may have fewer.
    pub chunk_tokens: u64,
    /// How long the BufferPEs of a channel compare distances in the clustering of a layer of a group (CA), while they arrive.
    pub assignment: Time,
}

/// What is reported of a prefill.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrefillReport {
    /// What it worked on.
    pub shape: PrefillShape,
    /// The critical path up to the first token by category; adds up to the time to first token. All zero where the run was
    /// stopped before.
    pub breakdown: Breakdown,
    /// When the last of its jobs ended: K and V of all prompts are in their home.
    pub done: Time,
    /// How long the GPU's kernels of each layer took, groups and chunks together.
    pub gpu_layers: Vec<Time>,
    /// Clustering of the prompts in PIM stacks; `None` where there is none.
    pub clustering: Option<Clustering>,
    /// How long each actor was busy up to the first token: the union of its spans. Only actors that did anything.
    pub busy: Vec<(String, Time)>,
    /// The critical path, in the order of time. Empty in a report read back from summary.json.
    pub critical_path: Vec<Segment>,
}

/// What a table shows of a prefill in a row.
pub(crate) type Cell = Box<dyn Fn(&PrefillReport) -> String>;

impl PrefillReport {
    /// The report of a system's prefill; `path` is its critical path, if it was finished.
    pub(crate) fn of(input: &SystemInput, path: Option<Vec<Segment>>) -> Option<Self> {
        let shape = input.prefill?;
        let mut breakdown = Breakdown::default();
        let critical_path = path.unwrap_or_default();
        for segment in &critical_path {
            breakdown.add(segment.category, segment.duration());
        }
        let jobs = || input.spans.iter().filter(|span| span.tag.step == STEP);
        Some(Self {
            shape,
            breakdown,
            done: jobs().map(|span| span.end).max().unwrap_or_default(),
            gpu_layers: by_layer(jobs().filter(|span| span.category == sim_core::Category::ComputeGpu)),
            clustering: Clustering::of(&input.spans, &shape, breakdown.total()),
            busy: busy(input, Time::ZERO, breakdown.total()),
            critical_path,
        })
    }

    /// The time to first token (TTFT), of the whole batch.
    pub fn latency(&self) -> Time {
        self.breakdown.total()
    }

    /// A figure of the clustering for people; a dash where there is none.
    pub fn clustering_cell(&self, value: impl Fn(&Clustering) -> String) -> String {
        self.clustering.as_ref().map_or_else(|| "-".to_owned(), value)
    }

    /// What is shown of the clustering: (label, cell of a prefill).
    pub(crate) fn clustering_rows() -> Vec<(String, Cell)> {
        let mut rows: Vec<(String, Cell)> = vec![
            ("clustering of a layer".to_owned(), Box::new(|p| p.clustering_cell(|c| c.layer().to_string()))),
            ("margin of a layer".to_owned(), Box::new(|p| p.clustering_cell(|c| signed(c.margin())))),
            (
                "channels wanted again after".to_owned(),
                Box::new(|p| {
                    p.clustering_cell(|c| c.again.map_or_else(|| "-".to_owned(), |layers| format!("{layers} layers")))
                }),
            ),
            (
                "margin until then".to_owned(),
                Box::new(|p| p.clustering_cell(|c| c.margin_again().map_or_else(|| "-".to_owned(), signed))),
            ),
            (
                "clustering hidden".to_owned(),
                Box::new(|p| {
                    p.clustering_cell(|c| {
                        if c.hidden() { "yes".to_owned() } else { format!("no, K and V wait {}", c.waited) }
                    })
                }),
            ),
        ];
        for kind in crate::clustering::PHASES {
            let time = move |c: &Clustering| {
                let phase = c.phases.iter().find(|(name, _)| name == kind);
                phase.map_or_else(|| "-".to_owned(), |(_, time)| time.to_string())
            };
            let within = if kind == "ca" { " (within dc)" } else { "" };
            rows.push((format!("  {kind}{within}"), Box::new(move |p| p.clustering_cell(time))));
        }
        rows.push(("  waiting for weights".to_owned(), Box::new(|p| p.clustering_cell(|c| c.waiting.to_string()))));
        rows
    }

    /// Tokens of all prompts, groups and chunks, for people.
    pub fn cut(&self) -> String {
        let PrefillShape { tokens, groups, chunks, .. } = self.shape;
        format!("{tokens}, {groups}, {chunks}")
    }

    /// Prompt tokens per second.
    pub fn tokens_per_second(&self) -> f64 {
        let seconds = self.latency().seconds();
        if seconds > 0.0 { self.shape.tokens as f64 / seconds } else { 0.0 }
    }

    /// The mean over layers of what the GPU's kernels of a layer take, rounded down to a picosecond.
    pub fn gpu_layer(&self) -> Time {
        let sum: Time = self.gpu_layers.iter().copied().sum();
        Time::from_ps(sum.ps() / (self.gpu_layers.len() as u64).max(1))
    }

    /// The part of the time to first token in which an actor was busy, 0 to 1.
    pub fn busy_share(&self, actor: &str) -> f64 {
        let busy = self.busy.iter().find(|(name, _)| name == actor).map_or(Time::ZERO, |(_, time)| *time);
        share(busy, self.latency())
    }
}

/// A time with its sign.
pub(crate) fn signed(ps: i64) -> String {
    let time = Time::from_ps(ps.unsigned_abs());
    if ps < 0 { format!("-{time}") } else { time.to_string() }
}

/// For each layer the time of its spans, which do not overlap: those of one actor that does a job at a time.
fn by_layer<'a>(spans: impl Iterator<Item = &'a Span>) -> Vec<Time> {
    let mut layers = Vec::new();
    for span in spans {
        let Some(layer) = span.tag.layer.map(|layer| layer as usize) else { continue };
        if layers.len() <= layer {
            layers.resize(layer + 1, Time::ZERO);
        }
        layers[layer] += span.end - span.start;
    }
    layers
}
