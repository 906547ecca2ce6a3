import { createRoot } from "react-dom/client";
import { App } from "./app/App";
import { trackPointer } from "./canvas/pointer";
import { startClipboard } from "./commands/clipboard";
import { startKeys } from "./commands/keys";
import { stage } from "./canvas/stage";
import { view } from "./canvas/view";
import { emptyDocument, writeDocument } from "./graph";
import { openTab } from "./state/documents";
import { restore, startPersisting } from "./state/persist";
import { openText } from "./state/files";
import { startDrops } from "./app/drops";
import { activeTab, useApp } from "./state/store";
import { connect, receive, startSync } from "./state/sync";
import "./styles/base.css";
import "./styles/themes.css";
import "./styles/canvas.css";
import "./styles/app.css";
import "./styles/painter.css";
import "./styles/documents.css";
import "./styles/gallery.css";
import "./styles/models.css";
import "./styles/form.css";
import "./styles/results.css";

declare global {
  interface Window {
    /** For the browser tests: places and states that are painted, not in the page. */
    __safelight?: { view: typeof view; stage: typeof stage; app: typeof useApp; open: typeof openText; receive: typeof receive; write: () => string };
  }
}
window.__safelight = { view, stage, app: useApp, open: openText, receive, write: () => writeDocument(activeTab().document) };

async function start(): Promise<void> {
  if (!(await restore())) openTab({ document: emptyDocument() });
  startPersisting();
  startKeys();
  startClipboard();
  startDrops();
  window.addEventListener("pointermove", trackPointer, { passive: true });
  createRoot(document.getElementById("root") as HTMLElement).render(<App />);
  await connect();
  startSync();
}

void start();
