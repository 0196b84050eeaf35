//! breakdown.svg: how long a token takes in each system, and on what.
//!
//! Two panels of stacked bars: milliseconds per token, where a system that is fifty times faster is a sliver, and shares
//! of the whole, where it is as readable as the others.

use sim_core::Category;

use super::canvas::{Anchor, Canvas, Font, SMALL, draw, text_width, tick_label, ticks, wrapped};
use super::palette::{GRID, INK, PAPER, colour, text_on};
use crate::analyse::SystemReport;
use crate::error::ReportError;
use crate::text::significant;

/// The figure as SVG.
pub fn svg(systems: &[SystemReport]) -> Result<String, ReportError> {
    if SystemReport::are_kernels(systems) {
        return bars("breakdown.svg", "Latency of the kernel by what it is spent on (critical path)", "", systems);
    }
    let title = "Latency per token by what it is spent on (critical path)";
    bars("breakdown.svg", title, " per token", systems)
}

/// The same of the time to first token, of the systems that have a prefill: prefill.svg.
pub fn prefill_svg(systems: &[SystemReport]) -> Result<String, ReportError> {
    let prefills: Vec<SystemReport> = systems.iter().filter_map(SystemReport::of_prefill).collect();
    let title = "Time to first token by what it is spent on (critical path)";
    bars("prefill.svg", title, "", &prefills)
}

fn bars(file: &'static str, title: &str, each: &str, systems: &[SystemReport]) -> Result<String, ReportError> {
    let layout = Layout::of(systems);
    draw(file, (layout.width, layout.height), |canvas| {
        canvas.text(title, (MARGIN, 24), Anchor::Left, Font::TITLE);
        super::partial(canvas, systems, layout.width);
        canvas.legend(&layout.categories, MARGIN, layout.width - MARGIN, 54);
        if systems.is_empty() {
            canvas.text("no system to show", (MARGIN, 84), Anchor::Left, Font::QUIET);
            return;
        }
        let [first, second] = layout.panels;
        absolute(canvas, systems, &layout, first, each);
        shares(canvas, systems, &layout, second);
    })
}

const MARGIN: i32 = 20;
/// Room for the numbers of the y axis.
const AXIS: i32 = 52;
const PLOT: i32 = 300;
/// Room above a plot for its title and for the totals on top of the bars.
const ABOVE: i32 = 40;

struct Layout {
    width: i32,
    height: i32,
    /// The upper left corners of the two plots.
    panels: [(i32, i32); 2],
    /// The width of a plot.
    plot: i32,
    /// The width for one bar and the gap beside it.
    slot: i32,
    categories: Vec<Category>,
}

impl Layout {
    fn of(systems: &[SystemReport]) -> Self {
        let used = |c: &Category| systems.iter().any(|s| s.breakdown.get(*c).ps() > 0);
        let categories: Vec<Category> = Category::ALL.into_iter().filter(used).collect();
        let count = i32::try_from(systems.len()).unwrap_or(i32::MAX).clamp(1, 400);
        // Side by side while the names have room, below each other for many systems.
        let beside = count <= 5;
        let slot = if beside { (420 / count).clamp(92, 150) } else { 84 };
        let plot = (slot * count).max(300);
        let legend: i32 = categories.iter().map(|c| 36 + text_width(c.key(), SMALL)).sum();
        let columns = if beside { 2 } else { 1 };
        let width = columns * (AXIS + plot + MARGIN) + MARGIN;
        let top = 76 + 20 * (legend / (width - 2 * MARGIN).max(1)) + ABOVE + 10;
        let below = top + PLOT + 66 + ABOVE;
        let first = (MARGIN + AXIS, top);
        let (second, bottom) =
            if beside { ((first.0 + plot + MARGIN + AXIS, top), top + PLOT) } else { ((first.0, below), below + PLOT) };
        Self { width, height: bottom + 70, panels: [first, second], plot, slot, categories }
    }

    /// Left and right edge of a bar.
    fn bar(&self, left: i32, index: i32) -> (i32, i32) {
        let slot = self.plot / (self.plot / self.slot).max(1);
        let slot = slot.min(150);
        let centre = left + slot * index + slot / 2;
        let half = (slot * 3 / 10).min(34);
        (centre - half, centre + half)
    }
}

