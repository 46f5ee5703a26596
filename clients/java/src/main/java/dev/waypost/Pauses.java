package dev.waypost;

import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.Status;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ClientStreamTracer;
import io.grpc.ClientStreamTracer.StreamInfo;
import io.grpc.Deadline;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import java.util.concurrent.TimeUnit;

/**
 * Which of the pauses that a server asks for are waited for: those of UNAVAILABLE that end before the deadline.
 *
 * <p>gRPC for Java, alone among the libraries, takes {@code grpc-retry-pushback-ms} as leave to try again whatever the
 * status code, and waits until the deadline where the pause is longer: the caller of a tenant whose rate is spent would
 * learn of it as DEADLINE_EXCEEDED. Trailers may be changed where they are traced, which is before the library looks.
 */
final class Pauses extends ClientStreamTracer.Factory implements ClientInterceptor {
    private static final String NEVER = "-1";
    private static final Metadata.Key<String> PUSHBACK =
            Metadata.Key.of("grpc-retry-pushback-ms", Metadata.ASCII_STRING_MARSHALLER);
    private static final Metadata.Key<byte[]> DETAILS =
            Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER);

    @Override
    public <Q, R> ClientCall<Q, R> interceptCall(MethodDescriptor<Q, R> method, CallOptions options, Channel next) {
        return next.newCall(method, options.withStreamTracerFactory(this));
    }

    @Override
    public ClientStreamTracer newClientStreamTracer(StreamInfo call, Metadata headers) {
        var deadline = call.getCallOptions().getDeadline();
        return new ClientStreamTracer() {
            @Override
            public void inboundTrailers(Metadata trailers) {
                var pause = trailers.get(PUSHBACK);
                if (pause != null && !(isUnavailable(trailers) && isOver(pause, deadline))) {
                    trailers.discardAll(PUSHBACK);
                    trailers.put(PUSHBACK, NEVER);
                }
            }
        };
    }

    private static boolean isOver(String pause, Deadline deadline) {
        try {
            return deadline == null || Long.parseLong(pause) < deadline.timeRemaining(TimeUnit.MILLISECONDS);
        } catch (NumberFormatException broken) {
            return false;
        }
    }

    /** By the details: the status itself is no longer among the trailers here. */
    private static boolean isUnavailable(Metadata trailers) {
        var details = trailers.get(DETAILS);
        try {
            return details == null
                    || Status.parseFrom(details).getCode() == io.grpc.Status.Code.UNAVAILABLE.value();
        } catch (InvalidProtocolBufferException broken) {
            return false;
        }
    }
}
