/** Requests to the server, typed by its routes. See docs/api.md. */

import { parseJson, stringifyJson } from "../graph";
import { reached } from "./base";
import { BASE, type Problem, type Routes } from "./types";

export type Route = keyof Routes;
type Part<Address> = Address extends `${string}{${infer Name}}${infer Rest}` ? Name | Part<Rest> : never;
type Field<Name extends string, Value> = Value extends undefined ? unknown : object extends Value ? { [key in Name]?: Value } : { [key in Name]: Value };
type Body<Value> = [Value] extends [undefined] ? unknown : undefined extends Value ? { body?: Value } : { body: Value };
type Place<K extends Route> = ([Part<K>] extends [never] ? unknown : { path: Record<Part<K>, string | number> }) & Field<"query", Routes[K]["query"]>;
/** What a route takes: the parts of its address as `path`, its `query` and `body`, and what gives it up. */
export type Given<K extends Route> = Place<K> & Body<Routes[K]["body"]> & { signal?: AbortSignal };
type Loose = { path?: Record<string, string | number>; query?: Record<string, unknown>; body?: unknown; signal?: AbortSignal };
type Optional<T> = object extends T ? [given?: T] : [given: T];

/** A refusal of the server, with all its problems. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problems: Problem[],
  ) {
    super(problems.map((problem) => [problem.message, problem.hint].filter(Boolean).join(" ")).join(" ") || `HTTP ${status}`);
  }
}

/** The server could not be reached. */
export class Unreachable extends Error {}

/** Something else has answered in its place, with a page for people: a proxy that wants a sign-in, or says that the server is away. */
export class Elsewhere extends Unreachable {
  /** `status` is that of the page; 0 where it leads to another address. */
  constructor(readonly status: number) {
    super(`HTTP ${status}`);
  }
}

/** Asks the server: `await call("GET /runs/{id}", { path: { id } })`. Throws ApiError and Unreachable. */
export async function call<K extends Route>(route: K, ...[given]: Optional<Given<K>>): Promise<Routes[K]["answer"]> {
  const { body, signal } = (given ?? {}) as Loose;
  const json = body !== undefined && !(body instanceof Blob);
  const response = await asked(located(route, given as Loose | undefined), {
    method: route.slice(0, route.indexOf(" ")),
    headers: json ? { "Content-Type": "application/json" } : {},
    ...(body === undefined ? {} : { body: json ? stringifyJson(body) : (body as Blob) }),
    ...(signal ? { signal } : {}),
  });
  const text = await response.text();
  return (text ? parseJson(text) : undefined) as Routes[K]["answer"];
}

/** The address of what a route gives, as the server names it: `reached` makes it one for images and links. */
export function address<K extends Route & `GET ${string}`>(route: K, ...[place]: Optional<Place<K>>): string {
  return located(route, place as Loose | undefined);
}

function located(route: string, { path = {}, query = {} }: Loose = {}): string {
  // Names of files hold slashes, which part the address.
  const encoded = (value: string | number) => String(value).split("/").map(encodeURIComponent).join("/");
  const place = route.slice(route.indexOf(" ") + 1).replace(/{(\w+)}/g, (_, name: string) => encoded(path[name] ?? ""));
  const asked = Object.entries(query).filter(([, value]) => value !== undefined);
  return BASE + place + (asked.length ? `?${new URLSearchParams(asked.map(([name, value]) => [name, String(value)]))}` : "");
}

/** The content of a file or image by its address. */
export async function fetchBlob(address: string): Promise<Blob> {
  return (await asked(address)).blob();
}

/** An answer that is no refusal. */
async function asked(address: string, how: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    // No answer of the server leads elsewhere.
    response = await fetch(reached(address), { redirect: "manual", ...how });
  } catch (error) {
    if ((error as Error).name === "AbortError") throw error;
    throw new Unreachable((error as Error).message);
  }
  if (response.type === "opaqueredirect" || response.headers.get("Content-Type")?.startsWith("text/html")) throw new Elsewhere(response.status);
  if (response.ok) return response;
  // A proxy in between answers for a server that is not there.
  if (response.status === 502 || response.status === 504) throw new Unreachable(`HTTP ${response.status}`);
  let problems: Problem[] = [];
  try {
    problems = (parseJson(await response.text()) as { problems?: Problem[] }).problems ?? [];
  } catch {
    // Not the server's own words: the status has to do.
  }
  throw new ApiError(response.status, problems);
}

export const blobUrl = (digest: string) => address("GET /blobs/{digest}", { path: { digest } });
export const thumbnailUrl = (digest: string, size: 64 | 128 | 256 | 512 | 1024) => address("GET /thumbnails/{digest}", { path: { digest }, query: { size: `${size}` } });
export const fileUrl = (folder: "input" | "output", name: string) => address("GET /files/{folder}/{name}", { path: { folder, name } });
