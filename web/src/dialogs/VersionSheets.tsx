/** Other states of a workflow: its revisions, and the version that somebody else saved meanwhile. */

import { useEffect, useState } from "react";
import type { RevisionInfo } from "../api/types";
import { useT, when } from "../i18n";
import { errorText } from "../i18n/problems";
import { compareDocuments, type Difference, type Document } from "../graph";
import { openUnchanged, tabTitle } from "../state/documents";
import { keepBoth, keepMine, readRevisions, readWorkflow, restoreRevision, takeTheirs } from "../state/saving";
import { keyOf, tabOf, toast, useApp } from "../state/store";
import { GraphImage } from "../canvas/GraphImage";
import { Sheet } from "../ui/Sheet";

const SHOWN = 12;

function Differences({ list }: { list: Difference[] }) {
  const t = useT();
  const value = (given: unknown) => {
    if (given === undefined) return t("versions.default");
    const text = typeof given === "string" ? given : JSON.stringify(given, (_key, part: unknown) => (typeof part === "bigint" ? String(part) : part));
    return text.length > 60 ? `${text.slice(0, 57)}…` : text || "“”";
  };
  if (!list.length) return <p className="hint">{t("versions.same")}</p>;
  return (
    <ul className="differences">
      {list.slice(0, SHOWN).map((one, index) => (
        <li key={index} className={one.kind}>
          {one.kind === "moved" && t("versions.moved")}
          {one.kind === "links" && `${one.node ? `${one.node}: ` : ""}${t("versions.links", { removed: Number(one.before), added: Number(one.after) })}`}
          {(one.kind === "added" || one.kind === "removed") && (
            <>
              <b>{one.kind === "added" ? "+" : "−"}</b> {one.node}
            </>
          )}
          {one.kind === "changed" && (
            <>
              {[one.node, one.field].filter(Boolean).join(".")}: <del>{value(one.before)}</del> → <ins>{value(one.after)}</ins>
            </>
          )}
        </li>
      ))}
      {list.length > SHOWN && <li className="hint">{t("versions.more", { count: list.length - SHOWN })}</li>}
    </ul>
  );
}

const touched = (list: Difference[]) => new Set(list.map((one) => one.node));

export function ConflictSheet({ onClose }: { onClose: () => void }) {
  const t = useT();
  const tab = useApp(tabOf);
  const key = keyOf(tab);
  const [theirs, setTheirs] = useState<{ document: Document; revision: number } | null>(null);
  const deleted = tab.conflict === 0;
  useEffect(() => {
    if (!key || deleted) return;
    readWorkflow(key).then(setTheirs, (error: Error) => toast(errorText(error), "error"));
  }, [key, tab.conflict, deleted]);
  if (tab.conflict === null) return null;
  const act = (action: Promise<void>) => {
    onClose();
    void action;
  };
  const list = theirs ? compareDocuments(theirs.document, tab.document) : [];
  return (
    <Sheet title={t(deleted ? "conflict.deleted" : "conflict.title", { name: tabTitle(tab) })} onClose={onClose} className="wide conflict">
      <p className="hint">{t(deleted ? "conflict.deleted.hint" : "conflict.hint")}</p>
      <div className="versions-two">
        <section>
          <h3>{t("conflict.mine")}</h3>
          <GraphImage document={tab.document} width={440} height={220} marked={touched(list)} label={t("conflict.mine")} />
          <button type="button" className="primary" data-choice="mine" onClick={() => act(keepMine())}>
            {t("conflict.keepMine")}
          </button>
        </section>
        {!deleted && (
          <section>
            <h3>{t("conflict.theirs", { revision: theirs?.revision ?? tab.conflict })}</h3>
            {theirs && <GraphImage document={theirs.document} width={440} height={220} marked={touched(list)} label={t("conflict.theirs", { revision: theirs.revision })} />}
            <button type="button" data-choice="theirs" disabled={!theirs} onClick={() => theirs && act(takeTheirs(theirs))}>
              {t("conflict.take")}
            </button>
          </section>
        )}
      </div>
      {theirs && (
        <section>
          <h3>{t("conflict.differences")}</h3>
          <Differences list={list} />
        </section>
      )}
      {!deleted && (
        <button type="button" data-choice="both" disabled={!theirs} onClick={() => act(keepBoth(theirs))}>
          {t("conflict.both")}
        </button>
      )}
    </Sheet>
  );
}

export function RevisionSheet({ onClose }: { onClose: () => void }) {
  const t = useT();
  const tab = useApp(tabOf);
  const key = keyOf(tab);
  const [revisions, setRevisions] = useState<RevisionInfo[] | null>(null);
  const [chosen, setChosen] = useState<number | null>(null);
  const [shown, setShown] = useState<Document | null>(null);
  useEffect(() => {
    if (!key) return setRevisions([]);
    readRevisions(key).then(
      (list) => {
        setRevisions(list);
        setChosen((before) => before ?? list[0]?.revision ?? null);
      },
      (error: Error) => {
        setRevisions([]);
        toast(errorText(error), "error");
      },
    );
  }, [key, tab.revision]);
  useEffect(() => {
    if (chosen === null) return;
    let stale = false;
    readWorkflow(key, chosen).then(
      (found) => !stale && setShown(found.document),
      (error: Error) => toast(errorText(error), "error"),
    );
    return () => {
      stale = true;
    };
  }, [key, chosen]);
  const list = shown ? compareDocuments(tab.document, shown) : [];
  return (
    <Sheet title={t("revisions.title", { name: tabTitle(tab) })} onClose={onClose} className="wide revisions">
      {revisions?.length === 0 && <p className="hint">{t("revisions.none")}</p>}
      <div className="revisions-columns">
        <ul className="revision-list">
          {(revisions ?? []).map((one) => (
            <li key={one.revision}>
              <button type="button" data-revision={one.revision} aria-pressed={one.revision === chosen} onClick={() => setChosen(one.revision)}>
                <strong>{when(one.created)}</strong>
                <small>{one.message || t(one.autosave ? "revisions.auto" : "revisions.hand", { revision: one.revision })}</small>
              </button>
            </li>
          ))}
        </ul>
        {shown && (
          <section>
            <GraphImage document={shown} width={560} height={280} marked={touched(list)} label={t("revisions.image")} />
            <h3>{t("revisions.differences")}</h3>
            <Differences list={list} />
            <div className="buttons">
              <button
                type="button"
                className="primary"
                disabled={!list.length}
                onClick={() => {
                  onClose();
                  restoreRevision(shown);
                  toast(t("revisions.restored"));
                }}
              >
                {t("revisions.restore")}
              </button>
              <button
                type="button"
                onClick={() => {
                  onClose();
                  openUnchanged({ ...shown, name: `${tabTitle(tab)} (${chosen})` });
                }}
              >
                {t("revisions.open")}
              </button>
            </div>
          </section>
        )}
      </div>
    </Sheet>
  );
}
