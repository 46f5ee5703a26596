//! Tokens that are given out and taken back while the router runs.
//!
//! A token is `wp_ID_SECRET`: eight hexadecimal digits to speak of it by, and 256 random bits.  Only the SHA-256 of the
//! whole is kept; of a random secret of that size nothing slower is needed.  Each is a document of the store that the
//! routers of a mesh share, read again every second.  A store that is away leaves the tokens as they were.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use parking_lot::RwLock;
use ring::{
    digest,
    rand::{SecureRandom, SystemRandom},
};
use serde::{Deserialize, Serialize};
use waypost_store::{Document, PutError, Store, StoreError};

use super::{
    auth::{Caller, Role},
    tenants::{Tenant, Tenants},
};
use crate::{error::Error, peer::Peer, proto::v1};

const PREFIX: &str = "tokens/";
const NOTE_BYTES: usize = 128;
const NAME_BYTES: usize = 64;
/// When to come back while the store is away.
const STORE_PAUSE: Duration = Duration::from_secs(1);

type Hash = [u8; 32];

/// What is kept of a token.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Stored {
    id: Arc<str>,
    tenant: String,
    role: Role,
    note: String,
    /// Seconds since 1970, as are the others.
    created: u64,
    expires: Option<u64>,
    revoked: Option<u64>,
    /// Hexadecimal.
    sha256: String,
}

impl Stored {
    /// Its public part.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// What a new token shall be.
#[derive(Clone, Debug)]
pub struct Wish {
    /// For whom; empty: nobody in particular.
    pub tenant: String,
    /// What it allows.
    pub role: Role,
    /// What it is for.
    pub note: String,
    /// How long it is good for.
    pub lifetime: Option<Duration>,
}

struct Known {
    stored: Stored,
    tenant: Option<Arc<Tenant>>,
}

/// The tokens of a mesh.
pub struct Tokens {
    store: Store,
    tenants: Arc<Tenants>,
    table: RwLock<HashMap<Hash, Arc<Known>>>,
    in_use: AtomicBool,
}

impl Tokens {
    /// Those of the store.  Where it cannot be read now, there may be some.
    pub async fn open(store: Store, tenants: Arc<Tenants>) -> Self {
        let tokens = Self { store, tenants, table: RwLock::default(), in_use: AtomicBool::new(true) };
        tokens.refresh().await;
        tokens
    }

    /// Whether there ever were any: to revoke the last must not open the door.
    pub fn are_in_use(&self) -> bool {
        self.in_use.load(Relaxed)
    }

    /// Reads what others have changed.
    pub async fn refresh(&self) {
        let Ok(stored) = self.all().await else { return };
        self.in_use.store(!stored.is_empty(), Relaxed);
        let known = stored.into_iter().filter_map(|(stored, _)| Some((unhex(&stored.sha256)?, self.known(stored))));
        *self.table.write() = known.collect();
    }

    /// One without a tenant that may only ask models asks for nobody; an operator's says for whom.
    fn known(&self, stored: Stored) -> Arc<Known> {
        let bound = !stored.tenant.is_empty() || stored.role == Role::Infer;
        let tenant = bound.then(|| self.tenants.known(&stored.tenant));
        Arc::new(Known { stored, tenant })
    }

    /// Who brings `secret`.
    pub fn find(&self, secret: &str, peer: &Arc<Peer>) -> Result<Caller, Error> {
        let known = self.table.read().get(&hash(secret)).cloned();
        let known = known.ok_or(Error::Unauthenticated { why: "the key is not known here" })?;
        if known.stored.revoked.is_some() {
            return Err(Error::Unauthenticated { why: "the token was revoked" });
        }
        if known.stored.expires.is_some_and(|at| at <= seconds(SystemTime::now())) {
            return Err(Error::Unauthenticated { why: "the token has expired" });
        }
        let Known { stored, tenant } = &*known;
        Ok(Caller { tenant: tenant.clone(), role: stored.role, token: Some(stored.id.clone()), peer: peer.clone() })
    }

    /// A new one, and its secret.
    pub async fn create(&self, wish: Wish) -> Result<(Stored, String), Error> {
        wish.check()?;
        let (id, secret) = drawn();
        let now = seconds(SystemTime::now());
        let stored = Stored {
            id: id.into(),
            tenant: wish.tenant,
            role: wish.role,
            note: wish.note,
            created: now,
            expires: wish.lifetime.map(|lifetime| now.saturating_add(lifetime.as_secs())),
            revoked: None,
            sha256: hex(&hash(&secret)),
        };
        self.put(&stored, 0).await?;
        Ok((stored, secret))
    }

    /// All, in the order they were made.
    pub async fn list(&self) -> Result<Vec<Stored>, Error> {
        let mut all: Vec<_> = self.all().await?.into_iter().map(|(stored, _)| stored).collect();
        all.sort_by_key(|stored| stored.created);
        Ok(all)
    }

    /// Ends one; a second time changes nothing.
    pub async fn revoke(&self, id: &str) -> Result<Stored, Error> {
        let found = self.all().await?.into_iter().find(|(stored, _)| *stored.id == *id);
        let hint = ": see MeshService.ListTokens".to_string();
        let (stored, revision) = found.ok_or_else(|| Error::NotKnown { what: "token", name: id.into(), hint })?;
        let revoked = stored.revoked.or(Some(seconds(SystemTime::now())));
        let stored = Stored { revoked, ..stored };
        self.put(&stored, revision).await?;
        Ok(stored)
    }

