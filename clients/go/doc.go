// Package waypost is the client of a Waypost mesh: embed, classify, rerank, generate, and documents.
//
//	client, err := waypost.Dial("127.0.0.1:50051", waypost.WithToken(token))
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//	reply, err := client.Embed(ctx, &waypostv1.EmbedRequest{Texts: []string{"hello"}})
//
// Requests and replies are those of the contract, package waypostv1.  What this package adds holds for every call over a
// client's connection, those of the generated stubs included: a default deadline, the token, second tries of calls
// without side effects, and errors of type [*Error].
package waypost

//go:generate buf generate ../../proto --path ../../proto/waypost
