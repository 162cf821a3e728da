// A reporter for vitest: writes what was thrown outside any test, one line of JSON each, into the file that
// STRAY_ERRORS names. vitest's JSON report does not tell.
import { writeFileSync } from 'node:fs';

export default class StrayErrors {
  onTestRunEnd(_files, errors) {
    const lines = errors.map(({ name, message, VITEST_TEST_PATH: path = '' }) => {
      const file = path.replace(`${process.cwd()}/`, '');
      return JSON.stringify({ file, text: `${name}: ${message}` });
    });
    writeFileSync(process.env.STRAY_ERRORS, lines.map((line) => `${line}\n`).join(''));
  }
}
