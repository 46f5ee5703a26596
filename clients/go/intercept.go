package waypost

import (
	"context"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// caller gives every call of a connection what it lacks, and its failure a type.
type caller struct {
	token   string
	timeout time.Duration
}

func (c *caller) unary(
	ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker,
	options ...grpc.CallOption,
) error {
	ctx, cancel := c.prepared(ctx)
	defer cancel()
	var trailer metadata.MD
	return errorOf(invoke(ctx, method, request, reply, conn, append(slices.Clip(options), grpc.Trailer(&trailer))...), trailer)
}

func (c *caller) stream(
	ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer,
	options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	ctx, cancel := c.prepared(ctx)
	opened, err := open(ctx, desc, conn, method, options...)
	if err != nil {
		cancel()
		return nil, errorOf(err, nil)
	}
	return &stream{opened, cancel}, nil
}

func (c *caller) prepared(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+c.token)
	}
	if _, has := ctx.Deadline(); has {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, c.timeout)
}

// stream frees the call's context at its end.
type stream struct {
	grpc.ClientStream
	cancel context.CancelFunc
}

func (s *stream) RecvMsg(message any) error {
	err := s.ClientStream.RecvMsg(message)
	if err == nil {
		return nil
	}
	defer s.cancel()
	return errorOf(err, s.Trailer())
}
