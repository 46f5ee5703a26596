package dev.waypost;

import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.MethodDescriptor;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/** Gives every call that names no deadline the same time. */
record DefaultDeadline(Duration timeout) implements ClientInterceptor {
    @Override
    public <Q, R> ClientCall<Q, R> interceptCall(MethodDescriptor<Q, R> method, CallOptions options, Channel next) {
        var limited = options.getDeadline() == null
                ? options.withDeadlineAfter(timeout.toNanos(), TimeUnit.NANOSECONDS)
                : options;
        return next.newCall(method, limited);
    }
}
