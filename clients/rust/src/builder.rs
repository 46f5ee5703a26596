use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{self, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

use crate::client::Client;
use crate::error::Error;

const TIMEOUT: Duration = Duration::from_secs(60);

/// The connection of a client, for the generated clients of [`v1`](crate::v1): the token is sent along.
pub type Channel = InterceptedService<transport::Channel, Bearer>;

/// Sends the token with every call.
#[derive(Clone, Default)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(bearer) = &self.0 {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        Ok(request)
    }
}

/// How to reach a mesh; [`Client::builder`] begins one.
#[must_use = "it does nothing before it connects"]
pub struct Builder {
    address: String,
    token: String,
    tls: Option<ClientTlsConfig>,
    timeout: Duration,
}

impl Builder {
    pub(crate) fn new(address: String) -> Self {
        Self { address, token: String::new(), tls: None, timeout: TIMEOUT }
    }

    /// The tenant's key or token, where the router wants one.
    pub fn token(self, token: impl Into<String>) -> Self {
        Self { token: token.into(), ..self }
    }

    /// TLS: with whose certificates, and with one of the client's own where the server asks for it.
    pub fn tls(self, tls: ClientTlsConfig) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// How long a call may take, tries and pauses together; a minute where nothing is said.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Connects; a connection that is lost later is made again by the next call.
    pub async fn connect(self) -> Result<Client, Error> {
        let bearer = bearer(&self.token)?;
        let endpoint = self.endpoint()?.connect_timeout(self.timeout);
        let channel = InterceptedService::new(endpoint.connect().await?, bearer);
        Ok(Client::new(channel, self.timeout))
    }

    fn endpoint(&self) -> Result<Endpoint, Error> {
        let endpoint = Endpoint::from_shared(self.uri())
            .map_err(|_| Error::invalid("the address is neither host:port nor unix:/path"))?;
        match &self.tls {
            Some(tls) => endpoint.tls_config(tls.clone()).map_err(Error::unusable),
            None => Ok(endpoint),
        }
    }

    fn uri(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        if self.address.starts_with("unix:") { self.address.clone() } else { format!("{scheme}://{}", self.address) }
    }
}

/// The library's own complaint of a bad token might show it.
fn bearer(token: &str) -> Result<Bearer, Error> {
    if token.is_empty() {
        return Ok(Bearer::default());
    }
    if !token.bytes().all(|letter| letter.is_ascii_graphic()) {
        return Err(Error::invalid("the token has spaces, line breaks or letters that no header may have"));
    }
    let mut value: MetadataValue<Ascii> = format!("Bearer {token}").parse().map_err(|_| Error::invalid("token"))?;
    value.set_sensitive(true);
    Ok(Bearer(Some(value)))
}
