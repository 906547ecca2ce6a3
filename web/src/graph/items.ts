/** Frames and notes, and the keys under which nodes, frames, notes and links are selected. Node ids hold no slash. */

import { copyOf, type Frame, type Graph, type Link, type Note, type Point, type Rect, type Ui } from "./document";

export const frameKey = (id: string) => `/frame/${id}`;
export const noteKey = (id: string) => `/note/${id}`;
export const linkKey = (id: string) => `/link/${id}`;

export function keyKind(key: string): "node" | "frame" | "note" | "link" | "port" {
  if (key.startsWith("/frame/")) return "frame";
  if (key.startsWith("/note/")) return "note";
  if (key.startsWith("/port/")) return "port";
  return key.startsWith("/link/") ? "link" : "node";
}

export function keyId(key: string): string {
  return key.startsWith("/") ? key.slice(key.indexOf("/", 1) + 1) : key;
}

export function itemId(items: readonly { id: string }[]): string {
  let number = items.length + 1;
  while (items.some((item) => item.id === String(number))) number++;
  return String(number);
}

export function addFrame(graph: Graph, around: Rect, title: string): string {
  const ui = (graph.ui ??= {});
  ui.frames ??= [];
  const id = itemId(ui.frames);
  ui.frames.push({ id, title, ...around });
  return frameKey(id);
}

export function addNote(graph: Graph, at: Point, text: string): string {
  const ui = (graph.ui ??= {});
  ui.notes ??= [];
  const id = itemId(ui.notes);
  ui.notes.push({ id, text, x: Math.round(at.x), y: Math.round(at.y), w: 240, h: 140 });
  return noteKey(id);
}

export function changeFrame(graph: Graph, id: string, change: Partial<Frame>): void {
  const frame = graph.ui?.frames?.find((candidate) => candidate.id === id);
  if (!frame) return;
  Object.assign(frame, change);
  if (frame.color === undefined) delete frame.color;
}

export function changeNote(graph: Graph, id: string, change: Partial<Note>): void {
  const note = graph.ui?.notes?.find((candidate) => candidate.id === id);
  if (note) Object.assign(note, change);
}

export function removeItems(graph: Graph, keys: ReadonlySet<string>): void {
  const ui = graph.ui;
  if (!ui) return;
  if (ui.frames?.some((frame) => keys.has(frameKey(frame.id)))) {
    ui.frames = ui.frames.filter((frame) => !keys.has(frameKey(frame.id)));
    if (!ui.frames.length) delete ui.frames;
  }
  if (ui.notes?.some((note) => keys.has(noteKey(note.id)))) {
    ui.notes = ui.notes.filter((note) => !keys.has(noteKey(note.id)));
    if (!ui.notes.length) delete ui.notes;
  }
}

/** Puts copies of the frames and notes of another graph into one, each where `move` says. Returns their keys. */
export function copyItems(graph: Graph, from: Ui | undefined, move: (place: Point) => Point): string[] {
  const added: string[] = [];
  const ui = (graph.ui ??= {});
  for (const frame of from?.frames ?? []) {
    ui.frames ??= [];
    const id = itemId(ui.frames);
    ui.frames.push({ ...copyOf(frame), id, ...move(frame) });
    added.push(frameKey(id));
  }
  for (const note of from?.notes ?? []) {
    ui.notes ??= [];
    const id = itemId(ui.notes);
    ui.notes.push({ ...copyOf(note), id, ...move(note) });
    added.push(noteKey(id));
  }
  return added;
}

/** A link with its bends where `move` says. */
export function movedLink(link: Link, move: (place: Point) => Point): Link {
  const bend = link.bend?.map(([x, y]): [number, number] => {
    const place = move({ x, y });
    return [place.x, place.y];
  });
  return { ...copyOf(link), ...(bend ? { bend } : {}) };
}

/** What a frame carries: all whose centre lies in it. */
export function membersOf(frame: Rect, boxes: Readonly<Record<string, Rect>>): string[] {
  return Object.entries(boxes)
    .filter(([, box]) => {
      const x = box.x + box.w / 2;
      const y = box.y + box.h / 2;
      return x >= frame.x && x <= frame.x + frame.w && y >= frame.y && y <= frame.y + frame.h;
    })
    .map(([key]) => key);
}

export function overlaps(a: Rect, b: Rect): boolean {
  return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;
}

export function boundsOf(boxes: readonly Rect[], margin = 0): Rect | undefined {
  if (!boxes.length) return undefined;
  const x = Math.min(...boxes.map((box) => box.x)) - margin;
  const y = Math.min(...boxes.map((box) => box.y)) - margin;
  return {
    x,
    y,
    w: Math.max(...boxes.map((box) => box.x + box.w)) + margin - x,
    h: Math.max(...boxes.map((box) => box.y + box.h)) + margin - y,
  };
}
