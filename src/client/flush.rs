//! A producer's `flush` and `close`: nothing waits for fuller batches any more.
//!
//! Source: `KafkaProducer.flush`, `KafkaProducer.close`, `RecordAccumulator.beginFlush`.

use super::producer::Producer;
use crate::node::{Outputs, Time};

impl Producer {
    /// The application calls `close`: what is buffered is still sent, without waiting for fuller batches, and then what was not committed is aborted.
    pub fn close(&mut self, now: Time, out: &mut Outputs) {
        self.closing = true;
        self.generator = None;
        self.accumulator.flush();
        self.drive(now, out);
    }

    /// The application calls `flush`: what is buffered is sent without waiting for more, and until all of it is answered it makes no records.
    pub fn flush(&mut self, now: Time, out: &mut Outputs) {
        (self.flushing, self.accumulator.is_flushing) = (true, true);
        self.drive(now, out);
    }

    /// Whether `flush` has returned, as it does once nothing is buffered or on its way that has not failed.
    pub(super) fn end_flush(&mut self) {
        if self.flushing && self.buffered() == 0 && self.undone().next().is_none() {
            (self.flushing, self.accumulator.is_flushing) = (false, false);
        }
    }

    /// Whether `close` has returned.
    pub fn is_closed(&self) -> bool {
        self.closing && self.buffered() == 0 && self.in_flight() == 0 && self.transactions.as_ref().is_none_or(|own| !own.is_open())
    }
}
