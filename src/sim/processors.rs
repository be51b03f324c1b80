//! Applications that read with one client and write with another.
//!
//! Owns who is asked after which event; what the application says is [`Processor`]'s to know. Both clients are nodes of their own, for each has its
//! connections; they are one process, and crash together.

use super::trace::Trace;
use super::world::{Application, ProcessState, World};
use crate::client::Processor;
use crate::client::processor::{Statement, calls};
use crate::node::NodeId;
use std::sync::Arc;

impl World {
    /// What a consumer reads goes to a producer from now on. Both are there: the caller has checked that.
    pub fn add_processor(&mut self, consumer: &Arc<str>, processor: Processor, trace: &mut Trace) {
        let keeps_table = processor.aggregate.is_some();
        if let Some(writer) = self.client_mut(&processor.producer.clone()) {
            writer.serves = Some(consumer.clone());
        }
        if let Some(reader) = self.client_mut(consumer) {
            reader.processor = Some(Box::new(processor));
        }
        self.act_alone(consumer, trace, &mut |_, application, _| {
            if let Application::Consumer { consumer, .. } = application {
                consumer.hand_over(keeps_table);
            }
        });
    }

    /// Something has happened to a client: an application that reads or writes with it goes on.
    pub(super) fn process_records(&mut self, node: NodeId, trace: &mut Trace) {
        let Some(reader) = self.reader_of(node) else { return };
        while let Some((producer, statement)) = self.next_statement(&reader) {
            match statement {
                Statement::Poll => self.act_alone(&reader, trace, &mut |now, application, out| {
                    if let Application::Consumer { consumer, .. } = application {
                        consumer.poll_again(now, out);
                    }
                }),
                Statement::GoBack => self.act_alone(&reader, trace, &mut |now, application, out| {
                    if let Application::Consumer { consumer, .. } = application {
                        consumer.go_back_to_committed(out);
                        consumer.poll_again(now, out);
                    }
                }),
                Statement::Assign(partitions) => self.act_alone(&reader, trace, &mut |now, application, out| {
                    if let Application::Consumer { consumer, .. } = application {
                        consumer.assign(now, partitions.clone(), out);
                    }
                }),
                Statement::Exit => {
                    for name in [&reader, &producer] {
                        self.act_alone(name, trace, &mut |now, application, out| match application {
                            Application::Consumer { consumer, .. } => consumer.close(now, out),
                            Application::Producer { producer, .. } => producer.close(now, out),
                        });
                    }
                }
                said => {
                    let mut processor = self.client_mut(&reader).and_then(|client| client.processor.take());
                    self.act_alone(&producer, trace, &mut |now, application, out| {
                        if let Application::Producer { producer, .. } = application {
                            // It is refused where the transaction has failed meanwhile: then that is what comes next.
                            calls(&said).into_iter().for_each(|call| _ = producer.call(now, call, out));
                            if let (Statement::Send(records), Some(processor)) = (&said, &mut processor) {
                                processor.send(now, records, producer, out);
                            }
                        }
                    });
                    if let Some(client) = self.client_mut(&reader) {
                        client.processor = processor;
                    }
                }
            }
        }
    }

    /// What the application of a reader says next, and the producer that it writes with.
    fn next_statement(&mut self, reader: &Arc<str>) -> Option<(Arc<str>, Statement)> {
        let producer = self.client(reader)?.processor.as_ref()?.producer.clone();
        let Application::Producer { producer: writing, .. } = &self.client(&producer)?.application else { return None };
        let transactions = writing.transactions().map(|own| (own.state(), !own.calls.is_empty()));
        let client = self.client_mut(reader).filter(|client| client.state == ProcessState::Running)?;
        let (Some(processor), Application::Consumer { consumer, .. }) = (&mut client.processor, &mut client.application) else {
            return None;
        };
        Some((producer, processor.next(transactions, consumer)?))
    }
}
