//! The topics that a consumer subscribes to: named once and for all, or what a pattern matches among the topics that it hears of.
//!
//! Who subscribes by a pattern asks about all topics, hears of them anew before it joins, and joins again when others match. Source: `SubscriptionState`
//! (`subscribeFromPattern`), `ConsumerCoordinator` (`maybeUpdateSubscriptionMetadata`, `poll`, `rejoinNeededOrPending`).

use super::{Consumer, MemberState, Reads};
use crate::node::{Time, TopicName};
use crate::protocol::{Dialect, TopicPattern};
use kafka_protocol::messages as k;
use std::sync::Arc;

#[derive(Clone, Debug)]
pub struct Subscription {
    /// In order, each once, if they come from a pattern.
    topics: Vec<TopicName>,
    pattern: Option<TopicPattern>,
    /// Before it joins it has to hear of all topics.
    awaits_topics: bool,
    /// What it subscribed to when it joined last.
    joined: Vec<TopicName>,
}

impl Subscription {
    pub fn of(reads: &Reads, reports: bool) -> Subscription {
        let (topics, pattern) = match reads {
            Reads::Subscribed(topics) => (topics.clone(), None),
            Reads::Matching(text) if !reports => (Vec::new(), TopicPattern::parse(text, Dialect::Java).ok()),
            Reads::Matching(_) | Reads::Assigned(_) => (Vec::new(), None),
        };
        Subscription { topics, awaits_topics: pattern.is_some(), pattern, joined: Vec::new() }
    }
}

impl Consumer {
    /// The topics that it subscribes to now, as far as it knows them itself.
    pub fn subscribed_topics(&self) -> &[TopicName] {
        &self.subscription.topics
    }

    /// What the pattern matches among all topics.
    pub(super) fn match_topics(&mut self, message: &k::MetadataResponse) {
        let Some(pattern) = &self.subscription.pattern else { return };
        let is_seen = |topic: &&k::metadata_response::MetadataResponseTopic| {
            topic.error_code == 0 && !(topic.is_internal && self.config.exclude_internal)
        };
        let names = message.topics.iter().filter(is_seen).filter_map(|topic| topic.name.as_ref());
        let mut topics: Vec<TopicName> = names.filter(|name| pattern.matches(name)).map(|name| Arc::from(name.as_str())).collect();
        topics.sort_unstable();
        self.subscription.topics = topics;
        self.subscription.awaits_topics = false;
    }

    /// Whether it may join now, as far as its topics are concerned.
    pub(super) fn knows_its_topics(&self) -> bool {
        !self.subscription.awaits_topics
    }

    /// It is to join again: with what matches then.
    pub(super) fn match_again(&mut self, now: Time) {
        if self.subscription.pattern.is_some() {
            self.subscription.awaits_topics = true;
            self.network.want_all(now);
        }
    }

    /// It joins with the topics that it knows.
    pub(super) fn joins_with_topics(&mut self) {
        self.subscription.joined.clone_from(&self.subscription.topics);
    }

    /// Joins again if it subscribes to other topics than its group knows of.
    pub(super) fn keep_subscription(&mut self, now: Time) {
        let has_changed = self.subscription.pattern.is_some() && self.subscription.joined != self.subscription.topics;
        if has_changed && self.membership.state == MemberState::Stable {
            self.rejoin_at(now);
        }
    }
}
