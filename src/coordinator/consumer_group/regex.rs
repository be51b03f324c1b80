//! Subscriptions by regular expression: the coordinator says which topics each stands for, and looks again when topics have come.
//!
//! All expressions of a group are resolved together, so that one rebalance follows and not several, and not more often than every ten seconds. What
//! is found is written, for another coordinator to go on with. Kafka does the work beside the heartbeat that asks for it; here its records follow
//! those of the heartbeat. Source: `GroupMetadataManager.maybeUpdateRegularExpressions`, `handleRegularExpressionsResult`, `TopicRegexResolver`.

use super::heartbeat::Change;
use crate::mutant;
use crate::node::Outputs;
use crate::ordered::{OrderedMap, OrderedSet};
use crate::protocol::consumer_group_records::{ConsumerGroupKey, ResolvedRegex};
use crate::protocol::metadata::MetadataImage;
use crate::protocol::{Dialect, TopicPattern};
use uuid::Uuid;

/// `GroupMetadataManager.REGEX_BATCH_REFRESH_INTERVAL_MS`
const REFRESH_INTERVAL_MS: i64 = 10_000;

/// What a group knows of the expressions that its members subscribe to.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Regexes {
    pub(super) resolved: OrderedMap<String, ResolvedRegex>,
    /// Topics that there were when it looked last.
    seen: OrderedSet<Uuid>,
}

impl Regexes {
    fn refreshed_at(&self) -> Option<i64> {
        self.resolved.values().map(|regex| regex.timestamp).max()
    }
}

impl Change<'_> {
    /// A member subscribes to another expression than before, or to one no more. Returns whether the group has to share out anew at once, or an error
    /// in RE2's words.
    pub(super) fn regex_changes(&self, old: Option<&str>, new: Option<&str>) -> Result<bool, &'static str> {
        let Some(new) = new.filter(|_| old != new) else { return Ok(false) };
        if self.group.members.values().any(|member| member.regex.as_deref() == Some(new)) {
            return Ok(self.group.regexes.resolved.contains_key(new));
        }
        TopicPattern::parse(new, Dialect::Re2).map(|_| false)
    }

    /// Takes back what expressions stand for that nobody subscribes to any more.
    pub(super) fn forget_unused_regexes(&mut self) {
        let Change { id, group, records } = self;
        let members = &group.members;
        group.regexes.resolved.retain(|regex, _| {
            let is_used = members.values().any(|member| member.regex.as_ref() == Some(regex));
            if !is_used {
                records.push((ConsumerGroupKey::Regex { group: (*id).to_owned(), regex: regex.clone() }.to_bytes(), None));
            }
            is_used
        });
    }

    /// Looks again which topics the expressions stand for, if that is due.
    pub(super) fn refresh_regexes(&mut self, now_ms: i64, image: &MetadataImage, out: &mut Outputs) {
        let regexes: OrderedSet<&String> = self.group.members.values().filter_map(|member| member.regex.as_ref()).collect();
        let known = &self.group.regexes;
        let has_waited = known.refreshed_at().is_none_or(|at| at.saturating_add(REFRESH_INTERVAL_MS) < now_ms);
        let has_new_topics = || !mutant::is("regex-resolved-once") && image.topics.keys().any(|topic| !known.seen.contains(topic));
        let has_news = || regexes.len() != known.resolved.len() || has_new_topics();
        if regexes.is_empty() || !has_waited || !has_news() {
            return;
        }
        let resolve = |regex: &&String| {
            let pattern = TopicPattern::parse(regex, Dialect::Re2).ok()?;
            let topics = image.topic_ids.keys().filter(|name| pattern.matches(name)).map(|name| name.to_string()).collect();
            Some(((*regex).clone(), ResolvedRegex { topics, version: image.next_offset, timestamp: now_ms }))
        };
        let resolved: OrderedMap<String, ResolvedRegex> = regexes.iter().filter_map(resolve).collect();
        let topics = |regex: &str| known.resolved.get(regex).map(|known| &known.topics).filter(|topics| !topics.is_empty());
        let has_changed = resolved.iter().any(|(regex, new)| topics(regex) != Some(&new.topics).filter(|topics| !topics.is_empty()));
        for (regex, value) in &resolved {
            let key = ConsumerGroupKey::Regex { group: self.id.to_owned(), regex: regex.clone() };
            self.records.push((key.to_bytes(), Some(value.to_bytes())));
        }
        self.group.regexes = Regexes { resolved, seen: image.topics.keys().copied().collect() };
        let hash = self.group.hash_of(image);
        if has_changed || hash != self.group.metadata_hash {
            self.group.metadata_hash = hash;
            self.raise_epoch(out);
        }
    }
}
