/**
 * Slow, dead and hostile clients against the agent as a process: its memory stays within the bound that the
 * configuration states, each of them is closed with the right code, and a bystander is served all the time.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { VdsmClient } from '../../src/client/client.js';
import { AgentProcess } from '../support/agent-process.js';
import { FakeEngine } from '../support/fake-engine.js';
import { frame, Opcode, RawWebSocket } from '../support/raw-websocket.js';

const MiB = 1024 * 1024;
const VMS = 300;
/** Small, so that little time is spent on filling them. */
const limits = {
  maxQueueBytes: 2 * MiB,
  maxTotalQueueBytes: 16 * MiB,
  maxMessageBytes: MiB,
  maxSessions: 64,
};
/** Of the kernel's socket buffers nothing counts; V8 keeps some garbage for a while. */
const SLACK_BYTES = 96 * MiB;
const HANDSHAKE_SEC = 10;

const folder = mkdtempSync(join(tmpdir(), 'vdsm-agent-hostile-'));
let agent: AgentProcess;
let port: number;
let baseBytes: number;
let peakBytes = 0;
let watch: NodeJS.Timeout;

function rssBytes(): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${agent.pid}/status`, 'utf8'))?.[1]) * 1024;
}

before(async () => {
  const file = join(folder, 'agent.json');
  const settings = {
    simulate: VMS,
    listen: ['127.0.0.1:0'],
    periodSec: 1,
    idlePingSec: 1,
    logLevel: 'warn',
    ...limits,
  };
  writeFileSync(file, JSON.stringify(settings));
  agent = await AgentProcess.start(['--config', file]);
  port = Number(agent.address.split(':').at(-1));
  const engine = await new FakeEngine(agent.address).start();
  for (let poll = 0; poll < 30; poll++) await engine.monitor.client?.call('Host.getAllVmStats', {});
  await engine.stop();
  baseBytes = rssBytes();
  watch = setInterval(() => (peakBytes = Math.max(peakBytes, rssBytes())), 50);
});
after(async () => {
  clearInterval(watch);
  const exit = await agent.stop();
  rmSync(folder, { recursive: true, force: true });
  assert.equal(exit.code, 0, agent.output);
});

/** Runs the attack beside a bystander that calls, polls and follows events; both must go well. */
async function besideBystander(t: TestContext, attack: (client: VdsmClient) => Promise<void>): Promise<void> {
  const engine = await new FakeEngine(agent.address, { pollIntervalMs: 200 }).start();
  const client = await VdsmClient.connect(agent.address);
  const times: number[] = [];
  const state = { over: false };
  const measuring = (async () => {
    while (!state.over) {
      const begunMs = performance.now();
      await client.call('Host.ping2', {});
      times.push(performance.now() - begunMs);
      await delay(20);
    }
  })();
  peakBytes = rssBytes();
  try {
    await attack(client);
    const polled = engine.polls;
    await engine.until('a further poll', () => engine.polls > polled);
  } finally {
    state.over = true;
    await measuring;
    await client.close();
    await engine.stop();
  }
  times.sort((a, b) => a - b);
  const at = (share: number): string => (times[Math.floor(share * (times.length - 1))] ?? 0).toFixed(1);
  const grown = Math.max(0, peakBytes - baseBytes) / MiB;
  t.diagnostic(`bystander: ${times.length} calls, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, worst ${at(1)} ms`);
  t.diagnostic(`memory: ${grown.toFixed(0)} MiB over the baseline at its peak`);
  assert.deepEqual(engine.faults, []);
  assert.equal(engine.monitor.gaps, 0, 'the bystander lost events');
  assert.ok(
    peakBytes - baseBytes < limits.maxTotalQueueBytes + SLACK_BYTES,
    `${grown.toFixed(0)} MiB over the baseline`,
  );
}

/** Status changes by the thousand: pause and cont of running VMs. */
async function storm(events: number): Promise<void> {
  const clients = await Promise.all(Array.from({ length: 4 }, () => VdsmClient.connect(agent.address)));
  const [first] = clients;
  const list = await first!.call('Host.getVMList', {});
  const ids = list
    .filter(({ status }) => status === 'Up' || status === 'Powering up')
    .map(({ vmId }) => vmId);
  let left = events;
  await Promise.all(
    clients.map(async (client, lane) => {
      for (let n = lane; left > 0; n += clients.length) {
        left -= 2;
        const vmID = ids[n % ids.length]!;
        // The simulated host lives: a VM may have gone meanwhile.
        await client.call('VM.pause', { vmID }).catch(() => undefined);
        await client.call('VM.cont', { vmID }).catch(() => undefined);
      }
    }),
  );
  await Promise.all(clients.map((client) => client.close()));
}

const request = (method: string, id: number): Buffer => frame(JSON.stringify({ jsonrpc: '2.0', id, method }));

async function within<T>(seconds: number, what: string, promise: Promise<T>): Promise<T> {
  const late = delay(seconds * 1000, undefined, { ref: false }).then(() => {
    throw new Error(`not within ${seconds} s: ${what}`);
  });
  return Promise.race([promise, late]);
}

describe('slow, dead and hostile clients', { timeout: 240_000 }, () => {
  it('a reader that stops reading during 10,000 events is ended', async (t) => {
    const slow = await RawWebSocket.open(port);
    await besideBystander(t, async () => {
      slow.write(request('Agent.subscribe', 1));
      slow.write(request('Host.ping2', 2));
      await delay(200);
      slow.socket.pause();
      await storm(10_000);
      // Ended for its queue or, since it answers no pings either, for its silence, whichever comes first.
      slow.socket.resume();
      await within(15, 'the slow reader is closed', slow.closed);
    });
  });

  it('a client that asks for the statistics again and again and never reads them is not read either', async (t) => {
    const greedy = await Promise.all(Array.from({ length: 8 }, () => RawWebSocket.open(port)));
    await besideBystander(t, async () => {
      for (const client of greedy) client.socket.pause();
      for (let n = 0; n < 2000; n++) {
        for (const client of greedy) client.write(request('Host.getAllVmStats', n));
        if (n % 100 === 0) await delay(10);
      }
      await delay(2000);
    });
    for (const client of greedy) client.destroy();
  });

  it('a client that answers no ping is taken for gone', async (t) => {
    const dead = await RawWebSocket.open(port);
    await besideBystander(t, () => within(10, 'the dead client is closed', dead.closed));
  });

  it('handshakes that never end hold up nobody and are ended', async (t) => {
    const loris = await Promise.all(Array.from({ length: 60 }, () => RawWebSocket.tcp(port)));
    const drip = setInterval(() => {
      for (const client of loris) client.write(Buffer.from('X'));
    }, 500);
    try {
      for (const client of loris) client.write(Buffer.from('GET / HTTP/1.1\r\nX-'));
      await besideBystander(t, async () => {
        await within(2 * HANDSHAKE_SEC, 'all are closed', Promise.all(loris.map(({ closed }) => closed)));
      });
    } finally {
      clearInterval(drip);
    }
  });

  it('serves 64 sessions, refuses the next with a reason, and takes one again when one goes', async (t) => {
    await besideBystander(t, async () => {
      const clients: VdsmClient[] = [];
      const refusal = await (async () => {
        for (;;) clients.push(await VdsmClient.connect(agent.address));
      })().catch((error: unknown) => (error as Error).message);
      assert.match(refusal, /503|64 sessions/);
      // Engine and bystander are the other two.
      assert.equal(clients.length, limits.maxSessions - 2);
      await Promise.all(clients.map((client) => client.call('Host.getAllVmStats', {})));
      await clients.pop()?.close();
      clients.push(await VdsmClient.connect(agent.address));
      await Promise.all(clients.map((client) => client.close()));
    });
  });

  it('a million bytes of nested arrays are an error like any other', async (t) => {
    const client = await RawWebSocket.open(port);
    await besideBystander(t, async () => {
      client.write(frame('['.repeat(MiB - 1)));
      client.write(frame(`${'['.repeat(500_000)}${']'.repeat(500_000)}`));
      client.write(request('Host.ping2', 7));
      await delay(500);
      assert.equal(client.socket.destroyed, false);
    });
    client.destroy();
  });

  const malformed: readonly (readonly [string, readonly Buffer[], number])[] = [
    ['text that is no UTF-8', [frame(Buffer.from([0xc3, 0x28, 0xff]))], 1007],
    ['a message beyond the limit', [frame(Buffer.alloc(MiB + 1, 'x'))], 1009],
    ['frames that are not masked', [frame('{}', { masked: false })], 1002],
    ['an unknown opcode', [frame('{}', { opcode: 5 })], 1002],
    ['a continuation of nothing', [frame('{}', { opcode: Opcode.continuation })], 1002],
    [
      'fragments for ever',
      Array.from({ length: 5000 }, (_, n) =>
        frame('x'.repeat(1000), { opcode: n === 0 ? Opcode.text : Opcode.continuation, final: false }),
      ),
      1009,
    ],
  ];
  for (const [what, frames, code] of malformed) {
    it(`${what}: closed with ${code}`, async (t) => {
      const client = await RawWebSocket.open(port);
      await besideBystander(t, async () => {
        for (const bytes of frames) client.write(bytes);
        await within(10, 'closed', client.closed);
        assert.equal(client.closeFrame?.code, code);
      });
    });
  }

  it('100,000 tiny requests at once are answered or refused one by one, and others get their turn', async (t) => {
    const client = await RawWebSocket.open(port);
    await besideBystander(t, async () => {
      const burst = Buffer.concat(Array.from({ length: 1000 }, () => frame('{}')));
      for (let n = 0; n < 100; n++) {
        if (!client.write(burst)) await Promise.race([client.closed, delay(100)]);
      }
      await delay(1000);
    });
    client.destroy();
  });
});
