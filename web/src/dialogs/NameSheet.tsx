import { useState } from "react";
import { useT } from "../i18n";
import { folderOf, freeName, nameOf, renameWorkflow, saveTab } from "../state/saving";
import { placeWorkflow, tabTitle } from "../state/documents";
import { activeTab, useApp } from "../state/store";
import { Sheet, SheetForm } from "../ui/Sheet";

/** Asks for the name of a workflow: to save it under, or to rename a saved one. */
export function NameSheet({ rename, onClose }: { rename?: string | undefined; onClose: () => void }) {
  const t = useT();
  const tab = activeTab();
  const [name, setName] = useState(() => rename ?? freeName(tabTitle(tab)));
  const workflows = useApp((state) => state.workflows);
  const clean = nameOf(name);
  const taken = clean !== rename && workflows.some((workflow) => workflow.name === clean);
  const submit = async () => {
    if (taken || !name.trim()) return;
    if (rename === undefined) await saveTab(tab.id, { name: clean });
    else if (!(await renameWorkflow(rename, clean))) return;
    onClose();
  };
  return (
    <Sheet title={t(rename === undefined ? "command.saveAs" : "command.renameWorkflow")} onClose={onClose}>
      <SheetForm label={t(rename === undefined ? "command.save" : "command.rename")} disabled={taken || !name.trim()} onSubmit={() => void submit()} onClose={onClose}>
        <input aria-label={t("save.name")} value={name} maxLength={110} onChange={(event) => setName(event.target.value)} />
        {taken && (
          <p className="warning" role="alert">
            {t("save.taken", { name: clean })}
          </p>
        )}
      </SheetForm>
    </Sheet>
  );
}

/** Asks for the folder of a saved workflow. */
export function MoveSheet({ name, onClose }: { name: string; onClose: () => void }) {
  const t = useT();
  const workflows = useApp((state) => state.workflows);
  const [folder, setFolder] = useState(() => workflows.find((one) => one.name === name)?.folder ?? "");
  const folders = [...new Set(workflows.map((one) => one.folder ?? "").filter(Boolean))].sort();
  return (
    <Sheet title={t("workflows.moveTitle", { name })} onClose={onClose}>
      <SheetForm
        label={t("workflows.moveHere")}
        onSubmit={() => {
          onClose();
          void placeWorkflow(name, { folder: folderOf(folder) });
        }}
        onClose={onClose}
      >
        <input aria-label={t("workflows.folder")} placeholder={t("workflows.noFolder")} list="folders" value={folder} maxLength={250} onChange={(event) => setFolder(event.target.value)} />
        <datalist id="folders">
          {folders.map((one) => (
            <option key={one} value={one} />
          ))}
        </datalist>
        <p className="hint">{t("workflows.folderHint")}</p>
      </SheetForm>
    </Sheet>
  );
}
