//! What changes over a sweep, as lines.
//!
//! Along the x axis runs the swept number that takes most values; every other combination of keys and system is a line.

use serde_json::Value;

use super::canvas::{Anchor, Canvas, Font, SMALL, cut, draw, few, text_width, tick_label, ticks};
use super::palette::{GRID, INK, LINES, Rgb};
use crate::analyse::{PointReport, SystemReport};
use crate::error::ReportError;
use crate::table::plain;

const MARGIN: i32 = 20;
/// Room for the numbers of the y axis.
const AXIS: i32 = 60;
const PLOT: (i32, i32) = (440, 300);
const TOP: i32 = 84;

/// What is drawn of a system; `None` where it has no such thing.
pub(super) type ValueOf<'a> = &'a dyn Fn(&SystemReport) -> Option<f64>;

/// A y axis.
pub(super) struct Axis {
    logarithmic: bool,
    least: f64,
    most: f64,
    /// Values with their labels.
    ticks: Vec<(f64, String)>,
}

impl Axis {
    /// From 0 to 100 %; the values are shares of 1.
    pub(super) fn percent() -> Self {
        let ticks = (0..=5).map(|i| (f64::from(i) / 5.0, format!("{} %", 20 * i))).collect();
        Self { logarithmic: false, least: 0.0, most: 1.0, ticks }
    }

    /// Of times in picoseconds: logarithmic where they differ by a factor of eight or more, from 0 else.
    pub(super) fn times(values: &[f64]) -> Self {
        let positive = || values.iter().copied().filter(|value| value.is_finite() && *value > 0.0);
        let (least, most) = (positive().fold(f64::INFINITY, f64::min), positive().fold(0.0, f64::max));
        if most <= 0.0 || most < 8.0 * least {
            let unit = unit_of(most);
            let (step, count) = ticks(if most > 0.0 { most / unit.0 } else { 1.0 }, 6);
            let ticks = (0..=count).map(|i| {
                let value = step * f64::from(i);
                (value * unit.0, format!("{} {}", tick_label(value, step), unit.1))
            });
            return Self {
                logarithmic: false,
                least: 0.0,
                most: step * f64::from(count) * unit.0,
                ticks: ticks.collect(),
            };
        }
        let (from, to) = (least.log10().floor() as i32, most.log10().ceil() as i32);
        let decades = to - from;
        // Few decades have room for more ticks.
        let parts: &[f64] = if decades > 4 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let all: Vec<f64> =
            (from..=to).flat_map(|power| parts.iter().map(move |part| part * 10_f64.powi(power))).collect();
        let first = all.iter().rposition(|&tick| tick <= least * (1.0 + 1e-9)).unwrap_or(0);
        let end = all.iter().position(|&tick| tick >= most * (1.0 - 1e-9)).unwrap_or(all.len() - 1);
        let label = |&tick: &f64| {
            let unit = unit_of(tick * (1.0 + 1e-9));
            (tick, format!("{} {}", (tick / unit.0).round(), unit.1))
        };
        Self {
            logarithmic: true,
            least: all[first],
            most: all[end],
            ticks: all[first..=end].iter().map(label).collect(),
        }
    }

    /// How far up a value is, from 0 to 1.
    fn part(&self, value: f64) -> f64 {
        let scale = |value: f64| if self.logarithmic { value.max(self.least).log10() } else { value };
        ((scale(value) - scale(self.least)) / (scale(self.most) - scale(self.least))).clamp(0.0, 1.0)
    }
}

/// The unit in which a time is written, in picoseconds, and its name.
fn unit_of(time: f64) -> (f64, &'static str) {
    let units = [(1e12, "s"), (1e9, "ms"), (1e6, "us"), (1e3, "ns"), (1.0, "ps")];
    units.into_iter().find(|unit| time >= unit.0).unwrap_or((1.0, "ps"))
}

/// A panel: its title, y axis and what it shows.
pub(super) type Panel<'a> = (&'a str, Axis, ValueOf<'a>);

