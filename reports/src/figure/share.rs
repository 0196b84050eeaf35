//! share.svg: how the share of communication changes over a sweep.
//!
//! Left what is exposed (on the critical path), right what is busy (any transfer under way). Along the x axis runs the
//! swept number that takes most values; every other combination of keys and system is a line.

use serde_json::Value;

use super::canvas::{Anchor, Canvas, Font, SMALL, cut, draw, few, text_width};
use super::palette::{GRID, INK, LINES, Rgb};
use crate::analyse::{PointReport, SystemReport};
use crate::error::ReportError;
use crate::table::plain;

const MARGIN: i32 = 20;
/// Room for the numbers of the y axis.
const AXIS: i32 = 52;
const PLOT: (i32, i32) = (440, 300);
const TOP: i32 = 84;

type ShareOf = fn(&SystemReport) -> f64;

/// The figure as SVG.
pub fn svg(points: &[PointReport]) -> Result<String, ReportError> {
    let chart = Chart::of(points);
    let width = MARGIN + 2 * (AXIS + PLOT.0 + MARGIN);
    let legend = TOP + PLOT.1 + 72;
    let height = legend + chart.legend(None, width, legend) + 16;
    draw("share.svg", (width, height), |canvas| {
        canvas.text("Communication as a share of the latency", (MARGIN, 24), Anchor::Left, Font::TITLE);
        super::partial(canvas, points.iter().flat_map(|point| &point.systems), width);
        if chart.series.is_empty() {
            canvas.text("no point to show", (MARGIN, 54), Anchor::Left, Font::QUIET);
            return;
        }
        let panels: [(&str, ShareOf); 2] = [
            ("exposed (on the critical path)", |s| s.breakdown.communication_share()),
            ("busy (any transfer under way, hidden or not)", SystemReport::communication_busy_share),
        ];
        for (i, (title, share)) in (0..).zip(panels) {
            let left = MARGIN + AXIS + i * (PLOT.0 + MARGIN + AXIS);
            chart.panel(canvas, left, title, share);
        }
        chart.legend(Some(canvas), width, legend);
    })
}

/// One line: its name and, by the place of its value on the x axis, what is drawn.
struct Series<'a> {
    name: String,
    points: Vec<(usize, &'a SystemReport)>,
}

struct Chart<'a> {
    /// The key of the x axis; the points themselves where no number is swept.
    key: Option<&'a str>,
    /// The values of the x axis in rising order, and their labels.
    values: Vec<(f64, String)>,
    logarithmic: bool,
    series: Vec<Series<'a>>,
}

impl<'a> Chart<'a> {
    fn of(points: &'a [PointReport]) -> Self {
        let key = key_of_most_values(points);
        let mut values: Vec<(f64, String)> = Vec::new();
        for (i, point) in (0..).zip(points) {
            let value = match key {
                None => Some((f64::from(i), point_name(point, None))),
                Some(key) => number(point, key),
            };
            if let Some(value) = value.filter(|(v, _)| !values.iter().any(|(known, _)| known.total_cmp(v).is_eq())) {
                values.push(value);
            }
        }
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (least, most) = (values.first().map_or(0.0, |v| v.0), values.last().map_or(0.0, |v| v.0));
        let mut series: Vec<Series<'a>> = Vec::new();
        for (i, point) in (0..).zip(points) {
            let value = key.map_or(Some(f64::from(i)), |key| number(point, key).map(|v| v.0));
            let Some(x) = value.and_then(|v| values.iter().position(|(known, _)| known.total_cmp(&v).is_eq())) else {
                continue;
            };
            for system in &point.systems {
                let others = if key.is_some() { point_name(point, key) } else { String::new() };
                let separator = if others.is_empty() { "" } else { ", " };
                let name = format!("{}{separator}{others}", system.name);
                match series.iter_mut().find(|line| line.name == name) {
                    Some(line) => line.points.push((x, system)),
                    None => series.push(Series { name, points: vec![(x, system)] }),
                }
            }
        }
        for line in &mut series {
            line.points.sort_by_key(|(x, _)| *x);
        }
        Self { key, logarithmic: key.is_some() && least > 0.0 && most > 8.0 * least, values, series }
    }

    /// How far along the x axis a value is, in pixels.
    fn x(&self, index: usize) -> i32 {
        let scale = |value: f64| if self.logarithmic { value.log2() } else { value };
        let (first, last) = (scale(self.values[0].0), scale(self.values[self.values.len() - 1].0));
        // Room at both ends, so that markers and labels do not touch the frame.
        let room = f64::from(PLOT.0) * 0.06;
        let part = if last > first { (scale(self.values[index].0) - first) / (last - first) } else { 0.5 };
        (room + part * (f64::from(PLOT.0) - 2.0 * room)).round() as i32
    }

