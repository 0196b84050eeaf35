//! error-bits.svg: what each KV codec stores against the error that it makes in attention's output.
//!
//! Each codec with its parameters is a numbered point; points of one codec have one marker, and those that differ in
//! numbers alone are joined in the order of their bits. The list beside the plot says what the numbers are.

use super::canvas::{Anchor, Canvas, Font, SMALL, cut, draw, few, text_width, tick_label, ticks};
use super::palette::{GRID, INK, LINES};
use super::share::marker;
use crate::error::ReportError;

/// One codec with its parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// What it has in common with others: the codec's name.
    pub family: String,
    /// The codec with the parameters that tell it apart.
    pub label: String,
    /// Stored bits per element of K and V.
    pub bits: f64,
    /// Relative error of the output, mean over queries and heads.
    pub error: f64,
}

const MARGIN: i32 = 20;
const AXIS: i32 = 64;
const PLOT: (i32, i32) = (620, 460);
const TOP: i32 = 72;
/// A line of the list.
const LINE: i32 = 18;
/// The widest list.
const LIST: i32 = 560;

/// The figure as SVG. `title` says what was measured.
pub fn svg(title: &str, points: &[Point]) -> Result<String, ReportError> {
    let chart = Chart::of(points);
    let list = points.iter().map(|point| text_width(&point.label, SMALL)).max().unwrap_or(0);
    let list = (list + 170).clamp(240, LIST);
    let width = MARGIN + AXIS + PLOT.0 + MARGIN + list + MARGIN;
    let height = (TOP + PLOT.1 + 60).max(TOP + LINE * (few(points.len()) + 2) + 16);
    draw("error-bits.svg", (width, height), |canvas| {
        canvas.text(&cut(title, width - 2 * MARGIN, 16), (MARGIN, 24), Anchor::Left, Font::TITLE);
        chart.axes(canvas);
        chart.draw(canvas);
        chart.list(canvas, MARGIN + AXIS + PLOT.0 + MARGIN, list);
    })
}

struct Chart<'a> {
    points: &'a [Point],
    families: Vec<&'a str>,
    /// The ends of the vertical axis: the powers of ten of two round errors.
    ends: (f64, f64),
    /// The step of the horizontal axis, and how many.
    bits: (f64, i32),
}

/// What stands on the vertical axis of each power of ten.
const DIGITS: [f64; 3] = [1.0, 2.0, 5.0];

/// The largest 1, 2 or 5 times a power of ten that is not above a number.
fn round_below(number: f64) -> f64 {
    let power = 10_f64.powf(number.log10().floor());
    DIGITS.into_iter().rev().map(|digit| digit * power).find(|round| *round <= number * 1.000_001).unwrap_or(power)
}

/// The codec and the names of its parameters: what points that differ in numbers alone have in common.
fn kind(point: &Point) -> (&str, Vec<&str>) {
    let parameters = point.label.split_once(':').map_or("", |(_, parameters)| parameters);
    (&point.family, parameters.split(',').map(|part| part.split('=').next().unwrap_or_default().trim()).collect())
}

/// Errors from here on stand on the vertical axis; smaller ones (FP16 stores what is FP16 already) on the frame.
const LEAST: f64 = 1e-5;

impl<'a> Chart<'a> {
    fn of(points: &'a [Point]) -> Self {
        let mut families: Vec<&str> = Vec::new();
        for point in points {
            if !families.contains(&point.family.as_str()) {
                families.push(&point.family);
            }
        }
        let errors = || points.iter().map(|point| point.error).filter(|error| *error >= LEAST && error.is_finite());
        let (least, most) = (errors().fold(1.0, f64::min), errors().fold(LEAST, f64::max));
        // What has no error stands on the frame, and nothing else does.
        let least = if points.iter().any(|point| point.error < LEAST) { least / 2.0 } else { least };
        let (low, high) = (round_below(least).log10(), -round_below(1.0 / most).log10());
        let high = high.max(low + 0.5);
        let bits = points.iter().map(|point| point.bits).filter(|bits| bits.is_finite()).fold(1.0, f64::max);
        Self { points, families, ends: (low, high), bits: ticks(bits, 8) }
    }

