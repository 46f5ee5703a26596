/** Every case of clients/golden/vectors.json; the README beside it says what a case means. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  fromJson,
  type JsonValue,
  toJson,
} from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";

import {
  ClassifyService,
  EmbedService,
  ErrorReasonSchema,
  GenerateService,
  MeshService,
  RerankService,
  RetrieveService,
  type Waypost,
  WaypostError,
} from "../src/index.js";
import { all, failure, MESH, mesh, setting } from "./mesh.js";

const TOLERANCE = 1e-5;
const SERVICES = [
  ClassifyService,
  EmbedService,
  GenerateService,
  MeshService,
  RerankService,
  RetrieveService,
];

interface Case {
  name: string;
  rpc: string;
  request?: JsonValue;
  requests?: JsonValue[];
  timeout_ms?: number;
  response?: JsonValue;
  responses?: JsonValue[];
  text?: string;
  finish_reason?: string;
  error?: Failure;
}

interface Failure {
  code: string;
  reason?: string;
  field?: string;
  metadata?: Record<string, string>;
  has_retry_info: boolean;
}

test("every case of the golden table", MESH, async (t) => {
  const waypost = mesh();
  t.after(() => waypost.close());
  for (const each of table()) {
    await t.test(each.name, async () => {
      const answers = ask(waypost, each);
      if (each.error) {
        checkFailure(each.error, await failure(answers));
      } else {
        checkAnswers(each, await answers);
      }
    });
  }
});

function table(): Case[] {
  return JSON.parse(readFileSync(`${setting("WAYPOST_GOLDEN")}/vectors.json`, "utf8")) as Case[];
}

/** Knows no call by name: the descriptors say what goes in and comes out. */
async function ask(waypost: Waypost, { rpc, request, requests, timeout_ms }: Case): Promise<JsonValue[]> {
  const method = methodOf(rpc);
  const { input, output } = method;
  const sent = (requests ?? [request ?? {}]).map((each) => fromJson(input, each));
  const rest = [undefined, timeout_ms, undefined] as const;
  if (isUnary(method)) {
    const { message } = await waypost.transport.unary(method, ...rest, sent[0] ?? {});
    return [toJson(output, message)];
  }
  const { message } = await waypost.transport.stream(method as DescMethodStreaming, ...rest, iterated(sent));
  return (await all(message)).map((each) => toJson(output, each));
}

function isUnary(method: DescMethod): method is DescMethodUnary {
  return method.methodKind === "unary";
}

async function* iterated<T>(messages: T[]): AsyncGenerator<T> {
  yield* messages;
}

function methodOf(path: string): DescMethod {
  const [, service, name] = path.split("/");
  const found = SERVICES.find((each) => each.typeName === service)?.methods.find(
    (each) => each.name === name,
  );
  assert.ok(found, `${path} is no call`);
  return found;
}

function checkAnswers(wanted: Case, answers: JsonValue[]): void {
  if (wanted.finish_reason !== undefined) {
    check(wanted.text ?? "", answers.map((each) => member(each, "text") ?? "").join(""));
    check({ final: { finishReason: wanted.finish_reason } }, answers.at(-1));
  } else {
    check(wanted.responses ?? [wanted.response ?? {}], answers);
  }
}

function checkFailure(wanted: Failure, error: unknown): void {
  assert.ok(error instanceof WaypostError, String(error));
  assert.equal(codeName(error.code), wanted.code);
  assert.equal(error.field, wanted.field ?? "");
  assert.equal(error.retryAfterMs !== undefined, wanted.has_retry_info);
  if (wanted.reason !== undefined) {
    assert.equal(ErrorReasonSchema.value[error.reason]?.name, wanted.reason);
  }
  check(wanted.metadata ?? {}, error.metadata);
}

/** The code as gRPC's documents write it: NOT_FOUND, where Connect says NotFound. */
function codeName(code: Code): string {
  const name = Code[code] ?? "";
  return name.replace(/(?<=.)([A-Z])/g, "_$1").toUpperCase();
}

function check(wanted: JsonValue, got: JsonValue | undefined): void {
  assert.ok(matches(wanted, got), `got  ${JSON.stringify(got)}\nwant ${JSON.stringify(wanted)}`);
}

/** Whether an answer has all that is wanted; what it has besides does not count. */
function matches(wanted: JsonValue, got: JsonValue | undefined): boolean {
  if (Array.isArray(wanted)) {
    const list = Array.isArray(got) ? got : [];
    return list.length === wanted.length && wanted.every((each, index) => matches(each, list[index]));
  }
  if (wanted !== null && typeof wanted === "object") {
    return Object.entries(wanted).every(([key, value]) => matches(value, member(got, key)));
  }
  if (typeof wanted === "number") {
    return Math.abs(wanted - Number(got ?? 0)) <= TOLERANCE;
  }
  return wanted === got;
}

function member(value: JsonValue | undefined, key: string): JsonValue | undefined {
  return value !== null && typeof value === "object" && !Array.isArray(value) ? value?.[key] : undefined;
}
