/**
 * How the browser client is built for other people's front ends: `npm run build:sdk` writes dist-sdk, which `npm pack` takes.
 *
 * Each entry that has sources is built; its place among the package's exports is kept only then.
 */
import { copyFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const entries: Readonly<Record<string, string>> = Object.fromEntries(
  ["sdk", "react", "ai-sdk"].flatMap((name) => {
    const path = ["index.ts", "index.tsx"].map((file) => here(`src/${name}/${file}`)).find(existsSync);
    return path ? [[`${name}/index`, path]] : [];
  }),
);

interface Manifest {
  version: string;
  exports: Record<string, { types: string; default: string }>;
}

/** package.json, the licence and the README, beside what was built. */
function manifest(): Plugin {
  return {
    name: "holdfast-manifest",
    closeBundle() {
      const read = (path: string) => JSON.parse(readFileSync(here(path), "utf8")) as Manifest;
      const made = read("src/sdk/package.template.json");
      made.version = read("package.json").version;
      made.exports = Object.fromEntries(
        Object.entries(made.exports).filter(([, { default: file }]) => entries[file.slice(2, -".js".length)]),
      );
      writeFileSync(here("dist-sdk/package.json"), `${JSON.stringify(made, null, 2)}\n`);
      copyFileSync(here("../LICENSE"), here("dist-sdk/LICENSE"));
      copyFileSync(here("src/sdk/README.md"), here("dist-sdk/README.md"));
    },
  };
}

export default defineConfig({
  plugins: [manifest()],
  publicDir: false,
  resolve: { alias: { "@sdk": here("src/sdk/index.ts") } },
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
