//! Numbered points: an error on a logarithmic axis against something that is paid for it.
//!
//! Points of one family have one marker, and those that are of one kind are joined from left to right. The list beside
//! the plot says what the numbers are.

use super::canvas::{Anchor, Canvas, Font, SMALL, cut, draw, few, text_width, tick_label, ticks};
use super::lines::marker;
use super::palette::{GRID, INK, LINES, PAPER};
use crate::error::ReportError;

/// A point.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Dot {
    /// Points of one family have one marker.
    pub(super) family: String,
    /// Points of one kind are joined; of one family.
    pub(super) kind: Vec<String>,
    /// What stands in the list.
    pub(super) label: String,
    /// What is paid, on the horizontal axis.
    pub(super) across: f64,
    /// The relative error.
    pub(super) error: f64,
    /// The area of a disc behind the marker, relative to the largest one; 0 for none.
    pub(super) area: f64,
    /// What stands behind the label, a text under each of [`Scatter::heads`].
    pub(super) columns: Vec<String>,
}

/// What is drawn.
#[derive(Clone, Debug)]
pub(super) struct Scatter<'a> {
    /// The file's name, for messages.
    pub(super) file: &'static str,
    /// Above the figure.
    pub(super) title: &'a str,
    /// Under the horizontal axis.
    pub(super) across: &'a str,
    /// Above the columns of the list, the error's last.
    pub(super) heads: &'a [&'a str],
    /// The points.
    pub(super) dots: &'a [Dot],
    /// A line under the figure; empty for none.
    pub(super) foot: &'a str,
}

const MARGIN: i32 = 20;
const AXIS: i32 = 64;
const PLOT: (i32, i32) = (620, 460);
const TOP: i32 = 72;
/// A line of the list.
const LINE: i32 = 18;
/// The widest list.
const LIST: i32 = 560;

/// Between the right edges of two columns of the list.
const COLUMN: i32 = 60;
/// The radius of the largest disc.
const DISC: f64 = 26.0;

impl Scatter<'_> {
    /// The figure as SVG.
    pub(super) fn svg(&self) -> Result<String, ReportError> {
        let chart = Chart::of(self.dots);
        let list = self.dots.iter().map(|dot| text_width(&dot.label, SMALL)).max().unwrap_or(0);
        let columns = COLUMN * few(self.heads.len());
        let list = (list + columns + 50).clamp(120 + columns, LIST + columns - 2 * COLUMN);
        let width = MARGIN + AXIS + PLOT.0 + MARGIN + list + MARGIN;
        let foot = if self.foot.is_empty() { 0 } else { LINE };
        let height = (TOP + PLOT.1 + 60 + foot).max(TOP + LINE * (few(self.dots.len()) + 2) + 16 + foot);
        draw(self.file, (width, height), |canvas| {
            canvas.text(&cut(self.title, width - 2 * MARGIN, 16), (MARGIN, 24), Anchor::Left, Font::TITLE);
            chart.axes(canvas, self.across);
            chart.draw(canvas);
            chart.list(canvas, self.heads, MARGIN + AXIS + PLOT.0 + MARGIN, list);
            canvas.text(&cut(self.foot, width - 2 * MARGIN, SMALL), (MARGIN, height - 14), Anchor::Left, Font::QUIET);
        })
    }
}

struct Chart<'a> {
    points: &'a [Dot],
    families: Vec<&'a str>,
    /// The ends of the vertical axis: the powers of ten of two round errors.
    ends: (f64, f64),
    /// The part of the vertical axis below its lower end, for what has no error; 0 where all have one.
    below: f64,
    /// The step of the horizontal axis, and how many.
    across: (f64, i32),
}

/// What stands on the vertical axis of each power of ten.
const DIGITS: [f64; 3] = [1.0, 2.0, 5.0];

/// The largest 1, 2 or 5 times a power of ten that is not above a number.
fn round_below(number: f64) -> f64 {
    let power = 10_f64.powf(number.log10().floor());
    DIGITS.into_iter().rev().map(|digit| digit * power).find(|round| *round <= number * 1.000_001).unwrap_or(power)
}

/// What joined points have in common.
fn kind(point: &Dot) -> (&str, &[String]) {
    (&point.family, &point.kind)
}

/// Errors from here on stand on the vertical axis; smaller ones (FP16 stores what is FP16 already) on the frame, apart from it.
const LEAST: f64 = 1e-5;
/// How far apart, as a part of the axis.
const BREAK: f64 = 0.08;

