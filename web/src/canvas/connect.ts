/** Drawing wires: from a socket to a socket, to the body of a node, or into the void. */

import { t } from "../i18n";
import { refusalText } from "../i18n/types";
import * as m from "../graph";
import { edit } from "../state/edits";
import { activeScene, useApp } from "../state/store";
import { afterSlop, type Gesture, pointOf } from "./gesture";
import { nodeAt, socketAt } from "./geometry";
import { stage } from "./stage";
import { view } from "./view";

interface Plan {
  /** The end that stays, and of which side it is. */
  port: string;
  side: "output" | "input";
  lifted: m.Link | null;
  /** All links of this output follow (Ctrl). */
  all: string | null;
}

export function connectGesture(event: PointerEvent, port: string, side: "input" | "output"): Gesture {
  if (event.altKey) {
    const gone = (link: m.Link) => (side === "input" ? link.to : link.from) === port;
    return { move() {}, cancel() {}, end: () => void edit("unlink", (scene) => m.unlink(scene, gone)) };
  }
  const { node, port: name } = m.splitPort(port);
  const list = name === m.NEW ? () => useApp.setState({ overlay: { kind: "connect", node } }) : undefined;
  return afterSlop(event, () => drawGesture(planFor(event, port, side)), list);
}

function planFor(event: PointerEvent, port: string, side: "input" | "output"): Plan {
  const links = m.linksOf(activeScene());
  if (side === "input") {
    const lifted = links.findLast((link) => link.to === port);
    if (lifted) return { port: lifted.from, side: "output", lifted, all: null };
    return { port, side, lifted: null, all: null };
  }
  const first = links.find((link) => link.from === port);
  if ((event.ctrlKey || event.metaKey) && first) return { port: first.to, side: "input", lifted: first, all: port };
  return { port, side, lifted: null, all: null };
}

function drawGesture(plan: Plan): Gesture {
  const scene = activeScene();
  const fits = m.fittingPorts(scene.scopes, scene.catalogue, plan.port, plan.side, scene.types);
  const looking = plan.side === "output" ? "input" : "output";
  const lifted = plan.lifted ? m.linkId(plan.lifted) : null;

  const probe = (event: PointerEvent) => {
    const at = view.toGraph(pointOf(event));
    const socket = socketAt(stage.geometry, at, 16 / view.zoom, looking);
    if (socket) return { at: fits.has(socket.port) ? socket.point : at, over: socket.port };
    const body = nodeAt(stage.geometry, at);
    const own = m.splitPort(plan.port).node;
    if (!body || body.id === own) return { at, over: null };
    const found = bodyPort(plan, body.id);
    return { at, over: found ?? `${body.id}.` };
  };

  return {
    move(event) {
      const { at, over } = probe(event);
      stage.setConnecting({ port: plan.port, side: plan.side, at, fits, over, lifted, reason: reasonFor(plan, over, fits) });
    },
    end(event) {
      const { over } = probe(event);
      stage.setConnecting(null);
      finish(plan, over && fits.has(over) ? over : null, over !== null, event);
    },
    cancel: () => stage.setConnecting(null),
  };
}

/** The port of a node's body that a wire dropped there takes. */
function bodyPort(plan: Plan, id: string): string | undefined {
  const scene = activeScene();
  return plan.side === "output" ? m.fittingInput(scene, plan.port, id) : m.fittingOutput(scene, id, plan.port);
}

function reasonFor(plan: Plan, over: string | null, fits: ReadonlySet<string>): string {
  if (!over || fits.has(over)) return "";
  const scene = activeScene();
  if (over.endsWith(".")) return t("fit.none");
  const [from, to] = plan.side === "output" ? [plan.port, over] : [over, plan.port];
  const fit = m.linkFit(scene.scopes, scene.catalogue, from, to, scene.types);
  return fit.ok ? "" : refusalText(fit.refusal);
}

function finish(plan: Plan, target: string | null, onSomething: boolean, event: PointerEvent): void {
  if (plan.all !== null) {
    const from = plan.all;
    if (target) edit("connect", (scene) => m.moveLinks(scene, from, target));
    return;
  }
  const lifted = plan.lifted ? m.linkId(plan.lifted) : null;
  if (target) {
    const [from, to] = plan.side === "output" ? [plan.port, target] : [target, plan.port];
    if (lifted === `${from}>${to}`) return;
    edit("connect", (scene) => {
      // The new one first: a port of the border is there as long as a link is.
      m.connect(scene, from, to);
      if (lifted) m.unlink(scene, (link) => m.linkId(link) === lifted);
    });
  } else if (lifted) {
    if (!onSomething) edit("unlink", (scene) => m.unlink(scene, (link) => m.linkId(link) === lifted));
  } else if (!onSomething) {
    const end = plan.side === "output" ? { from: plan.port } : { to: plan.port };
    useApp.setState({ overlay: { kind: "add", screen: { x: event.clientX, y: event.clientY }, ...end } });
  }
}
