//! TLS of the listeners and of the way to the workers, by rustls.
//!
//! Certificates are read again when their files have changed, for the connections that come then: nothing is restarted
//! and nothing that is open is cut.  A file that cannot be used leaves the one before in use, and says so.
//!
//! A client without a good certificate is let through the handshake and told by the first call it makes
//! (UNAUTHENTICATED, with the reason), because a handshake cut by an alert reads like a broken network on the other
//! side.  It is never served: see [`Admission`].

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use serde::Deserialize;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{
    TlsAcceptor, TlsConnector, client,
    rustls::{
        self, ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
        client::{danger::HandshakeSignatureValid, verify_server_name},
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
        server::{
            ParsedCertificate, WebPkiClientVerifier,
            danger::{ClientCertVerified, ClientCertVerifier},
        },
    },
    server,
};

use crate::log;

/// A handshake not done by then is given up.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
const H2: &[u8] = b"h2";

/// What a listener shows, and whom it serves.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerTls {
    /// Its certificate and those that lead to a root, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Only clients whose certificate one of these issued are served, PEM; none: all.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// Of these, only those whose certificate has one of these names; empty: all.
    #[serde(default)]
    pub client_names: Vec<String>,
}

/// How workers are called.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientTls {
    /// Who may have issued the worker's certificate, PEM.
    pub ca: Option<PathBuf>,
    /// The router's certificate, where workers want one, PEM.
    pub cert: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
}

/// Whether a client is served.
pub type Admission = Result<(), String>;

/// A listener's end of TLS.
pub struct Acceptor {
    config: ServerTls,
    current: Mutex<Kept<Arc<Accepting>>>,
}

struct Accepting {
    acceptor: TlsAcceptor,
    clients: Option<Clients>,
}

/// Those who are served.
struct Clients {
    verifier: Arc<dyn ClientCertVerifier>,
    names: Vec<ServerName<'static>>,
}

/// The way to the workers.
pub struct Connector {
    config: ClientTls,
    current: Mutex<Kept<TlsConnector>>,
}

/// What was made of files, and which state of them.
struct Kept<T> {
    made: T,
    files: Vec<Option<Stamp>>,
}

type Stamp = (SystemTime, u64);

impl<T: Clone> Kept<T> {
    fn new(paths: &[&Path], make: impl FnOnce() -> io::Result<T>) -> io::Result<Self> {
        let files = stamps(paths);
        Ok(Self { made: make()?, files })
    }

    /// As the files are now, or as they last could be used.
    fn fresh(&mut self, paths: &[&Path], make: impl FnOnce() -> io::Result<T>) -> T {
        let files = stamps(paths);
        if files != self.files {
            self.files = files;
            match make() {
                Ok(made) => self.made = made,
                Err(error) => log::warn("certificates kept: the new ones cannot be used", &error.to_string()),
            }
        }
        self.made.clone()
    }
}

fn stamps(paths: &[&Path]) -> Vec<Option<Stamp>> {
    let stamp = |path: &&Path| std::fs::metadata(path).ok().and_then(|meta| Some((meta.modified().ok()?, meta.len())));
    paths.iter().map(stamp).collect()
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Acceptor({})", self.config.cert.display())
    }
}

impl ServerTls {
    fn files(&self) -> Vec<&Path> {
        [Some(&self.cert), Some(&self.key), self.client_ca.as_ref()]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
            .collect()
    }

    fn accepting(&self) -> io::Result<Arc<Accepting>> {
        let clients = self.client_ca.as_deref().map(|ca| Clients::new(ca, &self.client_names)).transpose()?;
        let builder = ServerConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
        let builder = match &clients {
            Some(clients) => builder.with_client_cert_verifier(Arc::new(Later(clients.verifier.clone()))),
            None => builder.with_no_client_auth(),
        };
        let made = builder.with_single_cert(chain(&self.cert)?, key(&self.key)?);
        let mut made = made.map_err(|error| unusable(&self.cert, &error))?;
        made.alpn_protocols = vec![H2.to_vec()];
        Ok(Arc::new(Accepting { acceptor: TlsAcceptor::from(Arc::new(made)), clients }))
    }
}

