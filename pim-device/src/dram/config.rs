//! What a channel and its controller are.

use super::bank_set::CAPACITY;
use super::request::Request;
use crate::command::Command;
use crate::organisation::{Level, Organisation};
use crate::timing::standard::Standard;
use crate::timing::{Parameter, Timing};

/// A channel that cannot be made, or a request that it cannot take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DramError {
    /// No such standard or preset.
    #[error("there is no {kind} `{name}`; there are: {known}")]
    Unknown {
        /// `standard`, `organisation` or `timing preset`.
        kind: &'static str,
        /// As written.
        name: String,
        /// The names that are known.
        known: String,
    },
    /// A figure that no channel can have.
    #[error("{what} is {value}, which must be {allowed}")]
    Figure {
        /// Which.
        what: &'static str,
        /// Its value.
        value: u64,
        /// What it may be.
        allowed: &'static str,
    },
    /// The standard has no such refresh.
    #[error("{standard} has no {refresh} refresh")]
    Refresh {
        /// The standard.
        standard: &'static str,
        /// Which refresh.
        refresh: &'static str,
    },
    /// Requests that wait for each other.
    #[error("the controller is stuck at tick {tick}: {requests} requests wait, and none can go")]
    Stuck {
        /// When that was found.
        tick: u64,
        /// How many.
        requests: u64,
    },
    /// An address outside the channel.
    #[error("{part} {value} is not below {count}")]
    Address {
        /// Which part of the address.
        part: &'static str,
        /// Its value.
        value: u32,
        /// How many there are.
        count: u32,
    },
}

impl DramError {
    #[cold]
    pub(crate) fn outside(request: &Request, organisation: &Organisation) -> Self {
        let address = &request.address;
        let parts = [
            ("pseudo-channel", u32::from(address.pseudo_channel), organisation.pseudo_channels),
            ("rank", u32::from(address.rank), organisation.ranks),
            ("bank group", u32::from(address.bank_group), organisation.bank_groups),
            ("bank", u32::from(address.bank), organisation.banks),
            ("row", address.row, organisation.rows),
            ("column", request.column, organisation.columns),
        ];
        let (part, value, count) = parts.into_iter().find(|(_, value, count)| value >= count).unwrap_or(parts[0]);
        Self::Address { part, value, count }
    }
}

/// How rows are refreshed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Refresh {
    /// Never: to compare with other simulators.
    None,
    /// All banks of a rank (pseudo-channel, channel) every nREFI, as soon as they can be closed. Requests wait meanwhile.
    #[default]
    AllBank,
    /// One bank of each rank (pseudo-channel, channel) after the other, so that each has its turn every nREFI. The other
    /// banks go on.
    PerBank,
}

/// Configuration: the controller's queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queues {
    /// Reads that may wait.
    pub read: u32,
    /// Writes that may wait.
    pub write: u32,
    /// From so many waiting writes on they are served ...
    pub write_high: u32,
    /// ... until no more than so many wait, if reads wait too.
    pub write_low: u32,
}

impl Default for Queues {
    /// 32 reads, 32 writes, marks at 0.8 and 0.2: those of Ramulator 2.1.
    fn default() -> Self {
        Self { read: 32, write: 32, write_high: 26, write_low: 6 }
    }
}

/// Configuration: one channel and its controller.
#[derive(Clone, Debug)]
pub struct ChannelConfig {
    /// The standard: rules, buses, kind of controller.
    pub standard: &'static Standard,
    /// Ranks, banks, rows, columns.
    pub organisation: Organisation,
    /// Parameters, in CK.
    pub timing: Timing,
    /// How rows are refreshed.
    pub refresh: Refresh,
    /// Queues and their marks.
    pub queues: Queues,
}

