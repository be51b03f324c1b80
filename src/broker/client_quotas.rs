//! Client quotas: whoever takes more than its limit has to wait before the broker hears it again.
//!
//! Owns how much each payer has taken lately from this broker. The rate is Kafka's: of so many samples, over one less at least, so that who was silent may
//! take a window's worth at once. The answer says how long the client shall wait, and the broker does not read from its connection meanwhile (KIP-219);
//! a consumer gets nothing until it has waited. Source: `ClientQuotaManager`, `ClientRequestQuotaManager`, `Rate`, `QuotaUtils`,
//! `KafkaApis.handleFetchRequest`, `ClientQuotaCache`; KIP-13, KIP-55, KIP-124, KIP-546.

use super::Broker;
use super::throttle::Samples;
use super::work::Job;
use crate::mutant;
use crate::node::{Connection, MS, NodeId, NoteKind, Outputs, Time};
use crate::ordered::OrderedMap;
use crate::protocol::Batch;
use crate::protocol::ErrorCode;
use crate::protocol::client_quotas::{Payer, Quota, QuotaEntity, QuotaWindow, Whose, limit};
use crate::protocol::wire::{self, MESSAGE_BYTES, Response, size_of_batches};
use k::describe_client_quotas_request::ComponentData;
use k::describe_client_quotas_response::{EntityData, EntryData, ValueData};
use kafka_protocol::messages as k;
use std::sync::Arc;

/// Limits are counted in thousandths.
const PARTS: f64 = 1_000.0;

/// What clients have taken lately.
#[derive(Clone, Default, Debug)]
pub(super) struct Taken {
    by_payer: OrderedMap<(Quota, Payer), Samples>,
}

impl Taken {
    /// How many milliseconds a payer has to wait that takes so much more now, with a limit a second.
    fn wait(&self, now: Time, window: QuotaWindow, who: &(Quota, Payer), amount: u64, limit: f64) -> u64 {
        let window = if mutant::is("quota-window-of-two") { QuotaWindow { samples: 2, ..window } } else { window };
        let (since, before) = self.by_payer.get(who).and_then(|samples| samples.since(now, window)).unwrap_or((now, 0));
        let lasts = measured_over(now - since, window) / MS;
        let parts = ((limit * PARTS).round() as u128).max(1);
        // As long as it takes until all of it is within the limit.
        let needs = (u128::from(before.saturating_add(amount)) * 1_000 * PARTS as u128 + parts / 2) / parts;
        u64::try_from(needs.saturating_sub(u128::from(lasts.max(1)))).unwrap_or(u64::MAX)
    }

    fn record(&mut self, now: Time, window: QuotaWindow, who: (Quota, Payer), amount: u64) {
        if !self.by_payer.contains_key(&who) {
            // Who was silent for long has no past.
            self.by_payer.retain(|_, samples| samples.since(now, window).is_some());
        }
        self.by_payer.or_default(who).record(now, window, amount);
    }
}

/// What a rate is measured over: since the oldest sample, and over all samples but one at least (`Rate.windowSize`).
fn measured_over(since_oldest: Time, window: QuotaWindow) -> Time {
    let (whole, least) = (since_oldest / window.lasts, window.samples.saturating_sub(1) as u64);
    since_oldest.saturating_add(least.saturating_sub(whole).saturating_mul(window.lasts))
}

impl Broker {
    /// Who pays for a client, and the limit.
    fn limit(&self, from: Connection, quota: Quota) -> Option<((Quota, Payer), f64)> {
        let (payer, limit) = limit(&self.image.client_quotas, &self.connections.in_work(from)?.client_id, quota)?;
        // A percent of a thread is ten milliseconds in a second.
        Some(((quota, payer), if quota == Quota::RequestPercentage { limit * 10_000.0 } else { limit }))
    }

    /// Charges the client for what is asked; returns the milliseconds that it has to wait.
    fn charge(&mut self, from: Connection, quota: Quota, amount: u64) -> u64 {
        let Some((who, limit)) = self.limit(from, quota) else { return 0 };
        let window = self.config.client_quota_window;
        let waits = self.taken.wait(self.now, window, &who, amount, limit);
        self.taken.record(self.now, window, who, amount);
        waits
    }

    fn has_quotas(&self, from: Connection) -> bool {
        !self.image.client_quotas.is_empty() && matches!(from.peer, NodeId::Client(_))
    }

    /// What the request in work has kept threads busy for; a client never waits longer for it than a sample lasts.
    fn charge_for_threads(&mut self, from: Connection) -> u64 {
        let took = self.connections.in_work(from).map_or(0, |in_work| in_work.took);
        let most = if mutant::is("quota-thread-wait-unbounded") { u64::MAX } else { self.config.client_quota_window.lasts / MS };
        if took == 0 { 0 } else { self.charge(from, Quota::RequestPercentage, took).min(most) }
    }

