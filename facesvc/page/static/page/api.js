/**
 * A client of the facesvc API for browsers. It depends on nothing else: copy it into your app, but
 * give your users tokens of their own there (`sub` is the user), never a service's.
 *
 *     const api = new FaceApi({token});
 *     const {face_id} = await api.register({userId, image});
 *
 * Every method answers `data` of the response, and throws an ApiError for anything else. Events:
 * `request` after each answer, `refused` with the error of one, and `wait` before a request is sent
 * again by itself.
 */

const PREFIX = "/api/v1/face-recognition/";
// Seconds that a request waits at most to be sent again; and how often.
const LONGEST_WAIT = 90;
const TRIES = 4;
// Refused before it was looked at; or while it may have been.
const TOO_EARLY = new Set(["rate_limited", "requests_in_progress"]);
const BUSY = new Set(["unavailable", "request_in_progress"]);

export class ApiError extends Error {
  constructor({code, message, details = {}, status = 0, retryAfter = 0, requestId = ""}) {
    super(message);
    Object.assign(this, {code, details, status, retryAfter, requestId});
  }
}

export class FaceApi extends EventTarget {
  constructor({token, base = ""}) {
    super();
    Object.assign(this, {token, base});
    /** The limit of the token as the last answer said it: {remaining, reset in seconds}. */
    this.limit = null;
  }

  /** What the token says of itself: {sub, exp, scope}. Empty if it is no JSON Web Token. */
  get claims() {
    try {
      const text = atob(this.token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
      return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (c) => c.charCodeAt(0))));
    } catch {
      return {};
    }
  }

  register({userId, image, faceIndex, metadata, key = uuid()}) {
    const form = {user_id: userId, image, face_index: faceIndex, metadata};
    return this.send("POST", "register", {form, headers: {"Idempotency-Key": key}});
  }

  verify({userId, image, level, metadata}) {
    const form = {user_id: userId, image, verification_level: level, metadata};
    return this.send("POST", "verify", {form});
  }

  identify({image, scope, onBehalfOf, metadata}) {
    const form = {image, search_scope: scope, on_behalf_of: onBehalfOf, metadata};
    return this.send("POST", "identify", {form});
  }

  detect(image, {signal} = {}) {
    return this.send("POST", "detect", {form: {image}, signal, isSafe: true});
  }

  openSession({userId, purpose, level, metadata}) {
    const json = {user_id: userId, purpose, verification_level: level, metadata};
    return this.send("POST", "sessions", {json, headers: {"Idempotency-Key": uuid()}});
  }

  session(id) { return this.send("GET", `sessions/${id}`); }

  endSession(id, {keepalive = false} = {}) {
    return this.send("DELETE", `sessions/${id}`, {keepalive});
  }

  frame(id, image, sequence, {signal} = {}) {
    return this.send("POST", `sessions/${id}/frames`, {query: {sequence}, raw: image, signal, most: 1});
  }

  users({cursor, pageSize = 50} = {}) {
    return this.send("GET", "users", {query: {page_size: pageSize, cursor}});
  }

  user(id) { return this.send("GET", `users/${encodeURIComponent(id)}`); }

  putUser(id, fields) { return this.send("PUT", `users/${encodeURIComponent(id)}`, {json: fields}); }

  eraseUser(id) { return this.send("DELETE", `users/${encodeURIComponent(id)}`); }

  faces(userId, {cursor} = {}) { return this.send("GET", `users/${encodeURIComponent(userId)}/faces`, {query: {cursor}}); }

  models() { return this.send("GET", "models"); }

  deleteFace(faceId) { return this.send("DELETE", `faces/${faceId}`); }

  /**
   * One request. `form` becomes multipart/form-data, `json` JSON, `raw` the body itself. A request
   * that came too early was not looked at, so it is sent again when it may be, `most` times in all.
   * One that the service had no time for is only sent again if that can do nothing twice.
   */
  async send(method, path, options = {}) {
    const {query = {}, form, json, raw, headers = {}, signal, most = TRIES} = options;
    const url = address(this.base, path, query);
    const request = {method, url, headers: withToken(headers, this.token), signal};
    request.keepalive = options.keepalive ?? false;
    if (form) request.body = formOf(form);
    else if (json) request.body = JSON.stringify(defined(json));
    else if (raw) request.body = raw;
    if (json || raw) request.headers["Content-Type"] = json ? "application/json" : raw.type;
    const isSafe = options.isSafe || ["GET", "PUT", "DELETE"].includes(method)
      || "Idempotency-Key" in headers;
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#once(path, request, {query, form, json, raw, headers});
      } catch (error) {
        const wait = error.retryAfter ?? 0;
        const isWorth = TOO_EARLY.has(error.code) || (isSafe && BUSY.has(error.code));
        if (!isWorth || !wait || wait > LONGEST_WAIT || tries >= most) throw error;
        await this.#pause(wait, error, signal);
      }
    }
  }

  async #once(path, request, parts) {
    const started = performance.now();
    let response, body, broken = null;
    try {
      response = await fetch(request.url, request);
      body = await response.json();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      broken = error;
    }
    const status = response?.status ?? 0, ms = Math.round(performance.now() - started);
    const detail = {method: request.method, path, status, ms, parts};
    this.dispatchEvent(new CustomEvent("request", {detail}));
    if (broken) throw new ApiError({code: status ? "no_json" : "unreachable", message: String(broken), status});
    this.limit = limitOf(response.headers);
    if (body.success) return body.data;
    const error = new ApiError({
      ...body.error,
      status: response.status,
      retryAfter: Number(response.headers.get("Retry-After") ?? 0),
      requestId: body.metadata?.request_id,
    });
    this.dispatchEvent(new CustomEvent("refused", {detail: error}));
    throw error;
  }

  #pause(seconds, error, signal) {
    this.dispatchEvent(new CustomEvent("wait", {detail: {seconds, error}}));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, seconds * 1000);
      signal?.addEventListener("abort", () => {
        clearTimeout(timer);
        reject(signal.reason);
      });
    });
  }
}

