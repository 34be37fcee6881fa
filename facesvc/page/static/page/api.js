/**
 * A client of the facesvc API for browsers and Node. It depends on nothing else: copy it into your
 * app, with its types in api.d.ts. docs/javascript.md is its manual.
 *
 *     const api = new FaceApi({token});
 *     const {face_id} = await api.register({user_id, image});
 *
 * There is a method for each operation of the API, with the arguments of the API. It answers `data`
 * of the response, and throws an ApiError for anything else. Events: `request` after each answer,
 * `refused` with the error of one, and `wait` before a request is sent again by itself.
 */

const PREFIX = "/api/v1/face-recognition/";
// Seconds that a request waits at most to be sent again; and how often.
const LONGEST_WAIT = 90;
const TRIES = 4;
// Refused before it was looked at; or while it may have been.
const TOO_EARLY = new Set(["rate_limited", "requests_in_progress"]);
const BUSY = new Set(["unavailable", "request_in_progress"]);

// --- made of the API description by `make docs`
const OPERATIONS = {
  register: {method: "POST", path: "register", form: ["user_id", "image", "face_group", "face_index", "metadata"], hasKey: true, isSafe: true},
  registerFaces: {method: "POST", path: "register-faces", form: ["image", "faces"], hasKey: true, isSafe: true},
  verify: {method: "POST", path: "verify", form: ["user_id", "image", "face_id", "face_group", "verification_level", "match_on", "metadata"]},
  identify: {method: "POST", path: "identify", form: ["on_behalf_of", "image", "images", "faces", "unique_people", "search_scope", "metadata"], isSafe: true},
  detect: {method: "POST", path: "detect", form: ["image"], isSafe: true},
  compare: {method: "POST", path: "compare", form: ["image_a", "image_b", "faces", "verification_level"], isSafe: true},
  openSession: {method: "POST", path: "sessions", json: ["user_id", "purpose", "verification_level", "metadata"], hasKey: true, isSafe: true},
  endSession: {method: "DELETE", path: "sessions/{session_id}", isSafe: true},
  getSession: {method: "GET", path: "sessions/{session_id}", isSafe: true},
  postFrame: {method: "POST", path: "sessions/{session_id}/frames", form: ["image", "sequence", "captured_at"]},
  listUsers: {method: "GET", path: "users", query: ["cursor", "page_size", "q"], items: "users", isSafe: true},
  eraseUser: {method: "DELETE", path: "users/{user_id}", isSafe: true},
  getUser: {method: "GET", path: "users/{user_id}", isSafe: true},
  putUser: {method: "PUT", path: "users/{user_id}", json: ["display_name", "profile_image", "privacy_level"], isSafe: true},
  listFaces: {method: "GET", path: "users/{user_id}/faces", query: ["cursor", "page_size"], items: "faces", isSafe: true},
  listGroupsOfUser: {method: "GET", path: "users/{user_id}/groups", query: ["cursor", "page_size"], items: "groups", isSafe: true},
  suspendUser: {method: "POST", path: "users/{user_id}/suspend", headers: {on_behalf_of: "X-On-Behalf-Of"}, json: ["reason"]},
  unsuspendUser: {method: "POST", path: "users/{user_id}/unsuspend", headers: {on_behalf_of: "X-On-Behalf-Of"}, json: ["reason"]},
  unlockUser: {method: "POST", path: "users/{user_id}/unlock", headers: {on_behalf_of: "X-On-Behalf-Of"}, json: ["reason"]},
  mergeUsers: {method: "POST", path: "users/{user_id}/merge", headers: {on_behalf_of: "X-On-Behalf-Of"}, json: ["into", "reason", "privacy_level"]},
  listFriends: {method: "GET", path: "users/{user_id}/friends", query: ["cursor", "page_size"], items: "friends", isSafe: true},
  deleteFriend: {method: "DELETE", path: "users/{user_id}/friends/{other_id}", isSafe: true},
  getFriend: {method: "GET", path: "users/{user_id}/friends/{other_id}", isSafe: true},
  putFriend: {method: "PUT", path: "users/{user_id}/friends/{other_id}", isSafe: true},
  listAllFaces: {method: "GET", path: "faces", query: ["user_id", "created_before", "created_since", "cursor", "face_group", "page_size", "source"], items: "faces", isSafe: true},
  deleteFace: {method: "DELETE", path: "faces/{face_id}", isSafe: true},
  getFace: {method: "GET", path: "faces/{face_id}", isSafe: true},
  patchFace: {method: "PATCH", path: "faces/{face_id}", json: ["face_group", "metadata", "privacy_settings"], isSafe: true},
  putFace: {method: "PUT", path: "faces/{face_id}", json: ["face_group", "metadata", "privacy_settings"], isSafe: true},
  getCrop: {method: "GET", path: "faces/{face_id}/crop", isSafe: true},
  identifyFace: {method: "POST", path: "faces/{face_id}/identify", json: ["on_behalf_of", "search_scope", "metadata"], isSafe: true},
  suspendFace: {method: "POST", path: "faces/{face_id}/suspend", headers: {on_behalf_of: "X-On-Behalf-Of"}, json: ["reason"]},
  unsuspendFace: {method: "POST", path: "faces/{face_id}/unsuspend", headers: {on_behalf_of: "X-On-Behalf-Of"}, json: ["reason"]},
  moveFace: {method: "POST", path: "faces/{face_id}/move", headers: {on_behalf_of: "X-On-Behalf-Of"}, json: ["user_id", "reason"]},
  listGroups: {method: "GET", path: "groups", query: ["cursor", "page_size"], items: "groups", isSafe: true},
  deleteGroup: {method: "DELETE", path: "groups/{name}", isSafe: true},
  getGroup: {method: "GET", path: "groups/{name}", isSafe: true},
  putGroup: {method: "PUT", path: "groups/{name}", isSafe: true},
  listMembers: {method: "GET", path: "groups/{name}/members", query: ["cursor", "page_size"], items: "members", isSafe: true},
  deleteMember: {method: "DELETE", path: "groups/{name}/members/{user_id}", isSafe: true},
  getMember: {method: "GET", path: "groups/{name}/members/{user_id}", isSafe: true},
  putMember: {method: "PUT", path: "groups/{name}/members/{user_id}", isSafe: true},
  importGraph: {method: "POST", path: "graph", isLines: true, isSafe: true},
  listModels: {method: "GET", path: "models", isSafe: true},
  listDuplicates: {method: "GET", path: "duplicates", query: ["cursor", "page_size", "state"], items: "duplicates", isSafe: true},
  listAuditEvents: {method: "GET", path: "audit", query: ["user_id", "action", "cursor", "page_size", "since"], items: "events", isSafe: true},
  listCollections: {method: "GET", path: "collections", query: ["cursor", "page_size"], items: "collections", isSafe: true},
  makeCollection: {method: "POST", path: "collections", json: ["name", "rules"]},
  eraseCollection: {method: "DELETE", path: "collections/{collection}", isSafe: true},
  getCollection: {method: "GET", path: "collections/{collection}", isSafe: true},
  changeCollection: {method: "PATCH", path: "collections/{collection}", json: ["suspended", "rules"], isSafe: true},
  decideDuplicate: {method: "POST", path: "duplicates/{duplicate_id}", headers: {on_behalf_of: "X-On-Behalf-Of"}, json: ["decision", "into", "reason"]},
  batchIdentify: {method: "POST", path: "batch-identify", form: ["images", "on_behalf_of", "faces", "unique_people", "search_scope", "metadata", "processing_options"], hasKey: true, isSafe: true},
  batchRegister: {method: "POST", path: "batch-register", form: ["images", "processing_options"], hasKey: true, isSafe: true},
  listBatchJobs: {method: "GET", path: "batch-jobs", query: ["cursor", "page_size", "status"], items: "jobs", isSafe: true},
  getBatchJob: {method: "GET", path: "batch-jobs/{job_id}", isSafe: true},
  listBatchResults: {method: "GET", path: "batch-jobs/{job_id}/results", query: ["cursor", "page_size"], items: "results", isSafe: true},
  listUnknownPeople: {method: "GET", path: "batch-jobs/{job_id}/unknown-people", query: ["cursor", "page_size"], items: "unknown_people", isSafe: true},
  cancelBatchJob: {method: "POST", path: "batch-jobs/{job_id}/cancel"},
};
// --- end of what is made

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

  /** What the token says of itself: {sub, exp, scope}; of an API key its id as `sub`. Empty if it is neither. */
  get claims() {
    const key = this.token.match(/^fk_[0-9a-f]{16}(?=_[0-9a-f]{64}$)/);
    if (key) return {sub: key[0]};
    try {
      const text = atob(this.token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/"));
      return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (c) => c.charCodeAt(0))));
    } catch {
      return {};
    }
  }

  /** An operation by its name: `api.call("register", args)` is `api.register(args)`. */
  async call(name, args = {}, options = {}) {
    const operation = OPERATIONS[name];
    const unknown = Object.keys(args).filter((each) => !argumentsOf(operation).has(each));
    if (unknown.length) throw new TypeError(`${name} takes no ${unknown.join(", ")}`);
    const path = operation.path.replace(/\{(\w+)\}/g, (_, each) => segment(each, args[each]));
    const headers = {...options.headers};
    for (const [each, sent] of Object.entries(operation.headers ?? {})) {
      if (args[each] !== undefined) headers[sent] = encodeURIComponent(args[each]); // ASCII only
    }
    if (operation.hasKey) headers["Idempotency-Key"] = args.idempotency_key ?? uuid();
    return this.send(operation.method, path, {
      ...options, headers, isSafe: operation.isSafe, query: picked(args, operation.query),
      form: operation.form && withItems(picked(args, operation.form)),
      json: operation.json && picked(args, operation.json),
      raw: operation.isLines && new Blob([args.lines], {type: "application/x-ndjson"}),
    });
  }

  /** The items of all pages of a list: `for await (const user of api.each("listUsers"))`. */
  async *each(name, args = {}) {
    let page = {next_cursor: args.cursor};
    do {
      page = await this.call(name, {...args, cursor: page.next_cursor});
      yield* page[OPERATIONS[name].items];
    } while (page.next_cursor);
  }

  /**
   * One request. `form` becomes multipart/form-data, `json` JSON, `raw` the body itself. A request
   * that came too early was not looked at, so it is sent again when it may be, `most` times in all.
   * One that the service had no time for is only sent again if that can do nothing twice.
   */
  async send(method, path, options = {}) {
    const {query = {}, form, json, raw, headers = {}, signal, isSafe = false, most = TRIES} = options;
    const url = address(this.base, path, query);
    const request = {method, url, headers: withToken(headers, this.token), signal};
    request.keepalive = options.keepalive ?? false;
    if (form) request.body = formOf(form);
    else if (json) request.body = JSON.stringify(defined(json));
    else if (raw) request.body = raw;
    if (json || raw) request.headers["Content-Type"] = json ? "application/json" : raw.type;
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
      const isPicture = response.headers.get("Content-Type")?.startsWith("image/");
      body = isPicture ? {success: true, data: await response.blob()} : await response.json();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      broken = error;
    }
    const status = response?.status ?? 0, ms = Math.round(performance.now() - started);
    const detail = {method: request.method, path, status, ms, parts};
    this.dispatchEvent(new CustomEvent("request", {detail}));
    if (broken) throw new ApiError({code: status ? "no_json" : "unreachable", message: reasonOf(broken), status});
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

