package waypost_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	waypost "waypost/client"
	"waypost/client/waypostv1"
)

const tolerance = 1e-5

// goldenCase is a line of clients/golden/vectors.json; the README beside it says what it means.
type goldenCase struct {
	Name         string            `json:"name"`
	RPC          string            `json:"rpc"`
	Request      json.RawMessage   `json:"request"`
	Requests     []json.RawMessage `json:"requests"`
	TimeoutMS    int               `json:"timeout_ms"`
	Response     any               `json:"response"`
	Responses    []any             `json:"responses"`
	Text         string            `json:"text"`
	FinishReason string            `json:"finish_reason"`
	Error        *goldenError      `json:"error"`
}

type goldenError struct {
	Code         string            `json:"code"`
	Reason       string            `json:"reason"`
	Field        string            `json:"field"`
	Metadata     map[string]string `json:"metadata"`
	HasRetryInfo bool              `json:"has_retry_info"`
}

func TestEveryCaseOfTheGoldenTable(t *testing.T) {
	client := mesh(t)
	for _, each := range goldenTable(t) {
		t.Run(each.Name, func(t *testing.T) {
			ctx, cancel := each.context(t)
			defer cancel()
			answers, err := each.ask(ctx, t, client.Conn())
			each.check(t, answers, err)
		})
	}
}

func goldenTable(t *testing.T) []goldenCase {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(setting(t, "WAYPOST_GOLDEN"), "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []goldenCase
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

func (c *goldenCase) context(t *testing.T) (context.Context, context.CancelFunc) {
	if c.TimeoutMS == 0 {
		return context.WithCancel(t.Context())
	}
	return context.WithTimeout(t.Context(), time.Duration(c.TimeoutMS)*time.Millisecond)
}

// ask knows no call by name: the descriptors say what goes in and comes out.
func (c *goldenCase) ask(ctx context.Context, t *testing.T, conn grpc.ClientConnInterface) ([]any, error) {
	t.Helper()
	method := methodOf(t, c.RPC)
	desc := &grpc.StreamDesc{ServerStreams: method.IsStreamingServer(), ClientStreams: method.IsStreamingClient()}
	stream, err := conn.NewStream(ctx, desc, c.RPC)
	if err != nil {
		return nil, err
	}
	for _, request := range c.requests() {
		if err := stream.SendMsg(message(t, method.Input(), request)); err != nil {
			return nil, stream.RecvMsg(nil)
		}
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	return received(t, stream, method)
}

func received(t *testing.T, stream grpc.ClientStream, method protoreflect.MethodDescriptor) ([]any, error) {
	t.Helper()
	var answers []any
	for {
		reply := dynamicpb.NewMessage(method.Output())
		err := stream.RecvMsg(reply)
		if errors.Is(err, io.EOF) {
			return answers, nil
		}
		if err != nil {
			return nil, err
		}
		answers = append(answers, plain(t, reply))
		if !method.IsStreamingServer() {
			return answers, nil
		}
	}
}

func (c *goldenCase) requests() []json.RawMessage {
	if c.Requests != nil {
		return c.Requests
	}
	return []json.RawMessage{c.Request}
}

func (c *goldenCase) check(t *testing.T, answers []any, err error) {
	t.Helper()
	switch {
	case c.Error != nil:
		c.Error.check(t, err)
	case err != nil:
		t.Fatal(err)
	case c.FinishReason != "":
		checkText(t, answers, c.Text, c.FinishReason)
	case c.Responses != nil:
		check(t, c.Responses, answers)
	default:
		check(t, []any{c.Response}, answers)
	}
}

func (e *goldenError) check(t *testing.T, err error) {
	t.Helper()
	var failed *waypost.Error
	if !errors.As(err, &failed) {
		t.Fatalf("%v is no *waypost.Error", err)
	}
	got := goldenError{
		Code:         codeName(failed),
		Reason:       failed.Reason.String(),
		Field:        failed.Field,
		HasRetryInfo: failed.RetryAfter != nil,
		Metadata:     failed.Metadata,
	}
	if got.Code != e.Code || got.Field != e.Field || got.HasRetryInfo != e.HasRetryInfo {
		t.Errorf("got %+v, want %+v", got, *e)
	}
	if e.Reason != "" && got.Reason != e.Reason {
		t.Errorf("got the reason %s, want %s", got.Reason, e.Reason)
	}
	for key, value := range e.Metadata {
		if got.Metadata[key] != value {
			t.Errorf("metadata has %s = %q, want %q", key, got.Metadata[key], value)
		}
	}
}

// codeName is the code as gRPC's documents write it: NOT_FOUND, where Go says NotFound.
func codeName(failed *waypost.Error) string {
	var name strings.Builder
	for i, letter := range failed.Code.String() {
		if i > 0 && letter >= 'A' && letter <= 'Z' {
			name.WriteByte('_')
		}
		name.WriteRune(letter)
	}
	return strings.ToUpper(name.String())
}

func checkText(t *testing.T, answers []any, text, reason string) {
	t.Helper()
	var all strings.Builder
	for _, answer := range answers {
		piece, _ := answer.(map[string]any)["text"].(string)
		all.WriteString(piece)
	}
	check(t, text, all.String())
	last := map[string]any{"final": map[string]any{"finishReason": reason}}
	check(t, last, answers[len(answers)-1])
}

func check(t *testing.T, want, got any) {
	t.Helper()
	if !matches(want, got) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// matches says whether an answer has all that is wanted; what it has besides does not count.
func matches(want, got any) bool {
	switch want := want.(type) {
	case map[string]any:
		return matchesObject(want, got)
	case []any:
		return matchesList(want, got)
	case float64:
		number, is := got.(float64)
		return (is || got == nil) && math.Abs(number-want) <= tolerance
	default:
		return want == got
	}
}

func matchesObject(want map[string]any, got any) bool {
	object, is := got.(map[string]any)
	for key, value := range want {
		if !matches(value, object[key]) {
			return false
		}
	}
	return is || got == nil
}

func matchesList(want []any, got any) bool {
	list, _ := got.([]any)
	if len(list) != len(want) {
		return false
	}
	for i := range want {
		if !matches(want[i], list[i]) {
			return false
		}
	}
	return true
}

func methodOf(t *testing.T, path string) protoreflect.MethodDescriptor {
	t.Helper()
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(path, "/"), "/", "."))
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return found.(protoreflect.MethodDescriptor)
}

func message(t *testing.T, kind protoreflect.MessageDescriptor, text []byte) proto.Message {
	t.Helper()
	made := dynamicpb.NewMessage(kind)
	if err := protojson.Unmarshal(text, made); err != nil {
		t.Fatal(err)
	}
	return made
}

// plain is a message as JSON has it.
func plain(t *testing.T, reply proto.Message) any {
	t.Helper()
	text, err := protojson.Marshal(reply)
	if err != nil {
		t.Fatal(err)
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	return value
}

var _ = waypostv1.File_waypost_v1_embed_proto // the descriptors above are those of this package
