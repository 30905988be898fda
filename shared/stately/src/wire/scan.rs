//! The messages of a scan: every item of a store, whatever its group. Its answers are those of a list.

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
    /// An item has to meet one of them, if there are any.
    #[prost(message, repeated, tag = "2")]
    pub filter_conditions: Vec<FilterCondition>,
    /// How many at most; 0 for all.
    #[prost(uint32, tag = "3")]
    pub limit: u32,
    /// Required.
    #[prost(uint32, tag = "5")]
    pub schema_version_id: u32,
    /// May be absent.
    #[prost(uint64, tag = "6")]
    pub schema_id: u64,
}

/// Goes on with a scan.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ContinueScanRequest {
    /// From the last page; required.
    #[prost(bytes = "vec", tag = "1")]
    pub token_data: Vec<u8>,
    /// That of the scan's beginning; required.
    #[prost(uint32, tag = "2")]
    pub schema_version_id: u32,
    /// May be absent.
    #[prost(uint64, tag = "3")]
    pub schema_id: u64,
}
