package waypost

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	"waypost/client/waypostv1"
)

// Client calls a router, or a single worker; it is safe for concurrent use.
type Client struct {
	conn     *grpc.ClientConn
	embed    waypostv1.EmbedServiceClient
	classify waypostv1.ClassifyServiceClient
	rerank   waypostv1.RerankServiceClient
	generate waypostv1.GenerateServiceClient
	retrieve waypostv1.RetrieveServiceClient
	mesh     waypostv1.MeshServiceClient
}

// Dial makes a client of "host:port" or "unix:/path".  It connects at the first call, and again whenever that is needed.
func Dial(address string, options ...Option) (*Client, error) {
	chosen := settingsOf(options)
	calls := &caller{chosen.token, chosen.timeout}
	conn, err := grpc.NewClient(address, append(chosen.dial,
		grpc.WithTransportCredentials(chosen.transport),
		grpc.WithDefaultServiceConfig(serviceConfig()),
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(MaxMessageBytes), grpc.MaxCallSendMsgSize(MaxMessageBytes),
		),
		grpc.WithChainUnaryInterceptor(calls.unary),
		grpc.WithChainStreamInterceptor(calls.stream),
	)...)
	if err != nil {
		return nil, fmt.Errorf("waypost: %q: %w", address, err)
	}
	return &Client{
		conn:     conn,
		embed:    waypostv1.NewEmbedServiceClient(conn),
		classify: waypostv1.NewClassifyServiceClient(conn),
		rerank:   waypostv1.NewRerankServiceClient(conn),
		generate: waypostv1.NewGenerateServiceClient(conn),
		retrieve: waypostv1.NewRetrieveServiceClient(conn),
		mesh:     waypostv1.NewMeshServiceClient(conn),
	}, nil
}

// Close ends the calls under way and closes the connection.
func (c *Client) Close() error { return c.conn.Close() }

// Conn is the connection, for the generated stubs of calls that have no method here.
func (c *Client) Conn() grpc.ClientConnInterface { return c.conn }

// Embed gives one unit vector per text; [Vectors] reads them.
func (c *Client) Embed(
	ctx context.Context, request *waypostv1.EmbedRequest, options ...grpc.CallOption,
) (*waypostv1.EmbedResponse, error) {
	return c.embed.Embed(ctx, request, options...)
}

// CountTokens counts the tokens of texts without running a model.
func (c *Client) CountTokens(
	ctx context.Context, request *waypostv1.CountTokensRequest, options ...grpc.CallOption,
) (*waypostv1.CountTokensResponse, error) {
	return c.embed.CountTokens(ctx, request, options...)
}

// Classify gives labels with calibrated scores, per text.
func (c *Client) Classify(
	ctx context.Context, request *waypostv1.ClassifyRequest, options ...grpc.CallOption,
) (*waypostv1.ClassifyResponse, error) {
	return c.classify.Classify(ctx, request, options...)
}

// Rerank orders documents against a query, best first.
func (c *Client) Rerank(
	ctx context.Context, request *waypostv1.RerankRequest, options ...grpc.CallOption,
) (*waypostv1.RerankResponse, error) {
	return c.rerank.Rerank(ctx, request, options...)
}

// Generate gives the whole answer.  It is never tried again by itself.
func (c *Client) Generate(
	ctx context.Context, request *waypostv1.GenerateRequest, options ...grpc.CallOption,
) (*waypostv1.GenerateResponse, error) {
	return c.generate.Generate(ctx, request, options...)
}

// CountPromptTokens counts the tokens of a prompt as Generate would read it, its template and tools included.
func (c *Client) CountPromptTokens(
	ctx context.Context, request *waypostv1.GenerateServiceCountTokensRequest, options ...grpc.CallOption,
) (*waypostv1.GenerateServiceCountTokensResponse, error) {
	return c.generate.CountTokens(ctx, request, options...)
}

// Models lists what can be asked for by name.
func (c *Client) Models(ctx context.Context, options ...grpc.CallOption) ([]*waypostv1.ModelInfo, error) {
	reply, err := c.mesh.ListModels(ctx, &waypostv1.ListModelsRequest{}, options...)
	return reply.GetModels(), err
}

// Instances lists the workers with their state, as the router sees them.
func (c *Client) Instances(ctx context.Context, options ...grpc.CallOption) ([]*waypostv1.InstanceStatus, error) {
	reply, err := c.mesh.ListInstances(ctx, &waypostv1.ListInstancesRequest{}, options...)
	return reply.GetInstances(), err
}