fn frame(canvas: &mut Canvas<'_>, systems: &[SystemReport], layout: &Layout, (left, top): (i32, i32), title: &str) {
    canvas.text(title, (left - AXIS + 8, top - ABOVE + 4), Anchor::Left, Font::STRONG);
    for (i, system) in (0..).zip(systems) {
        let (from, to) = layout.bar(left, i);
        for (line, text) in (0..).zip(wrapped(&system.name, layout.slot - 8, SMALL, 3)) {
            let y = top + PLOT + 16 + 15 * line;
            canvas.text(&text, (i32::midpoint(from, to), y), Anchor::Middle, Font::LABEL);
        }
    }
}

fn axis(canvas: &mut Canvas<'_>, layout: &Layout, (left, top): (i32, i32), step: f64, count: i32, unit: &str) {
    for tick in 0..=count {
        let y = top + PLOT - PLOT * tick / count;
        canvas.path(&[(left, y), (left + layout.plot, y)], GRID, 1);
        let label = format!("{}{unit}", tick_label(f64::from(tick) * step, step));
        canvas.text(&label, (left - 6, y), Anchor::Right, Font::QUIET);
    }
}

fn absolute(canvas: &mut Canvas<'_>, systems: &[SystemReport], layout: &Layout, at: (i32, i32), each: &str) {
    let ms = |system: &SystemReport| system.latency().seconds() * 1e3 / f64::from(system.tokens.max(1));
    let most = systems.iter().map(ms).fold(0.0, f64::max);
    // Toy systems take nanoseconds; an axis in milliseconds would be all zeros.
    let (unit, scale) = if most > 0.0 && most < 0.1 { ("us", 1e3) } else { ("ms", 1.0) };
    let (step, count) = ticks(most * scale, 5);
    frame(canvas, systems, layout, at, &format!("{unit}{each}"));
    axis(canvas, layout, at, step, count, "");
    let top = f64::from(count) * step;
    for (i, system) in (0..).zip(systems) {
        let total = ms(system) * scale;
        let (left, right) = layout.bar(at.0, i);
        // A bar that is there is seen, if only as a line.
        let height = (f64::from(PLOT) * total / top).max(if total > 0.0 { 2.0 } else { 0.0 });
        let high = stack(canvas, system, (left, right), at.1 + PLOT, height, |share| significant(share * total));
        canvas.text(
            &format!("{} {unit}", significant(total)),
            (i32::midpoint(left, right), high - 10),
            Anchor::Middle,
            Font::STRONG,
        );
    }
    canvas.path(&[(at.0, at.1 + PLOT), (at.0 + layout.plot, at.1 + PLOT)], INK, 1);
}

fn shares(canvas: &mut Canvas<'_>, systems: &[SystemReport], layout: &Layout, at: (i32, i32)) {
    frame(canvas, systems, layout, at, "share of the latency");
    axis(canvas, layout, at, 20.0, 5, " %");
    for (i, system) in (0..).zip(systems) {
        let edges = layout.bar(at.0, i);
        stack(canvas, system, edges, at.1 + PLOT, f64::from(PLOT), |share| format!("{:.1}", share * 100.0));
    }
    canvas.path(&[(at.0, at.1 + PLOT), (at.0 + layout.plot, at.1 + PLOT)], INK, 1);
}

/// One bar from the bottom up, with a label where there is room; returns its top.
fn stack(
    canvas: &mut Canvas<'_>,
    system: &SystemReport,
    (left, right): (i32, i32),
    bottom: i32,
    height: f64,
    label: impl Fn(f64) -> String,
) -> i32 {
    let mut below = 0.0;
    let mut high = bottom;
    for category in Category::ALL {
        let share = system.breakdown.share(category);
        if share <= 0.0 {
            continue;
        }
        let low = bottom - (below * height).round() as i32;
        below += share;
        high = bottom - (below * height).round() as i32;
        canvas.rectangle((left, high), (right, low), colour(category));
        if low - high > 3 {
            // A thin gap keeps neighbours apart for those who do not see their hues.
            canvas.path(&[(left, low), (right, low)], PAPER, 1);
        }
        let text = label(share);
        if low - high >= 14 && text_width(&text, SMALL) <= right - left - 2 {
            let at = (i32::midpoint(left, right), i32::midpoint(low, high));
            canvas.text(&text, at, Anchor::Middle, Font::LABEL.coloured(text_on(colour(category))));
        }
    }
    high
}
