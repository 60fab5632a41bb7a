// Writes a brotli and a gzip sibling next to every built file that gets smaller by it, so that the server never compresses at run time.
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliCompress, constants, gzip } from "node:zlib";
import { promisify } from "node:util";

const dist = new URL("../dist/", import.meta.url).pathname;
const TEXT = /\.(js|mjs|css|html|json|svg|txt|webmanifest|map|ico|wasm)$/;
const encoders = {
  ".br": (bytes) =>
    promisify(brotliCompress)(bytes, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
        [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
      },
    }),
  ".gz": (bytes) => promisify(gzip)(bytes, { level: 9 }),
};

async function compress(path) {
  const bytes = await readFile(path);
  for (const [suffix, encode] of Object.entries(encoders)) {
    const smaller = await encode(bytes);
    if (smaller.length < bytes.length) await writeFile(path + suffix, smaller);
    else await rm(path + suffix, { force: true });
  }
}

const entries = await readdir(dist, { recursive: true, withFileTypes: true });
const files = entries.filter((e) => e.isFile() && TEXT.test(e.name)).map((e) => join(e.parentPath, e.name));
for (const file of files) await compress(file);
console.log(`compressed ${files.length} files`);
