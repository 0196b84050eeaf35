//! One line on a terminal that says how far a long run is, and goes away at its end.
//!
//! A few lines of our own: a bar of `indicatif` draws from a thread and would have to be stopped before a second Ctrl-C
//! may end the process.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sim_core::Time;

use crate::control::Standing;

/// Runs that are shorter have no line.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two lines.
const PERIOD: Duration = Duration::from_millis(100);

/// Whether a line stands on the terminal. One for the process, because a signal erases it too.
static SHOWN: AtomicBool = AtomicBool::new(false);

/// Takes the line away, if there is one.
pub(super) fn erase() {
    if SHOWN.swap(false, Ordering::Relaxed) {
        put("\r\x1b[K");
    }
}

fn put(text: &str) {
    // In one piece, so that nothing else comes in between. A terminal that is gone is no reason to stop.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// The line of one scenario's run.
#[derive(Debug)]
pub(super) struct Line {
    wanted: bool,
    /// State: the how manieth system, and when it began.
    system: (usize, Duration),
    /// State: when the line was last written.
    last: Duration,
    /// State: of a sweep, how many points were there at the beginning, and when that was.
    first: Option<(usize, Duration)>,
}

impl Line {
    /// Where nobody looks (a pipe, a file), and where a log goes to the same place, there is no line.
    pub(super) fn new(wanted: bool) -> Self {
        let terminal = std::io::stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        let log = std::env::var_os("RUST_LOG").is_some();
        Self { wanted: wanted && terminal && !log, system: (0, Duration::ZERO), last: Duration::ZERO, first: None }
    }

    /// Writes the line over the one before, `elapsed` after the run began.
    pub(super) fn show(&mut self, standing: &Standing<'_>, elapsed: Duration) {
        if standing.place.0 != self.system.0 {
            self.system = (standing.place.0, elapsed);
        }
        if self.wanted && elapsed >= PATIENCE && elapsed.saturating_sub(self.last) >= PERIOD {
            self.last = elapsed;
            let text = line(standing, elapsed.saturating_sub(self.system.1));
            SHOWN.store(true, Ordering::Relaxed);
            // Without line wrap meanwhile: a narrow terminal cuts the line off, and erasing it erases it all.
            put(&format!("\r\x1b[?7l{text}\x1b[K\x1b[?7h"));
        }
    }
}

impl Line {
    /// The same of a sweep: how many points are there, of how many.
    pub(super) fn points(&mut self, done: usize, all: usize, elapsed: Duration) {
        if done == 0 || self.first.is_none() {
            self.first = Some((done, elapsed));
        }
        if self.wanted && elapsed >= PATIENCE && elapsed.saturating_sub(self.last) >= PERIOD {
            self.last = elapsed;
            let (first, begun) = self.first.unwrap_or_default();
            SHOWN.store(true, Ordering::Relaxed);
            put(&format!("\r\x1b[?7l{}\x1b[K\x1b[?7h", bar(done, all, done - first, elapsed.saturating_sub(begun))));
        }
    }
}

/// The line of a sweep of which `fresh` points were run in `elapsed`.
fn bar(done: usize, all: usize, fresh: usize, elapsed: Duration) -> String {
    const CELLS: usize = 30;
    let filled = done * CELLS / all.max(1);
    let mut text = format!("[{}{}] {done} of {all} points", "#".repeat(filled), ".".repeat(CELLS - filled));
    if fresh > 0 {
        let left = elapsed.as_secs_f64() * (all - done) as f64 / fresh as f64;
        let _ = write!(text, "  {} left", words(left.round() as u64));
    }
    text
}

/// The line of a system that has been running for `elapsed`.
fn line(standing: &Standing<'_>, elapsed: Duration) -> String {
    let Standing { system, point, place: (place, all), tasks, progress } = standing;
    let name = reports::text::printable(&format!("{system} {point}"));
    let short: String = name.trim_end().chars().take(40).collect();
    let mut text = format!("{short} ({place} of {all})  {}", progress.now);
    let share = progress.spans as f64 / (*tasks).max(1) as f64;
    let _ = write!(text, "  {:.1} %", 100.0 * share);
    let seconds = elapsed.as_secs_f64();
    if seconds > 0.0 && progress.now > Time::ZERO {
        let _ = write!(text, "  {:.1} M events/s", progress.events as f64 / seconds / 1e6);
        if share > 0.0 {
            let left = seconds * (1.0 - share).max(0.0) / share;
            let _ = write!(text, "  {} left", words(left.round() as u64));
        }
    }
    text
}

/// Seconds as a person says them.
fn words(seconds: u64) -> String {
    match seconds {
        0..=59 => format!("{seconds} s"),
        60..=3_599 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3_600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::Progress;

    #[track_caller]
    fn check(point: &str, spans: u64, seconds: u64, expected: &str) {
        let progress = Progress { now: Time::from_us(1_500), events: 30_000_000, spans };
        let standing = Standing { system: "gpu\u{1b}", point, place: (2, 4), tasks: 200, progress };
        assert_eq!(line(&standing, Duration::from_secs(seconds)), expected);
    }

    #[test]
    fn the_line_says_who_where_how_far_how_fast_and_how_long() {
        let start = "gpu\u{fffd} (2 of 4)  1.500 ms  ";
        check("", 50, 3, &format!("{start}25.0 %  10.0 M events/s  9 s left"));
        check("", 0, 3, &format!("{start}0.0 %  10.0 M events/s"));
        check("", 200, 3, &format!("{start}100.0 %  10.0 M events/s  0 s left"));
        check("", 1, 30, &format!("{start}0.5 %  1.0 M events/s  1 h 39 min left"));
        let point = "gpu\u{fffd} workload.context=4096 (2 of 4)  1.500 ms  50.0 %  0.5 M events/s  1 min 00 s left";
        check("workload.context=4096", 100, 60, point);
    }

    #[test]
    fn a_sweep_says_how_many_points_are_there() {
        let sixty = Duration::from_mins(1);
        assert_eq!(bar(0, 40, 0, sixty), "[..............................] 0 of 40 points");
        // Ten were there already.
        assert_eq!(bar(20, 40, 10, sixty), "[###############...............] 20 of 40 points  2 min 00 s left");
        assert_eq!(bar(40, 40, 40, sixty), "[##############################] 40 of 40 points  0 s left");
    }
}
