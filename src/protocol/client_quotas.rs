//! Client quotas: whom each is for, and which of them a client has to keep to.
//!
//! Source: `ClientQuotaEntity`, `ClientQuotaManager.DefaultQuotaCallback`, `QuotaConfigs`; KIP-55, KIP-124, KIP-546.

use crate::mutant;
use crate::ordered::OrderedMap;
use std::sync::Arc;

/// Whoever has no quota of his own (`ConfigEntityName.DEFAULT`).
pub const DEFAULT_ENTITY: &str = "<default>";
/// Every client's user: nobody says here who he is.
const USER: &str = "ANONYMOUS";

/// What is limited.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Quota {
    /// Bytes a second that it may send in Produce requests.
    ProducerByteRate,
    /// Bytes a second that it may be sent in answers to Fetch.
    ConsumerByteRate,
    /// How busy it may keep a broker's threads; 100 is one of them all the time.
    RequestPercentage,
    /// Partitions a second that it may have made or deleted.
    ControllerMutationRate,
}

impl Quota {
    pub const ALL: [Quota; 4] = [Quota::ProducerByteRate, Quota::ConsumerByteRate, Quota::RequestPercentage, Quota::ControllerMutationRate];

    pub fn name(self) -> &'static str {
        match self {
            Quota::ProducerByteRate => "producer_byte_rate",
            Quota::ConsumerByteRate => "consumer_byte_rate",
            Quota::RequestPercentage => "request_percentage",
            Quota::ControllerMutationRate => "controller_mutation_rate",
        }
    }

    /// Whether its limit is a whole number.
    pub fn is_whole(self) -> bool {
        matches!(self, Quota::ProducerByteRate | Quota::ConsumerByteRate)
    }
}

/// What a rate is measured over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QuotaWindow {
    pub samples: usize,
    /// How long each of them lasts, in virtual microseconds.
    pub lasts: u64,
}

/// One user or client id, or whoever has no quota of its own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Whose {
    Default,
    Named(Arc<str>),
}

/// Whom a quota is for: a user, a client id, or both together. One of the two is there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct QuotaEntity {
    pub user: Option<Whose>,
    pub client_id: Option<Whose>,
}

impl std::fmt::Display for QuotaEntity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let part = |kind: &str, whose: &Option<Whose>| match whose {
            None => None,
            Some(Whose::Default) => Some(format!("every {kind}")),
            Some(Whose::Named(name)) => Some(format!("{kind} {name}")),
        };
        let parts: Vec<String> = [part("user", &self.user), part("client id", &self.client_id)].into_iter().flatten().collect();
        f.write_str(&parts.join(", "))
    }
}

/// The limits of each entity, by name.
pub type ClientQuotas = OrderedMap<QuotaEntity, OrderedMap<String, f64>>;

/// Who shares a limit: clients of one user, those of one id, or those of one id and one user.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Payer {
    pub by_user: bool,
    pub client_id: Option<Arc<str>>,
}

/// The limit that a client has to keep to, and who shares it: of all that are for it the most special one.
pub fn limit(quotas: &ClientQuotas, client_id: &Arc<str>, quota: Quota) -> Option<(Payer, f64)> {
    let levels = |name: &Arc<str>| [Some(Whose::Named(name.clone())), Some(Whose::Default), None];
    for user in levels(&Arc::from(USER)) {
        let mut clients = levels(client_id);
        if mutant::is("quota-of-the-default") {
            clients.swap(0, 1);
        }
        for client in clients {
            let entity = QuotaEntity { user: user.clone(), client_id: client };
            if let Some(limit) = quotas.get(&entity).and_then(|limits| limits.get(quota.name())) {
                let client_id = entity.client_id.map(|_| client_id.clone());
                return Some((Payer { by_user: user.is_some(), client_id }, *limit));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_special_quota_counts_in_kafkas_order() {
        let whose = |name: &str| match name {
            "" => None,
            "*" => Some(Whose::Default),
            name => Some(Whose::Named(Arc::from(name))),
        };
        // From the weakest to the strongest.
        let order =
            [("", "*"), ("", "app"), ("*", ""), ("*", "*"), ("*", "app"), ("ANONYMOUS", ""), ("ANONYMOUS", "*"), ("ANONYMOUS", "app")];
        let mut quotas = ClientQuotas::new();
        let entity = |user, client| QuotaEntity { user: whose(user), client_id: whose(client) };
        for (user, client) in [("ben", ""), ("ben", "app"), ("*", "other"), ("", "other")] {
            quotas.or_default(entity(user, client)).insert("producer_byte_rate".to_owned(), 0.5);
        }
        let app = Arc::from("app");
        assert_eq!(limit(&quotas, &app, Quota::ProducerByteRate), None);
        for (rank, (user, client)) in (1..).zip(order) {
            quotas.or_default(entity(user, client)).insert("producer_byte_rate".to_owned(), f64::from(rank));
            let payer = Payer { by_user: !user.is_empty(), client_id: (!client.is_empty()).then(|| Arc::from("app")) };
            assert_eq!(limit(&quotas, &app, Quota::ProducerByteRate), Some((payer, f64::from(rank))), "{user}/{client}");
        }
        assert_eq!(limit(&quotas, &app, Quota::ConsumerByteRate), None);
    }
}
