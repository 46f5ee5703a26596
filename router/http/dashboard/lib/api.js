// Requests to the gateway: with the operator's token, failures as one kind of error.

const TOKEN = "waypost.token";

export const token = () => sessionStorage.getItem(TOKEN) ?? "";

export function keepToken(secret) {
  if (secret) sessionStorage.setItem(TOKEN, secret);
  else sessionStorage.removeItem(TOKEN);
}

/** What the gateway refused, in its own words. */
export class Refused extends Error {
  constructor(status, { message, code, param } = {}) {
    super(message || `the gateway answers with status ${status}`);
    this.status = status;
    this.code = code ?? "";
    this.param = param ?? "";
  }

  /** A token is missing, wrong, or of too low a role. */
  get wantsToken() {
    return this.status === 401 || (this.status === 403 && this.code !== "content_filter");
  }
}

/** The reply to a GET, or to a POST where there is a body, before it is read. */
export async function send(path, { body, signal, headers = {} } = {}) {
  const said = { ...headers };
  if (token()) said.authorization = `Bearer ${token()}`;
  if (body !== undefined) said["content-type"] = "application/json";
  const method = body === undefined ? "GET" : "POST";
  const reply = await fetch(path, { method, headers: said, body: JSON.stringify(body), signal, cache: "no-store" });
  if (reply.ok) return reply;
  const told = await reply.json().catch(() => ({}));
  throw new Refused(reply.status, told.error);
}

export async function ask(path, options) {
  return (await send(path, options)).json();
}
