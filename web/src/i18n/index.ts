/**
 * Texts in the user's language. The keys are checked by the compiler: a language that lacks one does not build.
 * English is in the first load, others are fetched when they are chosen.
 */

import { create } from "zustand";
import { en, type TextKey } from "./en";

export type { TextKey };
export type Texts = Record<TextKey, string>;
export type Language = "en" | "zh";

/** Titles, help and names of ports of nodes, by type; what is not there stays as the server says it. */
export type NodeTexts = Record<string, { title?: string; help?: string; ports?: Record<string, string> } | undefined>;

interface State {
  language: Language;
  texts: Texts;
  nodes: NodeTexts;
}

export const useLanguage = create<State>()(() => ({ language: "en", texts: en, nodes: {} }));

export async function setLanguage(wanted: Language | "system"): Promise<void> {
  const language = wanted === "system" ? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en") : wanted;
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  if (language === "en") useLanguage.setState({ language, texts: en, nodes: {} });
  else {
    const { zh, zhNodes } = await import("./zh");
    useLanguage.setState({ language, texts: zh, nodes: zhNodes });
  }
}

export function fill(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** For code outside components; components use `useT`, which follows a change of language. */
export function t(key: TextKey, values: Record<string, string | number> = {}): string {
  return fill(useLanguage.getState().texts[key], values);
}

export function useT(): typeof t {
  useLanguage((state) => state.texts);
  return t;
}

/** `75` as "about a minute" would be said: 1 min; `0.42`: 0.4 s. */
export function duration(seconds: number): string {
  if (seconds < 10) return t("time.seconds", { n: Math.round(seconds * 10) / 10 });
  if (seconds < 90) return t("time.seconds", { n: Math.round(seconds) });
  if (seconds < 5400) return t("time.minutes", { n: Math.round(seconds / 60) });
  return t("time.hours", { n: Math.round(seconds / 360) / 10 });
}
