package dev.waypost;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.util.JsonFormat;

/** Messages as the golden table writes them. */
final class Json {
    private static final double FLOAT_TOLERANCE = 1e-5;

    private Json() {}

    @SuppressWarnings("unchecked")
    static <M extends Message> M read(JsonElement json, M kind) throws InvalidProtocolBufferException {
        var builder = kind.newBuilderForType();
        JsonFormat.parser().merge(json.toString(), builder);
        return (M) builder.build();
    }

    /** With the fields that are zero, so that the table may expect them. */
    static JsonElement write(Message message) throws InvalidProtocolBufferException {
        return JsonParser.parseString(JsonFormat.printer().alwaysPrintFieldsWithNoPresence().print(message));
    }

    /** Whether an answer has all that is wanted; what it has besides does not count. */
    static boolean matches(JsonElement wanted, JsonElement got) {
        if (got == null) {
            return false;
        }
        if (wanted.isJsonObject()) {
            return got.isJsonObject() && hasAll(wanted.getAsJsonObject(), got.getAsJsonObject());
        }
        if (wanted.isJsonArray()) {
            return got.isJsonArray() && sameLength(wanted, got) && eachMatches(wanted, got);
        }
        if (wanted.isJsonPrimitive() && wanted.getAsJsonPrimitive().isNumber()) {
            return Math.abs(wanted.getAsDouble() - got.getAsDouble()) <= FLOAT_TOLERANCE;
        }
        return wanted.equals(got);
    }

    private static boolean hasAll(JsonObject wanted, JsonObject got) {
        return wanted.entrySet().stream().allMatch(entry -> matches(entry.getValue(), got.get(entry.getKey())));
    }

    private static boolean sameLength(JsonElement wanted, JsonElement got) {
        return wanted.getAsJsonArray().size() == got.getAsJsonArray().size();
    }

    private static boolean eachMatches(JsonElement wanted, JsonElement got) {
        var others = got.getAsJsonArray().iterator();
        return wanted.getAsJsonArray().asList().stream().allMatch(each -> matches(each, others.next()));
    }
}
