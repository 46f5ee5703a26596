package waypost

import (
	"context"
	"iter"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"waypost/client/waypostv1"
)

// UpsertDocuments stores documents in a namespace, which the first makes; those of the same id are replaced.
//
// What is answered is kept, and found by every query sent afterwards.
func (c *Client) UpsertDocuments(
	ctx context.Context, request *waypostv1.UpsertDocumentsRequest, options ...grpc.CallOption,
) (*waypostv1.UpsertDocumentsResponse, error) {
	return c.retrieve.UpsertDocuments(ctx, request, options...)
}

// UpsertDocumentsStream stores many: one reply per request, in their order, when it is kept.
//
// Requests are taken as [Client.EmbedStream] takes them.
func (c *Client) UpsertDocumentsStream(
	ctx context.Context, requests iter.Seq[*waypostv1.UpsertDocumentsRequest], options ...grpc.CallOption,
) iter.Seq2[*waypostv1.UpsertDocumentsResponse, error] {
	open := func(ctx context.Context) (duplex[waypostv1.UpsertDocumentsStreamRequest, waypostv1.UpsertDocumentsStreamResponse], error) {
		return c.retrieve.UpsertDocumentsStream(ctx, options...)
	}
	wrap := func(request *waypostv1.UpsertDocumentsRequest) *waypostv1.UpsertDocumentsStreamRequest {
		return &waypostv1.UpsertDocumentsStreamRequest{Request: request}
	}
	return exchange(ctx, requests, open, wrap, (*waypostv1.UpsertDocumentsStreamResponse).GetResponse)
}

// QueryDocuments finds documents by meaning, by words, or both: one result per query.
func (c *Client) QueryDocuments(
	ctx context.Context, request *waypostv1.QueryDocumentsRequest, options ...grpc.CallOption,
) (*waypostv1.QueryDocumentsResponse, error) {
	return c.retrieve.QueryDocuments(ctx, request, options...)
}

// GetDocuments gives documents by id; those that are not there are left out.
func (c *Client) GetDocuments(
	ctx context.Context, request *waypostv1.GetDocumentsRequest, options ...grpc.CallOption,
) ([]*waypostv1.Document, error) {
	reply, err := c.retrieve.GetDocuments(ctx, request, options...)
	return reply.GetDocuments(), err
}

// Documents gives all documents of a namespace, or those its filter lets through, in the order of their ids.
//
// They are fetched page by page while the loop goes on.  An error is the last that comes.
func (c *Client) Documents(
	ctx context.Context, request *waypostv1.ListDocumentsRequest, options ...grpc.CallOption,
) iter.Seq2[*waypostv1.Document, error] {
	return func(yield func(*waypostv1.Document, error) bool) {
		page := proto.Clone(request).(*waypostv1.ListDocumentsRequest)
		for {
			reply, err := c.retrieve.ListDocuments(ctx, page, options...)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, document := range reply.GetDocuments() {
				if !yield(document, nil) {
					return
				}
			}
			if page.PageToken = reply.GetNextPageToken(); page.PageToken == "" {
				return
			}
		}
	}
}

// DeleteDocuments removes documents by id, or those that a filter lets through.
func (c *Client) DeleteDocuments(
	ctx context.Context, request *waypostv1.DeleteDocumentsRequest, options ...grpc.CallOption,
) (*waypostv1.DeleteDocumentsResponse, error) {
	return c.retrieve.DeleteDocuments(ctx, request, options...)
}