impl ChannelConfig {
    /// A channel of presets, with all-bank refresh and the default queues.
    ///
    /// # Errors
    /// [`DramError::Unknown`].
    pub fn preset(standard: &str, organisation: &str, timing: &str) -> Result<Self, DramError> {
        let unknown = |kind: &'static str, name: &str, known: Vec<&str>| DramError::Unknown {
            kind,
            name: name.to_owned(),
            known: known.join(", "),
        };
        let found = Standard::named(standard).ok_or_else(|| {
            let known = crate::timing::standard::STANDARDS.iter().map(|standard| standard.name).collect();
            unknown("standard", standard, known)
        })?;
        let preset = found.organisation(organisation).ok_or_else(|| {
            unknown("organisation", organisation, found.organisations.iter().map(|preset| preset.name).collect())
        })?;
        let timing = found.timing(timing, preset).ok_or_else(|| {
            unknown("timing preset", timing, found.timings.iter().map(|preset| preset.name).collect())
        })?;
        Ok(Self {
            standard: found,
            organisation: preset.organisation,
            timing,
            refresh: Refresh::default(),
            queues: Queues::default(),
        })
    }

    /// The same with another refresh.
    #[must_use]
    pub fn with_refresh(self, refresh: Refresh) -> Self {
        Self { refresh, ..self }
    }

    /// A parameter in ticks.
    pub fn ticks(&self, parameter: Parameter) -> u64 {
        u64::from(self.timing.get(parameter)) * u64::from(self.standard.ticks_per_clock)
    }

    /// From a read to the end of its data, in ticks.
    pub fn read_latency(&self) -> u64 {
        u64::from(self.standard.read_latency.cycles(|parameter| self.timing.get(parameter)))
            * u64::from(self.standard.ticks_per_clock)
    }

    /// Ticks between refreshes of one node: nREFI, or its part for each bank.
    pub(super) fn refresh_interval(&self) -> u64 {
        let interval = self.ticks(Parameter::Refi);
        match self.refresh {
            Refresh::None => u64::MAX,
            Refresh::AllBank => interval,
            Refresh::PerBank => interval / u64::from(self.banks_per_refresh()),
        }
    }

    /// Banks of a node of the refresh level.
    pub(super) fn banks_per_refresh(&self) -> u32 {
        self.organisation.nodes(Level::Bank) / self.organisation.nodes(self.standard.refresh_level)
    }

    pub(crate) fn check(&self) -> Result<(), DramError> {
        let figure = |what, value: u64, least: u64, most: u64, allowed| {
            if (least..=most).contains(&value) { Ok(()) } else { Err(DramError::Figure { what, value, allowed }) }
        };
        let organisation = &self.organisation;
        for (what, value) in [
            ("the number of pseudo-channels", organisation.pseudo_channels),
            ("the number of ranks", organisation.ranks),
            ("the number of bank groups", organisation.bank_groups),
            ("the number of banks of a group", organisation.banks),
        ] {
            figure(what, value.into(), 1, CAPACITY as u64, "1 to 128")?;
        }
        let banks = [organisation.pseudo_channels, organisation.ranks, organisation.bank_groups, organisation.banks]
            .into_iter()
            .map(u64::from)
            .product();
        figure("the number of banks of a channel", banks, 1, CAPACITY as u64, "1 to 128")?;
        figure("the number of rows", organisation.rows.into(), 1, 1 << 31, "1 to 2^31")?;
        figure("the number of columns", organisation.columns.into(), 1, 1 << 31, "1 to 2^31")?;
        let queues = &self.queues;
        figure("the read queue", queues.read.into(), 1, 4_096, "1 to 4096")?;
        figure("the write queue", queues.write.into(), 1, 4_096, "1 to 4096")?;
        figure("the high mark of the write queue", queues.write_high.into(), 1, queues.write.into(), "1 to its size")?;
        let below = u64::from(queues.write_high) - 1;
        figure("the low mark of the write queue", queues.write_low.into(), 0, below, "below the high mark")?;
        if self.refresh != Refresh::None {
            figure("nREFI", self.ticks(Parameter::Refi), 1, u64::MAX, "at least 1")?;
        }
        if self.refresh == Refresh::PerBank {
            if !self.standard.commands.contains(&Command::RefPb) || self.timing.get(Parameter::RfcPb) == 0 {
                return Err(DramError::Refresh { standard: self.standard.name, refresh: "per-bank" });
            }
            figure("nREFI over the banks", self.refresh_interval(), 1, u64::MAX, "at least 1")?;
        }
        Ok(())
    }
}

/// The top bits of four bytes.
const TOPS: u32 = 0x8080_8080;

/// Configuration: what says quickly whether a request is for a channel: the last pseudo-channel, rank, bank group and bank, a byte
/// each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds(u32);

impl Bounds {
    /// Those of an organisation with at most 128 of each.
    pub(super) fn of(organisation: &Organisation) -> Self {
        let counts = [organisation.pseudo_channels, organisation.ranks, organisation.bank_groups, organisation.banks];
        Self(u32::from_le_bytes(counts.map(|count| (count - 1) as u8)))
    }

    /// Refuses a request outside the organisation.
    #[inline]
    pub(super) fn check(self, request: &Request, organisation: &Organisation) -> Result<(), DramError> {
        let address = &request.address;
        // All four at once: a part is in order where neither it nor what is left up to the last reaches the top bit of its
        // byte.
        let parts = u32::from_le_bytes([address.pseudo_channel, address.rank, address.bank_group, address.bank]);
        let inside = (parts | self.0.wrapping_sub(parts)) & TOPS == 0;
        if inside && address.row < organisation.rows && request.column < organisation.columns {
            Ok(())
        } else {
            Err(DramError::outside(request, organisation))
        }
    }
}
