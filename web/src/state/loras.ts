/** LoRAs that were named in a prompt become nodes on the model. */

import { t } from "../i18n";
import { nodeTitle } from "../i18n/nodes";
import * as m from "../graph";
import { edit } from "./edits";
import { activeTab, toast, useApp } from "./store";

interface Chosen {
  name: string;
  title: string;
  weight?: number;
}

/**
 * Gives the prompt at `id`.`port` the text without the LoRA's name, and puts the LoRA on the model that the prompt is
 * drawn with: one step of undo. `show` is offered for the new node, called by its path from the document down.
 */
export function acceptLora(id: string, port: string, text: string, { name, title, weight }: Chosen, show: (path: string) => void): void {
  const { form } = useApp.getState();
  let done: m.Applied | undefined;
  let on = "";
  edit("lora", (scene) => {
    // A form shows the whole document, wherever the canvas is.
    const top = scene.scopes[0] as m.Graph;
    const place: m.Scene = form ? { ...scene, scopes: [top], graph: top, types: {} } : scene;
    for (const to of form ? samePorts(top, `${id}.${port}`) : [`${id}.${port}`]) {
      const target = m.splitPort(to);
      m.setValue(place.graph, target.node, target.port, text);
    }
    done = m.applyLora(place, id, name, weight);
    if (done?.on !== undefined) on = nodeTitle(place, done.on);
  });
  if (!done) {
    toast(t("model.noLoader", { kind: "lora" }), "error");
    return;
  }
  const path = [...(form ? [] : activeTab().path), done.id].join("/");
  const said = done.on === undefined ? t("lora.alone", { name: title }) : t("lora.applied", { name: title, node: on });
  toast(said, "info", { label: t("missing.show"), run: () => show(path) });
}

/** All ports that one field of the form sets. */
function samePorts(graph: m.Graph, port: string): string[] {
  const name = graph.inputs?.find((entry) => entry.to === port)?.name;
  return name === undefined ? [port] : (graph.inputs ?? []).filter((entry) => entry.name === name).map((entry) => entry.to);
}
