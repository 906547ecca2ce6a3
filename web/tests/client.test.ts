import { afterEach, expect, test, vi } from "vitest";
import { address, ApiError, call, Elsewhere, Unreachable } from "../src/api/client";

function answering(text: string, status = 200) {
  const asked = vi.fn(async (_address: string, _how: RequestInit) => new Response(text, { status }));
  vi.stubGlobal("fetch", asked);
  return asked;
}

afterEach(() => vi.unstubAllGlobals());

test("a route becomes a method, an address, a query and a body", async () => {
  const asked = answering('{"id": "r1", "inputs": {"seed": 9007199254740993}}');
  const run = await call("PATCH /runs/{id}", { path: { id: "r1" }, body: { name: "x" } });
  expect(asked).toHaveBeenCalledWith("/api/v1/runs/r1", { method: "PATCH", headers: { "Content-Type": "application/json" }, body: '{"name":"x"}', redirect: "manual" });
  expect(run.inputs.seed).toBe(9007199254740993n);
  await call("GET /runs", { query: { status: "done,failed", limit: 3 } });
  expect(asked).toHaveBeenLastCalledWith("/api/v1/runs?status=done%2Cfailed&limit=3", { method: "GET", headers: {}, redirect: "manual" });
});

test("what stands in names does not part the address, but for the slashes of files", () => {
  expect(address("GET /files/{folder}/{name}", { path: { folder: "input", name: "a b/c?d#e%.png" } })).toBe("/api/v1/files/input/a%20b/c%3Fd%23e%25.png");
});

test("a refusal has its problems, and a proxy's answer is no refusal", async () => {
  answering('{"problems": [{"code": "run_missing", "message": "There is no run.", "hint": ""}]}', 404);
  await expect(call("GET /runs/{id}", { path: { id: "r9" } })).rejects.toThrow(ApiError);
  answering("Bad gateway", 502);
  await expect(call("GET /queue")).rejects.toThrow(Unreachable);
});

test("a page of a proxy is neither an answer nor a refusal", async () => {
  for (const status of [200, 401, 502]) {
    vi.stubGlobal("fetch", async () => new Response("<html>", { status, headers: { "Content-Type": "text/html; charset=utf-8" } }));
    const told = await call("GET /queue").catch((error: unknown) => error);
    expect(told).toBeInstanceOf(Elsewhere);
    expect((told as Elsewhere).status).toBe(status);
  }
  // A sign-in at another address: the browser shows no more of it than that.
  vi.stubGlobal("fetch", async () => ({ type: "opaqueredirect", ok: false, status: 0, headers: new Headers() }));
  await expect(call("GET /queue")).rejects.toThrow(Elsewhere);
});

test("the compiler knows the routes", () => {
  const wrong = () => [
    // @ts-expect-error There is no such route.
    call("GET /nothing"),
    // @ts-expect-error The place in the address is missing.
    call("GET /runs/{id}", { path: {} }),
    // @ts-expect-error It needs a body.
    call("POST /check"),
    // @ts-expect-error A mistyped field.
    call("POST /gallery/trash", { body: { item: ["p1"] } }),
    // @ts-expect-error It has no such question.
    call("GET /runs", { query: { stat: "done" } }),
  ];
  expect(wrong).toBeTypeOf("function");
});
