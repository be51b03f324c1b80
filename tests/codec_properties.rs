#![cfg(not(target_arch = "wasm32"))]
//! The codecs against bytes that nobody chose: what is written comes back, and no bytes make them panic.

use brokerlab::protocol::{
    Batch, BatchBuilder, BatchOptions, Codec, Compression, Header, Marker, Outcome, Record,
    consumer_protocol::{Assignment, StickyUserData, Subscription, TopicPartitions, read_cooperative_generation},
    group_records::{GroupKey, GroupValue, MemberValue, OffsetValue},
    records, size_upper_bound, split, validate,
};
use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*};

fn blob() -> impl Strategy<Value = Bytes> {
    prop_oneof![9 => vec(any::<u8>(), 0..40), 1 => vec(any::<u8>(), 100..300)].prop_map(Bytes::from)
}

/// Records with offsets 0, 1, 2, ...
fn record_lists() -> impl Strategy<Value = Vec<Record>> {
    let record = (0..i64::MAX / 2, option::of(blob()), option::of(blob()), vec((blob(), option::of(blob())), 0..4))
        .prop_map(|(timestamp, key, value, headers)| Record { offset: 0, timestamp, key, value, headers });
    vec(record, 1..8).prop_map(|mut list| {
        list.iter_mut().enumerate().for_each(|(index, record)| record.offset = index as i64);
        list
    })
}

fn compressions() -> impl Strategy<Value = Compression> {
    (prop::sample::select(&Codec::ALL[..]), 1u8..=9).prop_map(|(codec, gzip_level)| Compression { codec, gzip_level })
}

fn options() -> impl Strategy<Value = BatchOptions> {
    (any::<i64>(), any::<i16>(), any::<i32>(), any::<bool>(), option::of(0..i64::MAX), compressions()).prop_map(
        |(producer_id, producer_epoch, base_sequence, transactional, delete_horizon, compression)| BatchOptions {
            producer_id,
            producer_epoch,
            base_sequence,
            transactional,
            delete_horizon,
            compression,
            ..BatchOptions::default()
        },
    )
}

fn headers_of(record: &Record) -> Vec<Header<'_>> {
    record.headers.iter().map(|(key, value)| (&key[..], value.as_deref())).collect()
}

/// Builds a batch, checking the sizes foretold on the way.
fn build(options: BatchOptions, list: &[Record]) -> Bytes {
    let mut builder = BatchBuilder::new(options, 0);
    for record in list {
        let (key, value, headers) = (record.key.as_deref(), record.value.as_deref(), headers_of(record));
        let before = builder.size();
        let taken = {
            let mut copy = builder.clone();
            copy.append(record.timestamp, key, value, &headers);
            copy.size() - before
        };
        assert!(taken <= size_upper_bound(key, value, &headers));
        assert!(!builder.append_within(taken - 1, record.timestamp, key, value, &headers));
        assert_eq!(builder.size(), before, "what does not come in leaves no trace");
        assert!(builder.append_within(taken, record.timestamp, key, value, &headers));
        assert_eq!(builder.size(), before + taken);
    }
    builder.build()
}

/// Reads bytes in every way there is; only a panic is wrong.
fn read_in_every_way(bytes: &Bytes) {
    for batch in split(bytes).flatten() {
        let _ = validate(&batch);
        records(&batch).for_each(drop);
        if let Ok(stored) = Batch::from_wire(batch) {
            stored.records().for_each(drop);
            let _ =
                (stored.to_wire(), stored.next_offset(), stored.with_log_append_time(7), stored.with_create_time(7), stored.uncompressed());
            let _ = stored.header().map(|header| (header.last_sequence(), header.last_offset(), header.codec()));
        }
    }
    records(bytes).for_each(drop);
    let _ = Marker::read(Some(bytes), Some(bytes));
    let _ = (Subscription::read(bytes), Assignment::read(bytes), StickyUserData::read(bytes), read_cooperative_generation(bytes));
    let _ = (GroupKey::read(bytes), OffsetValue::read(bytes), GroupValue::read(bytes));
}

