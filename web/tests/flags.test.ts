import { expect, test } from "vitest";
import { Geometer } from "../src/canvas/geometry";
import * as m from "../src/graph";
import { build, edited, sceneOf } from "./helpers";

const base = build((scene) => {
  for (const [type, id] of [["latent.empty", "empty"], ["latent.repeat", "one"], ["latent.repeat", "two"], ["latent.repeat", "three"]] as const) {
    m.addNode(scene, type, { x: 0, y: 0 }, id);
  }
  m.connect(scene, "empty.latent", "one.latent");
  m.connect(scene, "empty.latent", "two.latent");
  m.connect(scene, "one.latent", "three.latent");
});
const all = base.links.map(m.linkId);
const name = () => "latent";
const flags = (document: m.Document) => document.links.map(m.flagOf);

test("links of an output share a name, those of another have another, and back is as before", () => {
  const named = edited(base, (scene) => m.toggleFlags(scene, all, name));
  expect(flags(named)).toEqual(["latent", "latent", "latent 2"]);
  expect(edited(named, (scene) => m.toggleFlags(scene, all, name))).toEqual(base);
  const later = edited(edited(base, (scene) => m.toggleFlags(scene, all.slice(0, 1), () => "mine")), (scene) => m.toggleFlags(scene, all, name));
  expect(flags(later)).toEqual(["mine", "mine", "latent"]);
});

test("a name is changed for all of an output, and never to nothing", () => {
  const named = edited(base, (scene) => m.toggleFlags(scene, all, name));
  expect(flags(edited(named, (scene) => m.renameFlag(scene, all[1]!, " latent A ")))).toEqual(["latent A", "latent A", "latent 2"]);
  expect(edited(named, (scene) => m.renameFlag(scene, all[1]!, "  "))).toBe(named);
});

test("a link with a name is no wire that is drawn or hit, and a flag that is no text is none", () => {
  const named = edited(base, (scene) => m.toggleFlags(scene, all.slice(0, 1), name));
  const { wires, flagged } = new Geometer().compute(sceneOf(named), new Map());
  expect([wires.map(({ id }) => id), flagged.map(({ id }) => id)]).toEqual([all.slice(1), all.slice(0, 1)]);
  const odd = { ...base, links: base.links.map((link) => ({ ...link, flag: 5 as unknown as string })) };
  expect(new Geometer().compute(sceneOf(odd), new Map()).flagged).toEqual([]);
});
