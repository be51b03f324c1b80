#![cfg(not(target_arch = "wasm32"))]
//! What a broker says that it can be asked (ApiVersions): nothing that cannot be read.

mod cluster;

use brokerlab::protocol::wire::{Request, Response};
use cluster::Cluster;
use cluster::direct::Direct;
use kafka_protocol::messages::ApiKey;
use std::sync::Arc;

const PRODUCE: i16 = 0;

#[test]
fn no_version_is_advertised_that_cannot_be_read() {
    let mut broker = Direct::of(&Cluster::of_brokers(1), 1);
    let Some(Response::ApiVersions(answer)) = broker.ask(Request::ApiVersions(Arc::default())) else { panic!("no answer") };
    for told in &answer.api_keys {
        let known = ApiKey::try_from(told.api_key).expect("an API").valid_versions();
        assert!(told.max_version <= known.max, "{told:?}, but {known:?}");
        // Some clients look only at whether these are there (KIP-896).
        assert!(known.min <= told.min_version || told.api_key == PRODUCE, "{told:?}, but {known:?}");
    }
}
