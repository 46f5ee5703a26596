package dev.waypost.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The program of the README. */
@Timeout(30)
class QuickstartTest {
    @Test
    void itRuns() {
        var lines = output().lines().toList();
        assertEquals("2 vectors of 16 numbers", lines.get(0));
        assertEquals("document 1 fits best", lines.get(1));
        assertTrue(lines.get(2).contains("Say hello."), lines.get(2));
        assertTrue(lines.get(3).startsWith("INVALID_ARGUMENT ERROR_REASON_EMPTY_INPUT: "), lines.get(3));
    }

    @Test
    void itIsWhatTheReadmeShows() throws IOException {
        var program = Files.readString(Path.of("src/test/java/dev/waypost/examples/Quickstart.java"));
        assertTrue(Files.readString(Path.of("README.md")).contains("```java\n" + program + "```\n"));
    }

    private static String output() {
        var screen = System.out;
        var written = new ByteArrayOutputStream();
        try {
            System.setOut(new PrintStream(written, true, StandardCharsets.UTF_8));
            Quickstart.main(new String[0]);
        } finally {
            System.setOut(screen);
        }
        return written.toString(StandardCharsets.UTF_8);
    }
}
