//! The ordinary side of an HBM3-PIM channel, as a standard for [`DramChannel`](crate::dram::DramChannel).

use crate::command::Command::{Act, Pre, PreA, Rd, RefAb, Wr};
use crate::constraint::{JEDEC, sum};
use crate::device::DeviceSpec;
use crate::dram::{ChannelConfig, Queues, Refresh};
use crate::organisation::Level::{Bank, BankGroup, Channel, PseudoChannel, Rank};
use crate::timing::Parameter as P;
use crate::timing::standard::Standard;

/// The ordinary commands of the PIM devices under their own table. It is no JEDEC standard and in no list: presets are those of the
/// devices.
pub static HBM3_PIM: Standard = Standard {
    name: "HBM3-PIM",
    levels: &[Channel, PseudoChannel, Rank, BankGroup, Bank],
    commands: &[Act, Pre, PreA, Rd, Wr, RefAb],
    prefetch: 8,
    ticks_per_clock: 1,
    lengths: &[],
    two_buses: true,
    read_latency: sum(&[P::Cl, P::Bl]),
    refresh_level: Channel,
    constraints: JEDEC,
    organisations: &[],
    parameters: &[],
    timings: &[],
};

/// A channel of a device that is never in PIM mode: what [`MixedChannel`](super::MixedChannel) is without programs.
///
/// ```
/// use pim_device::{DeviceSpec, controller::mixed::ordinary_channel, dram::{DramChannel, Queues}};
/// let channel = DramChannel::new(&ordinary_channel(&DeviceSpec::hbm3_pim_bank(), Queues::default()))?;
/// assert_eq!(channel.outstanding(), 0);
/// # Ok::<(), pim_device::dram::DramError>(())
/// ```
pub fn ordinary_channel(device: &DeviceSpec, queues: Queues) -> ChannelConfig {
    ChannelConfig {
        standard: &HBM3_PIM,
        organisation: device.organisation,
        timing: device.timing.clone(),
        refresh: Refresh::AllBank,
        queues,
    }
}
