/** What opens above the editor: search lists, menus, sheets. */

import { useState } from "react";
import { type TextKey, useT } from "../i18n";
import { closeTab, isUnsaved, openFile, showTab, tabTitle } from "../state/documents";
import { jumpTo } from "../state/edits";
import { loadImage } from "../state/files";
import { Painter } from "../painter/Painter";
import { PaintingPainter } from "../painter/PaintStudio";
import { activeTab, type Overlay, useApp } from "../state/store";
import { ImportSheet } from "../dialogs/ImportSheet";
import { MediaSheet } from "../dialogs/MediaSheet";
import { AddNode } from "../dialogs/AddNode";
import { commands, commandTitle, execute, keysOf } from "../commands/commands";
import { Connect } from "../dialogs/Connect";
import { ContextMenu } from "../dialogs/ContextMenu";
import { readable } from "../ui/keyNames";
import { SeveralSheet } from "../dialogs/SeveralSheet";
import { MoveSheet, NameSheet } from "../dialogs/NameSheet";
import { allNodeOptions } from "../canvas/nodeOptions";
import { Popup } from "../ui/Popup";
import { type Option, SearchList } from "../ui/SearchList";
import { PresetSheet } from "../dialogs/PresetSheet";
import { SnippetSheet } from "../dialogs/SnippetSheet";
import { Settings } from "../dialogs/Settings";
import { ShareSheet } from "../dialogs/ShareSheet";
import { Sheet } from "../ui/Sheet";
import { ShortcutSheet } from "../dialogs/ShortcutSheet";
import { ConflictSheet, RevisionSheet } from "../dialogs/VersionSheets";
import { Viewer } from "../dialogs/Viewer";
import { Voting } from "../dialogs/Voting";
import { WhereSheet } from "../dialogs/WhereSheet";

const close = () => useApp.setState({ overlay: null });

export function Overlays() {
  const overlay = useApp((state) => state.overlay);
  if (!overlay) return null;
  switch (overlay.kind) {
    case "add":
      return <AddNode overlay={overlay} onClose={close} />;
    case "menu":
      return <ContextMenu {...overlay} />;
    case "commands":
      return <CommandPalette />;
    case "tabs":
      return <TabList />;
    case "find":
      return <FindNode />;
    case "connect":
      return <Connect id={overlay.node} onClose={close} />;
    case "shortcuts":
      return <ShortcutSheet onClose={close} />;
    case "where":
      return <WhereSheet onClose={close} />;
    case "settings":
      return <Settings onClose={close} />;
    case "presets":
      return <PresetSheet node={overlay.node} onClose={close} />;
    case "snippet":
      return <SnippetSheet rename={overlay.rename} onClose={close} />;
    case "viewer":
      return <Viewer {...overlay} onClose={close} />;
    case "media":
      return <MediaSheet file={overlay.file} onClose={close} />;
    case "painter":
      return <Painter source={overlay.source} onClose={close} />;
    case "several":
      return <SeveralSheet way={overlay.way} onClose={close} />;
    case "painting":
      return <PaintingPainter place={overlay.place} onClose={close} />;
    case "name":
      return <NameSheet rename={overlay.rename} onClose={close} />;
    case "move":
      return <MoveSheet name={overlay.name} onClose={close} />;
    case "revisions":
      return <RevisionSheet onClose={close} />;
    case "conflict":
      return <ConflictSheet onClose={close} />;
    case "import":
      return <ImportSheet opened={overlay.opened} onClose={close} />;
    case "share":
      return <ShareSheet onClose={close} />;
    case "voting":
      return <Voting id={overlay.batch} onClose={close} />;
    case "drop":
      return <DropChoice overlay={overlay} />;
  }
}

function CommandPalette() {
  const t = useT();
  const options = commands
    .filter((command) => command.when?.() ?? true)
    .map((command): Option => ({
      id: command.id,
      title: commandTitle(command.id),
      also: command.id,
      group: t(`group.${command.group}` as TextKey),
      aside: keysOf(command)[0] ? <kbd>{readable(keysOf(command)[0] ?? "")}</kbd> : null,
    }));
  return (
    <Popup anchor={{ x: innerWidth / 2 - 240, y: Math.min(120, innerHeight / 6) }} onClose={close} className="commands" label={t("commands.label")}>
      <SearchList
        options={options}
        label={t("commands.label")}
        placeholder={t("commands.placeholder")}
        empty={t("search.empty")}
        onClose={close}
        onChoose={(id) => {
          close();
          execute(id);
        }}
      />
    </Popup>
  );
}

/** All open documents: what is typed finds one, a middle click or Delete closes it. */
function TabList() {
  const t = useT();
  const tabs = useApp((state) => state.tabs);
  const active = useApp((state) => state.active);
  const [anchor] = useState(() => document.querySelector(".tab-list") ?? { x: innerWidth / 2 - 200, y: 72 });
  const options = tabs.map((tab): Option => ({ id: tab.id, title: tabTitle(tab), aside: isUnsaved(tab) ? t("tab.unsaved") : tab.draft ? t("tab.draft") : null }));
  return (
    <Popup anchor={anchor} onClose={close} className="commands tab-popup" label={t("tabs")}>
      <SearchList
        options={options}
        label={t("tabs")}
        placeholder={t("tab.search")}
        empty={t("search.empty")}
        current={active}
        onClose={close}
        onChoose={(id) => {
          close();
          showTab(id);
        }}
        onRemove={closeTab}
      />
      <p className="popup-note">{t("tab.closeHint", { key: readable("Delete") })}</p>
    </Popup>
  );
}

function FindNode() {
  const t = useT();
  const [options] = useState(() => {
    const tab = activeTab();
    return allNodeOptions(tab.document, useApp.getState().catalogue, tab.path);
  });
  return (
    <Popup anchor={{ x: innerWidth / 2 - 240, y: 72 }} onClose={close} className="commands" label={t("find.label")}>
      <SearchList
        options={options}
        label={t("find.label")}
        placeholder={t("find.placeholder")}
        empty={t("search.empty")}
        onClose={close}
        cycle
        onChoose={jumpTo}
      />
    </Popup>
  );
}

function DropChoice({ overlay }: { overlay: Extract<Overlay, { kind: "drop" }> }) {
  const t = useT();
  return (
    <Sheet title={t("drop.title")} onClose={close}>
      <div className="buttons">
        <button
          type="button"
          className="primary"
          onClick={() => {
            close();
            void openFile(overlay.file);
          }}
        >
          {t("drop.open")}
        </button>
        <button
          type="button"
          onClick={() => {
            close();
            void loadImage(overlay.file, overlay.at);
          }}
        >
          {t("drop.load")}
        </button>
      </div>
    </Sheet>
  );
}
