//! Drawing in pixels: rectangles, lines, text, and what all figures share.

use plotters::backend::{DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontFamily, FontStyle, RGBColor, ShapeStyle, TextStyle};
use sim_core::Category;

use super::palette::{INK, MUTED, PAPER, Rgb, colour};
use crate::error::ReportError;
use crate::text::printable;

/// Font size of labels in pixels.
pub(crate) const SMALL: i32 = 12;
/// Font size of titles in pixels.
pub(crate) const LARGE: i32 = 16;

/// Where text stands relative to its point.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Anchor {
    Left,
    Middle,
    Right,
}

/// How text looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Font {
    pub(crate) size: i32,
    pub(crate) bold: bool,
    pub(crate) colour: Rgb,
}

impl Font {
    pub(crate) const LABEL: Self = Self { size: SMALL, bold: false, colour: INK };
    pub(crate) const QUIET: Self = Self { colour: MUTED, ..Self::LABEL };
    pub(crate) const STRONG: Self = Self { bold: true, ..Self::LABEL };
    pub(crate) const TITLE: Self = Self { size: LARGE, ..Self::STRONG };

    pub(crate) fn coloured(self, colour: Rgb) -> Self {
        Self { colour, ..self }
    }
}

/// A drawing in the making. The first failure is kept and the rest is not drawn.
pub(crate) struct Canvas<'a> {
    backend: SVGBackend<'a>,
    failure: Option<String>,
}

/// Draws a figure of a size in pixels.
pub(crate) fn draw(
    figure: &'static str,
    (width, height): (i32, i32),
    paint: impl FnOnce(&mut Canvas<'_>),
) -> Result<String, ReportError> {
    let mut svg = String::new();
    let failure = {
        let size = (width.max(1).unsigned_abs(), height.max(1).unsigned_abs());
        let mut canvas = Canvas { backend: SVGBackend::with_string(&mut svg, size), failure: None };
        canvas.rectangle((0, 0), (width, height), PAPER);
        paint(&mut canvas);
        let presented = canvas.backend.present().err().map(|e| e.to_string());
        canvas.failure.or(presented)
    };
    match failure {
        Some(what) => Err(ReportError::Figure { figure, what }),
        None => Ok(svg),
    }
}

impl Canvas<'_> {
    fn note<E: std::fmt::Display>(&mut self, result: Result<(), E>) {
        if let Err(error) = result {
            self.failure.get_or_insert(error.to_string());
        }
    }

    /// A filled rectangle.
    pub(crate) fn rectangle(&mut self, from: (i32, i32), to: (i32, i32), fill: Rgb) {
        let result = self.backend.draw_rect(from, to, &style(fill, 1), true);
        self.note(result);
    }

    /// The outline of a rectangle.
    pub(crate) fn outline(&mut self, (left, top): (i32, i32), (right, bottom): (i32, i32), colour: Rgb, width: u32) {
        let corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
        self.path(&corners, colour, width);
    }

    /// A line through points.
    pub(crate) fn path(&mut self, points: &[(i32, i32)], colour: Rgb, width: u32) {
        let result = self.backend.draw_path(points.iter().copied(), &style(colour, width));
        self.note(result);
    }

    /// A filled shape.
    pub(crate) fn polygon(&mut self, points: &[(i32, i32)], fill: Rgb) {
        let result = self.backend.fill_polygon(points.iter().copied(), &style(fill, 1));
        self.note(result);
    }

    /// A filled circle.
    pub(crate) fn circle(&mut self, centre: (i32, i32), radius: u32, fill: Rgb) {
        let result = self.backend.draw_circle(centre, radius, &style(fill, 1), true);
        self.note(result);
    }

    /// One line of text, vertically centred on its point.
    pub(crate) fn text(&mut self, text: &str, at: (i32, i32), anchor: Anchor, font: Font) {
        let horizontal = match anchor {
            Anchor::Left => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::Right => HPos::Right,
        };
        let weight = if font.bold { FontStyle::Bold } else { FontStyle::Normal };
        // The backend divides the size by 1.24.
        let description = (FontFamily::SansSerif, f64::from(font.size) * 1.24, weight);
        let (red, green, blue) = font.colour;
        let colour = RGBColor(red, green, blue);
        let style = TextStyle::from(description).color(&colour).pos(Pos::new(horizontal, VPos::Center));
        let result = self.backend.draw_text(&printable(text), &style, at);
        self.note(result);
    }

    /// The colours of the categories from `left` to `right`, in as many lines as it takes; returns the bottom.
    pub(crate) fn legend(&mut self, categories: &[Category], left: i32, right: i32, top: i32) -> i32 {
        let (mut x, mut y) = (left, top);
        for &category in categories {
            let width = 18 + text_width(category.key(), SMALL) + 18;
            if x > left && x + width > right {
                (x, y) = (left, y + 20);
            }
            self.rectangle((x, y - 6), (x + 12, y + 6), colour(category));
            self.text(category.key(), (x + 18, y), Anchor::Left, Font::LABEL);
            x += width;
        }
        y + 10
    }
}

