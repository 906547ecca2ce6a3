import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const server = process.env.SAFELIGHT_SERVER ?? "http://127.0.0.1:8686";

export default defineConfig({
  base: "./",
  plugins: [react()],
  server: { proxy: { "/api": { target: server, ws: true } } },
  build: {
    target: "es2022",
    // The content security policy of the server allows no inline code, so nothing may be turned into a data address.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
    chunkSizeWarningLimit: 1200,
  },
});
