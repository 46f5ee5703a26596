import { create, type DescService, type MessageInitShape } from "@bufbuild/protobuf";
import { type CallOptions, type Client, createClient, type Transport } from "@connectrpc/connect";

import { typedErrors } from "./errors.js";
import {
  type ClassifyRequestSchema,
  type ClassifyResponse,
  ClassifyService,
} from "./gen/waypost/v1/classify_pb.js";
import {
  type CountTokensRequestSchema,
  type CountTokensResponse,
  type EmbedRequestSchema,
  type EmbedResponse,
  EmbedService,
} from "./gen/waypost/v1/embed_pb.js";
import {
  type GenerateRequestSchema,
  type GenerateResponse,
  GenerateService,
  type GenerateServiceCountTokensRequestSchema,
  type GenerateServiceCountTokensResponse,
  type GenerateStreamResponse,
} from "./gen/waypost/v1/generate_pb.js";
import { type InstanceStatus, MeshService, type ModelInfo } from "./gen/waypost/v1/mesh_pb.js";
import { type RerankRequestSchema, type RerankResponse, RerankService } from "./gen/waypost/v1/rerank_pb.js";
import {
  type DeleteDocumentsRequestSchema,
  type DeleteDocumentsResponse,
  type Document,
  type GetDocumentsRequestSchema,
  ListDocumentsRequestSchema,
  type QueryDocumentsRequestSchema,
  type QueryDocumentsResponse,
  RetrieveService,
  type UpsertDocumentsRequestSchema,
  type UpsertDocumentsResponse,
} from "./gen/waypost/v1/retrieve_pb.js";
import { RETRY, retrying, type RetryPolicy } from "./retry.js";
import { open, type Tls } from "./transport.js";

export const DEFAULT_TIMEOUT_MS = 60_000;

type Many<T> = Iterable<T> | AsyncIterable<T>;

export interface WaypostOptions {
  /** "host:port" or "unix:/path" of a router, or of a single worker. */
  address: string;
  /** A token, or a tenant's key, where the router wants one. */
  token?: string;
  /** Encrypts the connection; absent: plain text. */
  tls?: Tls;
  /** How long a call may take that brings no `timeoutMs` of its own. */
  timeoutMs?: number;
  /** Changes to `RETRY`. */
  retry?: Partial<RetryPolicy>;
}

/**
 * Calls a mesh.
 *
 * Requests are written as the contract has them, in lower camel case; what a call may be given besides is Connect's:
 * `signal`, `timeoutMs`, `headers`, `onTrailer`.  Failures are `WaypostError`.
 */
export class Waypost {
  /** For calls that have no method here: see `client`. */
  readonly transport: Transport;
  readonly #close: () => void;
  readonly #embed: Client<typeof EmbedService>;
  readonly #classify: Client<typeof ClassifyService>;
  readonly #rerank: Client<typeof RerankService>;
  readonly #generate: Client<typeof GenerateService>;
  readonly #retrieve: Client<typeof RetrieveService>;
  readonly #mesh: Client<typeof MeshService>;

  constructor({ address, token, tls, timeoutMs = DEFAULT_TIMEOUT_MS, retry }: WaypostOptions) {
    const { transport, close } = open(address, token, tls);
    this.#close = close;
    this.transport = typedErrors(retrying(transport, { ...RETRY, ...retry }, timeoutMs));
    this.#embed = this.client(EmbedService);
    this.#classify = this.client(ClassifyService);
    this.#rerank = this.client(RerankService);
    this.#generate = this.client(GenerateService);
    this.#retrieve = this.client(RetrieveService);
    this.#mesh = this.client(MeshService);
  }

  /** Ends the calls under way and closes the connection.  An idle one does not keep the process alive. */
  close(): void {
    this.#close();
  }

  /** A client of any service of the contract, with the same deadlines, token, retries and errors. */
  client<S extends DescService>(service: S): Client<S> {
    return createClient(service, this.transport);
  }

  /** One unit vector per text; `vectors` reads them. */
  embed(request: MessageInitShape<typeof EmbedRequestSchema>, options?: CallOptions): Promise<EmbedResponse> {
    return this.#embed.embed(request, options);
  }

