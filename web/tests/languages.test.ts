import { expect, test } from "vitest";
import { en } from "../src/i18n/en";
import { fill } from "../src/i18n";
import { LANGUAGES, languageOf } from "../src/i18n/languages";

test("a browser's tags lead to the nearest language", () => {
  expect(languageOf(["en-GB"])).toBe("en");
  expect(languageOf(["zh-CN", "en"])).toBe("zh");
  expect(languageOf(["zh"])).toBe("zh");
  expect(languageOf(["xx", "zh-SG"])).toBe("zh");
  expect(languageOf(["zh-TW"])).toBe("zh-TW");
  expect(languageOf(["zh-Hant-HK"])).toBe("zh-TW");
  expect(languageOf(["es-MX"])).toBe("es");
  expect(languageOf(["tlh"])).toBe("en");
  expect(languageOf([])).toBe("en");
});

test("each language is there once", () => {
  expect(new Set(LANGUAGES.map(({ id }) => id)).size).toBe(LANGUAGES.length);
});

test("one is said as one", () => {
  expect([0, 1, 2].map((count) => fill(en["gallery.count"], { count }))).toEqual(["0 images", "1 image", "2 images"]);
  expect(fill(en["run.problems"], { count: 1 })).toBe("This workflow has 1 problem. Run is possible once it is solved.");
  expect(fill("{there} {not}", { there: "x" })).toBe("x {not}");
});
