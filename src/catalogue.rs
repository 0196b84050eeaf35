//! The catalogue: GPUs, CPUs, links and PIM devices as data, every figure with its unit, its kind and its source.
//!
//! The files of `catalog/` are part of the program, so that the binary stands alone. A figure that nobody has measured
//! or published says so (`assumption`, `unverified`), and `pimscope list` shows it. A scenario overrides figures key by
//! key; the overridden copy of an [`Entry`] is what the simulator reads.
//!
//! ```
//! use pimscope::catalogue::{Catalogue, Kind};
//! use sim_core::Rate;
//!
//! let gpu = Catalogue::embedded().find(Kind::Gpu, "h100")?;
//! assert_eq!(gpu.name, "H100-SXM-80GB");
//! assert_eq!(gpu.bandwidth("mem_bw_peak")?, Rate(3_350_000_000_000));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::sync::OnceLock;

pub use crate::catalogue::entry::{Assumption, Entry, Figure, FigureError, FigureKind};
pub use crate::catalogue::figures::{FigureField, LinkKind, Shape};
pub use crate::catalogue::listing::{ListError, list, list_entry};

mod entry;
mod figures;
mod listing;

/// The lists of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Graphics processors with their own memory.
    Gpu,
    /// Host processors with their DRAM.
    Cpu,
    /// PCIe, CXL, NVLink and on-package interfaces.
    Link,
    /// Memory stacks that compute.
    Pim,
}

impl Kind {
    /// Every list.
    pub const ALL: [Self; 4] = [Self::Gpu, Self::Cpu, Self::Link, Self::Pim];

    /// The word of `pimscope list`.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Gpu => "gpus",
            Self::Cpu => "cpus",
            Self::Link => "links",
            Self::Pim => "pim",
        }
    }

    /// One of them, as it stands in a message.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Gpu => "GPU",
            Self::Cpu => "CPU",
            Self::Link => "link",
            Self::Pim => "PIM device",
        }
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Gpu => include_str!("../catalog/gpus.json"),
            Self::Cpu => include_str!("../catalog/cpus.json"),
            Self::Link => include_str!("../catalog/links.json"),
            Self::Pim => include_str!("../catalog/pim.json"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.noun())
    }
}

/// Every device that the program knows.
#[derive(Debug, Default)]
pub struct Catalogue {
    entries: Vec<Entry>,
}

impl Catalogue {
    /// The catalogue that was built in.
    pub fn embedded() -> &'static Self {
        static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
        CATALOGUE.get_or_init(|| {
            let mut entries = Vec::new();
            for kind in Kind::ALL {
                // The files are compiled in and a unit test reads them strictly. What could not be read is left out
                // here, so that no run can end in a panic over them.
                entries.extend(entry::read(kind, kind.text()).unwrap_or_default());
            }
            Self { entries }
        })
    }

    /// The entry of this name or alias; upper and lower case are the same.
    pub fn find(&self, kind: Kind, name: &str) -> Result<&Entry, UnknownName> {
        let wanted = name.trim();
        self.of(kind).find(|entry| entry.names().any(|known| known.eq_ignore_ascii_case(wanted))).ok_or_else(|| {
            UnknownName {
                kind,
                name: name.to_owned(),
                nearest: nearest(wanted, self.of(kind).flat_map(Entry::names)).map(str::to_owned),
                all: self.of(kind).map(|entry| entry.name.clone()).collect(),
            }
        })
    }

    /// The entries of one list, in the order of its file.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.kind == kind)
    }
}

/// No entry of the catalogue has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no {kind} `{name}` in the catalogue")]
pub struct UnknownName {
    /// The list that was searched.
    pub kind: Kind,
    /// The name as written.
    pub name: String,
    /// The name or alias that looks most like it.
    pub nearest: Option<String>,
    /// Every name of the list.
    pub all: Vec<String>,
}

/// The candidate that `written` was most likely meant to be; none where nothing is near.
pub(crate) fn nearest<'a>(written: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // What is typed by hand is short; a long text would only cost time.
    if written.len() > 100 {
        return None;
    }
    let written = written.to_lowercase();
    let mut best: Option<(f64, &str)> = None;
    for candidate in candidates {
        let likeness = strsim::jaro_winkler(&written, &candidate.to_lowercase());
        // Strictly more, so that of equals the first stays.
        if likeness > best.map_or(0.75, |(best, _)| best) {
            best = Some((likeness, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests;
