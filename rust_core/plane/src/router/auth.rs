//! Who calls, and what they may do.
//!
//! A caller is known by the door, by a key of the configuration, or by a [token](super::tokens).  As soon as there is
//! any key or token every call needs one; before that everybody may do everything, which is for one's own machine.

use std::{collections::HashMap, sync::Arc};

use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};

use super::{
    config::RouterConfig,
    tenants::{Tenant, Tenants},
    tokens::{Stored, Tokens, Wish},
};
use crate::{
    error::Error,
    peer::{Door, Peer},
    proto::v1,
};

/// What a caller may do; each role includes those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Ask models, and see what concerns the own tenant.
    #[default]
    Infer,
    /// See and steer the mesh.
    Operate,
    /// Give out tokens and take them back.
    Admin,
}

impl Role {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Infer => "infer",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

impl From<v1::Role> for Role {
    fn from(role: v1::Role) -> Self {
        match role {
            v1::Role::Unspecified | v1::Role::Infer => Self::Infer,
            v1::Role::Operate => Self::Operate,
            v1::Role::Admin => Self::Admin,
        }
    }
}

impl From<Role> for v1::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Infer => Self::Infer,
            Role::Operate => Self::Operate,
            Role::Admin => Self::Admin,
        }
    }
}

/// What a call takes: those that are not here take [`Role::Infer`].
const TAKES: [(&str, Role); 23] = [
    ("/waypost.v1.MeshService/ListInstances", Role::Operate),
    ("/waypost.v1.MeshService/ListRollouts", Role::Operate),
    ("/waypost.v1.MeshService/SetRollout", Role::Operate),
    ("/waypost.v1.MeshService/LoadModel", Role::Operate),
    ("/waypost.v1.MeshService/UnloadModel", Role::Operate),
    ("/waypost.v1.MeshService/GetMetrics", Role::Operate),
    ("/waypost.v1.MeshService/GetStatus", Role::Operate),
    ("/waypost.v1.MeshService/GetHistory", Role::Operate),
    ("/waypost.v1.MeshService/ListDecisions", Role::Operate),
    ("/waypost.v1.MeshService/DrainInstance", Role::Operate),
    ("/waypost.v1.MeshService/PinModel", Role::Operate),
    ("/waypost.v1.MeshService/SetWeights", Role::Operate),
    ("/waypost.v1.MeshService/SetLogLevel", Role::Operate),
    ("/waypost.v1.MeshService/Supervise", Role::Operate),
    ("/waypost.v1.MeshService/CreateToken", Role::Admin),
    ("/waypost.v1.MeshService/ListTokens", Role::Admin),
    ("/waypost.v1.MeshService/RevokeToken", Role::Admin),
    ("/inference.GRPCInferenceService/RepositoryModelLoad", Role::Operate),
    ("/inference.GRPCInferenceService/RepositoryModelUnload", Role::Operate),
    ("/inference.GRPCInferenceService/TraceSetting", Role::Operate),
    ("/inference.GRPCInferenceService/LogSettings", Role::Operate),
    ("/inference.GRPCInferenceService/SystemSharedMemoryRegister", Role::Operate),
    ("/inference.GRPCInferenceService/CudaSharedMemoryRegister", Role::Operate),
];

/// Services that say nothing but how the server is and what its contract is.
const OPEN: [&str; 3] = ["/grpc.health.v1.Health/", "/grpc.reflection.v1.", "/grpc.reflection.v1alpha."];

/// Somebody who may come in.
#[derive(Clone, Debug)]
pub struct Caller {
    /// For whom all its calls are; none: it says so itself, call by call.
    pub tenant: Option<Arc<Tenant>>,
    /// What it may do.
    pub role: Role,
    /// Its token's public part.
    pub token: Option<Arc<str>>,
    /// Where it comes from.
    pub peer: Arc<Peer>,
}

impl Caller {
    /// Whom nobody asked.
    fn anybody(peer: &Arc<Peer>) -> Self {
        Self { tenant: None, role: Role::Admin, token: None, peer: peer.clone() }
    }

