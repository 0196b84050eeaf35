//! Samsung's HBM-PIM.

mod isa;
mod oracle;
mod properties;
pub(crate) mod reference;
mod rules;
mod timing;
mod values;
