import { defineConfig } from 'vitest/config';

const common = { include: [] as string[], testTimeout: 20_000, hookTimeout: 60_000 };

/**
 * Two groups: `fast` runs in parallel workers and needs nothing but Node;
 * `real` starts daemons and namespaces, so its files run one after another.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...common,
          name: 'fast',
          include: ['test/{unit,hazard,natsim,fuzz}/**/*.test.ts'],
          maxWorkers: 2,
        },
      },
      {
        test: {
          ...common,
          name: 'real',
          include: ['test/{netns,interop}/**/*.test.ts'],
          testTimeout: 90_000,
          fileParallelism: false,
          maxWorkers: 1,
        },
      },
    ],
  },
});
