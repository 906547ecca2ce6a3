/** Requests to the server. See docs/api.md. */

import { parseJson, stringifyJson } from "../graph";
import type { Problem } from "./shapes";

export const BASE = "/api/v1";

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

export async function request<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const json = body !== undefined && !(body instanceof Blob);
  const response = await asked(BASE + path, {
    method,
    headers: json ? { "Content-Type": "application/json" } : {},
    ...(body === undefined ? {} : { body: json ? stringifyJson(body) : (body as Blob) }),
    ...(signal ? { signal } : {}),
  });
  const text = await response.text();
  return (text ? parseJson(text) : undefined) as T;
}

/** The content of a file or picture by its address. */
export async function fetchBlob(address: string): Promise<Blob> {
  return (await asked(address)).blob();
}

/** An answer that is no refusal. */
async function asked(address: string, how: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(address, how);
  } catch (error) {
    if ((error as Error).name === "AbortError") throw error;
    throw new Unreachable((error as Error).message);
  }
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

export const blobUrl = (digest: string) => `${BASE}/blobs/${digest}`;
export const thumbnailUrl = (digest: string, size: 64 | 128 | 256 | 512 | 1024) => `${BASE}/thumbnails/${digest}?size=${size}`;
export const fileUrl = (folder: "input" | "output", name: string) =>
  `${BASE}/files/${folder}/${name.split("/").map(encodeURIComponent).join("/")}`;