    /// Whether it may do what takes `needed`.
    pub fn may(&self, needed: Role) -> Result<(), Error> {
        let (role, needs) = (self.role.as_str(), needed.as_str());
        (self.role >= needed).then_some(()).ok_or(Error::RoleTooLow { role, needs })
    }

    /// Whether it may ask about `tenant`; empty: all of them.
    pub fn may_see(&self, tenant: &str) -> Result<(), Error> {
        match &self.tenant {
            Some(own) if *own.name == *tenant => Ok(()),
            _ => self.may(Role::Operate),
        }
    }
}

/// Knows the callers.
pub struct Auth {
    required: bool,
    /// The map's own hashing is keyed at random, so the time of a look-up tells nothing about the keys.
    keys: HashMap<String, Known>,
    /// Those that were given out.
    pub tokens: Tokens,
}

/// Somebody with a key of the configuration.
struct Known {
    tenant: Arc<Tenant>,
    role: Role,
}

impl Auth {
    /// As configured.
    pub fn new(config: &RouterConfig, tenants: &Tenants, tokens: Tokens) -> Self {
        let known = |each: &super::config::Tenant| {
            let tenant = tenants.known(&each.name);
            Some((each.key.clone()?, Known { tenant, role: each.role }))
        };
        Self { required: config.auth.required, keys: config.tenants.iter().filter_map(known).collect(), tokens }
    }

    /// Whether calls must bring a key or a token.
    pub fn is_wanted(&self) -> bool {
        self.required || !self.keys.is_empty() || self.tokens.are_in_use()
    }

    /// Who calls `path`; whether they may is for [`Caller::may`] with what it [`takes`].
    pub fn identify(&self, peer: &Arc<Peer>, headers: &HeaderMap, path: &str) -> Result<Caller, Error> {
        peer.admission.clone().map_err(|why| Error::Stranger { why })?;
        if peer.door == Door::Operator || !self.is_wanted() || OPEN.iter().any(|open| path.starts_with(open)) {
            return Ok(Caller::anybody(peer));
        }
        self.known(peer, headers)
    }

    /// A new token, and its secret.  The first must be one that can make others: else nobody could, once it is there.
    pub async fn create(&self, by: &Caller, wish: Wish) -> Result<(Stored, String), Error> {
        if !self.is_wanted() && wish.role != Role::Admin {
            return Err(Error::InvalidField {
                field: "role".into(),
                actual: wish.role.as_str().into(),
                expected: "ROLE_ADMIN for the first token: from then on every call needs one".into(),
            });
        }
        by.may(wish.role)?;
        self.tokens.create(wish).await
    }

    fn known(&self, peer: &Arc<Peer>, headers: &HeaderMap) -> Result<Caller, Error> {
        let brought = headers.get(header::AUTHORIZATION).ok_or(Error::Unauthenticated { why: "no key was sent" })?;
        let key = brought.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")).map(str::trim);
        let key = key.ok_or(Error::Unauthenticated { why: "what was sent is no key" })?;
        match self.keys.get(key) {
            Some(Known { tenant, role }) => {
                Ok(Caller { tenant: Some(tenant.clone()), role: *role, token: None, peer: peer.clone() })
            }
            None => self.tokens.find(key, peer),
        }
    }
}

/// The role that a call takes.
pub fn takes(path: &str) -> Role {
    TAKES.iter().find(|(name, _)| *name == path).map_or(Role::Infer, |(_, role)| *role)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_includes_those_before_it() {
        let caller = |role| Caller { role, ..Caller::anybody(&Arc::default()) };
        assert!(caller(Role::Admin).may(Role::Infer).is_ok());
        assert!(caller(Role::Operate).may(Role::Operate).is_ok());
        assert!(caller(Role::Infer).may(Role::Operate).is_err());
    }

    #[test]
    fn what_changes_the_mesh_takes_more_than_asking_a_model() {
        assert_eq!(takes("/waypost.v1.EmbedService/Embed"), Role::Infer);
        assert_eq!(takes("/waypost.v1.MeshService/SetRollout"), Role::Operate);
        assert_eq!(takes("/waypost.v1.MeshService/CreateToken"), Role::Admin);
    }
}
