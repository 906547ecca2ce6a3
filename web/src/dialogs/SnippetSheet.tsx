import { useState } from "react";
import { useT } from "../i18n";
import { isKept, keepSelection, keptName, keptTitle } from "../state/library";
import { renameWorkflow } from "../state/saving";
import { useApp } from "../state/store";
import { Sheet, SheetForm } from "../ui/Sheet";

/** Asks for the name of a snippet: to keep what is selected, or to rename one. */
export function SnippetSheet({ rename, onClose }: { rename?: string | undefined; onClose: () => void }) {
  const t = useT();
  const workflows = useApp((state) => state.workflows);
  const [name, setName] = useState(rename === undefined ? "" : keptTitle(rename));
  const target = keptName(name);
  const taken = name.trim() !== "" && target !== rename && workflows.some((one) => isKept(one) && one.name === target);
  const submit = async () => {
    if (!name.trim() || (taken && rename !== undefined)) return;
    if (rename === undefined) await keepSelection(name);
    else if (!(await renameWorkflow(rename, target))) return;
    onClose();
  };
  return (
    <Sheet title={t(rename === undefined ? "command.snippet" : "snippet.rename")} onClose={onClose}>
      <SheetForm label={t(rename === undefined ? "command.save" : "command.rename")} disabled={!name.trim() || (taken && rename !== undefined)} onSubmit={() => void submit()} onClose={onClose}>
        <input aria-label={t("snippet.name")} placeholder={t("snippet.name")} value={name} maxLength={100} onChange={(event) => setName(event.target.value)} />
        {taken && (
          <p className={rename === undefined ? "hint" : "warning"} role="alert">
            {t(rename === undefined ? "presets.replaced" : "save.taken", { name: keptTitle(target) })}
          </p>
        )}
      </SheetForm>
    </Sheet>
  );
}
