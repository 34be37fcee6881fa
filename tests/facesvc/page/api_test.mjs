// What api.js sends, and when it sends it again: `node --test` runs it beside a copy of api.js.

import assert from "node:assert/strict";
import {test} from "node:test";

import {ApiError, FaceApi, curlOf} from "./api.mjs";

const PHOTO = new File(["picture"], "ann.jpg", {type: "image/jpeg"});

/** Gives one reply after the other, and remembers what it was asked. */
function serve(...replies) {
  const asked = [];
  globalThis.fetch = async (url, request) => {
    asked.push({url, ...request});
    const reply = replies.shift();
    if (reply instanceof Error) throw reply;
    return reply;
  };
  return asked;
}

function good(data = {done: true}) {
  return Response.json({success: true, data, metadata: {}});
}

function refusal(status, code, retryAfter = "0.01") {
  const body = {success: false, error: {code, message: "No.", details: {a: 1}}, metadata: {request_id: "r1"}};
  return Response.json(body, {status, headers: {"Retry-After": retryAfter}});
}

const api = new FaceApi({token: "eyJ", base: "https://faces.example.com"});

test("it works", async () => {
  const asked = serve(good({face_id: "face_1"}));
  const answer = await api.register({user_id: "user-17", image: PHOTO, metadata: {source: "x"}});
  assert.equal(answer.face_id, "face_1");
  const [{url, method, headers, body}] = asked;
  assert.equal(url, "https://faces.example.com/api/v1/face-recognition/register");
  assert.deepEqual([method, headers.Authorization], ["POST", "Bearer eyJ"]);
  assert.match(headers["Idempotency-Key"], /^[0-9a-f-]{36}$/);
  assert.deepEqual([...body.keys()], ["user_id", "image", "metadata"]);
  assert.equal(body.get("image").name, "ann.jpg");
  assert.equal(body.get("metadata"), '{"source":"x"}');
});

test("any id is one segment of the path", async () => {
  const asked = serve(good());
  await api.getMember({name: "a/b", user_id: "auth0|64f?"});
  assert.ok(asked[0].url.endsWith("/groups/a%2Fb/members/auth0%7C64f%3F"));
});

test("an empty id is refused", async () => {
  const asked = serve();
  await assert.rejects(api.eraseUser({user_id: ""}), TypeError);
  await assert.rejects(api.eraseUser({}), TypeError);
  await assert.rejects(api.eraseUser({user_id: null}), TypeError);
  assert.equal(asked.length, 0);
});

test("an id that is a step in a path is refused", async () => {
  const asked = serve();
  for (const user_id of [".", ".."]) {
    await assert.rejects(api.deleteMember({name: "hiking", user_id}), /must not be/);
  }
  assert.equal(asked.length, 0);
});

test("a lost connection is unreachable, and says why", async () => {
  serve(new TypeError("fetch failed", {cause: new Error("connect ECONNREFUSED 127.0.0.1:9")}));
  const expected = {code: "unreachable", message: /fetch failed: connect ECONNREFUSED 127/};
  await assert.rejects(api.getUser({user_id: "7"}), expected);
});

test("an id of any characters fits into a header", async () => {
  const asked = serve(good());
  await api.suspendUser({user_id: "7", reason: "spam", on_behalf_of: "ผู้|"});
  assert.equal(asked[0].headers["X-On-Behalf-Of"], encodeURIComponent("ผู้|"));
});

test("an argument that does not exist is refused", async () => {
  await assert.rejects(api.identify({image: PHOTO, scope: {}}), /identify takes no scope/);
});

test("the header of moderation is an argument", async () => {
  const asked = serve(good());
  await api.suspendUser({user_id: "7", reason: "spam", on_behalf_of: "8"});
  assert.equal(asked[0].headers["X-On-Behalf-Of"], "8");
  assert.equal(asked[0].body, '{"reason":"spam"}');
});

test("the pictures of a batch have their fields beside them", async () => {
  const asked = serve(good());
  await api.batchRegister({images: [{image: PHOTO, user_id: "7"}, {image: PHOTO, user_id: "8"}]});
  assert.equal(asked[0].body.getAll("images").length, 2);
  assert.equal(asked[0].body.get("items"), '[{"user_id":"7"},{"user_id":"8"}]');
});

test("a graph is sent as it is", async () => {
  const asked = serve(good());
  await api.importGraph({lines: '{"group": "hiking"}\n'});
  assert.equal(asked[0].headers["Content-Type"], "application/x-ndjson");
  assert.equal(await asked[0].body.text(), '{"group": "hiking"}\n');
});

test("all pages are read", async () => {
  const asked = serve(good({users: [1, 2], next_cursor: "c"}), good({users: [3], next_cursor: null}));
  const users = [];
  for await (const user of api.each("listUsers", {page_size: 2})) users.push(user);
  assert.deepEqual(users, [1, 2, 3]);
  const queries = asked.map(({url}) => Object.fromEntries(new URL(url).searchParams));
  assert.deepEqual(queries, [{page_size: "2"}, {page_size: "2", cursor: "c"}]);
});

test("a picture is answered as it is", async () => {
  serve(new Response("picture", {headers: {"Content-Type": "image/webp"}}));
  assert.equal(await (await api.getCrop({face_id: "face_1"})).text(), "picture");
});

test("a refusal says everything", async () => {
  serve(refusal(404, "user_not_found"));
  await assert.rejects(api.getUser({user_id: "7"}), (error) => {
    assert.ok(error instanceof ApiError);
    assert.deepEqual([error.code, error.status, error.requestId], ["user_not_found", 404, "r1"]);
    return true;
  });
});

test("what came too early is sent again", async () => {
  const asked = serve(refusal(429, "rate_limited"), good());
  assert.deepEqual(await api.verify({user_id: "7", image: PHOTO}), {done: true});
  assert.equal(asked.length, 2);
});

test("what may have been done is not sent again", async () => {
  const asked = serve(refusal(503, "unavailable"), good());
  await assert.rejects(api.verify({user_id: "7", image: PHOTO}));
  assert.equal(asked.length, 1);
});

test("what has a key is sent again with it", async () => {
  const asked = serve(refusal(503, "unavailable"), good());
  await api.register({user_id: "7", image: PHOTO});
  const [first, second] = asked.map(({headers}) => headers["Idempotency-Key"]);
  assert.equal(first, second);
});

test("no answer is an error as well", async () => {
  serve(new TypeError("fetch failed"));
  await assert.rejects(api.listModels(), {code: "unreachable", status: 0});
  serve(new Response("<h1>Bad gateway</h1>", {status: 502}));
  await assert.rejects(api.listModels(), {code: "no_json", status: 502});
});

test("a request as a command", async () => {
  const said = new Promise((resolve) => api.addEventListener("request", resolve, {once: true}));
  serve(good());
  await api.batchIdentify({images: [{image: PHOTO, image_id: "a"}]});
  const command = curlOf((await said).detail, "http://localhost");
  assert.match(command, /-F images=@ann\.jpg --form-string 'items=\[\{"image_id":"a"\}\]'/);
});
