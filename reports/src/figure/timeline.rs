//! timeline.svg: who did what during the last token.
//!
//! A Gantt chart per system, rows are actors, colours categories, the critical path is outlined and its steps are joined
//! by lines. A token of many spans is shown up to the end of its third layer: the layers repeat.

use sim_core::{Category, Span, Time};

use super::canvas::{Anchor, Canvas, Font, SMALL, cut, draw, few, text_width, tick_label, ticks};
use super::palette::{GRID, INK, PAPER, colour, text_on};
use crate::analyse::{SystemInput, SystemReport};
use crate::critical_path::{Part, Segment};
use crate::error::ReportError;
use crate::lanes::lanes;
use crate::text::actor_name;

/// A token of more spans than this is shown in part.
const WHOLE: usize = 400;
/// Layers shown of such a token.
const LAYERS: usize = 3;
/// Rows of one system; of more actors, those on the critical path and then the busiest are shown.
const ROWS: usize = 24;

const MARGIN: i32 = 20;
/// Room for the names of the actors.
const NAMES: i32 = 190;
const PLOT: i32 = 1100;
const ROW: i32 = 26;
/// Room above the rows of a system for its name and its time axis.
const ABOVE: i32 = 62;
/// Room between systems.
const BETWEEN: i32 = 26;

/// The figure as SVG, of each system's spans and its report.
pub fn svg(systems: &[(&SystemInput, &SystemReport)]) -> Result<String, ReportError> {
    let kernels = SystemReport::are_kernels(systems.iter().map(|(_, report)| *report));
    gantt("timeline.svg", if kernels { "Timeline" } else { "Timeline of the last token" }, systems)
}

/// The same of the prefill, of the systems that have one: prefill-timeline.svg.
pub fn prefill_svg(systems: &[(&SystemInput, &SystemReport)]) -> Result<String, ReportError> {
    let prefills: Vec<(&SystemInput, SystemReport)> =
        systems.iter().filter_map(|(input, report)| Some((*input, report.of_prefill()?))).collect();
    let systems: Vec<(&SystemInput, &SystemReport)> = prefills.iter().map(|(input, report)| (*input, report)).collect();
    gantt("prefill-timeline.svg", "Timeline of the prefill", &systems)
}

fn gantt(file: &'static str, title: &str, systems: &[(&SystemInput, &SystemReport)]) -> Result<String, ReportError> {
    let panels: Vec<Panel<'_>> = systems.iter().map(|(input, report)| Panel::new(input, report)).collect();
    let shown = |category: &Category| panels.iter().any(|panel| panel.shows(*category));
    let categories: Vec<Category> = Category::ALL.into_iter().filter(shown).collect();
    let width = MARGIN + NAMES + PLOT + MARGIN;
    let top = 84;
    let height = top + panels.iter().map(|panel| panel.height() + BETWEEN).sum::<i32>();
    draw(file, (width, height), |canvas| {
        canvas.text(title, (MARGIN, 24), Anchor::Left, Font::TITLE);
        super::partial(canvas, systems.iter().map(|(_, report)| *report), width);
        canvas.legend(&categories, MARGIN, width - 220, 54);
        canvas.rectangle((width - 190, 48), (width - 168, 60), GRID);
        canvas.outline((width - 190, 48), (width - 168, 60), INK, 2);
        canvas.text("on the critical path", (width - 160, 54), Anchor::Left, Font::LABEL);
        let mut y = top;
        for panel in &panels {
            panel.draw(canvas, y);
            y += panel.height() + BETWEEN;
        }
    })
}

/// One actor's row.
struct Row<'a> {
    actor: usize,
    name: String,
    /// By start; each with the part of the row's height that it has for itself.
    spans: Vec<(&'a Span, i32)>,
    /// Into how many parts the height is divided.
    lanes: i32,
}

struct Panel<'a> {
    title: String,
    from: Time,
    to: Time,
    rows: Vec<Row<'a>>,
    path: Vec<Segment>,
    hidden: usize,
}

