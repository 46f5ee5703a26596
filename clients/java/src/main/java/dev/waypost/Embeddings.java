package dev.waypost;

import dev.waypost.v1.EmbedResponse;
import java.nio.ByteOrder;

/**
 * One unit vector per text, in the order of the texts.
 *
 * @param vectors a row per text
 * @param response the rest of the answer: who served it, how long it took, how many tokens it had
 */
public record Embeddings(float[][] vectors, EmbedResponse response) {
    static Embeddings of(EmbedResponse response) {
        var floats = response.getVectors().asReadOnlyByteBuffer().order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer();
        var vectors = new float[response.getUsageCount()][response.getDimensions()];
        for (float[] row : vectors) {
            floats.get(row);
        }
        return new Embeddings(vectors, response);
    }
}
