/**
 * The real libvirtd for integration tests: whether it is there, virsh, domains that vanish after the test, and a
 * restart of the daemon where the machine allows it.
 *
 * VDSM_AGENT_REQUIRE_LIBVIRT=1 turns "absent" from a visible skip into a failure. The daemon is only restarted with
 * VDSM_AGENT_RESTART_LIBVIRTD=1, which .ci/run sets where it started the daemon itself.
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';

const run = promisify(execFile);

export const LIBVIRT_SOCKET = '/run/libvirt/libvirt-sock';
const PID_FILE = '/run/libvirtd.pid';

export const libvirtRequired = process.env['VDSM_AGENT_REQUIRE_LIBVIRT'] === '1';
export const restartAllowed = process.env['VDSM_AGENT_RESTART_LIBVIRTD'] === '1';

/** Value for a suite's `skip`: false where libvirt is there (or required), else the reason shown. */
export function skipWithoutLibvirt(): string | false {
  if (libvirtRequired || existsSync(LIBVIRT_SOCKET)) return false;
  return `no libvirtd on this machine (${LIBVIRT_SOCKET} is absent)`;
}

/**
 * Value for `skip` of a suite whose agent would also adopt the domains of others, and set their balloon period: false
 * where none runs, or where libvirt is required (a machine for tests).
 */
export function skipWithOthers(prefix: string): string | false {
  if (libvirtRequired) return false;
  const names = execFileSync('virsh', ['-q', '-c', 'qemu:///system', 'list', '--name'], { encoding: 'utf8' });
  const others = names.split('\n').filter((name) => name !== '' && !name.startsWith(prefix));
  return others.length === 0
    ? false
    : `other domains run here, which the agent would adopt: ${others.join(', ')}`;
}

/** Value for `skip` of a test that restarts libvirtd. */
export function skipWithoutRestart(): string | false {
  return restartAllowed
    ? false
    : 'this libvirtd is not ours to restart (VDSM_AGENT_RESTART_LIBVIRTD is not set)';
}

/** Runs virsh on the system daemon (or another URI) and returns its standard output. */
export async function virsh(args: readonly string[], uri = 'qemu:///system'): Promise<string> {
  const { stdout } = await run('virsh', ['-q', '-c', uri, ...args], {
    maxBuffer: 64 << 20,
    timeout: 120_000,
  });
  return stdout;
}

/** `virsh domstats --raw` of one domain as field -> text. */
export async function domstats(name: string, uri?: string): Promise<Map<string, string>> {
  const fields = new Map<string, string>();
  for (const line of (await virsh(['domstats', '--raw', name], uri)).split('\n')) {
    const at = line.indexOf('=');
    if (at > 0) fields.set(line.slice(0, at).trim(), line.slice(at + 1));
  }
  return fields;
}

/** Name -> state text of all domains whose name begins with the prefix. */
export async function virshList(prefix: string, uri?: string): Promise<Map<string, string>> {
  const domains = new Map<string, string>();
  for (const line of (await virsh(['list', '--all'], uri)).split('\n')) {
    const match = /^\s*(?:\d+|-)\s+(\S+)\s+(\S.*)$/.exec(line);
    if (match?.[1]?.startsWith(prefix)) domains.set(match[1], (match[2] ?? '').trim());
  }
  return domains;
}

/** Destroys and undefines every domain whose name begins with the prefix; for after() and before(). */
export async function removeDomains(prefix: string): Promise<void> {
  for (const [name, state] of await virshList(prefix)) {
    if (state !== 'shut off') await virsh(['destroy', name]).catch(() => undefined);
    await virsh(['undefine', '--nvram', name]).catch(() => undefined);
  }
}

export function libvirtdPid(): number {
  return Number(readFileSync(PID_FILE, 'utf8').trim());
}

/** SIGKILLs the daemon; domains run on. */
export async function killLibvirtd(): Promise<void> {
  if (!restartAllowed) throw new Error('this libvirtd is not ours to kill');
  const pid = libvirtdPid();
  process.kill(pid, 'SIGKILL');
  while (existsSync(`/proc/${pid}`)) await delay(20);
}

/** Starts it again and waits until it answers. */
export async function startLibvirtd(): Promise<void> {
  const daemon = spawn('libvirtd', ['-d'], { stdio: 'ignore' });
  await new Promise((resolve) => daemon.once('exit', resolve));
  for (let attempt = 0; attempt < 300; attempt++) {
    const answer = await virsh(['version']).catch(() => undefined);
    if (answer !== undefined) return;
    await delay(100);
  }
  throw new Error('libvirtd did not come back within 30 s');
}
