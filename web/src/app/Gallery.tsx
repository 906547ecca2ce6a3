import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef, useState } from "react";
import { fileUrl, request } from "../api/client";
import type { FileInfo } from "../api/shapes";
import { useT } from "../i18n";
import { DRAG_OUTPUT, openOutput, loadOutput } from "../state/files";
import { toast, useApp } from "../state/store";
import { view } from "../canvas/view";
import { bytes } from "../widgets/values";

const CELL = 148;
const PAGE = 200;

/** What runs made, the newest first; loaded and drawn as far as it is scrolled. */
export function Gallery() {
  const t = useT();
  const version = useApp((state) => state.filesVersion);
  const [query, setQuery] = useState("");
  const [files, setFiles] = useState<FileInfo[]>([]);
  const [total, setTotal] = useState(0);
  const [chosen, setChosen] = useState<string | null>(null);
  const [comparing, setComparing] = useState<string | null>(null);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const scroll = useRef<HTMLDivElement>(null);
  const loading = useRef(false);
  const [columns, setColumns] = useState(2);

  useEffect(() => {
    const wait = setTimeout(() => {
      void request<{ files: FileInfo[]; total: number }>("GET", `/files/output?limit=${PAGE}&search=${encodeURIComponent(query)}`).then(
        (page) => {
          setFiles(page.files);
          setTotal(page.total);
        },
        () => undefined,
      );
    }, 150);
    return () => clearTimeout(wait);
  }, [query, version]);
  useEffect(() => {
    const element = scroll.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setColumns(Math.max(1, Math.floor(element.clientWidth / CELL))));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const pictures = useMemo(() => files.filter((file) => file.media_type.startsWith("image/") && !hidden.has(file.name)), [files, hidden]);
  const count = Math.ceil(Math.max(pictures.length, files.length < total ? total : 0) / columns);
  const rows = useVirtualizer({ count, getScrollElement: () => scroll.current, estimateSize: () => CELL, overscan: 3 });
  const last = rows.getVirtualItems().at(-1)?.index ?? 0;
  useEffect(() => {
    if (loading.current || files.length >= total || (last + 1) * columns < files.length) return;
    loading.current = true;
    void request<{ files: FileInfo[] }>("GET", `/files/output?limit=${PAGE}&offset=${files.length}&search=${encodeURIComponent(query)}`)
      .then(
        (page) => setFiles((before) => [...before, ...page.files]),
        () => undefined,
      )
      .finally(() => (loading.current = false));
  }, [last, columns, files.length, total, query]);

  const detail = pictures.find((file) => file.name === chosen);
  const open = (file: FileInfo) => {
    if (comparing && comparing !== file.url) {
      useApp.setState({ overlay: { kind: "viewer", pictures: [comparing], index: 0, compare: file.url } });
      setComparing(null);
      return;
    }
    useApp.setState({ overlay: { kind: "viewer", pictures: pictures.map((other) => other.url), index: pictures.indexOf(file) } });
  };
  /** Hidden at once, deleted when there is no way back any more. */
  const remove = (file: FileInfo) => {
    setHidden((before) => new Set([...before, file.name]));
    setChosen(null);
    const timer = setTimeout(() => void request("DELETE", `/files/output/${file.name.split("/").map(encodeURIComponent).join("/")}`).catch((error: Error) => toast(error.message, "error")), 5500);
    toast(t("gallery.deleted", { name: file.name }), "info", {
      label: t("command.undo"),
      run: () => {
        clearTimeout(timer);
        setHidden((before) => new Set([...before].filter((name) => name !== file.name)));
      },
    });
  };

  return (
    <>
      <input type="search" className="filter" placeholder={t("gallery.search")} aria-label={t("gallery.search")} value={query} onChange={(event) => setQuery(event.target.value)} />
      {comparing && <p className="hint">{t("gallery.compare.pick")}</p>}
      <div className="scroll gallery-grid" ref={scroll}>
        {!pictures.length && <p className="hint">{t("gallery.empty")}</p>}
        <div style={{ height: rows.getTotalSize(), position: "relative" }}>
          {rows.getVirtualItems().map((row) => (
            <div key={row.key} className="gallery-row" style={{ position: "absolute", top: row.start, height: row.size, left: 0, right: 0, gridTemplateColumns: `repeat(${columns}, 1fr)` }}>
              {pictures.slice(row.index * columns, (row.index + 1) * columns).map((file) => (
                <button
                  key={file.name}
                  type="button"
                  className={file.name === chosen ? "chosen" : ""}
                  data-picture={file.name}
                  aria-label={file.name}
                  draggable
                  onDragStart={(event) => event.dataTransfer.setData(DRAG_OUTPUT, file.name)}
                  onClick={() => (comparing ? open(file) : setChosen(file.name === chosen ? null : file.name))}
                  onDoubleClick={() => open(file)}
                >
                  <img src={file.thumbnail || file.url} alt="" loading="lazy" draggable={false} />
                </button>
              ))}
            </div>
          ))}
        </div>
      </div>
      {detail && (
        <div className="picture-detail">
          <strong>{detail.name}</strong>
          <small>{[`${detail.width} × ${detail.height}`, bytes(detail.size), new Date(detail.modified * 1000).toLocaleString()].join(" · ")}</small>
          <div className="buttons">
            <button type="button" onClick={() => void openOutput(detail.name)}>
              {t("gallery.open")}
            </button>
            <button type="button" onClick={() => void loadOutput(detail.name, view.toGraph(view.center))}>
              {t("gallery.load")}
            </button>
            <button type="button" onClick={() => setComparing(detail.url)}>
              {t("gallery.compare")}
            </button>
            <a className="button" href={fileUrl("output", detail.name)} download={detail.name.split("/").pop()}>
              {t("gallery.download")}
            </a>
            <button type="button" onClick={() => remove(detail)}>
              {t("gallery.delete")}
            </button>
          </div>
        </div>
      )}
    </>
  );
}
