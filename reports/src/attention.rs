//! Attention alone: the time between a layer's queries and its attention's output.
//!
//! Papers publish figures of one layer's attention. Here it is the part of a token's critical path from the end of a
//! layer's last `qkv` kernel to the moment at which its last `output_projection` has all that it waits for. The pieces of
//! the path tile the token, so those within this window tile the window, and the categories add up to it exactly.

use std::collections::BTreeMap;

use sim_core::{Span, Time};

use crate::breakdown::Breakdown;
use crate::critical_path::Segment;

/// The kernel that makes a layer's queries.
const BEGIN: &str = "qkv";
/// The kernel that takes the output of a layer's attention.
const END: &str = "output_projection";

/// All windows of a run together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttentionView {
    /// How many: layers times tokens.
    pub layers: u64,
    /// Their critical path by category; adds up to the time of all windows.
    pub breakdown: Breakdown,
}

impl AttentionView {
    /// The mean of a layer, rounded down to a picosecond.
    pub fn per_layer(&self) -> Time {
        Time::from_ps(self.breakdown.total().ps() / self.layers.max(1))
    }
}

/// The time of each layer's attention, by token and layer: from its queries to its output.
pub fn windows(spans: &[Span]) -> BTreeMap<(u32, u32), (Time, Time)> {
    let mut windows: BTreeMap<(u32, u32), (Option<Time>, Option<Time>)> = BTreeMap::new();
    for span in spans {
        let Some(layer) = span.tag.layer.filter(|_| span.tag.step > 0) else { continue };
        if span.kind == BEGIN {
            let begin = &mut windows.entry((span.tag.step, layer)).or_default().0;
            *begin = (*begin).max(Some(span.end));
        } else if span.kind == END {
            let end = &mut windows.entry((span.tag.step, layer)).or_default().1;
            *end = (*end).max(Some(span.ready));
        }
    }
    windows.into_iter().filter_map(|(key, (from, to))| Some((key, (from?, to?)))).collect()
}

/// The windows of all layers of the tokens whose critical paths are given.
pub(crate) fn view(spans: &[Span], paths: &[Vec<Segment>]) -> AttentionView {
    let mut view = AttentionView::default();
    for ((step, _), (from, to)) in windows(spans) {
        let Some(path) = paths.get(step as usize - 1) else { continue };
        view.layers += 1;
        let first = path.partition_point(|segment| segment.to <= from);
        for segment in path[first..].iter().take_while(|segment| segment.from < to) {
            view.breakdown.add(segment.category, segment.to.min(to) - segment.from.max(from));
        }
    }
    view
}
