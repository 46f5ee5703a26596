//! What route hints may say; router and worker refuse the same.

use crate::{error::Error, proto::v1::RouteHints};

/// Bytes of a tenant's name.
const TENANT_BYTES: usize = 64;

/// Refuses a cost limit that is none, since a NaN or a debt would mean what nobody intends, and a tenant without end.
pub fn check(hints: &RouteHints) -> Result<(), Error> {
    let most = hints.max_cost_usd;
    if !most.is_finite() || most < 0.0 {
        let expected = "a finite number of at least 0, where 0 sets no limit".into();
        return Err(Error::InvalidField { field: "route.max_cost_usd".into(), actual: most.to_string(), expected });
    }
    if hints.tenant.len() > TENANT_BYTES {
        let (actual, expected) = (format!("{} bytes", hints.tenant.len()), format!("of at most {TENANT_BYTES} bytes"));
        return Err(Error::InvalidField { field: "route.tenant".into(), actual, expected });
    }
    Ok(())
}
