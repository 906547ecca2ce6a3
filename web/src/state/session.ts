/**
 * Which window of the browser this is. Windows share one store of open documents; each works on its own part of it, and
 * holds a lock as long as it lives. What belongs to a window that is gone (closed, crashed) is taken over by the next one.
 */

import { HERE } from "../api/base";

const KEY = "safelight.session";
const FORM = "safelight.form";
/** Servers on one host share the locks of their origin, and tell theirs by where they are. */
const PREFIX = `safelight:window:${HERE === "/" ? "" : HERE}`;
/** A reload finds its own lock still held for a moment; a duplicated window finds it held for good. */
const PATIENCE = 400;

/** A name that nobody else has. (`crypto.randomUUID` is missing on pages that are not served from this machine.) */
export function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export async function openSession(): Promise<string> {
  const before = remembered();
  if (before && (await hold(before))) return before;
  const fresh = randomId();
  await hold(fresh);
  try {
    sessionStorage.setItem(KEY, fresh);
  } catch {
    // A private window: a reload is a new session, and takes over what this one leaves.
  }
  return fresh;
}

/** Sessions whose windows are open. Without locks nobody can tell, and there are none. */
export async function livingSessions(): Promise<Set<string>> {
  const state = await locks()?.query();
  return new Set((state?.held ?? []).flatMap(({ name }) => (name?.startsWith(PREFIX) ? [name.slice(PREFIX.length)] : [])));
}

/** One window at a time, so that two that start together do not both take what a third has left. */
export async function alone<T>(action: () => Promise<T>): Promise<T> {
  const manager = locks();
  return manager ? await manager.request(`safelight:adopt${HERE}`, action) : action();
}

/** Lock managers exist on this machine and over HTTPS only. */
function locks(): LockManager | undefined {
  return (navigator as { locks?: LockManager }).locks;
}

/** Whether this window showed the form when its page was left. */
export const showedForm = (): boolean => remembered(FORM) === "1";

export function rememberForm(form: boolean): void {
  try {
    sessionStorage.setItem(FORM, form ? "1" : "");
  } catch {
    // A private window: a reload shows the graph.
  }
}

function remembered(key = KEY): string | null {
  try {
    return sessionStorage.getItem(key);
  } catch {
    return null;
  }
}

function hold(id: string): Promise<boolean> {
  const manager = locks();
  if (!manager) return Promise.resolve(true);
  return new Promise((resolve) => {
    const giveUp = new AbortController();
    const timer = setTimeout(() => giveUp.abort(), PATIENCE);
    manager
      .request(PREFIX + id, { signal: giveUp.signal }, () => {
        clearTimeout(timer);
        resolve(true);
        return new Promise<never>(() => undefined); // until the window is gone
      })
      .catch(() => resolve(false));
  });
}