/// The figure `name` with its title and panels, as SVG.
pub(super) fn svg(
    points: &[PointReport],
    (name, title): (&'static str, &str),
    panels: &[Panel<'_>],
) -> Result<String, ReportError> {
    let chart = Chart::of(points);
    let width = MARGIN + few(panels.len()).max(1) * (AXIS + PLOT.0 + MARGIN);
    let legend = TOP + PLOT.1 + 72;
    let height = legend + chart.legend(None, width, legend) + 16;
    draw(name, (width, height), |canvas| {
        canvas.text(title, (MARGIN, 24), Anchor::Left, Font::TITLE);
        super::partial(canvas, points.iter().flat_map(|point| &point.systems), width);
        if chart.series.is_empty() {
            canvas.text("no point to show", (MARGIN, 54), Anchor::Left, Font::QUIET);
            return;
        }
        for (place, (title, axis, value)) in (0..).zip(panels) {
            chart.panel(canvas, place, title, axis, *value);
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

    /// Draws one panel of so many with its y axis at `place` from the left.
    fn panel(&self, canvas: &mut Canvas<'_>, place: i32, title: &str, axis: &Axis, value: ValueOf<'_>) {
        let left = MARGIN + AXIS + place * (PLOT.0 + MARGIN + AXIS);
        let (right, bottom) = (left + PLOT.0, TOP + PLOT.1);
        let up = |value: f64| bottom - (f64::from(PLOT.1) * axis.part(value)).round() as i32;
        let scale = |logarithmic| if logarithmic { " (logarithmic)" } else { "" };
        let title = format!("{title}{}", scale(axis.logarithmic));
        canvas.text(&title, (left - AXIS + 8, TOP - 24), Anchor::Left, Font::STRONG);
        for (tick, label) in &axis.ticks {
            let y = up(*tick);
            canvas.path(&[(left, y), (right, y)], GRID, 1);
            canvas.text(label, (left - 6, y), Anchor::Right, Font::QUIET);
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
        let name = format!("{}{}", self.key.unwrap_or("point"), scale(self.logarithmic));
        canvas.text(&name, (i32::midpoint(left, right), bottom + 38), Anchor::Middle, Font::LABEL);
        let at = |&(x, system): &(usize, &SystemReport)| Some((left + self.x(x), up(value(system)?)));
        let all: Vec<Vec<Place>> = self.series.iter().map(|line| line.points.iter().filter_map(at).collect()).collect();
        for (i, places) in all.iter().enumerate() {
            let colour = LINES[i % LINES.len()];
            for ends in places.windows(2).filter(|_| self.key.is_some()) {
                let (before, shared) = order(&all, i, |other| other.windows(2).any(|pair| near(pair, ends)));
                match before {
                    0 => canvas.path(ends, colour, 2),
                    _ => dashes((ends[0], ends[1]), before, shared, |from, to| canvas.path(&[from, to], colour, 2)),
                }
            }
        }
        // Markers in one place lie within each other, the first line's outside.
        for (i, places) in all.iter().enumerate() {
            for place in places {
                let one = std::slice::from_ref(place);
                let (before, shared) = order(&all, i, |other| other.windows(1).any(|known| near(known, one)));
                let more = 3 * few(shared - 1 - before).min(3);
                sized_marker(canvas, *place, i, LINES[i % LINES.len()], more);
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

/// A shape per line, so that lines of one hue are told apart.
pub(super) fn marker(canvas: &mut Canvas<'_>, place: Place, line: usize, colour: Rgb) {
    sized_marker(canvas, place, line, colour, 0);
}

/// The same, larger by so many pixels on each side.
fn sized_marker(canvas: &mut Canvas<'_>, (x, y): Place, line: usize, colour: Rgb, more: i32) {
    let (four, five, six) = (4 + more, 5 + more, 6 + more);
    match line / LINES.len() * 2 % 4 + line % 2 {
        0 => canvas.circle((x, y), four.unsigned_abs(), colour),
        1 => canvas.rectangle((x - four, y - four), (x + four, y + four), colour),
        2 => canvas.polygon(&[(x, y - six), (x + five, y + four), (x - five, y + four)], colour),
        _ => canvas.polygon(&[(x, y - six), (x + six, y), (x, y + six), (x - six, y)], colour),
    }
}

/// Pixels from the left and from the top.
type Place = (i32, i32);

/// How many of the lines before line `i` have what it has, and how many of all lines, itself among them.
fn order(all: &[Vec<Place>], i: usize, has: impl Fn(&[Place]) -> bool) -> (usize, usize) {
    let count = |lines: &[Vec<Place>]| lines.iter().filter(|line| has(line)).count();
    let before = count(&all[..i]);
    (before, before + 1 + count(&all[i + 1..]))
}

/// Whether places are so near to each other that the line (two pixels wide) drawn last hides the other.
fn near(a: &[Place], b: &[Place]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.0 == b.0 && (a.1 - b.1).abs() <= 2)
}

/// The dashes of the line that comes after `before` others of the `shared` that lie between two places: each has its part of a period,
/// and the first, which is drawn through, shows in the rest.
fn dashes((from, to): (Place, Place), before: usize, shared: usize, mut dash: impl FnMut(Place, Place)) {
    const DASH: f64 = 8.0;
    let (dx, dy) = (f64::from(to.0 - from.0), f64::from(to.1 - from.1));
    let length = dx.hypot(dy);
    let at = |along: f64| {
        let part = (along / length).min(1.0);
        (from.0 + (dx * part).round() as i32, from.1 + (dy * part).round() as i32)
    };
    let (period, mut begin) = (DASH * f64::from(few(shared)), DASH * f64::from(few(before)));
    while begin < length {
        dash(at(begin), at(begin + DASH));
        begin += period;
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

    #[test]
    fn are_lines_on_top_of_each_other_seen() {
        let of = |before, shared| {
            let mut pixels = Vec::new();
            dashes(((0, 0), (48, 0)), before, shared, |from, to| pixels.extend(from.0..to.0));
            pixels
        };
        // Two of three lines are dashed: no pixel belongs to both, and a third is left for the first.
        let (second, third) = (of(1, 3), of(2, 3));
        assert_eq!((second.len(), third.len()), (16, 16));
        assert!(second.iter().chain(&third).all(|x| (8..24).contains(&(x % 24))) && second[0] == 8 && third[0] == 16);
        let system = |name: &str, batch: u32| SystemReport { name: name.to_owned(), batch, ..SystemReport::default() };
        let point = |x: u32, second: u32| PointReport {
            keys: vec![("x".to_owned(), x.into())],
            systems: vec![system("first", x), system("second", second)],
        };
        let svg = |points: &[PointReport]| {
            let value: ValueOf<'_> = &|system| Some(f64::from(system.batch));
            svg(points, ("x.svg", "t"), &[("p", Axis::times(&[1.0, 4.0]), value)]).unwrap()
        };
        let lines = |svg: &str| svg.matches(&super::super::palette::hex(LINES[1])).count();
        let (same, apart) = (svg(&[point(1, 1), point(4, 4)]), svg(&[point(1, 2), point(4, 3)]));
        assert!(lines(&same) > lines(&apart) + 10, "{} {}", lines(&same), lines(&apart));
        // The first line's markers stand out behind the second's.
        assert_eq!((same.matches("r=\"7\"").count(), apart.matches("r=\"7\"").count()), (2, 0));
    }

    #[test]
    fn do_the_ticks_hold_all_times() {
        for (least, most) in [(1.0, 1.0), (3e9, 7e9), (8.4e9, 1.265e12), (1e9, 1e12), (999.0, 8e15)] {
            let axis = Axis::times(&[least, most, f64::NAN]);
            assert!(axis.least <= least && most <= axis.most, "{least} {most}: {} {}", axis.least, axis.most);
            assert!((2..=16).contains(&axis.ticks.len()), "{:?}", axis.ticks);
            let labels: std::collections::BTreeSet<_> = axis.ticks.iter().map(|(_, label)| label).collect();
            assert_eq!(labels.len(), axis.ticks.len(), "{:?}", axis.ticks);
        }
        let labels: Vec<String> = Axis::times(&[8.4e9, 9e10]).ticks.into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["5 ms", "10 ms", "20 ms", "50 ms", "100 ms"]);
        assert!(Axis::times(&[]).part(5.0) >= 1.0);
    }
}
