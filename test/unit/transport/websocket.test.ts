import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync, existsSync } from 'node:fs';
import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, describe, it } from 'node:test';
import { spawnSync } from 'node:child_process';
import { WebSocket } from 'ws';
import { echo, startAgent, TestClient, type TestAgent } from './agent.js';
import { certificate, privateKey, strangersCertificate, strangersKey } from './tls-fixture.js';

const folder = mkdtempSync(join(tmpdir(), 'vdsm-agent-transport-'));
after(() => rmSync(folder, { recursive: true }));
let agent: TestAgent;

async function get(path: string, method = 'GET'): Promise<{ status: number; body: string }> {
  const [response] = (await once(
    request({ host: '127.0.0.1', port: agent.port, path, method, agent: false }).end(),
    'response',
  )) as [AsyncIterable<Buffer> & { statusCode: number }];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return { status: response.statusCode, body: Buffer.concat(chunks).toString() };
}

/** Status and text of an upgrade that must fail. */
async function refused(headers: Record<string, string> = {}): Promise<{ status: number; body: string }> {
  const ws = new WebSocket(`ws://127.0.0.1:${agent.port}`, { headers });
  ws.on('error', () => undefined);
  const [, response] = (await once(ws, 'unexpected-response')) as [
    unknown,
    AsyncIterable<Buffer> & { statusCode: number },
  ];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  ws.terminate();
  return { status: response.statusCode, body: Buffer.concat(chunks).toString() };
}

/** The test certificate and its key, as files. */
function tlsFiles(): { certFile: string; keyFile: string } {
  const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  writeFileSync(certFile, certificate);
  writeFileSync(keyFile, privateKey);
  return { certFile, keyFile };
}

describe('the listener', () => {
  afterEach(() => agent.stop());

  it('serves health, metrics and a word about itself beside the sessions', async () => {
    agent = await startAgent(echo, { health: () => ({ ok: false, body: { libvirt: 'lost' } }) });
    const client = await agent.connect();
    assert.deepEqual(await get('/healthz'), { status: 503, body: '{"libvirt":"lost"}\n' });
    assert.match((await get('/metrics')).body, /vdsm_agent_sessions 1\n/);
    assert.match((await get('/')).body, /JSON-RPC/);
    assert.deepEqual(await get('/', 'HEAD'), { status: 200, body: '' });
    assert.equal((await get('/passwd')).status, 404);
    client.ws.close();
    await client.closed;
  });

  it('upgrades on / and on /ws', async () => {
    agent = await startAgent(echo);
    for (const path of ['/', '/ws']) {
      const client = await TestClient.connect(`ws://127.0.0.1:${agent.port}${path}`);
      client.send('hello');
      assert.deepEqual(await client.received(1), ['hello']);
      client.ws.terminate();
    }
  });

  it('refuses the 65th session with 503 and a text, and takes one again when one has gone', async () => {
    agent = await startAgent(echo);
    const clients = await Promise.all(Array.from({ length: 64 }, () => agent.connect()));
    const { status, body } = await refused();
    assert.equal(status, 503);
    assert.match(body, /64 sessions already/);
    assert.match(await agent.metrics.text(), /connections_refused_total\{reason="sessions"\} 1/);
    clients[0]!.ws.close();
    await clients[0]!.closed;
    await agent.connect();
    assert.equal(agent.listener.sessionCount, 64);
  });

  it('refuses web pages', async () => {
    agent = await startAgent(echo);
    assert.equal((await refused({ origin: 'https://evil.example' })).status, 403);
    assert.equal(agent.listener.sessionCount, 0);
  });

  it('answers what is no HTTP with 400, and goes on', async () => {
    agent = await startAgent(echo);
    for (const text of ['\x16\x03\x01\x02\0\x01', 'hello\r\n\r\n', 'GET / HTTP/1.1\r\n: x\r\n\r\n']) {
      const socket = connect(agent.port, '127.0.0.1');
      socket.write(text);
      const chunks: Buffer[] = [];
      for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
      assert.match(Buffer.concat(chunks).toString(), /^HTTP\/1\.1 400 /);
    }
    assert.equal((await get('/')).status, 200);
  });

  it('ends a connection that sends its request too slowly', async () => {
    agent = await startAgent(echo, { limits: { handshakeTimeoutMs: 100 } });
    const slow = connect(agent.port, '127.0.0.1');
    slow.write('GET / HTTP/1.1\r\nHost: x\r\nUpgrade: webso');
    const mute = connect(agent.port, '127.0.0.1');
    await Promise.all([once(slow.resume(), 'close'), once(mute.resume(), 'close')]);
  });

  it('listens on several endpoints, and on a UNIX socket for owner and group only', async () => {
    const path = join(folder, 'several.sock');
    agent = await startAgent(echo, { endpoints: [{ path }, { host: '127.0.0.1', port: 0 }] });
    const [first, second] = agent.listener.address();
    assert.deepEqual(first, { path });
    assert.ok(second && 'port' in second && second.port > 0);
    assert.equal(statSync(path).mode & 0o777, 0o660);
    for (const url of [`ws+unix:${path}:/`, `ws://127.0.0.1:${second.port}`]) {
      const client = await TestClient.connect(url);
      client.send('hello');
      assert.deepEqual(await client.received(1), ['hello']);
      client.ws.terminate();
    }
    await agent.listener.stop();
    assert.equal(existsSync(path), false);
  });

  it('takes over a socket file whose program has died', async () => {
    const path = join(folder, 'stale.sock');
    // Killed, so that its file stays.
    const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    assert.equal(spawnSync(process.execPath, ['-e', script]).signal, 'SIGKILL');
    assert.ok(statSync(path).isSocket());
    agent = await startAgent(echo, { endpoints: [{ path }] });
    (await TestClient.connect(`ws+unix:${path}:/`)).ws.terminate();
  });

  it('speaks TLS where a certificate is configured', async () => {
    agent = await startAgent(echo, { tls: tlsFiles() });
    const client = await TestClient.connect(`wss://127.0.0.1:${agent.port}`, { rejectUnauthorized: false });
    client.send('secret');
    assert.deepEqual(await client.received(1), ['secret']);
    await agent.listener.stop();
    assert.equal((await client.closed).code, 1001);
  });
});

