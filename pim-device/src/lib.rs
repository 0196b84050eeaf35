//! Processing-in-memory devices: DRAM timing, PIM programs and channel controllers.
