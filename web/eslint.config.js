import reactHooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist/", "bench/dist/", "node_modules/", "src/api/types.ts", "eslint.config.js"] },
  ...tseslint.configs.recommended,
  {
    plugins: { "react-hooks": reactHooks },
    rules: {
      "react-hooks/rules-of-hooks": "error",
      "react-hooks/exhaustive-deps": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      eqeqeq: "error",
      "no-console": "error",
      "max-lines": ["error", { max: 420 }],
    },
  },
  {
    // A table of texts is as long as there are texts.
    files: ["src/i18n/en.ts", "src/i18n/zh.ts"],
    rules: { "max-lines": "off" },
  },
  {
    // The graph model knows neither the page nor the libraries that draw it; of the API only the shapes of its records.
    files: ["src/graph/**"],
    rules: {
      "no-restricted-imports": ["error", { patterns: ["react", "react-dom", "@xyflow/*", "zustand*", "../*", "!../api", "../api/*", "!../api/types"] }],
      "no-restricted-globals": ["error", "window", "document", "localStorage", "navigator"],
    },
  },
);
