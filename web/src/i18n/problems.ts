/** Problems and errors in the user's language: a title by code where the language has one, above what the server says. */

import { t, useLanguage } from ".";
import { ApiError, Unreachable } from "../api/client";
import { DocumentError } from "../graph";

interface Told {
  code: string;
  message: string;
  level?: string;
}

/** Empty in English, which the messages are in. */
export function problemTitle(code: string): string {
  return useLanguage.getState().titles[code] ?? "";
}

/** A problem in one line. */
export function problemLine({ code, message }: Told): string {
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

/** What is said of something that went wrong, whatever it was. */
export function errorText(error: unknown): string {
  if (error instanceof Unreachable) return t("error.offline");
  if (error instanceof DocumentError) return problemLine(error);
  if (error instanceof ApiError && error.problems.length) {
    return error.problems.map((problem) => [problemLine(problem), problem.hint].filter(Boolean).join(" ")).join(" ");
  }
  return (error as Error).message;
}
