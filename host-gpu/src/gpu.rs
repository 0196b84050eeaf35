//! The GPU: [`Stream`] (here), its high-bandwidth memory and its cores ([`crate::Shared`]), its copy engines
//! (`interconnect::DmaEngine`), its capacity ([`crate::Ledger`]).

pub mod stream;

pub use stream::Stream;
