import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';

const SRC = new URL('../../src/', import.meta.url).pathname;
const MAX_LINES = 300;

// The house, from the roof down. A file may import from its own folder and from lower stages, never sideways or up.
const STAGES: readonly (readonly string[])[] = [
  ['index.ts'],
  ['cli'],
  // A payload house like the tunnel, but it carries the messages of its sessions itself.
  ['meepo'],
  ['session'],
  ['rendezvous', 'stun', 'punch', 'relay', 'launch', 'tunnel'],
  ['wire', 'identity'],
  ['util'],
  ['errors.ts', 'constants.ts', 'log.ts'],
];
/** What index.ts, the library's face, shows of the stages below the session: types and pure helpers. */
const INDEX_MAY_NOT = ['cli'];

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
  /** `import()`: happens when it is called, not when the file is loaded. */
  readonly late: boolean;
}

interface Source {
  readonly path: string;
  readonly text: string;
  /** Without comments and literals. */
  readonly code: string;
  readonly imports: readonly Import[];
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, ' ').replace(/(^|[\s;{}(),])\/\/.*$/gm, '$1');
}

function importsOf(path: string, text: string): Import[] {
  const statements = withoutComments(text).matchAll(
    /\b(?:(import|export)\s+(type\s+)?(?:[\w*\s{},$]+?\s+from\s+)?|import\(\s*)'([^'\n]+)'/g,
  );
  return [...statements].flatMap((match) => {
    const [whole, , typeWord, target = ''] = match;
    if (!target.startsWith('.')) return [];
    // `import { type A, type B }` carries no values either.
    const names = /\{([^}]*)\}/
      .exec(whole)?.[1]
      ?.split(',')
      .map((name) => name.trim());
    const allTypes = names?.filter(Boolean).every((name) => name.startsWith('type ')) ?? false;
    const to = normalize(join(dirname(path), target)).replace(/\.js$/, '.ts');
    return [
      { from: path, to, typeOnly: typeWord !== undefined || allTypes, late: whole.startsWith('import(') },
    ];
  });
}

const SOURCES: readonly Source[] = readdirSync(SRC, { recursive: true })
  .map(String)
  .filter((path) => path.endsWith('.ts'))
  .sort()
  .map((path) => {
    const text = readFileSync(join(SRC, path), 'utf8');
    const code = withoutComments(text).replace(
      /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g,
      "''",
    );
    return { path, text, code, imports: importsOf(path, text) };
  });

const IMPORTS = SOURCES.flatMap(({ imports }) => imports);
const room = (path: string) => path.split('/')[0] ?? path;
const stageOf = (path: string) => STAGES.findIndex((rooms) => rooms.includes(room(path)));
const show = ({ from, to }: Import) => `${from} -> ${to}`;

test('the test sees the sources and their imports', () => {
  expect(SOURCES.length).toBeGreaterThan(50);
  expect(IMPORTS.length).toBeGreaterThan(SOURCES.length);
  expect(IMPORTS.map(show)).toContain('identity/repository.ts -> identity/names.ts');
  expect(
    IMPORTS.find((found) => show(found) === 'identity/survey.ts -> identity/repository.ts')?.typeOnly,
  ).toBe(true);
  const known = new Set(SOURCES.map(({ path }) => path));
  expect(IMPORTS.filter(({ to }) => !known.has(to)).map(show)).toEqual([]);
});

test('every file stands in a room of the house', () => {
  expect(SOURCES.map(({ path }) => path).filter((path) => stageOf(path) < 0)).toEqual([]);
});

test('imports go down only', () => {
  const up = IMPORTS.filter(({ from, to }) => stageOf(to) < stageOf(from));
  expect(up.map(show)).toEqual([]);
});

test('rooms of one stage do not know each other, but that wire may name identities', () => {
  const sideways = IMPORTS.filter(
    ({ from, to }) =>
      stageOf(from) === stageOf(to) && room(from) !== room(to) && stageOf(from) !== STAGES.length - 1,
  );
  const allowed = (found: Import) =>
    room(found.from) === 'wire' && room(found.to) === 'identity' && found.typeOnly;
  expect(sideways.filter((found) => !allowed(found)).map(show)).toEqual([]);
});

test('the library does not carry the command line', () => {
  expect(
    IMPORTS.filter(({ from, to }) => from === 'index.ts' && INDEX_MAY_NOT.includes(room(to))).map(show),
  ).toEqual([]);
});

test('no file needs itself to be loaded: values are imported without cycles', () => {
  const graph = new Map(
    SOURCES.map(({ path, imports }) => [
      path,
      imports.filter(({ typeOnly, late }) => !typeOnly && !late).map(({ to }) => to),
    ]),
  );
  const cycles: string[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]) => {
    const start = trail.indexOf(path);
    if (start >= 0) cycles.push([...trail.slice(start), path].join(' -> '));
    if (start >= 0 || done.has(path)) return;
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  expect(cycles).toEqual([]);
});

const offenders = (rule: RegExp, of: 'text' | 'code') =>
  SOURCES.filter((source) => rule.test(source[of])).map(({ path }) => path);

test('there are no default exports', () => {
  expect(offenders(/\bexport\s+default\b|\bas\s+default\b/, 'code')).toEqual([]);
});

test('only index.ts passes on what others export', () => {
  const barrels = offenders(/\bexport\s+(?:type\s+)?(?:\*|\{[^}]*\})[^;'"]*\bfrom\b/, 'code');
  expect(barrels.filter((path) => path !== 'index.ts')).toEqual([]);
});

test('the compiler and the linter are nowhere told to look away', () => {
  expect(offenders(/@ts-(?:ignore|nocheck|expect-error)|biome-ignore/, 'text')).toEqual([]);
  expect(offenders(/(?::\s+|\bas\s+|<|,\s+)any\s*(?=[;,)=>[\]|&}]|$)/m, 'code')).toEqual([]);
});

test(`no file is longer than ${MAX_LINES} lines`, () => {
  const long = SOURCES.map(({ path, text }) => ({ path, lines: text.trimEnd().split('\n').length }));
  expect(long.filter(({ lines }) => lines > MAX_LINES)).toEqual([]);
});
