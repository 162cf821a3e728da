// Reads vitest's JSON report: names what was skipped and why, then prints the one closing line and the exit status.
import { readFileSync } from 'node:fs';

const [file, earlier, status] = process.argv.slice(2);
let report;
try {
  report = JSON.parse(readFileSync(file, 'utf8'));
} catch {
  console.log('the test runner left no report');
  console.log('0 passed, 1 failed, 0 skipped');
  process.exit(1);
}
const tests = report.testResults.flatMap((suite) =>
  suite.assertionResults.map((test) => ({ ...test, file: suite.name.replace(`${process.cwd()}/`, '') })),
);
const brokenFiles = report.testResults.filter(
  (suite) => suite.status === 'failed' && suite.assertionResults.every((test) => test.status !== 'failed'),
);
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
let failed = failing.length + brokenFiles.length + Number(earlier);
if (failed === 0 && status !== '0') {
  console.log('the test runner itself reported an error (an unhandled rejection or a leak outside any test)');
  failed += 1;
}
if (process.env.CI && skipped.length > 0) {
  console.log('in CI no test may be left out');
  failed += 1;
}
console.log(`${passed} passed, ${failed} failed, ${skipped.length} skipped`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
