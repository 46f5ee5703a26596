import type { EmbedResponse } from "./gen/waypost/v1/embed_pb.js";

const FLOAT_BYTES = 4;

/** The rows of a reply, one per text. */
export function vectors(reply: EmbedResponse): Float32Array[] {
  const width = reply.dimensions * FLOAT_BYTES;
  const rows = width === 0 ? 0 : reply.vectors.byteLength / width;
  return Array.from({ length: rows }, (_, row) => floats(reply.vectors, row * width, reply.dimensions));
}

/** Little-endian whatever the machine is, and copied: the bytes of a reply need not lie where floats may. */
function floats(bytes: Uint8Array, offset: number, count: number): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, count * FLOAT_BYTES);
  return Float32Array.from({ length: count }, (_, index) => view.getFloat32(index * FLOAT_BYTES, true));
}
