//! `pimscope quantize`.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::{Failure, INTERRUPTED, print};
use crate::output::{self, Output};
use crate::quantize::{self, Plan, QuantizeError, Report};

/// Arguments of `pimscope quantize`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Keys, values and queries of a model: tensors k, v, q_L, acc_L, layer_head (docs/CODECS.md)
    #[arg(value_name = "SAFETENSORS")]
    file: PathBuf,
    /// A codec with its parameters, such as pq:m=32,k=256,iterations=4; may be given again [default: all]
    #[arg(long = "codec", value_name = "CODEC")]
    codecs: Vec<String>,
    /// Only these layers: 0,3,5-9
    #[arg(long, value_name = "LIST")]
    layers: Option<String>,
    /// Tokens that are stored [default: the longest multiple of 128 before the queries]
    #[arg(long, value_name = "N")]
    context: Option<usize>,
    /// Of these the last N are generated: appended one by one after a prompt of the others
    #[arg(long, value_name = "N", default_value_t = 0)]
    generated: usize,
    /// Where to write errors.csv, summary.json and error-bits.svg [default: out/FILE]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print nothing but errors
    #[arg(short, long)]
    quiet: bool,
}

impl From<QuantizeError> for Failure {
    fn from(error: QuantizeError) -> Self {
        Self::Input { remedy: Some(error.remedy()), message: error.to_string() }
    }
}

/// Measures the codecs and writes what was found.
pub(super) fn quantize(arguments: &Arguments) -> Result<(), Failure> {
    let directory = arguments.out.clone().unwrap_or_else(|| {
        Path::new("out").join(arguments.file.file_stem().map_or_else(|| "quantize".into(), PathBuf::from))
    });
    let plan = Plan::new(
        &arguments.file,
        &arguments.codecs,
        arguments.layers.as_deref(),
        arguments.context,
        arguments.generated,
    )?;
    let mut output = Output::prepare(&directory).map_err(|error| Failure::Input {
        message: format!("cannot write to {}: {error}", directory.display()),
        remedy: Some("name another directory with --out DIR".to_owned()),
    })?;
    let bar = Bar::new(!arguments.quiet);
    let heard = ctrlc::set_handler(move || {
        Bar::erase();
        output::abandon(i32::from(INTERRUPTED));
    });
    if let Err(error) = heard {
        tracing::warn!(%error, "Ctrl-C ends the process at once: no handler could be set");
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let measured = plan.measure(threads, &|done, all| bar.show(done, all));
    Bar::erase();
    let report = measured?;
    write(&mut output, &report)?;
    output.commit(&[])?;
    if arguments.quiet {
        return Ok(());
    }
    print(&quantize::table(&report))?;
    print(&format!("\nThe error of every head is in {}.\n", directory.join("errors.csv").display()))
}

fn write(output: &mut Output, report: &Report) -> Result<(), Failure> {
    output.write_text("errors.csv", &quantize::csv(report))?;
    let summary = serde_json::to_string_pretty(&quantize::json(report)).unwrap_or_default();
    output.write_text("summary.json", &format!("{summary}\n"))?;
    output.write_text("error-bits.svg", &quantize::figure(report)?)?;
    Ok(())
}

/// One line on a terminal that says how far the work is.
#[derive(Debug)]
struct Bar {
    wanted: bool,
    begun: Instant,
    last: Mutex<Duration>,
}

/// Characters of the bar.
const WIDTH: usize = 30;
/// Shorter work has no bar; between two lines.
const PATIENCE: Duration = Duration::from_millis(500);
const PERIOD: Duration = Duration::from_millis(100);

/// Whether a bar stands on the terminal.
static SHOWN: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

impl Bar {
    fn new(wanted: bool) -> Self {
        let terminal = std::io::stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb");
        let log = std::env::var_os("RUST_LOG").is_some();
        #[expect(
            clippy::disallowed_methods,
            reason = "wall time says how long the work will take and reaches no result"
        )]
        let begun = Instant::now();
        Self { wanted: wanted && terminal && !log, begun, last: Mutex::new(Duration::ZERO) }
    }

    /// Threads share the bar; whoever finds it busy goes on without.
    fn show(&self, done: usize, all: usize) {
        let elapsed = self.begun.elapsed();
        let Ok(mut last) = self.last.try_lock() else { return };
        if !self.wanted || elapsed < PATIENCE || elapsed.saturating_sub(*last) < PERIOD {
            return;
        }
        *last = elapsed;
        SHOWN.store(true, std::sync::atomic::Ordering::Relaxed);
        // Without line wrap meanwhile: a narrow terminal cuts the line off, and erasing it erases it all.
        let _ = std::io::stderr()
            .lock()
            .write_all(format!("\r\x1b[?7l{}\x1b[K\x1b[?7h", bar(done, all, elapsed)).as_bytes());
    }

    fn erase() {
        if SHOWN.swap(false, std::sync::atomic::Ordering::Relaxed) {
            let _ = std::io::stderr().lock().write_all(b"\r\x1b[K");
        }
    }
}

/// The bar's text.
fn bar(done: usize, all: usize, elapsed: Duration) -> String {
    let all = all.max(1);
    let full = (WIDTH * done / all).min(WIDTH);
    let mut text = format!("[{}{}] {done} of {all}", "#".repeat(full), "-".repeat(WIDTH - full));
    if done > 0 {
        let left = elapsed.as_secs_f64() * all.saturating_sub(done) as f64 / done as f64;
        let _ = write!(text, "  {left:.0} s left");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_says_how_far_and_how_long() {
        let ten = Duration::from_secs(10);
        assert_eq!(bar(0, 4, ten), "[------------------------------] 0 of 4");
        assert_eq!(bar(1, 4, ten), "[#######-----------------------] 1 of 4  30 s left");
        assert_eq!(bar(4, 4, ten), "[##############################] 4 of 4  0 s left");
    }
}