fn topics() -> impl Strategy<Value = Vec<TopicPartitions>> {
    vec(("[a-z]{1,6}", vec(any::<i32>(), 0..5)), 0..4)
}

/// As Kafka writes them: sorted.
fn sorted(mut topics: Vec<TopicPartitions>) -> Vec<TopicPartitions> {
    topics.sort_by(|(one, _), (other, _)| one.cmp(other));
    topics.iter_mut().for_each(|(_, partitions)| partitions.sort_unstable());
    topics
}

fn subscriptions() -> impl Strategy<Value = Subscription> {
    (vec("[a-z]{0,9}", 0..5), option::of(blob()), topics(), option::of(0..i32::MAX), option::of("[a-z]{0,9}")).prop_map(
        |(mut topics, user_data, owned, generation, rack)| {
            topics.sort();
            Subscription { topics, user_data, owned: sorted(owned), generation, rack }
        },
    )
}

fn groups() -> impl Strategy<Value = GroupValue> {
    let member = (any::<[String; 3]>(), option::of(any::<String>()), any::<[i32; 2]>(), blob(), blob()).prop_map(
        |([member_id, client_id, client_host], instance_id, [rebalance_timeout_ms, session_timeout_ms], subscription, assignment)| {
            MemberValue {
                member_id,
                instance_id,
                client_id,
                client_host,
                rebalance_timeout_ms,
                session_timeout_ms,
                subscription,
                assignment,
            }
        },
    );
    (any::<String>(), any::<i32>(), any::<[Option<String>; 2]>(), any::<i64>(), vec(member, 0..4)).prop_map(
        |(protocol_type, generation, [protocol, leader], current_state_timestamp, members)| GroupValue {
            protocol_type,
            generation,
            protocol,
            leader,
            current_state_timestamp,
            members,
        },
    )
}

