package dev.waypost;

import java.nio.file.Path;

/** The real mesh that the tests ask, which {@code clients/run.py} starts; it says by the environment where it is. */
final class Mesh {
    static final String ADDRESS = required("WAYPOST_ADDRESS");
    static final String KEYED_ADDRESS = required("WAYPOST_KEYED_ADDRESS");
    static final String KEY = required("WAYPOST_KEY");
    static final Path GOLDEN = Path.of(required("WAYPOST_GOLDEN")).resolve("vectors.json");

    private Mesh() {}

    static WaypostClient client() {
        return WaypostClient.builder(ADDRESS).build();
    }

    static String required(String name) {
        var value = System.getenv(name);
        if (value == null || value.isEmpty()) {
            throw new IllegalStateException(name + " is not set: run the tests by `make test-client-java`");
        }
        return value;
    }
}
