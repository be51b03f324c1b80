//! How many partitions clients may have made and deleted (KIP-599): a bucket of tokens for each payer, that fills at the quota's rate.
//!
//! What is asked for while tokens are left is done whole, though they may not be enough: then nothing more is until the bucket is filled again so far.
//! What brokers ask for is not counted. Source: `ControllerMutationQuotaManager`, `StrictControllerMutationQuota`, `TokenBucket`.

use super::{Controller, Refused};
use crate::node::{NodeId, Time};
use crate::ordered::OrderedMap;
use crate::protocol::ErrorCode;
use crate::protocol::client_quotas::{Payer, Quota, limit};
use std::sync::Arc;

/// Tokens are counted in parts: a rate in thousandths fills so many in a microsecond.
const TOKEN: i128 = 1_000_000_000;

/// Whose request is served, and the tokens of those who have a quota.
#[derive(Clone, Debug)]
pub(super) struct Mutations {
    asker: Option<Arc<str>>,
    now: Time,
    /// Tokens, and when they were counted.
    buckets: OrderedMap<Payer, (i128, Time)>,
    /// How long the asker shall wait before it asks again.
    pub throttle_ms: i32,
}

impl Mutations {
    pub fn new() -> Mutations {
        Mutations { asker: None, now: 0, buckets: OrderedMap::new(), throttle_ms: 0 }
    }

    pub fn begin(&mut self, now: Time, peer: NodeId, client_id: &Arc<str>) {
        (self.now, self.throttle_ms) = (now, 0);
        self.asker = matches!(peer, NodeId::Admin | NodeId::Client(_)).then(|| client_id.clone());
    }
}

impl Controller {
    /// The asker has so many partitions made or deleted, if it may.
    pub(super) fn spend(&mut self, partitions: i32) -> Result<(), Refused> {
        let quotas = &self.image.client_quotas;
        let Some((payer, limit)) =
            self.mutations.asker.as_ref().filter(|_| !quotas.is_empty()).and_then(|id| limit(quotas, id, Quota::ControllerMutationRate))
        else {
            return Ok(());
        };
        let parts = ((limit * 1_000.0).round() as i128).max(1);
        let window = self.config.quota_window;
        let most = parts.saturating_mul(i128::from(window.lasts)).saturating_mul(window.samples as i128);
        let now = self.mutations.now;
        let filled = |(tokens, at): &(i128, Time)| most.min(tokens.saturating_add(parts.saturating_mul(i128::from(now - at))));
        let full = self.mutations.buckets.get(&payer).map_or(most, filled);
        if full < 0 {
            let wait_ms = -full / parts / 1_000;
            self.mutations.throttle_ms = i32::try_from(wait_ms).unwrap_or(i32::MAX).max(1);
            return Err((ErrorCode::ThrottlingQuotaExceeded, ErrorCode::ThrottlingQuotaExceeded.message().to_owned()));
        }
        self.mutations.buckets.insert(payer, (full - i128::from(partitions) * TOKEN, now));
        Ok(())
    }
}
