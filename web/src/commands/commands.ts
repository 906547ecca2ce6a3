/** Every command of the editor: one table for keys, menus, the command palette, the shortcut sheet and the tests. */

import { boxes, shapesOf } from "../canvas/geometry";
import { keepBorder } from "../canvas/border";
import { areFlags, hasOtherEnd, linksMeant, toggleFlags, toOtherEnd } from "../canvas/flags";
import { moveItems } from "../canvas/move";
import { here, isPointed } from "../canvas/pointer";
import { stage } from "../canvas/stage";
import { view } from "../canvas/view";
import { t, type TextKey } from "../i18n";
import * as m from "../graph";
import { stopComparing } from "../state/comparing";
import { closeTab, enterSubgraph, leaveSubgraph, openFile, openTab, saveFile, tabTitle } from "../state/documents";
import { edit, redo, removeSelected, select, selectedNodes, startChoosing, undo } from "../state/edits";
import { keepSubgraph } from "../state/library";
import { isLive, toggleLive } from "../state/live";
import { THEMES, type Theme, wireStyle } from "../state/preferences";
import { saveTab } from "../state/saving";
import { activeGraph, activeScene, activeTab, keyOf, type Panel, setPreference, toast, useApp } from "../state/store";
import { startTour } from "../state/tour";
import { cancelAll, cancelRun, hasSeeds, run, runSelected, seedsTurn, toggleSeeds } from "../state/runs";
import { readable } from "../ui/keyNames";
import { pickFile } from "../ui/files";
import { chosenBorder, chosenPort, enterPorts, shiftPort, stepPort } from "../canvas/ports";
import { enterFields, walk } from "../canvas/walk";
import { copyAndTell, copySelected, pasteFromClipboard } from "./clipboard";
import { KEY_PRESETS } from "./keyPresets";

export interface Command {
  id: string;
  group: "run" | "edit" | "view" | "node" | "arrange" | "file" | "app";
  /** As tinykeys would write them: `$mod` is Ctrl, or Command on a Mac. */
  keys?: string[];
  /** Works while a text field has the focus. */
  inText?: boolean;
  /** The browser's own event does it (see clipboard.ts): the keys are left to it. */
  native?: boolean;
  when?: () => boolean;
  /** Of what is on or off: whether it is on. */
  checked?: () => boolean;
  run: () => unknown;
}

const some = () => selectedNodes().length > 0;
const any = () => activeTab().selection.length > 0;
const one = () => selectedNodes().length === 1;
const instance = () => one() && activeGraph().nodes[selectedNodes()[0] ?? ""]?.type.startsWith(m.SUBGRAPH) === true;

export function togglePanel(panel: Panel): void {
  useApp.setState((state) => ({ panel: state.panel === panel ? null : panel }));
}

function fit(all: boolean): void {
  const { selection } = activeTab();
  const chosen = boxes(stage.geometry, selection);
  const bounds = m.boundsOf(Object.values(!all && Object.keys(chosen).length ? chosen : boxes(stage.geometry)));
  if (bounds) view.fit(bounds);
}

function nudge(dx: number, dy: number): void {
  if (stepPort(Math.sign(dy))) return;
  const keys = new Set(activeTab().selection);
  edit(
    "move",
    ({ graph }) => {
      const places: Record<string, m.Point> = {};
      for (const id of selectedNodes()) {
        const look = m.lookOf(graph, id);
        if (!look.pinned) places[id] = { x: look.x + dx, y: look.y + dy };
      }
      for (const id of keys) {
        const rect = m.isBorder(id) ? stage.geometry.nodes.get(id)?.rect : undefined;
        if (rect) places[id] = { x: rect.x + dx, y: rect.y + dy };
      }
      if (Object.keys(places).length) keepBorder(graph, stage.geometry.nodes);
      m.moveNodes(graph, places);
      moveItems(graph, keys, dx, dy);
    },
    { group: "nudge" },
  );
}

function arrange(label: string, make: (chosen: Record<string, m.Rect>) => Record<string, m.Point>): void {
  const places = make(boxes(stage.geometry, selectedBoxes()));
  edit(label, ({ graph }) => m.moveNodes(graph, places));
}

/** Nodes that are selected, those of a subgraph's border among them. */
const selectedBoxes = () => activeTab().selection.filter((key) => stage.geometry.nodes.has(key));

