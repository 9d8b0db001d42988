/** How the browser client is built for other people's front ends: `npm run build:sdk` writes dist-sdk, which `npm pack` takes. */
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const entries: Readonly<Record<string, string>> = {
  "sdk/index": here("src/sdk/index.ts"),
  "react/index": here("src/react/index.tsx"),
  "ai-sdk/index": here("src/ai-sdk/index.ts"),
};

interface Manifest {
  version: string;
}

/** package.json, the licence and the README, beside what was built. */
function manifest(): Plugin {
  let folder = "";
  return {
    name: "holdfast-manifest",
    configResolved(config) {
      folder = resolve(config.root, config.build.outDir);
    },
    closeBundle() {
      const read = (path: string) => JSON.parse(readFileSync(here(path), "utf8")) as Manifest;
      const made = read("src/sdk/package.template.json");
      made.version = read("package.json").version;
      writeFileSync(join(folder, "package.json"), `${JSON.stringify(made, null, 2)}\n`);
      copyFileSync(here("../LICENSE"), join(folder, "LICENSE"));
      copyFileSync(here("src/sdk/README.md"), join(folder, "README.md"));
    },
  };
}

export default defineConfig({
  plugins: [manifest()],
  publicDir: false,
  build: {
    outDir: "dist-sdk",
    emptyOutDir: true,
    target: "es2023",
    minify: false, // whoever installs it has a bundler, and reads what it does
    sourcemap: true,
    lib: { entry: entries, formats: ["es"] },
    rolldownOptions: {
      external: [/^idb$/, /^react(\/|$)/, /^ai$/, /^@ai-sdk\//],
      output: { entryFileNames: "[name].js", chunkFileNames: "shared/[name].js" },
    },
  },
});
