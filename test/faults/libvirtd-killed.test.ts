/**
 * libvirtd is killed while verbs and a start are under way, and VMs change while it is away: what was pending ends at
 * once with a clear error, the agent goes on answering and says how old its figures are, and when the daemon is back so
 * is all else: events, figures, and what changed meanwhile, each told exactly once.
 *
 * The same story on the simulated daemon, always, and on the real one, where it may be killed.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AgentProcess } from '../support/agent-process.js';
import {
  disk,
  nameOf,
  PERIOD_SEC,
  PREFIX,
  Role,
  RUNNING,
  tell,
  xmlOf,
  type Daemon,
} from '../support/killed-daemon.js';
import {
  killLibvirtd,
  LIBVIRT_SOCKET,
  removeDomains,
  skipWithOthers,
  skipWithoutLibvirt,
  skipWithoutRestart,
  startLibvirtd,
  virsh,
} from '../support/real-libvirt.js';
import { samplingBegun } from '../support/sampling-watch.js';
import { SimulatorProcess } from '../support/simulator-process.js';
import { VmEvents } from '../support/vm-events.js';

async function startAgent(uri: string, folder: string): Promise<{ agent: AgentProcess; socketPath: string }> {
  const socketPath = join(folder, 'agent.sock');
  const file = join(folder, 'agent.json');
  const stateDir = join(folder, 'state');
  writeFileSync(
    file,
    JSON.stringify({
      uri,
      listen: [`unix:${socketPath}`],
      periodSec: PERIOD_SEC,
      stateDir,
      logLevel: 'warn',
    }),
  );
  return { agent: await AgentProcess.start(['--config', file]), socketPath };
}

describe('the simulated libvirtd, killed', { timeout: 60_000 }, () => {
  const folder = mkdtempSync('/var/tmp/vdsm-agent-killed-');
  let simulator: SimulatorProcess;
  let agent: AgentProcess | undefined;

  before(async () => {
    simulator = await SimulatorProcess.start(join(folder, 'libvirt.sock'), [
      ...['--domains', '0', '--start-ms', '1500', '--parallel-starts', '8'],
    ]);
    const uri = simulator.uri;
    await Promise.all(
      [...RUNNING, Role.pauses].map(async (role) => {
        const xml = join(folder, `${role}.xml`);
        const image = join(folder, `${role}.img`);
        writeFileSync(image, Buffer.alloc(65_536));
        writeFileSync(xml, xmlOf(role, disk(image)));
        await virsh(['create', xml], uri);
      }),
    );
  });
  after(async () => {
    await agent?.stop();
    await simulator.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('costs what was under way a clear error, and nobody anything for good', async (t) => {
    const started = await startAgent(simulator.uri, folder);
    agent = started.agent;
    const events = await VmEvents.open(`unix:${started.socketPath}`);
    await samplingBegun(started.socketPath);
    const daemon: Daemon = {
      uri: simulator.uri,
      // 40 periods, as many as ten minutes are by default.
      awayMs: 20_000,
      freeze: (role, frozen) => simulator.command({ [frozen ? 'hang' : 'release']: nameOf(role) }),
      kill: () => simulator.command({ kill: true }),
      restart: () => simulator.command({ restart: true }),
      killQemu: (role) => simulator.command({ 'kill-qemu': nameOf(role) }),
      powerOff: (role) => simulator.command({ 'power-off': nameOf(role) }),
      pauseItself: (role) => simulator.command({ 'io-error': { domain: nameOf(role), disk: 'vda' } }),
      setPaused: async (role, paused) => {
        await virsh([paused ? 'suspend' : 'resume', nameOf(role)], simulator.uri);
      },
    };
    try {
      await tell(t, { daemon, events, socketPath: started.socketPath });
    } finally {
      await events.close();
    }
  });
});

const skip = skipWithoutLibvirt() || skipWithoutRestart() || skipWithOthers(PREFIX);

describe('the real libvirtd, killed', { skip, timeout: 180_000 }, () => {
  const folder = mkdtempSync('/var/tmp/vdsm-agent-killed-');
  let agent: AgentProcess | undefined;
  const pids = new Map<number, number>();

  before(async () => {
    await removeDomains(PREFIX);
    for (const role of RUNNING) {
      const xml = join(folder, `${role}.xml`);
      writeFileSync(xml, xmlOf(role));
      await virsh(['create', xml]);
      pids.set(role, Number(readFileSync(`/run/libvirt/qemu/${nameOf(role)}.pid`, 'utf8')));
    }
  });
  after(async () => {
    await agent?.stop();
    await removeDomains(PREFIX);
    rmSync(folder, { recursive: true, force: true });
  });

  it('costs what was under way a clear error, and nobody anything for good', async (t) => {
    const uri = `qemu+unix:///system?socket=${LIBVIRT_SOCKET}`;
    const started = await startAgent(uri, folder);
    agent = started.agent;
    const events = await VmEvents.open(`unix:${started.socketPath}`);
    await samplingBegun(started.socketPath);
    const signal = (role: number, name: NodeJS.Signals): Promise<void> => {
      process.kill(pids.get(role)!, name);
      return Promise.resolve();
    };
    const state = { isAway: false };
    const daemon: Daemon = {
      uri,
      awayMs: 5000,
      freeze: (role, frozen) => signal(role, frozen ? 'SIGSTOP' : 'SIGCONT'),
      kill: async () => {
        state.isAway = true;
        await killLibvirtd();
      },
      restart: async () => {
        await startLibvirtd();
        state.isAway = false;
      },
      killQemu: (role) => signal(role, 'SIGKILL'),
      powerOff: (role) => signal(role, 'SIGTERM'),
      setPaused: async (role, paused) => {
        await virsh([paused ? 'suspend' : 'resume', nameOf(role)]);
      },
    };
    try {
      await tell(t, { daemon, events, socketPath: started.socketPath });
    } finally {
      await daemon.freeze(Role.hung, false).catch(() => undefined);
      if (state.isAway) await startLibvirtd();
      await events.close();
    }
  });
});
