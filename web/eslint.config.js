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
    // The page may lie below a path: what the browser asks for goes through `reached`.
    files: ["src/**"],
    rules: { "no-restricted-syntax": ["error", ...asked()] },
  },
  {
    // A table of texts is as long as there are texts.
    files: ["src/i18n/*.ts"],
    rules: { "max-lines": "off" },
  },
  {
    // The graph model knows neither the page nor the libraries that draw it.
    files: ["src/graph/**"],
    rules: { "no-restricted-globals": ["error", "window", "document", "localStorage", "navigator"] },
  },
  ...rooms(),
);

function asked() {
  const message = "An address of the server goes through `reached` (src/api/base.ts).";
  return [
    'JSXAttribute[name.name=/^(src|poster)$/] > JSXExpressionContainer > :not(CallExpression[callee.name="reached"]):not(LogicalExpression)',
    'JSXAttribute[name.name="href"] > JSXExpressionContainer > MemberExpression',
    'AssignmentExpression[left.property.name=/^(src|href)$/][right.callee.name!="reached"]',
    'CallExpression[callee.name="fetch"][arguments.0.callee.name!="reached"]',
  ].map((selector) => ({ selector, message }));
}

/**
 * A room imports itself and the rooms below it, never one beside or above it. The exceptions are by name: of the API the
 * graph model knows the shapes of its records.
 */
function rooms() {
  const floors = [["graph"], ["api"], ["i18n"], ["state"], ["ui"], ["fields", "painter"], ["canvas"], ["commands"], ["panels", "dialogs"], ["app"]];
  const drawing = ["react", "react-dom", "@xyflow/*", "zustand*"];
  return floors.flatMap((floor, level) =>
    floor.map((room) => {
      const closed = floors.slice(level).flat().filter((other) => other !== room);
      const patterns = closed.flatMap((other) => [`../${other}`, `../${other}/*`]);
      if (room === "graph") patterns.push("!../api", "!../api/types", ...drawing);
      if (room === "ui") patterns.push("../state/*");
      return { files: [`src/${room}/**`], rules: { "no-restricted-imports": ["error", { patterns }] } };
    }),
  );
}
