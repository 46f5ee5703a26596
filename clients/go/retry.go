package waypost

import (
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"waypost/client/waypostv1"
)

// Tries of one call, the first included.
const maxAttempts = 4

var contract = []protoreflect.FileDescriptor{
	waypostv1.File_waypost_v1_classify_proto,
	waypostv1.File_waypost_v1_embed_proto,
	waypostv1.File_waypost_v1_generate_proto,
	waypostv1.File_waypost_v1_mesh_proto,
	waypostv1.File_waypost_v1_rerank_proto,
	waypostv1.File_waypost_v1_retrieve_proto,
}

// serviceConfig is gRPC's own retry policy for the calls that the contract marks as free of side effects.
//
// grpc-go keeps within the call's deadline, waits as long as the server asks (grpc-retry-pushback-ms), and keeps the
// budget of retryThrottling, so that a mesh in trouble does not get four times its load.
func serviceConfig() string {
	policy := map[string]any{
		"maxAttempts":          maxAttempts,
		"initialBackoff":       "0.1s",
		"maxBackoff":           "1s",
		"backoffMultiplier":    2,
		"retryableStatusCodes": []string{"UNAVAILABLE"},
	}
	text, err := json.Marshal(map[string]any{
		"methodConfig":    []any{map[string]any{"name": repeatable(), "retryPolicy": policy}},
		"retryThrottling": map[string]any{"maxTokens": 100, "tokenRatio": 0.2},
	})
	if err != nil {
		panic(fmt.Sprintf("a map of plain values is no JSON: %v", err))
	}
	return string(text)
}

type methodName struct {
	Service string `json:"service"`
	Method  string `json:"method"`
}

func repeatable() []methodName {
	var names []methodName
	for _, file := range contract {
		for i := range file.Services().Len() {
			names = append(names, repeatableOf(file.Services().Get(i))...)
		}
	}
	return names
}

func repeatableOf(service protoreflect.ServiceDescriptor) []methodName {
	var names []methodName
	for i := range service.Methods().Len() {
		method := service.Methods().Get(i)
		options, _ := method.Options().(*descriptorpb.MethodOptions)
		if options.GetIdempotencyLevel() != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN {
			names = append(names, methodName{string(service.FullName()), string(method.Name())})
		}
	}
	return names
}
