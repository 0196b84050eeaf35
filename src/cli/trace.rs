//! `pimscope trace`.

use std::path::PathBuf;

use reports::csv::SpanReader;
use reports::trace_view::{Filter, lines};

use super::{Failure, print, time};

/// Arguments of `pimscope trace`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The directory of a finished run
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Only actors whose name fits this pattern: --actor 'gpu0.*'
    #[arg(long, value_name = "PATTERN")]
    actor: Option<String>,
    /// Only spans whose kind fits this pattern: --kind 'kv-*'
    #[arg(long, value_name = "PATTERN")]
    kind: Option<String>,
    /// Only spans that end at this simulated time or later: --from '1.5 ms'
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// Only spans that start at this simulated time or earlier
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    to: Option<String>,
    /// Only spans on the critical path of a token
    #[arg(long)]
    critical_path: bool,
}

pub(super) fn trace(arguments: &Arguments) -> Result<(), Failure> {
    let (from, to) = (time("--from", arguments.from.as_deref())?, time("--to", arguments.to.as_deref())?);
    if let (Some(from), Some(to)) = (from, to)
        && from > to
    {
        return Err(Failure::Input {
            message: format!("--from {from} is after --to {to}"),
            remedy: Some("--from is the earlier of the two".to_owned()),
        });
    }
    let filter = Filter {
        actor: arguments.actor.clone(),
        kind: arguments.kind.clone(),
        from,
        to,
        critical_path: arguments.critical_path,
    };
    let path = arguments.directory.join("spans.csv");
    if !path.exists() {
        return Err(Failure::Input {
            message: format!("{} has no spans.csv: it is not the output of a run", arguments.directory.display()),
            remedy: Some("run a scenario first: pimscope run scenarios/quickstart.toml".to_owned()),
        });
    }
    let mut unprinted = None;
    let shown = lines(SpanReader::open(&path)?, &filter, &mut |line| {
        print(&format!("{line}\n")).map_err(|failure| {
            unprinted = Some(failure);
            std::io::ErrorKind::Other.into()
        })
    });
    if let Some(failure) = unprinted {
        return Err(failure);
    }
    if shown? == 0 {
        print("no span fits\n")?;
    }
    Ok(())
}
