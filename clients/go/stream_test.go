package waypost_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	waypost "waypost/client"
	"waypost/client/waypostv1"
)

func TestAnAnswerComesWordByWord(t *testing.T) {
	request := &waypostv1.GenerateRequest{Model: "drip", Input: waypost.Chat(waypost.User("one two three"))}
	var pieces []string
	var final *waypostv1.GenerateResponse
	for piece, err := range mesh(t).GenerateStream(t.Context(), request) {
		if err != nil {
			t.Fatal(err)
		}
		pieces = append(pieces, piece.GetText())
		final = piece.GetFinal()
	}
	if len(pieces) < 3 || strings.Join(pieces, "") != "one two three " {
		t.Errorf("got %q", pieces)
	}
	if final.GetFinishReason() != waypostv1.FinishReason_FINISH_REASON_STOP {
		t.Errorf("the last piece has %v", final)
	}
}

func TestLeavingTheLoopFreesTheModel(t *testing.T) {
	client := mesh(t)
	pieces := 0
	for _, err := range client.GenerateStream(t.Context(), forever()) {
		if err != nil {
			t.Fatal(err)
		}
		if pieces++; pieces == 2 {
			break
		}
	}
	awaitIdle(t, client, "drip-0")
}

func TestACancelledContextEndsTheStream(t *testing.T) {
	client := mesh(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, last = range client.GenerateStream(ctx, forever()) {
		cancel()
	}
	var failed *waypost.Error
	if !errors.As(last, &failed) || failed.Code != codes.Canceled || !errors.Is(last, context.Canceled) {
		t.Errorf("got %v", last)
	}
	awaitIdle(t, client, "drip-0")
}

func TestTheDeadlineEndsAStream(t *testing.T) {
	client := mesh(t, waypost.WithTimeout(200*time.Millisecond))
	begun := time.Now()
	var last error
	for _, err := range client.GenerateStream(t.Context(), forever()) {
		last = err
	}
	var failed *waypost.Error
	if !errors.As(last, &failed) || !errors.Is(last, context.DeadlineExceeded) || !failed.Temporary() {
		t.Errorf("got %v", last)
	}
	if took := time.Since(begun); took > patience/2 {
		t.Errorf("it took %v", took)
	}
}

func TestAnEmbedStreamAnswersInOrder(t *testing.T) {
	client := mesh(t)
	texts := []string{"first", "second", "third"}
	requests := func(yield func(*waypostv1.EmbedRequest) bool) {
		for _, text := range texts {
			if !yield(&waypostv1.EmbedRequest{Model: "hash", Texts: []string{text}}) {
				return
			}
		}
	}
	var rows [][]float32
	for reply, err := range client.EmbedStream(t.Context(), requests) {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, waypost.Vectors(reply)...)
	}
	together, err := client.Embed(t.Context(), &waypostv1.EmbedRequest{Model: "hash", Texts: texts})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(rows, waypost.Vectors(together), slices.Equal[[]float32]) {
		t.Errorf("got %v", rows)
	}
}

func TestAReplyOfAnEmbedStreamMayMakeTheNextRequest(t *testing.T) {
	answered := make(chan struct{}, 1)
	requests := func(yield func(*waypostv1.EmbedRequest) bool) {
		for range 3 {
			if !yield(hello()) {
				return
			}
			<-answered
		}
	}
	replies := 0
	for _, err := range mesh(t).EmbedStream(t.Context(), requests) {
		if err != nil {
			t.Fatal(err)
		}
		replies++
		answered <- struct{}{}
	}
	if replies != 3 {
		t.Errorf("got %d replies", replies)
	}
}

func TestABadRequestEndsAnEmbedStreamWithItsField(t *testing.T) {
	requests := slices.Values([]*waypostv1.EmbedRequest{hello(), {Model: "hash"}})
	var last error
	for _, err := range mesh(t).EmbedStream(t.Context(), requests) {
		last = err
	}
	if waypost.ReasonOf(last) != waypostv1.ErrorReason_ERROR_REASON_EMPTY_INPUT {
		t.Errorf("got %v", last)
	}
}

// awaitIdle returns once nothing is under way at an instance.
func awaitIdle(t *testing.T, client *waypost.Client, instance string) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if inFlight(t, client, instance) == 0 {
			return
		}
	}
	t.Fatalf("%s still works", instance)
}

func inFlight(t *testing.T, client *waypost.Client, name string) uint32 {
	t.Helper()
	instances, err := client.Instances(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range instances {
		if each.GetInstance() == name {
			return each.GetInFlight()
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}