    /// A request is about to be answered: how long its connection has to wait then. The answer says so.
    pub(super) fn charge_request(&mut self, from: Connection, response: &mut Response, out: &mut Outputs) -> Time {
        if !self.has_quotas(from) {
            return 0;
        }
        let waits = match response {
            // It was charged when it was decided whether there is anything for the client.
            Response::Fetch(message, _) => message.throttle_time_ms as u64,
            Response::Produce(_) => self.charge_for_bytes(from).max(self.charge_for_threads(from)),
            _ => self.charge_for_threads(from),
        };
        if 0 < waits {
            response.set_throttle_time_ms(i32::try_from(waits).unwrap_or(i32::MAX));
        }
        self.throttled(from, waits, out)
    }

    /// The same where no answer is wanted.
    pub(super) fn charge_unanswered(&mut self, from: Connection, out: &mut Outputs) -> Time {
        let waits = if self.has_quotas(from) { self.charge_for_bytes(from) } else { 0 };
        self.throttled(from, waits, out)
    }

    fn charge_for_bytes(&mut self, from: Connection) -> u64 {
        let bytes = self.connections.in_work(from).map_or(0, |in_work| in_work.bytes);
        self.charge(from, Quota::ProducerByteRate, bytes)
    }

    /// Lets a connection's next request in, at once or when its client has waited as long as its quota says.
    pub(super) fn listen_again(&mut self, to: Connection, correlation: u32, waits: Time, out: &mut Outputs) {
        if waits == 0 || mutant::is("quota-told-unmuted") {
            self.connections.answered(to, correlation);
        } else {
            self.work.start(self.now.saturating_add(waits), Job::Listen { to, correlation }, out);
        }
    }

    fn throttled(&self, from: Connection, ms: u64, out: &mut Outputs) -> Time {
        if 0 < ms
            && let Some(in_work) = self.connections.in_work(from)
        {
            out.note(NoteKind::ClientThrottled { client: in_work.client_id.clone(), ms });
        }
        ms.saturating_mul(MS)
    }

    /// How many milliseconds a consumer has to wait before it may have this, for its bytes or its requests; 0: it may have it now, and is charged for it.
    pub(super) fn charge_fetch(&mut self, from: Connection, batches: &[Vec<Batch>]) -> i32 {
        if !self.has_quotas(from) {
            return 0;
        }
        let bytes = MESSAGE_BYTES + batches.iter().map(|batches| size_of_batches(batches)).sum::<u64>();
        let mut waits = self.charge_for_threads(from);
        if let Some((who, limit)) = self.limit(from, Quota::ConsumerByteRate) {
            let window = self.config.client_quota_window;
            waits = waits.max(self.taken.wait(self.now, window, &who, bytes, limit));
            if waits == 0 {
                self.taken.record(self.now, window, who, bytes);
            }
        }
        i32::try_from(waits).unwrap_or(i32::MAX)
    }

    /// A fetch asks for no more than can ever be had at once.
    pub(super) fn within_quota(&self, from: Connection, mut message: Arc<k::FetchRequest>) -> Arc<k::FetchRequest> {
        if !self.has_quotas(from) {
            return message;
        }
        let Some((_, limit)) = self.limit(from, Quota::ConsumerByteRate) else { return message };
        let window = self.config.client_quota_window;
        let seconds = window.samples.saturating_sub(1) as u64 * (window.lasts / (1_000 * MS));
        let most = (limit as u64).saturating_mul(seconds).min(i32::MAX as u64) as i32;
        let asked = Arc::make_mut(&mut message);
        asked.max_bytes = asked.max_bytes.min(most);
        asked.min_bytes = asked.min_bytes.min(asked.max_bytes);
        message
    }

    pub(super) fn describe_client_quotas(&self, message: &k::DescribeClientQuotasRequest) -> k::DescribeClientQuotasResponse {
        let response = k::DescribeClientQuotasResponse::default();
        let filter = match Filter::of(message) {
            Ok(filter) => filter,
            Err((error, sentence)) => {
                let response = response.with_error_code(error.code()).with_error_message(Some(wire::text(&sentence)));
                return response.with_entries(None);
            }
        };
        let entry = |(entity, limits): (&QuotaEntity, &OrderedMap<String, f64>)| {
            let part = |kind: &str, whose: &Option<Whose>| {
                let name = match whose.as_ref()? {
                    Whose::Default => None,
                    Whose::Named(name) => Some(wire::text(name)),
                };
                Some(EntityData::default().with_entity_type(wire::text(kind)).with_entity_name(name))
            };
            let value = |(name, limit): (&String, &f64)| ValueData::default().with_key(wire::text(name)).with_value(*limit);
            let parts = [part("user", &entity.user), part("client-id", &entity.client_id)];
            let entry = EntryData::default().with_entity(parts.into_iter().flatten().collect());
            entry.with_values(limits.iter().map(value).collect())
        };
        response.with_entries(Some(self.image.client_quotas.iter().filter(|(entity, _)| filter.matches(entity)).map(entry).collect()))
    }
}

