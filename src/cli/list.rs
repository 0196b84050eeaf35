//! `pimscope list`.

use super::{Failure, print};
use crate::catalogue;

/// Arguments of `pimscope list`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// gpus, cpus, links, pim, models, scenarios or codecs
    #[arg(value_name = "LIST")]
    list: String,
    /// One entry of the list, with every figure and its source
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

pub(super) fn list(arguments: &Arguments) -> Result<(), Failure> {
    let text = match &arguments.name {
        Some(name) => catalogue::list_entry(&arguments.list, name),
        None => catalogue::list(&arguments.list),
    };
    let text = text.map_err(|error| Failure::Input { message: error.to_string(), remedy: None })?;
    print(&text)
}
