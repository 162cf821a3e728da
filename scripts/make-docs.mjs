#!/usr/bin/env node
// Writes man pages, completion scripts and the tables in docs/ from the option table.
// Run it after `npm run build`; a test fails when they are out of date.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const built = process.env.AWL_DIST ?? join(root, 'dist');
const { madeFiles, refreshPage, REFRESHED_PAGES } = await import(join(built, 'cli/markdown.js'));

for (const [path, text] of madeFiles()) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}
for (const path of REFRESHED_PAGES) {
  writeFileSync(join(root, path), refreshPage(readFileSync(join(root, path), 'utf8')));
}
