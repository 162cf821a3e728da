// The payload of the demo: two plain UDP programs that know nothing of awl. `echo` answers, `hello` asks and measures.
import { createSocket } from 'node:dgram';

const [mode, innerIp, innerPort, peerIp, peerPort] = process.argv.slice(2);
const socket = createSocket('udp4');
const give = (status, text) => {
  if (text) console.log(text);
  socket.close(() => process.exit(status));
};
setTimeout(() => give(1, `${mode}: nothing came through the passage within 10 s`), 10_000).unref();

let asked = 0;
let answered = 0;
const times = new Map();
socket.on('message', (data, from) => {
  if (from.address !== peerIp || from.port !== Number(peerPort)) return;
  const text = data.toString();
  if (mode === 'echo' && text.startsWith('hello')) {
    socket.send(`echo of "${text}"`, from.port, from.address);
    answered += 1;
    if (text.endsWith('bye')) setTimeout(() => give(0, `echo: answered ${answered} datagrams`), 200);
  }
  const number = /"hello (\d+)/.exec(text)?.[1];
  if (mode === 'hello' && answered < 3 && times.has(number)) {
    const ms = performance.now() - times.get(number);
    times.delete(number);
    if (++answered >= 3) {
      const line = `hello: 3 datagrams went there and back, the last in ${ms.toFixed(1)} ms`;
      // Twice, as a datagram may get lost; and only then close, as closing drops what was not sent yet.
      for (let copy = 0; copy < 2; copy++) socket.send('hello 0 bye', Number(peerPort), peerIp);
      setTimeout(() => give(0, line), 100);
    }
  }
});
socket.bind(Number(innerPort), innerIp, () => {
  if (mode !== 'hello') return;
  setInterval(() => {
    asked += 1;
    times.set(String(asked), performance.now());
    socket.send(`hello ${asked}`, Number(peerPort), peerIp);
  }, 100).unref();
});
