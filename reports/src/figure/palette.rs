//! One fixed colour per category, told apart by colour-blind readers and in grey.
//!
//! The hues are those of Okabe and Ito, "Color Universal Design" (2008): compute in cold hues, communication in warm ones,
//! overhead in greys.

use sim_core::Category;

/// A colour as red, green, blue.
pub type Rgb = (u8, u8, u8);

/// Text and outlines. The page turns these four into their opposites in dark mode; no category has one of them.
pub const INK: Rgb = (0x22, 0x26, 0x2A);
/// Secondary text and axes.
pub const MUTED: Rgb = (0x5A, 0x5F, 0x67);
/// Lines of a grid.
pub const GRID: Rgb = (0xDD, 0xE0, 0xE4);
/// The background.
pub const PAPER: Rgb = (0xFF, 0xFF, 0xFF);
/// Text on dark colours, the same in dark mode.
pub const LIGHT_TEXT: Rgb = (0xFD, 0xFD, 0xFD);
/// Text on light colours, the same in dark mode.
pub const DARK_TEXT: Rgb = (0x11, 0x11, 0x11);

/// The colour of a category.
pub const fn colour(category: Category) -> Rgb {
    match category {
        Category::ComputeGpu => (0x00, 0x72, 0xB2),
        Category::ComputeCpu => (0x56, 0xB4, 0xE9),
        Category::ComputePim => (0x00, 0x9E, 0x73),
        Category::CommunicationPcie => (0xD5, 0x5E, 0x00),
        Category::CommunicationCxl => (0xE6, 0x9F, 0x00),
        Category::CommunicationNvlink => (0xF0, 0xE4, 0x42),
        Category::CommunicationHbm => (0xCC, 0x79, 0xA7),
        Category::Launch => (0x7A, 0x7A, 0x7A),
        Category::Queue => (0xB8, 0xB8, 0xB8),
    }
}

/// The colours of lines, used in turn.
pub const LINES: [Rgb; 7] = [
    (0x00, 0x72, 0xB2),
    (0xD5, 0x5E, 0x00),
    (0x00, 0x9E, 0x73),
    (0xCC, 0x79, 0xA7),
    (0xE6, 0x9F, 0x00),
    (0x56, 0xB4, 0xE9),
    (0x7A, 0x7A, 0x7A),
];

/// The colour of text that stands on another colour.
pub fn text_on((red, green, blue): Rgb) -> Rgb {
    // Luma as in ITU-R BT.601, in thousandths.
    let luma = 299 * u32::from(red) + 587 * u32::from(green) + 114 * u32::from(blue);
    if luma > 140_000 { DARK_TEXT } else { LIGHT_TEXT }
}

/// `#0072B2`.
pub fn hex((red, green, blue): Rgb) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_each_category_a_colour_of_its_own() {
        let mut all: Vec<Rgb> = Category::ALL.into_iter().map(colour).collect();
        all.extend([INK, MUTED, GRID, PAPER, LIGHT_TEXT, DARK_TEXT]);
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
