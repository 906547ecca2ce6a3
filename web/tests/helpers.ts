import { produce } from "immer";
import { Catalogue, type Document, emptyDocument, type Graph, type MediumInfo, type NodeSpec, type Scene, scopesAt } from "../src/graph";
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
