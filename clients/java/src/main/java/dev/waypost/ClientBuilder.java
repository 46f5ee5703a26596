package dev.waypost;

import io.grpc.ChannelCredentials;
import io.grpc.ClientInterceptors;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.TlsChannelCredentials;
import io.grpc.stub.MetadataUtils;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

/** How to reach a mesh; {@link WaypostClient#builder} begins one. */
public final class ClientBuilder {
    /** Largest message sent or received, as in the server. */
    private static final int MAX_MESSAGE_BYTES = 32 * 1024 * 1024;

    private static final Metadata.Key<String> AUTHORIZATION =
            Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

    private final String address;
    private final Metadata headers = new Metadata();
    private ChannelCredentials credentials = InsecureChannelCredentials.create();
    private Duration timeout = Duration.ofSeconds(60);

    ClientBuilder(String address) {
        this.address = address;
    }

    /** The tenant's key or token, where the router wants one. */
    public ClientBuilder token(String token) {
        if (!token.chars().allMatch(letter -> letter > ' ' && letter <= '~')) {
            throw new IllegalArgumentException("the token has spaces, line breaks or letters that no header may have");
        }
        headers.discardAll(AUTHORIZATION);
        headers.put(AUTHORIZATION, "Bearer " + token);
        return this;
    }

    /** TLS, with a certificate from an authority that the machine trusts. */
    public ClientBuilder tls() {
        credentials = TlsChannelCredentials.create();
        return this;
    }

    /**
     * TLS, with a certificate from this authority.
     *
     * @param ca certificates of the authority, PEM
     * @throws IOException a file cannot be read
     */
    public ClientBuilder tls(Path ca) throws IOException {
        credentials = TlsChannelCredentials.newBuilder().trustManager(ca.toFile()).build();
        return this;
    }

    /**
     * TLS in which the server sees this client's certificate as well.
     *
     * @param ca certificates of the server's authority, PEM
     * @param cert this client's certificate with those between it and its authority, PEM
     * @param key the private key of {@code cert}, PEM in the form of PKCS 8, which is the one that Java reads
     * @throws IOException a file cannot be read
     * @throws IllegalArgumentException the key is in another form
     */
    public ClientBuilder tls(Path ca, Path cert, Path key) throws IOException {
        credentials = TlsChannelCredentials.newBuilder()
                .trustManager(ca.toFile())
                .keyManager(cert.toFile(), pkcs8(key).toFile())
                .build();
        return this;
    }

    /** How long a call may take, tries and pauses together; a minute where nothing is said. */
    public ClientBuilder timeout(Duration timeout) {
        this.timeout = timeout;
        return this;
    }

    /** Connects with the first call. */
    public WaypostClient build() {
        var connection = connection();
        var bearer = MetadataUtils.newAttachHeadersInterceptor(headers);
        return new WaypostClient(connection, ClientInterceptors.intercept(connection, bearer, new Pauses()), timeout);
    }

    /** The library's own complaint does not say what would help. */
    private static Path pkcs8(Path key) throws IOException {
        if (!Files.readString(key).contains("-----BEGIN PRIVATE KEY-----")) {
            throw new IllegalArgumentException(
                    key + " is no key in the form of PKCS 8: `openssl pkcs8 -topk8 -nocrypt` makes it one");
        }
        return key;
    }

    private ManagedChannel connection() {
        var builder = Grpc.newChannelBuilder(address, credentials)
                .defaultServiceConfig(Retries.serviceConfig())
                .maxInboundMessageSize(MAX_MESSAGE_BYTES);
        if (address.startsWith("unix:")) {
            // A path is no host, and servers that look refuse the call.
            builder.overrideAuthority("localhost");
        }
        return builder.build();
    }
}
