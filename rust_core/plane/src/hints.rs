//! What route hints may say; router and worker refuse the same.

use crate::{error::Error, proto::v1::RouteHints};

/// Refuses a cost limit that is none: a NaN or a debt would mean what nobody intends.
pub fn check(hints: &RouteHints) -> Result<(), Error> {
    let most = hints.max_cost_usd;
    if most.is_finite() && most >= 0.0 {
        return Ok(());
    }
    let expected = "a finite number of at least 0, where 0 sets no limit".into();
    Err(Error::InvalidField { field: "route.max_cost_usd", actual: most.to_string(), expected })
}
