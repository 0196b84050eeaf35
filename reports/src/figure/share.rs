//! share.svg: how the share of communication changes over a sweep.
//!
//! Left what is exposed (on the critical path), right what is busy (any transfer under way).

use super::lines::{self, Axis, Panel};
use crate::analyse::{PointReport, SystemReport};
use crate::error::ReportError;

/// The figure as SVG; nothing where no system moves anything between devices.
pub fn svg(points: &[PointReport]) -> Result<Option<String>, ReportError> {
    let exposed = |s: &SystemReport| s.decodes().then(|| s.breakdown.communication_share());
    let busy = |s: &SystemReport| s.decodes().then(|| s.communication_busy_share());
    if !points.iter().flat_map(|point| &point.systems).any(|s| busy(s).is_some_and(|share| share > 0.0)) {
        return Ok(None);
    }
    let panels: [Panel<'_>; 2] = [
        ("exposed (on the critical path)", Axis::percent(), &exposed),
        ("busy (any transfer under way, hidden or not)", Axis::percent(), &busy),
    ];
    lines::svg(points, ("share.svg", "Communication as a share of the latency"), &panels).map(Some)
}
