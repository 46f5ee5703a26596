//! Metadata that router and worker exchange.

/// On a forwarded call that names no model: the model the router chose.
pub const MODEL: &str = "waypost-model";
/// In a reply's trailers: the instance that answered.
pub const INSTANCE: &str = "waypost-instance";
/// In a reply's trailers: why that instance was chosen.
pub const REASON: &str = "waypost-reason";
/// In a reply's trailers: attempts the answer took.
pub const ATTEMPTS: &str = "waypost-attempts";
