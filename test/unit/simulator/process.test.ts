import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import { RpcClient, until } from './rpc-client.js';

const program = join(import.meta.dirname, '../../../src/simulator/process.js');

interface Running {
  readonly socket: string;
  /** Sends a command and returns its answer. */
  command(message: object): Promise<Record<string, unknown>>;
  readonly child: ReturnType<typeof spawn>;
  /** Exit code, once it has ended. */
  ended(): Promise<number | null>;
}

async function withProcess(
  args: readonly string[],
  test: (running: Running) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'simulator-process-'));
  const socket = join(folder, 'sock');
  const child = spawn(process.execPath, [program, '--socket', socket, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exit = once(child, 'exit') as Promise<[number | null]>;
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const read = async () => JSON.parse((await lines.next()).value as string) as Record<string, unknown>;
  try {
    assert.deepEqual(await read(), { ready: true, socket });
    await test({
      socket,
      child,
      command(message) {
        child.stdin.write(`${JSON.stringify(message)}\n`);
        return read();
      },
      ended: async () => (await exit)[0],
    });
  } finally {
    child.kill('SIGKILL');
    await exit;
    rmSync(folder, { recursive: true });
  }
}

describe('the process of the simulated host', () => {
  it('serves, obeys commands and ends with SIGTERM, leaving no socket file', () =>
    withProcess(['--domains', '4', '--seed', '5'], async ({ socket, command, child, ended }) => {
      const client = await RpcClient.open(socket);
      await client.call('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY', { eventId: 0 });
      assert.deepEqual(await command({ 'event-burst': 20 }), { ok: true, result: 20 });
      await until(() => client.lifecycle.length === 20);
      const { dom } = await client.call('DOMAIN_LOOKUP_BY_NAME', { name: 'vm-0002' });
      assert.deepEqual(await command({ hang: 'vm-0002' }), { ok: true });
      const hanging = client.call('DOMAIN_SUSPEND', { dom });
      assert.deepEqual(await client.call('DOMAIN_GET_STATE', { dom, flags: 0 }), { state: 1, reason: 5 });
      assert.deepEqual(await command({ release: 'vm-0002' }), { ok: true });
      await hanging;
      assert.deepEqual(await client.call('DOMAIN_GET_STATE', { dom, flags: 0 }), { state: 3, reason: 1 });
      const refused = await command({ hang: 'nobody' });
      assert.equal(refused['ok'], false);
      assert.equal((await command({ dance: true }))['ok'], false);
      child.kill('SIGTERM');
      assert.equal(await ended(), 0);
      assert.equal(existsSync(socket), false);
    }));

  it('lets befall its guests what it is told', () =>
    withProcess(
      ['--domains', '6', '--start-ms', '1', '--save-ms', '1', '--commit-ms', '1'],
      async (running) => {
        const { socket, command } = running;
        const client = await RpcClient.open(socket);
        await client.call('CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY', { eventId: 0 });
        const told = async (name: string, argument: unknown, ...events: string[]) => {
          const before = client.lifecycle.length;
          assert.deepEqual(await command({ [name]: argument }), { ok: true }, name);
          await until(() => client.lifecycle.length === before + events.length);
          assert.deepEqual(client.lifecycle.slice(before), events, name);
        };
        await told('power-off', 'vm-0001', '6/1', '5/0');
        await told('kill-qemu', 'vm-0002', '5/5');
        await told('panic', 'vm-0003', '8/0', '5/2');
        await told('watchdog', { domain: 'vm-0004', action: 'pause' }, '3/3');
        await told('io-error', { domain: 'vm-0005', disk: 'vda', lasting: true }, '3/2');
        await told('heal-disk', { domain: 'vm-0005', disk: 'vda' });
        await told('reboot', 'vm-0006');
        await told('guest', { domain: 'vm-0006', power: 'ignores', agent: 'silent', powerMs: 5 });
        await told('fail-start', 'vm-0001');
        const { dom } = await client.call('DOMAIN_LOOKUP_BY_NAME', { name: 'vm-0001' });
        await assert.rejects(client.call('DOMAIN_CREATE', { dom }), /unexpectedly closed the monitor/);
        await client.call('DOMAIN_CREATE', { dom });
        for (const nonsense of [
          { watchdog: { domain: 'vm-0006', action: 'bite' } },
          { 'io-error': { domain: 'vm-0006', disk: 'vdz' } },
          { 'fail-block-job': { domain: 'vm-0006', disk: 'vda' } },
          { guest: { domain: 'vm-0006', power: 'wobbles' } },
          { guest: { domain: 'vm-0006', constructor: 1 } },
          { panic: 'vm-0002' },
          { panic: 7 },
          { toString: 1 },
        ]) {
          const { ok, error } = await command(nonsense);
          assert.equal(ok, false, JSON.stringify(nonsense));
          assert.equal(typeof error, 'string');
        }
      },
    ));

  it('dies and comes back on command', () =>
    withProcess(['--domains', '2', '--live'], async ({ socket, command }) => {
      const client = await RpcClient.open(socket);
      assert.deepEqual(await command({ kill: true }), { ok: true });
      await until(() => client.closed);
      await assert.rejects(RpcClient.connect(socket), { code: 'ECONNREFUSED' });
      assert.deepEqual(await command({ restart: true }), { ok: true });
      (await RpcClient.open(socket)).close();
    }));

  it('ends with its parent where it was asked to', () =>
    withProcess(['--domains', '1', '--with-parent'], async ({ child, ended }) => {
      child.stdin!.end();
      assert.equal(await ended(), 0);
    }));
});