fn style((red, green, blue): Rgb, width: u32) -> ShapeStyle {
    let colour = RGBColor(red, green, blue);
    ShapeStyle { color: colour.to_rgba(), filled: true, stroke_width: width }
}

/// A number of rows or lines, to be multiplied by pixels; more than ten thousand of them would not be a figure.
pub(crate) fn few(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX).min(10_000)
}

/// About how wide text is, in pixels. No font is at hand; this is the mean of common sans-serif faces, rounded up, and
/// wide for scripts whose characters fill a square.
pub(crate) fn text_width(text: &str, size: i32) -> i32 {
    let hundredths = |c: char| match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | '|' | '\'' => 32,
        'm' | 'w' | 'M' | 'W' | '@' | '%' => 92,
        'A'..='Z' => 70,
        '\u{1100}'.. => 100,
        _ => 60,
    };
    text.chars().map(hundredths).sum::<i32>() * size / 100
}

/// Text cut to a width in pixels, with an ellipsis where something is missing.
pub(crate) fn cut(text: &str, width: i32, size: i32) -> String {
    let mut text = printable(text);
    if text_width(&text, size) <= width {
        return text;
    }
    while !text.is_empty() && text_width(&text, size) + text_width("…", size) > width {
        text.pop();
    }
    format!("{}…", text.trim_end())
}

/// Text in at most `lines` lines of a width in pixels, broken after blanks and hyphens where that is possible.
pub(crate) fn wrapped(text: &str, width: i32, size: i32, lines: usize) -> Vec<String> {
    let text = printable(text);
    let mut out: Vec<String> = Vec::new();
    let mut line = String::new();
    let mut words: Vec<&str> = text.split_inclusive([' ', '-', '_', '/', ',', '+']).collect();
    words.reverse();
    while let Some(word) = words.pop() {
        let longer = format!("{line}{word}");
        if line.is_empty() || text_width(longer.trim_end(), size) <= width {
            line = longer;
            continue;
        }
        if out.len() + 1 == lines {
            // No room for another line: the rest goes on this one and is cut off.
            line.push_str(word);
            words.reverse();
            line.push_str(&words.concat());
            break;
        }
        out.push(std::mem::replace(&mut line, word.to_owned()));
    }
    out.push(line);
    out.iter().map(|line| cut(line.trim_end(), width, size)).collect()
}

/// Round steps of an axis from 0 to at least `most`, about `count` of them: the step, and how many.
pub(crate) fn ticks(most: f64, count: i32) -> (f64, i32) {
    if most <= 0.0 || !most.is_finite() {
        return (1.0, 1);
    }
    let raw = most / f64::from(count.max(1));
    let power = 10_f64.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 2.5, 5.0].into_iter().find(|f| f * power >= raw * 0.999_999);
    let step = factor.unwrap_or(10.0) * power;
    (step, (most / step - 1e-9).ceil().max(1.0) as i32)
}

/// The number of a tick without superfluous digits.
pub(crate) fn tick_label(value: f64, step: f64) -> String {
    let mut digits = (-step.log10().floor()).clamp(0.0, 12.0) as i32;
    // 2.5, 0.25: one digit more than the power of ten says.
    if (step * 10_f64.powi(digits)).fract().abs() > 1e-6 {
        digits += 1;
    }
    format!("{value:.0$}", digits as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(most: f64, expected: &[&str]) {
        let (step, count) = ticks(most, 5);
        let labels: Vec<String> = (0..=count).map(|i| tick_label(f64::from(i) * step, step)).collect();
        assert_eq!(labels, expected);
    }

    #[test]
    fn are_the_ticks_round_and_do_they_reach_the_top() {
        check(9.3, &["0", "2", "4", "6", "8", "10"]);
        check(0.012, &["0.0000", "0.0025", "0.0050", "0.0075", "0.0100", "0.0125"]);
        check(500.0, &["0", "100", "200", "300", "400", "500"]);
        check(1.2, &["0.00", "0.25", "0.50", "0.75", "1.00", "1.25"]);
        check(0.0, &["0", "1"]);
    }

    #[test]
    fn is_a_long_name_broken_and_cut() {
        assert_eq!(wrapped("gpu-offload", 60, 12, 2), ["gpu-", "offload"]);
        let lines = wrapped("a very long name of a system that nobody would read", 80, 12, 2);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].ends_with('…'), "{lines:?}");
        assert_eq!(wrapped("", 80, 12, 2), [""]);
    }
}
