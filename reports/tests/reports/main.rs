//! Questions to the reports, one file per behaviour.

#[path = "../../examples/gallery/made_up.rs"]
mod made_up;

mod escaping;
mod law_1;
mod spans_file;
mod summary;
mod terminal;
mod trace;
