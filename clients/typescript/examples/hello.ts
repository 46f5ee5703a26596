import { ErrorReason, Waypost, WaypostError } from "waypost-client";

const waypost = new Waypost({ address: process.env.WAYPOST_ADDRESS ?? "127.0.0.1:50051" });

// Documents in the order of their relevance.
const documents = ["We are closed on Sunday.", "Refunds: you get your money back in five days."];
const query = "how do I get my money back?";
const { ranking } = await waypost.rerank({ model: "hash", query, documents });
const best = documents[ranking[0]!.index]!;
console.log(best);

// An answer, word by word.
const messages = [{ role: "user", content: best }];
for await (const piece of waypost.generateStream({
  model: "drip",
  input: { case: "chat", value: { messages } },
})) {
  process.stdout.write(`${piece.text}| `);
}
console.log();

// What went wrong, and where.
try {
  await waypost.embed({ model: "hash", texts: ["hello"], dimensions: 7 });
} catch (error) {
  if (!(error instanceof WaypostError)) throw error;
  console.log(ErrorReason[error.reason], error.field);
}
