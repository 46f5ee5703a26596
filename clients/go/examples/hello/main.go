package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	waypost "waypost/client"
	"waypost/client/waypostv1"
)

func main() {
	client, err := waypost.Dial(os.Getenv("WAYPOST_ADDRESS"))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx := context.Background()

	// Documents in the order of their relevance.
	documents := []string{"We are closed on Sunday.", "Refunds: you get your money back in five days."}
	ranked, err := client.Rerank(ctx, &waypostv1.RerankRequest{
		Model: "hash", Query: "how do I get my money back?", Documents: documents,
	})
	if err != nil {
		log.Fatal(err)
	}
	best := documents[ranked.GetRanking()[0].GetIndex()]
	fmt.Println(best)

	// An answer, word by word.
	question := &waypostv1.GenerateRequest{Model: "drip", Input: waypost.Chat(waypost.User(best))}
	for piece, err := range client.GenerateStream(ctx, question) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(piece.GetText(), "| ")
	}
	fmt.Println()

	// What went wrong, and where.
	_, err = client.Embed(ctx, &waypostv1.EmbedRequest{Model: "hash", Texts: []string{"hello"}, Dimensions: 7})
	if failed := new(waypost.Error); errors.As(err, &failed) {
		fmt.Println(failed.Reason, failed.Field)
	}
}
