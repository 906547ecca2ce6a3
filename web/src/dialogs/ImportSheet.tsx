/** What became of a workflow of another program: what has a counterpart, what is a placeholder, what is not as it was. */

import type { ImportReport, Problem } from "../api/types";
import { useT } from "../i18n";
import { openFile } from "../state/documents";
import { jumpTo } from "../state/edits";
import type { FileKind, OpenedFile } from "../state/store";
import { Sheet } from "../ui/Sheet";

export function ImportSheet({ opened, onClose }: { opened: OpenedFile; onClose: () => void }) {
  const t = useT();
  const { report, others } = opened;
  const openAs = (kind: FileKind) => {
    onClose();
    void openFile(opened.file, kind);
  };
  return (
    <Sheet title={report ? t("import.title", { program: report.program }) : t("import.as")} onClose={onClose}>
      {report && <Report report={report} onClose={onClose} />}
      {others.length > 0 && (
        <section>
          {report && <h3>{t("import.as")}</h3>}
          <p className="buttons import-kinds">
            {others.map((kind) => (
              <button key={kind} type="button" onClick={() => openAs(kind)}>
                {t(`import.as.${kind}`)}
              </button>
            ))}
          </p>
        </section>
      )}
    </Sheet>
  );
}

function Report({ report, onClose }: { report: ImportReport; onClose: () => void }) {
  const t = useT();
  const placeholders = report.remarks.filter(({ code }) => code === "placeholder");
  const others = report.remarks.filter(({ code }) => code !== "placeholder");
  return (
    <>
      <p>{t("import.mapped", { mapped: report.mapped, nodes: report.nodes })}</p>
      <Told title={t("import.placeholders")} list={placeholders} onClose={onClose} />
      <Told title={t("import.otherwise")} list={others} onClose={onClose} />
      {report.models.length > 0 && (
        <section>
          <h3>{t("import.models")}</h3>
          <ul className="import-list">
            {report.models.map((model) => (
              <li key={`${model.directory}/${model.name}`}>
                <strong>{`${model.directory}/${model.name}`}</strong>
                <code>{model.url}</code>
              </li>
            ))}
          </ul>
        </section>
      )}
    </>
  );
}

function Told({ title, list, onClose }: { title: string; list: readonly Problem[]; onClose: () => void }) {
  const t = useT();
  if (!list.length) return null;
  const go = (node: string) => {
    onClose();
    jumpTo(node);
  };
  return (
    <section>
      <h3>{title}</h3>
      <ul className="import-list">
        {list.map((problem, index) => (
          <li key={index}>
            <span>{problem.message}</span>
            {problem.hint && <small>{problem.hint}</small>}
            {problem.node && (
              <button type="button" onClick={() => go(problem.node ?? "")}>
                {t("import.show")}
              </button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
