import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from './lab.js';
import { tempDir } from './tmp.js';

/** Chains that miniupnpd fills, beside those of the lab. */
const TABLE = `table inet miniupnpd {
  chain forward { type filter hook forward priority 0; policy accept; jump upnp_forward; }
  chain upnp_forward { }
  chain prerouting { type nat hook prerouting priority -100; policy accept; jump upnp_pre; }
  chain postrouting { type nat hook postrouting priority 90; policy accept; jump upnp_post; }
  chain upnp_pre { }
  chain upnp_post { }
}`;

const CONFIG = `ext_ifname=wan
listening_ip=lan
http_port=5000
enable_natpmp=yes
enable_upnp=yes
secure_mode=yes
min_lifetime=4
max_lifetime=86400
notify_interval=900
upnp_table_name=miniupnpd
upnp_nat_table_name=miniupnpd
upnp_forward_chain=upnp_forward
upnp_nat_chain=upnp_pre
upnp_nat_postrouting_chain=upnp_post
uuid=5f3a3c1c-0000-4000-8000-000000000001
allow 1024-65535 0.0.0.0/0 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
`;

/** Debian's miniupnpd in a router of the lab; its public address must be none of the documentation ranges. */
export class MiniUpnpd {
  readonly #lab: Lab;
  readonly #role: string;

  private constructor(lab: Lab, role: string) {
    this.#lab = lab;
    this.#role = role;
  }

  static async start(lab: Lab, role: string): Promise<MiniUpnpd> {
    const folder = tempDir();
    const config = join(folder, 'miniupnpd.conf');
    writeFileSync(config, CONFIG);
    const made = await lab.run(role, 'nft', ['-f', '-'], { input: TABLE });
    if (made.status !== 0) throw new Error(made.stderr);
    const child = lab.spawn(role, 'miniupnpd', ['-d', '-f', config, '-P', join(folder, 'pid')]);
    let output = '';
    let ready: () => void = () => {};
    const listening = new Promise<void>((resolve) => {
      ready = resolve;
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        if (output.includes('Listening for NAT-PMP/PCP')) ready();
      });
    }
    const ended = once(child, 'exit').then(() => {
      throw new Error(`miniupnpd ended: ${output}`);
    });
    ended.catch(() => {});
    await Promise.race([listening, ended]);
    return new MiniUpnpd(lab, role);
  }

  /** UDP ports that it forwards now. */
  async ports(): Promise<number[]> {
    const list = await this.#lab.run(this.#role, 'nft', ['list', 'chain', 'inet', 'miniupnpd', 'upnp_pre']);
    return [...list.stdout.matchAll(/dport (\d+)/g)].map(([, port]) => Number(port));
  }
}
