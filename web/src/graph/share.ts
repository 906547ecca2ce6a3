/** One value for the same field of several nodes. */

import { joinPort } from "./document";
import { portsOf } from "./ports";
import { resetValue, type Scene, setValue } from "./edit";

/** Those of `ids` beside `id` that have this field too: of the same name, type and kind, and not fed by a link. */
export function sharing({ scopes, graph, catalogue }: Scene, id: string, port: string, ids: readonly string[]): string[] {
  const inputOf = (node: string) => {
    const data = graph.nodes[node];
    return data && portsOf(scopes, node, data, catalogue).inputs.find((input) => input.name === port && input.widget);
  };
  const own = inputOf(id);
  if (!own) return [];
  return ids.filter((node) => {
    const input = node === id ? undefined : inputOf(node);
    const fits = input?.type === own.type && input.widget?.widget === own.widget?.widget;
    return fits && !graph.links.some((link) => link.to === joinPort(node, port));
  });
}

/** They take the value of `id`, or its default. */
export function shareValue(scene: Scene, id: string, port: string, ids: readonly string[]): void {
  const { graph } = scene;
  const values = graph.nodes[id]?.values;
  for (const node of sharing(scene, id, port, ids)) {
    if (values && port in values) setValue(graph, node, port, values[port]);
    else resetValue(graph, node, port);
  }
}
