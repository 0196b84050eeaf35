//! latency.svg: how long a token takes over a sweep, from the first one to the attention of a layer.

use super::lines::{self, Axis, Panel, ValueOf};
use crate::analyse::{PointReport, SystemReport};
use crate::error::ReportError;
use crate::sweep::clustering;

/// The figure as SVG; nothing where no system took any time.
pub fn svg(points: &[PointReport]) -> Result<Option<String>, ReportError> {
    let positive = |ps: u64| (ps > 0).then_some(ps as f64);
    let first = |s: &SystemReport| positive(s.prefill.as_ref()?.latency().ps());
    let token = |s: &SystemReport| positive(if s.decodes() { s.latency_per_token().ps() } else { 0 });
    let kernel = |s: &SystemReport| positive(if s.kernel.is_some() { s.latency().ps() } else { 0 });
    let layer = |s: &SystemReport| positive(s.attention.per_layer().ps());
    let gpu = |s: &SystemReport| positive(clustering(s)?.gpu_layer().ps());
    let cluster = |s: &SystemReport| positive(clustering(s)?.layer().ps());
    let all: [(&str, ValueOf<'_>); 6] = [
        ("time to first token", &first),
        ("GPU time of a layer's prompts", &gpu),
        ("clustering of a layer's prompts", &cluster),
        ("time per token", &token),
        ("attention of a layer", &layer),
        ("time of the kernel", &kernel),
    ];
    let systems = || points.iter().flat_map(|point| &point.systems);
    let panels = all.into_iter().filter_map(|(title, value)| {
        let values: Vec<f64> = systems().filter_map(value).collect();
        (!values.is_empty()).then(|| (title, Axis::times(&values), value))
    });
    let panels: Vec<Panel<'_>> = panels.collect();
    if panels.is_empty() {
        return Ok(None);
    }
    lines::svg(points, ("latency.svg", "Latency"), &panels).map(Some)
}