impl Acceptor {
    /// From the files that are there now.
    pub fn new(config: ServerTls) -> io::Result<Self> {
        let current = Kept::new(&config.files(), || config.accepting())?;
        Ok(Self { current: Mutex::new(current), config })
    }

    /// The handshake, and whether the client is to be served.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<(server::TlsStream<TcpStream>, Admission)> {
        let accepting = self.current.lock().fresh(&self.config.files(), || self.config.accepting());
        let stream = patiently(accepting.acceptor.accept(stream)).await?;
        let shown = stream.get_ref().1.peer_certificates();
        let admission = accepting.clients.as_ref().map_or(Ok(()), |clients| clients.admit(shown));
        Ok((stream, admission))
    }
}

impl Clients {
    fn new(ca: &Path, names: &[String]) -> io::Result<Self> {
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(ca)?), provider());
        let verifier = verifier.build().map_err(|error| unusable(ca, &error))?;
        let name = |name: &String| ServerName::try_from(name.clone()).map_err(io::Error::other);
        Ok(Self { verifier, names: names.iter().map(name).collect::<io::Result<_>>()? })
    }

    fn admit(&self, shown: Option<&[CertificateDer<'_>]>) -> Admission {
        let (own, issuers) = shown.and_then(<[_]>::split_first).ok_or("no client certificate was shown")?;
        let verified = self.verifier.verify_client_cert(own, issuers, UnixTime::now());
        verified.map_err(|error| format!("the client certificate is not accepted ({error})"))?;
        if self.names.is_empty() {
            return Ok(());
        }
        let parsed = ParsedCertificate::try_from(own).map_err(|error| error.to_string())?;
        let known = self.names.iter().any(|name| verify_server_name(&parsed, name).is_ok());
        known.then_some(()).ok_or_else(|| "the client certificate has none of the names that are served".into())
    }
}

/// Asks for a certificate and looks at it later.  That the client has its key is checked here as ever.
#[derive(Debug)]
struct Later(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Later {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // A client with several certificates would send none where none fits: it should hear why.
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

impl ClientTls {
    fn files(&self) -> Vec<&Path> {
        [&self.ca, &self.cert, &self.key].into_iter().flatten().map(PathBuf::as_path).collect()
    }

    fn connector(&self) -> io::Result<TlsConnector> {
        let ca = self.ca.as_deref().ok_or_else(|| io::Error::other("worker_tls without ca: name who issued them"))?;
        let builder = ClientConfig::builder_with_provider(provider());
        let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
        let builder = builder.with_root_certificates(roots(ca)?);
        let mut made = match (&self.cert, &self.key) {
            (Some(own), Some(secret)) => {
                builder.with_client_auth_cert(chain(own)?, key(secret)?).map_err(|error| unusable(own, &error))?
            }
            _ => builder.with_no_client_auth(),
        };
        made.alpn_protocols = vec![H2.to_vec()];
        Ok(TlsConnector::from(Arc::new(made)))
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl Connector {
    /// From the files that are there now.
    pub fn new(config: ClientTls) -> io::Result<Self> {
        let current = Kept::new(&config.files(), || config.connector())?;
        Ok(Self { current: Mutex::new(current), config })
    }

    /// The handshake with the worker at `host:port`.
    pub async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<client::TlsStream<TcpStream>> {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
        let name = ServerName::try_from(name.to_string()).map_err(io::Error::other)?;
        let connector = self.current.lock().fresh(&self.config.files(), || self.config.connector());
        patiently(connector.connect(name, stream)).await
    }
}

async fn patiently<S: AsyncRead + AsyncWrite>(handshake: impl Future<Output = io::Result<S>>) -> io::Result<S> {
    timeout(HANDSHAKE_PATIENCE, handshake).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn chain(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let read = read.map_err(|error| unusable(path, &error))?;
    if read.is_empty() { Err(unusable(path, &"it has no certificate")) } else { Ok(read) }
}

fn key(path: &Path) -> io::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| unusable(path, &error))
}

fn roots(path: &Path) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for each in chain(path)? {
        roots.add(each).map_err(|error| unusable(path, &error))?;
    }
    Ok(roots)
}

fn unusable(path: &Path, why: &dyn fmt::Display) -> io::Error {
    io::Error::other(format!("{} cannot be used for TLS: {why}", path.display()))
}
