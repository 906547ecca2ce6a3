/** What the server tells: its catalogue at the beginning, then events. */

import { ApiError, call, Elsewhere, Unreachable } from "../api/client";
import type { HostEvent } from "../api/types";
import { EventStream } from "../api/socket";
import { loadWords, t } from "../i18n";
import { problemLine } from "../i18n/problems";
import * as m from "../graph";
import { refreshFiles } from "./files";
import { refreshGallery } from "./gallery";
import { takeDownload } from "./models";
import { isLive, startLive } from "./live";
import { checkAndPlan } from "./plan";
import { refreshPresets } from "./presets";
import { catchUp, isActive, plainNodes, setNode, setNodes, showFiles, showResult, tabOfRun, takeRun, waiting } from "./runs";
import { resultKey, setResult } from "./status";
import { followWorkflow, refreshWorkflows, startAutosave } from "./saving";
import { activeTab, tabOf, toast, useApp } from "./store";

const PLAN_DELAY = 180;

let stream: EventStream | null = null;

async function loadCatalogue(): Promise<void> {
  const { nodes, rules, packs, media, images } = await call("GET /catalogue");
  useApp.setState({ catalogue: new m.Catalogue(nodes, rules.variables, media, images), packs });
}

export async function loadServerData(): Promise<void> {
  await loadCatalogue();
  useApp.setState({ ready: true, connection: "online" });
  await Promise.allSettled([
    loadWords(),
    refreshWorkflows(),
    call("GET /templates").then((templates) => useApp.setState({ templates })),
    refreshModels(),
    refreshPresets(),
    refreshFiles(),
  ]);
}

async function refreshModels(): Promise<void> {
  const { models } = await call("GET /models");
  useApp.setState({ models });
}

export function startSync(): () => void {
  let timer = 0;
  const schedule = () => {
    clearTimeout(timer);
    timer = window.setTimeout(() => void checkAndPlan(), PLAN_DELAY);
  };
  const stop = useApp.subscribe((state, before) => {
    const now = tabOf(state);
    const was = tabOf(before);
    // Live, the change runs at once, and the end of the run asks for the plan.
    const changed = now.document !== was.document && !isLive(state);
    if (changed || now.id !== was.id || state.ready !== before.ready) schedule();
  });
  stream = new EventStream({
    onEvent: (event) => receive(event),
    onPreview: (header, image) => {
      const tab = tabOfRun(header.run);
      if (tab) setResult(resultKey(tab.id, m.withoutTurns(tab.document, header.node)), { live: URL.createObjectURL(image) });
    },
    onState: (online) => {
      const before = useApp.getState().connection;
      if (!online) {
        if (before === "online") useApp.setState({ connection: "offline" });
        return void lookAround();
      }
      if (before === "online") return;
      useApp.setState({ connection: "online" });
      if (before !== "starting") {
        toast(t("connection.back"));
        void loadServerData().catch(() => undefined);
        schedule();
      }
    },
  });
  stream.connect();
  schedule();
  const stopSaving = startAutosave();
  const stopLive = startLive();
  return () => {
    stop();
    stopSaving();
    stopLive();
    clearTimeout(timer);
    stream?.close();
  };
}

export function receive(event: HostEvent): void {
  switch (event.event) {
    case "snapshot": {
      const known = Object.values(useApp.getState().runs);
      const ended = known.filter((run) => !isActive(run));
      useApp.setState({
        runs: Object.fromEntries([...ended, ...event.runs].map((run) => [run.id, run])),
        runNodes: { ...useApp.getState().runNodes, ...Object.fromEntries(Object.entries(event.nodes).map(([run, nodes]) => [run, plainNodes(run, nodes)])) },
        queue: event.queue,
      });
      void catchUp(new Set(known.filter(isActive).map(({ id }) => id)));
      // What was saved, uploaded and found in the gap, or before the stream began.
      void refreshWorkflows();
      void refreshFiles().catch(() => undefined);
      void refreshPresets().catch(() => undefined);
      void refreshModels().catch(() => undefined);
      break;
    }
    case "run_changed":
      takeRun(event.run);
      break;
    case "run_removed":
      useApp.setState((state) => ({ runs: Object.fromEntries(Object.entries(state.runs).filter(([id]) => id !== event.id)) }));
      break;
    case "queue_changed":
      useApp.setState({ queue: event.queue });
      break;
    case "workflow_changed":
      void refreshWorkflows();
      void followWorkflow(event.name, event.revision);
      break;
    case "catalogue_changed":
      void loadCatalogue().then(() => {
        void loadWords();
        void checkAndPlan();
        for (const { name, reason, remedy } of event.broken) toast(t("packs.broken", { name, reason: `${reason} ${remedy}` }), "error");
        if (!event.broken.length) toast(t("packs.reloaded", { names: event.packages.join(", ") }));
      }).catch(() => undefined);
      break;
    case "models_changed":
      // What a workflow lacked may be there now.
      if (!event.scanning) void refreshModels().then(checkAndPlan, () => undefined);
      break;
    case "download_changed":
      takeDownload(event.download, event.removed);
      break;
    case "file_changed":
      if (event.folder === "output") refreshGallery();
      else void refreshFiles().catch(() => undefined);
      break;
    case "presets_changed":
      void refreshPresets().catch(() => undefined);
      break;
    case "gallery_changed":
      refreshGallery();
      break;
    case "run_started":
      setNodes(event.run, () => Object.fromEntries(event.nodes.map((id) => [id, waiting()])));
      break;
    case "node_started":
      setNode(event.run, event.node, { status: "running", step: 0, total: 0 });
      break;
    case "node_progress":
      setNode(event.run, event.node, { status: "running", step: event.step, total: event.total });
      if (event.curve?.length) showResult(event.run, event.node, { curve: event.curve });
      break;
    case "node_finished":
      setNode(event.run, event.node, {
        status: event.cached ? "cached" : "ran",
        seconds: event.seconds,
      });
      showResult(event.run, event.node, { live: undefined, ...(event.values ? { values: event.values } : {}) });
      if (event.files?.length) showFiles(event.run, event.node, event.files);
      break;
    case "node_skipped":
      setNode(event.run, event.node, { status: "skipped" });
      break;
    case "node_warned":
      if (event.run === activeTab().run) toast(problemLine(event.problem), "info");
      break;
    case "node_failed":
      setNode(event.run, event.node, { status: "failed", problem: event.problem });
      break;
    default:
      break;
  }
}

function away(error: Unreachable | ApiError): void {
  useApp.setState(error instanceof Elsewhere ? { connection: "elsewhere", elsewhere: error.status } : { connection: "offline" });
}

/** Without the stream: whether nothing answers, or something else does. */
async function lookAround(): Promise<void> {
  try {
    await call("GET /queue");
  } catch (error) {
    if (error instanceof Unreachable && useApp.getState().connection !== "online") away(error);
  }
}

/** Tries until the server answers: the page may have been opened before it was ready. */
export async function connect(): Promise<void> {
  for (let wait = 300; ; wait = Math.min(4000, wait * 1.6)) {
    try {
      await loadServerData();
      return;
    } catch (error) {
      if (!(error instanceof Unreachable) && !(error instanceof ApiError)) throw error;
      away(error);
      await new Promise((done) => setTimeout(done, wait));
    }
  }
}