for (const name of Object.keys(OPERATIONS)) {
  FaceApi.prototype[name] = function (args, options) { return this.call(name, args, options); };
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
    for (const one of isFiles(value) ? value : [value]) {
      if (one instanceof Blob) words.push("-F", quoted(`${name}=@${one.name}`));
      else words.push("--form-string", quoted(`${name}=${text(one)}`));
    }
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

/** Node says "fetch failed", and only its cause says why. */
function reasonOf(error) {
  return [String(error), error.cause?.message].filter(Boolean).join(": ");
}

/** An id as one segment of a path, whatever characters it has. fetch would resolve `..`. */
function segment(name, value) {
  if (value === undefined || value === null || value === "") throw new TypeError(`${name} must not be empty`);
  if (value === "." || value === "..") throw new TypeError(`${name} must not be ${value}`);
  return encodeURIComponent(value);
}

function argumentsOf({path, query = [], headers = {}, form = [], json = [], isLines, hasKey}) {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
  const others = [...(isLines ? ["lines"] : []), ...(hasKey ? ["idempotency_key"] : [])];
  return new Set([...inPath, ...query, ...Object.keys(headers), ...form, ...json, ...others]);
}

function picked(args, names = []) {
  return Object.fromEntries(names.map((name) => [name, args[name]]));
}

/** Several pictures as files, and their fields in a batch as `items` in the same order. */
function withItems(fields) {
  if (!fields.images) return fields;
  const items = fields.images.map((item) => item instanceof Blob ? {image: item} : item);
  const beside = items.map(({image, ...others}) => others);
  const isNeeded = beside.some((each) => Object.keys(each).length);
  return {...fields, images: items.map((item) => item.image), items: isNeeded ? beside : undefined};
}

const isFiles = (value) => Array.isArray(value) && value[0] instanceof Blob;

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
    for (const one of isFiles(value) ? value : [value]) {
      if (one instanceof Blob) form.append(name, one, one.name ?? "image");
      else form.append(name, text(one));
    }
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
