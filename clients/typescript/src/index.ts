/** The client of a Waypost mesh: embed, classify, rerank, generate, and documents. */
export { Code, type CallOptions } from "@connectrpc/connect";

export { DEFAULT_TIMEOUT_MS, Waypost, type WaypostOptions } from "./client.js";
export { WaypostError } from "./errors.js";
export { RETRY, type RetryPolicy } from "./retry.js";
export type { Tls } from "./transport.js";
export { vectors } from "./vectors.js";

export * from "./gen/waypost/v1/classify_pb.js";
export * from "./gen/waypost/v1/common_pb.js";
export * from "./gen/waypost/v1/embed_pb.js";
export * from "./gen/waypost/v1/error_pb.js";
export * from "./gen/waypost/v1/generate_pb.js";
export * from "./gen/waypost/v1/mesh_pb.js";
export * from "./gen/waypost/v1/rerank_pb.js";
export * from "./gen/waypost/v1/retrieve_pb.js";