    fn panel(&self, canvas: &mut Canvas<'_>, left: i32, title: &str, share: ShareOf) {
        let (right, bottom) = (left + PLOT.0, TOP + PLOT.1);
        canvas.text(title, (left - AXIS + 8, TOP - 24), Anchor::Left, Font::STRONG);
        for percent in (0..=100).step_by(20) {
            let y = bottom - PLOT.1 * percent / 100;
            canvas.path(&[(left, y), (right, y)], GRID, 1);
            canvas.text(&format!("{percent} %"), (left - 6, y), Anchor::Right, Font::QUIET);
        }
        let mut free = left - AXIS;
        for (i, (_, label)) in self.values.iter().enumerate() {
            let x = left + self.x(i);
            canvas.path(&[(x, bottom), (x, bottom + 5)], INK, 1);
            let label = cut(label, 120, SMALL);
            let half = text_width(&label, SMALL) / 2;
            // Labels that would run into the one before are left out; their ticks stay.
            if x - half >= free {
                canvas.text(&label, (x, bottom + 16), Anchor::Middle, Font::QUIET);
                free = x + half + 6;
            }
        }
        canvas.path(&[(left, bottom), (right, bottom)], INK, 1);
        let scale = if self.logarithmic { " (logarithmic)" } else { "" };
        let name = format!("{}{scale}", self.key.unwrap_or("point"));
        canvas.text(&name, (i32::midpoint(left, right), bottom + 38), Anchor::Middle, Font::LABEL);
        for (i, line) in self.series.iter().enumerate() {
            let at = |&(x, system): &(usize, &SystemReport)| {
                (left + self.x(x), bottom - (f64::from(PLOT.1) * share(system).clamp(0.0, 1.0)).round() as i32)
            };
            let places: Vec<(i32, i32)> = line.points.iter().map(at).collect();
            let colour = LINES[i % LINES.len()];
            if self.key.is_some() {
                canvas.path(&places, colour, 2);
            }
            for place in places {
                marker(canvas, place, i, colour);
            }
        }
    }

    /// Draws the names of the lines, or only says how high they are.
    fn legend(&self, mut canvas: Option<&mut Canvas<'_>>, width: i32, top: i32) -> i32 {
        let longest = self.series.iter().map(|line| text_width(&line.name, SMALL)).max().unwrap_or(0);
        let all = width - 2 * MARGIN;
        let column = (longest + 48).clamp(120, all);
        let columns = (all / column).max(1);
        for (i, line) in (0..).zip(&self.series) {
            let (x, y) = (MARGIN + i % columns * column, top + i / columns * 20);
            let Some(canvas) = &mut canvas else { continue };
            let colour = LINES[i as usize % LINES.len()];
            canvas.path(&[(x, y), (x + 24, y)], colour, 2);
            marker(canvas, (x + 12, y), i as usize, colour);
            canvas.text(&cut(&line.name, column - 48, SMALL), (x + 32, y), Anchor::Left, Font::LABEL);
        }
        (few(self.series.len()) + columns - 1) / columns * 20
    }
}

/// A shape per line, so that lines of one hue are told apart, and lines on top of each other are seen.
pub(super) fn marker(canvas: &mut Canvas<'_>, (x, y): (i32, i32), line: usize, colour: Rgb) {
    match line / LINES.len() * 2 % 4 + line % 2 {
        0 => canvas.circle((x, y), 4, colour),
        1 => canvas.rectangle((x - 4, y - 4), (x + 4, y + 4), colour),
        2 => canvas.polygon(&[(x, y - 6), (x + 5, y + 4), (x - 5, y + 4)], colour),
        _ => canvas.polygon(&[(x, y - 6), (x + 6, y), (x, y + 6), (x - 6, y)], colour),
    }
}

/// The key whose values are numbers and that takes most of them; the first of equals.
fn key_of_most_values(points: &[PointReport]) -> Option<&str> {
    let mut best: Option<(&str, usize)> = None;
    for (key, _) in points.iter().flat_map(|point| &point.keys) {
        let mut values: Vec<f64> = points.iter().filter_map(|point| Some(number(point, key)?.0)).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        if values.len() > best.map_or(1, |(_, count)| count) {
            best = Some((key, values.len()));
        }
    }
    best.map(|(key, _)| key)
}

/// A key's value as a number, with the text that the scenario has for it: `64 GB/s` counts as a number.
fn number(point: &PointReport, key: &str) -> Option<(f64, String)> {
    let (_, value) = point.keys.iter().find(|(k, _)| k == key)?;
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => quantity(text),
        _ => None,
    };
    number.filter(|n| n.is_finite()).map(|n| (n, plain(value)))
}

/// The number of a text like `64 GB/s`, in units of the prefix-less unit.
fn quantity(text: &str) -> Option<f64> {
    let (number, unit) = text.trim().split_once(' ')?;
    let number: f64 = number.parse().ok()?;
    let factor = match unit.as_bytes() {
        [b'p', _, ..] => 1e-12,
        [b'n', _, ..] => 1e-9,
        [b'u', _, ..] => 1e-6,
        [b'm', b's', ..] => 1e-3,
        [b'k' | b'K', b'i', ..] => 1024.0,
        [b'M', b'i', ..] => 1024_f64.powi(2),
        [b'G', b'i', ..] => 1024_f64.powi(3),
        [b'T', b'i', ..] => 1024_f64.powi(4),
        [b'k', _, ..] => 1e3,
        [b'M', _, ..] => 1e6,
        [b'G', _, ..] => 1e9,
        [b'T', _, ..] => 1e12,
        _ => 1.0,
    };
    Some(number * factor)
}

/// `key=value, key=value` without one of the keys.
fn point_name(point: &PointReport, without: Option<&str>) -> String {
    let others = point.keys.iter().filter(|(key, _)| Some(key.as_str()) != without);
    // Of a dotted key the last part is what a reader needs.
    let short = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
    let others: Vec<String> = others.map(|(key, value)| format!("{}={}", short(key), plain(value))).collect();
    others.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_quantity_placed_by_its_unit() {
        let ordered = ["500 MB/s", "1 GB/s", "32 GB/s", "64 GB/s", "1 TB/s"].map(|text| quantity(text).unwrap());
        assert!(ordered.is_sorted(), "{ordered:?}");
        assert_eq!(quantity("fp16"), None);
    }
}
