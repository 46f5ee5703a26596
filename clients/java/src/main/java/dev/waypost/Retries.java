package dev.waypost;

import com.google.protobuf.DescriptorProtos.MethodOptions.IdempotencyLevel;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.Descriptors.MethodDescriptor;
import dev.waypost.v1.Classify;
import dev.waypost.v1.Embed;
import dev.waypost.v1.Generate;
import dev.waypost.v1.Mesh;
import dev.waypost.v1.Rerank;
import dev.waypost.v1.Retrieve;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Retries of the calls that the contract marks as free of side effects, within their deadline.
 *
 * <p>gRPC waits as long as the server asks ({@code grpc-retry-pushback-ms}) and keeps the budget of {@code
 * retryThrottling}, so that a mesh in trouble does not get four times its load.
 */
final class Retries {
    private Retries() {}

    /** As the gRPC library wants it: numbers are doubles, durations are strings. */
    static Map<String, Object> serviceConfig() {
        var policy = Map.of(
                "maxAttempts", 4.0,
                "initialBackoff", "0.1s",
                "maxBackoff", "1s",
                "backoffMultiplier", 2.0,
                "retryableStatusCodes", List.of("UNAVAILABLE"));
        return Map.of(
                "methodConfig", List.of(Map.of("name", repeatable(), "retryPolicy", policy)),
                "retryThrottling", Map.of("maxTokens", 100.0, "tokenRatio", 0.2));
    }

    private static List<Map<String, String>> repeatable() {
        return contract()
                .flatMap(file -> file.getServices().stream())
                .flatMap(service -> service.getMethods().stream())
                .filter(method -> method.getOptions().getIdempotencyLevel() != IdempotencyLevel.IDEMPOTENCY_UNKNOWN)
                .map(Retries::name)
                .toList();
    }

    private static Stream<FileDescriptor> contract() {
        return Stream.of(
                Classify.getDescriptor(),
                Embed.getDescriptor(),
                Generate.getDescriptor(),
                Mesh.getDescriptor(),
                Rerank.getDescriptor(),
                Retrieve.getDescriptor());
    }

    private static Map<String, String> name(MethodDescriptor method) {
        return Map.of("service", method.getService().getFullName(), "method", method.getName());
    }
}
