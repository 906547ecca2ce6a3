import { produce } from "immer";
import { Catalogue, type Document, emptyDocument, forgetLost, type Graph, type MediumInfo, type NodeSpec, portKey, portKeysOf, portNames, type PortSide, type Scene, scopesAt, unlink } from "../src/graph";
import nodes from "./fixtures/catalogue.json";
import media from "./fixtures/media.json";

export const catalogue = new Catalogue(nodes as unknown as NodeSpec[], ["T", "U"], media as unknown as MediumInfo[]);

/** A document made by edits, as the editor makes it. */
export function edited(start: Document, recipe: (scene: Scene) => void, path: string[] = []): Document {
  return produce(start, (draft: Document) => recipe(sceneOf(draft, path)));
}

export function sceneOf(document: Document, path: string[] = []): Scene {
  const scopes = scopesAt(document, path);
  return { scopes, graph: scopes[scopes.length - 1] as Graph, catalogue };
}

export function build(recipe: (scene: Scene) => void): Document {
  return edited(emptyDocument("test"), recipe);
}

export function wires(graph: Graph): string[] {
  return graph.links.map((link) => `${link.from} > ${link.to}`).sort();
}

/** A port is taken away as the editor does it: its links inside, and then what used it outside. */
export function removePort(scene: Scene, side: PortSide, name: string): ReturnType<typeof forgetLost> {
  const before = portNames(scene.graph);
  unlink(scene, (link) => portKeysOf(link).includes(portKey(side, name)));
  return forgetLost(scene.scopes[0] as Graph, scene.graph, before);
}
