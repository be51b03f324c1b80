//! What may be done with a resource, as one number of many bits: nobody forbids anything here.
//!
//! Source: `AclOperation`, `AclEntry.supportedOperations`, `AuthHelper.authorizedOperations`; KIP-430.

const READ: i32 = 1 << 3;
const WRITE: i32 = 1 << 4;
const CREATE: i32 = 1 << 5;
const DELETE: i32 = 1 << 6;
const ALTER: i32 = 1 << 7;
const DESCRIBE: i32 = 1 << 8;
const CLUSTER_ACTION: i32 = 1 << 9;
const DESCRIBE_CONFIGS: i32 = 1 << 10;
const ALTER_CONFIGS: i32 = 1 << 11;
const IDEMPOTENT_WRITE: i32 = 1 << 12;

/// Nobody has asked.
const UNTOLD: i32 = i32::MIN;

pub const ON_TOPICS: i32 = READ | WRITE | CREATE | DESCRIBE | DELETE | ALTER | DESCRIBE_CONFIGS | ALTER_CONFIGS;
pub const ON_GROUPS: i32 = READ | DESCRIBE | DELETE | DESCRIBE_CONFIGS | ALTER_CONFIGS;
pub const ON_CLUSTER: i32 = CREATE | CLUSTER_ACTION | DESCRIBE_CONFIGS | ALTER_CONFIGS | IDEMPOTENT_WRITE | ALTER | DESCRIBE;

/// These operations, if they are asked for.
pub fn told(is_asked: bool, operations: i32) -> i32 {
    if is_asked { operations } else { UNTOLD }
}
