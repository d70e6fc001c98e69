/**
 * VMs to be started by a benchmark, on the real libvirtd (empty machines: 16 MiB, no disk) or on the simulator, and the
 * agent's view of their lives. Ids and names are the benchmark's own; whatever is left of them is removed at the end.
 */
import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { AgentProcess } from '../../test/support/agent-process.js';
import { kvmUsable } from '../../test/support/conformance-domains.js';
import { LIBVIRT_SOCKET } from '../../test/support/real-libvirt.js';
import { VdsmClient } from '../../src/client/client.js';

const run = promisify(execFile);
export const PREFIX = 'vdsm-agent-bench-';
export const realUri = 'qemu:///system';

/** Why the real part cannot run; undefined where it can. With VDSM_AGENT_REQUIRE_LIBVIRT=1 that is an error. */
export function missingLibvirt(): string | undefined {
  if (existsSync(LIBVIRT_SOCKET)) return undefined;
  const reason = `no libvirtd on this machine (${LIBVIRT_SOCKET} is absent): the part on real QEMU is left out`;
  if (process.env['VDSM_AGENT_REQUIRE_LIBVIRT'] === '1') throw new Error(reason);
  return reason;
}

export interface BenchVm {
  readonly id: string;
  readonly name: string;
  readonly xml: string;
}

export function benchVms(count: number, real: boolean): BenchVm[] {
  const type = real && !kvmUsable() ? 'qemu' : 'kvm';
  return Array.from({ length: count }, (_, index) => {
    const id = `be7c4000-0000-4000-8000-${String(index + 1).padStart(12, '0')}`;
    const name = `${PREFIX}${index + 1}`;
    const os = `<os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>`;
    const xml = `<domain type='${type}'><name>${name}</name><uuid>${id}</uuid><memory unit='MiB'>16</memory><vcpu>1</vcpu>${os}<devices><memballoon model='virtio'/></devices></domain>`;
    return { id, name, xml };
  });
}

/** A folder with each VM's XML in a file, for virsh. */
export class XmlFiles {
  readonly #folder = mkdtempSync(join(tmpdir(), PREFIX));

  constructor(vms: readonly BenchVm[]) {
    chmodSync(this.#folder, 0o755);
    for (const vm of vms) writeFileSync(this.pathOf(vm), vm.xml);
  }

  pathOf({ name }: BenchVm): string {
    return join(this.#folder, `${name}.xml`);
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** One virsh process with one or several commands, as `virsh "define x; start y"`. */
export async function virsh(uri: string, ...commands: readonly string[]): Promise<void> {
  await run('virsh', ['-q', '-c', uri, commands.join('; ')], { timeout: 120_000 });
}

/** Ends and undefines what there is of the VMs, a few at a time. */
export async function removeAll(uri: string, vms: readonly BenchVm[]): Promise<void> {
  const { stdout } = await run('virsh', ['-q', '-c', uri, 'list', '--all', '--name']);
  const present = new Set(stdout.split('\n').map((line) => line.trim()));
  const queue = vms.filter(({ name }) => present.has(name));
  const worker = async (): Promise<void> => {
    for (let vm = queue.shift(); vm; vm = queue.shift()) {
      await virsh(uri, `destroy ${vm.name}`).catch(() => undefined);
      await virsh(uri, `undefine ${vm.name}`).catch(() => undefined);
    }
  };
  await Promise.all(Array.from({ length: 4 }, worker));
}

export interface AgentUnderTest {
  readonly agent: AgentProcess;
  readonly client: VdsmClient;
  stop(): Promise<void>;
}

/** An agent with settings of its own, and a subscribed client. */
export async function agentOn(
  uri: string,
  settings: Readonly<Record<string, unknown>>,
): Promise<AgentUnderTest> {
  const folder = mkdtempSync(join(tmpdir(), PREFIX));
  const file = join(folder, 'agent.json');
  writeFileSync(file, JSON.stringify({ uri, listen: ['127.0.0.1:0'], logLevel: 'warn', ...settings }));
  const agent = await AgentProcess.start(['--config', file]);
  const client = await VdsmClient.connect(agent.address);
  await ready(client);
  await client.call('Agent.subscribe', {});
  return {
    agent,
    client,
    async stop() {
      await client.close();
      await agent.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Until its VMs are known the agent answers 99. */
async function ready(client: VdsmClient): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    const { status } = await client.call('Agent.getHealth', {});
    if (status !== 'starting') return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('the agent was not ready within 30 s');
}

/** Statuses that say that QEMU runs; without a guest agent a VM is "Powering up" for its first minute. */
const running: ReadonlySet<string> = new Set(['Powering up', 'Up', 'Paused']);

/** Resolves with the time at which each VM was told to run; rejects when one is told to be Down. */
export function whenRunning(client: VdsmClient, ids: readonly string[]): Promise<Map<string, number>> {
  const waited = new Set(ids);
  const at = new Map<string, number>();
  return new Promise((resolve, reject) => {
    const remove = client.onEvent(({ params }) => {
      for (const [id, payload] of Object.entries(params)) {
        if (!waited.has(id) || at.has(id)) continue;
        const { status = '', exitMessage } = payload as { status?: string; exitMessage?: string };
        if (running.has(status)) at.set(id, performance.now());
        else if (status === 'Down') reject(new Error(`VM ${id} did not start: ${exitMessage ?? ''}`));
      }
      if (at.size < waited.size) return;
      remove();
      resolve(at);
    });
  });
}

/** A metric's value without labels, e.g. `vm_start_wait_seconds_sum`. */
export async function metric(agent: AgentProcess, name: string): Promise<number> {
  const text = await metricsText(agent);
  return Number(new RegExp(`^vdsm_agent_${name}(?:\\{[^}]*\\})? (\\S+)`, 'm').exec(text)?.[1] ?? NaN);
}

export async function metricsText(agent: AgentProcess): Promise<string> {
  const response = await fetch(`${agent.address.replace(/^ws/, 'http')}/metrics`);
  return response.text();
}
