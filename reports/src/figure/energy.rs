//! energy.svg: the energy of a token step by part, whole and of attention alone.
//!
//! Stacked bars, in joules and as shares: beside a system that takes thirty times as much another is a sliver.

use super::canvas::{Anchor, Canvas, Font, SMALL, draw, few, text_width, tick_label, ticks, wrapped};
use super::palette::{GRID, INK, PAPER, text_on};
use crate::analyse::SystemReport;
use crate::energy::{GROUPS, of_attention, of_step};
use crate::error::ReportError;
use crate::text::significant;

const MARGIN: i32 = 20;
const AXIS: i32 = 56;
const PLOT: i32 = 280;
const ABOVE: i32 = 40;
const BELOW: i32 = 70;
const SLOT: i32 = 92;

/// A system's bar: its name, and picojoules by group.
type Bar<'a> = (&'a str, [f64; GROUPS.len()]);

/// The figure as SVG; `None` where no system has energy for each step.
pub fn svg(systems: &[SystemReport]) -> Result<Option<String>, ReportError> {
    let of = |groups: fn(&SystemReport) -> Option<[f64; GROUPS.len()]>| -> Vec<Bar<'_>> {
        systems.iter().filter_map(|system| Some((system.name.as_str(), groups(system)?))).collect()
    };
    let (steps, attention) = (of(of_step), of(of_attention));
    if steps.is_empty() {
        return Ok(None);
    }
    let kernels = SystemReport::are_kernels(systems);
    let whole = if kernels { "the kernel" } else { "a token step" };
    let rows: Vec<(&str, &[Bar<'_>])> = [(whole, &steps[..]), ("its attention alone", &attention[..])]
        .into_iter()
        .filter(|row| !row.1.is_empty())
        .collect();
    let count = few(steps.len());
    let plot = (SLOT * count).max(300);
    let beside = count <= 6;
    let columns = if beside { 2 } else { 1 };
    let width = columns * (AXIS + plot + MARGIN) + MARGIN;
    let used: Vec<usize> =
        (0..GROUPS.len()).filter(|&group| steps.iter().chain(&attention).any(|bar| bar.1[group] > 0.0)).collect();
    let top = 54 + legend(None, &used, width) + ABOVE;
    let panel = PLOT + BELOW + ABOVE;
    let height = top + panel * few(rows.len()) * (2 / columns) - ABOVE;
    let title = if kernels { "Energy by part" } else { "Energy by part, of the whole batch" };
    draw("energy.svg", (width, height), |canvas| {
        canvas.text(title, (MARGIN, 24), Anchor::Left, Font::TITLE);
        legend(Some(canvas), &used, width);
        for (row, (what, bars)) in (0..).zip(&rows) {
            let left = MARGIN + AXIS;
            let (first, second) = if beside {
                ((left, top + panel * row), (left + plot + MARGIN + AXIS, top + panel * row))
            } else {
                ((left, top + panel * 2 * row), (left, top + panel * (2 * row + 1)))
            };
            absolute(canvas, bars, first, plot, what);
            shares(canvas, bars, second, plot, what);
        }
    })
    .map(Some)
}

/// Draws the legend of the used groups, or only tells its height.
fn legend(mut canvas: Option<&mut Canvas<'_>>, used: &[usize], width: i32) -> i32 {
    let (mut x, mut y) = (MARGIN, 54);
    for group in used.iter().map(|&group| &GROUPS[group]) {
        let wide = 36 + text_width(group.label, SMALL);
        if x > MARGIN && x + wide > width - MARGIN {
            (x, y) = (MARGIN, y + 20);
        }
        if let Some(canvas) = canvas.as_deref_mut() {
            canvas.rectangle((x, y - 6), (x + 12, y + 6), group.colour);
            canvas.text(group.label, (x + 18, y), Anchor::Left, Font::LABEL);
        }
        x += wide;
    }
    y - 54 + 16
}

/// Title, axis and names of a panel.
fn frame(canvas: &mut Canvas<'_>, bars: &[Bar<'_>], (left, top): (i32, i32), title: &str) {
    canvas.text(title, (left - AXIS + 8, top - ABOVE + 8), Anchor::Left, Font::STRONG);
    for (i, (name, _)) in (0..).zip(bars) {
        for (line, text) in (0..).zip(wrapped(name, SLOT - 8, SMALL, 3)) {
            canvas.text(&text, (left + SLOT * i + SLOT / 2, top + PLOT + 16 + 15 * line), Anchor::Middle, Font::LABEL);
        }
    }
}

