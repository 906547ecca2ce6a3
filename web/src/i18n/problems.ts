/** Problems and errors in the user's language: a title by code where the language has one, above what the server says. */

import { fill, t, useLanguage } from ".";
import { ApiError, Elsewhere, Unreachable } from "../api/client";
import { DocumentError } from "../graph";

interface Told {
  code: string;
  message: string;
  level?: string;
  value?: unknown;
}

/** Empty in English, which the messages are in. */
export function problemTitle(code: string): string {
  return useLanguage.getState().titles[code] ?? "";
}

/** What a problem says: in the user's language where that has words for its code and the value is at hand. */
export function problemText({ code, message, value }: Told): string {
  const text = useLanguage.getState().messages[code];
  const plain = typeof value === "string" || typeof value === "number" || typeof value === "bigint";
  return text && plain ? fill(text, { value: String(value) }) : message;
}

/** A problem in one line. */
export function problemLine(problem: Told): string {
  const { code, message } = problem;
  const text = problemText(problem);
  if (text !== message) return text;
  const title = problemTitle(code);
  return title ? t("problem.line", { title, message }) : message;
}

/** A problem that stops a run; others are warnings. */
export const isError = ({ level }: { level?: string }): boolean => level !== "warning";

/** Why a run failed, in one line: the first of its problems. */
export function failureLine(problems: readonly Told[]): string {
  const first = problems.find(isError);
  return first ? problemLine(first) : t("status.failed");
}

/** What is said of something that went wrong, whatever it was: of several problems the first, and how many there are. */
export function errorText(error: unknown): string {
  if (error instanceof Elsewhere) return t("error.elsewhere", { status: error.status || "3xx" });
  if (error instanceof Unreachable) return t("error.offline");
  if (error instanceof DocumentError) return problemLine(error);
  if (error instanceof ApiError && error.problems.length) {
    const [first, ...others] = [...error.problems.filter(isError), ...error.problems.filter((problem) => !isError(problem))];
    const said = first ? [problemLine(first), first.hint].filter(Boolean).join(" ") : "";
    return others.length ? t("problem.others", { said, count: others.length }) : said;
  }
  return (error as Error).message;
}
