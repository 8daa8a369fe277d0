// What the package adds to a page: all of dist, minified, without its peers.
import { gzipSync } from "node:zlib";

import { build } from "esbuild";

const LIMIT = 2048;

const { outputFiles } = await build({
  entryPoints: ["dist/index.js"],
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  packages: "external",
  write: false,
});
const [{ contents }] = outputFiles;
console.log(
  `${contents.length} bytes minified (limit ${LIMIT}), ${gzipSync(contents).length} gzipped`,
);
if (contents.length > LIMIT) {
  console.error(`Too large by ${contents.length - LIMIT} bytes: make it simpler.`);
  process.exitCode = 1;
}
