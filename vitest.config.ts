import { defineConfig } from 'vitest/config';

const common = {
  include: [] as string[],
  globalSetup: ['test/support/run-folder.ts'],
  testTimeout: 60_000,
  hookTimeout: 60_000,
  expect: { poll: { timeout: 20_000 } },
};

/**
 * Two groups: `fast` needs nothing but Node; `real` starts daemons and namespaces of its own, a process each.
 * Most tests wait (for timers, daemons, packets) much longer than they compute, so there are more workers than cores.
 * The time limits are for what hangs: a test that must be quick measures that itself.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...common,
          name: 'fast',
          include: ['test/{unit,hazard,natsim,fuzz}/**/*.test.ts'],
          maxWorkers: 4,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...common,
          name: 'real',
          include: ['test/{netns,interop}/**/*.test.ts'],
          testTimeout: 90_000,
          maxWorkers: 4,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
