//! What a message is about, in a few numbers: for the trace and the drawing.

use crate::node::{Body, Partition, Summary};
use crate::protocol::ErrorCode;
use crate::protocol::metadata::MetadataImage;
use crate::protocol::wire::{Api, Request, Response};
use uuid::Uuid;

/// Sums a message up; `image` gives topic ids their names.
pub fn summarise(body: &Body, image: &MetadataImage) -> Summary {
    match body {
        Body::Request(request) => of_request(request, image),
        Body::Response(response) => of_response(response, image),
    }
}

fn plain(api: Api, error: ErrorCode) -> Summary {
    Summary { api, partition: None, offset: None, records: 0, error }
}

fn named(image: &MetadataImage, topic: &Uuid, index: i32) -> Option<Partition> {
    Some(Partition { topic: image.topics.get(topic)?.name.clone(), index })
}

fn of_request(request: &Request, image: &MetadataImage) -> Summary {
    let mut summary = plain(request.api(), ErrorCode::None);
    match request {
        Request::Produce(message, batches) => {
            let first = message.topic_data.first().and_then(|topic| Some((topic.topic_id, topic.partition_data.first()?.index)));
            summary.partition = first.and_then(|(topic, index)| named(image, &topic, index));
            summary.records = batches.iter().map(|batch| batch.record_count as u32).sum();
        }
        Request::Fetch(message) => {
            let first = message.topics.first().and_then(|topic| Some((topic.topic_id, topic.partitions.first()?)));
            if let Some((topic, asked)) = first {
                summary.partition = named(image, &topic, asked.partition);
                summary.offset = Some(asked.fetch_offset);
            }
        }
        _ => {}
    }
    summary
}

fn of_response(response: &Response, image: &MetadataImage) -> Summary {
    let mut summary = plain(response.api(), response.error());
    match response {
        Response::Produce(message) => {
            let first = message.responses.first().and_then(|topic| Some((topic.topic_id, topic.partition_responses.first()?)));
            if let Some((topic, result)) = first {
                summary.partition = named(image, &topic, result.index);
                summary.offset = (0 <= result.base_offset).then_some(result.base_offset);
            }
        }
        Response::Fetch(message, batches) => {
            summary.records = batches.iter().flatten().map(|batch| batch.record_count as u32).sum();
            let partitions =
                message.responses.iter().flat_map(|topic| topic.partitions.iter().map(|data| (topic.topic_id, data.partition_index)));
            let carrying = partitions.clone().zip(batches.iter()).find(|(_, batches)| !batches.is_empty());
            let chosen = carrying.as_ref().map(|(partition, _)| *partition).or(partitions.clone().next());
            summary.partition = chosen.and_then(|(topic, index)| named(image, &topic, index));
            summary.offset = carrying.and_then(|(_, batches)| batches.first()).map(|batch| batch.base_offset);
        }
        Response::FetchMetadata(_, entries) => summary.records = entries.len() as u32,
        _ => {}
    }
    summary
}