proptest! {
    #[test]
    fn a_batch_comes_back(list in record_lists(), options in options(), base_offset in 0..i64::MAX / 2, leader_epoch in any::<i32>()) {
        let bytes = build(options, &list);
        let header = validate(&bytes).unwrap();
        prop_assert_eq!(records(&bytes).collect::<Result<Vec<_>, _>>().unwrap(), list.clone());
        prop_assert_eq!(header.record_count as usize, list.len());
        prop_assert_eq!(header.max_timestamp, list.iter().map(|record| record.timestamp).max().unwrap());
        prop_assert_eq!(header.base_timestamp, options.delete_horizon.unwrap_or(list[0].timestamp));

        let stored = Batch::assigned(bytes, &header, base_offset, leader_epoch);
        let wire = stored.to_wire();
        validate(&wire).unwrap();
        prop_assert_eq!(records(&wire).collect::<Vec<_>>(), stored.records().collect::<Vec<_>>());
        prop_assert_eq!(stored.records().last().unwrap().unwrap().offset + 1, stored.next_offset());
        prop_assert_eq!(stored.is_compressed(), options.compression.codec != Codec::None);
        let plain = stored.uncompressed();
        prop_assert_eq!(validate(&plain.bytes).unwrap().codec(), Ok(Codec::None));
        prop_assert_eq!(plain.records().collect::<Vec<_>>(), stored.records().collect::<Vec<_>>());
        let again = Batch::from_wire(wire).unwrap();
        prop_assert_eq!((again.base_offset, again.leader_epoch), (base_offset, leader_epoch));
    }

    #[test]
    fn a_buffer_is_cut_where_its_batches_meet(lists in vec(record_lists(), 0..4), cut in any::<prop::sample::Index>()) {
        let batches: Vec<Bytes> = lists.iter().map(|list| build(BatchOptions::default(), list)).collect();
        let buffer = Bytes::from(batches.concat());
        prop_assert_eq!(split(&buffer).collect::<Result<Vec<_>, _>>().unwrap(), batches.clone());
        let shorter = buffer.slice(..cut.index(buffer.len() + 1));
        let whole: Vec<Bytes> = split(&shorter).collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(&whole[..], &batches[..whole.len()]);
    }

    #[test]
    fn a_flipped_byte_is_noticed(list in record_lists(), place in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut bytes = build(BatchOptions::default(), &list).to_vec();
        let place = place.index(bytes.len());
        bytes[place] ^= flip;
        // Base offset and leader epoch are the broker's to write.
        let outside = place < 8 || (12..16).contains(&place);
        prop_assert_eq!(validate(&bytes).is_ok(), outside);
    }

    #[test]
    fn log_append_time_counts_for_every_record(list in record_lists(), time in any::<i64>()) {
        let stored = Batch::from_wire(build(BatchOptions::default(), &list)).unwrap().with_log_append_time(time).unwrap();
        prop_assert_eq!(validate(&stored.bytes).unwrap().log_append_time(), Some(time));
        prop_assert!(stored.records().all(|record| record.unwrap().timestamp == time));
    }

    #[test]
    fn markers_come_back(commit in any::<bool>(), coordinator_epoch in any::<i32>(), producer_id in 0..i64::MAX, timestamp in 0..i64::MAX) {
        let marker = Marker { outcome: if commit { Outcome::Commit } else { Outcome::Abort }, coordinator_epoch };
        let bytes = BatchBuilder::marker(marker, producer_id, 3, timestamp);
        let header = validate(&bytes).unwrap();
        prop_assert!(header.is_control() && header.is_transactional());
        let record = records(&bytes).next().unwrap().unwrap();
        prop_assert_eq!(Marker::read(record.key.as_deref(), record.value.as_deref()), Ok(marker));
    }

    #[test]
    fn subscriptions_come_back(subscription in subscriptions()) {
        prop_assert_eq!(Subscription::read(&subscription.to_bytes(3)), Ok(subscription.clone()));
        let older = Subscription { owned: Vec::new(), generation: None, rack: None, ..subscription.clone() };
        prop_assert_eq!(Subscription::read(&subscription.to_bytes(0)), Ok(older));
    }

    #[test]
    fn assignments_come_back(partitions in topics(), user_data in option::of(blob()), version in 0i16..=3) {
        let assignment = Assignment { partitions, user_data };
        prop_assert_eq!(Assignment::read(&assignment.to_bytes(version)), Ok(assignment));
    }

    #[test]
    fn offset_records_come_back(group in any::<String>(), topic in "[a-z]{0,9}", partition in any::<i32>(), offset in any::<i64>(),
        leader_epoch in any::<i32>(), metadata in any::<String>(), commit_timestamp in any::<i64>()) {
        let key = GroupKey::Offset { group, topic, partition };
        prop_assert_eq!(GroupKey::read(&key.to_bytes()), Ok(key));
        let value = OffsetValue { offset, leader_epoch, metadata, commit_timestamp, expire_timestamp: None };
        prop_assert_eq!(OffsetValue::read(&value.to_bytes()), Ok(value));
    }

    #[test]
    fn group_records_come_back(value in groups()) {
        let key = GroupKey::Group { group: value.protocol_type.clone() };
        prop_assert_eq!(GroupKey::read(&key.to_bytes()), Ok(key));
        prop_assert_eq!(GroupValue::read(&value.to_bytes()), Ok(value));
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in vec(any::<u8>(), 0..300)) {
        read_in_every_way(&Bytes::from(bytes));
    }

    #[test]
    fn damaged_bytes_do_not_panic(
        list in record_lists(), options in options(), subscription in subscriptions(), group in groups(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..5), cut in any::<prop::sample::Index>(),
    ) {
        for bytes in [build(options, &list), subscription.to_bytes(3), group.to_bytes()] {
            let mut bytes = bytes.to_vec();
            for (place, byte) in &damage {
                let place = place.index(bytes.len());
                bytes[place] = *byte;
            }
            read_in_every_way(&Bytes::from(bytes.clone()));
            bytes.truncate(cut.index(bytes.len()));
            read_in_every_way(&Bytes::from(bytes));
        }
    }
}
