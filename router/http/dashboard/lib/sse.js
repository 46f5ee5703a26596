// Server-sent events by fetch: unlike EventSource it can send Authorization, POST, and be told to stop.

/** The `data` of each event of a reply. */
export async function* events(reply) {
  let rest = "";
  for await (const text of texts(reply.body)) {
    const parts = (rest + text).split(/\r?\n\r?\n/);
    rest = parts.pop();
    for (const part of parts) {
      const data = dataOf(part);
      if (data) yield data;
    }
  }
}

// Not `for await` over the body: Safari's streams cannot be iterated.
async function* texts(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) yield read.value;
  } finally {
    reader.cancel().catch(() => {});
  }
}

function dataOf(event) {
  const lines = event.split(/\r?\n/).filter((line) => line.startsWith("data:"));
  return lines.map((line) => line.slice(5).trimStart()).join("\n");
}