/** The request as a curl command for a terminal; TOKEN stands for the token. */
export function curlOf({method, path, parts: {query, form, json, raw, headers}}, origin) {
  const words = ["curl"];
  if (method !== "GET" && !(form && method === "POST")) words.push("-X", method);
  words.push(quoted(address(origin, path, query)), "-H", '"Authorization: Bearer $TOKEN"');
  for (const [name, value] of Object.entries(headers)) words.push("-H", quoted(`${name}: ${value}`));
  if (json) {
    words.push("-H", quoted("Content-Type: application/json"), "-d", quoted(JSON.stringify(defined(json))));
  }
  if (raw) words.push("-H", quoted(`Content-Type: ${raw.type}`), "--data-binary", quoted(`@${raw.name}`));
  for (const [name, value] of Object.entries(defined(form ?? {}))) {
    // Of a text that begins with @ curl would make a file.
    if (value instanceof Blob) words.push("-F", quoted(`${name}=@${value.name}`));
    else words.push("--form-string", quoted(`${name}=${text(value)}`));
  }
  return words.join(" ");
}

/** A random UUID, also where a page came over plain http and crypto.randomUUID is missing. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40; // version 4,
  bytes[8] = (bytes[8] & 0x3f) | 0x80; // of RFC 9562
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function address(origin, path, query) {
  const search = new URLSearchParams(defined(query)).toString();
  return `${origin}${PREFIX}${path}${search && "?"}${search}`;
}

function withToken(headers, token) {
  return {...headers, Authorization: `Bearer ${token}`};
}

function formOf(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(defined(fields))) {
    if (value instanceof Blob) form.append(name, value, value.name);
    else form.append(name, text(value));
  }
  return form;
}

function text(value) {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function defined(fields) {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function limitOf(headers) {
  const remaining = headers.get("RateLimit-Remaining");
  if (remaining === null) return null;
  return {remaining: Number(remaining), reset: Number(headers.get("RateLimit-Reset"))};
}