async function layout(): Promise<void> {
  const chosen = selectedBoxes();
  const shapes = shapesOf(stage.geometry, chosen.length > 1 ? chosen : undefined);
  const graph = { ...activeGraph(), links: [...m.linksOf(activeScene())] };
  const arranged = await m.autoLayout(graph, shapes, wireStyle(useApp.getState().preferences.wires));
  const take = ({ graph }: m.Scene) => {
    keepBorder(graph, stage.geometry.nodes);
    m.takeArrangement(graph, arranged);
  };
  if (edit("layout", take) && chosen.length < 2) requestAnimationFrame(() => fit(true));
}

function frameSelection(): void {
  const bounds = m.boundsOf(Object.values(boxes(stage.geometry, activeTab().selection)), 24);
  const at = view.toGraph(here());
  const around = bounds ? { x: bounds.x, y: bounds.y - 24, w: bounds.w, h: bounds.h + 24 } : { ...at, w: 400, h: 300 };
  let key = "";
  edit("frame", ({ graph }) => void (key = m.addFrame(graph, around, t("frame.new"))), { select: () => [key] });
}

function addNote(): void {
  let key = "";
  edit("note", ({ graph }) => void (key = m.addNote(graph, view.toGraph(here()), "")), { select: () => [key] });
}

function makeSubgraph(): void {
  let id: string | undefined;
  edit("subgraph", (scene) => void (id = m.makeSubgraph(scene, new Set(activeTab().selection), t("subgraph.new"))), {
    select: () => (id ? [id] : []),
  });
}

function unpack(): void {
  let keys: string[] = [];
  const repeated = selectedNodes().some((id) => m.repeatOf(activeGraph().nodes[id] as m.NodeData) !== undefined);
  edit("unpack", (scene) => void (keys = selectedNodes().flatMap((id) => m.unpackSubgraph(scene, id))), { select: () => keys });
  if (repeated) toast(t("repeat.unpacked"));
}

function toggleLook(field: "collapsed" | "pinned" | "advanced"): void {
  const ids = selectedNodes();
  const all = ids.every((id) => m.lookOf(activeGraph(), id)[field]);
  edit(field, ({ graph }) => m.setLook(graph, ids, { [field]: all ? undefined : true }));
}

function selectLinked(): void {
  const { graph } = activeScene();
  const ids = new Set<string>();
  for (const id of selectedNodes()) {
    for (const found of m.connected(graph, id, "up")) ids.add(found);
    for (const found of m.connected(graph, id, "down")) ids.add(found);
  }
  select([...ids]);
}

export function saveOrAsk(): void {
  if (activeTab().name) void saveTab(activeTab().id);
  else askName();
}

const askName = () => useApp.setState({ overlay: { kind: "name" } });
const saved = () => activeTab().name !== "";

function exportJson(): void {
  const text = new Blob([m.writeDocument(activeTab().document)], { type: "application/json" });
  saveFile(URL.createObjectURL(text), `${tabTitle(activeTab())}.json`);
}

/** Colours for nodes and frames, by the key of their name; white text can be read on each. */
export const COLORS = { none: undefined, red: "#8a3b3b", amber: "#86662a", green: "#4d7040", teal: "#2f6a78", blue: "#41549a", violet: "#74478f" };

export function setColor(color: string | undefined): void {
  const keys = activeTab().selection;
  edit("color", ({ graph }) => {
    m.setLook(graph, selectedNodes(), { color });
    for (const key of keys) if (m.keyKind(key) === "frame") m.changeFrame(graph, m.keyId(key), { color });
  });
}

function nextColor(): void {
  const all = Object.values(COLORS);
  const now = m.lookOf(activeGraph(), selectedNodes()[0] ?? "").color;
  setColor(all[(all.indexOf(now) + 1) % all.length]);
}

const mode = (wanted: "mute" | "bypass") => () => edit(wanted, ({ graph }) => m.toggleMode(graph, selectedNodes(), wanted));
const align = (side: m.Side) => () => arrange("align", (chosen) => m.align(chosen, side));

/** Bar, canvas or form, panel: Tab stays inside the canvas, so there is a key that leaves it. */
function nextRegion(): void {
  const regions = [".top-bar", ".rail", ".side-panel", "#canvas, .form-view"].flatMap((selector) => document.querySelector<HTMLElement>(selector) ?? []);
  const at = regions.findIndex((region) => region.contains(document.activeElement));
  const next = regions[(at + 1) % regions.length];
  (next?.id === "canvas" ? next : next?.querySelector<HTMLElement>("button, input, a[href], textarea, select"))?.focus({ preventScroll: true });
}

