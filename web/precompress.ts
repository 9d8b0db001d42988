/** A Vite plugin that writes a `.br` and a `.gz` copy beside each text file of the build, so that the server compresses nothing. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import type { Plugin } from "vite";

/** What has no compression of its own (fonts and pictures have), and is served (what begins with a dot is not). */
const TEXTS = /^[^.].*\.(?:css|html|js|json|mjs|svg|txt|wasm|webmanifest)$/;

/** Below this a copy saves less than the headers that announce it. */
const SIZE_BYTES_MIN = 512;

/** A copy that saves less than a tenth is not worth a browser's time. */
const RATIO_MAX = 0.9;

/** Files compressed at once: as many as Node has threads for it. */
const AT_ONCE = 4;

const brotli = promisify(brotliCompress);
const zip = promisify(gzip);

async function compress(path: string): Promise<void> {
  const body = await readFile(path);
  if (body.length < SIZE_BYTES_MIN) return;
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
    [constants.BROTLI_PARAM_SIZE_HINT]: body.length,
  };
  const copies = { ".br": await brotli(body, { params }), ".gz": await zip(body, { level: 9 }) };
  for (const [suffix, copy] of Object.entries(copies)) {
    if (copy.length < body.length * RATIO_MAX) await writeFile(path + suffix, copy);
  }
}

/** Compresses what the build wrote, after everything else; fails the build where a copy cannot be written. */
export function precompress(): Plugin {
  let folder = "";
  return {
    name: "holdfast:precompress",
    apply: "build",
    enforce: "post",
    configResolved(config) {
      folder = config.build.outDir;
      if (!folder.startsWith("/")) folder = join(config.root, folder);
    },
    async writeBundle() {
      const texts = (await readdir(folder, { recursive: true })).filter((name) => TEXTS.test(name));
      const next = async (): Promise<void> => {
        for (let name = texts.pop(); name !== undefined; name = texts.pop())
          await compress(join(folder, name));
      };
      await Promise.all(Array.from({ length: AT_ONCE }, next));
    },
  };
}
