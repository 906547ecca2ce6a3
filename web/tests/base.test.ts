/** Where the browser finds what the server names. */

import { describe, expect, it } from "vitest";

import { HERE, reached } from "../src/api/base";

describe("an address of the server", () => {
  it("is below the path that the page was loaded from", () => {
    expect(reached("/api/v1/queue", "/studio/")).toBe("/studio/api/v1/queue");
    expect(reached("/api/v1/queue", "/")).toBe("/api/v1/queue");
  });

  it("is left as it is where it is none", () => {
    for (const address of ["", "blob:https://host/1", "data:image/png;base64,AA", "https://host/api/v1/queue"]) expect(reached(address, "/studio/")).toBe(address);
  });

  it("is plain without a page", () => {
    expect(HERE).toBe("/");
  });
});
