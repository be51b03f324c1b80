#![cfg(not(target_arch = "wasm32"))]
//! The four codecs: what is compressed comes back, what others wrote is read, and no bytes make them panic or take more memory than they may.

use brokerlab::protocol::compression::{Codec, Compression, Decompressed};
use proptest::{collection::vec, prelude::*};

const LIMIT: usize = 1 << 20;
const CODECS: [Codec; 4] = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

fn whole(bytes: Vec<u8>) -> Decompressed {
    Decompressed { bytes, flaw: None }
}

/// Bytes as records have them: runs, words that come again, and noise.
fn contents() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        (any::<u8>(), 1usize..400).prop_map(|(byte, count)| vec![byte; count]),
        vec(any::<u8>(), 0..60),
        (prop::sample::select(&["{\"user\":", "\"click\"}", "orders", "0000"][..]), 1usize..40)
            .prop_map(|(word, count)| word.repeat(count).into_bytes()),
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn codecs() -> impl Strategy<Value = Compression> {
    (prop::sample::select(&CODECS[..]), 1u8..=9).prop_map(|(codec, gzip_level)| Compression { codec, gzip_level })
}

proptest! {
    #[test]
    fn what_is_compressed_comes_back(bytes in contents(), compression in codecs()) {
        let compressed = compression.compress(&bytes);
        prop_assert_eq!(compression.codec.decompress(&compressed, LIMIT), whole(bytes));
    }

    #[test]
    fn a_limit_is_kept(bytes in contents(), compression in codecs(), limit in 0usize..4_000) {
        let found = compression.codec.decompress(&compression.compress(&bytes), limit);
        prop_assert!(found.bytes.len() <= limit && bytes.starts_with(&found.bytes));
        // Enough is enough: what fits the limit exactly is not refused for it.
        prop_assert_eq!(found.flaw.is_some(), limit < bytes.len(), "{:?} of {} in {}", found.flaw, bytes.len(), limit);
    }

    #[test]
    fn cut_off_bytes_are_refused_and_what_comes_before_the_cut_is_kept(bytes in contents(), compression in codecs(), cut in any::<prop::sample::Index>()) {
        let compressed = compression.compress(&bytes);
        let found = compression.codec.decompress(&compressed[..cut.index(compressed.len())], LIMIT);
        prop_assert!(bytes.starts_with(&found.bytes));
        // Snappy's framing has no end: a cut between two chunks, or within a length, is one.
        prop_assert!(found.flaw.is_some() || compression.codec == Codec::Snappy);
    }

    #[test]
    fn flipped_bytes_never_panic(bytes in contents(), compression in codecs(), damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut compressed = compression.compress(&bytes);
        for (place, byte) in damage {
            let place = place.index(compressed.len());
            compressed[place] = byte;
        }
        prop_assert!(compression.codec.decompress(&compressed, LIMIT).bytes.len() <= LIMIT);
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..400), codec in prop::sample::select(&CODECS[..])) {
        prop_assert!(codec.decompress(&bytes, LIMIT).bytes.len() <= LIMIT);
    }

    /// Behind a header that is right, the damage gets further.
    #[test]
    fn random_bytes_behind_a_sound_beginning_never_panic(bytes in vec(any::<u8>(), 0..400), codec in prop::sample::select(&CODECS[..])) {
        let beginnings: &[&[u8]] = match codec {
            Codec::Gzip => &[&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]],
            Codec::Snappy => &[b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\0\0\x01\0", b"\x80\x80\x01"],
            Codec::Lz4 => &[&[0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82, 0xff, 0, 0, 0]],
            _ => &[&[0x28, 0xb5, 0x2f, 0xfd, 0, 0x58], &[0x28, 0xb5, 0x2f, 0xfd, 0, 0x58, 0xfc, 0x0a, 0]],
        };
        for beginning in beginnings {
            prop_assert!(codec.decompress(&[beginning, &bytes[..]].concat(), LIMIT).bytes.len() <= LIMIT);
        }
    }
}

#[test]
fn contents_longer_than_any_block_come_back_smaller() {
    let words: Vec<u8> =
        (0..40_000u32).flat_map(|number| format!("{{\"id\":{},\"word\":\"order\"}}", number * 7_919 % 10_007).into_bytes()).collect();
    let noise: Vec<u8> = (0..300_000u64).map(|number| (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    for codec in CODECS {
        let compression = Compression::of(codec);
        let compressed = compression.compress(&words);
        assert!(compressed.len() < words.len() / 2, "{}: {} of {}", codec.name(), compressed.len(), words.len());
        println!("{}: {} of {}", codec.name(), compressed.len(), words.len());
        assert_eq!(codec.decompress(&compressed, 16 << 20), whole(words.clone()));
        let compressed = compression.compress(&noise);
        assert!(compressed.len() < noise.len() + noise.len() / 100 + 64, "{}: {}", codec.name(), compressed.len());
        assert_eq!(codec.decompress(&compressed, LIMIT), whole(noise.clone()));
    }
}

/// What cannot be made smaller is stored as it is, and counts like anything else.
#[test]
fn a_limit_is_kept_by_stored_blocks_too() {
    let noise: Vec<u8> = (0..5_000u64).map(|number| (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    for codec in Codec::ALL {
        let found = codec.decompress(&Compression::of(codec).compress(&noise), 4_000);
        assert!(found.flaw.is_some() && found.bytes.len() <= 4_000, "{}: {}", codec.name(), found.bytes.len());
    }
}

#[test]
fn a_higher_gzip_level_makes_fewer_bytes() {
    let words: Vec<u8> = (0..4_000u32).flat_map(|number| format!("{{\"id\":{}}}", number * 7_919 % 1_009).into_bytes()).collect();
    let size = |gzip_level| Compression { codec: Codec::Gzip, gzip_level }.compress(&words).len();
    assert!(size(9) < size(1));
}

/// A frame that claims the largest window there is, and one of RLE blocks that are thousands of times as many bytes as they take.
#[test]
fn a_zstd_frame_gets_no_memory_for_what_it_only_claims() {
    let header = |window: u8| vec![0x28, 0xb5, 0x2f, 0xfd, 0, window];
    // One last raw block with the byte "x": a window of 128 MiB, as Kafka's level 22 has it, of 2 GiB, and the largest that can be named.
    for window in [0x88, 0xa8, 0xff] {
        let claims = [header(window), vec![0x09, 0, 0, b'x']].concat();
        assert_eq!(Codec::Zstd.decompress(&claims, LIMIT), whole(b"x".to_vec()), "{window:x}");
    }
    let block = (128u32 << 10) << 3 | 1 << 1;
    let bomb = [header(0x58), [&block.to_le_bytes()[..3], &[0]].concat().repeat(10_000)].concat();
    let bomb = [bomb, [&(block | 1).to_le_bytes()[..3], &[0]].concat()].concat();
    let found = Codec::Zstd.decompress(&bomb, LIMIT);
    assert!(found.flaw.is_some() && found.bytes.len() <= LIMIT);
}

#[test]
fn names_and_numbers_are_kafkas() {
    let table = Codec::ALL.map(|codec| (codec.id(), codec.name()));
    assert_eq!(table, [(0, "none"), (1, "gzip"), (2, "snappy"), (3, "lz4"), (4, "zstd")]);
    for codec in Codec::ALL {
        assert_eq!((Codec::of_id(codec.id()), Codec::of_name(codec.name())), (Some(codec), Some(codec)));
    }
    assert_eq!((Codec::of_name("uncompressed"), Codec::of_name("producer"), Codec::of_id(5)), (Some(Codec::None), None, None));
}