  /** Embeds many requests over one stream: one reply per request, in their order.  Leaving the loop cancels the call. */
  async *embedStream(
    requests: Many<MessageInitShape<typeof EmbedRequestSchema>>,
    options?: CallOptions,
  ): AsyncGenerator<EmbedResponse> {
    for await (const reply of cancelled(options, (own) => this.#embed.embedStream(wrapped(requests), own))) {
      if (reply.response) {
        yield reply.response;
      }
    }
  }

  /** Tokens per text, without running a model. */
  countTokens(
    request: MessageInitShape<typeof CountTokensRequestSchema>,
    options?: CallOptions,
  ): Promise<CountTokensResponse> {
    return this.#embed.countTokens(request, options);
  }

  /** Labels with calibrated scores, per text. */
  classify(
    request: MessageInitShape<typeof ClassifyRequestSchema>,
    options?: CallOptions,
  ): Promise<ClassifyResponse> {
    return this.#classify.classify(request, options);
  }

  /** The documents ordered against the query, best first. */
  rerank(
    request: MessageInitShape<typeof RerankRequestSchema>,
    options?: CallOptions,
  ): Promise<RerankResponse> {
    return this.#rerank.rerank(request, options);
  }

  /** The whole answer.  It is never tried again by itself. */
  generate(
    request: MessageInitShape<typeof GenerateRequestSchema>,
    options?: CallOptions,
  ): Promise<GenerateResponse> {
    return this.#generate.generate(request, options);
  }

  /** The answer piece by piece; the last has `final`.  Leaving the loop frees the model at its next step. */
  generateStream(
    request: MessageInitShape<typeof GenerateRequestSchema>,
    options?: CallOptions,
  ): AsyncGenerator<GenerateStreamResponse> {
    return cancelled(options, (own) => this.#generate.generateStream({ request }, own));
  }

  /** Tokens of a prompt as `generate` would read it, its template and tools included. */
  countPromptTokens(
    request: MessageInitShape<typeof GenerateServiceCountTokensRequestSchema>,
    options?: CallOptions,
  ): Promise<GenerateServiceCountTokensResponse> {
    return this.#generate.countTokens(request, options);
  }

  /** Stores documents, replacing those of the same id; what is answered is kept, and found by queries afterwards. */
  upsertDocuments(
    request: MessageInitShape<typeof UpsertDocumentsRequestSchema>,
    options?: CallOptions,
  ): Promise<UpsertDocumentsResponse> {
    return this.#retrieve.upsertDocuments(request, options);
  }

  /** Stores many: one reply per request, in their order, when it is kept.  Leaving the loop cancels the call. */
  async *upsertDocumentsStream(
    requests: Many<MessageInitShape<typeof UpsertDocumentsRequestSchema>>,
    options?: CallOptions,
  ): AsyncGenerator<UpsertDocumentsResponse> {
    const start = (own: CallOptions) => this.#retrieve.upsertDocumentsStream(wrapped(requests), own);
    for await (const reply of cancelled(options, start)) {
      if (reply.response) {
        yield reply.response;
      }
    }
  }

  /** Finds documents by meaning, by words, or both: one result per query. */
  queryDocuments(
    request: MessageInitShape<typeof QueryDocumentsRequestSchema>,
    options?: CallOptions,
  ): Promise<QueryDocumentsResponse> {
    return this.#retrieve.queryDocuments(request, options);
  }

  /** Documents by id; those that are not there are left out. */
  async getDocuments(
    request: MessageInitShape<typeof GetDocumentsRequestSchema>,
    options?: CallOptions,
  ): Promise<Document[]> {
    return (await this.#retrieve.getDocuments(request, options)).documents;
  }

  /** All documents, or those that the filter lets through, by id; fetched page by page while the loop goes on. */
  async *documents(
    request: MessageInitShape<typeof ListDocumentsRequestSchema>,
    options?: CallOptions,
  ): AsyncGenerator<Document> {
    const page = create(ListDocumentsRequestSchema, request);
    do {
      const reply = await this.#retrieve.listDocuments(page, options);
      yield* reply.documents;
      page.pageToken = reply.nextPageToken;
    } while (page.pageToken);
  }

  /** Removes documents by id, or those that a filter lets through. */
  deleteDocuments(
    request: MessageInitShape<typeof DeleteDocumentsRequestSchema>,
    options?: CallOptions,
  ): Promise<DeleteDocumentsResponse> {
    return this.#retrieve.deleteDocuments(request, options);
  }

  /** What can be asked for by name. */
  async models(options?: CallOptions): Promise<ModelInfo[]> {
    return (await this.#mesh.listModels({}, options)).models;
  }

  /** The workers with their state, as the router sees them. */
  async instances(options?: CallOptions): Promise<InstanceStatus[]> {
    return (await this.#mesh.listInstances({}, options)).instances;
  }
}

/**
 * A stream whose call ends with the loop over it; Connect's own goes on until its deadline.
 *
 * What it would say next is asked for once more in the end, as only that takes away its timer.
 */
async function* cancelled<T>(
  options: CallOptions | undefined,
  start: (options: CallOptions) => AsyncIterable<T>,
): AsyncGenerator<T> {
  const left = new AbortController();
  const signals = [left.signal, ...(options?.signal ? [options.signal] : [])];
  const messages = start({ ...options, signal: AbortSignal.any(signals) })[Symbol.asyncIterator]();
  try {
    for (let next = await messages.next(); !next.done; next = await messages.next()) {
      yield next.value;
    }
  } finally {
    left.abort();
    await messages.next().catch(() => undefined);
  }
}

async function* wrapped<T>(requests: Many<T>): AsyncGenerator<{ request: T }> {
  for await (const request of requests) {
    yield { request };
  }
}
