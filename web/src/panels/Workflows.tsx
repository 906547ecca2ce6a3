/** Workflows to begin with or to go on with: those that ship with the program, saved ones, and those that were closed. */

import { useEffect, useState } from "react";
import type { Template } from "../api/types";
import { said, saidName, useT, useWords, when } from "../i18n";
import { openTemplate, openWorkflow, reopenTab } from "../state/documents";
import { type ClosedTab, closedTabs } from "../state/persist";
import { removeWorkflow } from "../state/saving";
import { useApp } from "../state/store";
import { rank } from "../ui/fuzzy";

const titleOf = (template: Template) => (template.title === template.name ? saidName(template.name) : said(template.title));

/** By the heading that they are offered under, in the order in which the server gives them. */
function grouped(templates: readonly Template[]): [string, Template[]][] {
  const groups = new Map<string, Template[]>();
  for (const template of templates) groups.set(template.group ?? "", [...(groups.get(template.group ?? "") ?? []), template]);
  return [...groups];
}

export function TemplateCard({ template }: { template: Template }) {
  useWords();
  return (
    <button type="button" className="template-card" data-template={template.name} title={said(template.description)} onClick={() => void openTemplate(template.name)}>
      {template.image ? <img src={template.image} alt="" loading="lazy" draggable={false} /> : <span className="no-image" />}
      <strong>{titleOf(template)}</strong>
      <span>{said(template.description)}</span>
    </button>
  );
}

/** On an empty canvas: a first step that needs no knowledge of nodes. */
export function StartStrip() {
  const t = useT();
  const templates = useApp((state) => state.templates);
  const shown = useApp((state) => state.panel === "templates");
  if (!templates.length || shown) return null;
  return (
    <section className="start-strip" aria-label={t("start.title")}>
      <h2>{t("start.title")}</h2>
      <div className="start-cards">
        {grouped(templates)[0]?.[1].map((template) => (
          <TemplateCard key={template.name} template={template} />
        ))}
        <button type="button" className="more" onClick={() => useApp.setState({ panel: "templates" })}>
          {t("start.more", { count: templates.length })}
        </button>
      </div>
    </section>
  );
}

export function WorkflowsPanel() {
  const t = useT();
  const [query, setQuery] = useState("");
  const templates = useApp((state) => state.templates);
  const workflows = useApp((state) => state.workflows);
  const tabs = useApp((state) => state.tabs.length);
  const [closed, setClosed] = useState<ClosedTab[]>([]);
  useEffect(() => void closedTabs().then(setClosed), [tabs]);
  const found = <T,>(list: readonly T[], title: (one: T) => string, also: (one: T) => string = () => "") =>
    query.trim() ? rank(list.map((one) => ({ one, title: title(one), also: also(one) })), query).map(({ one }) => one) : list;
  const saved = found(workflows, (one) => one.name, (one) => one.description);
  const gone = found(closed, (one) => one.title);
  const fitting = found(templates, titleOf, (one) => `${one.name} ${one.description}`);
  return (
    <>
      <input type="search" className="filter" placeholder={t("workflows.search")} aria-label={t("workflows.search")} value={query} onChange={(event) => setQuery(event.target.value)} />
      <div className="scroll">
        <h3>{t("workflows.saved")}</h3>
        {!saved.length && <p className="hint">{t(workflows.length ? "search.empty" : "workflows.none")}</p>}
        <ul className="workflow-list">
          {saved.map((workflow) => (
            <li key={workflow.name}>
              <button type="button" className="open" data-workflow={workflow.name} onClick={() => void openWorkflow(workflow.name)}>
                <strong>{workflow.name}</strong>
                <small>{`${t("templates.nodes", { count: workflow.nodes })} · ${when(workflow.modified)}`}</small>
              </button>
              <button type="button" className="icon" aria-label={t("workflows.rename", { name: workflow.name })} title={t("command.rename")} onClick={() => useApp.setState({ overlay: { kind: "name", rename: workflow.name } })}>
                ✎
              </button>
              <button type="button" className="icon" aria-label={t("workflows.delete", { name: workflow.name })} title={t("command.delete")} onClick={() => removeWorkflow(workflow.name)}>
                ✕
              </button>
            </li>
          ))}
        </ul>
        {gone.length > 0 && (
          <>
            <h3>{t("workflows.closed")}</h3>
            <ul className="workflow-list">
              {gone.map((tab) => (
                <li key={tab.id}>
                  <button type="button" className="open" data-closed={tab.id} onClick={() => void reopenTab(tab.id)}>
                    <strong>{tab.title || t("tab.untitled")}</strong>
                    <small>{`${t("templates.nodes", { count: tab.nodes })} · ${when(tab.closed / 1000)}`}</small>
                  </button>
                </li>
              ))}
            </ul>
          </>
        )}
        <h3>{t("templates.title")}</h3>
        {!templates.length && <p className="hint">{t("templates.none")}</p>}
        {(query.trim() ? [["", fitting] as [string, Template[]]] : grouped(fitting)).map(([group, members]) => (
          <section key={group}>
            {group && <h4>{said(group)}</h4>}
            <ul className="template-grid">
              {members.map((template) => (
                <li key={template.name}>
                  <TemplateCard template={template} />
                </li>
              ))}
            </ul>
          </section>
        ))}
      </div>
    </>
  );
}
