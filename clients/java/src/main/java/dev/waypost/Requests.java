package dev.waypost;

import dev.waypost.v1.ChatMessage;
import dev.waypost.v1.ClassifyRequest;
import dev.waypost.v1.EmbedRequest;
import dev.waypost.v1.GenerateRequest;
import dev.waypost.v1.Prompt;
import dev.waypost.v1.RerankRequest;
import java.util.List;

/** The requests of calls that say no more than what they are about. */
final class Requests {
    private Requests() {}

    static EmbedRequest embed(String... texts) {
        return EmbedRequest.newBuilder().addAllTexts(List.of(texts)).build();
    }

    static ClassifyRequest classify(String... texts) {
        return ClassifyRequest.newBuilder().addAllTexts(List.of(texts)).build();
    }

    static RerankRequest rerank(String query, List<String> documents) {
        return RerankRequest.newBuilder().setQuery(query).addAllDocuments(documents).build();
    }

    static GenerateRequest chat(String message) {
        var said = ChatMessage.newBuilder().setRole("user").setContent(message);
        return GenerateRequest.newBuilder().setChat(Prompt.newBuilder().addMessages(said)).build();
    }
}
