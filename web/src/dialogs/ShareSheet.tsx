import { useRef, useState } from "react";
import { reached } from "../api/base";
import { blobUrl, call, fetchBlob, thumbnailUrl } from "../api/client";
import type { ExportReport } from "../api/types";
import { copyAndTell } from "../commands/clipboard";
import { useT } from "../i18n";
import { errorText } from "../i18n/problems";
import { embedInPng, writeDocument } from "../graph";
import { saveFile, tabImages, tabTitle } from "../state/documents";
import { useResults } from "../state/status";
import { tabOf, toast, useApp } from "../state/store";
import { GraphImage } from "../canvas/GraphImage";
import { Sheet } from "../ui/Sheet";

/** Ways to give a workflow to somebody: in an image that it made, in an image of its graph, as JSON. */
export function ShareSheet({ onClose }: { onClose: () => void }) {
  const t = useT();
  const tab = useApp(tabOf);
  const run = useApp((state) => (tab.run ? state.runs[tab.run] : undefined));
  const results = useResults((state) => state.results);
  const graph = useRef<HTMLDivElement>(null);
  const images = tabImages(tab, run, results);
  const older = images.length > 0 && tab.runDocument !== tab.document;
  const saveImage = async (digest: string, name: string) => {
    let url = blobUrl(digest);
    // Files of outputs carry their workflow; an image that was only shown gets it here.
    if (!run?.files.some((file) => file.digest === digest)) {
      const blob = await fetchBlob(url);
      if (blob.type === "image/png") url = URL.createObjectURL(await embedInPng(blob, writeDocument(tab.runDocument ?? tab.document)));
    }
    saveFile(url, name.split("/").pop() ?? name);
    toast(t("share.done", { name: name.split("/").pop() ?? name }));
  };
  const saveGraph = () => {
    graph.current?.querySelector("canvas")?.toBlob((blob) => {
      if (!blob) return;
      void embedInPng(blob, writeDocument(tab.document)).then((png) => {
        const name = `${tabTitle(tab)}.png`;
        saveFile(URL.createObjectURL(png), name);
        toast(t("share.done", { name }));
      });
    }, "image/png");
  };
  const [report, setReport] = useState<ExportReport>();
  const failed = (error: unknown) => toast(t("save.failed", { message: errorText(error) }), "error");
  const convert = async (to: "comfyui" | "comfyui-api") => {
    const answer = await call("POST /convert", { body: { document: tab.document, to } });
    const name = `${tabTitle(tab)}.${to === "comfyui" ? "comfyui" : "api"}.json`;
    saveFile(URL.createObjectURL(new Blob([JSON.stringify(answer.file, null, 1)], { type: "application/json" })), name);
    setReport(answer.report);
  };
  return (
    <Sheet title={t("share.title", { name: tabTitle(tab) })} onClose={onClose} className="wide share">
      <p className="hint">{t("share.hint")}</p>
      <div className="share-columns">
        <section>
          <h3>{t("share.result")}</h3>
          {images.length ? (
            <ul className="share-images">
              {images.slice(0, 8).map((file) => (
                <li key={file.digest}>
                  <button type="button" className="plain" data-share={file.name} aria-label={t("share.save", { name: file.name })} title={t("share.save", { name: file.name })} onClick={() => void saveImage(file.digest, file.name)}>
                    <img src={reached(thumbnailUrl(file.digest, 256))} alt="" />
                    <span className="button">{t("gallery.download")}</span>
                  </button>
                </li>
              ))}
            </ul>
          ) : (
            <p className="hint">{t("share.none")}</p>
          )}
          {older && <p className="warning">{t("share.older")}</p>}
        </section>
        <section ref={graph}>
          <h3>{t("share.graph")}</h3>
          <GraphImage document={tab.document} width={440} height={240} label={t("share.graph")} scale={3} />
          <button type="button" data-share="graph" onClick={saveGraph}>
            {t("share.graph.save")}
          </button>
        </section>
      </div>
      <div className="buttons">
        <button type="button" onClick={() => saveFile(URL.createObjectURL(new Blob([writeDocument(tab.document)], { type: "application/json" })), `${tabTitle(tab)}.json`)}>
          {t("command.export")}
        </button>
        <button type="button" data-share="comfyui" onClick={() => void convert("comfyui").catch(failed)}>
          {t("share.comfyui")}
        </button>
        <button type="button" data-share="comfyui-api" onClick={() => void convert("comfyui-api").catch(failed)}>
          {t("share.comfyuiApi")}
        </button>
        <button type="button" data-share="copy" onClick={() => void copyAndTell(writeDocument(tab.document), "copied.json")}>
          {t("command.copyJson")}
        </button>
      </div>
      {report && (
        <section data-share="report">
          <p>{t("share.written", { written: report.written, nodes: report.nodes, program: report.program })}</p>
          <ul className="import-list">
            {report.remarks.map((problem, index) => (
              <li key={index}>
                <span>{problem.message}</span>
              </li>
            ))}
          </ul>
        </section>
      )}
    </Sheet>
  );
}