impl<'a> Panel<'a> {
    fn new(input: &'a SystemInput, report: &SystemReport) -> Self {
        let path = report.critical_path.last().map_or(&[][..], Vec::as_slice);
        let from = path.first().map_or(Time::ZERO, |segment| segment.from);
        let end = path.last().map_or(Time::ZERO, |segment| segment.to);
        let seen = |span: &&Span| span.start < end && span.end > from;
        let spans: Vec<&Span> = input.spans.iter().filter(seen).collect();
        let token = report.tokens;
        let name = match token {
            0 => "prefill".to_owned(),
            _ if report.kernel.is_some() => "the kernel".to_owned(),
            token => format!("token {token}"),
        };
        let (to, what) = if spans.len() <= WHOLE { (end, name) } else { first_layers(&spans, token, &name, end) };
        let nothing = path.is_empty();
        let path: Vec<Segment> = path.iter().filter(|s| s.from < to).copied().collect();
        let mut by_actor: Vec<&Span> = spans.into_iter().filter(|span| span.start < to).collect();
        by_actor.sort_unstable_by_key(|span| (span.id.actor, span.start, span.end, span.id.number));
        let mut rows: Vec<Row<'_>> =
            by_actor.chunk_by(|a, b| a.id.actor == b.id.actor).map(|spans| Row::new(input, spans)).collect();
        let hidden = rows.len().saturating_sub(ROWS);
        if hidden > 0 {
            let critical = |row: &Row<'_>| path.iter().any(|segment| segment.span.actor.index() == row.actor);
            let busy = |row: &Row<'_>| row.spans.iter().map(|(span, _)| span.end - span.start).sum::<Time>();
            rows.sort_by_key(|row| std::cmp::Reverse((critical(row), busy(row))));
            rows.truncate(ROWS);
            rows.sort_by_key(|row| row.actor);
        }
        let what = if nothing { "no token was finished".to_owned() } else { format!("{what}, {}", to - from) };
        Self { title: format!("{}: {what}", report.name), from, to, rows, path, hidden }
    }

    fn height(&self) -> i32 {
        ABOVE + ROW * few(self.rows.len()) + if self.hidden > 0 { 20 } else { 0 }
    }

    fn shows(&self, category: Category) -> bool {
        let mut spans = self.rows.iter().flat_map(|row| &row.spans);
        spans.any(|(span, _)| match category {
            Category::Launch => span.launch > Time::ZERO || span.category == category,
            _ => span.category == category && span.end > span.start + span.launch,
        })
    }

    /// The pixel of a time.
    fn x(&self, time: Time) -> i32 {
        let length = (self.to - self.from).ps().max(1);
        let at = (time.max(self.from).min(self.to) - self.from).ps();
        let pixels = u128::from(at) * u128::from(PLOT.unsigned_abs()) / u128::from(length);
        MARGIN + NAMES + pixels as i32
    }

    fn draw(&self, canvas: &mut Canvas<'_>, top: i32) {
        let title = cut(&self.title, NAMES + PLOT, SMALL + 2);
        canvas.text(&title, (MARGIN, top + 10), Anchor::Left, Font { size: SMALL + 2, ..Font::STRONG });
        let rows = top + ABOVE;
        self.axis(canvas, rows);
        for (i, row) in (0..).zip(&self.rows) {
            let y = rows + ROW * i;
            let name = cut(&row.name, NAMES - 12, SMALL);
            canvas.text(&name, (MARGIN + NAMES - 8, y + ROW / 2), Anchor::Right, Font::LABEL);
            for &(span, lane) in &row.spans {
                self.span(canvas, span, row.lane(y, lane));
            }
        }
        self.outline_path(canvas, rows);
        if self.hidden > 0 {
            let text = format!("{} more actors are not shown", self.hidden);
            let y = rows + ROW * few(self.rows.len()) + 12;
            canvas.text(&text, (MARGIN + NAMES, y), Anchor::Left, Font::QUIET);
        }
    }

    fn axis(&self, canvas: &mut Canvas<'_>, rows: i32) {
        let bottom = rows + ROW * few(self.rows.len());
        let length = (self.to - self.from).ps();
        let (unit, scale) = match length {
            0..=99_999 => ("ps", 1.0),
            100_000..=99_999_999 => ("ns", 1e3),
            100_000_000..=99_999_999_999 => ("us", 1e6),
            _ => ("ms", 1e9),
        };
        let length = length as f64 / scale;
        let (step, count) = ticks(length, 10);
        for tick in 0..=count {
            let at = f64::from(tick) * step;
            if at > length {
                break;
            }
            let x = MARGIN + NAMES + (at / length.max(f64::MIN_POSITIVE) * f64::from(PLOT)) as i32;
            canvas.path(&[(x, rows - 4), (x, bottom)], GRID, 1);
            let label = tick_label(at, step);
            canvas.text(&label, (x, rows - 14), Anchor::Middle, Font::QUIET);
        }
        let right = MARGIN + NAMES - 26;
        canvas.text(&format!("{unit} since the start"), (right + 4, rows - 14), Anchor::Right, Font::QUIET);
        for i in 0..=few(self.rows.len()) {
            let y = rows + ROW * i;
            canvas.path(&[(MARGIN + NAMES, y), (MARGIN + NAMES + PLOT, y)], GRID, 1);
        }
    }

