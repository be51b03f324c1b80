//! Requests about access control lists: nobody is asked here who he is, so there is no authorizer to keep any.
//!
//! Source: `AclApis`.

use crate::protocol::ErrorCode;
use crate::protocol::wire;
use kafka_protocol::messages as k;

const NO_AUTHORIZER: &str = "No Authorizer is configured on the broker";

pub(super) fn describe_acls() -> k::DescribeAclsResponse {
    let response = k::DescribeAclsResponse::default().with_error_code(ErrorCode::SecurityDisabled.code());
    response.with_error_message(Some(wire::text(NO_AUTHORIZER)))
}

pub(super) fn create_acls(message: &k::CreateAclsRequest) -> k::CreateAclsResponse {
    let refused = k::create_acls_response::AclCreationResult::default().with_error_code(ErrorCode::SecurityDisabled.code());
    let refused = refused.with_error_message(Some(wire::text(NO_AUTHORIZER)));
    k::CreateAclsResponse::default().with_results(vec![refused; message.creations.len()])
}

pub(super) fn delete_acls(message: &k::DeleteAclsRequest) -> k::DeleteAclsResponse {
    let refused = k::delete_acls_response::DeleteAclsFilterResult::default().with_error_code(ErrorCode::SecurityDisabled.code());
    let refused = refused.with_error_message(Some(wire::text(NO_AUTHORIZER)));
    k::DeleteAclsResponse::default().with_filter_results(vec![refused; message.filters.len()])
}