describe('the listener with an authority for its clients', () => {
  afterEach(() => agent.stop());

  const connectWith = (shown: { cert?: string; key?: string }): Promise<TestClient> =>
    TestClient.connect(`wss://127.0.0.1:${agent.port}`, { ca: certificate, ...shown });

  it('takes a client with a certificate of that authority', async () => {
    const files = tlsFiles();
    agent = await startAgent(echo, { tls: { ...files, caFile: files.certFile } });
    const client = await connectWith({ cert: certificate, key: privateKey });
    client.send('hello');
    assert.deepEqual(await client.received(1), ['hello']);
    client.ws.terminate();
  });

  it("opens no session for a client without one, or with a stranger's", async () => {
    const files = tlsFiles();
    agent = await startAgent(echo, { tls: { ...files, caFile: files.certFile } });
    await assert.rejects(connectWith({}));
    await assert.rejects(connectWith({ cert: strangersCertificate, key: strangersKey }));
    assert.equal(agent.listener.sessionCount, 0);
    const metrics = await agent.metrics.text();
    assert.doesNotMatch(metrics, /sessions_closed_total\{/);
    assert.match(metrics, /connections_refused_total\{reason="tls"\} 2/);
  });
});

describe('starting the listener', () => {
  it('fails in one line that names an address in use, and leaves nothing open', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const path = join(folder, 'rollback.sock');
    await assert.rejects(startAgent(echo, { endpoints: [{ path }, { host: '127.0.0.1', port }] }), {
      message: `cannot listen on 127.0.0.1:${port}: the address is already in use; does another agent run?`,
    });
    assert.equal(existsSync(path), false);
    other.close();
  });

  it('fails where another program serves the UNIX socket, and leaves it alone', async () => {
    const path = join(folder, 'taken.sock');
    const other = createServer((socket) => socket.destroy()).listen(path);
    await once(other, 'listening');
    await assert.rejects(
      startAgent(echo, { endpoints: [{ path }] }),
      /unix:.*taken\.sock: .* already in use/,
    );
    assert.ok(statSync(path).isSocket());
    other.close();
  });

  it('fails where a file that is no socket is in the way', async () => {
    const path = join(folder, 'file');
    writeFileSync(path, 'precious');
    await assert.rejects(
      startAgent(echo, { endpoints: [{ path }] }),
      /a file that is no socket is in the way/,
    );
    assert.equal(statSync(path).size, 8);
  });

  it('fails beyond this host without TLS, before anything listens', async () => {
    const path = join(folder, 'unsafe.sock');
    const endpoints = [{ path }, { host: '0.0.0.0', port: 0 }];
    await assert.rejects(startAgent(echo, { endpoints }), /refusing to listen on 0\.0\.0\.0:0 without TLS/);
    assert.equal(existsSync(path), false);
  });

  it('fails with the name of a certificate that cannot be read', async () => {
    const tls = { certFile: join(folder, 'none.pem'), keyFile: join(folder, 'none.pem') };
    await assert.rejects(startAgent(echo, { tls }), /cannot read the TLS certificate .*none\.pem: ENOENT/);
  });

  it('fails with the names of certificate and key where they are none or do not fit', async () => {
    const { certFile } = tlsFiles();
    const strange = join(folder, 'strange.pem');
    for (const content of ['no PEM', strangersKey]) {
      writeFileSync(strange, content);
      const message = new RegExp(`^TLS cannot use ${certFile}, ${strange}: `);
      await assert.rejects(startAgent(echo, { tls: { certFile, keyFile: strange } }), { message });
    }
  });

  it('fails where the folder of a UNIX socket does not exist, and says so', async () => {
    const path = join(folder, 'nowhere', 'x.sock');
    await assert.rejects(startAgent(echo, { endpoints: [{ path }] }), {
      message: `cannot listen on unix:${path}: the folder does not exist`,
    });
  });
});
