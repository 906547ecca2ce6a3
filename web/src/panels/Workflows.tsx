/** Workflows to begin with or to go on with: those that ship with the program, saved ones, and those that were closed. */

import { useEffect, useState } from "react";
import { reached } from "../api/base";
import { call } from "../api/client";
import type { Template, TemplateCost } from "../api/types";
import { duration, said, saidName, useT, useWords, when } from "../i18n";
import { openTemplate, openWorkflow, reopenTab, titleOf } from "../state/documents";
import { type ClosedTab, closedTabs } from "../state/persist";
import { removeWorkflow } from "../state/saving";
import { useApp } from "../state/store";
import { rank } from "../ui/fuzzy";
import { SavedWorkflows } from "./SavedWorkflows";

const templateTitle = (template: Template) => (template.title === template.name ? saidName(template.name) : said(template.title));

/** By the heading that they are offered under, in the order in which the server gives them. */
function grouped(templates: readonly Template[]): [string, Template[]][] {
  const groups = new Map<string, Template[]>();
  for (const template of templates) groups.set(template.group ?? "", [...(groups.get(template.group ?? "") ?? []), template]);
  return [...groups];
}

const STARTER = "starter";
const FILTERS = ["all", "ready", "image", "missing"] as const;
type Filter = (typeof FILTERS)[number];

/** Ready is what runs here as it is. */
function passes(filter: Filter, cost: TemplateCost | undefined): boolean {
  if (filter === "all" || !cost) return filter === "all";
  return filter === "image" ? !cost.models.length : (filter === "missing") === cost.missing.length > 0;
}

/** What it needs beside the program, and what it costs: the time that was measured here, else the steps. */
function CardCost({ cost }: { cost: TemplateCost }) {
  const t = useT();
  const others = [...cost.models.filter((name) => name !== STARTER), ...(cost.extra ? [`safelight[${cost.extra}]`] : [])];
  const needs = others.length ? t(cost.missing.length ? "templates.lacks" : "templates.uses", { names: others.join(", ") }) : t(cost.models.length ? "templates.starter" : "templates.noModel");
  const price = cost.seconds !== null ? t("templates.seconds", { time: duration(cost.seconds) }) : cost.steps ? t("templates.steps", { count: cost.steps }) : "";
  return (
    <small className={cost.missing.length ? "cost lacks" : "cost"}>
      {needs}
      {price && ` · ${price}`}
    </small>
  );
}

export function TemplateCard({ template, cost }: { template: Template; cost?: TemplateCost | undefined }) {
  useWords();
  return (
    <button type="button" className="template-card" data-template={template.name} title={said(template.description)} onClick={() => void openTemplate(template.name)}>
      {template.image ? <img src={reached(template.image)} alt="" loading="lazy" draggable={false} /> : <span className="no-image" />}
      <strong>{templateTitle(template)}</strong>
      <span>{said(template.description)}</span>
      {cost && <CardCost cost={cost} />}
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
  const [filter, setFilter] = useState<Filter>("all");
  const [costs, setCosts] = useState<ReadonlyMap<string, TemplateCost>>(new Map());
  useEffect(() => void call("GET /template-costs").then((found) => setCosts(new Map(found.map((one) => [one.name, one]))), () => undefined), []);
  const templates = useApp((state) => state.templates);
  const drafts = useApp((state) => state.drafts);
  const tabs = useApp((state) => state.tabs.length);
  const [closed, setClosed] = useState<ClosedTab[]>([]);
  useEffect(() => void closedTabs().then(setClosed), [tabs]);
  const found = <T,>(list: readonly T[], title: (one: T) => string, also: (one: T) => string = () => "") =>
    query.trim() ? rank(list.map((one) => ({ one, title: title(one), also: also(one) })), query).map(({ one }) => one) : list;
  const begun = found(drafts, (one) => titleOf(one.title), (one) => one.description);
  const sent = new Set(drafts.map((draft) => draft.name));
  const gone = found(closed.filter((tab) => !sent.has(tab.key || tab.id)), (one) => one.title);
  const fitting = found(templates, templateTitle, (one) => `${one.name} ${one.description} ${said(one.description)} ${said(one.group)}`).filter((one) => passes(filter, costs.get(one.name)));
  return (
    <>
      <input type="search" className="filter" placeholder={t("workflows.search")} aria-label={t("workflows.search")} value={query} onChange={(event) => setQuery(event.target.value)} />
      <div className="scroll">
        <SavedWorkflows query={query} />
        {begun.length > 0 && (
          <>
            <h3>{t("drafts.title")}</h3>
            <ul className="workflow-list drafts">
              {begun.map((draft) => (
                <li key={draft.name}>
                  <button type="button" className="open" data-draft={draft.name} onClick={() => void openWorkflow(draft.name)}>
                    <strong>{titleOf(draft.title)}</strong>
                    <small>{`${t("templates.nodes", { count: draft.nodes })} · ${when(draft.modified)}`}</small>
                  </button>
                  <button type="button" className="icon" aria-label={t("drafts.delete", { name: titleOf(draft.title) })} title={t("command.delete")} onClick={() => removeWorkflow(draft)}>
                    ✕
                  </button>
                </li>
              ))}
            </ul>
          </>
        )}
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
        {costs.size > 0 && (
          <div className="choices" role="group" aria-label={t("templates.filter")}>
            {FILTERS.map((one) => (
              <button key={one} type="button" data-filter={one} aria-pressed={filter === one} onClick={() => setFilter(one)}>
                {t(`templates.filter.${one}`)}
              </button>
            ))}
          </div>
        )}
        {templates.length > 0 && !fitting.length && <p className="hint">{t("templates.noneFit")}</p>}
        {(query.trim() ? [["", fitting] as [string, Template[]]] : grouped(fitting)).map(([group, members]) => (
          <section key={group}>
            {group && <h4>{said(group)}</h4>}
            <ul className="template-grid">
              {members.map((template) => (
                <li key={template.name}>
                  <TemplateCard template={template} cost={costs.get(template.name)} />
                </li>
              ))}
            </ul>
          </section>
        ))}
      </div>
    </>
  );
}