    fn span(&self, canvas: &mut Canvas<'_>, span: &Span, (top, bottom): (i32, i32)) {
        let body = span.start + span.launch;
        let (left, middle, right) = (self.x(span.start), self.x(body), self.x(span.end));
        if span.end == span.start {
            return;
        }
        let fill = colour(span.category);
        // What is shorter than a pixel is drawn as one.
        canvas.rectangle((left, top), (right.max(left + 1), bottom), fill);
        if middle > left {
            canvas.rectangle((left, top), (middle, bottom), colour(Category::Launch));
        }
        if right - left > 3 {
            canvas.path(&[(right, top), (right, bottom)], PAPER, 1);
        }
        if bottom - top >= 14 && text_width(span.kind, SMALL - 1) + 6 <= right - middle {
            let font = Font { size: SMALL - 1, ..Font::LABEL };
            let at = (i32::midpoint(middle, right), i32::midpoint(top, bottom));
            canvas.text(span.kind, at, Anchor::Middle, font.coloured(text_on(fill)));
        }
    }

    /// Outlines what the path takes of each row, and joins one outline with the next.
    fn outline_path(&self, canvas: &mut Canvas<'_>, rows: i32) {
        let mut last: Option<(i32, i32)> = None;
        let shown = |s: &&Segment| s.part != Part::Signal && s.category != Category::Queue;
        let mut boxes: Vec<(Time, Time, (i32, i32))> = Vec::new();
        for segment in self.path.iter().filter(shown) {
            let actor = segment.span.actor.index();
            let Some((i, row)) = (0..).zip(&self.rows).find(|(_, row)| row.actor == actor) else {
                continue;
            };
            let lane = row.spans.iter().find(|(span, _)| span.id == segment.span);
            let edges = row.lane(rows + ROW * i, lane.map_or(0, |&(_, lane)| lane));
            match boxes.last_mut() {
                // Launch and body of a span, and spans right after each other, have one outline.
                Some((_, to, before)) if *to == segment.from && *before == edges => *to = segment.to,
                _ => boxes.push((segment.from, segment.to, edges)),
            }
        }
        for (from, to, (top, bottom)) in boxes {
            let (left, right) = (self.x(from), self.x(to));
            let middle = i32::midpoint(top, bottom);
            if let Some((x, y)) = last.filter(|&(_, y)| y != middle) {
                canvas.path(&[(x, y), (left, if y < middle { top } else { bottom })], INK, 1);
            }
            if right - left >= 8 {
                canvas.outline((left, top), (right, bottom), INK, 2);
            } else {
                // Around what is narrow, so that its colour is still seen.
                canvas.outline((left - 1, top - 1), (right.max(left + 1) + 1, bottom + 1), INK, 1);
            }
            last = Some((right, middle));
        }
    }
}

impl<'a> Row<'a> {
    fn new(input: &SystemInput, spans: &[&'a Span]) -> Self {
        let lanes = lanes(spans.iter().map(|span| (span.start, span.end)));
        // More than this and a part of the row is no longer visible; the rest share the last one.
        let most = few(lanes.iter().max().map_or(1, |last| last + 1).min(5));
        let actor = spans[0].id.actor.index();
        let place = |lane: usize| few(lane).min(most - 1);
        Self {
            actor,
            name: actor_name(&input.actors, actor),
            spans: spans.iter().copied().zip(lanes.into_iter().map(place)).collect(),
            lanes: most,
        }
    }

    /// Top and bottom of a lane of the row at `y`.
    fn lane(&self, y: i32, lane: i32) -> (i32, i32) {
        let height = ROW - 6;
        let top = y + 3 + height * lane / self.lanes;
        (top, y + 3 + height * (lane + 1) / self.lanes)
    }
}

/// Until when a long token is shown, and what that is.
fn first_layers(spans: &[&Span], token: u32, name: &str, end: Time) -> (Time, String) {
    let mut layers: Vec<u32> =
        spans.iter().filter(|span| span.tag.step == token).filter_map(|span| span.tag.layer).collect();
    layers.sort_unstable();
    layers.dedup();
    let all = layers.len();
    layers.truncate(LAYERS);
    let of_layers = |span: &&&Span| span.tag.step == token && span.tag.layer.is_some_and(|l| layers.contains(&l));
    let last = spans.iter().filter(of_layers).map(|span| span.end).max();
    if let Some(last) = last.filter(|&last| last < end && all > LAYERS) {
        return (last, format!("{name}, the first {LAYERS} of {all} layers"));
    }
    let mut starts: Vec<Time> = spans.iter().map(|span| span.start).collect();
    starts.sort_unstable();
    let to = starts.get(WHOLE).copied().unwrap_or(end).min(end);
    (to, format!("{name}, its first {WHOLE} spans of {}", spans.len()))
}
