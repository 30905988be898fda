//! The messages of a scan: every item of a store, in all groups. The responses are the same as for a list.

use prost::Message;

use super::FilterCondition;

/// Server stream: the items of the whole store.
pub const BEGIN_SCAN: &str = "/stately.db.DatabaseService/BeginScan";
/// Server stream: the next page of a scan.
pub const CONTINUE_SCAN: &str = "/stately.db.DatabaseService/ContinueScan";

/// Scans the store.
#[derive(Clone, PartialEq, Message)]
pub struct BeginScanRequest {
    /// Required.
    #[prost(uint64, tag = "1")]
    pub store_id: u64,
    /// If there are any, an item must match at least one.
    #[prost(message, repeated, tag = "2")]
    pub filter_conditions: Vec<FilterCondition>,
    /// The most items to return; 0 for all.
    #[prost(uint32, tag = "3")]
    pub limit: u32,
    /// Required.
    #[prost(uint32, tag = "5")]
    pub schema_version_id: u32,
    /// May be absent.
    #[prost(uint64, tag = "6")]
    pub schema_id: u64,
}

/// Continues a scan.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ContinueScanRequest {
    /// The token of the last page; required.
    #[prost(bytes = "vec", tag = "1")]
    pub token_data: Vec<u8>,
    /// The version from the beginning of the scan; required.
    #[prost(uint32, tag = "2")]
    pub schema_version_id: u32,
    /// May be absent.
    #[prost(uint64, tag = "3")]
    pub schema_id: u64,
}