/// Which entities are asked for.
struct Filter<'a> {
    user: Option<&'a ComponentData>,
    client_id: Option<&'a ComponentData>,
    /// An entity has no other part than those that are named.
    strict: bool,
    /// What nobody here has is asked for.
    nobody: bool,
}

const EXACT: i8 = 0;
const DEFAULT: i8 = 1;
const ANY: i8 = 2;

impl<'a> Filter<'a> {
    fn of(message: &'a k::DescribeClientQuotasRequest) -> Result<Filter<'a>, (ErrorCode, String)> {
        let mut filter = Filter { user: None, client_id: None, strict: message.strict, nobody: false };
        let mut ip = None;
        for part in &message.components {
            let place = match part.entity_type.as_str() {
                "user" => &mut filter.user,
                "client-id" => &mut filter.client_id,
                "ip" => &mut ip,
                "" => return Err((ErrorCode::InvalidRequest, "Unexpected empty filter component entity type".to_owned())),
                other => return Err((ErrorCode::UnsupportedVersion, format!("Custom entity type {other} not supported"))),
            };
            if !(EXACT..=ANY).contains(&part.match_type) {
                return Err((ErrorCode::InvalidRequest, format!("Unexpected match type: {}", part.match_type)));
            }
            if place.replace(part).is_some() {
                return Err((ErrorCode::InvalidRequest, format!("Duplicate {} filter component entity type", part.entity_type.as_str())));
            }
        }
        let of_clients = filter.user.is_some() || filter.client_id.is_some();
        if ip.is_some() && of_clients {
            let sentence = "Invalid entity filter component combination, IP filter component should not be used with User or ClientId filter component.";
            return Err((ErrorCode::InvalidRequest, sentence.to_owned()));
        }
        filter.nobody = ip.is_some() || message.strict && !of_clients;
        Ok(filter)
    }

    fn matches(&self, entity: &QuotaEntity) -> bool {
        let fits = |asked: Option<&ComponentData>, whose: &Option<Whose>| match (asked, whose) {
            (None, whose) => !self.strict || whose.is_none(),
            (Some(_), None) => false,
            (Some(asked), Some(whose)) => match (asked.match_type, whose) {
                (ANY, _) | (DEFAULT, Whose::Default) => true,
                (EXACT, Whose::Named(name)) => asked._match.as_deref() == Some(&**name),
                _ => false,
            },
        };
        !self.nobody && fits(self.user, &entity.user) && fits(self.client_id, &entity.client_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Time = 1_000 * MS;

    const WINDOW: QuotaWindow = QuotaWindow { samples: 3, lasts: SECOND };
    const WHO: (Quota, Payer) = (Quota::ProducerByteRate, Payer { by_user: false, client_id: None });

    fn take(taken: &mut Taken, now: Time, amount: u64) -> u64 {
        let waits = taken.wait(now, WINDOW, &WHO, amount, 100.0);
        taken.record(now, WINDOW, WHO, amount);
        waits
    }

    #[test]
    fn who_was_silent_takes_a_windows_worth_at_once_and_then_waits_as_long_as_what_is_too_much_takes() {
        let mut taken = Taken::default();
        // Two seconds are measured at least: 200 bytes.
        assert_eq!(take(&mut taken, 0, 200), 0);
        // 250 bytes take 2,500 ms, of which 2,000 are over.
        assert_eq!(take(&mut taken, 0, 50), 500);
        // A second later: still over two seconds, for one whole one is over and two are measured.
        assert_eq!(take(&mut taken, SECOND, 0), 500);
        assert_eq!(take(&mut taken, 2 * SECOND + SECOND / 2, 0), 0);
        // The first sample is gone after three seconds; the one of the first second is empty.
        assert_eq!(take(&mut taken, 3 * SECOND, 200), 0);
    }

    #[test]
    fn no_limit_and_no_window_is_too_large_to_be_reckoned_with() {
        let window = QuotaWindow { samples: i32::MAX as usize, lasts: i32::MAX as u64 * SECOND };
        let mut taken = Taken::default();
        taken.record(0, window, WHO, u64::MAX);
        assert_eq!(taken.wait(0, window, &WHO, u64::MAX, f64::MIN_POSITIVE), u64::MAX);
        assert_eq!(taken.wait(SECOND, window, &WHO, u64::MAX, f64::MAX), 0);
    }
}
