/** Links shown as names: a flag at either end instead of a wire. Only how they are drawn; all of an output share a name. */

import { keeperOf, linksOf } from "./border";
import { type Drawing, linkId } from "./document";
import type { Scene } from "./edit";

export const flagOf = ({ flag }: Drawing): string => (typeof flag === "string" ? flag.trim() : "");

/** Shows the links as names, or as wires again where all are names already. `name` is what a new one would be called. */
export function toggleFlags(scene: Scene, wires: readonly string[], name: (from: string) => string): void {
  const chosen = linksOf(scene).filter((link) => wires.includes(linkId(link)));
  const away = chosen.every(flagOf);
  for (const link of chosen) {
    const keeper = keeperOf(scene.graph, linkId(link));
    if (!keeper) continue;
    if (away) delete keeper.flag;
    else if (!flagOf(keeper)) keeper.flag = flagName(scene, link.from, name(link.from));
  }
}

/** That of the other links of this output; else one that no other output has. */
function flagName(scene: Scene, from: string, wanted: string): string {
  const links = linksOf(scene).filter(flagOf);
  const own = links.find((link) => link.from === from);
  if (own) return flagOf(own);
  const taken = new Set(links.map(flagOf));
  let name = wanted;
  for (let number = 2; taken.has(name); number++) name = `${wanted} ${number}`;
  return name;
}

/** Gives the name of a link, and of all that leave the same output as names, another text; an empty one changes nothing. */
export function renameFlag(scene: Scene, wire: string, wanted: string): void {
  const name = wanted.trim();
  const links = linksOf(scene);
  const from = links.find((link) => linkId(link) === wire)?.from;
  for (const link of links) {
    const keeper = name && link.from === from && flagOf(link) ? keeperOf(scene.graph, linkId(link)) : undefined;
    if (keeper) keeper.flag = name;
  }
}