fn axis(canvas: &mut Canvas<'_>, (left, top): (i32, i32), plot: i32, (step, count): (f64, i32), unit: &str) {
    for tick in 0..=count {
        let y = top + PLOT - PLOT * tick / count.max(1);
        canvas.path(&[(left, y), (left + plot, y)], GRID, 1);
        let label = format!("{}{unit}", tick_label(f64::from(tick) * step, step));
        canvas.text(&label, (left - 6, y), Anchor::Right, Font::QUIET);
    }
}

fn absolute(canvas: &mut Canvas<'_>, bars: &[Bar<'_>], at: (i32, i32), plot: i32, what: &str) {
    let total = |bar: &Bar<'_>| bar.1.iter().sum::<f64>();
    let most = bars.iter().map(total).fold(0.0, f64::max);
    let (unit, scale) = if most < 1e11 { ("mJ", 1e-9) } else { ("J", 1e-12) };
    let (step, count) = ticks(most * scale, 5);
    frame(canvas, bars, at, &format!("{what}, {unit}"));
    axis(canvas, at, plot, (step, count), "");
    for (i, bar) in (0..).zip(bars) {
        let height = f64::from(PLOT) * total(bar) * scale / (f64::from(count) * step);
        let high =
            stack(canvas, bar, (at.0 + SLOT * i, at.1 + PLOT), height, |share| significant(share * total(bar) * scale));
        let above = (at.0 + SLOT * i + SLOT / 2, high - 10);
        canvas.text(&format!("{} {unit}", significant(total(bar) * scale)), above, Anchor::Middle, Font::STRONG);
    }
    canvas.path(&[(at.0, at.1 + PLOT), (at.0 + plot, at.1 + PLOT)], INK, 1);
}

fn shares(canvas: &mut Canvas<'_>, bars: &[Bar<'_>], at: (i32, i32), plot: i32, what: &str) {
    frame(canvas, bars, at, &format!("{what}, shares"));
    axis(canvas, at, plot, (20.0, 5), " %");
    for (i, bar) in (0..).zip(bars) {
        stack(canvas, bar, (at.0 + SLOT * i, at.1 + PLOT), f64::from(PLOT), |share| format!("{:.1}", share * 100.0));
    }
    canvas.path(&[(at.0, at.1 + PLOT), (at.0 + plot, at.1 + PLOT)], INK, 1);
}

/// One bar from the bottom up, with labels where there is room; returns its top.
fn stack(
    canvas: &mut Canvas<'_>,
    (_, groups): &Bar<'_>,
    (slot, bottom): (i32, i32),
    height: f64,
    label: impl Fn(f64) -> String,
) -> i32 {
    let total: f64 = groups.iter().sum();
    let (left, right) = (slot + SLOT / 2 - 30, slot + SLOT / 2 + 30);
    let (mut below, mut high) = (0.0, bottom);
    for (group, energy) in GROUPS.iter().zip(groups) {
        if *energy <= 0.0 {
            continue;
        }
        let low = bottom - (below * height).round() as i32;
        below += energy / total;
        high = bottom - (below * height).round() as i32;
        canvas.rectangle((left, high), (right, low), group.colour);
        if low - high > 3 {
            // A thin gap keeps neighbours apart for those who do not see their hues.
            canvas.path(&[(left, low), (right, low)], PAPER, 1);
        }
        let text = label(energy / total);
        if low - high >= 14 && text_width(&text, SMALL) <= right - left - 2 {
            let at = (i32::midpoint(left, right), i32::midpoint(low, high));
            canvas.text(&text, at, Anchor::Middle, Font::LABEL.coloured(text_on(group.colour)));
        }
    }
    high
}