    fn left() -> i32 {
        MARGIN + AXIS
    }

    fn place(&self, point: &Point) -> (i32, i32) {
        let across = (point.bits / (self.bits.0 * f64::from(self.bits.1))).clamp(0.0, 1.0);
        let up = if point.error < LEAST { 0.0 } else { self.up(point.error) };
        let pixels = |part: f64, all: i32| (part * f64::from(all)).round() as i32;
        (Self::left() + pixels(across, PLOT.0), TOP + PLOT.1 - pixels(up.clamp(0.0, 1.0), PLOT.1))
    }

    /// How far up an error is, from 0 to 1.
    fn up(&self, error: f64) -> f64 {
        let (low, high) = self.ends;
        (error.log10() - low) / (high - low)
    }

    fn axes(&self, canvas: &mut Canvas<'_>) {
        let (left, bottom) = (Self::left(), TOP + PLOT.1);
        canvas.text(
            "relative error of attention's output (logarithmic)",
            (MARGIN, TOP - 22),
            Anchor::Left,
            Font::STRONG,
        );
        for decade in self.ends.0.floor() as i32..=self.ends.1.ceil() as i32 {
            for digit in DIGITS {
                let error = digit * 10_f64.powi(decade);
                let up = self.up(error);
                if !(-1e-9..=1.0 + 1e-9).contains(&up) {
                    continue;
                }
                let y = bottom - (up * f64::from(PLOT.1)).round() as i32;
                canvas.path(&[(left, y), (left + PLOT.0, y)], GRID, 1);
                canvas.text(&percent(error), (left - 6, y), Anchor::Right, Font::QUIET);
            }
        }
        for tick in 0..=self.bits.1 {
            let x = left + PLOT.0 * tick / self.bits.1;
            canvas.path(&[(x, bottom), (x, bottom + 5)], INK, 1);
            let label = tick_label(f64::from(tick) * self.bits.0, self.bits.0);
            canvas.text(&label, (x, bottom + 16), Anchor::Middle, Font::QUIET);
        }
        canvas.path(&[(left, bottom), (left + PLOT.0, bottom)], INK, 1);
        let middle = left + PLOT.0 / 2;
        canvas.text("stored bits per element of K and V", (middle, bottom + 38), Anchor::Middle, Font::LABEL);
    }

    fn family(&self, point: &Point) -> usize {
        self.families.iter().position(|family| *family == point.family).unwrap_or_default()
    }

    fn draw(&self, canvas: &mut Canvas<'_>) {
        let mut kinds: Vec<_> = self.points.iter().map(kind).collect();
        kinds.sort();
        kinds.dedup();
        for one in kinds {
            let mut alike: Vec<&Point> = self.points.iter().filter(|point| kind(point) == one).collect();
            alike.sort_by(|a, b| a.bits.total_cmp(&b.bits).then(a.error.total_cmp(&b.error)));
            let places: Vec<(i32, i32)> = alike.iter().map(|point| self.place(point)).collect();
            canvas.path(&places, LINES[self.family(alike[0]) % LINES.len()], 1);
        }
        // Numbers that would cover another one move to the next free side.
        let mut taken: Vec<(i32, i32)> = Vec::new();
        for (number, point) in (1..).zip(self.points) {
            let family = self.family(point);
            let (x, y) = self.place(point);
            marker(canvas, (x, y), family, LINES[family % LINES.len()]);
            let sides = [(12, -8), (12, 9), (-12, -8), (-12, 9), (0, -15), (0, 16), (24, 0), (-24, 0)];
            let free = |side: &&(i32, i32)| {
                let at = (x + side.0, y + side.1);
                taken.iter().all(|other| (other.0 - at.0).abs() > 14 || (other.1 - at.1).abs() > 11)
            };
            let side = sides.iter().find(free).unwrap_or(&sides[0]);
            taken.push((x + side.0, y + side.1));
            canvas.text(&number.to_string(), (x + side.0, y + side.1), Anchor::Middle, Font::QUIET);
        }
    }

