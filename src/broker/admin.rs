//! What admin tools ask a broker to describe: it answers at once, from what it knows. Groups are described by their coordinator.

use super::{Broker, acls};
use crate::node::{Connection, Outputs, Time};
use crate::protocol::wire::{Request, Response};
use std::sync::Arc;

impl Broker {
    pub(super) fn admin_request(&mut self, now: Time, from: Connection, correlation: u32, request: Request, out: &mut Outputs) {
        let response = match request {
            Request::DescribeConfigs(message) => Response::DescribeConfigs(Arc::new(self.describe_configs(&message))),
            Request::DescribeCluster(message) => Response::DescribeCluster(Arc::new(self.describe_cluster(&message))),
            Request::DescribeAcls(_) => Response::DescribeAcls(Arc::new(acls::describe_acls())),
            Request::CreateAcls(message) => Response::CreateAcls(Arc::new(acls::create_acls(&message))),
            Request::DeleteAcls(message) => Response::DeleteAcls(Arc::new(acls::delete_acls(&message))),
            Request::AlterReplicaLogDirs(message) => Response::AlterReplicaLogDirs(Arc::new(self.alter_replica_log_dirs(&message))),
            Request::ListConfigResources(message) => Response::ListConfigResources(Arc::new(self.list_config_resources(&message))),
            Request::DescribeLogDirs(message) => Response::DescribeLogDirs(Arc::new(self.describe_log_dirs(&message))),
            Request::DescribeTransactions(message) => Response::DescribeTransactions(Arc::new(self.describe_transactions(&message))),
            Request::ListTransactions(message) => Response::ListTransactions(Arc::new(self.list_transactions(now, &message))),
            Request::DescribeProducers(message) => Response::DescribeProducers(Arc::new(self.describe_producers(&message))),
            Request::DescribeTopicPartitions(message) => {
                Response::DescribeTopicPartitions(Arc::new(self.describe_topic_partitions(&message)))
            }
            Request::DescribeClientQuotas(message) => Response::DescribeClientQuotas(Arc::new(self.describe_client_quotas(&message))),
            // No other is brought here.
            _ => return,
        };
        self.respond(from, correlation, response, out);
    }
}
