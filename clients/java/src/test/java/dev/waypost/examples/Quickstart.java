package dev.waypost.examples;

import dev.waypost.WaypostClient;
import dev.waypost.WaypostException;
import java.util.List;

public final class Quickstart {
    public static void main(String[] args) {
        var address = System.getenv().getOrDefault("WAYPOST_ADDRESS", "127.0.0.1:50051");
        try (var client = WaypostClient.builder(address).build()) {
            float[][] vectors = client.embed("a man plays the guitar", "somebody makes music").vectors();
            System.out.printf("%d vectors of %d numbers%n", vectors.length, vectors[0].length);

            var best = client.rerank("red car", List.of("a blue boat", "the red car")).getRanking(0);
            System.out.printf("document %d fits best%n", best.getIndex());

            try (var pieces = client.generateStream("Say hello.")) {
                pieces.forEachRemaining(piece -> System.out.print(piece.getText()));
            }
            System.out.println();

            client.embed();
        } catch (WaypostException failure) {
            System.out.printf("%s %s: %s%n", failure.code(), failure.reason(), failure.getMessage());
        }
    }

    private Quickstart() {}
}
