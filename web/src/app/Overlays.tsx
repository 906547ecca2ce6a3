/** What opens above the editor: search lists, menus, sheets. */

import { type TextKey, useT } from "../i18n";
import { openFile } from "../state/documents";
import { jumpTo } from "../state/edits";
import { loadImage } from "../state/files";
import { Painter } from "../painter/Painter";
import { activeGraph, type Overlay, useApp } from "../state/store";
import { ImportSheet } from "../dialogs/ImportSheet";
import { MediaSheet } from "../dialogs/MediaSheet";
import { AddNode } from "../dialogs/AddNode";
import { commands, commandTitle, execute } from "../commands/commands";
import { Connect } from "../dialogs/Connect";
import { ContextMenu } from "../dialogs/ContextMenu";
import { readable } from "../commands/keys";
import { NameSheet } from "../dialogs/NameSheet";
import { nodeOptions } from "../canvas/nodeOptions";
import { Popup } from "../ui/Popup";
import { type Option, SearchList } from "../ui/SearchList";
import { Settings } from "../dialogs/Settings";
import { ShareSheet } from "../dialogs/ShareSheet";
import { Sheet } from "../ui/Sheet";
import { ShortcutSheet } from "../dialogs/ShortcutSheet";
import { ConflictSheet, RevisionSheet } from "../dialogs/VersionSheets";
import { Viewer } from "../dialogs/Viewer";
import { Voting } from "../dialogs/Voting";

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
    case "find":
      return <FindNode />;
    case "connect":
      return <Connect id={overlay.node} onClose={close} />;
    case "shortcuts":
      return <ShortcutSheet onClose={close} />;
    case "settings":
      return <Settings onClose={close} />;
    case "viewer":
      return <Viewer {...overlay} onClose={close} />;
    case "media":
      return <MediaSheet file={overlay.file} onClose={close} />;
    case "painter":
      return <Painter source={overlay.source} onClose={close} />;
    case "name":
      return <NameSheet rename={overlay.rename} onClose={close} />;
    case "revisions":
      return <RevisionSheet onClose={close} />;
    case "conflict":
      return <ConflictSheet onClose={close} />;
    case "import":
      return <ImportSheet report={overlay.report} onClose={close} />;
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
      aside: command.keys?.[0] ? <kbd>{readable(command.keys[0])}</kbd> : null,
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

function FindNode() {
  const t = useT();
  return (
    <Popup anchor={{ x: innerWidth / 2 - 240, y: 72 }} onClose={close} className="commands" label={t("find.label")}>
      <SearchList
        options={nodeOptions(activeGraph())}
        label={t("find.label")}
        placeholder={t("find.placeholder")}
        empty={t("search.empty")}
        onClose={close}
        cycle
        onChoose={(id) => jumpTo([...activeScenePath(), id].join("/"))}
      />
    </Popup>
  );
}

const activeScenePath = () => useApp.getState().tabs.find((tab) => tab.id === useApp.getState().active)?.path ?? [];

function DropChoice({ overlay }: { overlay: Extract<Overlay, { kind: "drop" }> }) {
  const t = useT();
  return (
    <Sheet title={t("drop.title")} onClose={close}>
      <div className="buttons">
        <button
          type="button"
          className="primary"
          autoFocus
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
