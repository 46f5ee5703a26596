package waypost

import (
	"context"
	"errors"
	"io"
	"iter"

	"google.golang.org/grpc"

	"waypost/client/waypostv1"
)

// GenerateStream gives the answer piece by piece; the last has Final, with finish reason and usage.
//
//	for piece, err := range client.GenerateStream(ctx, request) {
//		if err != nil {
//			return err
//		}
//		fmt.Print(piece.GetText())
//	}
//
// An error is the last that comes.  Leaving the loop cancels the call, which frees the model at its next step.
func (c *Client) GenerateStream(
	ctx context.Context, request *waypostv1.GenerateRequest, options ...grpc.CallOption,
) iter.Seq2[*waypostv1.GenerateStreamResponse, error] {
	return func(yield func(*waypostv1.GenerateStreamResponse, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := c.generate.GenerateStream(ctx, &waypostv1.GenerateStreamRequest{Request: request}, options...)
		if err != nil {
			yield(nil, err)
			return
		}
		pass(stream.Recv, yield)
	}
}

// EmbedStream embeds many calls over one stream: one reply per request, in their order.
//
// Requests are taken from a goroutine of their own, as fast as the server reads them, so replies may be used to make
// further ones.  An error is the last that comes, and leaving the loop cancels the call; requests are asked once more
// at most after that.
func (c *Client) EmbedStream(
	ctx context.Context, requests iter.Seq[*waypostv1.EmbedRequest], options ...grpc.CallOption,
) iter.Seq2[*waypostv1.EmbedResponse, error] {
	open := func(ctx context.Context) (duplex[waypostv1.EmbedStreamRequest, waypostv1.EmbedStreamResponse], error) {
		return c.embed.EmbedStream(ctx, options...)
	}
	wrap := func(request *waypostv1.EmbedRequest) *waypostv1.EmbedStreamRequest {
		return &waypostv1.EmbedStreamRequest{Request: request}
	}
	return exchange(ctx, requests, open, wrap, (*waypostv1.EmbedStreamResponse).GetResponse)
}

type duplex[S, R any] = grpc.BidiStreamingClient[S, R]

// exchange sends what is asked, wrapped, and gives what is answered, unwrapped.
func exchange[Q, S, R, A any](
	ctx context.Context, requests iter.Seq[*Q],
	open func(context.Context) (duplex[S, R], error), wrap func(*Q) *S, unwrap func(*R) *A,
) iter.Seq2[*A, error] {
	return func(yield func(*A, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		stream, err := open(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		go send(stream, requests, wrap)
		receive := func() (*A, error) {
			reply, err := stream.Recv()
			return unwrap(reply), err
		}
		pass(receive, yield)
	}
}

// send stops at the first failure, whose cause the receiving side learns.
func send[Q, S, R any](stream duplex[S, R], requests iter.Seq[*Q], wrap func(*Q) *S) {
	for request := range requests {
		if stream.Send(wrap(request)) != nil {
			return
		}
	}
	_ = stream.CloseSend() // says nil, by its contract
}

// pass hands on what comes until it ends, fails, or the loop is left.
func pass[T any](receive func() (*T, error), yield func(*T, error) bool) {
	for {
		reply, err := receive()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			yield(nil, err)
			return
		}
		if !yield(reply, nil) {
			return
		}
	}
}
