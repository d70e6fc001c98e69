/** The least that a `ws` server can do. Prints its address, then answers each message: see startBareServer. */
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';

const what = process.argv[2] ?? 'echo';
const constant = what === 'echo' ? undefined : Buffer.alloc(Number(what), 'x');
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false });
server.on('connection', (socket) => {
  socket.on('message', (message: Buffer) => socket.send(constant ?? message, { binary: false }));
});
server.on('listening', () => {
  process.stdout.write(`ws://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
