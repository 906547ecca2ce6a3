/**
 * Texts in the user's language. The keys are checked by the compiler: a language that lacks one does not build.
 * English is in the first load, others are fetched when they are chosen.
 */

import { create } from "zustand";
import { ApiError, call, Unreachable } from "../api/client";
import { labelOf } from "../graph";
import { en, type TextKey, type Texts } from "./en";
import { fetchTexts, languageOf, LANGUAGES, tagOf } from "./languages";

export { LANGUAGES, type TextKey };

/** What the server says (names and help of nodes, templates), from English; what is not there stays English. */
export type Words = Record<string, string>;

interface State {
  language: string;
  texts: Texts;
  words: Words;
  /** Of problems, by code; none in English. */
  titles: Record<string, string>;
  /** What problems say, by code, with gaps for their values; none in English, which the server speaks. */
  messages: Record<string, string>;
}

export const useLanguage = create<State>()(() => ({ language: "en", texts: en, words: {}, titles: {}, messages: {} }));

export async function setLanguage(wanted: string): Promise<void> {
  const language = LANGUAGES.some(({ id }) => id === wanted) ? wanted : languageOf(navigator.languages);
  document.documentElement.lang = tagOf(language);
  const { texts, titles, messages } = language === "en" ? { texts: en, titles: {}, messages: {} } : await fetchTexts(language);
  useLanguage.setState({ language, texts, titles, messages, words: {} });
  await loadWords();
}

/** Fetches what packs and templates say in this language; without a server they speak English until it is there. */
export async function loadWords(): Promise<void> {
  const { language } = useLanguage.getState();
  if (language === "en") return;
  try {
    const { texts } = await call("GET /texts", { query: { language } });
    if (useLanguage.getState().language === language) useLanguage.setState({ words: texts });
  } catch (error) {
    if (!(error instanceof Unreachable) && !(error instanceof ApiError)) throw error;
  }
}

/** A text of the server in the user's language. Components that show one follow it by `useWords`. */
export function said(text: string): string {
  return useLanguage.getState().words[text] ?? text;
}

/** The label of a port or a family of nodes by its name. */
export function saidName(name: string): string {
  const plain = name.replace(/_/g, " ");
  return useLanguage.getState().words[plain.charAt(0).toUpperCase() + plain.slice(1)] ?? labelOf(name);
}

/** Draws a component again when what `said` says has changed. */
export function useWords(): Words {
  return useLanguage((state) => state.words);
}

/** Puts values into a text: `{count}` is one of them, `{count|image|images}` the first word where it is 1, else the second. */
export function fill(text: string, values: Record<string, string | number>): string {
  return text.replace(/\{(\w+)(?:\|([^|{}]*)\|([^|{}]*))?\}/g, (whole, name: string, one?: string, other?: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    return String((Number(value) === 1 ? one : other) ?? value);
  });
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

/** A time in seconds since 1970: "14:05" today, "Mon 14:05" this week, else the date. */
export function when(seconds: number): string {
  const date = new Date(seconds * 1000);
  const language = document.documentElement.lang || "en";
  const days = (Date.now() - date.getTime()) / 86_400_000;
  const time = date.toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit" });
  if (date.toDateString() === new Date().toDateString()) return time;
  if (days < 6) return `${date.toLocaleDateString(language, { weekday: "short" })} ${time}`;
  return `${date.toLocaleDateString(language, { year: "numeric", month: "short", day: "numeric" })} ${time}`;
}
