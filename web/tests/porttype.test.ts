import { expect, test } from "vitest";
import { refusalText } from "../src/i18n/types";
import { canConnect, portType } from "../src/graph";
import table from "./fixtures/connect.json";

test("what connects is what Python says, with its reason", () => {
  const variables = new Set(
    table.types.filter((type) => type.variable).map((type) => type.text.replace(/^(list\[)+|\]+$/g, "")),
  );
  const types = table.types.map((type) => portType(type.text, type.choices, variables));
  expect(table.rows.length).toBe(types.length ** 2);
  for (const [i, j, how, reason] of table.rows as [number, number, string, string?][]) {
    const fit = canConnect(types[i]!, types[j]!);
    const pair = `${table.types[i]?.text} into ${table.types[j]?.text}`;
    expect([pair, fit.how, fit.ok ? "" : refusalText(fit.refusal)]).toEqual([pair, how, reason ?? ""]);
    expect(fit.ok).toBe(how !== "no");
  }
}, 60_000);
