// A DHT of one's own as the rendezvous, through two port-restricted kernel NATs (root): start to both programs running,
// and what an idle acceptor weighs and sends. `hyperdht` runs awl's own node, `opendht` Debian's dhtnode.
import { readFileSync } from 'node:fs';
import { median, rssOf, SERVER, sleep, withLab } from './lab.mjs';

const [which = 'hyperdht', count = '5'] = process.argv.slice(2);
const rounds = Number(count);
const port = which === 'opendht' ? 4222 : 49737;
const IDLE_S = 30;

/** UDP datagrams that the machine of a process sent and received, from its namespace's counters. */
function datagrams(pid) {
  const lines = readFileSync(`/proc/${pid}/net/snmp`, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('Udp:'));
  const values = lines[1].split(' ').slice(1).map(Number);
  return { received: values[0], sent: values[3] };
}

await withLab(async (lab) => {
  if (which === 'opendht') lab.start('s', 'dhtnode', '-s', '-p', String(port));
  else lab.awl('s', 'dht-node', `--listen=${SERVER}`, `--port=${port}`);
  await sleep(1500);
  const flags = [`--rendezvous=${which}`, `--dht-bootstrap=${SERVER}:${port}`, '--dht-port=0'];
  const bob = lab.awl('b', '--accept', ...lab.side('b'), ...flags);
  await lab.until(bob, 'listening');
  await sleep(3000);
  const before = datagrams(bob.child.pid);
  await sleep(IDLE_S * 1000);
  const after = datagrams(bob.child.pid);
  const perMinute = (name) => (((after[name] - before[name]) * 60) / IDLE_S).toFixed(0);
  console.log(`acceptor idle on ${which} for ${IDLE_S} s: ${rssOf(bob.child.pid).toFixed(0)} MB RSS`);
  console.log(`  datagrams a minute: ${perMinute('sent')} sent, ${perMinute('received')} received`);
  const whole = [];
  for (let round = 1; round <= rounds; round++) {
    const since = Date.now();
    const alice = lab.awl('a', ...lab.side('a'), ...flags);
    await lab.until(alice, 'payload-started');
    await lab.until(bob, 'payload-started', round);
    const running = Math.max(
      alice.events['payload-started'][0].at,
      bob.events['payload-started'][round - 1].at,
    );
    whole.push(running - since);
    await alice.ended;
  }
  console.log(`start to both programs running: ${whole.join(', ')} ms; median ${median(whole)} ms`);
});
