/** The languages of the editor, one row each; its file has the same name. English is in the first load, others are fetched. */

import type { Texts } from "./en";

/** Titles and messages of problems, by code. */
interface Problems {
  titles: Record<string, string>;
  messages: Record<string, string>;
}

interface Language {
  /** What the preferences and the server's texts are called by. */
  id: string;
  /** What its speakers call it. */
  name: string;
  /** Its tag in the page (BCP 47), where it is not the id. */
  tag?: string;
  /** Tags of browsers that mean it beside those that begin with its own. */
  also?: readonly string[];
}

export const LANGUAGES: readonly Language[] = [
  { id: "en", name: "English" },
  { id: "de", name: "Deutsch" },
  { id: "es", name: "Español" },
  { id: "fr", name: "Français" },
  { id: "pt-BR", name: "Português (Brasil)", also: ["pt"] },
  { id: "ja", name: "日本語" },
  { id: "ko", name: "한국어" },
  { id: "zh", name: "简体中文", tag: "zh-CN" },
  { id: "zh-TW", name: "繁體中文", also: ["zh-hant", "zh-hk", "zh-mo"] },
];

const tables = import.meta.glob<{ texts: Texts }>(["./??.ts", "./??-??.ts", "!./en.ts"]);
const problems = import.meta.glob<Problems>("./problems.*.ts");

export const tagOf = (id: string): string => LANGUAGES.find((one) => one.id === id)?.tag ?? id;

/** The language that a browser's list of tags asks for first; English where it asks for none of ours. */
export function languageOf(tags: readonly string[]): string {
  for (const tag of tags.map((one) => one.toLowerCase())) {
    const fits = (start: string) => tag === start.toLowerCase() || tag.startsWith(`${start.toLowerCase()}-`);
    // The longest that fits: Traditional Chinese before Chinese.
    const found = LANGUAGES.flatMap(({ id, also = [] }) => [id, ...also].filter(fits).map((start) => ({ id, start })));
    const best = found.sort((a, b) => b.start.length - a.start.length)[0];
    if (best) return best.id;
  }
  return "en";
}

/** The texts of a language, and what problems are called and say in it; what it lacks is said in English. */
export async function fetchTexts(id: string): Promise<Problems & { texts: Texts }> {
  const [one, two] = await Promise.all([tables[`./${id}.ts`]?.(), problems[`./problems.${id}.ts`]?.()]);
  if (!one) throw new Error(`There are no texts of ${id}.`);
  return { texts: one.texts, titles: two?.titles ?? {}, messages: two?.messages ?? {} };
}
