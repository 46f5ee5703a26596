package dev.waypost;

import dev.waypost.v1.GenerateStreamResponse;
import io.grpc.Context;
import io.grpc.StatusRuntimeException;
import java.util.Iterator;
import java.util.function.Supplier;

/**
 * An answer piece by piece; the last piece carries {@code final}, with the finish reason and the usage.
 *
 * <p>Closing it, from any thread, cancels the call unless it is over, so that the model stops at its next step: read it
 * in a {@code try} with resources. Whoever waits for the next piece then gets a {@link CallerException} of the code
 * {@code CANCELLED}.
 */
public final class GenerateStream implements Iterator<GenerateStreamResponse>, Iterable<GenerateStreamResponse>, AutoCloseable {
    private final Context.CancellableContext call = Context.current().withCancellation();
    private final Iterator<GenerateStreamResponse> pieces;

    GenerateStream(Supplier<Iterator<GenerateStreamResponse>> start) {
        // The call belongs to the context it was started in, and ends with it.
        var before = call.attach();
        try {
            pieces = start.get();
        } finally {
            call.detach(before);
        }
    }

    @Override
    public boolean hasNext() {
        try {
            return pieces.hasNext();
        } catch (StatusRuntimeException failure) {
            throw WaypostException.of(failure);
        }
    }

    @Override
    public GenerateStreamResponse next() {
        try {
            return pieces.next();
        } catch (StatusRuntimeException failure) {
            throw WaypostException.of(failure);
        }
    }

    /** Itself: the pieces can be read once. */
    @Override
    public Iterator<GenerateStreamResponse> iterator() {
        return this;
    }

    @Override
    public void close() {
        call.cancel(null);
    }
}