    fn list(&self, canvas: &mut Canvas<'_>, left: i32, width: i32) {
        let right = left + width;
        canvas.text("bits", (right - 60, TOP - 22), Anchor::Right, Font::STRONG);
        canvas.text("error", (right, TOP - 22), Anchor::Right, Font::STRONG);
        for (index, point) in (0..).zip(self.points) {
            let y = TOP + LINE * index;
            let family = self.family(point);
            marker(canvas, (left + 6, y), family, LINES[family % LINES.len()]);
            canvas.text(&(index + 1).to_string(), (left + 32, y), Anchor::Right, Font::QUIET);
            canvas.text(&cut(&point.label, width - 40 - 116, SMALL), (left + 40, y), Anchor::Left, Font::LABEL);
            canvas.text(&format!("{:.2}", point.bits), (right - 60, y), Anchor::Right, Font::LABEL);
            canvas.text(&percent(point.error), (right, y), Anchor::Right, Font::LABEL);
        }
    }
}

/// Per cent with two significant digits.
fn percent(error: f64) -> String {
    let percent = 100.0 * error;
    if percent < 1e-3 {
        return "0 %".to_owned();
    }
    let digits = (1.0 - percent.log10().floor()).clamp(0.0, 4.0) as usize;
    let text = format!("{percent:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(family: &str, bits: f64, error: f64) -> Point {
        Point { family: family.to_owned(), label: format!("{family}:<{bits}>"), bits, error }
    }

    #[test]
    fn are_all_points_drawn_and_named() {
        let points = [point("int", 4.0, 0.05), point("int", 8.0, 0.002), point("fp16", 16.0, 0.0)];
        let figure = svg("a & b", &points).unwrap();
        assert!(figure.contains("a &amp; b") && figure.contains("int:&lt;4&gt;"));
        assert!(figure.contains("5 %") && figure.contains("0.2 %") && figure.contains("0 %"), "{figure}");
        let chart = Chart::of(&points);
        let places: Vec<(i32, i32)> = points.iter().map(|point| chart.place(point)).collect();
        assert!(places[0].0 < places[1].0 && places[1].0 < places[2].0, "more bits to the right: {places:?}");
        assert!(places[0].1 < places[1].1 && places[1].1 < places[2].1, "less error lower: {places:?}");
        assert_eq!(places[2].1, TOP + PLOT.1, "no error on the frame");
    }

    #[test]
    fn is_a_figure_without_points_or_with_absurd_ones_still_one() {
        assert!(svg("none", &[]).is_ok());
        let absurd = [point("a", f64::NAN, f64::INFINITY), point("b", 0.0, 1e300), point("c", 1e300, f64::NAN)];
        assert!(svg("absurd", &absurd).is_ok());
    }

    #[test]
    fn is_the_axis_round_and_no_longer_than_it_must_be() {
        let ends = |errors: &[f64]| {
            let points: Vec<Point> = errors.iter().map(|error| point("a", 1.0, *error)).collect();
            let (low, high) = Chart::of(&points).ends;
            [low, high].map(|end| (10_f64.powf(end) * 1e6).round() / 1e6)
        };
        assert!(ends(&[0.0065, 1.52, 0.0]).iter().zip([0.002, 2.0]).all(|(a, b)| (a - b).abs() < 1e-9));
        assert!(ends(&[0.02, 0.5]).iter().zip([0.02, 0.5]).all(|(a, b)| (a - b).abs() < 1e-9));
    }

    #[test]
    fn are_errors_written_with_two_digits() {
        let texts = [0.5, 0.0123, 0.002, 1.234, 0.00001, 0.0].map(percent);
        assert_eq!(texts, ["50 %", "1.2 %", "0.2 %", "123 %", "0.001 %", "0 %"]);
    }
}
