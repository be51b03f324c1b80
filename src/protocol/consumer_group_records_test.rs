//! Records of groups of the new protocol, byte for byte as the schemas have them.

use super::super::group_records::GroupKey;
use super::*;

/// Hex written out by hand from the schemas.
fn bytes(hex: &str) -> Bytes {
    let digits: Vec<u8> = hex.bytes().filter_map(|byte| char::from(byte).to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect::<Vec<u8>>().into()
}

#[test]
fn keys_have_kafkas_bytes() {
    let (group, member) = ("g".to_owned(), "me".to_owned());
    for (hex, key) in [
        ("0003 0001 67", ConsumerGroupKey::Group { group: group.clone() }),
        ("0005 0001 67 0002 6d65", ConsumerGroupKey::Member { group: group.clone(), member: member.clone() }),
        ("0006 0001 67", ConsumerGroupKey::Target { group: group.clone() }),
        ("0007 0001 67 0002 6d65", ConsumerGroupKey::TargetMember { group: group.clone(), member: member.clone() }),
        ("0008 0001 67 0002 6d65", ConsumerGroupKey::CurrentMember { group, member }),
    ] {
        assert_eq!(key.to_bytes(), bytes(hex));
        assert_eq!(GroupKey::read(&bytes(hex)), Ok(GroupKey::Consumer(key)));
    }
    assert_eq!(GroupKey::read(&bytes("0008 0001 67")), Err(DecodeError::Short));
}

#[test]
fn groups_and_members_have_kafkas_bytes() {
    let plain = ConsumerGroupValue { epoch: 7, metadata_hash: 0 };
    assert_eq!(plain.to_bytes(), bytes("0000 00000007 00"));
    let hashed = ConsumerGroupValue { epoch: 7, metadata_hash: 258 };
    assert_eq!(hashed.to_bytes(), bytes("0000 00000007 01 00 08 0000000000000102"));
    for value in [plain, hashed] {
        assert_eq!(ConsumerGroupValue::read(&value.to_bytes()), Ok(value));
    }
    assert_eq!(ConsumerGroupValue::read(&bytes("0001 00000007 00")), Err(DecodeError::Version(1)));
    let member = ConsumerMemberValue {
        instance_id: None,
        rack_id: Some("r".to_owned()),
        client_id: "c".to_owned(),
        client_host: "h".to_owned(),
        topics: vec!["a".to_owned(), "bc".to_owned()],
        regex: None,
        rebalance_timeout_ms: 10,
        assignor: Some("range".to_owned()),
    };
    let hex = "0000 00 02 72 02 63 02 68 03 02 61 03 6263 00 0000000a 06 72616e6765 00";
    assert_eq!(member.to_bytes(), bytes(hex));
    assert_eq!(ConsumerMemberValue::read(&bytes(hex)), Ok(member.clone()));
    // The tag of a member that speaks the classic protocol is passed over.
    assert_eq!(ConsumerMemberValue::read(&bytes(&hex.replace("6765 00", "6765 01 00 02 aabb"))), Ok(member));
}

#[test]
fn assignments_have_kafkas_bytes() {
    let topic = Uuid::from_u128(1);
    assert_eq!(target_epoch_to_bytes(3), bytes("0000 00000003 00"));
    assert_eq!(read_target_epoch(&bytes("0000 00000003 00")), Ok(3));
    let target = "0000 02 00000000000000000000000000000001 03 00000000 00000002 00 00";
    assert_eq!(target_to_bytes(&[(topic, 0), (topic, 2)]), bytes(target));
    assert_eq!(read_target(&bytes(target)), Ok(vec![(topic, 0), (topic, 2)]));
    let current = CurrentMemberValue {
        epoch: 5,
        previous_epoch: 4,
        state: 1,
        assigned: [((topic, 0), 4)].into_iter().collect(),
        pending_revocation: OrderedMap::new(),
    };
    let hex = "0000 00000005 00000004 01 02 00000000000000000000000000000001 02 00000000 01 00 05 02 00000004 01 00";
    assert_eq!(current.to_bytes(), bytes(hex));
    assert_eq!(CurrentMemberValue::read(&bytes(hex)), Ok(current));
    assert_eq!(read_target(&bytes("0000 ffffffff0f")), Err(DecodeError::Count), "room is made only for what can be there");
}