impl<'a> Chart<'a> {
    fn of(points: &'a [Dot]) -> Self {
        let mut families: Vec<&str> = Vec::new();
        for point in points {
            if !families.contains(&point.family.as_str()) {
                families.push(&point.family);
            }
        }
        let errors = || points.iter().map(|point| point.error).filter(|error| *error >= LEAST && error.is_finite());
        let (least, most) = (errors().fold(1.0, f64::min), errors().fold(LEAST, f64::max));
        let below = if points.iter().any(|point| point.error < LEAST) { BREAK } else { 0.0 };
        let (low, high) = (round_below(least).log10(), -round_below(1.0 / most).log10());
        let high = high.max(low + 0.5);
        let across = points.iter().map(|point| point.across).filter(|across| across.is_finite());
        let across = across.fold(0.0, f64::max);
        Self { points, families, ends: (low, high), below, across: ticks(if across > 0.0 { across } else { 1.0 }, 8) }
    }

    fn left() -> i32 {
        MARGIN + AXIS
    }

    fn place(&self, point: &Dot) -> (i32, i32) {
        let across = (point.across / (self.across.0 * f64::from(self.across.1))).clamp(0.0, 1.0);
        let up = if point.error < LEAST { 0.0 } else { self.up(point.error) };
        let pixels = |part: f64, all: i32| (part * f64::from(all)).round() as i32;
        (Self::left() + pixels(across, PLOT.0), TOP + PLOT.1 - pixels(up.clamp(0.0, 1.0), PLOT.1))
    }

    /// How far up an error is, from 0 to 1.
    fn up(&self, error: f64) -> f64 {
        let (low, high) = self.ends;
        self.below + (1.0 - self.below) * (error.log10() - low) / (high - low)
    }

