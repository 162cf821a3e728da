// Reads vitest's JSON reports: names what was skipped and why, then prints the one closing line and the exit status.
// The second report, if there is one, is of the files that failed in the first, run once more with nothing beside them.
// Beside a report lies REPORT.stray: what was thrown outside any test, which no second run excuses.
// Usage: test-summary.mjs REPORT FAILED-EARLIER STATUS [SECOND-REPORT SECOND-STATUS]
//        test-summary.mjs --again REPORT   prints the files that deserve a second run
import { readFileSync } from 'node:fs';

/** So many files may fail for want of processor time; more have a cause of their own. */
const AGAIN_MAX = 3;

function read(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).testResults.map((suite) => ({
      ...suite,
      name: suite.name.replace(`${process.cwd()}/`, ''),
    }));
  } catch {
    return undefined;
  }
}

function strays(file) {
  try {
    return readFileSync(`${file}.stray`, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  } catch {
    return [];
  }
}

if (process.argv[2] === '--again') {
  const files = (read(process.argv[3]) ?? []).filter(({ status }) => status === 'failed');
  if (files.length <= AGAIN_MAX) for (const { name } of files) console.log(name);
  process.exit(0);
}

const [file, earlier, firstStatus, secondFile, secondStatus] = process.argv.slice(2);
const first = read(file);
if (!first) {
  console.log('the test runner left no report');
  console.log('0 passed, 1 failed, 0 skipped');
  process.exit(1);
}
const alone = new Map((secondFile ? (read(secondFile) ?? []) : []).map((suite) => [suite.name, suite]));
const status = alone.size > 0 ? secondStatus : firstStatus;
const suites = first.map((suite) => alone.get(suite.name) ?? suite);
const tests = suites.flatMap((suite) =>
  suite.assertionResults.map((test) => ({ ...test, file: suite.name })),
);
const brokenFiles = suites.filter(
  (suite) => suite.status === 'failed' && suite.assertionResults.every((test) => test.status !== 'failed'),
);
for (const suite of first) {
  if (alone.get(suite.name)?.status !== 'passed') continue;
  for (const test of suite.assertionResults.filter(({ status: was }) => was === 'failed'))
    console.log(`failed beside the others, passed alone: ${suite.name}: ${test.fullName}`);
}
const passed = tests.filter((test) => test.status === 'passed').length;
const failing = tests.filter((test) => test.status === 'failed');
const skipped = tests.filter((test) => !['passed', 'failed'].includes(test.status));

for (const suite of brokenFiles) console.log(`failed to run: ${suite.name}\n${suite.message ?? ''}`);
for (const test of failing) console.log(`failed: ${test.file}: ${test.fullName}`);
if (skipped.length > 0) {
  console.log(`\nleft out (${skipped.length}), because a program or root is missing on this machine:`);
  const perFile = Map.groupBy ? Map.groupBy(skipped, (test) => test.file) : new Map();
  if (!Map.groupBy)
    for (const test of skipped) perFile.set(test.file, [...(perFile.get(test.file) ?? []), test]);
  for (const [name, list] of perFile) console.log(`  ${name}: ${list.length}`);
  console.log('  .ci/run installs what they need (Debian, root)');
}
const thrown = [...strays(file), ...(secondFile ? strays(secondFile) : [])];
for (const { file: path, text } of thrown) console.log(`thrown outside any test: ${path}: ${text}`);
let failed = failing.length + brokenFiles.length + thrown.length + Number(earlier);
if (failed === 0 && status !== '0') {
  console.log('the test runner itself reported an error that it does not name');
  failed += 1;
}
if (process.env.CI && skipped.length > 0) {
  console.log('in CI no test may be left out');
  failed += 1;
}
console.log(`${passed} passed, ${failed} failed, ${skipped.length} skipped`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
