//! Static members (KIP-345): who comes back under its `group.instance.id` takes the place of the member that had it, and its assignment, without a
//! rebalance.
//!
//! Source: `GroupMetadataManager.updateStaticMemberThenRebalanceOrCompleteJoin`, `ClassicGroup.replaceStaticMember`.

use super::group::{join_error, sync_error};
use super::{Append, CoordinatorConfig, Effects, Group, GroupState, Member, Then, partition_for};
use crate::mutant;
use crate::node::{NoteKind, Outputs, RebalanceReason, Time};
use crate::protocol::ErrorCode;
use crate::protocol::wire::Response;
use std::sync::Arc;

impl Group {
    /// A member with another id takes the place of `before`, which is fenced.
    pub(super) fn replace(
        &mut self,
        now: Time,
        before: &str,
        mut member: Member,
        config: &CoordinatorConfig,
        effects: &mut Effects,
        out: &mut Outputs,
    ) {
        let Some(old) = self.swap(before, &mut member) else { return };
        if let Some(reply) = old.joining {
            effects.replies.push((reply, join_error(ErrorCode::FencedInstanceId, before)));
        }
        if let Some(reply) = old.syncing {
            effects.replies.push((reply, sync_error(ErrorCode::FencedInstanceId)));
        }
        let id = member.id.clone();
        out.note(NoteKind::MemberReplaced { group: self.id.clone(), before: old.id.clone(), member: id.clone() });
        if mutant::is("static-member-beside-itself") {
            self.members.insert(old.id.clone(), old.clone());
        }
        self.members.insert(id.clone(), member);
        match self.state {
            GroupState::Stable if self.vote() == self.protocol => {
                let records = vec![self.metadata_record(config.timestamp(now))];
                let then = Then::MemberReplaced { group: self.id.clone(), member: id, before: Box::new(old) };
                effects.appends.push(Append { partition: partition_for(&self.id, config.partitions), records, then });
            }
            // The leader has shared out to the old id.
            GroupState::Stable | GroupState::CompletingRebalance => {
                self.prepare_rebalance(now, 0, RebalanceReason::Changed, effects, out);
                self.complete_join_if_ready(now, config, effects, out);
            }
            GroupState::Empty | GroupState::PreparingRebalance => self.complete_join_if_ready(now, config, effects, out),
        }
    }

    /// Takes a member out for another, which gets its assignment and its office.
    fn swap(&mut self, before: &str, member: &mut Member) -> Option<Member> {
        let old = self.members.remove(before)?;
        member.assignment.clone_from(&old.assignment);
        member.has_synced = old.has_synced;
        if self.leader.as_deref() == Some(before) {
            self.leader = Some(member.id.clone());
        }
        Some(old)
    }

    /// The replacement is stored: the member goes on in the generation that the old one was in. A leader has nothing to share out (KIP-814).
    pub(super) fn replacement_stored(&mut self, member: &str, effects: &mut Effects) {
        let Some(reply) = self.members.get_mut(member).and_then(|member| member.joining.take()) else { return };
        let Some(mut response) = self.members.get(member).map(|member| self.rejoined(member)) else { return };
        response.skip_assignment = self.leader.as_deref() == Some(member);
        effects.replies.push((reply, Response::JoinGroup(Arc::new(response))));
    }

    /// It could not be stored: the old member has its place again.
    pub(super) fn replacement_lost(&mut self, now: Time, member: &str, mut before: Member, error: ErrorCode, effects: &mut Effects) {
        before.expires = now + before.session_timeout;
        let Some(new) = self.swap(member, &mut before) else { return };
        (before.joining, before.syncing) = (None, None);
        self.members.insert(before.id.clone(), before);
        if let Some(reply) = new.joining {
            effects.replies.push((reply, join_error(error, "")));
        }
    }
}
