//! Metadata that client, router and worker exchange.

/// On a forwarded call: the model the router chose.
pub const MODEL: &str = "waypost-model";
/// On a forwarded call: the tenant whose key the caller brought.
pub const TENANT: &str = "waypost-tenant";
/// On a call of the HTTP gateway: `ip:port` of its caller.
pub const PEER: &str = "waypost-peer";
/// On a call, or given by the router: what the call is called in logs and feedback.
pub const REQUEST_ID: &str = "x-request-id";
/// In a reply's trailers: the instance that answered.
pub const INSTANCE: &str = "waypost-instance";
/// In a reply's trailers: why that model and that instance were chosen.
pub const REASON: &str = "waypost-reason";
/// In a reply's trailers: attempts the answer took.
pub const ATTEMPTS: &str = "waypost-attempts";
/// In a reply's trailers: the model that answered.
pub const SERVED_MODEL: &str = "waypost-served-model";
/// In a reply's trailers: models that were asked, in order, where they were several.
pub const HOPS: &str = "waypost-hops";
/// In a reply's trailers: how much model the prompt was given.
pub const TIER: &str = "waypost-tier";
/// In a reply's trailers: US dollars that the call came to, all attempts together.
pub const COST: &str = "waypost-cost-usd";
/// In a reply's trailers: US dollars left this month, of the tighter limit.
pub const REMAINING: &str = "waypost-budget-remaining-usd";
/// In a reply's trailers: "hit", "near" (of a prompt that means the same) or "miss", where the answer may be kept.
pub const CACHE: &str = "waypost-cache";
/// In a reply's trailers: name for feedback.
pub const ANSWER_ID: &str = "waypost-request-id";
/// In a reply's trailers: what the guard remarked.
pub const GUARD: &str = "waypost-guard";
/// In a reply's trailers: the document whose policy was applied.
pub const POLICY: &str = "waypost-policy";
/// In a reply's trailers: how good the answer was found, 0 to 1.
pub const QUALITY: &str = "waypost-quality";
/// Seconds that the call waited for an instance to be started.
pub const WAITED: &str = "waypost-waited";
