/** The saved workflows: in their folders, or the favourites, or those that were opened last; what is searched is found in all. */

import { type DragEvent, useState } from "react";
import type { WorkflowInfo } from "../api/types";
import { keyNames } from "../commands/commands";
import { useT, when } from "../i18n";
import { openWorkflow, placeWorkflow } from "../state/documents";
import { setPreference, useApp } from "../state/store";
import { rank } from "../ui/fuzzy";
import { Chevron } from "../ui/icons";

const VIEWS = ["all", "starred", "recent"] as const;
const RECENT = 30;
/** The name under which a workflow is dragged. */
const DRAG = "application/x-safelight-workflow";

interface Folder {
  path: string;
  folders: Folder[];
  workflows: WorkflowInfo[];
}

/** Folders are where workflows say that they are. */
function treeOf(workflows: readonly WorkflowInfo[]): Folder {
  const root: Folder = { path: "", folders: [], workflows: [] };
  for (const workflow of workflows) {
    let at = root;
    for (const part of (workflow.folder ?? "").split("/").filter(Boolean)) {
      const path = at.path ? `${at.path}/${part}` : part;
      let next = at.folders.find((folder) => folder.path === path);
      if (!next) at.folders.push((next = { path, folders: [], workflows: [] }));
      at = next;
    }
    at.workflows.push(workflow);
  }
  const sort = (folder: Folder) => {
    folder.folders.sort((a, b) => a.path.localeCompare(b.path));
    folder.folders.forEach(sort);
  };
  sort(root);
  return root;
}

export function SavedWorkflows({ query }: { query: string }) {
  const t = useT();
  const workflows = useApp((state) => state.workflows);
  const [view, setView] = useState<(typeof VIEWS)[number]>("all");
  const asked = query.trim();
  const found = asked ? rank(workflows.map((one) => ({ one, title: one.name, also: `${one.folder} ${one.description}` })), query).map(({ one }) => one) : workflows;
  const shown =
    view === "starred" ? found.filter((one) => one.starred) : view === "recent" ? found.filter((one) => one.opened).sort((a, b) => (b.opened ?? 0) - (a.opened ?? 0)).slice(0, RECENT) : found;
  return (
    <>
      <h3>{t("workflows.saved")}</h3>
      {workflows.length > 0 && (
        <div className="segments" role="group" aria-label={t("workflows.saved")}>
          {VIEWS.map((one) => (
            <button key={one} type="button" aria-pressed={view === one} data-view={one} onClick={() => setView(one)}>
              {t(`workflows.${one}`)}
            </button>
          ))}
        </div>
      )}
      {!shown.length && <p className="hint">{t(asked ? "search.empty" : view === "starred" ? "workflows.noStarred" : view === "recent" ? "workflows.noRecent" : "workflows.none", { keys: keyNames("save") || "–" })}</p>}
      {view === "all" && !asked ? <Contents folder={treeOf(shown)} /> : <List workflows={shown} flat />}
    </>
  );
}

/** What is in a folder; a workflow that is dropped there moves into it. */
function Contents({ folder }: { folder: Folder }) {
  const [over, setOver] = useState(false);
  const enter = (event: DragEvent, now: boolean) => {
    if (!event.dataTransfer.types.includes(DRAG)) return;
    event.preventDefault();
    event.stopPropagation();
    setOver(now);
  };
  return (
    <div
      className={`folder-contents${over ? " over" : ""}`}
      data-folder={folder.path}
      onDragOver={(event) => enter(event, true)}
      onDragLeave={(event) => enter(event, false)}
      onDrop={(event) => {
        enter(event, false);
        const name = event.dataTransfer.getData(DRAG);
        if (name) void placeWorkflow(name, { folder: folder.path });
      }}
    >
      {folder.path && <FolderHead folder={folder} />}
      <Inside folder={folder} />
    </div>
  );
}

function FolderHead({ folder }: { folder: Folder }) {
  const shut = useApp((state) => state.preferences.shutFolders);
  const open = !shut.includes(folder.path);
  return (
    <button
      type="button"
      className="folder"
      aria-expanded={open}
      onClick={() => setPreference({ shutFolders: open ? [...shut, folder.path] : shut.filter((path) => path !== folder.path) })}
    >
      <Chevron open={open} />
      <span>{folder.path.slice(folder.path.lastIndexOf("/") + 1)}</span>
      <small>{count(folder)}</small>
    </button>
  );
}

const count = (folder: Folder): number => folder.workflows.length + folder.folders.reduce((sum, inner) => sum + count(inner), 0);

function Inside({ folder }: { folder: Folder }) {
  const shut = useApp((state) => state.preferences.shutFolders.includes(folder.path));
  if (folder.path && shut) return null;
  return (
    <div className={folder.path ? "folder-inside" : ""}>
      {folder.folders.map((inner) => (
        <Contents key={inner.path} folder={inner} />
      ))}
      <List workflows={folder.workflows} />
    </div>
  );
}

/** `flat`: out of their folders, which are named. */
function List({ workflows, flat = false }: { workflows: readonly WorkflowInfo[]; flat?: boolean }) {
  const t = useT();
  const menu = (name: string, screen: { x: number; y: number }) => useApp.setState({ overlay: { kind: "menu", screen, items: [`saved:${name}`] } });
  return (
    <ul className="workflow-list saved">
      {workflows.map(({ name, nodes, modified, opened, folder, starred }) => (
        <li
          key={name}
          draggable
          onDragStart={(event) => event.dataTransfer.setData(DRAG, name)}
          onContextMenu={(event) => {
            event.preventDefault();
            menu(name, { x: event.clientX, y: event.clientY });
          }}
        >
          <button type="button" className="open" data-workflow={name} onClick={() => void openWorkflow(name)}>
            <strong>{name}</strong>
            <small>{[flat && folder, t("templates.nodes", { count: nodes ?? 0 }), when(flat && opened ? opened : modified)].filter(Boolean).join(" · ")}</small>
          </button>
          <button
            type="button"
            className="icon star"
            aria-pressed={starred ?? false}
            aria-label={t("workflows.star", { name })}
            title={t(starred ? "workflows.takeStar" : "workflows.giveStar")}
            onClick={() => void placeWorkflow(name, { starred: !starred })}
          >
            {starred ? "★" : "☆"}
          </button>
          <button
            type="button"
            className="icon"
            aria-haspopup="menu"
            aria-label={t("workflows.menu", { name })}
            title={t("menu")}
            onClick={(event) => {
              const box = event.currentTarget.getBoundingClientRect();
              menu(name, { x: box.left, y: box.bottom + 4 });
            }}
          >
            ⋯
          </button>
        </li>
      ))}
    </ul>
  );
}