    fn axes(&self, canvas: &mut Canvas<'_>, across: &str) {
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
                if !(self.below - 1e-9..=1.0 + 1e-9).contains(&up) {
                    continue;
                }
                let y = bottom - (up * f64::from(PLOT.1)).round() as i32;
                canvas.path(&[(left, y), (left + PLOT.0, y)], GRID, 1);
                canvas.text(&percent(error), (left - 6, y), Anchor::Right, Font::QUIET);
            }
        }
        if self.below > 0.0 {
            // A logarithmic axis has no zero: it stands below a break.
            canvas.text("0 %", (left - 6, bottom), Anchor::Right, Font::QUIET);
            let middle = bottom - (self.below / 2.0 * f64::from(PLOT.1)).round() as i32;
            for y in [middle - 3, middle + 3] {
                canvas.path(&[(left - 8, y + 4), (left + 8, y - 4)], INK, 1);
            }
        }
        for tick in 0..=self.across.1 {
            let x = left + PLOT.0 * tick / self.across.1;
            canvas.path(&[(x, bottom), (x, bottom + 5)], INK, 1);
            let label = tick_label(f64::from(tick) * self.across.0, self.across.0);
            canvas.text(&label, (x, bottom + 16), Anchor::Middle, Font::QUIET);
        }
        canvas.path(&[(left, bottom), (left + PLOT.0, bottom)], INK, 1);
        let middle = left + PLOT.0 / 2;
        canvas.text(across, (middle, bottom + 38), Anchor::Middle, Font::LABEL);
    }

    fn family(&self, point: &Dot) -> usize {
        self.families.iter().position(|family| *family == point.family).unwrap_or_default()
    }

    fn draw(&self, canvas: &mut Canvas<'_>) {
        let largest = self.points.iter().map(|point| point.area).filter(|area| area.is_finite()).fold(0.0, f64::max);
        // The largest first, so that none is hidden.
        let mut discs: Vec<&Dot> = self.points.iter().filter(|point| point.area > 0.0).collect();
        discs.sort_by(|a, b| b.area.total_cmp(&a.area));
        for point in discs {
            let radius = (DISC * (point.area / largest).min(1.0).sqrt()).round() as u32;
            canvas.circle(self.place(point), radius, GRID);
        }
        let mut kinds: Vec<_> = self.points.iter().map(kind).collect();
        kinds.sort();
        kinds.dedup();
        for one in kinds {
            let mut alike: Vec<&Dot> = self.points.iter().filter(|point| kind(point) == one).collect();
            alike.sort_by(|a, b| a.across.total_cmp(&b.across).then(a.error.total_cmp(&b.error)));
            let places: Vec<(i32, i32)> = alike.iter().map(|point| self.place(point)).collect();
            canvas.path(&places, LINES[self.family(alike[0]) % LINES.len()], 1);
        }
        // Numbers that would cover another one move to the next free side.
        let mut taken: Vec<(i32, i32)> = Vec::new();
        for (number, point) in (1..).zip(self.points) {
            let family = self.family(point);
            let (x, y) = self.place(point);
            marker(canvas, (x, y), family, LINES[family % LINES.len()]);
            if point.error < LEAST {
                // Hollow: its place is not one of the axis.
                canvas.circle((x, y), 2, PAPER);
            }
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

    fn list(&self, canvas: &mut Canvas<'_>, heads: &[&str], left: i32, width: i32) {
        let right = left + width;
        // The right edge of a column, counted from the last.
        let edge = |column: usize| right - COLUMN * few(heads.len() - 1 - column);
        for (column, head) in heads.iter().enumerate() {
            canvas.text(head, (edge(column), TOP - 22), Anchor::Right, Font::STRONG);
        }
        let room = width - 40 - COLUMN * few(heads.len());
        for (index, point) in (0..).zip(self.points) {
            let y = TOP + LINE * index;
            let family = self.family(point);
            marker(canvas, (left + 6, y), family, LINES[family % LINES.len()]);
            canvas.text(&(index + 1).to_string(), (left + 32, y), Anchor::Right, Font::QUIET);
            canvas.text(&cut(&point.label, room, SMALL), (left + 40, y), Anchor::Left, Font::LABEL);
            for (column, text) in point.columns.iter().enumerate().take(heads.len()) {
                canvas.text(text, (edge(column), y), Anchor::Right, Font::LABEL);
            }
        }
    }
}

/// Per cent with two significant digits.
pub(super) fn percent(error: f64) -> String {
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

    fn dot(across: f64, error: f64) -> Dot {
        let columns = vec![percent(error)];
        Dot { family: "a".to_owned(), kind: Vec::new(), label: "a".to_owned(), across, error, area: 0.0, columns }
    }

    fn svg(dots: &[Dot]) -> String {
        let scatter = Scatter { file: "x.svg", title: "t", across: "x", heads: &["error"], dots, foot: "" };
        scatter.svg().unwrap()
    }

    #[test]
    fn is_a_figure_without_points_or_with_absurd_ones_still_one() {
        assert!(svg(&[]).contains("</svg>"));
        let absurd = [dot(f64::NAN, f64::INFINITY), dot(0.0, 1e300), dot(1e300, f64::NAN)];
        let absurd = absurd.map(|dot| Dot { area: f64::INFINITY, ..dot });
        assert!(svg(&absurd).contains("</svg>"));
    }

    #[test]
    fn are_points_placed_by_both_axes() {
        let dots = [dot(4.0, 0.05), dot(8.0, 0.002), dot(16.0, 0.0)];
        let chart = Chart::of(&dots);
        let places = dots.clone().map(|dot| chart.place(&dot));
        assert!(places[0].0 < places[1].0 && places[1].0 < places[2].0, "more to the right: {places:?}");
        assert!(places[0].1 < places[1].1 && places[1].1 < places[2].1, "less error lower: {places:?}");
        assert_eq!(places[2].1, TOP + PLOT.1, "no error on the frame");
        // The least error that there is stands clear of it, and so do the lowest line and its label.
        assert!(places[1].1 <= TOP + PLOT.1 - 30, "{places:?}");
        let (with, without) = (svg(&dots), svg(&dots[..2]));
        let hollow = |svg: &str| svg.matches("r=\"2\"").count();
        assert_eq!((hollow(&with), hollow(&without)), (1, 0));
        // In the list and on the axis.
        let zeros = |svg: &str| svg.lines().filter(|line| line.trim() == "0 %").count();
        assert_eq!((zeros(&with), zeros(&without)), (2, 0), "{with}");
    }

    #[test]
    fn is_the_axis_round_and_no_longer_than_it_must_be() {
        let ends = |errors: &[f64]| {
            let dots: Vec<Dot> = errors.iter().map(|error| dot(1.0, *error)).collect();
            let (low, high) = Chart::of(&dots).ends;
            [low, high].map(|end| (10_f64.powf(end) * 1e6).round() / 1e6)
        };
        assert!(ends(&[0.0065, 1.52, 0.0]).iter().zip([0.005, 2.0]).all(|(a, b)| (a - b).abs() < 1e-9));
        assert!(ends(&[0.02, 0.5]).iter().zip([0.02, 0.5]).all(|(a, b)| (a - b).abs() < 1e-9));
    }

    #[test]
    fn are_errors_written_with_two_digits() {
        let texts = [0.5, 0.0123, 0.002, 1.234, 0.00001, 0.0].map(percent);
        assert_eq!(texts, ["50 %", "1.2 %", "0.2 %", "123 %", "0.001 %", "0 %"]);
    }
}
