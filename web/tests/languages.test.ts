import { expect, test } from "vitest";
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