    async fn put(&self, stored: &Stored, revision: u64) -> Result<(), Error> {
        let key = format!("{PREFIX}{}", stored.id);
        let text = serde_json::to_string(stored).map_err(|error| Error::Malformed { why: error.to_string() })?;
        let put = self.store.put_document(&key, revision, &text).await;
        put.map_err(|error| match error {
            PutError::Conflict { actual } => Error::ChangedMeanwhile { name: stored.id.to_string(), revision: actual },
            PutError::Store(why) => away(why),
        })?;
        self.refresh().await;
        Ok(())
    }

    async fn all(&self) -> Result<Vec<(Stored, u64)>, Error> {
        let documents = self.store.documents(PREFIX).await.map_err(away)?;
        let read = |(_, Document { revision, text })| Some((serde_json::from_str(&text).ok()?, revision));
        Ok(documents.into_iter().filter_map(read).collect())
    }
}

impl Wish {
    fn check(&self) -> Result<(), Error> {
        let wrong = |field: &'static str, actual: usize, limit: usize| {
            Err(Error::InvalidField {
                field: field.into(),
                actual: format!("{actual} bytes"),
                expected: format!("at most {limit} bytes, without control characters"),
            })
        };
        if self.note.len() > NOTE_BYTES || self.note.contains(char::is_control) {
            return wrong("note", self.note.len(), NOTE_BYTES);
        }
        if self.tenant.len() > NAME_BYTES || self.tenant.contains(char::is_control) {
            return wrong("tenant", self.tenant.len(), NAME_BYTES);
        }
        match self.lifetime {
            Some(Duration::ZERO) => Err(Error::InvalidField {
                field: "lifetime".into(),
                actual: "0 s".into(),
                expected: "above 0, or absent".into(),
            }),
            _ => Ok(()),
        }
    }
}

impl From<Stored> for v1::Token {
    fn from(stored: Stored) -> Self {
        let time = |seconds: u64| prost_types::Timestamp::from(UNIX_EPOCH + Duration::from_secs(seconds));
        Self {
            id: stored.id.to_string(),
            tenant: stored.tenant,
            role: v1::Role::from(stored.role).into(),
            note: stored.note,
            created: Some(time(stored.created)),
            expires: stored.expires.map(time),
            revoked: stored.revoked.map(time),
        }
    }
}

/// Public part and whole of a new token.
fn drawn() -> (String, String) {
    let mut random = [0; 36];
    // Fails only on systems without any source of randomness, where nothing would run.
    SystemRandom::new().fill(&mut random).unwrap_or_else(|_| rand::fill(&mut random));
    let (id, secret) = random.split_at(4);
    let id = hex(id);
    let secret = format!("wp_{id}_{}", BASE64_URL_SAFE_NO_PAD.encode(secret));
    (id, secret)
}

fn hash(secret: &str) -> Hash {
    let mut hash = Hash::default();
    hash.copy_from_slice(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref());
    hash
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    (text.len() == 64).then_some(hash)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn away(why: StoreError) -> Error {
    Error::StoreUnreachable { why: why.to_string(), retry_after: STORE_PAUSE }
}

#[cfg(test)]
mod tests {
    use waypost_store::Place;

    use super::*;

    async fn tokens() -> Tokens {
        let config = serde_json::from_str(r#"{"listen": "127.0.0.1:0", "instance": "r", "version": "1"}"#);
        let tenants = Arc::new(Tenants::new(&config.expect("is complete")));
        let place = Place::parse("memory:").expect("is a place");
        Tokens::open(Store::open(&place, "r").await.expect("opens"), tenants).await
    }

    fn wish(role: Role) -> Wish {
        Wish { tenant: "acme".into(), role, note: String::new(), lifetime: None }
    }

    #[tokio::test]
    async fn a_token_is_good_until_it_is_revoked_and_the_door_stays_shut_then() {
        let tokens = tokens().await;
        assert!(!tokens.are_in_use());
        let (stored, secret) = tokens.create(wish(Role::Infer)).await.expect("is made");
        let caller = tokens.find(&secret, &Arc::default()).expect("is known");
        assert_eq!(caller.tenant.map(|tenant| tenant.name.to_string()).as_deref(), Some("acme"));
        tokens.revoke(&stored.id).await.expect("is revoked");
        assert!(tokens.find(&secret, &Arc::default()).is_err());
        assert!(tokens.are_in_use());
    }

    #[tokio::test]
    async fn nothing_that_is_kept_lets_anybody_in() {
        let tokens = tokens().await;
        let (stored, secret) = tokens.create(wish(Role::Admin)).await.expect("is made");
        let kept = serde_json::to_string(&stored).expect("is JSON");
        assert!(!kept.contains(secret.splitn(3, '_').nth(2).expect("has parts")));
        assert!(tokens.find(&stored.sha256, &Arc::default()).is_err());
    }

    #[test]
    fn a_hash_reads_back_and_nothing_else_does() {
        assert_eq!(unhex(&hex(&hash("a"))), Some(hash("a")));
        assert_eq!(unhex("zz"), None);
        assert_eq!(unhex(&"0".repeat(63)), None);
    }
}
