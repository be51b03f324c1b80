//! The checksum of record batches: CRC-32C.

/// CRC-32C of the bytes, by the processor's own instructions.
#[cfg(not(target_arch = "wasm32"))]
pub fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// CRC-32C of the bytes, by one small table: the eight of the quicker way would be a fiftieth of the page.
#[cfg(target_arch = "wasm32")]
pub fn checksum(bytes: &[u8]) -> u32 {
    static CASTAGNOLI: crc::Crc<u32, crc::Table<1>> = crc::Crc::<u32, crc::Table<1>>::new(&crc::CRC_32_ISCSI);
    CASTAGNOLI.checksum(bytes)
}
