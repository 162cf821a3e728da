import { realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import type { ServicePlace } from './service.js';

/** This machine, this user, and the awl that is running. */
export function thisPlace(): ServicePlace {
  return {
    program: [process.execPath, realpathSync(process.argv[1] ?? '')],
    cwd: process.cwd(),
    home: homedir(),
    root: process.getuid?.() === 0,
    systemFolder: '/etc/systemd/system',
  };
}
