//! Decode attention.

use super::layout::Layout;
use super::{PqError, PqUnit};
use crate::device::DeviceSpec;
use crate::program::Program;

pub(super) fn program(_device: &DeviceSpec, layout: &Layout, units: &[PqUnit]) -> Result<Program, PqError> {
    for unit in units {
        layout.coded(unit.tokens)?;
    }
    Ok(Program::default())
}
