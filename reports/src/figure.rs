//! The figures, one file each. All are SVG text without scripts or links.

pub mod breakdown;
mod canvas;
pub mod palette;
pub mod share;
pub mod timeline;
