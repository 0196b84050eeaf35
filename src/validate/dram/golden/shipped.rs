//! The golden files that are compiled in.

use crate::validate::golden::GoldenFile;

/// The files by name.
pub(super) fn files(folder: &str) -> Vec<GoldenFile> {
    FILES.iter().map(|(name, text)| GoldenFile::shipped(folder, name, text)).collect()
}

macro_rules! files {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../../../validation/dram/golden/", $name)))),*]
    };
}

const FILES: &[(&str, &str)] = files! {
    "DDR4_DDR4_3200AA_bankrr_200_norefresh.csv"
    "DDR4_DDR4_3200AA_conflict_200_norefresh.csv"
    "DDR4_DDR4_3200AA_conflict_400_refresh.csv"
    "DDR4_DDR4_3200AA_mix_random_1500_refresh.csv"
    "DDR4_DDR4_3200AA_mix_random_400_norefresh_R2C2.csv"
    "DDR4_DDR4_3200AA_stream_bgi_200_norefresh.csv"
    "DDR4_DDR4_3200AA_stream_row_200_norefresh.csv"
    "DDR5_DDR5_4800BN_conflict_200_norefresh.csv"
    "DDR5_DDR5_4800BN_mix_random_200_norefresh.csv"
    "DDR5_DDR5_4800BN_random_200_norefresh.csv"
    "DDR5_DDR5_4800BN_stream_bgi_200_norefresh.csv"
    "DDR5_DDR5_4800BN_stream_row_200_norefresh.csv"
    "GDDR6_GDDR6_14000_1350mV_double_bankrr_200_norefresh.csv"
    "GDDR6_GDDR6_14000_1350mV_double_conflict_200_norefresh.csv"
    "GDDR6_GDDR6_14000_1350mV_double_random_200_norefresh.csv"
    "GDDR6_GDDR6_14000_1350mV_double_stream_bgi_200_norefresh.csv"
    "GDDR6_GDDR6_14000_1350mV_double_stream_row_200_norefresh.csv"
    "HBM2_HBM2_2000Mbps_bankrr_200_norefresh.csv"
    "HBM2_HBM2_2000Mbps_conflict_200_norefresh.csv"
    "HBM2_HBM2_2000Mbps_conflict_400_refresh.csv"
    "HBM2_HBM2_2000Mbps_random_200_norefresh.csv"
    "HBM2_HBM2_2000Mbps_stream_bgi_200_norefresh.csv"
    "HBM2_HBM2_2000Mbps_stream_row_200_norefresh.csv"
    "HBM3_HBM3_6400Mbps_bankrr_200_norefresh.csv"
    "HBM3_HBM3_6400Mbps_conflict_200_norefresh.csv"
    "HBM3_HBM3_6400Mbps_conflict_400_refresh.csv"
    "HBM3_HBM3_6400Mbps_mix_random_400_norefresh_R2C2.csv"
    "HBM3_HBM3_6400Mbps_stream_bgi_200_norefresh.csv"
    "HBM3_HBM3_6400Mbps_stream_row_200_norefresh.csv"
    "HBM4_HBM4_8000Mbps_bankrr_200_norefresh.csv"
    "HBM4_HBM4_8000Mbps_conflict_200_norefresh.csv"
    "HBM4_HBM4_8000Mbps_stream_bgi_200_norefresh.csv"
    "LPDDR5_LPDDR5_6400_bankrr_200_norefresh.csv"
    "LPDDR5_LPDDR5_6400_conflict_400_refresh.csv"
    "LPDDR5_LPDDR5_6400_mix_random_200_norefresh.csv"
    "LPDDR5_LPDDR5_6400_random_200_norefresh.csv"
    "LPDDR5_LPDDR5_6400_stream_bgi_200_norefresh.csv"
    "LPDDR5_LPDDR5_6400_stream_row_200_norefresh.csv"
    "dramsim3_DDR4_8Gb_x8_3200_bankrr_200.csv"
    "dramsim3_DDR4_8Gb_x8_3200_conflict_200.csv"
    "dramsim3_DDR4_8Gb_x8_3200_stream_bgi_200.csv"
    "dramsim3_DDR4_8Gb_x8_3200_stream_row_200.csv"
    "dramsim3_GDDR6_8Gb_x16_bankrr_200.csv"
    "dramsim3_GDDR6_8Gb_x16_conflict_200.csv"
    "dramsim3_GDDR6_8Gb_x16_stream_bgi_200.csv"
    "dramsim3_GDDR6_8Gb_x16_stream_row_200.csv"
    "dramsim3_HBM2_8Gb_x128_bankrr_200.csv"
    "dramsim3_HBM2_8Gb_x128_conflict_200.csv"
    "dramsim3_HBM2_8Gb_x128_stream_bgi_200.csv"
    "dramsim3_HBM2_8Gb_x128_stream_row_200.csv"
};
