package waypost

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// DefaultTimeout is the time a call may take whose context has no deadline.
const DefaultTimeout = 60 * time.Second

// MaxMessageBytes is the size of the largest message sent or received, as in the server.
const MaxMessageBytes = 32 << 20

// An Option says how a client behaves.
type Option func(*settings)

type settings struct {
	token     string
	timeout   time.Duration
	transport credentials.TransportCredentials
	dial      []grpc.DialOption
}

func settingsOf(options []Option) *settings {
	made := &settings{timeout: DefaultTimeout, transport: insecure.NewCredentials()}
	for _, option := range options {
		option(made)
	}
	return made
}

// WithToken sends a token, or a tenant's key, with every call.
func WithToken(token string) Option {
	return func(s *settings) { s.token = token }
}

// WithTLS encrypts the connection; without it the connection is plain text.  See [TLSFromFiles].
func WithTLS(config *tls.Config) Option {
	return func(s *settings) { s.transport = credentials.NewTLS(config) }
}

// WithTimeout is for calls whose context has no deadline; see [DefaultTimeout].
func WithTimeout(timeout time.Duration) Option {
	return func(s *settings) { s.timeout = timeout }
}

// WithDialOptions adds options of grpc-go.  They go before what this package sets.
func WithDialOptions(options ...grpc.DialOption) Option {
	return func(s *settings) { s.dial = append(s.dial, options...) }
}

// TLSFromFiles reads PEM files: ca, the authority the server's certificate must be from (empty: those of the system),
// and, where the server asks for one, the caller's own certificate and its key (else both empty).
func TLSFromFiles(ca, cert, key string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		pool, err := poolFrom(ca)
		if err != nil {
			return nil, err
		}
		config.RootCAs = pool
	}
	if cert == "" && key == "" {
		return config, nil
	}
	own, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("the caller's certificate: %w", err)
	}
	config.Certificates = []tls.Certificate{own}
	return config, nil
}

var errNoCertificate = errors.New("no PEM certificate in it")

func poolFrom(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: %w", path, errNoCertificate)
	}
	return pool, nil
}
