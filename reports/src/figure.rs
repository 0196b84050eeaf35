//! The figures, one file each. All are SVG text without scripts or links.

pub mod accuracy;
pub mod breakdown;
mod canvas;
pub mod energy;
pub mod error_bits;
pub mod latency;
mod lines;
pub mod palette;
mod scatter;
pub mod share;
pub mod timeline;

use canvas::{Anchor, Canvas, Font, SMALL, cut};

use crate::analyse::SystemReport;

/// Says below the title that a run was stopped, if it was.
fn partial<'a>(canvas: &mut Canvas<'_>, systems: impl IntoIterator<Item = &'a SystemReport>, width: i32) {
    if let Some(note) = crate::stopped::note(systems) {
        canvas.text(&cut(&note, width - 40, SMALL), (20, 40), Anchor::Left, Font::STRONG);
    }
}