export const commands: Command[] = [
  { id: "run", group: "run", keys: ["$mod+Enter"], inText: true, run: () => run() },
  { id: "runFront", group: "run", keys: ["$mod+Shift+Enter"], inText: true, run: () => run({ front: true }) },
  { id: "cancel", group: "run", keys: ["$mod+Alt+Enter"], inText: true, run: () => cancelRun() },
  { id: "runTo", group: "run", keys: ["Shift+Enter"], when: some, run: () => runSelected() },
  { id: "runTimes", group: "run", run: () => useApp.setState({ overlay: { kind: "several", way: "times" } }) },
  { id: "runLines", group: "run", run: () => useApp.setState({ overlay: { kind: "several", way: "lines" } }) },
  { id: "live", group: "run", keys: ["Alt+l"], inText: true, checked: () => isLive(useApp.getState()), run: toggleLive },
  { id: "newSeeds", group: "run", when: hasSeeds, checked: seedsTurn, run: toggleSeeds },
  { id: "cancelAll", group: "run", when: () => activeTab().queued.length > 0, run: () => cancelAll() },
  { id: "undo", group: "edit", keys: ["$mod+z"], run: undo },
  { id: "redo", group: "edit", keys: ["$mod+Shift+z", "$mod+y"], run: redo },
  { id: "copy", group: "edit", keys: ["$mod+c"], native: true, when: any, run: () => copySelected() },
  { id: "cut", group: "edit", keys: ["$mod+x"], native: true, when: any, run: () => copySelected(true) },
  { id: "paste", group: "edit", keys: ["$mod+v"], native: true, run: () => pasteFromClipboard() },
  { id: "pasteLinked", group: "edit", keys: ["$mod+Shift+v"], run: () => pasteFromClipboard(true) },
  {
    id: "duplicate",
    group: "edit",
    keys: ["$mod+d"],
    when: any,
    run: () => {
      let keys: string[] = [];
      edit("duplicate", (scene) => void (keys = m.duplicate(scene, activeTab().selection, { x: 40, y: 40 })), { select: () => keys });
    },
  },
  { id: "delete", group: "edit", keys: ["Delete", "Backspace"], when: any, run: () => removeSelected() },
  { id: "dissolve", group: "edit", keys: ["$mod+Delete", "$mod+Backspace"], when: some, run: () => removeSelected(true) },
  { id: "selectAll", group: "edit", keys: ["$mod+a"], run: () => select(Object.keys(boxes(stage.geometry))) },
  {
    id: "selectNone",
    group: "edit",
    keys: ["Escape"],
    // From the inside out: what is chosen, the subgraph that is shown, the run.
    run: () => (useApp.getState().comparing ? stopComparing() : any() ? select([]) : activeTab().path.length ? leaveSubgraph() : cancelRun()),
  },
  { id: "selectLinked", group: "edit", keys: ["l"], when: some, run: selectLinked },
  { id: "add", group: "node", keys: ["Tab", "a"], run: () => useApp.setState({ overlay: { kind: "add", screen: here(), free: !isPointed() } }) },
  { id: "feed", group: "view", keys: ["Shift+i"], run: () => setPreference({ feed: !useApp.getState().preferences.feed }) },
  { id: "find", group: "view", keys: ["$mod+f"], run: () => useApp.setState({ overlay: { kind: "find" } }) },
  { id: "fit", group: "view", keys: [".", "f", "Shift+Digit2"], run: () => fit(false) },
  { id: "fitAll", group: "view", keys: ["Shift+Digit1", "Home"], run: () => fit(true) },
  { id: "zoomIn", group: "view", keys: ["Alt+=", "+", "="], run: () => view.zoomAt(here(), 1.25) },
  { id: "zoomOut", group: "view", keys: ["Alt+-", "-"], run: () => view.zoomAt(here(), 0.8) },
  { id: "zoom100", group: "view", keys: ["Shift+Digit0"], run: () => view.zoomAt(view.center, 1 / view.zoom) },
  { id: "portUp", group: "arrange", keys: ["Alt+ArrowUp"], when: () => chosenPort() !== undefined, run: () => shiftPort(-1) },
  { id: "portDown", group: "arrange", keys: ["Alt+ArrowDown"], when: () => chosenPort() !== undefined, run: () => shiftPort(1) },
  ...(Object.entries({ Left: [-1, 0], Right: [1, 0], Up: [0, -1], Down: [0, 1] }) as [string, [number, number]][]).map(
    ([way, by]): Command => ({ id: `walk${way}`, group: "view", keys: [`Alt+Arrow${way}`], run: () => walk(...by) }),
  ),
  { id: "fields", group: "node", keys: ["Enter"], when: () => one() && !instance(), run: enterFields },
  { id: "ports", group: "node", keys: ["Enter"], when: () => chosenBorder() !== undefined, run: enterPorts },
  { id: "connect", group: "node", keys: ["c"], when: () => one() || chosenBorder() !== undefined, run: () => useApp.setState({ overlay: { kind: "connect", node: chosenBorder() ?? selectedNodes()[0] ?? "" } }) },
  { id: "flag", group: "node", keys: ["Shift+w"], when: () => linksMeant().length > 0, checked: () => areFlags(linksMeant()), run: () => toggleFlags(linksMeant()) },
  { id: "bundles", group: "view", checked: () => useApp.getState().preferences.bundles, run: () => setPreference({ bundles: !useApp.getState().preferences.bundles }) },
  { id: "otherEnd", group: "view", keys: ["Shift+j"], when: hasOtherEnd, run: toOtherEnd },
  { id: "help", group: "node", keys: ["h"], when: one, run: () => window.dispatchEvent(new CustomEvent("safelight:help", { detail: selectedNodes()[0] })) },
  { id: "mute", group: "node", keys: ["$mod+m", "m"], when: some, run: mode("mute") },
  { id: "bypass", group: "node", keys: ["$mod+b"], when: some, run: mode("bypass") },
  { id: "collapse", group: "node", keys: ["Alt+c"], when: some, run: () => toggleLook("collapsed") },
  { id: "advanced", group: "node", keys: ["Alt+o"], when: some, run: () => toggleLook("advanced") },
  { id: "pin", group: "node", keys: ["p"], when: some, run: () => toggleLook("pinned") },
  {
    id: "rename",
    group: "node",
    keys: ["F2"],
    when: any,
    run: () => window.dispatchEvent(new CustomEvent("safelight:rename", { detail: activeTab().selection[0] })),
  },
  { id: "color", group: "node", keys: ["Alt+k"], when: some, run: nextColor },
  {
    id: "swap",
    group: "node",
    keys: ["Shift+s"],
    when: one,
    run: () => useApp.setState({ overlay: { kind: "add", screen: here(), swap: selectedNodes()[0] } }),
  },
  { id: "frame", group: "node", keys: ["$mod+g"], run: frameSelection },
  { id: "note", group: "node", keys: ["n"], run: addNote },
  { id: "subgraph", group: "node", keys: ["$mod+Shift+g"], when: some, run: makeSubgraph },
  { id: "enter", group: "node", keys: ["Enter"], when: instance, run: () => enterSubgraph(selectedNodes()[0] ?? "") },
  { id: "leave", group: "node", keys: ["$mod+ArrowUp"], when: () => activeTab().path.length > 0, run: () => leaveSubgraph() },
  { id: "unpack", group: "node", keys: ["$mod+Alt+g"], when: instance, run: unpack },
  { id: "presets", group: "node", when: () => one() && !instance(), run: () => useApp.setState({ overlay: { kind: "presets", node: selectedNodes()[0] ?? "" } }) },
  { id: "snippet", group: "node", when: () => some() && !instance(), run: () => useApp.setState({ overlay: { kind: "snippet" } }) },
  { id: "keep", group: "node", when: instance, run: () => keepSubgraph(selectedNodes()[0] ?? "") },
  { id: "layout", group: "arrange", keys: ["Shift+l"], run: layout },
  { id: "alignLeft", group: "arrange", keys: ["Alt+a"], when: some, run: align("left") },
  { id: "alignRight", group: "arrange", keys: ["Alt+d"], when: some, run: align("right") },
  { id: "alignTop", group: "arrange", keys: ["Alt+w"], when: some, run: align("top") },
  { id: "alignBottom", group: "arrange", keys: ["Alt+s"], when: some, run: align("bottom") },
  { id: "distributeX", group: "arrange", keys: ["Alt+Shift+h"], when: some, run: () => arrange("distribute", (c) => m.distribute(c, "x")) },
  { id: "distributeY", group: "arrange", keys: ["Alt+Shift+v"], when: some, run: () => arrange("distribute", (c) => m.distribute(c, "y")) },
  { id: "snap", group: "arrange", keys: ["Shift+Tab"], run: () => setPreference({ snap: !useApp.getState().preferences.snap }) },
  { id: "save", group: "file", keys: ["$mod+s"], inText: true, run: saveOrAsk },
  { id: "saveAs", group: "file", keys: ["$mod+Shift+s"], inText: true, run: askName },
  { id: "open", group: "file", keys: ["$mod+o"], run: () => pickFile(useApp.getState().catalogue.media.carriers, (file) => void openFile(file)) },
  { id: "export", group: "file", keys: ["$mod+e"], run: exportJson },
  { id: "copyJson", group: "file", run: () => copyAndTell(m.writeDocument(activeTab().document), "copied.json") },
  { id: "revisions", group: "file", when: () => keyOf(activeTab()) !== "", run: () => useApp.setState({ overlay: { kind: "revisions" } }) },
  { id: "renameWorkflow", group: "file", when: saved, run: () => useApp.setState({ overlay: { kind: "name", rename: activeTab().name } }) },
  { id: "share", group: "file", keys: ["$mod+Shift+e"], run: () => useApp.setState({ overlay: { kind: "share" } }) },
  { id: "newTab", group: "file", keys: ["Alt+n"], run: () => openTab({ document: m.emptyDocument() }) },
  { id: "tabs", group: "file", keys: ["Alt+t"], run: () => useApp.setState({ overlay: { kind: "tabs" } }) },
  { id: "closeTab", group: "file", keys: ["Alt+x"], run: () => closeTab(activeTab().id) },
  { id: "templates", group: "file", keys: ["t"], run: () => togglePanel("templates") },
  { id: "nodes", group: "app", keys: ["b"], run: () => togglePanel("nodes") },
  { id: "models", group: "app", keys: ["Shift+m"], run: () => togglePanel("models") },
  { id: "gallery", group: "app", keys: ["g"], run: () => togglePanel("gallery") },
  { id: "queue", group: "app", keys: ["q"], run: () => togglePanel("queue") },
  { id: "outline", group: "app", keys: ["o"], run: () => togglePanel("outline") },
  { id: "problems", group: "app", keys: ["e"], run: () => togglePanel("problems") },
  { id: "form", group: "app", keys: ["F4"], run: () => useApp.setState((state) => ({ form: !state.form, choosing: false })) },
  { id: "chooseFields", group: "app", run: startChoosing },
  { id: "region", group: "app", keys: ["F6"], inText: true, run: nextRegion },
  { id: "palette", group: "app", keys: ["$mod+k"], inText: true, run: () => useApp.setState({ overlay: { kind: "commands" } }) },
  { id: "shortcuts", group: "app", keys: ["?", "F1"], run: () => useApp.setState({ overlay: { kind: "shortcuts" } }) },
  { id: "tour", group: "app", run: () => void startTour() },
  { id: "where", group: "app", run: () => useApp.setState({ overlay: { kind: "where" } }) },
  { id: "settings", group: "app", keys: ["$mod+,"], run: () => useApp.setState({ overlay: { kind: "settings" } }) },
  {
    id: "theme",
    group: "app",
    run: () => setPreference({ theme: THEMES[(THEMES.indexOf(document.documentElement.dataset.theme as Theme) + 1) % THEMES.length] ?? "dark" }),
  },
];

/** The keys of a command: the user's own, else those of the preset that is chosen. */
export function keysOf({ id, keys = [] }: Command): readonly string[] {
  const { preferences } = useApp.getState();
  return preferences.ownKeys[id] ?? KEY_PRESETS[preferences.keys].keys[id] ?? keys;
}

export const nudges: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

export { nudge };

/** The first keys of a command, as they are printed on the keyboard. */
export function keyNames(id: string): string {
  const command = commands.find((candidate) => candidate.id === id);
  return readable((command && keysOf(command)[0]) ?? "");
}

/** The same for what is shown: it follows what the user changes. */
export function useKeyNames(): typeof keyNames {
  useApp((state) => state.preferences.ownKeys);
  useApp((state) => state.preferences.keys);
  return keyNames;
}

/** A title with the keys of a command behind it, if it has any. */
export const withKeys = (title: string, keys: string): string => (keys ? `${title} (${keys})` : title);

export const commandTitle = (id: string) => t(`command.${id}` as TextKey);

export function execute(id: string): void {
  const command = commands.find((candidate) => candidate.id === id);
  if (command && (command.when?.() ?? true)) void command.run();
}

