/** How the page is built and its unit tests run. `npm run build` writes ../server/holdfast_server/page, which the server serves. */
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { precompress } from "./precompress.ts";

/** The documents of the build: the app, and the frame without an origin in which diagrams are drawn. */
const DOCUMENTS = ["index.html", "diagram.html"];

/** Where `npm run dev` finds a server for /ws: one that was started with `make run`, or what the variable says. */
const SERVER = process.env.HOLDFAST_URL ?? "http://127.0.0.1:8080";

export default defineConfig({
  plugins: [react(), precompress()],
  resolve: {
    alias: {
      "@sdk": "/src/sdk/index.ts",
      "@app": "/src/app",
      // Its build for browsers decodes entities through innerHTML, which the policy forbids; this one has a table.
      "decode-named-character-reference": "/node_modules/decode-named-character-reference/index.js",
    },
  },
  build: {
    outDir: "../server/holdfast_server/page",
    emptyOutDir: true,
    target: "es2023",
    manifest: true, // .vite/manifest.json: the budget of the first load is read from it
    assetsInlineLimit: 0, // the CSP has no data: for scripts and fonts
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 4_000, // what loads lazily may be large; tests/integration/test_page_build.py bounds the first load
    rolldownOptions: { input: DOCUMENTS, checks: { bundlerTimings: false } },
  },
  server: { proxy: { "/ws": { target: SERVER, ws: true, rewriteWsOrigin: true } } },
  test: {
    environment: "node",
    include: ["src/**/*.test.{ts,tsx}"],
    // Files share two workers: what a file leaves behind is undone here or by the file itself.
    isolate: false,
    maxWorkers: 2,
    restoreMocks: true,
    unstubGlobals: true,
  },
});
