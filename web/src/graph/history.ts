/**
 * Undo and redo: one entry a gesture.
 *
 * An entry keeps the document before and after it. Documents are immutable and share all that did not change (immer),
 * so an entry costs what the gesture touched. Inverse patches would cost the same and give back the fields of an object
 * in another order than they were; whole states give the document back byte for byte.
 */

import { produce } from "immer";
import type { Document } from "./document";
import { sameJson } from "./json";

export interface Entry {
  label: string;
  before: Document;
  after: Document;
  /** What was selected before and after; restored with the document. */
  selectionBefore: readonly string[];
  selectionAfter: readonly string[];
  /** Edits with the same group in short succession are one entry: typing, nudging, dragging a slider. */
  group: string;
  time: number;
}

const GROUP_SECONDS = 1.2;
const LIMIT = 500;

export class History {
  #past: Entry[] = [];
  #future: Entry[] = [];
  #document: Document;

  constructor(document: Document) {
    this.#document = document;
  }

  get document(): Document {
    return this.#document;
  }

  get canUndo(): Entry | undefined {
    return this.#past[this.#past.length - 1];
  }

  get canRedo(): Entry | undefined {
    return this.#future[this.#future.length - 1];
  }

  /**
   * Applies `recipe` to a draft. Returns false when it changed nothing; then there is no entry either, nor for a group
   * that came back to where it began.
   */
  edit(
    label: string,
    recipe: (draft: Document) => void,
    { group = "", time = 0, selection = [] as readonly string[] } = {},
  ): boolean {
    const before = this.#document;
    const after = produce(before, (draft: Document) => {
      recipe(draft);
    });
    if (sameJson(after, before)) return false;
    this.#document = after;
    this.#future = [];
    const last = this.canUndo;
    const grouped = group && last?.group === group && time - last.time < GROUP_SECONDS;
    if (grouped && sameJson(after, last.before)) {
      this.#past.pop();
      this.#document = last.before;
    } else if (grouped) {
      this.#past[this.#past.length - 1] = { ...last, after, time, selectionAfter: selection };
    } else {
      this.#push({ label, before, after, group, time, selectionBefore: selection, selectionAfter: selection });
    }
    return true;
  }

  /** Another document takes the place of this one. */
  replace(label: string, after: Document, selection: readonly string[] = []): boolean {
    const before = this.#document;
    if (sameJson(after, before)) return false;
    this.#document = after;
    this.#future = [];
    this.#push({ label, before, after, group: "", time: 0, selectionBefore: selection, selectionAfter: selection });
    return true;
  }

  #push(entry: Entry): void {
    this.#past.push(entry);
    if (this.#past.length > LIMIT) this.#past.shift();
  }

  /** The same document in other words, as the server writes it today: no step of undo. */
  amend(document: Document): void {
    this.#document = document;
    const last = this.#past[this.#past.length - 1];
    if (last) this.#past[this.#past.length - 1] = { ...last, after: document };
  }

  /** The selection that belongs to the newest entry, told once the gesture knows it. */
  select(selection: readonly string[]): void {
    const last = this.#past[this.#past.length - 1];
    if (last) this.#past[this.#past.length - 1] = { ...last, selectionAfter: selection };
  }

  /** Ends a group: the next edit is an entry of its own. */
  seal(): void {
    const last = this.#past[this.#past.length - 1];
    if (last?.group) this.#past[this.#past.length - 1] = { ...last, group: "" };
  }

  undo(): Entry | undefined {
    const entry = this.#past.pop();
    if (entry) {
      this.#future.push(entry);
      this.#document = entry.before;
    }
    return entry;
  }

  redo(): Entry | undefined {
    const entry = this.#future.pop();
    if (entry) {
      this.#past.push(entry);
      this.#document = entry.after;
    }
    return entry;
  }
}
