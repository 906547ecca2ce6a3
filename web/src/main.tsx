import { createRoot } from "react-dom/client";
import { App } from "./app/App";
import { trackPointer } from "./commands/commands";
import { startKeys } from "./commands/keys";
import { stage } from "./canvas/stage";
import { view } from "./canvas/view";
import { emptyDocument, writeDocument } from "./graph";
import { openTab } from "./state/documents";
import { restore, startPersisting } from "./state/persist";
import { openText } from "./state/files";
import { activeTab, useApp } from "./state/store";
import { connect, receive, startSync } from "./state/sync";
import "./styles/base.css";
import "./styles/canvas.css";
import "./styles/app.css";
import "./styles/painter.css";
import "./styles/documents.css";
import "./styles/gallery.css";
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
  window.addEventListener("pointermove", trackPointer, { passive: true });
  createRoot(document.getElementById("root") as HTMLElement).render(<App />);
  await connect();
  startSync();
}

void start();
