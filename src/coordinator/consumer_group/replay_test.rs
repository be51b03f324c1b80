//! What a group is made of again when its log is read.

use super::*;

const SESSION: Time = 45_000 * MS;
const NOW: Time = 7 * MS;

fn member() -> ConsumerMember {
    ConsumerMember {
        client_id: "shop".to_owned(),
        topics: vec!["orders".to_owned()],
        rebalance_timeout: 10_000 * MS,
        assignor: Some(ServerAssignor::Range),
        epoch: 4,
        previous_epoch: 3,
        state: MemberState::UnrevokedPartitions,
        assigned: [((uuid::Uuid::from_u128(1), 0), 2)].into_iter().collect(),
        pending_revocation: [((uuid::Uuid::from_u128(1), 1), 2)].into_iter().collect(),
        expires: NOW + SESSION,
        revokes_by: Some(NOW + 10_000 * MS),
        ..ConsumerMember::default()
    }
}

#[test]
fn a_member_comes_back_whole_in_whichever_order_compaction_left_its_records() {
    let member = member();
    let (is, has) = (member.to_value().to_bytes(), member.to_current_value().to_bytes());
    let id = "m".to_owned();
    let what_it_is = |id: String| ConsumerGroupKey::Member { group: "g".to_owned(), member: id };
    let what_it_has = |id: String| ConsumerGroupKey::CurrentMember { group: "g".to_owned(), member: id };
    for records in [
        [(what_it_is(id.clone()), is.clone()), (what_it_has(id.clone()), has.clone())],
        [(what_it_has(id.clone()), has), (what_it_is(id), is)],
    ] {
        let mut group = ConsumerGroup::default();
        for (key, value) in &records {
            group.replay(NOW, SESSION, key, Some(value));
        }
        assert_eq!(group.members.get("m"), Some(&member));
    }
}
