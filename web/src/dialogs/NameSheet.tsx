import { useState } from "react";
import { useT } from "../i18n";
import { freeName, nameOf, renameWorkflow, saveTab } from "../state/saving";
import { tabTitle } from "../state/documents";
import { activeTab, useApp } from "../state/store";
import { Sheet } from "../ui/Sheet";

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
      <form
        className="name-form"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <input aria-label={t("save.name")} value={name} maxLength={110} autoFocus onFocus={(event) => event.target.select()} onChange={(event) => setName(event.target.value)} />
        {taken && (
          <p className="warning" role="alert">
            {t("save.taken", { name: clean })}
          </p>
        )}
        <div className="buttons">
          <button type="submit" className="primary" disabled={taken || !name.trim()}>
            {t(rename === undefined ? "command.save" : "command.rename")}
          </button>
          <button type="button" onClick={onClose}>
            {t("cancel")}
          </button>
        </div>
      </form>
    </Sheet>
  );
}
